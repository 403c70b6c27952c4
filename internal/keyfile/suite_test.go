package keyfile_test

import (
	"testing"

	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

// TestKeys is the suite that every keystore passes.
func TestKeys(t *testing.T) {
	storetest.Keys(t, func(t *testing.T) storetest.OpenKeys {
		f, cfg := create(t)
		return storetest.OpenKeys{
			Keystore: keystore.New(f), NoKey: keyfile.ErrNoKey, Wrapped: keyfile.ErrWrapped,
			Again: func(t *testing.T) storetest.Keystore { return keystore.New(open(t, cfg)) },
		}
	})
}
