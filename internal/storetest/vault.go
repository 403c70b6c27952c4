package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/vault"
)

// VaultStores is what the suite Vault tests: the rows and the key files, each
// empty.
type VaultStores struct {
	Store   vault.Store
	Keyring vault.Keyring
}

// Vault is the suite of the vault.Store and the vault.Keyring.
func Vault(t *testing.T, open func(t *testing.T) VaultStores) {
	t.Run("records", func(t *testing.T) { vaultRecords(t, open(t).Store) })
	t.Run("objects", func(t *testing.T) { vaultObjects(t, open(t).Store) })
	t.Run("number index", func(t *testing.T) { vaultIndex(t, open(t).Store) })
	t.Run("budgets", func(t *testing.T) { vaultBudgets(t, open(t).Store) })
	t.Run("grants", func(t *testing.T) { vaultGrants(t, open(t).Store) })
	t.Run("words", func(t *testing.T) { vaultWords(t, open(t).Store) })
	t.Run("nonces", func(t *testing.T) { vaultNonces(t, open(t).Store) })
	t.Run("openings", func(t *testing.T) { vaultOpenings(t, open(t).Store) })
	t.Run("assignments", func(t *testing.T) { vaultAssignments(t, open(t).Store) })
	t.Run("joined cases", func(t *testing.T) { vaultJoins(t, open(t).Store) })
	t.Run("erasure", func(t *testing.T) { vaultErasure(t, open(t).Store) })
	t.Run("keyring", func(t *testing.T) { vaultKeyring(t, open(t).Keyring) })
}

// newCase makes a case of an agency.
func newCase(t *testing.T, s vault.Store, agency string) vault.Record {
	t.Helper()
	id := NewID()
	r := vault.Record{ID: id, Case: id, Agency: agency, Recipient: "case " + id, CaseRecipient: "case " + id, Day: Day(0)}
	ok(t, s.CreateRecord(t.Context(), r, nil, nil, Entry(t, id)))
	return r
}

// newDocument makes a document of a case, at some places of the index.
func newDocument(t *testing.T, s vault.Store, c vault.Record, places ...[]byte) vault.Record {
	t.Helper()
	r := c
	r.ID = NewID()
	r.Recipient = "document " + r.ID
	e := Entry(t, c.Case)
	ok(t, s.CreateRecord(t.Context(), r, []vault.Object{object(r, 0, 1, e.Name())}, places, e))
	return r
}

func object(r vault.Record, page, version int, entry string) vault.Object {
	o := vault.Object{
		Record: r.ID, Page: page, Version: version, MediaType: "image/png", Length: 12, Entry: entry, Day: Day(1),
		SHA256: sha256.Sum256(fmt.Append(nil, r.ID, page, version)), Salt: sha256.Sum256([]byte(entry)),
	}
	if page == 0 {
		o.MediaType, o.Sealed = "application/json", fmt.Append(nil, "sealed ", version)
	} else {
		o.Role, o.SeenOriginal, o.Blob = vault.RoleVisa, true, NewID()
	}
	return o
}

func vaultRecords(t *testing.T, s vault.Store) {
	ctx := t.Context()
	_, err := s.Record(ctx, NewID())
	is(t, "no record", err, vault.ErrNotFound)

	c := newCase(t, s, "agency-a")
	other := newCase(t, s, "agency-b")
	d := newDocument(t, s, c)
	same(t, "case", get[vault.Record](t)(s.Record(ctx, c.ID)), c)
	same(t, "document", get[vault.Record](t)(s.Record(ctx, d.ID)), d)
	same(t, "all of the case", get[[]vault.Record](t)(s.Records(ctx, c.ID)), []vault.Record{c, d})
	same(t, "all of no case", len(get[[]vault.Record](t)(s.Records(ctx, NewID()))), 0)

	is(t, "same id again", s.CreateRecord(ctx, c, nil, nil, Entry(t, c.ID)), vault.ErrConflict)
	orphan := d
	orphan.ID, orphan.Case = NewID(), NewID()
	is(t, "document of no case", s.CreateRecord(ctx, orphan, nil, nil, Entry(t, "")), vault.ErrNotFound)
	orphan.Case = d.ID
	is(t, "document of a document", s.CreateRecord(ctx, orphan, nil, nil, Entry(t, "")), vault.ErrNotFound)
	_, err = s.Record(ctx, orphan.ID)
	is(t, "nothing of it was kept", err, vault.ErrNotFound)

	var ids []string
	for range 4 {
		ids = append(ids, newCase(t, s, "agency-b").ID)
	}
	ids = append(ids, other.ID)
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page := get[[]vault.Record](t)(s.Cases(ctx, "agency-b", after, 2))
		for _, r := range page {
			got = append(got, r.ID)
		}
		if len(page) < 2 {
			break
		}
	}
	slices.Sort(ids)
	slices.Sort(got)
	same(t, "cases of an agency, page by page", got, ids)
	same(t, "history, oldest first", len(get[[]string](t)(historyIDs(t, s, c.ID))), 2)
}

func historyIDs(t *testing.T, s vault.Store, caseID string) ([]string, error) {
	entries, err := s.History(t.Context(), caseID)
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids, err
}

func vaultObjects(t *testing.T, s vault.Store) {
	ctx := t.Context()
	c := newCase(t, s, "agency-a")
	d := newDocument(t, s, c)
	_, err := s.Object(ctx, d.ID, 1)
	is(t, "no page", err, vault.ErrNotFound)

	var added []vault.Object
	for _, at := range [][2]int{{1, 1}, {2, 1}, {1, 2}} {
		e := Entry(t, c.ID)
		o := object(d, at[0], at[1], e.Name())
		ok(t, s.AddObject(ctx, o, nil, e))
		o.Logged = e.Hash
		added = append(added, o)
	}
	same(t, "newest version", get[vault.Object](t)(s.Object(ctx, d.ID, 1)), added[2])
	same(t, "other page", get[vault.Object](t)(s.Object(ctx, d.ID, 2)), added[1])
	all := get[[]vault.Object](t)(s.Objects(ctx, d.ID))
	same(t, "newest of each", len(all), 3)
	same(t, "fields without what is sealed", all[0].Sealed, []byte(nil))
	same(t, "page 1", all[1], added[2])
	same(t, "page 2", all[2], added[1])
	fields := get[vault.Object](t)(s.Object(ctx, d.ID, 0))
	same(t, "sealed fields", string(fields.Sealed), "sealed 1")

	for name, o := range map[string]vault.Object{
		"version that exists": object(d, 1, 2, ""), "version before the newest": object(d, 1, 1, ""), "version with a gap": object(d, 1, 4, ""),
	} {
		e := Entry(t, c.ID)
		o.Entry = e.Name()
		is(t, name, s.AddObject(ctx, o, nil, e), vault.ErrConflict)
	}
	e := Entry(t, "")
	is(t, "page of nothing", s.AddObject(ctx, object(vault.Record{ID: NewID()}, 1, 1, e.Name()), nil, e), vault.ErrNotFound)
	// What was refused must not be in the log either.
	same(t, "entries of the case", len(get[[]string](t)(historyIDs(t, s, c.ID))), 5)

	// Every version of everything, in batches of one and of all.
	other := newDocument(t, s, c)
	want := []vault.Object{fields, added[0], added[2], added[1], get[vault.Object](t)(s.Object(ctx, other.ID, 0))}
	slices.SortStableFunc(want, func(a, b vault.Object) int { return strings.Compare(a.Record, b.Record) })
	for i := range want {
		want[i].Case = c.ID
	}
	same(t, "all objects", get[[]vault.Object](t)(s.AllObjects(ctx, vault.Object{}, 100)), want)
	var single []vault.Object
	var last vault.Object
	for range len(want) + 1 {
		batch := get[[]vault.Object](t)(s.AllObjects(ctx, last, 1))
		if len(batch) == 0 {
			break
		}
		single = append(single, batch...)
		last = batch[0]
	}
	same(t, "all objects one by one", single, want)
}

func vaultIndex(t *testing.T, s vault.Store) {
	ctx := t.Context()
	one, another, third := []byte("0123456789abcdef"), []byte("fedcba9876543210"), []byte("0011223344556677")
	c := newCase(t, s, "agency-a")
	d := newDocument(t, s, c, one)
	find := func(places ...[]byte) (ids []string) {
		for _, r := range get[[]vault.Record](t)(s.FindNumber(ctx, places)) {
			ids = append(ids, r.ID)
		}
		return ids
	}
	same(t, "not agreed to", len(find(one)), 0)
	ok(t, s.SetFindable(ctx, c.ID, true, map[string][][]byte{d.ID: {one}}, Entry(t, c.ID)))
	same(t, "found", find(one), []string{d.ID})
	same(t, "not found", len(find(another)), 0)

	e := Entry(t, c.ID)
	ok(t, s.AddObject(ctx, object(d, 0, 2, e.Name()), [][]byte{another, third}, e))
	same(t, "moved", find(another), []string{d.ID})
	same(t, "in a second place", find(third), []string{d.ID})
	same(t, "in both, once", find(one, third, another), []string{d.ID})
	same(t, "gone from where it was", len(find(one)), 0)

	e = Entry(t, c.ID)
	ok(t, s.AddObject(ctx, object(d, 1, 1, e.Name()), nil, e))
	same(t, "a page moves nothing", find(third), []string{d.ID})

	// By what a document is known again is an index of its own.
	elsewhere := func(what, record string, want bool) {
		t.Helper()
		same(t, what, get[bool](t)(s.Elsewhere(ctx, record)), want)
	}
	again := func(r vault.Record, version int, places ...[]byte) {
		t.Helper()
		e := Entry(t, r.Case)
		o := object(r, 0, version, e.Name())
		o.Same = places
		ok(t, s.AddObject(ctx, o, nil, e))
	}
	other := newCase(t, s, "agency-b")
	x, y := newDocument(t, s, other), newDocument(t, s, other)
	again(x, 2, another, one)
	again(y, 2, one)
	elsewhere("twice in one case", x.ID, false)
	elsewhere("in the other index", d.ID, false)
	mine := newCase(t, s, "agency-b")
	z := newDocument(t, s, mine)
	again(z, 2, third, one)
	elsewhere("in another case", x.ID, true)
	elsewhere("in another case, too", z.ID, true)
	again(z, 3)
	elsewhere("gone", x.ID, false)
	elsewhere("no record", NewID(), false)
	e = Entry(t, c.ID)
	ok(t, s.AddObject(ctx, object(d, 0, 3, e.Name()), [][]byte{another, third}, e))

	ok(t, s.SetFindable(ctx, c.ID, false, nil, Entry(t, c.ID)))
	same(t, "taken out", len(find(another, third)), 0)
	ok(t, s.SetFindable(ctx, c.ID, true, nil, Entry(t, c.ID)))
	same(t, "nothing stayed", len(find(another, third)), 0)
	ok(t, s.SetFindable(ctx, c.ID, true, map[string][][]byte{d.ID: {one, third}}, Entry(t, c.ID)))
	same(t, "put in", find(third), []string{d.ID})
	same(t, "case", get[vault.Record](t)(s.Record(ctx, d.ID)).Findable, true)
	is(t, "no case", s.SetFindable(ctx, NewID(), true, nil, Entry(t, "")), vault.ErrNotFound)
}

func vaultBudgets(t *testing.T, s vault.Store) {
	ctx := t.Context()
	officer, agency := vault.Budget{Who: "officer", Limit: 30}, vault.Budget{Who: "agency", Limit: 35}
	var wait sync.WaitGroup
	served := make(chan error, 100)
	for range cap(served) {
		wait.Go(func() { served <- inTurn(func() error { return s.Spend(ctx, Day(0), officer, agency) }) })
	}
	wait.Wait()
	close(served)
	n := 0
	for err := range served {
		if err == nil {
			n++
			continue
		}
		is(t, "over the budget", err, vault.ErrBudget)
	}
	same(t, "exactly the budget was served", n, 30)

	second := vault.Budget{Who: "second officer", Limit: 30}
	for range 5 {
		ok(t, s.Spend(ctx, Day(0), second, agency))
	}
	is(t, "the agency's budget", s.Spend(ctx, Day(0), second, agency), vault.ErrBudget)
	// The refused one must not have cost the officer anything.
	for range 25 {
		ok(t, s.Spend(ctx, Day(0), second))
	}
	is(t, "the officer's budget", s.Spend(ctx, Day(0), second), vault.ErrBudget)
	ok(t, s.Spend(ctx, Day(1), officer, agency))
}

func vaultGrants(t *testing.T, s vault.Store) {
	ctx := t.Context()
	c := newCase(t, s, "agency-a")
	d := newDocument(t, s, c)
	g := vault.Shared{ID: NewID(), Record: d.ID, Case: c.ID, Agency: "agency-b", Word: NewID(), Purpose: "protection",
		Parts: []vault.Part{vault.PartIdentity, vault.PartPages}, Readings: 3, Until: Day(5), Day: Day(0)}
	_, err := s.Grant(ctx, d.ID, "agency-b")
	is(t, "no grant", err, vault.ErrNotFound)
	ok(t, s.Share(ctx, g, vault.Spoken{}, Entry(t, c.ID)))
	same(t, "grant", get[vault.Shared](t)(s.Grant(ctx, d.ID, "agency-b")), g)

	g.ID, g.Until, g.Purpose, g.Parts, g.Readings = NewID(), Day(9), "shelter", []vault.Part{vault.PartStatus}, 0
	ok(t, s.Share(ctx, g, vault.Spoken{}, Entry(t, c.ID)))
	ofCase := g
	ofCase.Record, ofCase.Until = c.ID, Day(2)
	ok(t, s.Share(ctx, ofCase, vault.Spoken{}, Entry(t, c.ID)))
	same(t, "grants of the case", len(get[[]vault.Shared](t)(s.Grants(ctx, c.ID))), 2)
	same(t, "grants to the agency", len(get[[]vault.Shared](t)(s.GrantsTo(ctx, "agency-b"))), 2)
	same(t, "replaced", get[vault.Shared](t)(s.Grant(ctx, d.ID, "agency-b")), g)
	same(t, "none expired on its last day", len(get[[]vault.Shared](t)(s.Expired(ctx, Day(2), 10))), 0)
	same(t, "expired", get[[]vault.Shared](t)(s.Expired(ctx, Day(3), 10)), []vault.Shared{ofCase})

	ok(t, s.TakeBack(ctx, d.ID, "agency-b", vault.TakenBack, Entry(t, c.ID)))
	is(t, "taken back twice", s.TakeBack(ctx, d.ID, "agency-b", vault.TakenBack, Entry(t, c.ID)), vault.ErrNotFound)
	same(t, "left", get[[]vault.Shared](t)(s.GrantsTo(ctx, "agency-b")), []vault.Shared{ofCase})
	same(t, "entries", len(get[[]string](t)(historyIDs(t, s, c.ID))), 2+3+1)

	g.Agency = "agency-c"
	ok(t, s.Share(ctx, g, vault.Spoken{}, Entry(t, c.ID)))
	same(t, "given again", get[vault.Shared](t)(s.Grant(ctx, d.ID, "agency-c")), g)
}

func vaultWords(t *testing.T, s vault.Store) {
	ctx := t.Context()
	c := newCase(t, s, "agency-a")
	d := newDocument(t, s, c)
	word := func(kind vault.WordKind, record, agency string) vault.Spoken {
		return vault.Spoken{ID: NewID(), Case: c.ID, Record: record, Agency: agency, Kind: kind, State: vault.InForce, Sealed: []byte(NewID()), Day: Day(0)}
	}
	states := func() map[string]vault.WordState {
		t.Helper()
		all := map[string]vault.WordState{}
		for _, w := range get[[]vault.Spoken](t)(s.Words(ctx, c.ID)) {
			all[w.ID] = w.State
		}
		return all
	}
	first, second, ofCase := word(vault.WordGrant, d.ID, "agency-b"), word(vault.WordGrant, d.ID, "agency-b"), word(vault.WordGrant, c.ID, "agency-b")
	same(t, "no words", len(states()), 0)
	share := func(w vault.Spoken) error {
		return s.Share(ctx, vault.Shared{ID: NewID(), Record: w.Record, Case: c.ID, Agency: w.Agency, Word: w.ID, Purpose: "protection",
			Parts: vault.Parts, Until: Day(5), Day: Day(0)}, w, Entry(t, c.ID))
	}
	ok(t, share(first))
	same(t, "a word", get[[]vault.Spoken](t)(s.Words(ctx, c.ID)), []vault.Spoken{first})
	is(t, "given twice", share(first), vault.ErrConflict)
	same(t, "and still there", states(), map[string]vault.WordState{first.ID: vault.InForce})
	ok(t, share(second))
	ok(t, share(ofCase))
	want := map[string]vault.WordState{first.ID: vault.Replaced, second.ID: vault.InForce, ofCase.ID: vault.InForce}
	same(t, "replaced", states(), want)
	ok(t, s.TakeBack(ctx, d.ID, "agency-b", vault.TakenBack, Entry(t, c.ID)))
	want[second.ID] = vault.TakenBack
	same(t, "taken back", states(), want)

	older, newer, none := word(vault.WordRecord, c.ID, ""), word(vault.WordRecord, c.ID, ""), word(vault.WordNone, c.ID, "")
	again, later := word(vault.WordNone, c.ID, ""), word(vault.WordRecord, c.ID, "")
	for _, one := range []struct {
		w     vault.Spoken
		ended vault.Spoken
	}{{older, vault.Spoken{}}, {newer, older}, {none, newer}, {again, none}, {later, vault.Spoken{}}} {
		ok(t, s.AddWord(ctx, one.w, Entry(t, c.ID)))
		if want[one.w.ID] = vault.InForce; one.ended.ID != "" {
			want[one.ended.ID] = vault.Replaced
		}
		same(t, "for nobody else", states(), want)
	}
	ok(t, s.EndWord(ctx, c.ID, later.ID, Entry(t, c.ID)))
	ok(t, s.EndWord(ctx, c.ID, later.ID, Entry(t, c.ID)))
	want[later.ID] = vault.TakenBack
	same(t, "ended", states(), want)
	is(t, "in no case", s.AddWord(ctx, vault.Spoken{ID: NewID(), Case: NewID(), State: vault.InForce}, Entry(t, "")), vault.ErrNotFound)
	same(t, "entries", len(get[[]string](t)(historyIDs(t, s, c.ID))), 2+3+1+5+2)

	ok(t, s.BeginErasure(ctx, vault.Erasure{Case: c.ID, Agency: "agency-a", Records: []string{c.ID, d.ID}, Day: Day(1), MAC: []byte("mac")}))
	is(t, "after the beginning", s.AddWord(ctx, word(vault.WordNone, c.ID, ""), Entry(t, c.ID)), vault.ErrNotFound)
	get[vault.Erased](t)(s.Erase(ctx, c.ID, Entry(t, "")))
	same(t, "erased", len(states()), 0)
}

func vaultNonces(t *testing.T, s vault.Store) {
	ctx := t.Context()
	now := Day(0)
	n := vault.Nonce{Nonce: "n1", Actor: "actor", Agency: "agency-a", About: "a digest", Expires: now.Add(120e9)}
	ok(t, s.AddNonce(ctx, n, now))

	var wait sync.WaitGroup
	taken := make(chan vault.Nonce, 20)
	for range cap(taken) {
		wait.Go(func() {
			if got, err := s.TakeNonce(ctx, "n1"); err == nil {
				taken <- got
			} else if !errors.Is(err, vault.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	close(taken)
	same(t, "taken once", len(taken), 1)
	same(t, "nonce", <-taken, n)

	ok(t, s.AddNonce(ctx, n, now))
	n.Nonce, n.Expires = "n2", n.Expires.Add(3*time.Hour)
	ok(t, s.AddNonce(ctx, n, now.Add(2*time.Hour))) // no row has a finer time than the hour
	_, err := s.TakeNonce(ctx, "n1")
	is(t, "old ones are forgotten", err, vault.ErrNotFound)
}

func vaultOpenings(t *testing.T, s vault.Store) {
	ctx := t.Context()
	c := newCase(t, s, "agency-a")
	now := Day(0).Add(9 * time.Hour)
	g := vault.Shared{
		ID: NewID(), Record: c.ID, Case: c.ID, Agency: "agency-b", Purpose: "protection", Parts: vault.Parts, Readings: 2, Until: Day(5), Day: Day(0),
	}
	ok(t, s.Share(ctx, g, vault.Spoken{}, Entry(t, c.ID)))
	o := vault.Opened{
		ID: NewID(), Grant: g.ID, Word: NewID(), Record: c.ID, Case: c.ID, Agency: "agency-b", Person: NewID(), At: NewID(),
		How: vault.ByDevice, Device: NewID(), Card: NewID(), Purpose: "protection",
		Parts: []vault.Part{vault.PartPortrait, vault.PartPages}, Expires: now.Add(15 * time.Minute),
	}
	counted := func(taken, opened, day int) {
		t.Helper()
		got := get[vault.Shared](t)(s.Grant(ctx, c.ID, "agency-b"))
		same(t, "readings taken", got.Taken, taken)
		same(t, "opened", got.Opened, opened)
		same(t, "on", got.OpenedOn, Day(day))
	}
	again := func(how vault.How, most int, at time.Time) error {
		o := o
		o.ID, o.How, o.Expires = NewID(), how, at.Add(15*time.Minute)
		return s.Open(ctx, []vault.Opened{o}, most, at)
	}
	ok(t, s.Open(ctx, []vault.Opened{o}, 3, now, Entry(t, c.ID)))
	same(t, "opening", get[[]vault.Opened](t)(s.Openings(ctx, o.Grant, o.Person, now)), []vault.Opened{o})
	same(t, "by another grant", len(get[[]vault.Opened](t)(s.Openings(ctx, NewID(), o.Person, now))), 0)
	same(t, "to another person", len(get[[]vault.Opened](t)(s.Openings(ctx, o.Grant, NewID(), now))), 0)
	same(t, "a second too late", len(get[[]vault.Opened](t)(s.Openings(ctx, o.Grant, o.Person, o.Expires))), 0)
	other := o
	other.ID, other.Parts = NewID(), []vault.Part{"everything"}
	if s.Open(ctx, []vault.Opened{other}, 3, now, Entry(t, c.ID)) == nil {
		t.Error("an unknown part was kept")
	}
	is(t, "the same one again", s.Open(ctx, []vault.Opened{o}, 3, now, Entry(t, c.ID)), vault.ErrConflict)

	counted(0, 1, 0)
	is(t, "what was left", again(vault.Left, 3, now), nil)
	counted(1, 2, 0)
	is(t, "by two", again(vault.ByTwo, 0, now), nil)
	counted(1, 2, 0)
	is(t, "once more than may be", again(vault.ByCode, 2, now), vault.ErrAgain)
	is(t, "the last of what was left, of many at once", atOnce(8, func() error { return again(vault.Left, 100, now) }), vault.ErrSpent)
	counted(2, 3, 0)
	is(t, "the next day", again(vault.ByCode, 1, now.AddDate(0, 0, 1)), nil)
	counted(2, 1, 1)
	g.ID = NewID()
	ok(t, s.Share(ctx, g, vault.Spoken{}, Entry(t, c.ID)))
	same(t, "given again, nothing is taken", get[vault.Shared](t)(s.Grant(ctx, c.ID, "agency-b")), g)
	is(t, "of the grant of before", again(vault.ByCode, 3, now), vault.ErrNotFound)
	same(t, "entries", len(get[[]string](t)(historyIDs(t, s, c.ID))), 4)
}

// atOnce does something many times at once: once it goes well, and each other time it
// answers what atOnce does.
func atOnce(n int, do func() error) (refused error) {
	answers := make(chan error, n)
	for range n {
		go func() { answers <- do() }()
	}
	went := 0
	for range n {
		switch err := <-answers; {
		case err == nil:
			went++
		case refused == nil || errors.Is(err, refused):
			refused = err
		default:
			return err
		}
	}
	if went != 1 {
		return fmt.Errorf("it went well %d times", went)
	}
	return refused
}

func vaultAssignments(t *testing.T, s vault.Store) {
	ctx := t.Context()
	now := Day(0).Add(10 * time.Hour)
	c, other := newCase(t, s, "agency-a"), newCase(t, s, "agency-a")
	d := newDocument(t, s, c)
	for _, record := range []string{c.ID, NewID()} {
		_, err := s.Assigned(ctx, record, "ana")
		is(t, "nobody is assigned", err, vault.ErrNotFound)
	}
	begun := vault.Record{ID: NewID(), Agency: "agency-a", Recipient: "begun", Begins: "ana", Day: Day(0)}
	begun.Case = begun.ID
	ok(t, s.CreateRecord(ctx, begun, nil, nil, Entry(t, begun.ID)))
	same(t, "who began it", get[vault.Assignment](t)(s.Assigned(ctx, begun.ID, "ana")), vault.Assignment{Case: begun.ID, Person: "ana", By: "ana"})

	a := vault.Assignment{Case: c.ID, Person: "ana", By: "sue", Until: now.Add(time.Hour)}
	ok(t, s.Assign(ctx, a, now, nil, Entry(t, c.ID)))
	same(t, "by the case", get[vault.Assignment](t)(s.Assigned(ctx, c.ID, "ana")), a)
	_, err := s.Assigned(ctx, d.ID, "ana")
	is(t, "to a document of it", err, vault.ErrNotFound)
	_, err = s.Assigned(ctx, c.ID, "ben")
	is(t, "somebody else", err, vault.ErrNotFound)
	cases := func(agency string, at time.Time, after string, limit int) (ids []string) {
		for _, r := range get[[]vault.Record](t)(s.CasesOf(ctx, agency, "ana", at, after, limit)) {
			ids = append(ids, r.ID)
		}
		return ids
	}
	both := cases("agency-a", now, "", 10)
	same(t, "her cases", len(both) == 2 && slices.Contains(both, begun.ID) && slices.Contains(both, c.ID), true)
	same(t, "page by page", cases("agency-a", now, both[0], 1), both[1:])
	same(t, "when one has ended", cases("agency-a", a.Until, "", 10), []string{begun.ID})
	same(t, "of another agency", len(cases("agency-b", now, "", 10)), 0)

	ok(t, s.Assign(ctx, vault.Assignment{Case: c.ID, Person: "ben", By: "sue"}, now, nil, Entry(t, c.ID)))
	same(t, "two of them", len(get[[]vault.Assignment](t)(s.Assignments(ctx, c.ID))), 2)
	longer := a
	longer.Until = a.Until.Add(time.Hour)
	ok(t, s.Assign(ctx, longer, now, nil, Entry(t, c.ID)))
	same(t, "replaced", get[vault.Assignment](t)(s.Assigned(ctx, c.ID, "ana")), longer)
	taken := vault.Assignment{Case: c.ID, Person: "ben", By: "sue", Taken: true}
	is(t, "taken from nobody", s.Unassign(ctx, vault.Assignment{Case: c.ID, Person: "cy", By: "sue", Taken: true}, nil, Entry(t, c.ID)), vault.ErrNotFound)
	ok(t, s.Unassign(ctx, taken, nil, Entry(t, c.ID)))
	is(t, "taken back twice", s.Unassign(ctx, taken, nil, Entry(t, c.ID)), vault.ErrNotFound)
	same(t, "entries", len(get[[]string](t)(historyIDs(t, s, c.ID))), 2+4)
	ok(t, s.ForgetAssignments(ctx, now))
	same(t, "one serves still, and what was taken stays", get[[]vault.Assignment](t)(s.Assignments(ctx, c.ID)), []vault.Assignment{longer, taken})
	// What stands on a row that is another one by now is not done.
	for name, on := range map[string]vault.Assignment{
		"until it was taken": {Case: c.ID, Person: "ben", By: "sue"}, "of nobody": {Case: c.ID, Person: "ben"}, "before it was prolonged": a,
	} {
		is(t, "assigned on a row "+name, s.Assign(ctx, a, now, &on, Entry(t, c.ID)), vault.ErrConflict)
		is(t, "taken on a row "+name, s.Unassign(ctx, vault.Assignment{Case: c.ID, Person: "ana", By: "ben", Taken: true}, &on, Entry(t, c.ID)), vault.ErrConflict)
	}
	same(t, "and changes nothing", get[[]vault.Assignment](t)(s.Assignments(ctx, c.ID)), []vault.Assignment{longer, taken})
	given := vault.Assignment{Case: c.ID, Person: "ben", By: "ana"}
	ok(t, s.Assign(ctx, given, now, &longer, Entry(t, c.ID)))
	same(t, "given again", get[vault.Assignment](t)(s.Assigned(ctx, c.ID, "ben")), given)
	ok(t, s.Unassign(ctx, taken, nil, Entry(t, c.ID)))
	ok(t, s.Assign(ctx, vault.Assignment{Case: c.ID, Person: "cy", By: "sue"}, longer.Until, nil, Entry(t, c.ID)))
	same(t, "what has ended goes with the next", len(get[[]vault.Assignment](t)(s.Assignments(ctx, c.ID))), 2)
	ok(t, s.Assign(ctx, vault.Assignment{Case: other.ID, Person: "ana", By: "sue", Until: now}, now.Add(-time.Hour), nil, Entry(t, other.ID)))
	ok(t, s.ForgetAssignments(ctx, now))
	same(t, "or by itself", len(get[[]vault.Assignment](t)(s.Assignments(ctx, other.ID))), 0)
	is(t, "to no case", s.Assign(ctx, vault.Assignment{Case: NewID(), Person: "ana"}, now, nil, Entry(t, "")), vault.ErrNotFound)
	is(t, "to a document", s.Assign(ctx, vault.Assignment{Case: d.ID, Person: "ana"}, now, nil, Entry(t, "")), vault.ErrNotFound)
}

func vaultJoins(t *testing.T, s vault.Store) {
	ctx := t.Context()
	one, two, three := newCase(t, s, "agency-a"), newCase(t, s, "agency-a"), newCase(t, s, "agency-a")
	j := vault.Joined{Case: one.ID, Other: two.ID, By: "sue", Day: Day(1)}
	ok(t, s.Join(ctx, j, Entry(t, one.ID), Entry(t, two.ID)))
	is(t, "again", s.Join(ctx, j, Entry(t, one.ID)), vault.ErrConflict)
	is(t, "the other way round", s.Join(ctx, j.Turned(), Entry(t, one.ID)), vault.ErrConflict)
	ok(t, s.Join(ctx, vault.Joined{Case: three.ID, Other: one.ID, By: "sue", Day: Day(1)}, Entry(t, one.ID), Entry(t, three.ID)))
	same(t, "of one", len(get[[]vault.Joined](t)(s.Joins(ctx, one.ID))), 2)
	same(t, "of the other", get[[]vault.Joined](t)(s.Joins(ctx, two.ID)), []vault.Joined{j.Turned()})
	is(t, "with no case", s.Join(ctx, vault.Joined{Case: one.ID, Other: NewID()}, Entry(t, one.ID)), vault.ErrNotFound)
	same(t, "entries", len(get[[]string](t)(historyIDs(t, s, one.ID))), 1+2)

	ok(t, s.BeginErasure(ctx, vault.Erasure{Case: one.ID, Agency: "agency-a", Records: []string{one.ID}, Day: Day(1), MAC: []byte("mac")}))
	get[vault.Erased](t)(s.Erase(ctx, one.ID, Entry(t, "")))
	for _, left := range []string{two.ID, three.ID} {
		same(t, "an erased case is named by none", len(get[[]vault.Joined](t)(s.Joins(ctx, left))), 0)
		same(t, "and what it was joined with stays", get[vault.Record](t)(s.Record(ctx, left)).ID, left)
	}
}

func vaultErasure(t *testing.T, s vault.Store) {
	ctx := t.Context()
	places := [][]byte{[]byte("0123456789abcdef"), []byte("fedcba9876543210")}
	c, other := newCase(t, s, "agency-a"), newCase(t, s, "agency-a")
	d := newDocument(t, s, c, places...)
	kept := newDocument(t, s, other)
	ok(t, s.SetFindable(ctx, other.ID, true, map[string][][]byte{kept.ID: places}, Entry(t, other.ID)))
	e := Entry(t, c.ID)
	ok(t, s.AddObject(ctx, object(d, 1, 1, e.Name()), nil, e))
	ok(t, s.Share(ctx, vault.Shared{Record: d.ID, Case: c.ID, Agency: "agency-b", Purpose: "protection", Until: Day(5), Day: Day(0)}, vault.Spoken{}, Entry(t, c.ID)))
	ok(t, s.Open(ctx, []vault.Opened{{ID: NewID(), Record: d.ID, Case: c.ID, Agency: "agency-b", How: vault.ByTwo, Parts: vault.Parts, Expires: Day(1)}}, 0, Day(0), Entry(t, c.ID)))
	ok(t, s.Assign(ctx, vault.Assignment{Case: c.ID, Person: "ana", By: "ana"}, Day(0), nil, Entry(t, c.ID)))

	j := vault.Erasure{Case: c.ID, Agency: "agency-a", Records: []string{c.ID}, Day: Day(1), MAC: []byte("mac")}
	is(t, "journal that misses a record", s.BeginErasure(ctx, j), vault.ErrConflict)
	j.Records = []string{c.ID, d.ID}
	slices.Sort(j.Records)
	ok(t, s.BeginErasure(ctx, j))
	ok(t, s.BeginErasure(ctx, j))
	same(t, "journal", get[[]vault.Erasure](t)(s.Erasures(ctx)), []vault.Erasure{j})

	is(t, "assignment after the beginning", s.Assign(ctx, vault.Assignment{Case: c.ID, Person: "ben"}, Day(0), nil, Entry(t, c.ID)), vault.ErrNotFound)
	late := d
	late.ID = NewID()
	is(t, "document after the beginning", s.CreateRecord(ctx, late, nil, nil, Entry(t, c.ID)), vault.ErrNotFound)
	e = Entry(t, c.ID)
	is(t, "page after the beginning", s.AddObject(ctx, object(d, 2, 1, e.Name()), nil, e), vault.ErrNotFound)
	is(t, "grant after the beginning", s.Share(ctx, vault.Shared{Record: d.ID, Case: c.ID, Agency: "agency-c"}, vault.Spoken{}, Entry(t, c.ID)), vault.ErrNotFound)
	same(t, "what was there", len(get[[]vault.Shared](t)(s.Grants(ctx, c.ID))), 1)
	ok(t, s.Forget(ctx, j))
	ok(t, s.Forget(ctx, j))
	same(t, "a grant when its words are gone", len(get[[]vault.Shared](t)(s.Grants(ctx, c.ID))), 0)
	left := get[[]vault.Object](t)(s.AllObjects(ctx, vault.Object{Record: d.ID}, 1))
	same(t, "what is left", left, []vault.Object{{Case: c.ID, Record: d.ID, Page: 1, Version: 1, Blob: left[0].Blob, Day: left[0].Day}})

	done := get[vault.Erased](t)(s.Erase(ctx, c.ID, Entry(t, "")))
	same(t, "counts", done, vault.Erased{Records: 2, Objects: 2, Pages: 1, Grants: 1, Notes: 6})
	for _, id := range []string{c.ID, d.ID} {
		_, err := s.Record(ctx, id)
		is(t, "record", err, vault.ErrNotFound)
	}
	_, err := s.Object(ctx, d.ID, 1)
	is(t, "page", err, vault.ErrNotFound)
	same(t, "history", len(get[[]string](t)(historyIDs(t, s, c.ID))), 0)
	same(t, "grants", len(get[[]vault.Shared](t)(s.GrantsTo(ctx, "agency-b"))), 0)
	found := get[[]vault.Record](t)(s.FindNumber(ctx, places))
	same(t, "assignments", len(get[[]vault.Assignment](t)(s.Assignments(ctx, c.ID))), 0)
	same(t, "index finds only the other", len(found), 1)
	same(t, "the other", found[0].ID, kept.ID)
	same(t, "journal stays", len(get[[]vault.Erasure](t)(s.Erasures(ctx))), 1)
	same(t, "again", get[vault.Erased](t)(s.Erase(ctx, c.ID)), vault.Erased{})
}

func vaultKeyring(t *testing.T, k vault.Keyring) {
	ctx := t.Context()
	id, other := NewID(), NewID()
	_, err := k.Get(ctx, id)
	is(t, "no file", err, vault.ErrNotFound)
	ok(t, k.Create(ctx, id, []byte("one")))
	ok(t, k.Create(ctx, other, []byte("other")))
	is(t, "second file", k.Create(ctx, id, []byte("two")), vault.ErrConflict)
	same(t, "file", string(get[[]byte](t)(k.Get(ctx, id))), "one")

	is(t, "swap of another", k.Swap(ctx, id, []byte("two"), []byte("three")), vault.ErrConflict)
	is(t, "swap of none", k.Swap(ctx, NewID(), []byte("one"), []byte("two")), vault.ErrNotFound)
	ok(t, k.Swap(ctx, id, []byte("one"), []byte("two")))
	same(t, "swapped", string(get[[]byte](t)(k.Get(ctx, id))), "two")

	ok(t, k.Erase(ctx, id, NewID()))
	ok(t, k.Erase(ctx, id))
	_, err = k.Get(ctx, id)
	is(t, "erased", err, vault.ErrNotFound)
	same(t, "the other", string(get[[]byte](t)(k.Get(ctx, other))), "other")
}
