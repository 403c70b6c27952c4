//go:build stretched

package httpapi_test

import (
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// What it costs to stretch codes, document numbers and the keys of devices is for the
// tests of those packages, and for every stage but unit.
func init() {
	card.Lighten()
	vault.Lighten()
	verifier.Lighten()
}
