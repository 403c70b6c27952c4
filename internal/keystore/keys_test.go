package keystore_test

import (
	"context"
	"crypto"
	"errors"
	"path/filepath"
	"testing"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/vault"
)

// Keys is what three rooms of the domain ask for.
var (
	_ credentials.Keys = keystore.Keys{}
	_ network.Keys     = keystore.Keys{}
	_ vault.KeyKeeper  = keystore.Keys{}
)

// TestLyingStore: what a Store answers is believed only as far as it can be
// checked.
func TestLyingStore(t *testing.T) {
	file, err := keyfile.Create(t.Context(), keyfile.Config{Path: filepath.Join(t.TempDir(), "keys.age"), Passphrase: "made up for a test", WorkFactor: 2}, "example.org/log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.NewAgency(t.Context(), "aa01"); err != nil {
		t.Fatal(err)
	}
	if _, err := file.NewAgency(t.Context(), "aa02"); err != nil {
		t.Fatal(err)
	}
	for what, lie := range map[string]keystore.Store{
		"another key's signature":  otherSignatures{file},
		"no signature at all":      noSignatures{file},
		"a key under another's id": otherKeys{file},
	} {
		_, key, err := keystore.New(lie).Signer(t.Context(), "aa01")
		if err == nil {
			_, err = crypto.SignMessage(key, nil, make([]byte, 32), crypto.SHA256)
		}
		if !errors.Is(err, trouble.ErrWrongAnswer) {
			t.Errorf("%s: %v, want ErrWrongAnswer", what, err)
		}
	}
	vkey, err := keystore.New(file).LogKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keystore.New(otherSignatures{file}).LogSigner(t.Context(), vkey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign([]byte("example.org/log\n1\nAAAA\n")); !errors.Is(err, trouble.ErrWrongAnswer) {
		t.Errorf("the log: %v, want ErrWrongAnswer", err)
	}
}

type otherSignatures struct{ keystore.Store }

func (s otherSignatures) Sign(ctx context.Context, _ keystore.Use, _ string, messages []keystore.Message) ([][]byte, error) {
	p, err := s.Public(ctx, keystore.Agency("aa02"))
	if err != nil {
		return nil, err
	}
	return s.Store.Sign(ctx, keystore.Agency("aa02"), p.KeyID, messages)
}

func (s otherSignatures) SignLog(ctx context.Context, kid string, text []byte) ([]byte, error) {
	return s.Store.SignLog(ctx, kid, append(text, '\n'))
}

type noSignatures struct{ keystore.Store }

func (noSignatures) Sign(context.Context, keystore.Use, string, []keystore.Message) ([][]byte, error) {
	return nil, nil
}

type otherKeys struct{ keystore.Store }

func (s otherKeys) Public(ctx context.Context, use keystore.Use) (keystore.Public, error) {
	p, err := s.Store.Public(ctx, use)
	other, err2 := s.Store.Public(ctx, keystore.Agency("aa02"))
	p.DER = other.DER
	return p, errors.Join(err, err2)
}
