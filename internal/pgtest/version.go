package pgtest

import (
	"strings"
	"testing"
)

// Version is what the shared server says of itself.
func Version(t testing.TB) string {
	t.Helper()
	return "PostgreSQL " + strings.TrimSpace(Shared(t).Administer(t, Start(t), "SHOW server_version"))
}
