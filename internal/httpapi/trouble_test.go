package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/blobs"
	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/vault"
)

// TestTrouble: what adapters say reaches the client as what it is.
func TestTrouble(t *testing.T) {
	for err, want := range map[error][2]string{
		sqlstore.ErrFull:        {"storage_full", ""},
		blobs.ErrFull:           {"storage_full", ""},
		keyfile.ErrFull:         {"storage_full", ""},
		sqlstore.ErrBusy:        {"busy", "2"},
		sqlstore.ErrUnavailable: {"database_unavailable", "2"},
		sqlstore.ErrDamaged:     {"integrity_failure", ""},
		keyfile.ErrWrapped:      {"integrity_failure", ""},
		hcvault.ErrWrapped:      {"integrity_failure", ""},
		blobs.ErrUnavailable:    {"storage_unavailable", ""},
		hcvault.ErrUnavailable:  {"keystore_unavailable", "2"},
		hcvault.ErrBadResponse:  {"keystore_bad_response", "2"},
		context.Canceled:        {"busy", "2"},
		http.ErrServerClosed:    {"internal", ""},
	} {
		t.Run(err.Error(), func(t *testing.T) {
			_, code, after := httpapi.Diagnose(errors.Join(errors.New("while doing something"), err))
			if code != want[0] || after != want[1] {
				t.Errorf("got %s, again after %q; want %s", code, after, want)
			}
		})
	}
}

// A keystore that is away or lies is named as that, also when a room has
// wrapped it in an error of its own.
func TestKeystoreTrouble(t *testing.T) {
	later := &trouble.Later{Err: hcvault.ErrUnavailable, Cause: "it is sealed", After: 7 * time.Second}
	for name, c := range map[string]struct {
		err         error
		code, after string
	}{
		"away":               {fmt.Errorf("sign: %w", hcvault.ErrUnavailable), "keystore_unavailable", "2"},
		"away for a time":    {fmt.Errorf("sign: %w", later), "keystore_unavailable", "7"},
		"away, not damaged":  {errors.Join(vault.ErrIntegrity, hcvault.ErrUnavailable), "keystore_unavailable", "2"},
		"lies":               {fmt.Errorf("sign: %w", hcvault.ErrBadResponse), "keystore_bad_response", "2"},
		"damaged for itself": {vault.ErrIntegrity, "integrity_failure", ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, code, after := httpapi.Diagnose(c.err)
			if code != c.code || after != c.after {
				t.Errorf("got %s after %q, want %s after %q", code, after, c.code, c.after)
			}
			if c.after != "" && status != http.StatusServiceUnavailable {
				t.Errorf("got %d", status)
			}
		})
	}
}
