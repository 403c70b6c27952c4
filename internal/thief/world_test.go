package thief_test

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	mathrand "math/rand/v2"
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
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// beginning is the Monday on which every world begins.
var beginning = time.Date(2027, 1, 4, 0, 0, 0, 0, time.UTC)

const passphrase = "a passphrase for a test"

// seat is somebody of an agency in front of one browser.
type seat struct {
	id     string
	key    *software.Authenticator
	cookie *http.Cookie
}

// world is one service with the agencies that both populations meet.
type world struct {
	t       testing.TB
	dir     string
	engines config.Engines
	service *service.Service
	house   *peopletest.House
	now     time.Time
	access  bytes.Buffer // the service's log, in its own clock
	truth   *truth

	agency    map[string]string // ids by name
	program   string            // the keeper's, a token
	seats     map[string]*seat
	handles   int                           // HTTP requests
	published []line                        // when: for all to see
	after     func(what string, status int) // each of them; nil is nothing
}

// cast are the agencies and who works there.
var cast = []struct {
	name, class, country string
	seats                map[string]people.Role
}{
	{"keeper", "NGO", "KHM", map[string]people.Role{"worker": people.Caseworker, "boss": people.Supervisor}},
	{"ngo", "NGO", "THA", map[string]people.Role{"helper": people.Caseworker, "lead": people.Supervisor}},
	{"embassy", "x_DiplomaticMission", "ETH", map[string]people.Role{"consul": people.Mission, "attache": people.Mission}},
	{"police", "LawEnforcement", "KHM", officers()},
}

// manyOfficers check cards: one has wrong codes for so many cards a day and no more.
const manyOfficers = 32

func officers() map[string]people.Role {
	all := map[string]people.Role{}
	for i := range manyOfficers {
		all[officer(i)] = people.Officer
	}
	return all
}

func officer(n int) string { return fmt.Sprint("officer ", n%manyOfficers) }

// newWorld founds a network in a folder, and has the truth told of all that is written.
func newWorld(t testing.TB, dir string, on config.Engines) *world {
	t.Helper()
	w := &world{t: t, dir: filepath.Join(dir, "net"), now: beginning, agency: map[string]string{}, seats: map[string]*seat{}}
	w.truth = watch(w.dir)
	w.engines = on
	for name, dsn := range map[string]string{"safeconduct": on.Database, "keyring": on.Keyring} {
		if dsn == "" {
			continue
		}
		db, err := sql.Open("pgx", dsn)
		w.ok(err)
		t.Cleanup(func() { _ = db.Close() })
		if w.truth.postgres == nil {
			w.truth.postgres = map[string]*sql.DB{}
		}
		w.truth.postgres[name] = db
	}
	clock := func() time.Time { return w.now }
	cfg := service.Config{
		Dir: w.dir, Engines: on, Passphrase: passphrase, WorkFactor: 1, Now: clock,
		Log: slog.New(slog.NewJSONHandler(&w.access, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Time(slog.TimeKey, w.now) // as a service writes it whose clock this is
			}
			return a
		}})),
	}
	w.ok(os.Mkdir(cfg.Dir, 0o700))
	access, err := service.Found(t.Context(), cfg, service.Founding{ID: hexID(), Name: "Made up", BaseURL: peopletest.Address, Desk: "+00 00", Demo: true})
	w.ok(err)
	w.ok(on.Write(w.dir))
	w.service, err = service.Open(t.Context(), cfg)
	w.ok(err)
	t.Cleanup(func() { w.truth.stop(); w.ok(w.service.Close()) })
	w.house = peopletest.Joined(t, w.service.People, w.service.Passkeys, peopletest.Origin, access.Join)
	for _, one := range cast {
		id := w.house.Agency(w.service.Network, roster.Agency{Name: "The " + one.name, Class: one.class, Country: one.country, Desk: "+855 12 345 678"})
		w.agency[one.name] = id
		for name, role := range one.seats {
			person := w.house.Person(id, role, w.house.First)
			w.seats[name] = &seat{id: person, key: w.house.Keys[person]}
		}
	}
	p, token := w.house.NewProgram(w.agency["keeper"], people.Supervisor, "desk", 300*24*time.Hour)
	w.house.Do(roster.DoAddProgram, w.agency["keeper"], &roster.AddProgram{Program: p}, w.house.First)
	w.program = token
	w.house.Do(roster.DoCloseFounding, "", &roster.CloseFounding{}, w.house.First, w.seats["boss"].id)
	w.publish()
	return w
}

func (w *world) publish() {
	w.t.Helper()
	_, err := w.service.Board.Publish(w.t.Context(), audit.Actor{ID: "service"}, false)
	w.ok(err)
	w.service.API.Hour(w.t.Context()) // whose turn comes with it in this world
	if w.engines.Database == "" {     // in PostgreSQL the truth goes by who wrote a row last
		w.ok(w.service.LayAnew(w.t.Context()))
	}
	w.published = append(w.published, line{at: w.now, method: "publication", numbers: w.truth.numbers()})
	if w.after != nil {
		w.after(w.published[0].what(), http.StatusOK)
	}
}

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
	header http.Header
	cookie *http.Cookie
}

func (a answer) String() string { return fmt.Sprintf("%d %.300s", a.status, a.body) }

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

// send is one request to the service, sent again where many people at once were too much of
// one desk.
func (w *world) send(method, path string, body any, edit func(*http.Request)) (a answer) {
	w.t.Helper()
	for range 100 {
		if a = w.sendOnce(method, path, body, edit); a.status != http.StatusTooManyRequests || !bytes.Contains(a.body, []byte(`"rate_limited"`)) {
			break
		}
		w.now = w.now.Add(time.Second)
	}
	return a
}

func (w *world) sendOnce(method, path string, body any, edit func(*http.Request)) answer {
	w.t.Helper()
	w.handles++
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
	rec, logged := httptest.NewRecorder(), w.access.Len()
	w.service.API.ServeHTTP(rec, r)
	if w.after != nil {
		w.after(w.newest(logged), rec.Code)
	}
	a := answer{status: rec.Code, body: rec.Body.Bytes(), header: rec.Header()}
	for _, c := range rec.Result().Cookies() {
		a.cookie = c
	}
	return a
}

// newest is what the service's log says of the newest request, behind what it had said
// before: of most it says nothing.
func (w *world) newest(before int) string {
	var one struct{ Msg, Method, Route string }
	if err := json.Unmarshal(w.access.Bytes()[before:], &one); err != nil || one.Msg != "request" {
		return "-"
	}
	return one.Method + " " + one.Route
}

// desk asks as the keeper's program.
func (w *world) desk(method, path string, body any, edit ...func(*http.Request)) answer {
	w.t.Helper()
	return w.send(method, path, body, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+w.program)
		for _, e := range edit {
			e(r)
		}
	})
}

// asked asks in the session that a seat's browser has.
func (w *world) asked(s *seat, method, path string, body any, edit ...func(*http.Request)) answer {
	w.t.Helper()
	return w.send(method, path, body, func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if s.cookie != nil {
			r.AddCookie(&http.Cookie{Name: s.cookie.Name, Value: s.cookie.Value})
		}
		for _, e := range edit {
			e(r)
		}
	})
}

// as asks as somebody, who signs in first if she is not.
func (w *world) as(name, method, path string, body any, edit ...func(*http.Request)) answer {
	w.t.Helper()
	s := w.seats[name]
	if s.cookie != nil {
		if a := w.asked(s, method, path, body, edit...); a.status != http.StatusUnauthorized {
			return a
		}
		s.cookie = nil
	}
	w.signIn(name)
	return w.asked(s, method, path, body, edit...)
}

// signIn is nobody's act: whoever signs in does so for many people.
func (w *world) signIn(name string) {
	w.t.Helper()
	s := w.seats[name]
	of := w.truth.of(nobody)
	defer w.truth.of(of)
	var options struct{ Options json.RawMessage }
	w.into(w.asked(s, "POST", "/api/v1/sessions/options", nil), 200, &options)
	response, err := s.key.Get(options.Options, peopletest.Origin)
	w.ok(err)
	in := w.asked(s, "POST", "/api/v1/sessions", map[string]any{"response": json.RawMessage(response)})
	if !in.done() {
		w.t.Fatalf("%s is not let in: %s", name, in)
	}
	s.cookie = in.cookie
}

// agree has somebody agree to a request, and returns what has become of it.
func (w *world) agree(name, request string) (state string) {
	w.t.Helper()
	path := "/api/v1/requests/" + request
	var q struct {
		State   string
		Options json.RawMessage
	}
	w.into(w.as(name, "GET", path, nil), 200, &q)
	response, err := w.seats[name].key.Get(q.Options, peopletest.Origin)
	w.ok(err)
	w.into(w.as(name, "POST", path+"/approvals", map[string]any{"response": json.RawMessage(response)}), 200, &q)
	return q.State
}

// scans are pictures of many sizes.
func scans(r *mathrand.Rand, n int) (all [][]byte) {
	for range n {
		side := 24 + r.IntN(200)
		p := image.NewGray(image.Rect(0, 0, side, side))
		for i := range p.Pix {
			p.Pix[i] = uint8(r.Uint32())
		}
		var b bytes.Buffer
		_ = png.Encode(&b, p)
		all = append(all, b.Bytes())
	}
	return all
}

// steal reads a copy of the databases, which it makes in a folder.
func (w *world) steal(to string) (all []*table) {
	copyTree(w.t, w.dir, to)
	all = readTables(w.t, to)
	if w.engines.Database != "" {
		all = append(all, readPostgres(w.t, w.engines.Database, "safeconduct")...)
	}
	if w.engines.Keyring != "" {
		all = append(all, readPostgres(w.t, w.engines.Keyring, "keyring")...)
	}
	return all
}

// folder is how commands see the network's folder.
func (w *world) folder() config.Folder {
	file := filepath.Join(filepath.Dir(w.dir), "passphrase")
	if _, err := os.Stat(file); err != nil {
		w.ok(os.WriteFile(file, []byte(passphrase+"\n"), 0o600))
	}
	return config.Folder{Dir: w.dir, PassphraseFile: file}
}
