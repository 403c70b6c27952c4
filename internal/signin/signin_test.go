package signin_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

const (
	person  = "00112233445566778899aabbccddeeff"
	another = "ffeeddccbbaa99887766554433221100"
)

// keys are those of one network.
type keys string

func (k keys) MAC(_ context.Context, label string, data []byte) ([]byte, error) {
	key := hmac.New(sha256.New, []byte(k))
	key.Write([]byte(label))
	mac := hmac.New(sha256.New, key.Sum(nil))
	mac.Write(data)
	return mac.Sum(nil), nil
}

// world is a network's sessions on a database, with a clock and a roster.
type world struct {
	*signin.Sessions
	store signin.Store
	now   time.Time
	out   map[string]bool      // who is no person any more
	from  map[string]time.Time // from when on sessions count

	roster uint64            // its newest change
	ended  map[string]uint64 // with which change somebody's sessions ended
	away   error             // why the roster cannot be read
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "main.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := storetest.Seal(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	w := &world{store: db.Sessions(), now: time.Date(2026, 3, 10, 9, 30, 12, 345678901, time.UTC), out: map[string]bool{}, from: map[string]time.Time{}, ended: map[string]uint64{}}
	w.Sessions = w.with(t, "one")
	return w
}

func (w *world) with(t *testing.T, k keys) *signin.Sessions {
	t.Helper()
	s, err := signin.New(signin.Config{
		Store: w.store, Keys: k, Now: func() time.Time { return w.now },
		Person: func(_ context.Context, id string) (signin.Standing, error) {
			if w.away != nil {
				return signin.Standing{}, w.away
			}
			if w.out[id] {
				return signin.Standing{}, signin.ErrNoSession
			}
			return signin.Standing{Roster: w.roster, Change: w.ended[id], From: w.from[id]}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) start(t *testing.T, person string) string {
	t.Helper()
	token, in, err := w.Start(t.Context(), person, "")
	if err != nil || in.Person != person || !in.Fresh(w.now) {
		t.Fatalf("%+v, %v", in, err)
	}
	return token
}

// in reports whether a token lets its person in.
func (w *world) in(t *testing.T, what, token string, want bool) {
	t.Helper()
	in, err := w.Read(t.Context(), token)
	if want && (err != nil || in.Person == "") || !want && !errors.Is(err, signin.ErrNoSession) {
		t.Errorf("%s: %+v, %v, want %v", what, in, err, want)
	}
}

func TestSession(t *testing.T) {
	w := newWorld(t)
	token := w.start(t, person)
	w.in(t, "signed in", token, true)
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 32 {
		t.Fatalf("a token of %d bytes", len(raw))
	}
	rows, err := w.store.Sessions(t.Context(), person)
	if err != nil || len(rows) != 1 || rows[0].Hash != sha256.Sum256(raw) || bytes.Contains(rows[0].Seal, raw) {
		t.Errorf("kept %+v, %v", rows, err)
	}
	changed := bytes.Clone(raw)
	changed[31] ^= 1
	for what, other := range map[string]string{
		"none": "", "another": base64.RawURLEncoding.EncodeToString(changed), "longer": token + "A", "padded": token + "=", "shorter": token[:42],
		"its hash": base64.RawURLEncoding.EncodeToString(rows[0].Hash[:]), "in hex": hex.EncodeToString(raw), "with a line end": token[:42] + "\n",
	} {
		w.in(t, what, other, false)
	}

	if err := w.End(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	w.in(t, "signed out", token, false)
	if err := w.End(t.Context(), "no token"); err != nil {
		t.Errorf("nothing to end: %v", err)
	}
}

// TestGlance: a glance keeps somebody signed in, and her row does not say when it was.
func TestGlance(t *testing.T) {
	w := newWorld(t)
	token := w.start(t, person)
	before, err := w.store.Sessions(t.Context(), person)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		w.now = w.now.Add(10 * time.Minute)
		if in, err := w.Glance(t.Context(), token); err != nil || in.Person != person {
			t.Fatalf("%+v, %v", in, err)
		}
	}
	if after, err := w.store.Sessions(t.Context(), person); err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("the row is %+v, and was %+v (%v)", after, before, err)
	}
	w.now = w.now.Add(10 * time.Minute)
	w.in(t, "after glances", token, true)
	w.now = w.now.Add(signin.Idle)
	if _, err := w.Glance(t.Context(), token); !errors.Is(err, signin.ErrNoSession) {
		t.Errorf("a quarter of an hour after anything: %v", err)
	}
	if _, err := w.Glance(t.Context(), "no token"); !errors.Is(err, signin.ErrNoSession) {
		t.Errorf("nobody: %v", err)
	}
}

// TestLifetime: a quarter of an hour without a request, or twelve hours with.
func TestLifetime(t *testing.T) {
	w := newWorld(t)
	idle, busy := w.start(t, person), w.start(t, person)
	w.now = w.now.Add(signin.Idle - time.Millisecond)
	w.in(t, "shortly before", idle, true)
	w.now = w.now.Add(signin.Idle)
	w.in(t, "a quarter of an hour", idle, false)
	w.in(t, "the same, after another", busy, false)

	busy = w.start(t, person)
	made := w.now
	for w.now.Sub(made) < signin.Lifetime-10*time.Minute {
		w.now = w.now.Add(10 * time.Minute)
		w.in(t, "busy", busy, w.now.Sub(made) < signin.Lifetime)
	}
	w.now = made.Add(signin.Lifetime - 5*time.Minute)
	renewed, in, err := w.Verified(t.Context(), busy)
	if err != nil || !in.Made.Equal(made.Truncate(time.Millisecond)) {
		t.Fatalf("%+v, %v", in, err)
	}
	w.now = made.Add(signin.Lifetime)
	w.in(t, "twelve hours, and shown anew", renewed, false)
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows, err := w.store.Sessions(t.Context(), person); err != nil || len(rows) != 0 {
		t.Errorf("left %+v, %v", rows, err)
	}
}

// TestRise: every rise of what somebody may do changes the token.
func TestRise(t *testing.T) {
	w := newWorld(t)
	before := w.start(t, person)
	token, _, err := w.Start(t.Context(), another, before)
	if err != nil {
		t.Fatal(err)
	}
	w.in(t, "the token that was there", before, false)
	w.now = w.now.Add(signin.Freshness)
	in, err := w.Read(t.Context(), token)
	if err != nil || in.Fresh(w.now) || !in.Fresh(w.now.Add(-time.Second)) || in.Fresh(w.now.Add(-time.Hour)) {
		t.Errorf("five minutes later: %+v, %v", in, err)
	}
	renewed, in, err := w.Verified(t.Context(), token)
	if err != nil || !in.Fresh(w.now) || renewed == token {
		t.Errorf("shown anew: %+v, %v", in, err)
	}
	w.in(t, "the token before", token, false)
	w.in(t, "the token after", renewed, true)
	if _, _, err := w.Verified(t.Context(), token); !errors.Is(err, signin.ErrNoSession) {
		t.Errorf("the token before, shown anew: %v", err)
	}
}

// TestOut is case by case who is out on the next request.
func TestOut(t *testing.T) {
	w := newWorld(t)
	for what, out := range map[string]func(){
		"removed":        func() { w.out[person] = true },
		"sessions ended": func() { w.from[person] = w.now.Add(time.Millisecond) },
		"signed out everywhere": func() {
			if err := w.EndAll(t.Context(), person); err != nil {
				t.Fatal(err)
			}
		},
	} {
		one, two, other := w.start(t, person), w.start(t, person), w.start(t, another)
		out()
		w.in(t, what, one, false)
		w.in(t, what+", elsewhere", two, false)
		w.in(t, what+": another", other, true)
		if what == "removed" {
			if _, _, err := w.Start(t.Context(), person, ""); !errors.Is(err, signin.ErrNoSession) {
				t.Errorf("signing in: %v", err)
			}
		}
		delete(w.out, person)
		delete(w.from, person)
	}
	w.from[person] = w.now.Truncate(time.Millisecond)
	w.in(t, "the same instant", w.start(t, person), true)
}

func TestList(t *testing.T) {
	w := newWorld(t)
	first := w.start(t, person)
	w.now = w.now.Add(2 * time.Minute)
	second := w.start(t, person)
	foreign := w.start(t, another)
	all, err := w.List(t.Context(), person)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, in := range all {
		if in.Person != person || in.Made.Second() != 0 || in.Seen.Second() != 0 || in.Made.Nanosecond() != 0 {
			t.Errorf("listed %+v", in)
		}
	}
	theirs, err := w.Read(t.Context(), foreign)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{theirs.ID, "", "zz", strings.ToUpper(all[1].ID)} {
		if err := w.EndOne(t.Context(), person, id); !errors.Is(err, signin.ErrNoSession) {
			t.Errorf("ended %q: %v", id, err)
		}
	}
	if err := w.EndOne(t.Context(), person, all[1].ID); err != nil {
		t.Fatal(err)
	}
	w.in(t, "the one that was ended", first, false)
	w.in(t, "the other", second, true)
	w.in(t, "another's", foreign, true)
}

// TestRows: whoever can write the table gets in as nobody.
func TestRows(t *testing.T) {
	w := newWorld(t)
	token := w.start(t, person)
	raw, _ := base64.RawURLEncoding.DecodeString(token)
	hash := sha256.Sum256(raw)
	good, err := w.store.Session(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	theirs := sha256.Sum256([]byte("a token that somebody chose for 32"))
	for what, edit := range map[string]func(r *signin.Row){
		"another's name":     func(r *signin.Row) { r.Person = another },
		"no name":            func(r *signin.Row) { r.Person = "" },
		"made later":         func(r *signin.Row) { r.Made = r.Made.Add(time.Millisecond) },
		"seen later":         func(r *signin.Row) { r.Seen = r.Seen.Add(time.Hour) },
		"shown later":        func(r *signin.Row) { r.Verified = r.Verified.Add(time.Hour) },
		"times exchanged":    func(r *signin.Row) { r.Made, r.Seen = r.Seen.Add(time.Second), r.Made },
		"no seal":            func(r *signin.Row) { r.Seal = []byte{} },
		"half a seal":        func(r *signin.Row) { r.Seal = r.Seal[:16] },
		"another seal":       func(r *signin.Row) { r.Seal = bytes.Repeat([]byte{1}, 32) },
		"an impossible time": func(r *signin.Row) { r.Made = time.UnixMilli(1<<62 - 1).UTC() },
	} {
		bad := good
		bad.Seal = bytes.Clone(good.Seal)
		edit(&bad)
		if err := w.store.Replace(t.Context(), hash, bad); err != nil {
			t.Fatal(err)
		}
		w.in(t, what, token, false)
		if all, err := w.List(t.Context(), bad.Person); err != nil || len(all) != 0 {
			t.Errorf("%s: listed %+v, %v", what, all, err)
		}
		if err := w.store.Replace(t.Context(), hash, good); err != nil {
			t.Fatal(err)
		}
	}
	w.in(t, "as it was", token, true)

	// Her row under the hash of another token: the seal names its own.
	moved := good
	moved.Hash = theirs
	if err := w.store.Add(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	if rows, err := w.List(t.Context(), person); err != nil || len(rows) != 1 {
		t.Errorf("listed %+v, %v", rows, err)
	}
	if _, err := w.with(t, "two").Read(t.Context(), token); !errors.Is(err, signin.ErrNoSession) {
		t.Errorf("another network's keys: %v", err)
	}

	// What is put back after its end is over in a quarter of an hour, unless she
	// was signed out everywhere: then it is over at once.
	if err := w.End(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Add(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	w.from[person] = w.now.Add(time.Second)
	w.in(t, "put back, and signed out everywhere", token, false)
	delete(w.from, person)
	w.now = w.now.Add(signin.Idle)
	w.in(t, "put back, a quarter of an hour later", token, false)
}

// TestSignedOutInTheSameSecond: what ends all sessions ends those from before it and no
// other, however little time lies between.
func TestSignedOutInTheSameSecond(t *testing.T) {
	w := newWorld(t)
	w.roster = 7
	before := w.start(t, person)
	w.roster, w.ended[person] = 8, 8 // signed out everywhere, by the same clock
	w.in(t, "from before", before, false)
	after := w.start(t, person)
	w.in(t, "from after", after, true)
	w.roster = 9
	w.in(t, "from after, later", after, true)
}

// TestNobodyKnows: that the roster cannot be read now says of nobody that she is not
// signed in, and lets nobody in.
func TestNobodyKnows(t *testing.T) {
	w := newWorld(t)
	token := w.start(t, person)
	w.away = errors.New("away")
	if _, err := w.Read(t.Context(), token); !errors.Is(err, w.away) || errors.Is(err, signin.ErrNoSession) {
		t.Errorf("a session: %v", err)
	}
	if _, _, err := w.Start(t.Context(), person, ""); !errors.Is(err, w.away) {
		t.Errorf("signing in: %v", err)
	}
	w.away = nil
	w.in(t, "when it is there again", token, true)
}

// TestEndedMeanwhile: a request that has begun writes nothing back that has ended.
func TestEndedMeanwhile(t *testing.T) {
	w := newWorld(t)
	token := w.start(t, person)
	w.now = w.now.Add(2 * time.Minute) // the next request notes that it was there
	slow, err := signin.New(signin.Config{Store: w.store, Keys: keys("one"), Now: func() time.Time { return w.now },
		Person: func(ctx context.Context, id string) (signin.Standing, error) {
			return signin.Standing{}, w.store.EndAll(ctx, id)
		}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Read(t.Context(), token); !errors.Is(err, signin.ErrNoSession) {
		t.Errorf("ended meanwhile: %v", err)
	}
	w.in(t, "the next request", token, false)
}

func TestChallenge(t *testing.T) {
	w := newWorld(t)
	fine := func() error { return nil }
	challenge := func(kind signin.Kind, person string) []byte {
		t.Helper()
		c, err := w.Challenge(t.Context(), kind, person)
		if err != nil || len(c) < 32 || len(c) > 64 {
			t.Fatalf("%d bytes, %v", len(c), err)
		}
		return c
	}
	c := challenge(signin.SignIn, "")
	if bytes.Equal(c, challenge(signin.SignIn, "")) {
		t.Error("the same challenge twice")
	}
	refused := errors.New("the signature is not hers")
	if err := w.Spend(t.Context(), signin.SignIn, "", c, func() error { return refused }); !errors.Is(err, refused) {
		t.Errorf("what judges: %v", err)
	}
	if err := w.Spend(t.Context(), signin.SignIn, "", c, fine); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
	if err := w.Spend(t.Context(), signin.SignIn, "", c, fine); !errors.Is(err, signin.ErrChallenge) {
		t.Errorf("twice: %v", err)
	}

	c = challenge(signin.Verify, person)
	never := func() error { t.Error("judged"); return nil }
	spent := func(what string, kind signin.Kind, person string, c []byte) {
		t.Helper()
		if err := w.Spend(t.Context(), kind, person, c, never); !errors.Is(err, signin.ErrChallenge) {
			t.Errorf("%s: %v", what, err)
		}
	}
	spent("another kind", signin.SignIn, person, c)
	spent("another person", signin.Verify, another, c)
	spent("nobody", signin.Verify, "", c)
	spent("the border moved", "verif", "y"+person, c)
	spent("none", signin.Verify, person, nil)
	spent("the hash of an act", signin.Verify, person, c[:32])
	for i := range c {
		bad := bytes.Clone(c)
		bad[i] ^= 1
		spent("a bit", signin.Verify, person, bad)
	}
	if err := w.with(t, "two").Spend(t.Context(), signin.Verify, person, c, never); !errors.Is(err, signin.ErrChallenge) {
		t.Errorf("another network: %v", err)
	}
	w.now = w.now.Add(signin.Patience)
	spent("five minutes later", signin.Verify, person, c)

	// Of many at once, one.
	c = challenge(signin.SignIn, "")
	var in atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			switch err := w.Spend(t.Context(), signin.SignIn, "", c, fine); {
			case err == nil:
				in.Add(1)
			case !errors.Is(err, signin.ErrChallenge):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if in.Load() != 1 {
		t.Errorf("%d came in with one challenge", in.Load())
	}
}

func TestUse(t *testing.T) {
	w := newWorld(t)
	key := []byte("a passkey's id")
	if _, ok, err := w.LastUse(t.Context(), key); ok || err != nil {
		t.Errorf("never used: %v, %v", ok, err)
	}
	if err := w.Used(t.Context(), key, signin.Use{SignCount: 5, BackedUp: true}); err != nil {
		t.Fatal(err)
	}
	if u, ok, err := w.LastUse(t.Context(), key); u != (signin.Use{SignCount: 5, BackedUp: true}) || !ok || err != nil {
		t.Errorf("%+v, %v, %v", u, ok, err)
	}
	if err := w.Used(t.Context(), key, signin.Use{SignCount: 5}); !errors.Is(err, signin.ErrCopied) {
		t.Errorf("the same count: %v", err)
	}
}

func TestCookie(t *testing.T) {
	w := newWorld(t)
	c := w.Cookie("x")
	if err := c.Valid(); err != nil || c.String() != "__Host-safeconduct=x; Path=/; HttpOnly; Secure; SameSite=Strict" {
		t.Errorf("%s, %v", c, err)
	}
	if got := w.NoCookie().String(); got != "__Host-safeconduct=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict" {
		t.Error(got)
	}
	demo, err := signin.New(signin.Config{Store: w.store, Keys: keys("one"), Loopback: true,
		Person: func(context.Context, string) (signin.Standing, error) { return signin.Standing{}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if got := demo.Cookie("x").String(); got != "safeconduct=x; Path=/; HttpOnly; SameSite=Strict" {
		t.Error(got)
	}
	for header, want := range map[string]string{
		"": "", "safeconduct=a": "", "__Host-safeconduct=a": "a", "x=1; __Host-safeconduct=a": "a",
		"__Host-safeconduct=": "", "__Host-safeconduct=a; __Host-safeconduct=b": "", "__host-safeconduct=a": "",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", header)
		if got, ok := w.Token(r); got != want || ok != (want != "") {
			t.Errorf("%q: %q", header, got)
		}
	}
}

func TestNew(t *testing.T) {
	if _, err := signin.New(signin.Config{}); err == nil {
		t.Error("sessions of nothing")
	}
}
