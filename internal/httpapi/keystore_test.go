package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/vault"
)

var (
	errAway = errors.New("away")
	errLies = errors.New("lies")
)

// later is an error that knows when to ask again.
type later struct{ error }

func (later) RetryAfter() time.Duration { return 7 * time.Second }
func (l later) Unwrap() error           { return l.error }

// A keystore that is away or lies is named as that, also when a room has
// wrapped it in an error of its own.
func TestKeystoreFaults(t *testing.T) {
	s := &Server{cfg: Config{KeystoreDown: []error{errAway}, KeystoreWrong: []error{errLies}}}
	for _, c := range []struct {
		err         error
		code, after string
	}{
		{fmt.Errorf("sign: %w", errAway), "keystore_unavailable", "2"},
		{fmt.Errorf("sign: %w", later{errAway}), "keystore_unavailable", "7"},
		{errors.Join(vault.ErrIntegrity, errAway), "keystore_unavailable", "2"},
		{fmt.Errorf("sign: %w", errLies), "keystore_bad_response", "2"},
		{vault.ErrIntegrity, "integrity_failure", ""},
	} {
		got := s.diagnose(c.err)
		if got.code != c.code || got.retryAfter != c.after {
			t.Errorf("%v: got %s after %q, want %s after %q", c.err, got.code, got.retryAfter, c.code, c.after)
		}
		if c.after != "" && got.status != http.StatusServiceUnavailable {
			t.Errorf("%v: got %d", c.err, got.status)
		}
	}
}
