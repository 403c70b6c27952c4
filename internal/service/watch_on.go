//go:build failpoints

package service

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"os"

	"github.com/safeconduct/safeconduct/credentials"
)

// watched writes every digest that an agency's key signs into the file that
// SAFECONDUCT_SIGNED names, before it is signed, so that a test can compare
// signatures with records.
func watched(k credentials.Keys) credentials.Keys { return watchedKeys{k} }

type watchedKeys struct{ credentials.Keys }

func (w watchedKeys) Signer(ctx context.Context, agency string) (string, crypto.Signer, error) {
	kid, key, err := w.Keys.Signer(ctx, agency)
	return kid, watchedKey{key}, err
}

type watchedKey struct{ crypto.Signer }

func (w watchedKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if path := os.Getenv("SAFECONDUCT_SIGNED"); path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Fprintf(f, "%x\n", digest); err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return w.Signer.Sign(random, digest, opts)
}
