//go:build stretched

package promise_test

import (
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/vault"
)

// short is how many sequences are played where nobody says how many.
const short = 400

// lighten has codes and document numbers stretched in no time. The tag is for that alone.
func lighten() {
	card.Lighten()
	vault.Lighten()
}
