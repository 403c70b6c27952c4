package signer_test

import (
	"crypto"
	"crypto/rand"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// later moves the clock of the tests that have one, until the end of this one.
func later(t *testing.T) func(time.Duration) {
	t.Helper()
	start := now
	t.Cleanup(func() { now = start })
	return func(d time.Duration) { now = now.Add(d) }
}

// dated has something done as if it were another time for whoever asks, and not for the
// signer.
func dated[T any](g *guarded, on time.Time, do func() T) T {
	today := now
	clock := g.clock
	g.clock = func() time.Time { return today }
	now = on
	defer func() { now, g.clock = today, clock }()
	return do()
}

// TestBackdatedLists: a list of today with the date of before brings back neither an act
// that was used nor a reply that is over.
func TestBackdatedLists(t *testing.T) {
	wait := later(t)
	g := withPeople(t)
	sitis := g.printed(g.about(siti), 7, "ETH")
	reply := g.replied(g.about(siti), 1, 1, nil)
	paused := map[int]uint8{7: statuslist.Suspended}
	list := func(address string, values map[int]uint8, reasons ...approval.Change) string {
		t.Helper()
		l, err := g.listFor(address, values, reasons...)
		allowed(t, "an honest list", err)
		return l
	}
	allowed(t, "the first pack", g.pack(1, list(statusAt, paused), ""))
	r := roster.Resume{Case: siti, Of: strings.Repeat("0f", 16), Kind: "card", Places: []roster.Place{{List: 1, Index: 7}}, Order: make([]byte, 32)}
	a, err := approval.New(netID, roster.DoResume, mine, "", r, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	act, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	reason := approval.Change{List: 1, Index: 7, Card: sitis, Act: act}
	answer := approval.Change{List: 1, Index: 7, Card: sitis, Reply: reply}
	allowed(t, "in use again", g.pack(2, list(statusAt, nil, reason), ""))
	allowed(t, "paused again", g.pack(3, list(statusAt, paused), ""))

	start := now
	at := func(on time.Time, address string, values map[int]uint8, reason approval.Change) error {
		t.Helper()
		return dated(g, on, func() error { _, err := g.listFor(address, values, reason); return err })
	}
	wait(200 * 24 * time.Hour)
	allowed(t, "half a year on", g.pack(4, list(statusAt, paused), ""))
	refused(t, "the act of before, dated back", at(start, statusAt, nil, reason))
	refused(t, "the act of before, dated back by an hour", at(now.Add(-time.Hour), statusAt, nil, reason))
	refused(t, "the reply of before, dated back", at(start, answersAt, map[int]uint8{7: confirmed}, answer))
	refused(t, "a list that says nothing new, dated back", at(now.Add(-7*time.Hour), statusAt, paused, approval.Change{}))
	allowed(t, "a list of some hours ago", at(now.Add(-5*time.Hour), statusAt, paused, approval.Change{}))
	refused(t, "a pack dated back", dated(g, now.Add(-7*time.Hour), func() error { return g.pack(5, "", "") }))
	refused(t, "a trust list dated back", dated(g, now.Add(-7*time.Hour), func() error {
		l := g.trustList(1)
		_, err := l.Sign(g.key(g.Trust))
		return err
	}))

	_, recipient, err := verifier.NewDevice(netID, other, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = verifier.Envelope{
		Network: netID, Device: other, Sequence: 1, IssuedAt: now.Add(-7 * time.Hour).Unix(), LeaseUntil: now.Add(time.Hour).Unix(),
	}.Seal(verifier.EpochKeys{}, recipient, g.key(g.Pack))
	refused(t, "an envelope dated back", err)
}

// TestReplyOver: hours matter for what is over.
func TestReplyOver(t *testing.T) {
	wait := later(t)
	g := withPeople(t)
	sitis := g.printed(g.about(siti), 7, "ETH")
	reply := g.replied(g.about(siti), 1, 1, func(said map[string]any) { said["exp"] = now.Add(24 * time.Hour).Unix() })
	first, err := g.listFor(statusAt, nil)
	allowed(t, "the list of the reply", err)
	allowed(t, "its pack", g.pack(1, first, ""))
	wait(25 * time.Hour)
	refused(t, "a reply that is over, dated back by less than lists may be", dated(g, now.Add(-2*time.Hour), func() error {
		_, err := g.listFor(answersAt, map[int]uint8{7: confirmed}, approval.Change{List: 1, Index: 7, Card: sitis, Reply: reply})
		return err
	}))
}

// TestDemoDates: a demonstration plays in the past, and goes forward in it.
func TestDemoDates(t *testing.T) {
	g := newGuarded(t)
	const site = "https://localhost"
	db, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "safeconduct.db"))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	t.Cleanup(func() { _ = db.Close() })
	must(storetest.Seal(t.Context(), db))
	of, err := passkey.At(site, "Made up", true)
	must(err)
	passkeys, err := passkey.New(of)
	must(err)
	all, err := people.New(people.Config{Store: db.People(), Checker: passkey.Checker{RelyingParty: passkeys}, Now: g.time})
	must(err)
	root, err := keystore.New(g.file).Root(t.Context())
	must(err)
	jwk, err := jws.MarshalKey(publicOf(root.Key))
	must(err)
	link, _ := all.NewLink()
	must(all.Found(t.Context(), netID, roster.Found{
		Root: jwk, First: people.NewPerson("", "operator-1", people.Operator), Link: link, Until: now.Add(roster.FoundingLife).Unix(), Format: roster.Format, Demo: true,
	}, func(message []byte) ([]byte, error) {
		return crypto.SignMessage(root.Key, rand.Reader, message, crypto.SHA256)
	}))
	judge, err := signer.NewJudge(t.Context(), signer.JudgeConfig{Keys: g.file, Dir: g.dir, Now: g.time})
	must(err)
	g.open(judge)
	changes, err := db.People().Changes(t.Context(), 0, 10)
	must(err)
	_, err = judge.Adopt(t.Context(), site, changes, false)
	must(err)

	list := func(ago time.Duration) (string, error) {
		return g.list(site+"/status-lists/1", nil, func(l *statuslist.Token) { l.IssuedAt, l.Expires = now.Add(-ago), now.Add(time.Hour-ago) })
	}
	pack := func(number uint64, ago time.Duration) error {
		return dated(g, now.Add(-ago), func() error { return g.pack(number, "", "") })
	}
	_, err = list(100 * time.Hour)
	allowed(t, "four days ago", err)
	allowed(t, "its pack", pack(1, 100*time.Hour))
	allowed(t, "two days ago", pack(2, 48*time.Hour))
	refused(t, "three days ago", pack(3, 72*time.Hour))
	_, err = list(72 * time.Hour)
	refused(t, "a list of three days ago", err)
	g.open(judge)
	refused(t, "three days ago, started anew", pack(3, 72*time.Hour))
	allowed(t, "today", pack(3, 0))
}

// TestNumbers: nobody has the highest number signed, after which every other is refused.
func TestNumbers(t *testing.T) {
	for what, sign := range map[string]func(g *guarded, number uint64) error{
		"trust list": func(g *guarded, number uint64) error {
			l := g.trustList(number)
			_, err := l.Sign(g.key(g.Trust))
			return err
		},
		"log": func(g *guarded, size uint64) error {
			origin := "safeconduct/" + netID
			if size > 1<<20 && size < 1<<24 {
				origin += "/0a0b0c0d" // a log begins anew after a restore
			}
			return g.signLog(fmt.Sprintf("%s\n%d\n%s=\n", origin, size, strings.Repeat("A", 43)), nil)
		},
		"pack": func(g *guarded, number uint64) error { return g.pack(number, "", "") },
	} {
		t.Run(what, func(t *testing.T) {
			g := newGuarded(t) // of its own: a trust list may go on behind the packs
			refused(t, "the first", sign(g, 1<<32))
			refused(t, "the last there is", sign(g, math.MaxInt64))
			allowed(t, "an honest first", sign(g, 12))
			refused(t, "far ahead", sign(g, 13+1<<24))
			refused(t, "the last there is", sign(g, math.MaxInt64))
			allowed(t, "after a restore", sign(g, 12+1<<20+1<<16))
		})
	}
}

// TestNothingTakenBack: what a trust list said of a key that was revoked or stolen, and a
// pack of an epoch that was burned, is said for good.
func TestNothingTakenBack(t *testing.T) {
	g := newGuarded(t)
	number := uint64(0)
	trust := func(edit func(*verifier.AgencyKey)) error {
		number++
		l := g.trustList(number)
		edit(&l.Agencies[0].Keys[0])
		return g.published(l)
	}
	pack := func(burned ...uint32) error {
		number++
		_, err := g.packed(verifier.PackStatement{Sequence: number, Burned: burned}, g.names(), g.names())
		return err
	}
	left := func(at time.Time, logged ...string) func(k *verifier.AgencyKey) {
		return func(k *verifier.AgencyKey) {
			k.Compromised = &verifier.Compromise{At: at.Unix(), Logged: append([]string{}, logged...)}
		}
	}
	const one, two, three = "0011223344556677", "1011223344556677", "2011223344556677"
	stolen := left(now.Add(-2*time.Hour), one)
	allowed(t, "a key", trust(func(*verifier.AgencyKey) {}))
	refused(t, "that began earlier", trust(func(k *verifier.AgencyKey) { k.From = 1 }))
	refused(t, "that ends later", trust(func(k *verifier.AgencyKey) { k.To += 1e8 }))
	refused(t, "a stolen key, of which what was logged is not sorted", trust(left(now, three, two, one)))
	allowed(t, "a stolen key", trust(left(now, one, two)))
	refused(t, "of which more was logged", trust(left(now, one, two, three)))
	refused(t, "of which something else was logged", trust(left(now, one, three)))
	refused(t, "that was stolen later", trust(left(now.Add(time.Second), one, two)))
	allowed(t, "that was stolen earlier", trust(left(now.Add(-time.Hour), one, two)))
	allowed(t, "of which less was logged", trust(stolen))
	g.open(nil)
	refused(t, "of which as much was logged as before, started anew", trust(left(now.Add(-2*time.Hour), one, two)))
	allowed(t, "the same again", trust(stolen))
	refused(t, "that is clean again", trust(func(*verifier.AgencyKey) {}))
	g.open(nil)
	refused(t, "that is clean again, started anew", trust(func(*verifier.AgencyKey) {}))
	allowed(t, "that is revoked as well", trust(func(k *verifier.AgencyKey) { stolen(k); k.Revoked = true }))
	refused(t, "that is revoked no more", trust(stolen))

	allowed(t, "a burned epoch", pack(1))
	allowed(t, "another one", pack(1, 2))
	refused(t, "one of them alone", pack(2))
	g.open(nil)
	refused(t, "none of them, started anew", pack())
	allowed(t, "both", pack(2, 1))
}
