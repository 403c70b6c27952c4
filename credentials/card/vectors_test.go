package card

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/veraison/go-cose"

	"github.com/safeconduct/safeconduct/internal/vectortest"
)

// steps is an opener by docs/card.md, Opening, steps 1 to 6, for what the file
// holds: it has no lists, so every state of step 7 is "opens".
func steps(t testing.TB, f vectortest.Cards, digits, typed string) (string, *Opened) {
	t.Helper()
	c, err := Parse(digits) // step 1
	if errors.Is(err, ErrNotOurs) {
		return "not_ours", nil
	}
	var keys []TagKey // step 2
	for _, e := range f.Epochs {
		keys = append(keys, TagKey{e.ID, e.TagKey})
	}
	for _, e := range f.EndedEpochs {
		keys = append(keys, TagKey{e.ID, e.TagKey})
	}
	i, ok := c.Match(keys)
	switch {
	case !ok:
		return "not_ours", nil
	case i >= len(f.Epochs):
		return "expired", nil
	}
	code, err := ParseCode(typed) // step 3
	if errors.Is(err, ErrCode) {
		return "wrong_code", nil
	}
	e := f.Epochs[i]
	o, err := Open(c, OpenKeys{Epoch: e.ID, TagKey: e.TagKey, NetKey: e.NetKey, Private: e.PrivateKey}, code)
	switch { // step 4
	case errors.Is(err, ErrWrongCode):
		return "wrong_code", nil
	case errors.Is(err, ErrContent):
		return "does_not_match", nil
	case err != nil:
		t.Fatal(err)
	}
	known, verified := false, false
	for _, issuer := range f.Issuers {
		id := o.KeyID()
		if bytes.Equal(issuer.Kid, id[:]) {
			known = true
			verified = verified || o.Verify(issuer.Key(t))
		}
	}
	switch {
	case !known:
		return "issuer_unknown", nil
	case !verified:
		return "does_not_match", nil
	}
	now, claims := time.Unix(f.Now, 0), o.Claims()
	switch { // steps 5 and 6
	case claims.Blank:
		return "not_yet_in_use", o
	case !now.Before(claims.Expires):
		return "expired", o
	case now.Before(claims.IssuedAt):
		return "not_yet_in_use", o
	default:
		return "opens", o
	}
}

// asInFile writes claims the way the file does.
func asInFile(c Claims) map[string]any {
	m := map[string]any{
		"iat": float64(c.IssuedAt.Unix()), "exp": float64(c.Expires.Unix()),
		"caseHandle": hex.EncodeToString(c.Handle[:]),
		"statusList": float64(c.List), "statusIndex": float64(c.Index),
	}
	for k, v := range map[string]string{
		"name": c.Name.Reveal(), "birthDate": c.BirthDate.Reveal(), "nationality": c.Nationality.Reveal(),
		"portraitSHA256Prefix": hex.EncodeToString(c.Portrait),
	} {
		if v != "" {
			m[k] = v
		}
	}
	for k, v := range map[string]int{"sex": c.Sex, "status": c.Status, "decisionLevel": c.DecisionLevel} {
		if v != 0 {
			m[k] = float64(v)
		}
	}
	for k, v := range map[string]bool{
		"namesShortened": c.NamesShortened, "blank": c.Blank, "missionMayBeContacted": c.MissionMayBeContacted,
	} {
		if v {
			m[k] = true
		}
	}
	return m
}

func TestCardVectors(t *testing.T) {
	f := vectortest.ReadCards(t)
	const want = 25
	ran, compared := 0, 0
	for _, v := range f.Cards {
		t.Run(v.Name, func(t *testing.T) {
			ran++
			got, o := steps(t, f, v.Digits, v.Code)
			if got != v.Expect {
				t.Fatalf("got %s, want %s", got, v.Expect)
			}
			if (o != nil) != (v.Claims != nil) {
				t.Fatalf("claims available: got %t, want %t", o != nil, v.Claims != nil)
			}
			if o == nil {
				return
			}
			compared++
			if d := cmp.Diff(v.Claims, asInFile(o.Claims())); d != "" {
				t.Errorf("claims differ (-want +got):\n%s", d)
			}
			if got := o.OpenKey().Public().(ed25519.PublicKey); !bytes.Equal(got, v.OpenKey) {
				t.Errorf("open key: got %x, want %x", got, []byte(v.OpenKey))
			}
			c, err := Parse(v.Digits)
			if err != nil {
				t.Fatal(err)
			}
			if c.Digits() != v.Digits {
				t.Error("digits do not come back the same")
			}
		})
	}
	t.Logf("card: %d cases", ran)
	t.Logf("card: claims and open keys compared in %d", compared)
	if ran != len(f.Cards) || ran != want || compared == 0 {
		t.Errorf("ran %d of %d cases, want %d", ran, len(f.Cards), want)
	}
}

// TestSealedLikeTheVectors: what we encode for the claims of a vector is byte
// for byte what its independent maker encoded, read back out of its card.
func TestSealedLikeTheVectors(t *testing.T) {
	f := vectortest.ReadCards(t)
	ran := 0
	for _, v := range f.Cards {
		if v.Expect != "opens" {
			continue
		}
		ran++
		_, o := steps(t, f, v.Digits, v.Code)
		if o == nil {
			t.Fatalf("%s does not open", v.Name)
		}
		if problems := o.Claims().Validate(); len(problems) > 0 {
			t.Errorf("%s could not be issued by us: %v", v.Name, problems)
		}
		_, data, err := fit(o.Claims())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, o.content.message.Payload) {
			t.Errorf("%s: payload differs", v.Name)
		}
		if v.Name == "fullest" && len(data) != maxPayload {
			t.Errorf("fullest: payload of %d bytes, want %d", len(data), maxPayload)
		}
	}
	t.Logf("card: %d payloads", ran)
	if ran == 0 {
		t.Error("no card was compared")
	}
}

// TestCOSEVectors runs the COSE_Sign1 step only: the files have their kid in the
// unprotected header, so the card profile refuses every one of them.
func TestCOSEVectors(t *testing.T) {
	type file struct {
		Title string
		Fail  bool
		Input struct {
			Sign0 struct {
				Key      vectortest.Point
				External vectortest.Hex
			}
		}
		Intermediates struct {
			ToBeSign vectortest.Hex `json:"ToBeSign_hex"`
		}
		Output struct{ CBOR vectortest.Hex }
	}
	paths, err := filepath.Glob(filepath.Join(vectortest.Path(t, "cose", "sign1-tests"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	ran := map[bool]int{}
	for _, path := range paths {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			var f file
			vectortest.ReadJSON(t, path, &f)
			if f.Fail != strings.HasPrefix(name, "sign-fail") {
				t.Fatalf("fail is %t", f.Fail)
			}
			ran[f.Fail]++
			pub := f.Input.Sign0.Key.Key(t)
			// The card is untagged; of the files all but one carry tag 18.
			data := []byte(f.Output.CBOR)
			data = bytes.TrimPrefix(data, []byte{0xd2})
			var m cose.UntaggedSign1Message
			got := m.UnmarshalCBOR(data) == nil && verify(&m, f.Input.Sign0.External, pub)
			if name == "sign-pass-01.json" {
				// Its alg is unprotected, which RFC 9052 allows and go-cose and the card
				// refuse. The signature itself is good.
				if got {
					t.Error("an unprotected alg was accepted")
				}
				v, ok := es256Verifier(pub)
				got = ok && v.Verify(f.Intermediates.ToBeSign, m.Signature) == nil
			}
			if want := !f.Fail; got != want {
				t.Errorf("%s: got %t, want %t", f.Title, got, want)
			}
			if len(data) <= maxSigned {
				if _, ok := readContent(pad(data)); ok {
					t.Error("the card profile accepts it")
				}
			}
		})
	}
	t.Logf("cose/sign1-tests: %d cases (%d pass, %d fail)", ran[false]+ran[true], ran[false], ran[true])
	if ran[false]+ran[true] != len(paths) || ran[false] != 3 || ran[true] != 6 {
		t.Errorf("ran %d pass and %d fail of %d files, want 3 and 6", ran[false], ran[true], len(paths))
	}
}

func TestHPKEVectors(t *testing.T) {
	type vector struct {
		Mode                             int
		KEM                              int `json:"kem_id"`
		KDF                              int `json:"kdf_id"`
		AEAD                             int `json:"aead_id"`
		Info, IkmE, SkRm, PkRm, Psk, Enc vectortest.Hex
		PskID                            vectortest.Hex `json:"psk_id"`
		Encryptions                      []struct{ AAD, CT, PT vectortest.Hex }
		Exports                          []struct {
			Context vectortest.Hex `json:"exporter_context"`
			L       uint
			Value   vectortest.Hex `json:"exported_value"`
		}
	}
	const name = "rfc9180-psk-mode.json"
	var file []vector
	vectortest.ReadJSON(t, vectortest.Path(t, "hpke", name), &file)
	ours, others, messages := 0, 0, 0
	for i, v := range file {
		if v.Mode != 1 || v.KEM != 0x20 || v.KDF != 1 || v.AEAD != 3 {
			others++ // another KEM or AEAD: the wrapper has one suite and no way to ask for another
			continue
		}
		ours++
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			e, err := encapsulate(v.PkRm, bytes.NewReader(v.IkmE))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(e.enc, v.Enc) {
				t.Fatalf("enc: got %x, want %x", e.enc, []byte(v.Enc))
			}
			s, err := e.sealer(v.Info, v.Psk, v.PskID)
			if err != nil {
				t.Fatal(err)
			}
			sk, err := receiverKey(v.SkRm)
			if err != nil {
				t.Fatal(err)
			}
			o, ok := opener(sk, v.Enc, v.Info, v.Psk, v.PskID)
			if !ok {
				t.Fatal("set-up of the receiver is refused")
			}
			for _, m := range v.Encryptions {
				messages++
				ct, err := s.Seal(m.PT, m.AAD)
				if err != nil || !bytes.Equal(ct, m.CT) {
					t.Errorf("ciphertext: got %x, %v, want %x", ct, err, []byte(m.CT))
				}
				pt, err := o.Open(m.CT, m.AAD)
				if err != nil || !bytes.Equal(pt, m.PT) {
					t.Errorf("plaintext: got %x, %v, want %x", pt, err, []byte(m.PT))
				}
			}
			for _, x := range v.Exports {
				if got := o.Export(x.Context, x.L); !bytes.Equal(got, x.Value) {
					t.Errorf("export: got %x, want %x", got, []byte(x.Value))
				}
			}
			if e.seed != [32]byte{} {
				t.Error("the seed is not wiped")
			}
			if _, err := e.sealer(v.Info, v.Psk, v.PskID); err == nil {
				t.Error("one seed served two set-ups")
			}
		})
	}
	t.Logf("hpke/%s: %d cases in the file, %d of our suite run, %d of others; %d messages", name, len(file), ours, others, messages)
	if ours == 0 || messages == 0 || ours+others != len(file) {
		t.Errorf("ran %d of ours, %d others, file has %d", ours, others, len(file))
	}
}

func TestWycheproofP1363(t *testing.T) {
	var f struct {
		NumberOfTests int
		TestGroups    []struct {
			PublicKey struct{ Uncompressed vectortest.Hex }
			Tests     []struct {
				TcID     int
				Comment  string
				Msg, Sig vectortest.Hex
				Result   string
			}
		}
	}
	const name = "ecdsa_secp256r1_sha256_p1363_test.json"
	vectortest.ReadJSON(t, vectortest.Path(t, "wycheproof", name), &f)
	ran := map[string]int{}
	for _, g := range f.TestGroups {
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), g.PublicKey.Uncompressed)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := es256Verifier(pub)
		if !ok {
			t.Fatal("a P-256 key is refused")
		}
		for _, c := range g.Tests {
			ran[c.Result]++
			if got, want := v.Verify(c.Msg, c.Sig) == nil, c.Result == "valid"; got != want {
				t.Errorf("test %d (%s): got %t, want %t", c.TcID, c.Comment, got, want)
			}
		}
	}
	t.Logf("wycheproof/%s: %d cases (%d valid, %d invalid)", name, ran["valid"]+ran["invalid"], ran["valid"], ran["invalid"])
	if ran["valid"] == 0 || ran["invalid"] == 0 || ran["valid"]+ran["invalid"] != f.NumberOfTests {
		t.Errorf("ran %v, the file says %d", ran, f.NumberOfTests)
	}
}
