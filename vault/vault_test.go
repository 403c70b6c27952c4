package vault_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/blobs"
	"github.com/safeconduct/safeconduct/internal/consenttest"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/vault"
)

// keeper keeps real keys in memory: AES-256-GCM bound to agency and record.
// lie, if set, may change an answer on its way out.
type keeper struct {
	mu  sync.Mutex
	kek map[string][]byte
	mac []byte
	lie func(call string, in, out []byte) []byte
}

func newKeeper() *keeper {
	k := &keeper{kek: map[string][]byte{}, mac: make([]byte, 32)}
	_, _ = rand.Read(k.mac)
	return k
}

func (k *keeper) aead(agency string) cipher.AEAD {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kek[agency] == nil {
		k.kek[agency] = make([]byte, 32)
		_, _ = rand.Read(k.kek[agency])
	}
	block, err := aes.NewCipher(k.kek[agency])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func (k *keeper) say(call string, in, out []byte) []byte {
	if k.lie != nil {
		return k.lie(call, in, out)
	}
	return out
}

func (k *keeper) Wrap(_ context.Context, agency, record string, fileKey []byte) ([]byte, error) {
	return k.say("wrap", fileKey, k.aead(agency).Seal(nil, nil, fileKey, []byte(agency+"|"+record))), nil
}

func (k *keeper) Unwrap(_ context.Context, agency, record string, wrapped []byte) ([]byte, error) {
	out, err := k.aead(agency).Open(nil, nil, wrapped, []byte(agency+"|"+record))
	if out = k.say("unwrap", wrapped, out); err != nil && out == nil {
		return nil, fmt.Errorf("keeper: does not open: %w", vault.ErrIntegrity)
	}
	return out, nil
}

func (k *keeper) MAC(_ context.Context, label string, data []byte) ([]byte, error) {
	mac := hmac.New(sha256.New, k.mac)
	mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(label))))
	mac.Write([]byte(label))
	mac.Write(data)
	return k.say("mac", data, mac.Sum(nil)), nil
}

// directory knows which agencies there are.
type directory map[string]claims.Recipient

func (d directory) Recipient(_ context.Context, agency string) (claims.Recipient, error) {
	r, known := d[agency]
	if !known {
		return claims.Recipient{}, errors.New("directory: no such agency")
	}
	return r, nil
}

// twisted is the real store with some answers changed on their way out, as
// somebody with the database in hand could.
type twisted struct {
	vault.Store
	object    func(vault.Object) vault.Object
	record    func(vault.Record) vault.Record
	history   func(audit.Entry) audit.Entry
	addObject error
	append    error
	assigned  func() // what happens after a row about a person was read
}

func (s *twisted) Object(ctx context.Context, record string, page int) (vault.Object, error) {
	o, err := s.Store.Object(ctx, record, page)
	if err == nil && s.object != nil {
		o = s.object(o)
	}
	return o, err
}

func (s *twisted) Record(ctx context.Context, id string) (vault.Record, error) {
	r, err := s.Store.Record(ctx, id)
	if err == nil && s.record != nil {
		r = s.record(r)
	}
	return r, err
}

func (s *twisted) History(ctx context.Context, caseID string) ([]audit.Logged, error) {
	entries, err := s.Store.History(ctx, caseID)
	for i := range entries {
		if s.history != nil {
			entries[i].Entry = s.history(entries[i].Entry)
		}
	}
	return entries, err
}

func (s *twisted) Assigned(ctx context.Context, caseID, person string) (vault.Assignment, error) {
	a, err := s.Store.Assigned(ctx, caseID, person)
	if s.assigned != nil {
		s.assigned()
	}
	return a, err
}

func (s *twisted) AddObject(ctx context.Context, o vault.Object, places [][]byte, entries ...audit.Entry) error {
	if s.addObject != nil {
		return s.addObject
	}
	return s.Store.AddObject(ctx, o, places, entries...)
}

func (s *twisted) Append(ctx context.Context, entries ...audit.Entry) error {
	if s.append != nil {
		return s.append
	}
	return s.Store.Append(ctx, entries...)
}

func (s *twisted) Tell(ctx context.Context, entries ...audit.Entry) error {
	if s.append != nil {
		return s.append
	}
	return s.Store.Tell(ctx, entries...)
}

// world is a vault on real parts.
type world struct {
	testing.TB
	*vault.Vault
	dir     string
	db      *sqlstore.DB
	store   *twisted
	keyring *sqlstore.Keyring
	blobs   *blobs.Dir
	keeper  *keeper
	now     time.Time

	directory directory
	devices   map[string]string             // agencies, by id
	card      vault.Card                    // the holder's, of every case
	inUse     string                        // the id of the card that is
	agreed    map[string]bool               // two have agreed to open a record: "person record request"
	again     int                           // how often an agency was let open one once more
	said      *atomic.Pointer[vault.Signed] // what signed attestations say

	worker, embassy, second audit.Actor // an NGO, a mission of the holder's state, another NGO
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, dir: t.TempDir(), keeper: newKeeper(), said: &atomic.Pointer[vault.Signed]{}, now: time.Date(2026, 3, 1, 23, 50, 0, 0, time.UTC),
		worker:  audit.Actor{ID: id(), Agency: id(), Role: "caseworker", At: id()},
		embassy: audit.Actor{ID: id(), Agency: id(), Role: "mission", At: id()},
		second:  audit.Actor{ID: id(), Agency: id(), Role: "caseworker", At: id()},
		devices: map[string]string{}, agreed: map[string]bool{}, card: vault.Card{ID: consenttest.CardID, OpenKey: cardPublic},
	}
	w.inUse = w.card.ID
	w.directory = directory{w.worker.Agency: {Class: "NGO", Country: "KHM"},
		w.embassy.Agency: {Class: claims.ClassMission, Country: "UTO"}, w.second.Agency: {Class: "NGO", Country: "THA"}}
	w.said.Store(&vault.Signed{})
	db, err := sqlstore.Open(t.Context(), filepath.Join(w.dir, "safeconduct.db"))
	w.ok(err)
	w.ok(storetest.Seal(t.Context(), db))
	w.db = db
	w.keyring, err = sqlstore.CreateKeyring(t.Context(), filepath.Join(w.dir, "keyring.db"), "0123", bytes.Repeat([]byte{7}, 32))
	w.ok(err)
	db.CaseKeys(w.keyring.CaseKey)
	w.blobs, err = blobs.Open(filepath.Join(w.dir, "blobs"), nil)
	w.ok(err)
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), w.keyring.Close(), w.blobs.Close()); err != nil {
			t.Error(err)
		}
	})
	w.store = &twisted{Store: db.Vault()}
	w.Vault, err = vault.New(vault.Config{
		Store: w.store, Keyring: w.keyring, Blobs: w.blobs, Keys: w.keeper, Network: "test network",
		Directory: w.directory,
		Said:      func(context.Context, string) (vault.Signed, error) { return *w.said.Load(), nil },
		Now:       func() time.Time { return w.now },
		CardInUse: func(_ context.Context, _, card string) (bool, error) { return card == w.inUse, nil },
		OpenedByTwo: func(_ context.Context, by audit.Actor, record, request string) (bool, error) {
			return w.agreed[by.ID+" "+record+" "+request], nil
		},
		AllowedAgain: func(context.Context, string, string) (int, error) { return w.again, nil },
		Admitted:     func(_ context.Context, device, agency string) (bool, error) { return w.devices[device] == agency, nil },
	})
	w.ok(err)
	vault.CheapIndex(w.Vault)
	return w
}

func id() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("%x", b)
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) is(what string, err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("%s: %v, want %v", what, err, want)
	}
}

func (w *world) newCase() vault.Case {
	w.Helper()
	c, err := w.CreateCase(w.Context(), w.worker)
	w.ok(err)
	return c
}

// passport is Anna Maria Eriksson's specimen, a made-up person of ICAO's.
func passport() vault.Document {
	return vault.Document{
		Kind: "PASSPORT", IssuingState: "UTO", Number: private.New("L898902C3"), HolderNames: private.New("Eriksson, Anna Maria"),
		BirthDate: private.New("1974-08-12"), Sex: private.New("F"), ExpiryDate: private.New("2012-04-15"),
		MRZ:     private.New("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"),
		Custody: "trafficker", CustodySince: "2025-11-02",
		Loss: &vault.Loss{Event: "confiscated_by_trafficker", SLTDEquivalent: "STOLEN",
			EventDate:     &claims.PartialDate{Value: private.New("2025-11"), Precision: "month"},
			Circumstances: private.New("Taken at the gate.\nNot returned."), TakenByRole: "Exploiter",
			PoliceReport: &vault.PoliceReport{Made: "unsafe"}},
	}
}

func (w *world) newDocument(caseID string) vault.Kept {
	w.Helper()
	d, err := w.AddDocument(w.Context(), w.worker, caseID, passport())
	w.ok(err)
	return d
}

func (w *world) share(record string, with audit.Actor) {
	w.Helper()
	w.ok(w.give(w.worker, w.grant(record, with), vault.Signed{}))
}

// give shares by a word of the holder, with what she signed as it stands then, and does
// not tell what came of it.
func (w *world) give(by audit.Actor, o vault.Order, signed vault.Signed) error {
	w.said.Store(&signed)
	_, err := consenttest.Give(w.Context(), w.Vault, by, o)
	return err
}

func (w *world) grant(record string, with audit.Actor) vault.Order {
	return consenttest.Order(record, with.Agency, w.now, int(time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC).Sub(w.now.Truncate(24*time.Hour)).Hours()/24))
}

// card stands for the key that the holder's card and code give a device.
var cardPublic, cardPrivate, _ = ed25519.GenerateKey(nil)

func (w *world) signed(by audit.Actor, record string, parts ...vault.Part) vault.Opening {
	w.Helper()
	c, err := w.Challenge(w.Context(), by)
	w.ok(err)
	o := vault.Opening{Nonce: c.Nonce, Device: id(), Record: record, Purpose: "confirm_identity", Parts: parts, Minute: w.now.Unix() / 60}
	shared, err := w.SharedWith(w.Context(), by)
	w.ok(err)
	if i := slices.IndexFunc(shared, func(g vault.Shared) bool { return g.Record == record }); i >= 0 {
		o.Purpose = shared[i].Purpose
	}
	w.devices[o.Device] = by.Agency
	o.Signature = ed25519.Sign(cardPrivate, vault.OpeningMessage(o, by.Agency))
	return o
}

func (w *world) open(by audit.Actor, record string, parts ...vault.Part) {
	w.Helper()
	_, err := w.OpenRecord(w.Context(), by, w.signed(by, record, parts...), w.card)
	w.ok(err)
}

func (w *world) kinds(caseID string) (kinds []string) {
	w.Helper()
	events, err := w.History(w.Context(), w.worker, caseID)
	w.ok(err)
	for _, e := range events {
		if e.Note.Hash() != e.Leaf {
			w.Error("a note is not its leaf")
		}
		kinds = append(kinds, e.Note.Kind)
	}
	return kinds
}

func (w *world) has(caseID, kind string, want int) {
	w.Helper()
	n := 0
	for _, k := range w.kinds(caseID) {
		if k == kind {
			n++
		}
	}
	if n != want {
		w.Errorf("%d entries %s, want %d", n, kind, want)
	}
}

func TestCase(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	if c.Agency != w.worker.Agency || !c.Day.Equal(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("case %+v", c)
	}
	got, err := w.Case(ctx, w.worker, c.ID)
	w.ok(err)
	if got != c {
		t.Errorf("got %+v, want %+v", got, c)
	}
	owner, err := w.Owner(ctx, c.ID)
	w.ok(err)
	if owner != w.worker.Agency {
		t.Errorf("owner %s", owner)
	}
	for _, target := range []string{id(), "x", w.newDocument(c.ID).ID} {
		_, err = w.Owner(ctx, target)
		w.is("owner of what is no case", err, vault.ErrNotFound)
	}
	sealed, err := w.Seal(ctx, c.ID, []byte("a token"))
	w.ok(err)
	plain, err := w.Open(ctx, w.worker, c.ID, sealed)
	w.ok(err)
	if string(plain) != "a token" {
		t.Errorf("opened %q", plain)
	}
	if again, _ := w.Seal(ctx, c.ID, bytes.Repeat([]byte("x"), 900)); len(again) != len(sealed) {
		t.Error("the length of a ciphertext tells the length of what it says")
	}
	_, err = w.Seal(ctx, c.ID, make([]byte, vault.MaxSealed+1))
	w.is("too much", err, invalid.ErrInput)

	// Nothing that is not the actor's can be told from nothing.
	other := w.newCase()
	for name, by := range map[string]audit.Actor{"mission": w.embassy, "other NGO": w.second} {
		for what, target := range map[string]string{"real": c.ID, "random": id(), "no id": "../../x"} {
			_, err := w.Case(ctx, by, target)
			w.is(name+" case "+what, err, vault.ErrNotFound)
			_, err = w.Open(ctx, by, target, sealed)
			w.is(name+" open "+what, err, vault.ErrNotFound)
			_, err = w.History(ctx, by, target)
			w.is(name+" history "+what, err, vault.ErrNotFound)
			_, err = w.AddDocument(ctx, by, target, passport())
			w.is(name+" add "+what, err, vault.ErrNotFound)
			_, err = w.Erase(ctx, by, target)
			w.is(name+" erase "+what, err, vault.ErrNotFound)
			w.is(name+" find "+what, w.SetFindable(ctx, by, target, true), vault.ErrNotFound)
			g := w.grant(target, w.second)
			w.is(name+" share "+what, w.give(by, g, vault.Signed{}), vault.ErrNotFound)
			w.is(name+" take back "+what, w.TakeBack(ctx, by, target, w.second.Agency), vault.ErrNotFound)
		}
	}
	_, err = w.Open(ctx, w.worker, other.ID, sealed)
	w.is("sealed to another case", err, vault.ErrIntegrity)
	for _, by := range []audit.Actor{{}, {ID: "x"}, {ID: "x", Agency: "two words"}} {
		_, err := w.CreateCase(ctx, by)
		w.is("nobody", err, vault.ErrActor)
	}
	w.has(c.ID, "case.created", 1)

	for name, edit := range map[string]func(audit.Entry) audit.Entry{
		"another leaf": func(e audit.Entry) audit.Entry { e.Hash[0] ^= 1; return e },
		"no body":      func(e audit.Entry) audit.Entry { e.Note = private.String{}; return e },
		"what is no note": func(e audit.Entry) audit.Entry {
			e.Note = private.New("no note")
			return e
		},
	} {
		w.store.history = edit
		_, err = w.History(ctx, w.worker, c.ID)
		w.is("history with "+name, err, vault.ErrIntegrity)
	}
}

func TestDocument(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	added := w.newDocument(c.ID)
	if ch := added.Document.MRZChecks; ch == nil || ch.Failed() || added.Document.MRZFormat != "TD3" {
		t.Errorf("the zone was not reported: %+v", added.Document.MRZChecks)
	}
	got, err := w.ReadDocument(ctx, w.worker, added.ID)
	w.ok(err)
	if g, want := reveal(t, got.Document), reveal(t, added.Document); g != want {
		t.Errorf("read\n%s, want\n%s", g, want)
	}

	d := got.Document
	d.Custody, d.CustodySince = "holder", "2026-02-01"
	d.Loss.Event = "recovered"
	d.MRZ = private.New(strings.Replace(d.MRZ.Reveal(), "L898902C36", "L898902C35", 1))
	_, err = w.UpdateDocument(ctx, w.worker, added.ID, 1, d)
	w.is("a summary that the zone contradicts", err, invalid.ErrInput)
	d.MRZChecks = nil
	updated, err := w.UpdateDocument(ctx, w.worker, added.ID, 1, d)
	w.ok(err)
	if updated.Version != 2 || updated.Document.MRZChecks.Number != "fail" {
		t.Errorf("version %d, checks %+v", updated.Version, updated.Document.MRZChecks)
	}
	_, err = w.UpdateDocument(ctx, w.worker, added.ID, 1, d)
	w.is("version that is no longer the newest", err, vault.ErrConflict)

	ids, err := w.Documents(ctx, w.worker, c.ID)
	w.ok(err)
	if !slices.Equal(ids, []string{added.ID}) {
		t.Errorf("documents %v", ids)
	}
	for _, by := range []audit.Actor{w.embassy, w.second} {
		_, err = w.ReadDocument(ctx, by, added.ID)
		w.is("another agency", err, vault.ErrNotFound)
		_, err = w.UpdateDocument(ctx, by, added.ID, 2, d)
		w.is("another agency", err, vault.ErrNotFound)
	}
	_, err = w.ReadDocument(ctx, w.worker, c.ID)
	w.is("a case is no document", err, vault.ErrNotFound)

	_, err = w.UpdateDocument(ctx, w.worker, added.ID, 2, func() vault.Document {
		d := d
		loss := *d.Loss
		loss.SLTDRequested = "yes"
		d.Loss = &loss
		return d
	}())
	w.is("an entry that nobody's reply asked for", err, invalid.ErrInput)
	w.has(c.ID, "document.added", 1)
	w.has(c.ID, "document.updated", 1)
	w.has(c.ID, "document.read", 1)
	w.has(c.ID, "object.committed", 2)

	// A reading that cannot be written down does not happen.
	w.store.append = errors.New("the log is full")
	if _, err := w.ReadDocument(ctx, w.worker, added.ID); err == nil {
		t.Error("read without an entry")
	}
}

// TestMissionAnswered: what a mission's reply says reaches the documents of its
// state that were lost, and no other, and nobody else can say it.
func TestMissionAnswered(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	lost, other := w.newDocument(c.ID), w.newDocument(c.ID)
	kept := passport()
	kept.Loss = nil
	here, err := w.AddDocument(ctx, w.worker, c.ID, kept)
	w.ok(err)
	foreign := passport()
	foreign.IssuingState, foreign.MRZ = "THA", private.String{}
	elsewhere, err := w.AddDocument(ctx, w.worker, c.ID, foreign)
	w.ok(err)
	entered := func(document string) string {
		t.Helper()
		d, err := w.ReadDocument(ctx, w.worker, document)
		w.ok(err)
		if d.Document.Loss == nil {
			return "no loss"
		}
		return d.Document.Loss.SLTDRequested
	}
	answer := vault.MissionAnswer{Reply: id(), Case: c.ID, Document: lost.ID, State: "UTO"}
	for range 2 { // doing it again changes nothing
		_, err = w.MissionAnswered(ctx, w.embassy, answer)
		w.ok(err)
		if got := entered(lost.ID) + ", " + entered(other.ID) + ", " + entered(here.ID) + ", " + entered(elsewhere.ID); got != "done_by_state, , no loss, " {
			t.Errorf("about one document: %s", got)
		}
	}
	w.has(c.ID, "document.mission_answered", 1)
	answer.Document = ""
	n, err := w.MissionAnswered(ctx, w.embassy, answer)
	w.ok(err)
	if n != 1 || entered(other.ID) != "done_by_state" || entered(elsewhere.ID) != "" {
		t.Errorf("about the case: %d documents, %s", n, entered(elsewhere.ID))
	}
	// The keeper goes on, and cannot take it back or say it himself.
	d, err := w.ReadDocument(ctx, w.worker, lost.ID)
	w.ok(err)
	d.Document.Custody = "embassy"
	next, err := w.UpdateDocument(ctx, w.worker, lost.ID, d.Version, d.Document)
	w.ok(err)
	for _, said := range []string{"", "no", "yes"} {
		loss := *next.Document.Loss
		loss.SLTDRequested = said
		changed := next.Document
		changed.Loss = &loss
		_, err = w.UpdateDocument(ctx, w.worker, lost.ID, next.Version, changed)
		w.is("taken back as "+said, err, invalid.ErrInput)
	}
	_, err = w.MissionAnswered(ctx, audit.Actor{}, answer)
	w.is("by nobody", err, vault.ErrActor)
}

// TestLineEnds: a zone is the same zone however its lines end.
func TestLineEnds(t *testing.T) {
	w := newWorld(t)
	c := w.newCase()
	want := passport().MRZ.Reveal()
	for name, end := range map[string]string{"Windows": "\r\n", "old Mac": "\r", "Unix": "\n"} {
		for _, last := range []string{"", end} {
			d := passport()
			d.MRZ = private.New(strings.ReplaceAll(want, "\n", end) + last)
			kept, err := w.AddDocument(t.Context(), w.worker, c.ID, d)
			w.ok(err)
			if got := kept.Document; got.MRZ.Reveal() != want || got.MRZFormat != "TD3" || got.MRZChecks.Failed() {
				t.Errorf("%s: kept %q as %s", name, got.MRZ.Reveal(), got.MRZFormat)
			}
		}
	}
	d := passport()
	d.MRZ = private.New(strings.Replace(want, "\n", "\n\n", 1))
	_, err := w.AddDocument(t.Context(), w.worker, c.ID, d)
	w.is("a line that is empty", err, invalid.ErrInput)
}

func reveal(t *testing.T, v any) string {
	t.Helper()
	data, err := private.RevealJSON(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestNothingOnDisk looks for personal data in every byte that was written.
func TestNothingOnDisk(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	w.ok(w.SetFindable(ctx, w.worker, c.ID, true))
	d := w.newDocument(c.ID)
	_, err := w.AddPage(ctx, w.worker, d.ID, vault.PageMeta{Role: vault.RoleData, MediaType: "image/png"}, bytes.NewReader(pngOf(40, 30)))
	w.ok(err)
	_, err = w.LookUp(ctx, w.second, specimenQuery())
	w.ok(err)
	w.share(d.ID, w.embassy)
	looked := 0
	err = filepath.WalkDir(w.dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		looked++
		if apart := strings.HasPrefix(filepath.Base(name), "keyring.db") || strings.Contains(name, "blobs"); apart {
			for _, id := range []string{d.ID, c.ID, w.worker.Agency, w.embassy.Agency} {
				if bytes.Contains(data, []byte(id)) || strings.Contains(name, id) {
					t.Errorf("%s tells whose it is", filepath.Base(name))
				}
			}
		}
		for _, secret := range []string{"riksson", "RIKSSON", "898902", "1974", "740812", "Taken at", "ANNA", "IHDR", "AGE-SECRET"} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds %q", filepath.Base(name), secret)
			}
		}
		return nil
	})
	w.ok(err)
	if looked < 5 {
		t.Errorf("only %d files were looked at: this test proves nothing", looked)
	}
}

func TestValidation(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*vault.Document)
		want string // fields and codes, in order; empty for a valid document
	}{
		{"specimen", func(*vault.Document) {}, ""},
		{"almost nothing", func(d *vault.Document) { *d = vault.Document{Kind: "PASSPORT", IssuingState: "UTO"} }, ""},
		{"nothing", func(d *vault.Document) { *d = vault.Document{} }, "/kind required, /issuing_state required"},
		{"everything at once", func(d *vault.Document) {
			d.Kind, d.IssuingState, d.Number = "LIBRARY_CARD", "Utopia", private.New("#1")
			d.IssueDate, d.ExpiryDate = private.New("2020-02-30"), private.New("15.4.2012")
			d.HolderNames, d.Sex, d.Custody = private.New("Anna\u202eairaM"), private.New("W"), "me"
			d.MRZ = private.New("P<UTO\nX")
			d.Loss.Event, d.Loss.EventDate.Precision = "mislaid", "day"
		}, "/kind not_in_list, /issuing_state format, /issue_date format, /expiry_date format, " +
			"/holder_names format, /sex not_in_list, /custody not_in_list, /loss_report/event not_in_list, " +
			"/loss_report/event_date/value format, /document_number format, /mrz mrz_line_length, /mrz mrz_line_length"},
		{"other needs a name", func(d *vault.Document) { d.Kind = "OTHER" }, "/custom_type required"},
		{"only other has a name", func(d *vault.Document) { d.CustomType = private.New("Monk's card") }, "/custom_type not_allowed"},
		{"other with a name", func(d *vault.Document) { d.Kind, d.CustomType = "OTHER", private.New("Monk's card") }, ""},
		{"expires before it begins", func(d *vault.Document) { d.IssueDate = private.New("2012-04-16") }, "/expiry_date range"},
		{"expires in the year it begins", func(d *vault.Document) {
			d.IssueDate, d.ExpiryDate = private.New("2012-04-16"), private.New("2012")
		}, ""},
		{"year of birth", func(d *vault.Document) { d.BirthDate = private.New("1974") }, ""},
		{"Khmer with joiners", func(d *vault.Document) { d.HolderNames = private.New("សុខ\u200cា") }, ""},
		{"not UTF-8", func(d *vault.Document) { d.HolderNames = private.New("\xff") }, "/holder_names format"},
		{"line feed in a name", func(d *vault.Document) { d.HolderNames = private.New("a\nb") }, "/holder_names format"},
		{"blank", func(d *vault.Document) { d.HolderNames = private.New("  ") }, "/holder_names format"},
		{"name of 64 KiB", func(d *vault.Document) { d.HolderNames = private.New(strings.Repeat("a", 1<<16)) }, "/holder_names too_long"},
		{"custody since a month", func(d *vault.Document) { d.CustodySince = "2025-11" }, "/custody_since format"},
		{"digit in the zone's name", func(d *vault.Document) {
			d.MRZ = private.New("P<UTOERIKSS0N<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10")
		}, "/mrz mrz_character"},
		{"status is ours to set", func(d *vault.Document) { d.RecordStatus = "erased" }, "/record_status not_allowed"},
		{"embassy told without consent", func(d *vault.Document) { d.Loss.EmbassyNotified = "yes" }, "/loss_report/embassy_consent required"},
		{"embassy told", func(d *vault.Document) {
			d.Loss.EmbassyNotified, d.Loss.EmbassyConsent = "yes", strings.Repeat("0a", 16)
		}, ""},
		{"reference of a report that was not made", func(d *vault.Document) { d.Loss.PoliceReport.Ref = private.New("1/26") },
			"/loss_report/police_report/ref not_allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := passport()
			c.edit(&d)
			var got []string
			err := d.Validate(time.Now())
			var refused *invalid.Error
			if errors.As(err, &refused) {
				for _, p := range refused.Problems {
					got = append(got, p.Pointer+" "+p.Code)
				}
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("got\n%s, want\n%s", s, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "Anna") || strings.Contains(err.Error(), "Utopia") || strings.Contains(err.Error(), "LIBRARY")) {
				t.Errorf("the error repeats the input: %v", err)
			}
		})
	}
}

func TestDoubts(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*vault.Document)
		want string
	}{
		{"specimen", func(*vault.Document) {}, ""},
		{"no zone", func(d *vault.Document) { d.MRZ = private.String{} }, ""},
		{"much", func(d *vault.Document) {
			d.IssuingState, d.Number, d.BirthDate, d.Sex = "UTP", private.New("L898902C4"), private.New("1975"), private.New("M")
			d.MRZ = private.New(strings.Replace(d.MRZ.Reveal(), "1204159", "1204158", 1))
		}, "/mrz_checks/expiry check_digit, /mrz_checks/composite check_digit, /issuing_state differs_from_mrz, " +
			"/document_number differs_from_mrz, /birth_date differs_from_mrz, /sex differs_from_mrz"},
		{"a year that the zone knows better", func(d *vault.Document) { d.BirthDate = private.New("1974") }, ""},
		{"another month of that year", func(d *vault.Document) { d.BirthDate = private.New("1974-09") }, "/birth_date differs_from_mrz"},
		{"another code of the state", func(d *vault.Document) {
			d.IssuingState, d.MRZ = "XKX", private.New(strings.ReplaceAll(d.MRZ.Reveal(), "UTO", "RKS"))
		}, ""},
		{"no surname", func(d *vault.Document) {
			d.MRZ = private.New("P<UTO<<RAVINDRA<<<<<<<<<<<<<<<<<<<<<<<<<<<<<\n" + d.MRZ.Reveal()[45:])
		}, "/mrz mrz_filler"},
		{"three names apart", func(d *vault.Document) {
			d.MRZ = private.New("P<UTOERIKSSON<<ANNA<<MARIA<<<<<<<<<<<<<<<<<<\n" + d.MRZ.Reveal()[45:])
		}, "/mrz mrz_names"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := passport()
			c.edit(&d)
			d.MRZChecks = nil
			if err := d.Validate(time.Now()); err != nil {
				t.Errorf("refused: %v", err)
			}
			var got []string
			for _, p := range d.Doubts() {
				got = append(got, p.Pointer+" "+p.Code)
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("got\n%s, want\n%s", s, c.want)
			}
		})
	}
}

func TestParseDocument(t *testing.T) {
	good := reveal(t, passport())
	d, err := vault.ParseDocument([]byte(good))
	if err != nil || reveal(t, d) != good {
		t.Fatalf("round trip: %v", err)
	}
	for name, text := range map[string]string{
		"unknown member": strings.Replace(good, `{`, `{"approved_by":"me",`, 1),
		"trailing":       good + "{}",
		"other type":     strings.Replace(good, `"UTO"`, `7`, 1),
		"nothing":        "",
		"too long":       strings.Replace(good, "Anna", strings.Repeat("a", 1<<16), 1),
	} {
		if _, err := vault.ParseDocument([]byte(text)); !errors.Is(err, invalid.ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := json.Marshal(d); err == nil {
		t.Error("a document was encoded without anybody having asked to reveal it")
	}
	if s := fmt.Sprintf("%+v %#v", d, vault.Kept{Document: d}); strings.Contains(s, "Anna") || strings.Contains(s, "L898902C3") {
		t.Errorf("printed %s", s)
	}
}

// FuzzParseDocument: what is read, is written and read as the same.
func FuzzParseDocument(f *testing.F) {
	seed, err := private.RevealJSON(passport())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"kind":"VISA","issuing_state":"UTO"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := vault.ParseDocument(data)
		if err != nil {
			return
		}
		_ = d.Doubts()
		text := reveal(t, d)
		again, err := vault.ParseDocument([]byte(text))
		if err != nil || reveal(t, again) != text {
			t.Fatalf("second reading differs: %v", err)
		}
	})
}
