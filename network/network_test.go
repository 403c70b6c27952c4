package network_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// start is the day on which test networks begin.
var start = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

const day = 24 * time.Hour

// bench is a network over a real database and a real key file, with the people
// who act in it.
type bench struct {
	*network.Network
	people *people.Roster
	t      *testing.T
	cfg    network.Config
	store  *sqlstore.Network
	log    *sqlstore.Log
	keys   keystore.Keys
	house  *peopletest.House
	root   audit.Actor // the first operator, as a person
	token  string      // of a program with the operator's role
	after  atomic.Int64
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	file, err := keyfile.Create(t.Context(), keyfile.Config{
		Path: filepath.Join(dir, "keys.age"), Passphrase: "made up for a test",
		WorkFactor: 2, // nobody depends on these keys
	}, "network.example/log")
	if err != nil {
		t.Fatal(err)
	}
	keys := keystore.New(file)
	db, err := sqlstore.Open(t.Context(), filepath.Join(dir, "safeconduct.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := storetest.Seal(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: db.Network(), log: db.Log(), keys: keys}
	// The roster's clock stands, so that its founding is open: who has to agree to
	// what is tried in people/roster.
	passkeys := peopletest.Passkeys(t)
	if b.people, err = people.New(people.Config{
		Store: db.People(), Checker: passkey.Checker{RelyingParty: passkeys}, Now: func() time.Time { return start },
	}); err != nil {
		t.Fatal(err)
	}
	b.cfg = network.Config{
		Store: b.store, Keys: keys, Rights: b.people, ID: strings.Repeat("5eed", 8), Name: "Made-up network",
		BaseURL: "https://network.example/", Desk: "+855 00 000 000", Now: b.now,
	}
	if b.Network, err = network.New(b.cfg); err != nil {
		t.Fatal(err)
	}
	if err := b.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.house = peopletest.Found(t, b.people, passkeys, b.cfg.ID, false, start)
	b.root, b.token = b.house.Actor(b.house.First), b.house.Token("", people.Operator)
	return b
}

func (b *bench) now() time.Time { return start.Add(time.Duration(b.after.Load())) }

func (b *bench) move(d time.Duration) { b.after.Add(int64(d)) }

func (b *bench) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) agency(class network.Class) network.Agency {
	b.t.Helper()
	a, err := b.admit(network.Agency{
		Name: fmt.Sprintf("Made-up House %d", len(b.agencies())+1), Class: class, Country: "KHM", Desk: "+855 00 000 001",
	})
	b.ok(err)
	return a
}

// admit has an agency admitted by whoever has to agree.
func (b *bench) admit(a network.Agency) (network.Agency, error) {
	b.t.Helper()
	what, err := b.Admission(b.t.Context(), a)
	if err != nil {
		return network.Agency{}, err
	}
	b.house.Agency(b.Network, what.Agency)
	return b.Agency(b.t.Context(), what.ID)
}

func (b *bench) suspend(agency string) {
	b.t.Helper()
	b.house.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: agency}, b.house.First)
}

func (b *bench) resume(agency string) {
	b.t.Helper()
	b.house.Do(roster.DoResumeAgency, "", &roster.ResumeAgency{ID: agency}, b.house.First)
}

// approve has a device let in: by types its symbols, and whoever has to agrees.
func (b *bench) approve(by audit.Actor, device, symbols string) error {
	b.t.Helper()
	what, err := b.DeviceAdmission(b.t.Context(), by, device, symbols)
	if err != nil {
		return err
	}
	b.house.Do(roster.DoAdmitDevice, what.Agency, what, b.house.First)
	return b.Adopt(b.t.Context())
}

// remove takes a device out that was let in.
func (b *bench) remove(device, agency string) {
	b.t.Helper()
	b.house.Do(roster.DoRemoveDevice, agency, &roster.RemoveDevice{ID: device}, b.house.First)
}

// end ends somebody's access.
func (b *bench) end(program audit.Actor) {
	b.t.Helper()
	b.house.Do(roster.DoRemoveProgram, program.Agency, &roster.RemoveProgram{ID: program.ID}, b.house.First)
}

func (b *bench) agencies() []network.Agency {
	b.t.Helper()
	all, err := b.Agencies(b.t.Context())
	b.ok(err)
	return all
}

// member lets a program in, which stands for whoever has this role.
func (b *bench) member(agency string, role people.Role) (audit.Actor, string) {
	b.t.Helper()
	token := b.house.Token(agency, role)
	by, err := b.people.Authenticate(b.t.Context(), token)
	b.ok(err)
	return by, token
}

// device enrols a device, invited by one operator and approved by another, and
// returns what it keeps.
func (b *bench) device(agency string) (verifier.Device, audit.Actor, string) {
	b.t.Helper()
	kept, e := b.pending(agency)
	b.ok(b.approve(b.second(), kept.ID, b.symbols(e)))
	return kept, audit.Actor{ID: kept.ID, Agency: agency, Role: string(people.DeviceRole)}, e.Token
}

// pending enrols a device that nobody has approved.
func (b *bench) pending(agency string) (verifier.Device, network.Enrolment) {
	b.t.Helper()
	_, secret, err := b.InviteDevice(b.t.Context(), b.root, agency, "checkpoint-1")
	b.ok(err)
	kept, public, err := verifier.NewDevice(b.cfg.ID, "", nil)
	b.ok(err)
	e, err := b.EnrolDevice(b.t.Context(), secret, public)
	b.ok(err)
	kept.ID, kept.Root = e.Device.ID, e.Root
	return kept, e
}

// second is another operator than the first.
func (b *bench) second() audit.Actor {
	b.t.Helper()
	by, _ := b.member("", people.Operator)
	return by
}

func (b *bench) symbols(e network.Enrolment) string {
	b.t.Helper()
	s, err := verifier.Symbols(b.cfg.ID, e.Root, e.Device.Recipient)
	b.ok(err)
	return s
}

// logged counts the log's entries, those of the roster aside.
func (b *bench) logged() int {
	b.t.Helper()
	all, err := b.log.Entries(b.t.Context())
	b.ok(err)
	n := 0
	for _, e := range all {
		note, err := e.Read()
		b.ok(err)
		if !strings.HasPrefix(note.Kind, "roster.") && !strings.HasPrefix(note.Kind, "request.") {
			n++
		}
	}
	return n
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestNew(t *testing.T) {
	good := newBench(t).cfg
	for _, c := range []struct {
		name string
		edit func(*network.Config)
		want int // problems
	}{
		{"as it should be", func(*network.Config) {}, 0},
		{"nothing", func(c *network.Config) { *c = network.Config{} }, 6},
		{"nobody to ask about rights", func(c *network.Config) { c.Rights = nil }, 1},
		{"an id in capitals", func(c *network.Config) { c.ID = strings.ToUpper(c.ID) }, 1},
		{"plain http", func(c *network.Config) { c.BaseURL = "http://network.example" }, 1},
		{"plain http in a demo", func(c *network.Config) { c.BaseURL, c.Demo = "http://127.0.0.1:8080", true }, 0},
		{"a query", func(c *network.Config) { c.BaseURL += "?a=b" }, 1},
		{"a password", func(c *network.Config) { c.BaseURL = "https://a:b@network.example" }, 1},
		{"a name that turns round", func(c *network.Config) { c.Name = "a\u202eb" }, 1},
		{"a name with a line break", func(c *network.Config) { c.Name = "a\nb" }, 1},
		{"a lease without end", func(c *network.Config) { c.Lease = 365 * day }, 1},
		{"a negative lease", func(c *network.Config) { c.Lease = -1 }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good
			c.edit(&cfg)
			_, err := network.New(cfg)
			var refused *invalid.Error
			got := 0
			if errors.As(err, &refused) {
				got = len(refused.Problems)
			}
			if got != c.want || (err == nil) != (c.want == 0) {
				t.Errorf("%v, want %d problems", err, c.want)
			}
		})
	}
}

func TestInitAndCheck(t *testing.T) {
	b := newBench(t)
	wantErr(t, "a second Init", b.Init(t.Context()), network.ErrExists)
	b.ok(b.Check(t.Context()))

	who, err := b.people.Authenticate(t.Context(), b.token)
	b.ok(err)
	if who.Agency != "" || who.Role != "operator" {
		t.Errorf("the token belongs to role %q of agency %q, want the operator", who.Role, who.Agency)
	}

	cfg := b.cfg
	cfg.ID = strings.Repeat("ab", 16)
	other, err := network.New(cfg)
	b.ok(err)
	wantErr(t, "another network's store", other.Check(t.Context()), network.ErrConflict)

	cfg = b.cfg
	cfg.Keys = olderKeys{b.keys}
	b.agency(network.NGO) // raises the generation
	older, err := network.New(cfg)
	b.ok(err)
	wantErr(t, "an older copy of the keystore", older.Check(t.Context()), network.ErrOldKeys)
	b.ok(b.Check(t.Context()))
}

// olderKeys is a keystore that was put back to its first copy.
type olderKeys struct{ network.Keys }

func (olderKeys) Generation(context.Context) (uint64, error) { return 0, nil }

// TestCheckAdopts cuts a rotation off between keystore and store: the next
// start puts the key that signs now on the trust list.
func TestCheckAdopts(t *testing.T) {
	b := newBench(t)
	a := b.agency(network.NGO)
	kid, _, err := b.keys.RotateAgency(t.Context(), a.ID, a.Keys[0].KeyID)
	b.ok(err)
	b.ok(b.Check(t.Context()))
	a, err = b.Agency(t.Context(), a.ID)
	b.ok(err)
	if len(a.Keys) != 2 || a.Keys[1].KeyID != kid {
		t.Errorf("%d keys are known, want 2 with the newest last", len(a.Keys))
	}
	before := b.logged()
	b.ok(b.Check(t.Context()))
	if got := b.logged(); got != before {
		t.Errorf("a second check logged %d entries more", got-before)
	}
}

func TestAgencies(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		name   string
		a      network.Agency
		fields []string
	}{
		{"nothing", network.Agency{}, []string{"name", "desk", "class", "country"}},
		{"an unknown class", network.Agency{Name: "a", Desk: "1", Class: "Bank", Country: "KHM"}, []string{"class"}},
		{"a two-letter country", network.Agency{Name: "a", Desk: "1", Class: network.NGO, Country: "KH"}, []string{"country"}},
		{"a control character", network.Agency{Name: "b\x00", Desk: "1", Class: network.NGO, Country: "KHM"}, []string{"name"}},
	} {
		_, err := b.admit(c.a)
		var refused *invalid.Error
		if !errors.As(err, &refused) || !errors.Is(err, invalid.ErrInput) {
			t.Errorf("%s: %v, want InvalidError", c.name, err)
			continue
		}
		var fields []string
		for _, p := range refused.Problems {
			fields = append(fields, strings.TrimPrefix(p.Pointer, "/"))
		}
		if !slices.Equal(fields, c.fields) {
			t.Errorf("%s: problems with %q, want %q", c.name, fields, c.fields)
		}
	}

	a := b.agency(network.NGO)
	b.suspend(a.ID) // one that is shut out has its name still
	for _, name := range []string{"Made-up House 1", "MADE-UP  HOUSE 1", "Mаde-up Hоuse 1", "<i>Made-up House 1</i>", "Made up House l"} {
		all := len(b.agencies())
		_, err := b.admit(network.Agency{Name: name, Class: network.NGO, Country: "KHM", Desk: "1"})
		wantErr(t, "the name of another", err, invalid.ErrInput)
		if got := len(b.agencies()); got != all {
			t.Errorf("%q was admitted", name)
		}
	}
	b.resume(a.ID)
	if len(a.Keys) != 1 || !a.Keys[0].From.Equal(start.Truncate(day)) {
		t.Errorf("the first key is valid from %v, want midnight of today", a.Keys[0].From)
	}
	kid, _, err := b.keys.Signer(t.Context(), a.ID)
	b.ok(err)
	if kid != a.Keys[0].KeyID {
		t.Errorf("key %s signs, the agency lists %s", kid, a.Keys[0].KeyID)
	}
	key, err := b.RotateKey(t.Context(), b.root, a.ID)
	b.ok(err)
	if kid, _, err = b.keys.Signer(t.Context(), a.ID); err != nil || kid != key.KeyID {
		t.Errorf("after rotation %s signs, %v, want %s", kid, err, key.KeyID)
	}
	b.ok(b.RevokeKey(t.Context(), b.root, a.ID, a.Keys[0].KeyID, nil))
	stolen := &verifier.Compromise{At: start.Unix(), Logged: []string{"0011223344556677", "1011223344556677"}}
	b.ok(b.RevokeKey(t.Context(), b.root, a.ID, key.KeyID, stolen))
	less := &verifier.Compromise{At: start.Add(-time.Hour).Unix(), Logged: stolen.Logged[1:]}
	b.ok(b.RevokeKey(t.Context(), b.root, a.ID, key.KeyID, less))
	for what, more := range map[string]*verifier.Compromise{
		"more was logged": {At: less.At, Logged: stolen.Logged}, "stolen later": {At: less.At + 1, Logged: less.Logged},
	} {
		wantErr(t, what, b.RevokeKey(t.Context(), b.root, a.ID, key.KeyID, more), network.ErrConflict)
	}
	wantErr(t, "an unknown key", b.RevokeKey(t.Context(), b.root, a.ID, "00", nil), network.ErrNotFound)
	for _, logged := range [][]string{{"1011223344556677", "0011223344556677"}, {"00"}, {"001122334455667X"}, {"AA11223344556677"}} {
		wantErr(t, "a bad compromise", b.RevokeKey(t.Context(), b.root, a.ID, key.KeyID,
			&verifier.Compromise{At: 1, Logged: logged}), invalid.ErrInput)
	}
	got, err := b.Agency(t.Context(), a.ID)
	b.ok(err)
	if len(got.Keys) != 2 || !got.Keys[0].Revoked || got.Keys[1].Revoked || got.Keys[1].Compromised == nil {
		t.Errorf("keys are %+v", got.Keys)
	}
	for range verifier.MaxKeys + 2 { // revoked keys make room
		if _, err = b.RotateKey(t.Context(), b.root, a.ID); err != nil {
			break
		}
	}
	wantErr(t, "too many keys", err, network.ErrConflict)
	_, err = b.RotateKey(t.Context(), b.root, "unknown")
	wantErr(t, "an unknown agency", err, network.ErrNotFound)
}

// disbelieved is the roster of later, in which nothing that an agency signs is believed
// since a time: the one of these tests stands still.
type disbelieved struct {
	*people.Roster

	agency string
	since  time.Time
}

func (d disbelieved) State(ctx context.Context) (roster.State, error) {
	s, err := d.Roster.State(ctx)
	a := s.Agencies[d.agency]
	a.Compromised = d.since.Unix()
	s.Agencies = maps.Clone(s.Agencies)
	s.Agencies[d.agency] = a
	return s, err
}

// TestNothingIsBelievedAgain: what a trust list has once left of a stolen key does not
// grow, whatever is found later of what was logged.
func TestNothingIsBelievedAgain(t *testing.T) {
	b := newBench(t)
	a := b.agency("NGO")
	var signed [][32]byte
	b.cfg.Signed = func(context.Context, string, time.Time, time.Time) ([][32]byte, error) { return signed, nil }
	b.cfg.Rights = disbelieved{b.people, a.ID, start.Add(48 * time.Hour)}
	n, err := network.New(b.cfg)
	b.ok(err)
	b.move(72 * time.Hour)
	for _, c := range []struct{ found, want string }{{"ab", "ab"}, {"abc", "ab"}, {"bc", "b"}, {"abc", "b"}, {"", ""}, {"abc", ""}} {
		signed = nil
		for _, r := range c.found {
			signed = append(signed, [32]byte(bytes.Repeat([]byte{byte(r)}, 32)))
		}
		lists, _, err := n.Pack(t.Context(), nil, nil)
		b.ok(err)
		m, err := jws.Parse(lists.TrustList, verifier.MaxTrustList, verifier.TypeTrustList)
		b.ok(err)
		var l verifier.TrustList
		b.ok(json.Unmarshal(m.Unverified(), &l))
		got, want := l.Agencies[0].Keys[0].Compromised, []string{}
		for _, r := range c.want {
			want = append(want, strings.Repeat(fmt.Sprintf("%x", r), 8))
		}
		if got == nil || !slices.Equal(got.Logged, want) {
			t.Errorf("found %q: %+v, want %v", c.found, got, want)
		}
	}
}

// TestEveryActIsLoggedAndGuarded has each act done by somebody who may not,
// which changes and logs nothing, and by the operator, which logs one entry.
func TestEveryActIsLoggedAndGuarded(t *testing.T) {
	b := newBench(t)
	ngo, border := b.agency(network.NGO), b.agency(network.ImmigrationService)
	officer, _ := b.member(border.ID, people.Officer)
	worker, _ := b.member(ngo.ID, people.Caseworker)
	_, waiting := b.pending(border.ID)
	_, other := b.pending(border.ID)
	symbols, second := b.symbols(waiting), b.second()
	for _, c := range []struct {
		name string
		do   func(by audit.Actor) error
	}{
		{"rotate key", func(by audit.Actor) error { _, err := b.RotateKey(t.Context(), by, ngo.ID); return err }},
		{"revoke key", func(by audit.Actor) error { return b.RevokeKey(t.Context(), by, ngo.ID, ngo.Keys[0].KeyID, nil) }},
		{"invite device", func(by audit.Actor) error {
			_, _, err := b.InviteDevice(t.Context(), by, border.ID, "gate-2")
			return err
		}},
		{"approve device", func(by audit.Actor) error {
			if by == b.root { // who invited it
				by = second
			}
			return b.approve(by, waiting.Device.ID, symbols)
		}},
		{"refuse device", func(by audit.Actor) error { _, err := b.RefuseDevice(t.Context(), by, other.Device.ID); return err }},
		{"burn", func(by audit.Actor) error { _, err := b.Burn(t.Context(), by); return err }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, by := range []audit.Actor{{}, officer, worker} {
				before := b.logged()
				wantErr(t, c.name+" by "+by.Role, c.do(by), network.ErrForbidden)
				if got := b.logged(); got != before {
					t.Errorf("%s by %q: %d entries logged, want none", c.name, by.Role, got-before)
				}
			}
			before := b.logged()
			if err := c.do(b.root); err != nil {
				t.Errorf("%s by the operator: %v", c.name, err)
			}
			if got := b.logged(); got != before+1 {
				t.Errorf("%s by the operator: %d entries logged, want 1", c.name, got-before)
			}
		})
	}
	for name, read := range map[string]func(by audit.Actor) error{
		"devices": func(by audit.Actor) error { _, err := b.Devices(t.Context(), by, border.ID); return err },
		"epochs":  func(by audit.Actor) error { _, err := b.Epochs(t.Context(), by); return err },
	} {
		wantErr(t, name, read(officer), network.ErrForbidden)
		b.ok(read(b.root))
	}
}

func bytesOf(v byte, n int) []byte { return slices.Repeat([]byte{v}, n) }

func actorIn(id, agency string) audit.Actor {
	return audit.Actor{ID: id, Agency: agency, Role: string(people.DeviceRole)}
}

func second[T any](_ T, err error) error { return err }

// TestClassesAreTheVocabulary: an agency's class is one of the listed ones.
func TestClassesAreTheVocabulary(t *testing.T) {
	var got []string
	for _, class := range network.Classes {
		got = append(got, string(class))
	}
	if want := claims.Values("org_type"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLimits: a new agency has a month with few cards, and what was agreed for an
// event is added for as long as it was agreed.
func TestLimits(t *testing.T) {
	b := newBench(t)
	admitted := start.Truncate(day)
	event := network.Quota{Event: "A compound was opened", Cards: 200, Until: admitted.Add(5 * day)}
	for _, tt := range []struct {
		name string
		at   time.Duration
		a    network.Agency
		want network.Limit
	}{
		{"the first day", 0, network.Agency{Admitted: admitted}, network.Limit{Days: 30, Cards: 20}},
		{"the last day of the month", 30*day - 1, network.Agency{Admitted: admitted}, network.Limit{Days: 30, Cards: 20}},
		{"of the founding", 0, network.Agency{Admitted: admitted, Founder: true}, network.Limit{Days: 1, Cards: 300}},
		{"a month later", 30 * day, network.Agency{Admitted: admitted}, network.Limit{Days: 1, Cards: 300}},
		{"from before it was kept", 29 * day, network.Agency{Keys: []network.Key{{From: admitted.Add(day)}, {From: admitted}}}, network.Limit{Days: 30, Cards: 20}},
		{"an event", day, network.Agency{Admitted: admitted, Terms: network.Terms{Quotas: []network.Quota{event}}}, network.Limit{Days: 30, Cards: 220}},
		{"two events", day, network.Agency{Admitted: admitted, Terms: network.Terms{Quotas: []network.Quota{event, event}}}, network.Limit{Days: 30, Cards: 420}},
		{"an event that is over", 5 * day, network.Agency{Admitted: admitted, Terms: network.Terms{Quotas: []network.Quota{event}}}, network.Limit{Days: 30, Cards: 20}},
		{"an event years later", day, network.Agency{Admitted: admitted.AddDate(-2, 0, 0), Terms: network.Terms{Quotas: []network.Quota{event}}}, network.Limit{Days: 1, Cards: 500}},
	} {
		b.after.Store(int64(admitted.Add(tt.at).Sub(start)))
		if got := b.Limits(tt.a); !slices.Equal(got, []network.Limit{tt.want}) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	cfg := b.cfg
	cfg.Demo = true
	n, err := network.New(cfg)
	b.ok(err)
	if got := n.Limits(network.Agency{Admitted: admitted}); got != nil {
		t.Errorf("a demonstration has the limits %v", got)
	}
}
