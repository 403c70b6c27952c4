package statuslist_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

const (
	address = "https://network.example/status-lists/1"
	keyID   = "0123456789abcdef"
)

// newKey makes a key that is the same each time for one name, so that fuzzers
// can repeat what they found.
func newKey(tb testing.TB, name string) *ecdsa.PrivateKey {
	tb.Helper()
	seed := sha256.Sum256([]byte(name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func keyOf(key *ecdsa.PrivateKey) func(string) *ecdsa.PublicKey {
	return func(kid string) *ecdsa.PublicKey {
		if kid == keyID {
			return &key.PublicKey
		}
		return nil
	}
}

func newToken(tb testing.TB) statuslist.Token {
	tb.Helper()
	l, err := statuslist.New(2, 64)
	if err != nil {
		tb.Fatal(err)
	}
	for i, status := range []uint8{statuslist.Valid, statuslist.Invalid, statuslist.Suspended, statuslist.Replaced} {
		if err := l.Set(i, status); err != nil {
			tb.Fatal(err)
		}
	}
	issued := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return statuslist.Token{Subject: address, IssuedAt: issued, Expires: issued.Add(72 * time.Hour), TTL: 6 * time.Hour, List: l}
}

func TestToken(t *testing.T) {
	key := newKey(t, "status")
	token := newToken(t)
	compact, err := token.Sign(keyID, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := statuslist.Parse(compact, address, 64, keyOf(key))
	if err != nil {
		t.Fatal(err)
	}
	if got.Subject != address || !got.IssuedAt.Equal(token.IssuedAt) || !got.Expires.Equal(token.Expires) || got.TTL != token.TTL {
		t.Errorf("got %v, %v, %v, %v", got.Subject, got.IssuedAt, got.Expires, got.TTL)
	}
	if got.List.Len() != 64 || got.List.Bits() != 2 {
		t.Errorf("got %d entries of %d bits, want 64 of 2", got.List.Len(), got.List.Bits())
	}
	for i := range 64 {
		want, _ := token.List.Get(i)
		if status, err := got.List.Get(i); err != nil || status != want {
			t.Errorf("entry %d: got %d and %v, want %d", i, status, err, want)
		}
	}
}

func TestTokenSignRefuses(t *testing.T) {
	key := newKey(t, "status")
	for _, c := range []struct {
		name string
		edit func(*statuslist.Token)
		want error
	}{
		{"no subject", func(k *statuslist.Token) { k.Subject = "" }, statuslist.ErrClaims},
		{"relative subject", func(k *statuslist.Token) { k.Subject = "/status-lists/1" }, statuslist.ErrClaims},
		{"long subject", func(k *statuslist.Token) { k.Subject += strings.Repeat("1", 1024) }, statuslist.ErrClaims},
		{"no time", func(k *statuslist.Token) { k.IssuedAt = time.Time{} }, statuslist.ErrClaims},
		{"ends before it begins", func(k *statuslist.Token) { k.Expires = k.IssuedAt }, statuslist.ErrClaims},
		{"never ends", func(k *statuslist.Token) { k.Expires = k.IssuedAt.AddDate(9000, 0, 0) }, statuslist.ErrClaims},
		{"no ttl", func(k *statuslist.Token) { k.TTL = time.Second - 1 }, statuslist.ErrClaims},
		{"negative ttl", func(k *statuslist.Token) { k.TTL = -time.Hour }, statuslist.ErrClaims},
		{"no list", func(k *statuslist.Token) { k.List = nil }, statuslist.ErrShape},
		{"empty list", func(k *statuslist.Token) { k.List = new(statuslist.List) }, statuslist.ErrShape},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := newToken(t)
			c.edit(&token)
			if _, err := token.Sign(keyID, key); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if _, err := newToken(t).Sign("../../etc/passwd", key); err == nil {
		t.Error("a kid that is a path was signed")
	}
}

func TestParseRefuses(t *testing.T) {
	key, other := newKey(t, "status"), newKey(t, "another")
	good, err := newToken(t).Sign(keyID, key)
	if err != nil {
		t.Fatal(err)
	}
	const lst = "eNr7_x8AAv8B_w" // two bytes, all bits set
	payload := func(format string, a ...any) string { return fmt.Sprintf(format, a...) }
	plain := `{"sub":"` + address + `","iat":1772366400,"exp":1772625600,"ttl":21600,"status_list":{"bits":2,"lst":"` + lst + `"}}`
	replace := func(old, new string) string {
		if !strings.Contains(plain, old) {
			t.Fatalf("%s is not in the payload", old)
		}
		return strings.Replace(plain, old, new, 1)
	}
	sign := func(typ, payload string) string {
		t.Helper()
		compact, err := jws.Sign(typ, keyID, key, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return compact
	}
	if _, err := statuslist.Parse(sign("statuslist+jwt", plain), address, 64, keyOf(key)); err != nil {
		t.Fatalf("the payload that all others are made from: %v", err)
	}

	for _, c := range []struct {
		name, payload string
		want          error
	}{
		{"other address", replace("lists/1", "lists/2"), statuslist.ErrSubject},
		{"address in capitals", replace("network.example", "NETWORK.example"), statuslist.ErrSubject},
		{"more after the address", replace("lists/1", "lists/1/"), statuslist.ErrSubject},
		{"no sub", replace(`"sub":"`+address+`",`, ""), statuslist.ErrClaims},
		{"no iat", replace(`"iat":1772366400,`, ""), statuslist.ErrClaims},
		{"no exp", replace(`"exp":1772625600,`, ""), statuslist.ErrClaims},
		{"no ttl", replace(`"ttl":21600,`, ""), statuslist.ErrClaims},
		{"no bits", replace(`"bits":2,`, ""), statuslist.ErrClaims},
		{"no lst", replace(`,"lst":"`+lst+`"`, ""), statuslist.ErrClaims},
		{"another member", replace(`"ttl"`, `"iss":"https://network.example","ttl"`), statuslist.ErrClaims},
		{"another member of the list", replace(`"bits"`, `"aggregation_uri":"https://network.example","bits"`), statuslist.ErrClaims},
		{"name in capitals", replace(`"exp"`, `"EXP"`), statuslist.ErrClaims},
		{"name twice", replace(`"ttl"`, `"exp":1772625600,"ttl"`), statuslist.ErrClaims},
		{"name twice by case", replace(`"ttl"`, `"EXP":1772625600,"ttl"`), statuslist.ErrClaims},
		{"null", replace(`21600`, `null`), statuslist.ErrClaims},
		{"iat a fraction", replace(`1772366400`, `1772366400.0`), statuslist.ErrClaims},
		{"iat with exponent", replace(`1772366400`, `17723664e2`), statuslist.ErrClaims},
		{"iat a text", replace(`1772366400`, `"1772366400"`), statuslist.ErrClaims},
		{"iat negative", replace(`1772366400`, `-1`), statuslist.ErrClaims},
		{"iat 2^63", replace(`1772366400`, `9223372036854775808`), statuslist.ErrClaims},
		{"exp not after iat", replace(`1772625600`, `1772366400`), statuslist.ErrClaims},
		{"exp in the year 10000", replace(`1772625600`, `253402300800`), statuslist.ErrClaims},
		{"ttl zero", replace(`21600`, `0`), statuslist.ErrClaims},
		{"ttl of two years", replace(`21600`, `63072000`), statuslist.ErrClaims},
		{"bits a text", replace(`"bits":2`, `"bits":"2"`), statuslist.ErrClaims},
		{"bits 2^32+2", replace(`"bits":2`, `"bits":4294967298`), statuslist.ErrClaims},
		{"bits 3", replace(`"bits":2`, `"bits":3`), statuslist.ErrShape},
		{"bits 0", replace(`"bits":2`, `"bits":0`), statuslist.ErrShape},
		{"list an array", replace(`{"bits":2,"lst":"`+lst+`"}`, `[2,"`+lst+`"]`), statuslist.ErrClaims},
		{"lst broken", replace(lst, lst[:8]), statuslist.ErrList},
		{"list too long", replace(lst, deflate(t, make([]byte, 17))), statuslist.ErrTooLarge},
		{"an array", "[]", statuslist.ErrClaims},
		{"not JSON", "list", statuslist.ErrClaims},
		{"bytes after", plain + "{}", statuslist.ErrClaims},
		{"nested", payload(`{"sub":%s}`, strings.Repeat("[", 1000)), statuslist.ErrClaims},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := statuslist.Parse(sign("statuslist+jwt", c.payload), address, 64, keyOf(key)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}

	// Never the letter that is already there: signatures differ from run to run.
	last, changed := len(good)-1, "A"
	if good[last-10] == 'A' {
		changed = "B"
	}
	for _, c := range []struct{ name, compact, code string }{
		{"other typ", sign("dc+sd-jwt", plain), "token_typ_refused"},
		{"other signature", good[:last-10] + changed + good[last-9:], "signature_invalid"},
		{"no signature", good[:strings.LastIndexByte(good, '.')+1], "token_malformed"},
		{"two parts", good[:strings.LastIndexByte(good, '.')], "token_malformed"},
		{"empty", "", "token_malformed"},
		{"ten mebibytes of dots", strings.Repeat(".", 10<<20), "too_large"},
	} {
		_, err := statuslist.Parse(c.compact, address, 64, keyOf(key))
		if refused := (*jws.Error)(nil); !errors.As(err, &refused) || refused.Code != c.code {
			t.Errorf("%s: got %v, want %s", c.name, err, c.code)
		}
	}

	if _, err := statuslist.Parse(good, address, 64, keyOf(other)); err == nil {
		t.Error("a token was read with another key")
	}
	if _, err := statuslist.Parse(good, address, 64, func(string) *ecdsa.PublicKey { return nil }); !errors.Is(err, statuslist.ErrKey) {
		t.Errorf("no key: got %v, want ErrKey", err)
	}
	if _, err := statuslist.Parse(good, address, 0, keyOf(key)); !errors.Is(err, statuslist.ErrShape) {
		t.Errorf("no entries allowed: got %v, want ErrShape", err)
	}
}

// A full list of random values, which no compressor makes smaller, must still
// fit into its own bounds.
func TestLargestToken(t *testing.T) {
	key := newKey(t, "status")
	token := newToken(t)
	l, err := statuslist.New(8, statuslist.Entries)
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, statuslist.Entries)
	rand.Read(noise)
	for i, b := range noise {
		if err := l.Set(i, b); err != nil {
			t.Fatal(err)
		}
	}
	token.List = l
	token.Subject = "https://network.example/" + strings.Repeat("1", 1000)
	compact, err := token.Sign(strings.Repeat("k", 64), key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := statuslist.Parse(compact, token.Subject, statuslist.Entries, func(string) *ecdsa.PublicKey { return &key.PublicKey })
	if err != nil {
		t.Fatal(err)
	}
	if got.List.Len() != statuslist.Entries {
		t.Errorf("got %d entries, want %d", got.List.Len(), statuslist.Entries)
	}
}

func FuzzParse(f *testing.F) {
	key := newKey(f, "status")
	good, err := newToken(f).Sign(keyID, key)
	if err != nil {
		f.Fatal(err)
	}
	head, rest, _ := strings.Cut(good, ".")
	body, sig, _ := strings.Cut(rest, ".")
	f.Add(head, body, sig, []byte(`{}`))
	f.Add("", body, sig, []byte(`{"sub":"`+address+`","iat":1,"exp":2,"ttl":1,"status_list":{"bits":1,"lst":"eNrbuRgAAhcBXQ"}}`))
	f.Add(head, "", sig, []byte(`{"sub":1,"iat":1e9,"exp":-2,"ttl":null,"status_list":[]}`))
	f.Fuzz(func(t *testing.T, head, body, sig string, payload []byte) {
		if len(payload) == 0 {
			return // jws signs no empty payload
		}
		// Once as it comes, and once signed, so that the claims are reached.
		signed, err := jws.Sign("statuslist+jwt", keyID, key, payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, compact := range []string{head + "." + body + "." + sig, signed} {
			token, err := statuslist.Parse(compact, address, 1<<12, keyOf(key))
			again, err2 := statuslist.Parse(compact, address, 1<<12, keyOf(key))
			if (err == nil) != (err2 == nil) || (token == nil) != (err != nil) || (again == nil) != (err2 != nil) {
				t.Fatalf("two verdicts: %v and %v", err, err2)
			}
			if err != nil {
				continue
			}
			// What is taken can be said again.
			resigned, err := token.Sign(keyID, key)
			if err != nil {
				t.Fatalf("what was read cannot be signed: %v", err)
			}
			third, err := statuslist.Parse(resigned, address, 1<<12, keyOf(key))
			if err != nil {
				t.Fatalf("what was signed cannot be read: %v", err)
			}
			if third.Subject != token.Subject || !third.IssuedAt.Equal(token.IssuedAt) || !third.Expires.Equal(token.Expires) || third.TTL != token.TTL || third.List.Len() != token.List.Len() {
				t.Fatal("a token changed by being read and signed again")
			}
		}
	})
}

// BenchmarkLoad reads a token as a verifier's device does: verify, decode,
// inflate. The goal is 2 ms.
func BenchmarkLoad(b *testing.B) {
	key := newKey(b, "status")
	token := newToken(b)
	token.List = onePercent(b)
	compact, err := token.Sign(keyID, key)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(compact)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := statuslist.Parse(compact, address, statuslist.Entries, keyOf(key)); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleToken_Sign() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	list, err := statuslist.New(2, statuslist.Entries)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := list.Set(412, statuslist.Invalid); err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	compact, err := statuslist.Token{
		Subject:  "https://network.example/status-lists/1",
		IssuedAt: now,
		Expires:  now.Add(72 * time.Hour),
		TTL:      6 * time.Hour,
		List:     list,
	}.Sign(jws.KeyID(&key.PublicKey), key)
	if err != nil {
		fmt.Println(err)
		return
	}

	token, err := statuslist.Parse(compact, "https://network.example/status-lists/1", statuslist.Entries,
		func(kid string) *ecdsa.PublicKey { return &key.PublicKey })
	if err != nil {
		fmt.Println(err)
		return
	}
	status, err := token.List.Get(412)
	fmt.Println(status == statuslist.Invalid, err, token.Expires.Format(time.DateOnly))
	// Output: true <nil> 2026-03-04
}

// The claims are also what other readers of the draft expect.
func TestPayload(t *testing.T) {
	key := newKey(t, "status")
	compact, err := newToken(t).Sign(keyID, key)
	if err != nil {
		t.Fatal(err)
	}
	m, err := jws.Parse(compact, len(compact), "statuslist+jwt")
	if err != nil {
		t.Fatal(err)
	}
	payload, err := m.Verify(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	list, _ := claims["status_list"].(map[string]any)
	if claims["sub"] != address || claims["iat"] != 1772366400.0 || claims["exp"] != 1772625600.0 || claims["ttl"] != 21600.0 || list["bits"] != 2.0 || len(claims) != 5 || len(list) != 2 {
		t.Errorf("got %s", payload)
	}
	if lst, _ := list["lst"].(string); len(inflated(t, lst)) != 16 {
		t.Errorf("got %s", payload)
	}
}
