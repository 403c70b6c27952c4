//go:build stretched

package thief_test

import (
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/vault"
)

// light says that codes and numbers are stretched in no time. The tag is for that alone.
const light = true

func lighten() {
	card.Lighten()
	vault.Lighten()
}
