//go:build stretched

package credentials_test

import "github.com/safeconduct/safeconduct/credentials/card"

// What codes cost to stretch is a test of package card, and of every stage but unit.
func init() { card.Lighten() }
