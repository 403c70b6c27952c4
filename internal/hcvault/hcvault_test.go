package hcvault_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/internal/trouble"
)

// rotateAgency replaces the key with which the agency aa01 signs now.
func rotateAgency(ctx context.Context, v *hcvault.Vault) (kid string, err error) {
	now, err := v.Public(ctx, keystore.Agency("aa01"))
	if err != nil {
		return "", err
	}
	next, err := v.RotateAgency(ctx, "aa01", now.KeyID)
	return next.KeyID, err
}

// signBatch signs many texts with an agency's key, in one go.
func signBatch(ctx context.Context, v *hcvault.Vault, agency string, texts [][]byte) (kid string, signatures [][]byte, err error) {
	p, err := v.Public(ctx, keystore.Agency(agency))
	if err != nil {
		return "", nil, err
	}
	messages := make([]keystore.Message, len(texts))
	for i, t := range texts {
		messages[i].Bytes = t
	}
	signatures, err = v.Sign(ctx, keystore.Agency(agency), p.KeyID, messages)
	return p.KeyID, signatures, err
}

// TestKeys is the suite that every keystore passes, against the real server
// over TLS, with no more rights than the policies give.
func TestKeys(t *testing.T) {
	storetest.Keys(t, func(t *testing.T) storetest.OpenKeys {
		v, cfg, _ := network(t)
		return openKeys(v, cfg)
	})
}

func TestCreateTwice(t *testing.T) {
	v, cfg, p := network(t)
	if _, err := hcvault.Create(t.Context(), cfg); !errors.Is(err, hcvault.ErrExists) {
		t.Errorf("create again: %v, want ErrExists", err)
	}
	root, err := keystore.New(v).Root(t.Context())
	must(t, err)
	again, err := hcvault.Open(t.Context(), cfg)
	must(t, err)
	same, err := keystore.New(again).Root(t.Context())
	must(t, err)
	if root.KeyID != same.KeyID {
		t.Errorf("root %s, want %s", same.KeyID, root.KeyID)
	}
	// A network that is not there.
	other := p.config(t, nil, all...)
	other.Prefix = "elsewhere"
	if _, err := hcvault.Open(t.Context(), other); !errors.Is(err, hcvault.ErrNoKey) {
		t.Errorf("open a network without keys: %v, want ErrNoKey", err)
	}
	// A creation that stopped halfway.
	half := newPlace(t, dev(t), "root")
	for _, use := range []string{"generation", "epochs"} {
		_, err := half.root.Logical().WriteWithContext(t.Context(), half.mount+"/keys/"+half.mount+"-"+use, map[string]any{"type": "aes256-gcm96"})
		must(t, err)
	}
	if _, err := hcvault.Create(t.Context(), half.config(t, nil, all...)); err != nil {
		t.Errorf("create what was begun: %v", err)
	}
}

// TestDuties gives a process one duty and has it try everything.
func TestDuties(t *testing.T) {
	full, _, p := network(t)
	_, _, err := keystore.New(full).NewAgency(t.Context(), "aa01")
	must(t, err)
	wrapped, err := full.Wrap(t.Context(), "aa01", "rec1", []byte("file key"))
	must(t, err)
	epoch, err := full.WrapEpoch(t.Context(), 1, []byte("epoch key"))
	must(t, err)

	acts := []struct {
		name string
		duty string // the one that allows it
		do   func(context.Context, *hcvault.Vault) error
	}{
		{"sign as an agency", "signer", signAgency},
		{"sign many as an agency", "signer", func(ctx context.Context, v *hcvault.Vault) error {
			_, _, err := signBatch(ctx, v, "aa01", [][]byte{text, text})
			return err
		}},
		{"sign a status list", "signer", func(ctx context.Context, v *hcvault.Vault) error {
			s, err := keystore.New(v).Status(ctx)
			must(t, err)
			_, err = crypto.SignMessage(s.Key, nil, text, crypto.SHA256)
			return err
		}},
		{"sign a pack", "signer", func(ctx context.Context, v *hcvault.Vault) error {
			s, err := keystore.New(v).Pack(ctx)
			must(t, err)
			_, err = crypto.SignMessage(s.Key, nil, text, crypto.SHA256)
			return err
		}},
		{"sign a checkpoint", "signer", func(ctx context.Context, v *hcvault.Vault) error {
			vkey, err := keystore.New(v).LogKey(ctx)
			must(t, err)
			s, err := keystore.New(v).LogSigner(ctx, vkey)
			must(t, err)
			_, err = s.Sign([]byte("text\n"))
			return err
		}},
		{"sign a trust list", "signer", func(ctx context.Context, v *hcvault.Vault) error {
			s, err := keystore.New(v).Trust(ctx)
			must(t, err)
			_, err = crypto.SignMessage(s.Key, nil, text, crypto.SHA256)
			return err
		}},
		{"sign who signs trust lists", "root", func(ctx context.Context, v *hcvault.Vault) error {
			s, err := keystore.New(v).Root(ctx)
			must(t, err)
			_, err = crypto.SignMessage(s.Key, nil, text, crypto.SHA256)
			return err
		}},
		{"wrap a record's key", "records", func(ctx context.Context, v *hcvault.Vault) error {
			_, err := v.Wrap(ctx, "aa01", "rec1", []byte("file key"))
			return err
		}},
		{"unwrap a record's key", "records", func(ctx context.Context, v *hcvault.Vault) error {
			_, err := v.Unwrap(ctx, "aa01", "rec1", wrapped)
			return err
		}},
		{"wrap an epoch", "records", func(ctx context.Context, v *hcvault.Vault) error {
			_, err := v.WrapEpoch(ctx, 1, []byte("epoch key"))
			return err
		}},
		{"unwrap an epoch", "records", func(ctx context.Context, v *hcvault.Vault) error {
			_, err := v.UnwrapEpoch(ctx, 1, epoch)
			return err
		}},
		{"compute the index", "records", func(ctx context.Context, v *hcvault.Vault) error {
			_, err := v.MAC(ctx, "label", nil)
			return err
		}},
		{"make an agency's keys", "keys", func(ctx context.Context, v *hcvault.Vault) error {
			_, _, err := keystore.New(v).NewAgency(ctx, "bb"+storetest.NewID())
			return err
		}},
		{"rotate an agency's key", "keys", func(ctx context.Context, v *hcvault.Vault) error {
			_, err := rotateAgency(ctx, v)
			return err
		}},
		{"rotate a wrapping key", "keys", func(ctx context.Context, v *hcvault.Vault) error { return v.RotateWrapping(ctx, "aa01") }},
		{"retire a key", "keys", func(ctx context.Context, v *hcvault.Vault) error { return v.RetireSigning(ctx, "aa01") }},
	}
	for _, duty := range all {
		v, err := hcvault.Open(t.Context(), p.config(t, nil, duty))
		if err != nil {
			t.Fatalf("%s: open: %v", duty, err)
		}
		for _, a := range acts {
			t.Run(fmt.Sprintf("%s: %s", duty, a.name), func(t *testing.T) {
				var want error
				if a.duty != duty {
					want = hcvault.ErrDenied
				}
				if err := a.do(t.Context(), v); !errors.Is(err, want) || want == nil && err != nil {
					t.Errorf("%v, want %v", err, want)
				}
			})
		}
		// Whatever the duty, an agency that is there can be looked at.
		if _, _, err := keystore.New(v).NewAgency(t.Context(), "aa01"); err != nil {
			t.Errorf("%s: look at an agency: %v", duty, err)
		}
	}
}

// TestPoliciesRefuse tries with each duty what none of them needs, directly.
func TestPoliciesRefuse(t *testing.T) {
	full, _, p := network(t)
	_, _, err := keystore.New(full).NewAgency(t.Context(), "aa01")
	must(t, err)
	sign, wrap := p.mount+"-sign-aa01", p.mount+"-wrap-aa01"
	attempts := []struct {
		path string
		body map[string]any
	}{
		{"/keys/" + sign + "/config", map[string]any{"exportable": true}},
		{"/keys/" + sign + "/config", map[string]any{"allow_plaintext_backup": true}},
		{"/keys/" + sign + "/config", map[string]any{"deletion_allowed": true}},
		{"/keys/" + sign + "/config", map[string]any{"auto_rotate_period": "24h"}},
		{"/keys/" + sign + "/config", map[string]any{"min_encryption_version": 1, "exportable": true}},
		{"/keys/" + sign + "/trim", map[string]any{"min_available_version": 1}},
		{"/keys/" + sign + "/csr", map[string]any{}},
		{"/keys/" + sign + "/import_version", map[string]any{"ciphertext": "AAAA"}},
		{"/keys/" + p.mount + "-sign-evil/import", map[string]any{"type": "ecdsa-p256", "ciphertext": "AAAA"}},
		{"/keys/" + p.mount + "-sign-evil", map[string]any{"type": "ecdsa-p256", "exportable": true}},
		{"/keys/" + p.mount + "-sign-evil", map[string]any{"type": "ecdsa-p256", "allow_plaintext_backup": true}},
		{"/keys/" + p.mount + "-wrap-evil", map[string]any{"type": "aes256-gcm96", "derived": true}},
		{"/restore/" + p.mount + "-sign-evil", map[string]any{"backup": "AAAA"}},
		{"/datakey/plaintext/" + wrap, map[string]any{}},
		{"/rewrap/" + wrap, map[string]any{"ciphertext": "vault:v1:AAAA"}},
		{"/encrypt/" + p.mount + "-wrap-evil", map[string]any{"plaintext": "AAAA"}}, // would make the key
		{"/encrypt/" + p.mount + "-other", map[string]any{"plaintext": "AAAA"}},
		{"/hmac/" + sign, map[string]any{"input": "AAAA"}},
		{"/hmac/" + wrap, map[string]any{"input": "AAAA"}},
		{"/sign/" + p.mount + "-index", map[string]any{"input": "AAAA"}},
		{"/config/keys", map[string]any{"disable_upsert": false}},
	}
	for _, duty := range append([]string{"all of them"}, all...) {
		duties := []string{duty}
		if duty == "all of them" {
			duties = all
		}
		cfg := p.config(t, nil, duties...)
		login, err := p.client(t, "").Logical().WriteWithContext(t.Context(), "auth/approle/login", map[string]any{
			"role_id": read(t, cfg.RoleIDFile), "secret_id": read(t, cfg.SecretIDFile),
		})
		must(t, err)
		c := p.client(t, login.Auth.ClientToken)
		for _, a := range attempts {
			if _, err := c.Logical().WriteWithContext(t.Context(), p.mount+a.path, a.body); !refused(err) {
				t.Errorf("%s: write %s %v: %v, want a refusal by policy", duty, a.path, a.body, err)
			}
		}
		for _, path := range []string{"/export/signing-key/" + sign, "/export/encryption-key/" + wrap, "/backup/" + sign, "/byok-export/x/" + sign} {
			if _, err := c.Logical().ReadWithContext(t.Context(), p.mount+path); !refused(err) {
				t.Errorf("%s: read %s: %v, want a refusal by policy", duty, path, err)
			}
		}
		if _, err := c.Logical().ListWithContext(t.Context(), p.mount+"/keys"); !refused(err) {
			t.Errorf("%s: list keys: %v, want a refusal by policy", duty, err)
		}
		if _, err := c.Logical().DeleteWithContext(t.Context(), p.mount+"/keys/"+sign); !refused(err) {
			t.Errorf("%s: delete a key: %v, want a refusal by policy", duty, err)
		}
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return strings.TrimSpace(string(data))
}

// TestKeysAsTheyMustBe makes keys that could leave Vault.
func TestKeysAsTheyMustBe(t *testing.T) {
	v, _, p := network(t)
	for i, body := range []map[string]any{
		{"type": "ecdsa-p256", "exportable": true},
		{"type": "ecdsa-p256", "exportable": true, "allow_plaintext_backup": true},
		{"type": "ecdsa-p384"},
		{"type": "rsa-2048"},
		{"type": "ecdsa-p256", "auto_rotate_period": "24h"},
	} {
		agency := fmt.Sprintf("bad%d", i)
		_, err := p.root.Logical().WriteWithContext(t.Context(), p.mount+"/keys/"+p.mount+"-sign-"+agency, body)
		must(t, err)
		if _, _, err := keystore.New(v).Signer(t.Context(), agency); !errors.Is(err, hcvault.ErrKey) {
			t.Errorf("%v: sign: %v, want ErrKey", body, err)
		}
		if _, _, err := keystore.New(v).NewAgency(t.Context(), agency); !errors.Is(err, hcvault.ErrKey) {
			t.Errorf("%v: new agency: %v, want ErrKey", body, err)
		}
	}
	// One that was good, and was made deletable behind our back.
	_, _, err := keystore.New(v).NewAgency(t.Context(), "aa01")
	must(t, err)
	_, err = p.root.Logical().WriteWithContext(t.Context(), p.mount+"/keys/"+p.mount+"-sign-aa01/config", map[string]any{"deletion_allowed": true})
	must(t, err)
	time.Sleep(1100 * time.Millisecond)
	if err := signAgency(t.Context(), v); !errors.Is(err, hcvault.ErrKey) {
		t.Errorf("a deletable key: %v, want ErrKey", err)
	}
}

// TestTokens covers the life of a login.
func TestTokens(t *testing.T) {
	_, _, p := network(t)
	short := map[string]any{"token_ttl": "2s", "token_max_ttl": "5s"}
	index := func(v *hcvault.Vault) error { _, err := v.MAC(t.Context(), "label", nil); return err }

	t.Run("renewed", func(t *testing.T) {
		t.Parallel()
		v, err := hcvault.Open(t.Context(), p.config(t, short, "records"))
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- v.Run(ctx) }()
		// Beyond the life of one token, and beyond how long one may be renewed.
		for range 16 {
			time.Sleep(500 * time.Millisecond)
			if err := index(v); err != nil {
				t.Errorf("while it is renewed: %v", err)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Run("not renewed", func(t *testing.T) {
		t.Parallel()
		v, err := hcvault.Open(t.Context(), p.config(t, short, "records"))
		must(t, err)
		time.Sleep(3 * time.Second)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := index(v); err != nil {
					t.Errorf("after the token has ended: %v", err)
				}
			})
		}
		wg.Wait()
	})
	t.Run("revoked", func(t *testing.T) {
		t.Parallel()
		cfg := p.config(t, nil, "records")
		v, err := hcvault.Open(t.Context(), cfg)
		must(t, err)
		_, err = p.root.Logical().WriteWithContext(t.Context(), "sys/leases/revoke-prefix/auth/approle/login", map[string]any{"sync": true})
		if err != nil {
			t.Skipf("the server does not revoke by prefix here: %v", err)
		}
		if err := index(v); err != nil {
			t.Errorf("after all tokens were revoked: %v", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		v, err := hcvault.Open(t.Context(), p.config(t, nil, "records"))
		must(t, err)
		must(t, v.Close(t.Context()))
		if err := index(v); err != nil {
			t.Errorf("after closing: %v", err)
		}
	})
	t.Run("secret replaced", func(t *testing.T) {
		t.Parallel()
		// A secret that is good for one login: the second needs the new file.
		cfg := p.config(t, map[string]any{"token_ttl": "1s", "token_max_ttl": "1s", "secret_id_num_uses": 1}, "records")
		v, err := hcvault.Open(t.Context(), cfg)
		must(t, err)
		time.Sleep(1500 * time.Millisecond)
		if err := index(v); !errors.Is(err, hcvault.ErrDenied) {
			t.Errorf("with a secret that is used up: %v, want ErrDenied", err)
		}
		other := p.config(t, nil, "records")
		must(t, os.WriteFile(cfg.SecretIDFile, []byte(read(t, other.SecretIDFile)), 0o600))
		must(t, os.WriteFile(cfg.RoleIDFile, []byte(read(t, other.RoleIDFile)), 0o600))
		if err := index(v); err != nil {
			t.Errorf("with the new secret: %v", err)
		}
	})
	t.Run("too long a life", func(t *testing.T) {
		t.Parallel()
		cfg := p.config(t, map[string]any{"token_ttl": "48h", "token_max_ttl": "48h"}, "records")
		if _, err := hcvault.Open(t.Context(), cfg); !errors.Is(err, hcvault.ErrToken) {
			t.Errorf("%v, want ErrToken", err)
		}
	})
}

// seen waits until everybody has signed with a key: on a busy machine that takes as long
// as it takes.
func seen(t *testing.T, with *[8]atomic.Value, kid string) {
	t.Helper()
	until := time.Now().Add(2 * time.Minute)
	for i := range with {
		for with[i].Load() != kid {
			if t.Failed() || time.Now().After(until) {
				t.Fatal("somebody signs no more, or with a key of before")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// TestRotationUnderLoad rotates an agency's key while others sign: nobody
// fails, every signature verifies under the key id it came with, and after the
// cut the old key signs nothing.
func TestRotationUnderLoad(t *testing.T) {
	v, cfg, p := network(t)
	_, _, err := keystore.New(v).NewAgency(t.Context(), "aa01")
	must(t, err)
	last, old, err := keystore.New(v).Signer(t.Context(), "aa01")
	must(t, err)

	other, err := hcvault.Open(t.Context(), cfg) // another replica
	must(t, err)
	var stop atomic.Bool
	var signed atomic.Int64
	var kids sync.Map
	var with [8]atomic.Value // the key that each of those who sign signed with last
	var wg sync.WaitGroup
	for i := range 8 {
		ks := v
		if i%2 == 1 {
			ks = other
		}
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				message := fmt.Appendf(nil, "%d/%d", i, n)
				d := sha256.Sum256(message)
				kid, key, err := keystore.New(ks).Signer(context.WithoutCancel(t.Context()), "aa01")
				if err != nil {
					t.Errorf("find the key: %v", err)
					return
				}
				sig, err := crypto.SignMessage(key, nil, message, crypto.SHA256)
				if err != nil || !ecdsa.VerifyASN1(key.Public().(*ecdsa.PublicKey), d[:], sig) {
					t.Errorf("sign: %v", err)
					return
				}
				kids.Store(kid, true)
				signed.Add(1)
				with[i].Store(kid)
			}
		})
	}
	const rotations = 6
	for range rotations {
		// Each replica has seen one rotation, and nobody is at work with the key before
		// it, when the next cuts that one off.
		seen(t, &with, last)
		last, err = rotateAgency(t.Context(), v)
		must(t, err)
	}
	seen(t, &with, last)
	stop.Store(true)
	wg.Wait()
	used := 0
	kids.Range(func(any, any) bool { used++; return true })
	t.Logf("%d signatures by %d keys over %d rotations", signed.Load(), used, rotations)
	if used != rotations+1 {
		t.Errorf("%d keys signed, want %d", used, rotations+1)
	}

	if _, err := crypto.SignMessage(old, nil, text, crypto.SHA256); !errors.Is(err, hcvault.ErrUnavailable) {
		t.Errorf("the first key after %d rotations: %v, want a refusal", rotations, err)
	}
	_, before, err := keystore.New(v).Signer(t.Context(), "aa01")
	must(t, err)
	_, err = rotateAgency(t.Context(), v)
	must(t, err)
	if _, err := crypto.SignMessage(before, nil, text, crypto.SHA256); err != nil {
		t.Errorf("an act that began before the rotation: %v", err)
	}
	must(t, v.RetireSigning(t.Context(), "aa01"))
	if _, err := crypto.SignMessage(before, nil, text, crypto.SHA256); !errors.Is(err, hcvault.ErrUnavailable) {
		t.Errorf("after the cut: %v, want a refusal", err)
	}
	must(t, signAgency(t.Context(), v))
	if kid, _, err := keystore.New(other).NewAgency(t.Context(), "aa01"); err != nil || kid == last {
		t.Errorf("another replica: %s, %v, want the newest key", kid, err)
	}
	state, err := p.root.Logical().ReadWithContext(t.Context(), p.mount+"/keys/"+p.mount+"-sign-aa01")
	must(t, err)
	if got, want := fmt.Sprint(state.Data["latest_version"]), fmt.Sprint(rotations+2); got != want {
		t.Errorf("%s versions, want %s", got, want)
	}
}

func TestRewrap(t *testing.T) {
	v, cfg, p := network(t)
	for _, id := range []string{"aa01", "aa02"} {
		_, _, err := keystore.New(v).NewAgency(t.Context(), id)
		must(t, err)
	}
	const records = 20
	fileKey := func(i int) []byte { return fmt.Appendf(nil, "file key %7d", i) }
	wrapped := make([][]byte, records)
	for i := range wrapped {
		var err error
		wrapped[i], err = v.Wrap(t.Context(), "aa01", fmt.Sprint(i), fileKey(i))
		must(t, err)
	}
	left := bytes.Clone(wrapped[0])
	must(t, v.RotateWrapping(t.Context(), "aa01"))

	// Cut off in the middle and begun again by another process.
	again, err := hcvault.Open(t.Context(), cfg)
	must(t, err)
	moved := 0
	for round, n := range []int{records / 2, records} {
		ks := []*hcvault.Vault{v, again}[round]
		for i := range n {
			next, changed, err := ks.Rewrap(t.Context(), "aa01", fmt.Sprint(i), wrapped[i])
			must(t, err)
			if changed {
				moved++
			}
			wrapped[i] = next
		}
	}
	if moved != records {
		t.Errorf("%d were moved, want %d", moved, records)
	}
	if _, _, err := v.Rewrap(t.Context(), "aa01", "another record", left); !errors.Is(err, hcvault.ErrWrapped) {
		t.Errorf("move to another record: %v, want ErrWrapped", err)
	}
	if _, err := v.Unwrap(t.Context(), "aa01", "0", left); err != nil {
		t.Errorf("the old version before it is ended: %v", err)
	}
	must(t, v.RetireWrapping(t.Context(), "aa01"))
	if _, err := v.Unwrap(t.Context(), "aa01", "0", left); !errors.Is(err, hcvault.ErrWrapped) {
		t.Errorf("the old version after it was ended: %v, want ErrWrapped", err)
	}
	for i := range wrapped {
		got, err := again.Unwrap(t.Context(), "aa01", fmt.Sprint(i), wrapped[i])
		if err != nil || !bytes.Equal(got, fileKey(i)) {
			t.Errorf("record %d: %v", i, err)
		}
	}
	// Why Rewrap does not leave it to Vault: its rewrap has no associated data.
	_, err = p.root.Logical().WriteWithContext(t.Context(), p.mount+"/rewrap/"+p.mount+"-wrap-aa01", map[string]any{
		"ciphertext": "vault:v2:AAAA", "associated_data": "AAAA",
	})
	if err == nil {
		t.Error("the server's rewrap took what it must not")
	}
}

func TestBatch(t *testing.T) {
	v, _, _ := network(t)
	kid, pub, err := keystore.New(v).NewAgency(t.Context(), "aa01")
	must(t, err)
	texts := make([][]byte, 1203) // two full calls and a bit
	for i := range texts {
		texts[i] = fmt.Append(nil, i)
	}
	got, sigs, err := signBatch(t.Context(), v, "aa01", texts)
	must(t, err)
	if got != kid || len(sigs) != len(texts) {
		t.Fatalf("%d signatures by %s, want %d by %s", len(sigs), got, len(texts), kid)
	}
	for i := range sigs {
		if d := sha256.Sum256(texts[i]); !ecdsa.VerifyASN1(pub, d[:], sigs[i]) {
			t.Fatalf("signature %d does not verify", i)
		}
	}
	if _, sigs, err := signBatch(t.Context(), v, "aa01", nil); err != nil || len(sigs) != 0 {
		t.Errorf("nothing to sign: %d signatures, %v", len(sigs), err)
	}
	if _, _, err := signBatch(t.Context(), v, "aa02", texts[:2]); !errors.Is(err, hcvault.ErrNoKey) {
		t.Errorf("an unknown agency: %v, want ErrNoKey", err)
	}
	_, key, err := keystore.New(v).Signer(t.Context(), "aa01")
	must(t, err)
	if _, err := crypto.SignMessage(key, nil, text, crypto.SHA512); err == nil {
		t.Error("another hash was taken")
	}
}

// TestQuota has the real server limit the rate of look-ups, and of nothing
// else.
func TestQuota(t *testing.T) {
	v, _, p := network(t)
	_, _, err := keystore.New(v).NewAgency(t.Context(), "aa01")
	must(t, err)
	_, err = p.root.Logical().WriteWithContext(t.Context(), "sys/quotas/rate-limit/"+p.mount, map[string]any{
		"path": p.mount + "/hmac/*", "rate": 2, "interval": "2s",
	})
	must(t, err)
	var limited error
	for range 20 {
		if _, err := v.MAC(t.Context(), "label", nil); err != nil {
			limited = err
		}
		if err := signAgency(t.Context(), v); err != nil {
			t.Fatalf("signing beside it: %v", err)
		}
	}
	var u *trouble.Later
	if !errors.As(limited, &u) || u.RetryAfter() < time.Second {
		t.Errorf("look-ups: %v, want ErrUnavailable with a time", limited)
	}
}

// TestSealed runs the server with its own raft storage, five key shares and a real
// unseal: what is sealed does not answer, what is unsealed has its keys, and
// a storage that was put back shows.
func TestSealed(t *testing.T) {
	dir := t.TempDir()
	listen := freePort(t)
	s := &server{address: "http://" + listen}
	settings := filepath.Join(dir, "vault.hcl")
	storage := filepath.Join(dir, "data")
	must(t, os.WriteFile(settings, fmt.Appendf(nil, `
storage "raft" {
  path    = %q
  node_id = "one"
}
api_addr     = "http://%[2]s"
cluster_addr = "http://%[3]s"
listener "tcp" {
  address         = %[2]q
  cluster_address = %[3]q
  tls_disable     = true
}
disable_mlock = true
`, storage, listen, freePort(t)), 0o600))
	must(t, os.Mkdir(storage, 0o700))
	run := func() { start(t, s, "server", "-config="+settings) }
	run()
	t.Cleanup(func() { s.stop() })

	shares, err := s.client(t, "").Sys().InitWithContext(t.Context(), &api.InitRequest{SecretShares: 5, SecretThreshold: 3})
	must(t, err)
	unseal := func() {
		t.Helper()
		for _, key := range shares.KeysB64[1:4] {
			_, err := s.client(t, "").Sys().UnsealWithContext(t.Context(), key)
			must(t, err)
		}
		eventually(t, "the server is active", func() error {
			h, err := s.client(t, "").Sys().HealthWithContext(t.Context())
			if err == nil && (h.Sealed || h.Standby) {
				return errors.New("sealed or standby")
			}
			return err
		})
	}
	unseal()
	p := newPlace(t, s, shares.RootToken)
	cfg := p.config(t, nil, all...)
	cfg.Timeout = 2 * time.Second
	v, err := hcvault.Create(t.Context(), cfg)
	must(t, err)
	kid, _, err := keystore.New(v).NewAgency(t.Context(), "aa01")
	must(t, err)
	wrapped, err := v.Wrap(t.Context(), "aa01", "rec1", []byte("file key"))
	must(t, err)
	must(t, signAgency(t.Context(), v))
	generation, err := v.Generation(t.Context())
	must(t, err)

	// Sealed by a duty holder while it runs.
	must(t, s.client(t, shares.RootToken).Sys().SealWithContext(t.Context()))
	var u *trouble.Later
	if err := signAgency(t.Context(), v); !errors.As(err, &u) || u.RetryAfter() < time.Second {
		t.Errorf("sealed: %v, want ErrUnavailable with a time", err)
	}
	if err := v.Ready(t.Context()); !errors.Is(err, hcvault.ErrUnavailable) {
		t.Errorf("ready while sealed: %v, want ErrUnavailable", err)
	}
	if _, err := hcvault.Open(t.Context(), cfg); !errors.Is(err, hcvault.ErrUnavailable) {
		t.Errorf("open while sealed: %v, want ErrUnavailable", err)
	}
	unseal()
	eventually(t, "it works after the unseal", func() error { return signAgency(t.Context(), v) })

	// Stopped, and started again: sealed, as every start is.
	s.stop()
	if err := signAgency(t.Context(), v); !errors.Is(err, hcvault.ErrUnavailable) {
		t.Errorf("stopped: %v, want ErrUnavailable", err)
	}
	older := filepath.Join(dir, "older")
	must(t, os.CopyFS(older, os.DirFS(storage)))
	run()
	if err := v.Ready(t.Context()); !errors.Is(err, hcvault.ErrUnavailable) {
		t.Errorf("started and sealed: %v, want ErrUnavailable", err)
	}
	unseal()
	eventually(t, "it works after the start", func() error { return signAgency(t.Context(), v) })
	again, err := hcvault.Open(t.Context(), cfg)
	must(t, err)
	if got, _, err := keystore.New(again).Signer(t.Context(), "aa01"); err != nil || got != kid {
		t.Errorf("after the start %s signs, %v, want %s", got, err, kid)
	}
	if got, err := again.Unwrap(t.Context(), "aa01", "rec1", wrapped); err != nil || string(got) != "file key" {
		t.Errorf("what was wrapped before the start: %v", err)
	}

	// A rotation, and then the storage of before it.
	_, err = rotateAgency(t.Context(), again)
	must(t, err)
	s.stop()
	must(t, os.RemoveAll(storage))
	must(t, os.CopyFS(storage, os.DirFS(older)))
	run()
	unseal()
	eventually(t, "it works with the old storage", func() error {
		_, err := hcvault.Open(t.Context(), cfg)
		return err
	})
	restored, err := hcvault.Open(t.Context(), cfg)
	must(t, err)
	if got, err := restored.Generation(t.Context()); err != nil || got != generation {
		t.Errorf("generation %d, %v, want %d as before the rotation", got, err, generation)
	}
	eventually(t, "a process that saw the newer state notices", func() error {
		if _, _, err := keystore.New(again).Signer(t.Context(), "aa01"); !errors.Is(err, hcvault.ErrBadResponse) {
			return fmt.Errorf("%w, want ErrBadResponse", err)
		}
		return nil
	})
}

// Benchmarks against the real server over TLS.
func BenchmarkSign(b *testing.B) {
	v := benchNetwork(b)
	for b.Loop() {
		must(b, signAgency(b.Context(), v))
	}
}

func BenchmarkSignParallel(b *testing.B) {
	v := benchNetwork(b)
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := signAgency(context.Background(), v); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkSignBatch(b *testing.B) {
	v := benchNetwork(b)
	texts := make([][]byte, maxBatch)
	for i := range texts {
		texts[i] = text
	}
	n := 0
	for b.Loop() {
		_, _, err := signBatch(b.Context(), v, "aa01", texts)
		must(b, err)
		n += len(texts)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "signatures/s")
}

const maxBatch = 250

func BenchmarkMAC(b *testing.B) {
	v := benchNetwork(b)
	for b.Loop() {
		_, err := v.MAC(b.Context(), "label", digest[:])
		must(b, err)
	}
}

func BenchmarkUnwrap(b *testing.B) {
	v := benchNetwork(b)
	wrapped, err := v.Wrap(b.Context(), "aa01", "rec1", digest[:16])
	must(b, err)
	for b.Loop() {
		_, err := v.Unwrap(b.Context(), "aa01", "rec1", wrapped)
		must(b, err)
	}
}

func benchNetwork(b *testing.B) *hcvault.Vault {
	b.Helper()
	v, _, _ := network(b)
	_, _, err := keystore.New(v).NewAgency(b.Context(), "aa01")
	must(b, err)
	return v
}
