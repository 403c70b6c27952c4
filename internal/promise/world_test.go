package promise_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/passkey/software"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/promise"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// seat is somebody of an agency before two browsers. A browser whose session is over signs
// in anew, and that is another session.
type seat struct {
	name, id string
	agency   string // its name
	role     people.Role
	key      *software.Authenticator
	browsers [2]browser
}

type browser struct {
	cookie *http.Cookie
	number int // of its session
}

// office is one of the network's agencies.
type office struct {
	promise.Agency
	name    string
	program string // token of a program that answers for what it signs
	device  string // id of one that was let in
}

// world is one service, with the agencies that come up in every sequence.
type world struct {
	t       *testing.T
	service *service.Service   // that is asked now
	all     []*service.Service // the replicas of it: one, or two over one database
	house   *peopletest.House
	now     time.Time
	calls   int
	offices map[string]*office
	seats   map[string]*seat
	session int
	inviter audit.Actor // of devices; another one lets them in
	cases   int

	// floor is when the roster was changed last: no sequence begins before it, because a
	// roster only goes on.
	floor time.Time

	between func() // is called before each request; nil is nothing
}

// cast are the agencies and their people. The keeper's country is where she is; ETH is hers.
var cast = []struct {
	name, class, country string
	seats                map[string]people.Role
}{
	{"keeper", "NGO", "KHM", map[string]people.Role{"worker": people.Caseworker, "colleague": people.Caseworker, "boss": people.Supervisor}},
	{"ngo", "NGO", "THA", map[string]people.Role{"ngo1": people.Caseworker, "ngo2": people.Caseworker}},
	{"embassy", "x_DiplomaticMission", "ETH", map[string]people.Role{"consul1": people.Mission, "consul2": people.Mission}},
	{"consulate", "x_DiplomaticMission", "THA", map[string]people.Role{"other": people.Mission}},
	{"homepolice", "LawEnforcement", "ETH", map[string]people.Role{"agent": people.Officer}},
	{"police", "LawEnforcement", "KHM", map[string]people.Role{"officer": people.Officer}},
	{"border", "ImmigrationService", "THA", map[string]people.Role{"guard": people.Officer}},
}

// beginning is when every world begins.
var beginning = time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)

// newWorld founds a network in a folder. close ends it.
func newWorld(t *testing.T, dir string) *world {
	t.Helper()
	return newWorldOn(t, dir, config.Engines{}, 1)
}

// newWorldOn founds one on other engines than a folder's own, with some replicas.
func newWorldOn(t *testing.T, dir string, on config.Engines, replicas int) *world {
	t.Helper()
	w := &world{t: t, now: beginning, floor: beginning, offices: map[string]*office{}, seats: map[string]*seat{}}
	cfg := service.Config{
		Dir: filepath.Join(dir, hexID()), Passphrase: "a passphrase for a test", WorkFactor: 1, Engines: on, Now: w.clock, Log: slog.New(slog.DiscardHandler),
	}
	w.ok(os.Mkdir(cfg.Dir, 0o700))
	access, err := service.Found(t.Context(), cfg, service.Founding{ID: hexID(), Name: "Made up", BaseURL: peopletest.Address, Desk: "+00 00", Demo: true})
	w.ok(err)
	w.service, err = service.Open(t.Context(), cfg)
	w.ok(err)
	w.all = append(w.all, w.service)
	w.house = peopletest.Joined(t, w.service.People, w.service.Passkeys, peopletest.Origin, access.Join)
	for _, one := range cast {
		id := w.house.Agency(w.service.Network, roster.Agency{Name: "The " + one.name, Class: one.class, Country: one.country, Desk: "+855 12 345 678"})
		o := &office{Agency: promise.Agency{ID: id, Class: one.class, Country: one.country}, name: one.name}
		w.offices[one.name] = o
		o.device = w.device(id)
		for name, role := range one.seats {
			person := w.house.Person(id, role, w.house.First)
			w.seats[name] = &seat{name: name, id: person, agency: one.name, role: role, key: w.house.Keys[person]}
		}
	}
	keeper := w.offices["keeper"]
	p, token := w.house.NewProgram(keeper.ID, people.Supervisor, "desk", 300*24*time.Hour)
	w.house.Do(roster.DoAddProgram, keeper.ID, &roster.AddProgram{Program: p}, w.house.First)
	keeper.program = token
	w.house.Do(roster.DoCloseFounding, "", &roster.CloseFounding{}, w.house.First, w.seats["boss"].id)
	_, err = w.service.Board.Publish(t.Context(), audit.Actor{ID: "test"}, false)
	w.ok(err)
	// Their key files are copies, which will do because nobody makes a key from here on.
	for first := cfg.Dir; len(w.all) < replicas; {
		cfg.Dir = filepath.Join(dir, hexID())
		w.ok(os.Mkdir(cfg.Dir, 0o700))
		w.copied(first, cfg.Dir, config.EnginesName, config.KeysName)
		// Pages lie in one place, as in a bucket.
		w.ok(os.Symlink(filepath.Join(first, config.ObjectsName), filepath.Join(cfg.Dir, config.ObjectsName)))
		one, err := service.Open(t.Context(), cfg)
		w.ok(err)
		w.all = append(w.all, one)
	}
	return w
}

// device lets one in for an agency.
func (w *world) device(agency string) string {
	w.t.Helper()
	ctx, n, first := w.t.Context(), w.service.Network, w.house.First
	root, err := n.RootKey(ctx)
	w.ok(err)
	_, public, err := verifier.NewDevice(n.ID(), hexID(), root)
	w.ok(err)
	if w.inviter.ID == "" {
		p, _ := w.house.Program("", people.Operator, first)
		w.inviter = audit.Actor{ID: p.ID, Role: string(p.Role)}
	}
	_, secret, err := n.InviteDevice(ctx, w.inviter, agency, "gate-1")
	w.ok(err)
	enrolled, err := n.EnrolDevice(ctx, secret, public)
	w.ok(err)
	symbols, err := verifier.Symbols(n.ID(), root, public)
	w.ok(err)
	admission, err := n.DeviceAdmission(ctx, w.house.Actor(first), enrolled.Device.ID, symbols)
	w.ok(err)
	w.house.Do(roster.DoAdmitDevice, agency, admission, first)
	w.ok(n.Adopt(ctx))
	return enrolled.Device.ID
}

func (w *world) close() {
	for _, one := range w.all {
		w.ok(one.Close())
	}
}

// copied copies what another replica needs to have of its own.
func (w *world) copied(from, to string, names ...string) {
	w.t.Helper()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(from, name))
		w.ok(err)
		w.ok(os.WriteFile(filepath.Join(to, name), data, 0o600))
	}
}

// clock tells the time. It goes on a little with each request, so that no rate is reached.
func (w *world) clock() time.Time { return w.now }

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func hexID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// answer is what came back.
type answer struct {
	status int
	body   []byte
	cookie *http.Cookie
}

func (a answer) String() string {
	if len(a.body) > 300 {
		return fmt.Sprintf("%d %s…", a.status, a.body[:300])
	}
	return fmt.Sprintf("%d %s", a.status, a.body)
}

func (a answer) done() bool { return a.status < 300 }

// into wants an answer of a kind, and reads it.
func (w *world) into(a answer, want int, v any) {
	w.t.Helper()
	if a.status != want {
		w.t.Fatalf("got %s, want %d", a, want)
	}
	if v != nil {
		w.ok(json.Unmarshal(a.body, v))
	}
}

// send is one request to the service.
func (w *world) send(method, path string, body any, edit func(*http.Request)) answer {
	w.t.Helper()
	w.calls++
	if w.between != nil {
		w.between()
	}
	w.now = w.now.Add(20 * time.Millisecond)
	data, media := []byte(nil), "application/json"
	switch b := body.(type) {
	case nil:
	case []byte:
		data, media = b, "image/png"
	default:
		var err error
		data, err = json.Marshal(b)
		w.ok(err)
	}
	r := httptest.NewRequestWithContext(w.t.Context(), method, peopletest.Address+path, bytes.NewReader(data))
	if body != nil {
		r.Header.Set("Content-Type", media)
	}
	if method == http.MethodPost {
		r.Header.Set("Idempotency-Key", hexID())
	}
	edit(r)
	rec := httptest.NewRecorder()
	w.service.API.ServeHTTP(rec, r)
	a := answer{status: rec.Code, body: rec.Body.Bytes()}
	for _, c := range rec.Result().Cookies() {
		a.cookie = c
	}
	return a
}

// desk asks as the keeper's program.
func (w *world) desk(method, path string, body any) answer {
	w.t.Helper()
	return w.send(method, path, body, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+w.offices["keeper"].program) })
}

// asked asks in the session that a browser has.
func (w *world) asked(b *browser, method, path string, body any) answer {
	w.t.Helper()
	return w.send(method, path, body, func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if b.cookie != nil {
			r.AddCookie(&http.Cookie{Name: b.cookie.Name, Value: b.cookie.Value})
		}
	})
}

// as asks as somebody in one of her browsers, and says which session that was. Whoever is
// not signed in any more signs in; who is not let in stays outside.
func (w *world) as(s *seat, nth int, method, path string, body any) (answer, string) {
	w.t.Helper()
	b := &s.browsers[nth]
	if b.cookie != nil {
		if a := w.asked(b, method, path, body); a.status != http.StatusUnauthorized {
			return a, b.place()
		}
		b.cookie = nil
	}
	var options struct{ Options json.RawMessage }
	w.into(w.asked(b, "POST", "/api/v1/sessions/options", nil), 200, &options)
	response, err := s.key.Get(options.Options, peopletest.Origin)
	w.ok(err)
	w.session++
	b.number = w.session
	in := w.asked(b, "POST", "/api/v1/sessions", map[string]any{"response": json.RawMessage(response)})
	if !in.done() {
		return answer{status: http.StatusUnauthorized}, b.place()
	}
	b.cookie = in.cookie
	return w.asked(b, method, path, body), b.place()
}

func (b *browser) place() string { return fmt.Sprint("session ", b.number) }

// portrait is a picture that may be kept.
var portrait = func() []byte {
	p := image.NewGray(image.Rect(0, 0, 40, 40))
	for i := range p.Pix {
		p.Pix[i] = uint8(i * 31)
	}
	var b bytes.Buffer
	_ = png.Encode(&b, p)
	return b.Bytes()
}()

// within gives a call some time.
func (w *world) within() context.Context { return w.t.Context() }
