package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/vault"
)

// TestReadySaysDamage: what does not mend itself is not called busy.
func TestReadySaysDamage(t *testing.T) {
	t.Parallel()
	var why error
	w := newWorld(t, func(c *httpapi.Config) { c.Ready = func(context.Context) error { return why } })
	for _, c := range []struct {
		why  error
		code string
	}{
		{&sqlstore.SealError{Table: "head_count", ID: "1"}, "integrity_failure"},
		{errors.Join(sqlstore.ErrBusy, &sqlstore.SealError{Table: "head_count", ID: "1"}), "integrity_failure"},
		{fmt.Errorf("the keyring: %w", vault.ErrIntegrity), "integrity_failure"},
		{audit.ErrStopped, "audit_unavailable"},
		{errors.Join(fmt.Errorf("the log: %w", audit.ErrStopped), errors.New("the lists are old")), "audit_unavailable"},
		{sqlstore.ErrBusy, "busy"},
		{errors.New("about to stop"), "busy"},
	} {
		why = c.why
		if got := w.call("", "GET", "/readyz", nil); got.status != 503 || got.code() != c.code {
			t.Errorf("%v: %d %s, want %s", c.why, got.status, got.code(), c.code)
		}
	}
}
