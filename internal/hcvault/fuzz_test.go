package hcvault_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/keystore"
)

// FuzzAnswer has the server answer anything at all, to a signature and to a
// look at a key: there is no panic, and what is released verifies.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", "[]", `{"data":null}`, `{"data":{}}`, `{"data":{"signature":"vault:v1:"}}`, `{"data":{"signature":7}}`,
		`{"data":{"signature":"vault:v1:AAAA","key_version":1}}`, `{"data":{"batch_results":[{"signature":"vault:v1:AAAA"}]}}`,
		`{"data":{"name":"safeconduct-sign-aa01","type":"ecdsa-p256","latest_version":1,"keys":{"1":{"public_key":"x"}}}}`,
		`{"data":{"name":"safeconduct-sign-aa01","type":"ecdsa-p256","latest_version":1,"keys":[]}}`,
		`{"auth":{"client_token":"x"}}`, strings.Repeat("[", 1000), "\xff", `{"data":{"latest_version":1e999}}`,
	} {
		for _, path := range []bool{true, false} {
			f.Add(path, 200, []byte(seed))
		}
	}
	f.Add(true, 503, []byte("x"))
	server := newFake(f)
	now := time.Unix(1, 0)
	cfg := server.config(f)
	cfg.Now = func() time.Time { return now }
	v := server.created(f, cfg)
	_, pub, err := keystore.New(v).NewAgency(f.Context(), "aa01")
	must(f, err)
	f.Fuzz(func(t *testing.T, look bool, status int, answer []byte) {
		now = now.Add(time.Minute) // so that keys are looked at, and the breaker tries again
		at := "/sign/"
		if look {
			at = "/keys/"
		}
		server.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, at) {
				return false
			}
			w.WriteHeader(200 + ((status%400)+400)%400)
			_, _ = w.Write(answer)
			return true
		})
		sig, err := sign(t.Context(), v)
		if err == nil && !ecdsa.VerifyASN1(pub, digest[:], sig) {
			t.Fatal("a signature that does not verify was released")
		}
		if err != nil && sig != nil {
			t.Fatal("a signature came back beside an error")
		}
		d := sha256.Sum256(answer)
		if _, sigs, err := signBatch(t.Context(), v, "aa01", [][]byte{d[:], digest[:]}); err == nil && len(sigs) != 2 {
			t.Fatal("a batch lost a signature")
		}
		if _, err := v.Wrap(t.Context(), "aa01", "rec1", []byte("key")); err != nil && !look {
			t.Fatalf("what was not lied about: %v", err)
		}
	})
}
