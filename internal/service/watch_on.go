//go:build failpoints

package service

import (
	"context"
	"fmt"
	"os"

	"github.com/safeconduct/safeconduct/internal/keystore"
)

// watched writes every digest that an agency's key signs into the file that
// SAFECONDUCT_SIGNED names, before it is signed, so that a test can compare
// signatures with records.
func watched(k keystore.Store) keystore.Store { return watchedKeys{k} }

type watchedKeys struct{ keystore.Store }

func (w watchedKeys) Sign(ctx context.Context, use keystore.Use, kid string, messages []keystore.Message) ([][]byte, error) {
	path := os.Getenv("SAFECONDUCT_SIGNED")
	if _, ok := use.OfAgency(); ok && path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			if _, err := fmt.Fprintf(f, "%x\n", m.Digest()); err != nil {
				return nil, err
			}
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return w.Store.Sign(ctx, use, kid, messages)
}
