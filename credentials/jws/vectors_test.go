package jws_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/vectortest"
)

type vectorFile struct {
	NumberOfTests int
	TestGroups    []struct {
		Comment         string
		Public, Private json.RawMessage
		PublicKey       struct{ Uncompressed string }
		Tests           []struct {
			TcID     int
			Comment  string
			Result   string
			JWS, JWE json.RawMessage
			Msg, Sig string
		}
	}
}

func load(t *testing.T, name string) vectorFile {
	t.Helper()
	raw, err := os.ReadFile(vectortest.Path(t, "wycheproof", name))
	if err != nil {
		t.Fatal(err)
	}
	var f vectorFile
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// counted fails where a vector was left out.
func counted(t *testing.T, name string, got, want int) {
	t.Helper()
	t.Logf("%s: %d cases", name, got)
	if got != want || got == 0 {
		t.Errorf("%s: ran %d cases, the file has %d", name, got, want)
	}
}

// text is a vector's token; some are JSON objects, which we refuse as well.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func TestWycheproofJWS(t *testing.T) {
	const name = "json_web_signature_test.json"
	f := load(t, name)
	ran, verified := 0, 0
	for _, g := range f.TestGroups {
		jwk := g.Public
		if jwk == nil {
			jwk = g.Private
		}
		var kind struct{ Alg, Kty string }
		if err := json.Unmarshal(jwk, &kind); err != nil {
			t.Fatal(err)
		}
		pub, keyErr := jws.ParseKey(jwk)
		if (keyErr == nil) != (kind.Alg == "ES256") {
			t.Errorf("%s: key of %s: %v", g.Comment, kind.Alg, keyErr)
		}
		for _, c := range g.Tests {
			ran++
			token := text(c.JWS)
			// Our own profile takes none of them: no typ.
			if _, err := jws.Parse(token, 0, "JWT", ""); err == nil {
				t.Errorf("%d %s: our profile takes it", c.TcID, c.Comment)
			}
			m, err := jws.ParseUntyped(token)
			if err == nil && keyErr == nil {
				_, err = m.Verify(pub)
			} else if err == nil {
				err = keyErr
			}
			want := kind.Alg == "ES256" && c.Result == "valid"
			if (err == nil) != want {
				t.Errorf("%s, %d %s: got %v, want %s", g.Comment, c.TcID, c.Comment, err, c.Result)
			}
			if err == nil {
				verified++
			}
		}
	}
	if verified != 2 {
		t.Errorf("%d tokens verified, 2 are valid ES256", verified)
	}
	counted(t, name, ran, f.NumberOfTests)
}

func TestWycheproofJWK(t *testing.T) {
	const name = "json_web_key_test.json"
	f := load(t, name)
	ran, taken := 0, 0
	for _, g := range f.TestGroups {
		for _, c := range g.Tests {
			ran++
			for _, set := range []json.RawMessage{g.Public, g.Private} {
				if set == nil {
					continue
				}
				if _, err := jws.ParseKey(set); err == nil {
					t.Errorf("%d %s: a set of keys is taken as a key", c.TcID, c.Comment)
				}
				var keys struct{ Keys []json.RawMessage }
				if err := json.Unmarshal(set, &keys); err != nil {
					t.Fatal(err)
				}
				for _, raw := range keys.Keys {
					var k struct{ Kty, Crv, D, Alg, Use string }
					if err := json.Unmarshal(raw, &k); err != nil {
						t.Fatal(err)
					}
					pub, err := jws.ParseKey(raw)
					if err != nil {
						continue
					}
					taken++
					if k.Kty != "EC" || k.Crv != "P-256" || k.D != "" || k.Alg != "ES256" || k.Use != "sig" {
						t.Errorf("%d %s: key of %s is taken", c.TcID, c.Comment, k.Kty)
					}
					if m, err := jws.ParseUntyped(text(c.JWS)); err == nil && c.Result != "valid" {
						if _, err := m.Verify(pub); err == nil {
							t.Errorf("%d %s: verifies", c.TcID, c.Comment)
						}
					}
				}
			}
		}
	}
	// The one in the mixed set, which is a public key like any other once it
	// is taken out.
	if taken != 1 {
		t.Errorf("%d keys are taken, want 1", taken)
	}
	counted(t, name, ran, f.NumberOfTests)
}

func TestWycheproofJWE(t *testing.T) {
	const name = "json_web_encryption_test.json"
	f := load(t, name)
	ran := 0
	for _, g := range f.TestGroups {
		for _, c := range g.Tests {
			ran++
			m, err := jws.ParseUntyped(text(c.JWE))
			if err == nil || m != nil {
				t.Errorf("%d %s: taken", c.TcID, c.Comment)
			}
			switch code(err) {
			case jws.CodeAlg, jws.CodeHeader, jws.CodeMalformed, "json_invalid", "json_duplicate_key":
			default:
				t.Errorf("%d %s: got %q", c.TcID, c.Comment, code(err))
			}
		}
	}
	counted(t, name, ran, f.NumberOfTests)
}

// carried changes a key by which sig holds over msg into one by which it holds
// over signed, and a key by which it does not hold into another such: with
// R = (eG + rQ)/s, the same R comes from e' and Q + (e-e')/r·G. So a vector about
// r and s can come in a token, whose text we do not choose.
func carried(pub *ecdsa.PublicKey, msg, signed, sig []byte) (*ecdsa.PublicKey, error) {
	curve := elliptic.P256()
	n := curve.Params().N
	inverse := new(big.Int).SetBytes(sig[:min(32, len(sig))])
	if inverse.ModInverse(inverse, n) == nil {
		return pub, nil // r is zero: no key may take it
	}
	was, is := sha256.Sum256(msg), sha256.Sum256(signed)
	k := new(big.Int).SetBytes(was[:])
	k.Sub(k, new(big.Int).SetBytes(is[:])).Mul(k, inverse).Mod(k, n)
	x, y := curve.ScalarBaseMult(k.Bytes()) //nolint:staticcheck // arithmetic on points, which crypto/ecdh does not offer
	x, y = curve.Add(pub.X, pub.Y, x, y)    //nolint:staticcheck // as above
	point := append([]byte{4}, make([]byte, 64)...)
	x.FillBytes(point[1:33])
	y.FillBytes(point[33:])
	return ecdsa.ParseUncompressedPublicKey(curve, point)
}

func TestWycheproofP1363(t *testing.T) {
	const name = "ecdsa_secp256r1_sha256_p1363_test.json"
	f := load(t, name)
	ran, verified := 0, 0
	for _, g := range f.TestGroups {
		point, err := hex.DecodeString(g.PublicKey.Uncompressed)
		if err != nil || len(point) != 65 {
			t.Fatalf("public key: %v", err)
		}
		jwk, err := json.Marshal(map[string]string{"kty": "EC", "crv": "P-256", "x": b64.EncodeToString(point[1:33]), "y": b64.EncodeToString(point[33:])})
		if err != nil {
			t.Fatal(err)
		}
		pub, err := jws.ParseKey(jwk)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range g.Tests {
			ran++
			msg, err1 := hex.DecodeString(c.Msg)
			sig, err2 := hex.DecodeString(c.Sig)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			signed := b64.EncodeToString([]byte(`{"alg":"ES256","typ":"x+jwt","kid":"k"}`)) + "." + b64.EncodeToString(fmt.Appendf(nil, `{"tcId":%d}`, c.TcID))
			key, err := carried(pub, msg, []byte(signed), sig)
			if err != nil {
				t.Fatal(err)
			}
			m, err := jws.Parse(signed+"."+b64.EncodeToString(sig), 0, "x+jwt")
			if err == nil {
				_, err = m.Verify(key)
			}
			got := err == nil
			if got != (c.Result == "valid") {
				t.Errorf("%d %s: got %v, want %s", c.TcID, c.Comment, got, c.Result)
			}
			if got {
				verified++
			}
		}
	}
	if verified == 0 {
		t.Error("no signature verified")
	}
	counted(t, name, ran, f.NumberOfTests)
}

// Every algorithm go-jose knows is refused but one.
func TestAlgorithms(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{
		jose.EdDSA, jose.HS256, jose.HS384, jose.HS512, jose.RS256, jose.RS384, jose.RS512,
		jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, "ES256K", "ES521", "ML-DSA-44", "none",
	} {
		t.Run(string(alg), func(t *testing.T) {
			_, err := jws.Parse(b64.EncodeToString([]byte(`{"alg":"`+strings.TrimSpace(string(alg))+`","typ":"x+jwt","kid":"k"}`))+".AA.AA", 0, "x+jwt")
			if code(err) != jws.CodeAlg {
				t.Errorf("%s: got %v", alg, err)
			}
		})
	}
}
