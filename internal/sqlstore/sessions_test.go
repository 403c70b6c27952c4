package sqlstore

import (
	"testing"

	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

func TestSessions(t *testing.T) {
	everywhereTwice(t, func(t *testing.T, on place) {
		storetest.Sessions(t, func(t *testing.T) signin.Store { return on.db(t).Sessions() })
	})
}
