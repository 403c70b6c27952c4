// Package signin remembers who is signed in: sessions, of which a browser has a
// token and we have its hash, and the challenges that passkeys sign, each for one
// use. A row of a session has a seal under a key that the database does not know,
// so that writing one signs nobody in. What judges a passkey is internal/passkey,
// who is a person the roster's to say, what she may do people's, and requests and
// their answers are internal/httpapi's.
package signin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// How long a session lasts.
const (
	Idle      = 15 * time.Minute // without a request
	Lifetime  = 12 * time.Hour   // from signing in, whatever happens
	Freshness = 5 * time.Minute  // from the last time that she showed herself, for grave acts

	// touched is how old Seen may get before a request writes it anew: a busy page
	// costs a write a minute.
	touched = time.Minute
)

var (
	// ErrNoSession says that nobody is signed in: there is no such session, it is
	// over, its row is not one that we wrote, or its person is out. Which of these
	// is not said.
	ErrNoSession = errors.New("signin: nobody is signed in")

	// ErrChallenge says that a challenge is not one that we made for this, is over,
	// or was used.
	ErrChallenge = errors.New("signin: not a challenge that can be used")

	// ErrCopied says that a passkey has signed in elsewhere with this count or a
	// later one: there may be a copy of it.
	ErrCopied = errors.New("signin: the passkey's count did not rise")

	// ErrNotFound is for Stores: there is no such row.
	ErrNotFound = errors.New("signin: no such row")
)

// Row is a session as it is kept. Times are whole milliseconds, UTC.
type Row struct {
	Hash                 [32]byte // SHA-256 of the token
	Person               string
	Made, Seen, Verified time.Time
	Roster               uint64 // its newest change when she signed in
	Seal                 []byte
}

// Use is what a passkey said of itself when it last signed in.
type Use struct {
	SignCount uint32
	BackedUp  bool
}

// Store keeps sessions, the challenges that were used, and what passkeys said
// last. Each method is one transaction. None of its rows lets anybody in by being
// there: sessions are sealed, and the others only refuse.
type Store interface {
	Add(ctx context.Context, r Row) error
	// Session returns ErrNotFound where there is none.
	Session(ctx context.Context, hash [32]byte) (Row, error)
	// Replace puts r in the place of the session with that hash: ErrNotFound if it
	// has ended meanwhile, and then nothing is written.
	Replace(ctx context.Context, hash [32]byte, r Row) error
	End(ctx context.Context, hash [32]byte) error // nothing to end is no error
	EndAll(ctx context.Context, person string) error
	// Sessions are a person's, those first that were made last.
	Sessions(ctx context.Context, person string) ([]Row, error)

	// Spend remembers a challenge until it is over, and reports whether it was
	// unknown.
	Spend(ctx context.Context, challenge [32]byte, until time.Time) (first bool, err error)

	// LastUse returns ErrNotFound for a passkey that never signed in. Used writes
	// what it says now, and reports false, with nothing written, where a count is
	// there that is not lower; none and none are both allowed.
	LastUse(ctx context.Context, passkey [32]byte) (Use, error)
	Used(ctx context.Context, passkey [32]byte, u Use) (ok bool, err error)

	// Sweep forgets sessions that were made or seen before these times, and
	// challenges that are over.
	Sweep(ctx context.Context, made, seen, now time.Time) error
}

// Keys makes the seals. keystore.Store does.
type Keys interface {
	// MAC is a keyed hash of 32 bytes, under a key of its own for each label.
	MAC(ctx context.Context, label string, data []byte) ([]byte, error)
}

// The uses of the key.
const (
	sessionLabel   = "safeconduct/session/2"
	challengeLabel = "safeconduct/challenge/1"
)

// Config is what Sessions need; Now alone may be nil, which means time.Now.
type Config struct {
	Store Store
	Keys  Keys
	// Person says of somebody who may sign in which of her sessions count:
	// ErrNoSession for somebody who may not. Any other error says that nobody knows
	// now, and is no answer about her.
	Person func(ctx context.Context, id string) (Standing, error)
	// Loopback is for a demonstration on http://localhost: browsers keep no Secure
	// cookie of such a page.
	Loopback bool
	Now      func() time.Time
}

// Standing is what the roster says of somebody's sessions.
type Standing struct {
	Roster uint64 // its newest change
	// Change is the one with which all her sessions ended: those from before it are
	// over. It is exact, whatever clocks say.
	Change uint64
	// From is when they ended by a change that had waited. A session that was made in
	// the same instant counts, so that a time in whole seconds has to be rounded up.
	From time.Time
}

// over says that a session is from before the end of all.
func (st Standing) over(r Row) bool { return r.Roster < st.Change || r.Made.Before(st.From) }

// Sessions are all sessions of one network. It is safe for concurrent use.
type Sessions struct {
	cfg Config

	mu    sync.Mutex
	there map[[32]byte]time.Time // when Glance saw sessions last
}

// New checks the configuration.
func New(cfg Config) (*Sessions, error) {
	if cfg.Store == nil || cfg.Keys == nil || cfg.Person == nil {
		return nil, errors.New("signin: sessions need Store, Keys and Person")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Sessions{cfg: cfg, there: map[[32]byte]time.Time{}}, nil
}

// Session is somebody who is signed in.
type Session struct {
	ID       string // names it in a list; no token
	Person   string
	Made     time.Time // when she signed in
	Seen     time.Time // her last request, less a minute at most
	Verified time.Time // when she last showed herself with her passkey
}

// Fresh reports whether she showed herself so shortly ago that a grave act needs
// no more.
func (s Session) Fresh(now time.Time) bool {
	age := now.Sub(s.Verified)
	return age >= 0 && age < Freshness
}

// Start signs a person in, who has shown herself a moment ago. former is the token
// that her browser had before, if any: that session ends, so that nobody goes on
// with a token that was put there for her (session fixation).
func (s *Sessions) Start(ctx context.Context, person, former string) (token string, in Session, err error) {
	now := s.now()
	standing, err := s.cfg.Person(ctx, person)
	if err != nil {
		return "", Session{}, err
	}
	r := Row{Person: person, Made: now, Roster: standing.Roster}
	if standing.over(r) {
		return "", Session{}, ErrNoSession
	}
	if hash, ok := hashOf(former); ok {
		if err := s.cfg.Store.End(ctx, hash); err != nil {
			return "", Session{}, fmt.Errorf("signin: end the session before: %w", err)
		}
	}
	if token, err = s.renew(ctx, &r); err != nil {
		return "", Session{}, err
	}
	if err := s.cfg.Store.Add(ctx, r); err != nil {
		return "", Session{}, fmt.Errorf("signin: keep a session: %w", err)
	}
	return token, r.session(), nil
}

// Read finds who is signed in with a token.
func (s *Sessions) Read(ctx context.Context, token string) (Session, error) {
	r, err := s.read(ctx, token)
	if err != nil {
		return Session{}, err
	}
	if now := s.now(); now.Sub(r.Seen) >= touched {
		r.Seen = now
		if err := s.replace(ctx, r.Hash, &r); err != nil {
			return Session{}, err
		}
	}
	return r.session(), nil
}

// maxThere is for how many sessions Glance remembers something before it forgets those that
// are over.
const maxThere = 10_000

// Glance is Read for a request of which nothing may tell when it was: that she is there is
// remembered by this process, and no row has it.
func (s *Sessions) Glance(ctx context.Context, token string) (Session, error) {
	r, err := s.read(ctx, token)
	if err != nil {
		return Session{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if len(s.there) >= maxThere {
		maps.DeleteFunc(s.there, func(_ [32]byte, seen time.Time) bool { return now.Sub(seen) >= Idle })
	}
	if len(s.there) < maxThere {
		s.there[r.Hash] = now
	}
	return r.session(), nil
}

// seen is when a session was seen last, in its row or by Glance.
func (s *Sessions) seen(r Row) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if glanced := s.there[r.Hash]; glanced.After(r.Seen) {
		return glanced
	}
	return r.Seen
}

// Verified notes that she has shown herself once more, and gives her session
// another token: one that somebody took before is worth nothing from now on.
func (s *Sessions) Verified(ctx context.Context, token string) (renewed string, in Session, err error) {
	was, err := s.read(ctx, token)
	if err != nil {
		return "", Session{}, err
	}
	r := was
	if renewed, err = s.renew(ctx, &r); err != nil {
		return "", Session{}, err
	}
	if err := s.replaceRow(ctx, was.Hash, r); err != nil {
		return "", Session{}, err
	}
	return renewed, r.session(), nil
}

// End signs out.
func (s *Sessions) End(ctx context.Context, token string) error {
	hash, ok := hashOf(token)
	if !ok {
		return nil
	}
	return s.cfg.Store.End(ctx, hash)
}

// EndOne ends one session of a person by its id: ErrNoSession if she has no such
// one.
func (s *Sessions) EndOne(ctx context.Context, person, id string) error {
	all, err := s.List(ctx, person)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(in Session) bool { return in.ID == id }) {
		return ErrNoSession
	}
	raw, err := hex.DecodeString(id)
	if err != nil {
		return ErrNoSession
	}
	return s.cfg.Store.End(ctx, [32]byte(raw))
}

// EndAll signs a person out everywhere. What ends them for good, whoever writes
// rows, is the time that the roster has for her (Config.Person).
func (s *Sessions) EndAll(ctx context.Context, person string) error {
	return s.cfg.Store.EndAll(ctx, person)
}

// List is where a person is signed in, with times to the minute.
func (s *Sessions) List(ctx context.Context, person string) ([]Session, error) {
	rows, err := s.cfg.Store.Sessions(ctx, person)
	if err != nil {
		return nil, fmt.Errorf("signin: list sessions: %w", err)
	}
	var all []Session
	for _, r := range rows {
		if r.Person != person {
			continue
		}
		switch err := s.judge(ctx, r); {
		case err == nil:
		case errors.Is(err, ErrNoSession):
			continue
		default:
			return nil, err
		}
		in := r.session()
		in.Made, in.Seen, in.Verified = in.Made.Truncate(time.Minute), in.Seen.Truncate(time.Minute), in.Verified.Truncate(time.Minute)
		all = append(all, in)
	}
	return all, nil
}

// Sweep forgets what is over. Nothing depends on it.
func (s *Sessions) Sweep(ctx context.Context) error {
	now := s.now()
	return s.cfg.Store.Sweep(ctx, now.Add(-Lifetime), now.Add(-Idle), now)
}

// read finds a session that counts.
func (s *Sessions) read(ctx context.Context, token string) (Row, error) {
	hash, ok := hashOf(token)
	if !ok {
		return Row{}, ErrNoSession
	}
	r, err := s.cfg.Store.Session(ctx, hash)
	switch {
	case errors.Is(err, ErrNotFound):
		return Row{}, ErrNoSession
	case err != nil:
		return Row{}, fmt.Errorf("signin: read a session: %w", err)
	case r.Hash != hash:
		return Row{}, ErrNoSession
	}
	return r, s.judge(ctx, r)
}

// judge believes a row that we wrote, that is not over, and whose person is one. One that
// is over is not worth a question to the keystore.
func (s *Sessions) judge(ctx context.Context, r Row) error {
	now := s.now()
	if now.Sub(r.Made) >= Lifetime || now.Sub(s.seen(r)) >= Idle {
		return ErrNoSession
	}
	seal, err := s.seal(ctx, r)
	if err != nil {
		return err
	}
	if !hmac.Equal(seal, r.Seal) {
		return ErrNoSession
	}
	standing, err := s.cfg.Person(ctx, r.Person)
	if err == nil && standing.over(r) {
		err = ErrNoSession
	}
	return err
}

// renew gives a session a token of its own, of somebody who shows herself now.
func (s *Sessions) renew(ctx context.Context, r *Row) (token string, err error) {
	var raw [tokenSize]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand
	r.Hash, r.Seen, r.Verified = sha256.Sum256(raw[:]), s.now(), s.now()
	r.Seal, err = s.seal(ctx, *r)
	return b64.EncodeToString(raw[:]), err
}

// replace seals a row anew and writes it in place of itself.
func (s *Sessions) replace(ctx context.Context, hash [32]byte, r *Row) (err error) {
	if r.Seal, err = s.seal(ctx, *r); err != nil {
		return err
	}
	return s.replaceRow(ctx, hash, *r)
}

func (s *Sessions) replaceRow(ctx context.Context, hash [32]byte, r Row) error {
	err := s.cfg.Store.Replace(ctx, hash, r)
	if errors.Is(err, ErrNotFound) {
		return ErrNoSession // it ended while this request ran
	}
	if err != nil {
		return fmt.Errorf("signin: keep a session: %w", err)
	}
	return nil
}

// seal covers all of a row. Only the person's id has a length of its own, and it
// comes last.
func (s *Sessions) seal(ctx context.Context, r Row) ([]byte, error) {
	data := slices.Clone(r.Hash[:])
	for _, t := range []time.Time{r.Made, r.Seen, r.Verified} {
		data = appendTime(data, t)
	}
	data = binary.BigEndian.AppendUint64(data, r.Roster)
	return s.mac(ctx, sessionLabel, append(data, r.Person...))
}

func (s *Sessions) mac(ctx context.Context, label string, data []byte) ([]byte, error) {
	mac, err := s.cfg.Keys.MAC(ctx, label, data)
	if err != nil {
		return nil, fmt.Errorf("signin: seal: %w", err)
	}
	if len(mac) != sha256.Size {
		return nil, errors.New("signin: a keyed hash has another length")
	}
	return mac, nil
}

func (s *Sessions) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

func (r Row) session() Session {
	return Session{hex.EncodeToString(r.Hash[:]), r.Person, r.Made, r.Seen, r.Verified}
}

func appendTime(data []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(data, uint64(t.UnixMilli()))
}

// A token is 256 random bits, in one spelling.
const tokenSize = 32

var b64 = base64.RawURLEncoding.Strict()

// hashOf is what is kept of a token.
func hashOf(token string) (hash [32]byte, ok bool) {
	if len(token) != b64.EncodedLen(tokenSize) {
		return hash, false
	}
	raw, err := b64.DecodeString(token)
	if err != nil || len(raw) != tokenSize {
		return hash, false
	}
	return sha256.Sum256(raw), true
}

// Under which names browsers keep the token. The prefix has them keep it for this
// host alone, over TLS, and from no page of another host below the same name
// (draft-ietf-httpbis-rfc6265bis §4.1.3.2).
const (
	CookieName         = "__Host-safeconduct"
	LoopbackCookieName = "safeconduct"
)

func (s *Sessions) cookieName() string {
	if s.cfg.Loopback {
		return LoopbackCookieName
	}
	return CookieName
}

// Cookie gives a browser its token. It ends with the browser: how long it counts
// is for us to say.
func (s *Sessions) Cookie(token string) *http.Cookie { return s.cookie(token, 0) }

// NoCookie takes it away.
func (s *Sessions) NoCookie() *http.Cookie { return s.cookie("", -1) }

func (s *Sessions) cookie(token string, age int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure everywhere but on http://localhost
		Name: s.cookieName(), Value: token, Path: "/", MaxAge: age,
		Secure: !s.cfg.Loopback, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// Token is the token of a request: of exactly one cookie with the name, so that
// nobody can put a second one beside it.
func (s *Sessions) Token(r *http.Request) (token string, ok bool) {
	all := r.CookiesNamed(s.cookieName())
	if len(all) != 1 || all[0].Value == "" {
		return "", false
	}
	return all[0].Value, true
}
