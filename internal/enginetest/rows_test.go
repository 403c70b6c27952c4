package enginetest_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/consenttest"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	changes "github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/people/token"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// What a table is to whoever can write to the database and has no key
// (docs/threat-model.md, Rows).
type rowClass string

const (
	// authority: what a row of it says is believed only with a seal, and any change is
	// found.
	authority rowClass = "authority"
	// logged: it is held against the log, and fsck finds any change.
	logged rowClass = "logged"
	// counter: short-lived rows and counts. What losing or changing one allows
	// stands in docs/threat-model.md; it is never a right.
	counter rowClass = "counter"
	// derived: it is worked out from others, or only says what is missed elsewhere. What
	// changing it allows stands there, too.
	derived rowClass = "derived"
)

// tableClasses has a row for every table. A new table without one fails the test.
var tableClasses = map[string]rowClass{
	"drafts": authority, "status_entries": authority, "status_lists": authority,
	"erasures": authority,
	"network":  authority, "epochs": authority, "packs": authority,
	"heads": authority, "head_count": authority, // with the bodies of cases
	"names": authority, "cells": authority,

	"leaves": logged, "log_size": authority,

	"nonces": counter, "lookup_budgets": counter, "code_tries": counter, "paper_tries": counter,
	"leases": counter, "instances": counter, "idempotency": counter, "spent_challenges": counter, "passkey_uses": counter,

	"log_files":        derived, // of a PostgreSQL database: the log's public files, which its signature covers
	"log_restarts":     derived, // its notes are leaves
	"shut_records":     derived, // says which key files are missed on purpose
	"goose_db_version": derived, // of the migrations
	"steps":            derived, // of those that take keys: it only says what is done again, or not opened

	"roster_changes": authority, // each proves itself and names the one before; the newest is in a head
	"agencies":       authority, "agency_keys": authority, "invitations": authority, "enrolments": authority,
	"requests": authority, "sessions": authority, "card_counts": authority, "keyring_bond": authority,
}

// loose are columns of tables with authority that nothing is granted by, and why.
var loose = map[string]string{
	"status_lists.used": "a count that says when the next list is opened",
	"network.one":       "the key of a table with one row",
	"packs.one":         "the key of a table with one row",
	"head_count.one":    "the key of a table with one row",
	"log_size.one":      "the key of a table with one row",
}

// bare are rows that say nothing: what is left of an erased case is a hash, which the
// log holds.
var bare = map[string]string{"leaves": "place IS NULL"}

// mayGo are tables whose rows may be missing: whoever had one needs another.
var mayGo []string

// rowsNow is a day on which the samples of claims may be signed.
func rowsNow() time.Time { return time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC) }

// attacked is a network whose database somebody can write to.
type attacked struct {
	t   *testing.T
	cfg service.Config
	s   *service.Service
	db  *sqlitetest.DB

	house                *peopletest.House
	ngo, other, mission  audit.Actor
	case_, document      string
	identity, reply      credentials.ID
	card, cardOfTomorrow credentials.ID
	places               [][]byte        // in the index of numbers
	device, deviceID     string          // one that waits
	invitations          []string        // their secrets
	requests, sessions   []string        // ids, and tokens
	before               map[string]bool // what was allowed before an attack
}

// newAttacked founds a network and fills every table that has to do with a person.
func newAttacked(t *testing.T) *attacked {
	t.Helper()
	return newAttackedWith(t, nil)
}

// newAttackedWith has other keys than those in its folder, once it is founded.
func newAttackedWith(t *testing.T, keys func(service.Config) service.KeyOpener) *attacked {
	t.Helper()
	a := newEmpty(t, keys)
	a.fill()
	return a
}

// newEmpty is such a network with nobody in it but who founded it.
func newEmpty(t *testing.T, keys func(service.Config) service.KeyOpener) *attacked {
	t.Helper()
	dir := t.TempDir()
	a := &attacked{t: t, cfg: service.Config{Dir: dir, Passphrase: "a passphrase for a test", WorkFactor: service.DemoWork, Now: rowsNow, Log: slog.New(slog.DiscardHandler)}}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	access, err := service.Found(t.Context(), a.cfg, service.Founding{ID: randomHex(16), Name: "Test", BaseURL: "https://net.example", Desk: "+00 00"})
	a.ok(err)
	if keys != nil {
		a.cfg.Keys = keys(a.cfg)
	}
	a.s, err = service.Open(t.Context(), a.cfg)
	a.ok(err)
	a.house = peopletest.Joined(t, a.s.People, a.s.Passkeys, "https://net.example", access.Join)
	t.Cleanup(func() { _ = a.s.Close() }) // whichever is open then
	a.db = sqlitetest.Open(t, filepath.Join(dir, "safeconduct.db"))
	return a
}

func (a *attacked) ok(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *attacked) agency(name string, class string, country string) audit.Actor {
	a.t.Helper()
	made := a.house.Agency(a.s.Network, changes.Agency{Name: name, Class: class, Country: country, Desk: "+00"})
	return audit.Actor{ID: randomHex(16), Agency: made, Role: "supervisor", At: randomHex(16)}
}

func (a *attacked) issue(by audit.Actor, o credentials.Order) credentials.ID {
	a.t.Helper()
	o.RequestKey = randomHex(16)
	made, err := a.s.Issuer.Issue(a.t.Context(), by, o)
	a.ok(err)
	return made.ID
}

// answer is issue by an officer of the embassy, who agrees to it.
func (a *attacked) answer(o credentials.Order) credentials.ID {
	a.t.Helper()
	officer := a.house.Person(a.mission.Agency, people.Mission, a.house.First)
	by := a.house.Actor(officer)
	d, sealed, err := a.s.Issuer.Propose(a.t.Context(), by, o)
	a.ok(err)
	q := a.house.Sealed(changes.DoIssue, by.Agency, &changes.Issue{Case: d.Case, Kind: d.Kind, Level: d.Level, Order: d.Order}, sealed, officer)
	made, _, err := a.s.Issuer.Decide(a.t.Context(), by, credentials.Approval{Act: q.Act, Proofs: q.Proofs}, sealed)
	a.ok(err)
	return made.ID
}

// share shares a record of the NGO's, as its holder agreed with a card of hers.
func (a *attacked) share(record string, to audit.Actor, card credentials.ID) {
	a.t.Helper()
	_, err := consenttest.GiveBy(a.t.Context(), a.s.Vault, a.ngo, consenttest.Order(record, to.Agency, rowsNow(), 30), string(card))
	a.ok(err)
}

func (a *attacked) print() credentials.ID {
	a.t.Helper()
	made, err := a.s.Issuer.IssueCard(a.t.Context(), a.ngo, credentials.CardOrder{
		Case: a.case_, Name: private.New("MADE UP"), BirthDate: private.New("1990"), Nationality: private.New("ETH"), RequestKey: randomHex(16),
	})
	a.ok(err)
	return made.ID
}

// fill does what agencies do.
func (a *attacked) fill() {
	ctx, t := a.t.Context(), a.t
	t.Helper()
	a.ngo, a.other, a.mission = a.agency("Lotus", string(network.NGO), "KHM"), a.agency("River", string(network.NGO), "THA"), a.agency("Embassy", claims.ClassMission, "ETH")
	made, err := a.s.Vault.CreateCase(ctx, a.ngo)
	a.ok(err)
	a.case_ = made.ID
	a.ok(a.s.Vault.SetFindable(ctx, a.ngo, a.case_, true))
	d := vault.Document{Kind: "PASSPORT", IssuingState: "ETH", Number: private.New("EP1234567"), BirthDate: private.New("1990-02-03")}
	kept, err := a.s.Vault.AddDocument(ctx, a.ngo, a.case_, d)
	a.ok(err)
	a.document = kept.ID
	identity := &claims.IdentityClaim{Names: []claims.Name{{Script: "Latn", Full: private.New("MADE UP"), Type: "used"}}, Assurance: "self_asserted", ClaimStatus: "open"}
	a.identity = a.issue(a.ngo, credentials.Order{Case: a.case_, Claims: identity})
	a.card = a.print()
	for _, to := range []audit.Actor{a.other, a.mission} {
		for _, record := range []string{a.case_, a.document} {
			a.share(record, to, a.card)
		}
	}
	a.open(a.other)
	a.cardOfTomorrow = a.print()
	a.reply = a.answer(credentials.Order{About: a.identity, Claims: &claims.Reply{
		Answer: "matched", Mission: private.New("Embassy"), MissionState: "ETH", Ref: private.New("CONS/1"), OfficerID: private.New("officer 7"),
		Date: claims.NewDay(rowsNow()), Channel: "account",
	}})
	stays, err := a.s.Vault.CreateCase(ctx, a.ngo)
	a.ok(err)
	a.ok(a.s.Vault.SetFindable(ctx, a.ngo, stays.ID, true))
	a.ok(a.s.Vault.Join(ctx, a.ngo, a.case_, stays.ID, string(a.card)))
	d.IssuingState, d.Number, d.BirthDate = "UTO", private.New("X12345"), private.New("1974-08-12")
	d.MRZ = private.New("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10")
	_, err = a.s.Vault.AddDocument(ctx, a.ngo, stays.ID, d)
	a.ok(err)
	gone, err := a.s.Vault.CreateCase(ctx, a.other)
	a.ok(err)
	_, err = a.s.Vault.Erase(ctx, a.other, gone.ID)
	a.ok(err)
	_, err = a.s.Vault.LookUp(ctx, a.other, vault.Query{Kind: "PASSPORT", State: "ETH", Number: private.New("EP1234567"), BirthDate: private.New("900203")})
	a.ok(err)
	_, err = a.s.Issuer.Paper(ctx, private.New("123412341234"), private.New("1234567890"))
	a.ok(err)
	_, err = a.s.Vault.Challenge(ctx, a.other)
	a.ok(err)
	if _, err := a.s.DB.CodeTries().Write(ctx, a.other.ID, "tries", nil, rowsNow()); err != nil {
		t.Fatal(err)
	}
	a.wait()
	a.publish()
	a.places, err = a.s.DB.PlacesOf(ctx, a.document)
	a.ok(err)
}

// wait has something of everything that waits for somebody: invitations, a device, a
// request, sessions.
func (a *attacked) wait() {
	ctx := a.t.Context()
	a.t.Helper()
	operator := a.house.Actor(a.house.First)
	for range 2 {
		_, secret, err := a.s.Network.InviteDevice(ctx, operator, a.ngo.Agency, "gate-1")
		a.ok(err)
		a.invitations = append(a.invitations, secret)
	}
	_, public, err := verifier.NewDevice(a.s.Network.ID(), "", nil)
	a.ok(err)
	e, err := a.s.Network.EnrolDevice(ctx, a.invitations[1], public)
	a.ok(err)
	a.device, a.deviceID = e.Token, e.Device.ID
	for range 2 {
		asked, err := a.s.People.Ask(ctx, operator, changes.DoSuspendAgency, "", &changes.SuspendAgency{ID: a.other.Agency})
		a.ok(err)
		a.requests = append(a.requests, asked.Act.ID)
		token, _, err := a.s.Sessions.Start(ctx, a.house.First, "")
		a.ok(err)
		a.sessions = append(a.sessions, token)
	}
	a.ok(a.s.DB.Credentials().Refused(ctx, a.other.Agency, rowsNow()))
}

// begin has a draft that somebody is about to sign.
func (a *attacked) begin() {
	a.t.Helper()
	ctx, c := a.t.Context(), a.s.DB.Credentials()
	list, err := c.OpenList(ctx)
	a.ok(err)
	decoys, err := a.s.DecoysOf(ctx, list)
	a.ok(err)
	for index := uint32(0); ; index++ {
		if decoys.Has(index) {
			continue
		}
		err := c.Reserve(ctx, credentials.Issued{
			ID: credentials.ID(randomHex(16)), Kind: claims.KindIdentity, Case: a.case_, Agency: a.ngo.Agency, List: list, Index: index,
			IssuedOn: rowsNow(), ValidUntil: rowsNow().AddDate(0, 0, 1),
		}, nil)
		if !errors.Is(err, credentials.ErrIndexTaken) {
			a.ok(err)
			return
		}
	}
}

// open opens the case and its document to an agency, as with the holder's card.
func (a *attacked) open(by audit.Actor) {
	a.t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	a.ok(err)
	c, err := a.s.Vault.Challenge(a.t.Context(), by)
	a.ok(err)
	o := vault.Opening{
		Nonce: c.Nonce, Record: a.case_, Purpose: "confirm_identity",
		Parts: []vault.Part{vault.PartDocument, vault.PartAttestations}, Minute: rowsNow().Unix() / 60,
	}
	o.Signature = ed25519.Sign(key, vault.OpeningMessage(o, by.Agency))
	_, err = a.s.Vault.OpenByCode(a.t.Context(), by, o, vault.Card{ID: string(a.card), OpenKey: public})
	a.ok(err)
}

func (a *attacked) publish() {
	a.t.Helper()
	_, err := a.s.Board.Publish(a.t.Context(), service.Console, false)
	a.ok(err)
}

// endEverything takes back what fill gave: what is put back afterwards comes from
// before this.
func (a *attacked) endEverything() {
	ctx := a.t.Context()
	a.t.Helper()
	_, err := a.s.Issuer.ChangeCard(ctx, a.ngo, a.card, credentials.Withdraw, credentials.ReasonOther, randomHex(16))
	a.ok(err)
	_, err = a.s.Issuer.ChangeAttestation(ctx, a.mission, a.reply, credentials.Withdraw, credentials.ReasonOther, randomHex(16))
	a.ok(err)
	for _, record := range []string{a.case_, a.document} {
		a.ok(a.s.Vault.TakeBack(ctx, a.ngo, record, a.other.Agency))
	}
	kept, err := a.s.Vault.ReadDocument(ctx, a.ngo, a.document)
	a.ok(err)
	d := kept.Document
	d.Number = private.New("EP7654321")
	_, err = a.s.Vault.UpdateDocument(ctx, a.ngo, a.document, kept.Version, d)
	a.ok(err)
	a.ok(a.s.Vault.SetFindable(ctx, a.ngo, a.case_, false))
	a.ok(a.s.Vault.Unassign(ctx, a.ngo, a.case_, a.ngo.ID))
	_, err = a.s.Network.RotateKey(ctx, service.Console, a.ngo.Agency)
	a.ok(err)
	ngo, err := a.s.Network.Agency(ctx, a.ngo.Agency)
	a.ok(err)
	a.ok(a.s.Network.RevokeKey(ctx, service.Console, a.ngo.Agency, ngo.Keys[0].KeyID, nil))
	operator := a.house.Actor(a.house.First)
	_, err = a.s.Network.RefuseDevice(ctx, operator, a.deviceID)
	a.ok(err)
	_, secret, err := a.s.Network.InviteDevice(ctx, operator, a.ngo.Agency, "gate-1")
	a.ok(err)
	_, public, err := verifier.NewDevice(a.s.Network.ID(), "", nil)
	a.ok(err)
	_, err = a.s.Network.EnrolDevice(ctx, secret, public) // so that there is a row to attack
	a.ok(err)
	a.ok(a.s.People.Withdraw(ctx, operator, a.requests[0]))
	a.ok(a.s.Sessions.End(ctx, a.sessions[0]))
	_, err = a.s.Network.Burn(ctx, service.Console)
	a.ok(err)
	a.publish()
}

// allowed is what the rows let anybody do, as the rooms read them. What cannot be
// read is not allowed.
func (a *attacked) allowed(ctx context.Context, s *service.Service) map[string]bool {
	can := map[string]bool{}
	say := func(format string, args ...any) { can[fmt.Sprintf(format, args...)] = true }
	today := rowsNow().Truncate(24 * time.Hour)
	v, c, n := s.DB.Vault(), s.DB.Credentials(), s.DB.Network()
	for _, by := range []audit.Actor{a.ngo, a.other, a.mission} {
		if cases, err := v.Cases(ctx, by.Agency, "", 1000); err == nil {
			for _, one := range cases {
				say("%s keeps case %s", by.Agency, one.ID)
			}
		}
		if cases, err := v.CasesOf(ctx, by.Agency, by.ID, rowsNow(), "", 1000); err == nil {
			for _, one := range cases {
				say("%s works on case %s", by.ID, one.ID)
			}
		}
		if a, err := v.Assigned(ctx, a.case_, by.ID); err == nil && a.Serves(rowsNow()) {
			say("%s works on case %s, given by %s until %s", a.Person, a.Case, a.By, a.Until)
		}
		if grants, err := v.GrantsTo(ctx, by.Agency); err == nil {
			for _, g := range grants {
				say("%s may read %s of %s until %s for %s", g.Agency, g.Record, g.Case, g.Until, g.Purpose)
			}
		}
		for _, record := range []string{a.case_, a.document} {
			if g, err := v.Grant(ctx, record, by.Agency); err == nil {
				say("%s may read %s of %s until %s for %s", g.Agency, g.Record, g.Case, g.Until, g.Purpose)
			}
		}
		if grants, err := v.GrantsTo(ctx, by.Agency); err == nil {
			for _, g := range grants {
				openings, err := v.Openings(ctx, g.ID, by.ID, rowsNow())
				if err != nil {
					continue
				}
				for _, o := range openings {
					say("%s has opened %s: %v for %s until %s with %s, at %s", o.Person, o.Record, o.Parts, o.Purpose, o.Expires, o.Card, o.At)
				}
			}
		}
		if signed, err := c.LoggedBetween(ctx, by.Agency, time.Time{}, today.AddDate(0, 0, 1)); err == nil {
			for _, digest := range signed {
				say("%s signed %x", by.Agency, digest)
			}
		}
	}
	if history, err := v.History(ctx, a.case_); err == nil {
		for _, e := range history {
			say("entry %s of %s, %s, tells of day %s", e.Name(), e.Case, e.Note.Reveal(), e.Day)
		}
	}
	if by, err := s.People.Authenticate(ctx, a.device); err == nil {
		say("a device that waits is %+v", by)
	}
	for i, secret := range a.invitations {
		hash, _ := token.Hash(token.Invitation, secret)
		if found, err := n.Invitation(ctx, hash); err == nil {
			say("invitation %d is %+v", i, found)
		}
	}
	for i, id := range a.requests {
		if q, err := s.DB.People().Request(ctx, id); err == nil {
			say("request %d is %s with %d proofs", i, q.State, len(q.Proofs))
		}
	}
	for i, token := range a.sessions {
		if in, err := s.Sessions.Read(ctx, token); err == nil {
			say("with token %d somebody is signed in as %s", i, in.Person)
		}
	}
	if keys, err := n.AllKeys(ctx); err == nil {
		say("keys %+v", keys)
	}
	if made, err := s.DB.KeyringBond(ctx); err == nil {
		say("the keyring is %+v", made)
	}
	if joined, err := v.Joins(ctx, a.case_); err == nil {
		for _, j := range joined {
			say("case %s is joined with %s by %s", j.Case, j.Other, j.By)
		}
	}
	if records, err := v.Records(ctx, a.case_); err == nil {
		for _, r := range records {
			say("record %s of %s is kept by %s for %s, findable %v", r.ID, r.Case, r.Agency, r.Recipient, r.Findable)
		}
	}
	if objects, err := v.Objects(ctx, a.document); err == nil {
		for _, o := range objects {
			say("page %d of %s is version %d, %x", o.Page, o.Record, o.Version, o.SHA256)
		}
	}
	for _, place := range a.places {
		if found, err := v.FindNumber(ctx, [][]byte{place}); err == nil {
			for _, r := range found {
				say("%s is found by number", r.ID)
			}
		}
	}
	for _, id := range []credentials.ID{a.identity, a.reply, a.card, a.cardOfTomorrow} {
		if d, err := c.Get(ctx, id); err == nil && (d.State == credentials.Active || d.State == credentials.Paused) {
			d.Sealed = nil
			facts := credentials.CardFacts{}
			if d.Card != nil {
				facts, d.Card = *d.Card, nil
			}
			say("%+v of card %+v is in use", d, facts)
		}
	}
	if numbers, err := c.Lists(ctx); err == nil {
		for _, number := range numbers {
			status, answers, err := c.Tokens(ctx, number)
			if err == nil {
				say("list %d is %s and %s", number, status, answers)
			}
			if entries, err := c.Entries(ctx, number); err == nil {
				slices.SortFunc(entries, func(x, y credentials.Entry) int { return int(x.Index) - int(y.Index) })
				say("list %d is going to be %v", number, entries)
			}
		}
	}
	if epochs, err := n.Epochs(ctx); err == nil {
		say("epochs %+v", epochs)
	}
	if r, err := n.Network(ctx); err == nil {
		say("network %+v", r)
	}
	if l, err := n.TrustList(ctx); err == nil {
		say("trust list %+v", l)
	}
	if l, number, err := n.NewestPack(ctx); err == nil {
		say("pack %d %+v", number, l)
	}
	return can
}

// tables reads the live schema: every table with its columns and its key.
type liveTable struct {
	name         string
	columns, key []string
	kinds        map[string]string
}

func (a *attacked) tables() (all []liveTable) {
	a.t.Helper()
	rows, err := a.db.QueryContext(a.t.Context(), "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
	a.ok(err)
	var names []string
	for rows.Next() {
		var name string
		a.ok(rows.Scan(&name))
		names = append(names, name)
	}
	a.ok(errors.Join(rows.Err(), rows.Close()))
	for _, name := range names {
		one := liveTable{name: name, kinds: map[string]string{}}
		rows, err := a.db.QueryContext(a.t.Context(), "SELECT name, type, pk FROM pragma_table_info('"+name+"')")
		a.ok(err)
		for rows.Next() {
			var column, kind string
			var key int
			a.ok(rows.Scan(&column, &kind, &key))
			one.columns, one.kinds[column] = append(one.columns, column), kind
			if key > 0 {
				one.key = append(one.key, column)
			}
		}
		a.ok(errors.Join(rows.Err(), rows.Close()))
		all = append(all, one)
	}
	return all
}

func (a *attacked) run(statement string, args ...any) error {
	_, err := a.db.ExecContext(a.t.Context(), statement, args...)
	return err
}

// keep copies every table aside, under a name of its own.
func (a *attacked) keep(name string) {
	a.t.Helper()
	for _, table := range a.tables() {
		if strings.Contains(table.name, "__") {
			continue
		}
		a.ok(a.run("CREATE TEMP TABLE " + table.name + "__" + name + " AS SELECT * FROM " + table.name))
	}
}

// putBack makes a table as it was when it was kept.
func (a *attacked) putBack(table, name string) {
	a.t.Helper()
	a.ok(a.run("DELETE FROM " + table))
	a.ok(a.run("INSERT INTO " + table + " SELECT * FROM " + table + "__" + name))
}

// strike runs an attack, looks what it allows and whether it is found, and undoes it.
func (a *attacked) strike(name string, table string, attack func() error) {
	a.t.Helper()
	defer a.undo(table)
	if err := attack(); err != nil {
		return // the database itself does not take it
	}
	if a.same(table) {
		return // it changed nothing
	}
	a.judge(name, tableClasses[table])
}

// same reports whether a table is as it was kept.
func (a *attacked) same(table string) bool {
	var n int
	a.ok(a.db.QueryRowContext(a.t.Context(), fmt.Sprintf(`SELECT (SELECT COUNT(*) FROM (SELECT * FROM %[1]s EXCEPT SELECT * FROM %[1]s__now))
		+ (SELECT COUNT(*) FROM (SELECT * FROM %[1]s__now EXCEPT SELECT * FROM %[1]s))`, table)).Scan(&n))
	return n == 0
}

func (a *attacked) undo(tables ...string) {
	a.t.Helper()
	for _, table := range tables {
		a.putBack(table, "now")
	}
}

// judge looks what is allowed now, in the process that runs and in one that begins,
// and who finds that something is wrong.
func (a *attacked) judge(name string, class rowClass) {
	a.t.Helper()
	ctx := a.t.Context()
	for can := range a.allowed(ctx, a.s) {
		if !a.before[can] {
			a.t.Errorf("%s: it is believed: %.150s", name, can)
		}
	}
	if class != authority && class != logged {
		return
	}
	if class == authority {
		if a.s.CheckRows(ctx) == nil {
			a.t.Errorf("%s: the service does not find it", name)
			return // and would publish
		}
		if _, err := a.s.Board.Publish(ctx, service.Console, false); err == nil {
			a.t.Errorf("%s: it is published", name)
		}
	}
	if !a.found() {
		a.t.Errorf("%s: fsck does not find it", name)
	}
}

func (a *attacked) found() bool {
	found, err := doctor.Check(a.t.Context(), a.s, true)
	return err != nil || len(found.Problems) > 0
}

// other is a value that is not the one that stands there.
func (a *attacked) otherValue(table liveTable, column, where string) []string {
	value := fmt.Sprintf("(SELECT %[2]s FROM %[1]s WHERE %[2]s IS NOT (SELECT %[2]s FROM %[1]s WHERE %[3]s) LIMIT 1)", table.name, column, where)
	switch kind := strings.ToUpper(table.kinds[column]); kind {
	case "BOOLEAN":
		return []string{"NOT " + column}
	case "INTEGER", "BIGINT":
		return []string{column + " + 1", column + " - 1", "COALESCE(" + column + ", 0)", "NULL", value}
	case "BLOB":
		return []string{"CAST(X'00' || " + column + " AS BLOB)", "NULL", "zeroblob(COALESCE(length(" + column + "), 0) + 1)", value}
	default:
		return []string{"'active'", "'x' || " + column, "NULL", value}
	}
}

// TestRows is hostile cases 75 and 80. It attacks every table of a database without a key: each column of some rows
// is changed, rows are added, removed, and put back as they were before. Nothing more
// is allowed than before, and each attack on what grants something is found.
func TestRows(t *testing.T) {
	a := newAttacked(t)
	a.begin()
	a.keep("then")
	a.endEverything()
	a.begin()
	a.keep("now")
	ctx := t.Context()
	a.before = a.allowed(ctx, a.s)
	if err := a.s.CheckRows(ctx); err != nil {
		t.Fatal("before any attack:", err)
	}
	if found, err := doctor.Check(ctx, a.s, true); err != nil || len(found.Problems) > 0 {
		t.Fatalf("before any attack: %v, %q", err, found.Problems)
	}
	for _, table := range a.tables() {
		_, known := tableClasses[table.name]
		if !known {
			t.Errorf("%s is in no class: say in tableClasses and docs/threat-model.md what its rows allow", table.name)
			continue
		}
		if table.name == "goose_db_version" {
			continue
		}
		t.Run(table.name, func(t *testing.T) {
			a := *a
			a.t = t
			a.attackTable(table)
		})
	}
}

func (a *attacked) attackTable(table liveTable) {
	var rows []string
	// By its key: a table by keyed hashes has no other numbers.
	its := "'rowid = ' || rowid"
	if len(table.key) > 0 {
		parts := make([]string, len(table.key))
		for i, column := range table.key {
			parts[i] = "'" + column + " = ' || quote(" + column + ")"
		}
		its = strings.Join(parts, " || ' AND ' || ")
	}
	which := ""
	if says := bare[table.name]; says != "" {
		which = " WHERE NOT (" + says + ")"
	}
	found, err := a.db.QueryContext(a.t.Context(), "SELECT "+its+" FROM "+table.name+which+" ORDER BY 1")
	a.ok(err)
	for found.Next() {
		var id string
		a.ok(found.Scan(&id))
		rows = append(rows, id)
	}
	a.ok(errors.Join(found.Err(), found.Close()))
	if len(rows) == 0 {
		if tableClasses[table.name] == authority {
			a.t.Errorf("no row to attack")
		}
		return
	}
	if len(rows) > 3 {
		rows = []string{rows[0], rows[len(rows)/2], rows[len(rows)-1]}
	}
	for _, where := range rows {
		for _, column := range table.columns {
			if loose[table.name+"."+column] != "" {
				continue
			}
			for _, value := range a.otherValue(table, column, where) {
				a.strike(fmt.Sprintf("%s of row %s becomes %s", column, where, value), table.name, func() error {
					return a.run("UPDATE " + table.name + " SET " + column + " = " + value + " WHERE " + where)
				})
			}
		}
		a.strike(fmt.Sprintf("row %s is copied", where), table.name, func() error { return a.copyRow(table, where) })
		if !slices.Contains(mayGo, table.name) {
			a.strike(fmt.Sprintf("row %s is removed", where), table.name, func() error { return a.run("DELETE FROM " + table.name + " WHERE " + where) })
		}
	}
	if slices.Contains(mayGo, table.name) {
		return
	}
	a.strike("all rows are removed", table.name, func() error { return a.run("DELETE FROM " + table.name) })
	a.strike("all rows are as they were", table.name, func() error { a.putBack(table.name, "then"); return nil })
	for _, column := range table.key {
		a.strike("each row as it was, by "+column, table.name, func() error {
			return a.run(fmt.Sprintf("INSERT OR REPLACE INTO %[1]s SELECT * FROM %[1]s__then", table.name))
		})
	}
}

// copyRow adds a row with another key and otherwise the same.
func (a *attacked) copyRow(table liveTable, where string) error {
	values := make([]string, len(table.columns))
	for i, column := range table.columns {
		values[i] = column
		if !slices.Contains(table.key, column) {
			continue
		}
		switch strings.ToUpper(table.kinds[column]) {
		case "INTEGER", "BIGINT":
			values[i] = column + " + 1000"
		case "BLOB":
			values[i] = "randomblob(16)"
		default:
			values[i] = "lower(hex(randomblob(16)))"
		}
	}
	return a.run(fmt.Sprintf("INSERT INTO %[1]s SELECT %[2]s FROM %[1]s WHERE %[3]s", table.name, strings.Join(values, ", "), where))
}

// TestShortLivedRows: what losing a row allows that has no seal stands in a table of the
// threat model, for every table that is there and for no other.
func TestShortLivedRows(t *testing.T) {
	data, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "| table | losing or changing a row allows |\n")
	told := map[string]bool{}
	for line := range strings.Lines(rest) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			break
		}
		of := strings.Contains(cells[1], " of ")
		for i, name := range strings.Split(cells[1], "`") {
			if i%2 == 1 && !of {
				told[name] = true
			}
		}
	}
	for table, class := range tableClasses {
		unsealed := class == counter || class == derived
		if unsealed != told[table] {
			t.Errorf("%s is %s, and the table of the threat model has it: %v", table, class, told[table])
		}
		delete(told, table)
	}
	for table := range told {
		t.Errorf("the table of the threat model has %s, which is no table", table)
	}
}

// TestRowsWithoutSeals: seals that were all taken away are not made anew by whoever
// opens the network next.
func TestRowsWithoutSeals(t *testing.T) {
	a := newAttacked(t)
	a.ok(errors.Join(a.s.Close(), a.run("DELETE FROM heads"), a.run("DELETE FROM head_count")))
	for name, open := range map[string]func(context.Context, service.Config) (*service.Service, error){"serve": service.Open, "look": service.Look} {
		s, err := open(t.Context(), a.cfg)
		if err == nil {
			_ = s.Close()
		}
		if untrue, ok := errors.AsType[*sqlstore.SealError](err); !ok || untrue.Table != "head_count" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDatabasePutBack is hostile case 76 of the whole database, put back while nothing
// runs. Every seal in it holds: what is written down outside of it tells. Nobody opens it,
// and every check says why and what to do.
func TestDatabasePutBack(t *testing.T) {
	a := newAttacked(t)
	database := filepath.Join(a.cfg.Dir, config.DatabaseName)
	reopen := func() {
		t.Helper()
		var err error
		a.s, err = service.Open(t.Context(), a.cfg)
		a.ok(err)
	}
	a.ok(errors.Join(a.s.Close(), a.db.Close()))
	yesterday, err := os.ReadFile(database)
	a.ok(err)
	reopen()
	a.house = a.house.At(t, a.s.People, a.s.Passkeys)
	a.house.Do(changes.DoSuspendAgency, "", &changes.SuspendAgency{ID: a.other.Agency}, a.house.First)
	a.ok(a.s.Close())
	reopen() // and nothing is published since
	a.ok(a.s.Close())
	a.ok(os.WriteFile(database, yesterday, 0o600))
	phrase := filepath.Join(t.TempDir(), "passphrase")
	a.ok(os.WriteFile(phrase, []byte(a.cfg.Passphrase), 0o600))
	folder := config.Folder{Dir: a.cfg.Dir, PassphraseFile: phrase}

	if _, err = service.Open(t.Context(), a.cfg); err == nil || !strings.Contains(err.Error(), "older copy") {
		t.Errorf("serve: %v", err)
	}
	found, err := doctor.Fsck(t.Context(), folder)
	if err != nil || len(found.Problems) != 1 || !strings.Contains(found.Problems[0], "older copy") {
		t.Errorf("fsck: %v, %q", err, found.Problems)
	}
	report, err := doctor.VerifyLog(t.Context(), folder)
	if err != nil || len(report.Problems) > 0 || len(report.RowProblems) != 1 || !strings.Contains(report.RowProblems[0], "older copy") {
		t.Errorf("log verify: %v, %q, %q", err, report.Problems, report.RowProblems)
	}
	faults := 0
	for _, f := range doctor.Examine(t.Context(), folder, rowsNow) {
		if strings.Contains(f.Found, "older copy") {
			faults++
		}
	}
	if faults != 1 {
		t.Errorf("doctor says it %d times", faults)
	}
}

// TestPutBackWhileItRuns is hostile case 76 while somebody serves: the database is put
// back under a process that knows better. To stop and start it makes nobody forget.
func TestPutBackWhileItRuns(t *testing.T) {
	refused := func(t *testing.T, a *attacked, want string) {
		t.Helper()
		for name, open := range map[string]func(context.Context, service.Config) (*service.Service, error){"Open": service.Open, "Look": service.Look} {
			s, err := open(t.Context(), a.cfg)
			if err == nil {
				_ = s.Close()
			}
			if old, ok := errors.AsType[*service.PutBackError](err); !ok || !strings.Contains(old.Found, want) || old.Do == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	t.Run("all of it", func(t *testing.T) {
		a := newAttacked(t)
		a.keep("then")
		a.house.Do(changes.DoSuspendAgency, "", &changes.SuspendAgency{ID: a.other.Agency}, a.house.First)
		for _, table := range a.tables() {
			if !strings.Contains(table.name, "__") {
				a.putBack(table.name, "then")
			}
		}
		if a.s.CheckRows(t.Context()) == nil {
			t.Error("nothing is found while it runs")
		}
		a.ok(a.s.Close())
		refused(t, a, "an older copy")
	})
	t.Run("a row", func(t *testing.T) {
		a := newAttacked(t)
		a.keep("now")
		a.ok(a.run("DELETE FROM names"))
		if a.s.CheckRows(t.Context()) == nil {
			t.Error("nothing is found while it runs")
		}
		a.ok(a.s.Close())
		refused(t, a, "names")
		a.undo("names")
		for range 2 { // and the second knows nothing of it
			s, err := service.Open(t.Context(), a.cfg)
			a.ok(err)
			kept, err := s.Offsite.Rows(t.Context())
			if a.ok(err); kept.Untrue {
				t.Error("what holds again is still called untrue")
			}
			a.ok(s.Close())
		}
	})
	t.Run("what takes away, at once", func(t *testing.T) {
		a := newAttacked(t)
		standsOutside := func(what string) {
			t.Helper()
			kept, err := a.s.Offsite.Rows(t.Context())
			a.ok(err)
			if number, err := a.s.DB.Counted(t.Context()); err != nil || kept.Number != number {
				t.Errorf("%s: %d of %d stands outside, %v", what, kept.Number, number, err)
			}
		}
		_, err := a.s.Issuer.ChangeCard(t.Context(), a.ngo, a.card, credentials.Withdraw, credentials.ReasonOther, randomHex(16))
		a.ok(err)
		standsOutside("withdrawn")
		a.ok(a.s.Sessions.End(t.Context(), a.sessions[0]))
		standsOutside("signed out")
		a.ok(a.s.People.Withdraw(t.Context(), a.house.Actor(a.house.First), a.requests[0]))
		standsOutside("taken back")
		a.ok(a.s.EndMember(t.Context(), a.house.First))
		standsOutside("removed")
	})
}

// TestRowsPutBack is hostile case 75 of rows that were true once. It puts rows back together with the seals over them: everything about
// one case, about a block of places, about the network, and all of it. Only the
// numbers tell.
func TestRowsPutBack(t *testing.T) {
	a := newAttacked(t)
	a.keep("then")
	a.endEverything()
	a.keep("now")
	a.before = a.allowed(t.Context(), a.s)
	tables := slices.DeleteFunc(slices.Sorted(maps.Keys(tableClasses)), func(table string) bool { return tableClasses[table] != authority })
	heads := func(which string) error {
		return errors.Join(a.run("DELETE FROM heads WHERE "+which), a.run("INSERT INTO heads SELECT * FROM heads__then WHERE "+which))
	}
	for _, c := range []struct {
		name   string
		attack func() error
	}{
		{"a case and its head", func() error {
			for _, table := range tables {
				if !strings.HasPrefix(table, "head") {
					a.putBack(table, "then")
				}
			}
			return heads("subject LIKE 'case/%'")
		}},
		{"everything and all heads", func() error {
			for _, table := range tables {
				if table != "head_count" {
					a.putBack(table, "then")
				}
			}
			return nil
		}},
		{"everything and the count", func() error {
			for _, table := range tables {
				a.putBack(table, "then")
			}
			return nil
		}},
		{"the network and its head", func() error {
			for _, table := range []string{"network", "epochs", "packs"} {
				a.putBack(table, "then")
			}
			return heads("subject = 'network'")
		}},
		{"the lists and their heads", func() error {
			for _, table := range []string{"status_lists", "status_entries"} {
				a.putBack(table, "then")
			}
			return heads("subject LIKE 'list%'")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := *a
			a.t = t
			defer a.undo(tables...)
			a.ok(c.attack())
			a.judge(c.name, authority)
		})
	}
}
