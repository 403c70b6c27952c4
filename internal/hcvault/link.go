package hcvault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/safeconduct/safeconduct/internal/trouble"
)

// maxAnswer bounds an answer in bytes: a thousand signatures or versions of a
// key fit many times.
const maxAnswer = 4 << 20

// link is the one way to Vault. It bounds time, size and number of calls, and
// turns whatever comes back into an answer or one of our errors.
type link struct {
	cfg     Config
	http    *http.Client
	api     *api.Client // with the token of the session
	bare    *api.Client // without one, to log in
	session *session

	turns   chan struct{}
	waiting atomic.Int64
	breaker breaker
}

func newLink(cfg Config) (*link, error) {
	roots, err := authorities(cfg.CACert)
	if err != nil {
		return nil, err
	}
	l := &link{cfg: cfg, turns: make(chan struct{}, cfg.MaxInFlight), breaker: breaker{now: cfg.Now}}
	l.http = &http.Client{
		Transport: bounded{&http.Transport{
			// No proxy from the environment: nobody stands between us and the keys.
			Proxy:                  nil,
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots},
			TLSHandshakeTimeout:    cfg.Timeout,
			MaxIdleConnsPerHost:    cfg.MaxInFlight,
			MaxConnsPerHost:        cfg.MaxInFlight,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true, // an answer is as large as it looks
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if l.api, err = l.client(); err != nil {
		return nil, err
	}
	if l.bare, err = l.client(); err != nil {
		return nil, err
	}
	return l, nil
}

// client makes one of HashiCorp's clients without anything that it takes from
// the environment: a token, a namespace or VAULT_SKIP_VERIFY set for somebody
// else must not count here.
func (l *link) client() (*api.Client, error) {
	c, err := api.NewClient(&api.Config{
		Address:    l.cfg.Address,
		HttpClient: l.http,
		// A redirect would carry the token to wherever the answer says; standby
		// nodes forward by themselves.
		DisableRedirects: true,
		// Whether to ask again is the caller's to decide: a signature that got
		// lost on the way back may exist.
		MaxRetries: 0,
		CheckRetry: func(context.Context, *http.Response, error) (bool, error) { return false, nil },
		// The client's own timeout ends when a raw answer's header is there, and
		// would cut its body off. Each call has its own deadline here.
		Timeout: 0,
	})
	if err != nil {
		return nil, errors.New("hcvault: HashiCorp's client refuses the address, or a VAULT_ variable in the environment is malformed")
	}
	c.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	c.ClearToken()
	if l.cfg.Namespace != "" {
		c.SetNamespace(l.cfg.Namespace)
	}
	return c, nil
}

func authorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil // the system's
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.New("hcvault: the file with Vault's authorities cannot be read")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("hcvault: the file with Vault's authorities holds no certificate")
	}
	return pool, nil
}

// bounded cuts answers off behind what an answer may have.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = cut{io.LimitReader(resp.Body, maxAnswer+1), resp.Body}
	}
	return resp, err
}

// CloseIdleConnections is asked for by http.Client.
func (b bounded) CloseIdleConnections() {
	if t, ok := b.RoundTripper.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

type cut struct {
	io.Reader
	io.Closer
}

// errRefused is Vault's answer to a request that it does not take as it is;
// what that means depends on what was asked.
var errRefused = errors.New("hcvault: the keystore refused the request")

// call asks Vault for one thing, in its turn and within the time, and decodes
// the data of the answer into answer unless that is nil. A body of nil reads.
func (l *link) call(ctx context.Context, path string, body, answer any) error {
	return l.guard(ctx, func(ctx context.Context) error {
		token := l.api.Token()
		if token == "" {
			if err := l.session.enter(ctx, token); err != nil {
				return err
			}
			token = l.api.Token()
		}
		err := l.ask(ctx, l.api, path, body, answer)
		if !errors.Is(err, ErrDenied) {
			return err
		}
		// Vault says 403 to a token that has ended and to one whose policies
		// lack the path. Nothing was done in either case.
		again, err := l.session.revive(ctx, token)
		switch {
		case err != nil:
			return err
		case !again:
			return ErrDenied
		}
		return l.ask(ctx, l.api, path, body, answer)
	})
}

// guard runs one call in its turn, within the time, and unless Vault has just
// failed several times.
func (l *link) guard(ctx context.Context, do func(context.Context) error) error {
	if wait, ok := l.breaker.allow(); !ok {
		return unavailable("it has just failed several times", wait)
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	if err := l.turn(ctx); err != nil {
		// Many callers are no failure of Vault's; if it is slow, those who are
		// being served will say so.
		l.breaker.done(false, false)
		return caused(caller, err)
	}
	defer func() { <-l.turns }()
	err := caused(caller, do(ctx))
	// A caller who left says nothing about Vault, and a rate limit may be about
	// one path only.
	left := err != nil && caller.Err() != nil
	away := errors.Is(err, ErrUnavailable)
	later, ok := errors.AsType[*trouble.Later](err)
	limited := ok && later.Cause == rateLimited
	l.breaker.done(away && !limited, !away && !left)
	return err
}

const rateLimited = "it limits the rate"

// caused turns the end of a context into the right error: the caller's own
// stays his, ours is Vault being slow.
func caused(caller context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case caller.Err() != nil:
		return caller.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return unavailable("it takes too long", time.Second)
	}
	return err
}

// turn waits for a free place, for half of the time at most, so that whoever
// gets one can use it. Places and waiting room are both bounded: a slow Vault
// does not gather goroutines here.
func (l *link) turn(ctx context.Context) error {
	select {
	case l.turns <- struct{}{}:
		return nil
	default:
	}
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) > 4*int64(l.cfg.MaxInFlight) {
		return unavailable("too many calls are waiting for it", time.Second)
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout/2)
	defer cancel()
	select {
	case l.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask sends one request and reads its answer.
func (l *link) ask(ctx context.Context, c *api.Client, path string, body, answer any) error {
	data, err := l.read(ctx, c, path, body)
	if err != nil || answer == nil {
		return err
	}
	// Vault adds members from one version to the next, so unknown ones are no
	// fault here; what we need is checked where it is used. A thousand
	// signatures are decoded once, into what they are for.
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if len(data) == 0 || json.Unmarshal(data, &envelope) != nil || len(envelope.Data) == 0 || envelope.Data[0] != '{' {
		return ErrBadResponse
	}
	if err := json.Unmarshal(envelope.Data, answer); err != nil {
		return ErrBadResponse
	}
	return nil
}

// secret is ask for an answer that is a login. It is nil when Vault has nothing
// to say.
func (l *link) secret(ctx context.Context, c *api.Client, path string, body any) (*api.Secret, error) {
	data, err := l.read(ctx, c, path, body)
	if err != nil || len(data) == 0 {
		return nil, err
	}
	secret, err := api.ParseSecret(bytes.NewReader(data))
	if err != nil {
		return nil, ErrBadResponse
	}
	return secret, nil
}

// read sends one request and returns the answer as it came, bounded in size;
// nothing when Vault did what was asked and has nothing to say.
func (l *link) read(ctx context.Context, c *api.Client, path string, body any) ([]byte, error) {
	resp, err := send(ctx, c, path, body)
	if resp == nil {
		var untrusted *tls.CertificateVerificationError
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.As(err, &untrusted):
			return nil, unavailable("its certificate is not trusted", time.Minute)
		case err != nil:
			// The cause may name the address; it stays here.
			return nil, unavailable("it cannot be reached", time.Second)
		}
		return nil, ErrBadResponse
	}
	defer resp.Body.Close()
	if err := verdict(resp.Response); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(resp.Body)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, unavailable("the connection broke", time.Second)
	case len(data) > maxAnswer:
		return nil, ErrBadResponse
	}
	return data, nil
}

func send(ctx context.Context, c *api.Client, path string, body any) (*api.Response, error) {
	if body == nil {
		return c.Logical().ReadRawWithContext(ctx, path)
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return c.Logical().WriteRawWithContext(ctx, path, data)
}

// verdict turns a status into an error. Vault's own words are dropped: they
// may repeat what was sent.
func verdict(resp *http.Response) error {
	switch s := resp.StatusCode; {
	case s == http.StatusOK || s == http.StatusNoContent:
		return nil
	case s == http.StatusForbidden || s == http.StatusUnauthorized:
		return ErrDenied
	case s == http.StatusNotFound:
		return ErrNoKey
	case s == http.StatusTooManyRequests:
		return unavailable(rateLimited, retryAfter(resp.Header))
	case s == http.StatusServiceUnavailable:
		return unavailable("it is sealed or starting", 5*time.Second)
	case s >= 400 && s < 500 && s != http.StatusRequestTimeout && s != http.StatusPreconditionFailed && s < 470:
		return errRefused
	case s >= 300:
		// Redirects of a standby node that does not forward, its own codes
		// 472 and 473, and everything that is wrong with the server.
		return unavailable("it answers "+strconv.Itoa(s), time.Second)
	default:
		return ErrBadResponse
	}
}

// retryAfter reads whole seconds, and takes no more than a minute of anybody's
// word.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 1 {
		n = 1
	}
	return min(time.Duration(n)*time.Second, time.Minute)
}

// Limits of the breaker: after tripAfter failures in a row there is a pause,
// and then one call at a time tries, until one succeeds.
const (
	tripAfter = 5
	pause     = 2 * time.Second
)

// breaker turns calls away at once while Vault is known not to work, so that
// nobody waits two seconds to hear it.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int
	until    time.Time
	probing  bool
}

func (b *breaker) allow() (wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < tripAfter {
		return 0, true
	}
	if wait := b.until.Sub(b.now()); wait > 0 {
		return min(wait, pause), false
	}
	if b.probing {
		return time.Second, false
	}
	b.probing = true
	return 0, true
}

// done records how a call ended: failed, worked, or neither of the two.
func (b *breaker) done(failed, worked bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	switch {
	case failed:
		b.failures++
		b.until = b.now().Add(pause)
	case worked:
		b.failures = 0
	}
}
