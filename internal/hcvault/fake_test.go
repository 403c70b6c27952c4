package hcvault_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/keystore"
)

// fake is a Vault that can be told to lie, to stall and to refuse, which the
// real one cannot. It speaks as much of the transit engine as is asked for
// here; that it speaks it rightly is shown by the suite, which it passes.
type fake struct {
	*httptest.Server
	mu     sync.Mutex
	keys   map[string]*fakeKey
	tokens map[string]bool
	logins int
	signed map[string]int // hex of what was signed

	// fault sees each request first and reports whether it has answered it.
	fault atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	// lie changes the data of an answer.
	lie atomic.Pointer[func(op, key string, data map[string]any)]
	// closeAll makes the server hang up on what fault holds.
	released chan struct{}
}

type fakeKey struct {
	kind                  string
	secrets               []any
	minDecrypt, minEncode int
	extra                 map[string]any
}

func newFake(t testing.TB) *fake {
	t.Helper()
	f := &fake{keys: map[string]*fakeKey{}, tokens: map[string]bool{}, signed: map[string]int{}, released: make(chan struct{})}
	f.Server = httptest.NewServer(f)
	t.Cleanup(func() { close(f.released); f.Close() })
	return f
}

func (f *fake) misbehave(fault func(http.ResponseWriter, *http.Request) bool) { f.fault.Store(&fault) }
func (f *fake) behave()                                                       { f.fault.Store(nil); f.lie.Store(nil) }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if fault := f.fault.Load(); fault != nil && (*fault)(w, r) {
		return
	}
	var body map[string]any
	if r.Method != http.MethodGet {
		d := json.NewDecoder(r.Body)
		d.UseNumber()
		if err := d.Decode(&body); err != nil {
			refuse(w, http.StatusBadRequest)
			return
		}
	}
	f.mu.Lock()
	data, auth, status := f.answer(r, body)
	f.mu.Unlock()
	if status >= 400 {
		refuse(w, status)
		return
	}
	op, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/transit/"), "/")
	if lie := f.lie.Load(); lie != nil && data != nil {
		(*lie)(op, key, data)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "auth": auth})
}

func refuse(w http.ResponseWriter, status int) {
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, `{"errors":["private words of the server"]}`)
}

func (f *fake) answer(r *http.Request, body map[string]any) (data, auth map[string]any, status int) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	token := r.Header.Get("X-Vault-Token")
	grant := func() map[string]any {
		return map[string]any{"client_token": token, "lease_duration": 60, "renewable": true}
	}
	if path == "auth/approle/login" {
		if body["role_id"] != "role" || body["secret_id"] != "secret" {
			return nil, nil, 400
		}
		f.logins++
		token = "s." + strconv.Itoa(f.logins)
		f.tokens[token] = true
		return nil, grant(), 200
	}
	if !f.tokens[token] {
		return nil, nil, 403
	}
	switch path {
	case "auth/token/lookup-self":
		return map[string]any{"id": token}, nil, 200
	case "auth/token/renew-self":
		return nil, grant(), 200
	case "auth/token/revoke-self":
		delete(f.tokens, token)
		return nil, nil, 200
	}
	parts := strings.Split(strings.TrimPrefix(path, "transit/"), "/")
	if len(parts) < 2 {
		return nil, nil, 404
	}
	k := f.keys[parts[1]]
	if parts[0] == "keys" && len(parts) == 2 && r.Method != http.MethodGet && k == nil {
		k = &fakeKey{kind: body["type"].(string), extra: map[string]any{}, minDecrypt: 1}
		k.rotate()
		f.keys[parts[1]] = k
	}
	switch {
	case k == nil && parts[0] == "keys":
		return nil, nil, 404
	case k == nil:
		return nil, nil, 400
	case parts[0] == "keys" && len(parts) == 3 && parts[2] == "rotate":
		k.rotate()
	case parts[0] == "keys" && len(parts) == 3 && parts[2] == "config":
		k.minEncode = number(body["min_encryption_version"], k.minEncode)
		k.minDecrypt = number(body["min_decryption_version"], k.minDecrypt)
	}
	switch parts[0] {
	case "keys":
		return k.describe(parts[1]), nil, 200
	case "sign":
		return f.sign(k, body)
	case "encrypt":
		n := len(k.secrets)
		nonce := make([]byte, 12)
		_, _ = rand.Read(nonce)
		sealed := k.aead(n).Seal(nonce, nonce, unbase64(body["plaintext"]), unbase64(body["associated_data"]))
		return map[string]any{"ciphertext": fmt.Sprintf("vault:v%d:%s", n, base64.StdEncoding.EncodeToString(sealed))}, nil, 200
	case "decrypt":
		rest := strings.TrimPrefix(body["ciphertext"].(string), "vault:v")
		n, text, _ := strings.Cut(rest, ":")
		v, _ := strconv.Atoi(n)
		raw := unbase64(text)
		if v < k.minDecrypt || v > len(k.secrets) || len(raw) < 12 {
			return nil, nil, 400
		}
		plain, err := k.aead(v).Open(nil, raw[:12], raw[12:], unbase64(body["associated_data"]))
		if err != nil {
			return nil, nil, 400
		}
		return map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)}, nil, 200
	case "hmac":
		v := number(body["key_version"], len(k.secrets))
		mac := hmac.New(sha256.New, k.secrets[v-1].([]byte))
		mac.Write(unbase64(body["input"]))
		return map[string]any{"hmac": fmt.Sprintf("vault:v%d:%s", v, base64.StdEncoding.EncodeToString(mac.Sum(nil)))}, nil, 200
	}
	return nil, nil, 404
}

func (f *fake) sign(k *fakeKey, body map[string]any) (data, auth map[string]any, status int) {
	v := number(body["key_version"], len(k.secrets))
	if v < k.minEncode || v > len(k.secrets) {
		return nil, nil, 400
	}
	one := func(input any) map[string]any {
		in := unbase64(input)
		f.signed[hex.EncodeToString(in)]++
		return map[string]any{"signature": signature(v, rawSignature(k.secrets[v-1], in))}
	}
	batch, ok := body["batch_input"].([]any)
	if !ok {
		return one(body["input"]), nil, 200
	}
	var results []any
	for _, item := range batch {
		results = append(results, one(item.(map[string]any)["input"]))
	}
	return map[string]any{"batch_results": results}, nil, 200
}

// signature is a signature as Vault writes it.
func signature(version int, raw []byte) string {
	return fmt.Sprintf("vault:v%d:%s", version, base64.RawURLEncoding.EncodeToString(raw))
}

// rawSignature is r ‖ s, or an Ed25519 signature.
func rawSignature(key any, in []byte) []byte {
	if e, ok := key.(ed25519.PrivateKey); ok {
		return ed25519.Sign(e, in)
	}
	r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), in)
	if err != nil {
		panic(err)
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return raw
}

// asASN1 is the other form that Vault can be asked for.
func asASN1(raw []byte) []byte {
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
	if err != nil {
		panic(err)
	}
	return der
}

func (k *fakeKey) rotate() {
	var secret any
	switch k.kind {
	case "ecdsa-p256":
		secret, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ed25519":
		_, secret, _ = ed25519.GenerateKey(rand.Reader)
	default:
		b := make([]byte, 32)
		_, _ = rand.Read(b)
		secret = b
	}
	k.secrets = append(k.secrets, secret)
}

func (k *fakeKey) aead(version int) cipher.AEAD {
	block, _ := aes.NewCipher(k.secrets[version-1].([]byte))
	aead, _ := cipher.NewGCM(block)
	return aead
}

func (k *fakeKey) describe(name string) map[string]any {
	versions := map[string]any{}
	for i, s := range k.secrets {
		switch s := s.(type) {
		case *ecdsa.PrivateKey:
			versions[strconv.Itoa(i+1)] = map[string]any{"public_key": publicPEM(&s.PublicKey)}
		case ed25519.PrivateKey:
			versions[strconv.Itoa(i+1)] = map[string]any{"public_key": base64.StdEncoding.EncodeToString(s.Public().(ed25519.PublicKey))}
		default:
			versions[strconv.Itoa(i+1)] = 1
		}
	}
	d := map[string]any{
		"name": name, "type": k.kind, "latest_version": len(k.secrets), "key_size": 32, "keys": versions,
		"min_decryption_version": k.minDecrypt, "min_encryption_version": k.minEncode,
	}
	for what, v := range k.extra {
		d[what] = v
	}
	return d
}

func publicPEM(pub *ecdsa.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func number(v any, otherwise int) int {
	n, ok := v.(json.Number)
	if !ok {
		return otherwise
	}
	i, _ := n.Int64()
	return int(i)
}

func unbase64(v any) []byte {
	b, err := base64.StdEncoding.DecodeString(v.(string))
	if err != nil {
		panic(err)
	}
	return b
}

// config is how to reach the fake.
func (f *fake) config(t testing.TB) hcvault.Config {
	t.Helper()
	return hcvault.Config{
		Address: f.URL, RoleIDFile: file(t, "role\n"), SecretIDFile: file(t, "secret\n"), Origin: "example.org/log",
		Timeout: 2 * time.Second, MaxInFlight: 4,
	}
}

// file writes a throw-away file and returns its path.
func file(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// created is a keystore at the fake with an agency aa01.
func (f *fake) created(t testing.TB, cfg hcvault.Config) *hcvault.Vault {
	t.Helper()
	v, err := hcvault.Create(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close(t.Context()) })
	if _, _, err := keystore.New(v).NewAgency(t.Context(), "aa01"); err != nil {
		t.Fatal(err)
	}
	return v
}
