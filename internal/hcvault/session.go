package hcvault

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// maxLease bounds how long a token may live: one that was copied from memory
// must be of no use the day after.
const maxLease = 24 * time.Hour

// session is our login at Vault.
type session struct {
	cfg  Config
	link *link

	// login is held by whoever logs in; a channel, so that the wait ends with
	// a context.
	login chan struct{}
	lease atomic.Pointer[lease]
}

// lease is how long a token lives.
type lease struct {
	until     time.Time
	full      time.Duration // when it was new
	renewable bool
}

func newSession(cfg Config, l *link) *session {
	return &session{cfg: cfg, link: l, login: make(chan struct{}, 1)}
}

// start logs in for the first time.
func (s *session) start(ctx context.Context) error {
	return s.link.guard(ctx, func(ctx context.Context) error { return s.enter(ctx, "") })
}

// enter logs in, unless somebody else has done so since token was current.
func (s *session) enter(ctx context.Context, token string) error {
	select {
	case s.login <- struct{}{}:
		defer func() { <-s.login }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.link.api.Token() != token {
		return nil
	}
	role, err := readSecret(s.cfg.RoleIDFile)
	if err != nil {
		return errors.New("hcvault: the file with the role id cannot be read")
	}
	secretID, err := readSecret(s.cfg.SecretIDFile)
	if err != nil {
		return errors.New("hcvault: the file with the secret id cannot be read")
	}
	asked := s.cfg.Now()
	secret, err := s.link.secret(ctx, s.link.bare, "auth/"+s.cfg.AppRoleMount+"/login",
		map[string]string{"role_id": role, "secret_id": secretID})
	switch {
	case errors.Is(err, errRefused), errors.Is(err, ErrNoKey):
		return ErrDenied // 400: no such role, or a wrong secret; 404: AppRole is not mounted there
	case err != nil:
		return err
	case secret == nil || secret.Auth == nil || !printable(secret.Auth.ClientToken):
		return ErrBadResponse
	}
	full := time.Duration(secret.Auth.LeaseDuration) * time.Second
	if full <= 0 || full > maxLease {
		return ErrToken
	}
	s.lease.Store(&lease{until: asked.Add(full), full: full, renewable: secret.Auth.Renewable})
	s.link.api.SetToken(secret.Auth.ClientToken)
	return nil
}

// readSecret reads one line from a small file.
func readSecret(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(data))
	if text == "" || len(text) > 1024 {
		return "", errors.New("empty or too long")
	}
	return text, nil
}

// printable reports whether a token can stand in a header.
func printable(token string) bool {
	return token != "" && len(token) <= 4096 && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// revive finds out whether token has ended, and if so logs in again. It
// reports whether there is another token now.
func (s *session) revive(ctx context.Context, token string) (bool, error) {
	if s.link.api.Token() != token {
		return true, nil
	}
	switch err := s.link.ask(ctx, s.link.api, "auth/token/lookup-self", nil, nil); {
	case err == nil:
		return false, nil // it lives: the policies lack something
	case !errors.Is(err, ErrDenied):
		return false, err
	}
	return true, s.enter(ctx, token)
}

// run renews the token, or replaces it when it cannot be renewed, each time
// two thirds of its time are over.
func (s *session) run(ctx context.Context) {
	backoff := time.Second
	wait := s.next()
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if err := s.link.guard(ctx, s.renew); err != nil {
			wait, backoff = backoff, min(2*backoff, 30*time.Second)
			continue
		}
		wait, backoff = s.next(), time.Second
	}
}

func (s *session) next() time.Duration {
	l := s.lease.Load()
	if l == nil {
		return time.Second
	}
	return max(time.Second/4, l.until.Sub(s.cfg.Now())-l.full/3)
}

// renew asks for more time. A token near the end of its longest life gets
// less than it had; then a new one is better.
func (s *session) renew(ctx context.Context) error {
	token := s.link.api.Token()
	old := s.lease.Load()
	if token == "" || old == nil || !old.renewable {
		return s.enter(ctx, token)
	}
	asked := s.cfg.Now()
	secret, err := s.link.secret(ctx, s.link.api, "auth/token/renew-self", map[string]string{})
	switch {
	case errors.Is(err, ErrDenied), errors.Is(err, errRefused):
		return s.enter(ctx, token)
	case err != nil:
		return err
	case secret == nil || secret.Auth == nil || secret.Auth.ClientToken != token:
		return ErrBadResponse
	}
	left := time.Duration(secret.Auth.LeaseDuration) * time.Second
	if left < old.full*2/3 {
		return s.enter(ctx, token)
	}
	s.lease.Store(&lease{until: asked.Add(left), full: old.full, renewable: secret.Auth.Renewable})
	return nil
}

// end revokes the token. Nobody can act on a failure: it ends by itself soon.
func (s *session) end(ctx context.Context) {
	token := s.link.api.Token()
	if token == "" {
		return
	}
	_ = s.link.guard(ctx, func(ctx context.Context) error {
		return s.link.ask(ctx, s.link.api, "auth/token/revoke-self", map[string]string{}, nil)
	})
	if s.link.api.Token() == token {
		s.link.api.ClearToken()
	}
}
