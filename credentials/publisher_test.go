package credentials_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/mask"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

// desk is a publisher over a real database, and a reader of what it published.
type desk struct {
	*testing.T
	w         *world
	publisher *credentials.Publisher
	changes   int
	key       *ecdsa.PrivateKey
	seen      map[uint16][2][]uint8 // both lists, as they were published last
}

func newDesk(t *testing.T, w *world, changes int, random io.Reader) *desk {
	t.Helper()
	d := &desk{T: t, w: w, changes: changes, seen: map[uint16][2][]uint8{}}
	var err error
	if d.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if d.publisher, err = credentials.NewPublisher(credentials.PublisherConfig{
		Store: w.store, Decoys: w.agencies.Decoys, StatusLists: statusLists, AnswersLists: answersLists, Changes: changes, Rand: random,
		Signer: func(context.Context) (string, crypto.Signer, error) { return "status-key", d.key, nil },
		Now:    func() time.Time { return w.clock },
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.OpenList(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// window publishes, and reads every list as a stranger does. It returns which
// entries of each list changed.
func (d *desk) window(want credentials.Published, w credentials.Window) (status, answers map[uint16][]int) {
	d.Helper()
	d.w.clock = d.w.clock.Add(time.Hour + 300*time.Millisecond)
	got, err := d.publisher.Publish(d.Context(), audit.Actor{ID: "service"}, w)
	if err != nil {
		d.Fatal(err)
	}
	if got != want {
		d.Errorf("window: got %+v, want %+v", got, want)
	}
	lists, err := d.w.store.Lists(d.Context())
	if err != nil {
		d.Fatal(err)
	}
	status, answers = map[uint16][]int{}, map[uint16][]int{}
	for _, n := range lists {
		s, a, err := d.w.store.Tokens(d.Context(), n)
		if err != nil {
			d.Fatal(err)
		}
		now := [2][]uint8{d.read(statusLists, n, s), d.read(answersLists, n, a)}
		before, ok := d.seen[n]
		if !ok {
			before = [2][]uint8{make([]uint8, statuslist.Entries), make([]uint8, statuslist.Entries)}
		}
		status[n], answers[n] = differ(before[0], now[0]), differ(before[1], now[1])
		d.seen[n] = now
		d.sameAsStored(n)
	}
	return status, answers
}

func (d *desk) read(base string, n uint16, token string) []uint8 {
	d.Helper()
	uri := base + string('0'+rune(n))
	parsed, err := statuslist.Parse(token, uri, statuslist.Entries, func(kid string) *ecdsa.PublicKey {
		if kid != "status-key" {
			return nil
		}
		return &d.key.PublicKey
	})
	if err != nil {
		d.Fatal(err)
	}
	issued := d.w.clock.Truncate(time.Second)
	if !parsed.IssuedAt.Equal(issued) || !parsed.Expires.Equal(issued.Add(72*time.Hour)) || parsed.TTL != 6*time.Hour {
		d.Error("another time in the token")
	}
	if parsed.List.Bits() != 2 || parsed.List.Len() != statuslist.Entries {
		d.Error("another shape of list")
	}
	values := make([]uint8, statuslist.Entries)
	for i := range values {
		if values[i], err = parsed.List.Get(i); err != nil {
			d.Fatal(err)
		}
	}
	return values
}

// piece is how many entries of a list are compared at once: nearly all are alike.
const piece = 4096

func differ(a, b []uint8) (at []int) {
	for from := 0; from < len(a); from += piece {
		if bytes.Equal(a[from:from+piece], b[from:from+piece]) {
			continue
		}
		for i := from; i < from+piece; i++ {
			if a[i] != b[i] {
				at = append(at, i)
			}
		}
	}
	return at
}

// sameAsStored fails unless the database says of every entry what was
// published, and nothing else was.
func (d *desk) sameAsStored(n uint16) {
	d.Helper()
	entries, err := d.w.store.Entries(d.Context(), n)
	if err != nil {
		d.Fatal(err)
	}
	known := make([]bool, statuslist.Entries)
	for _, e := range entries {
		known[e.Index] = true
		if got := (credentials.Entry{PublishedStatus: d.seen[n][0][e.Index], PublishedAnswer: d.seen[n][1][e.Index]}); got.PublishedStatus != e.PublishedStatus || got.PublishedAnswer != e.PublishedAnswer {
			d.Errorf("the token says %d and %d, the database %d and %d", got.PublishedStatus, got.PublishedAnswer, e.PublishedStatus, e.PublishedAnswer)
		}
		if e.Decoy && (e.WantedStatus != e.PublishedStatus || e.WantedAnswer != e.PublishedAnswer) {
			d.Error("a decoy is wanted to be something else")
		}
	}
	nothing := make([]uint8, statuslist.Entries)
	for _, published := range d.seen[n] {
		for _, i := range differ(nothing, published) {
			if !known[i] {
				d.Errorf("index %d is published and in no record", i)
			}
		}
	}
}

// changed fails unless each list changed in so many places.
func (d *desk) changed(what string, lists map[uint16][]int, want int) {
	d.Helper()
	for n, at := range lists {
		if len(at) != want {
			d.Errorf("%s: %d entries of list %d changed, want %d", what, len(at), n, want)
		}
	}
}

// shows fails unless the lists show a record so.
func (d *desk) shows(what string, r credentials.Issued, status, answer uint8) {
	d.Helper()
	if got := d.seen[r.List][0][r.Index]; got != status {
		d.Errorf("%s: status %d, want %d", what, got, status)
	}
	if got := d.seen[r.List][1][r.Index]; got != answer {
		d.Errorf("%s: answer %d, want %d", what, got, answer)
	}
}

func TestPublish(t *testing.T) {
	w := newWorld(t)
	d := newDesk(t, w, 8, nil)
	caseID := w.cases.open(w.house)
	none := credentials.Published{Lists: 1}

	// Nothing happened, and it looks as always.
	status, answers := d.window(none, credentials.Window{})
	d.changed("an empty window, status", status, 8)
	d.changed("an empty window, answers", answers, 8)

	var all []credentials.Issued
	for range 10 {
		all = append(all, w.screening(t, w.house, caseID).Issued)
	}
	status, _ = d.window(none, credentials.Window{})
	d.changed("issuing changes nothing", status, 8)

	// 0→2→0, 0→1, 0→2→1, 0→3.
	w.set(t, w.house, all[0].ID, credentials.Pause)
	w.set(t, w.house, all[1].ID, credentials.Withdraw)
	w.set(t, w.house, all[2].ID, credentials.Pause)
	w.issue(t, w.house, credentials.Order{Case: caseID, Replaces: all[3].ID, Claims: sample("screening-least")})
	d.shows("before the window", all[1], statuslist.Valid, 0)
	status, answers = d.window(credentials.Published{Lists: 1, Changed: 4}, credentials.Window{})
	d.changed("four changes, status", status, 8)
	d.changed("four changes, answers", answers, 8)
	d.shows("paused", all[0], statuslist.Suspended, 0)
	d.shows("withdrawn", all[1], statuslist.Invalid, 0)
	d.shows("replaced", all[3], statuslist.Replaced, 0)
	d.shows("untouched", all[4], statuslist.Valid, 0)
	w.set(t, w.house, all[0].ID, credentials.Resume)
	w.set(t, w.house, all[2].ID, credentials.Withdraw)
	status, _ = d.window(credentials.Published{Lists: 1, Changed: 2}, credentials.Window{})
	d.changed("two changes", status, 8)
	d.shows("resumed", all[0], statuslist.Valid, 0)
	d.shows("paused, then withdrawn", all[2], statuslist.Invalid, 0)

	// Back and forth between two windows is nothing.
	w.set(t, w.house, all[0].ID, credentials.Pause)
	w.set(t, w.house, all[0].ID, credentials.Resume)
	d.window(none, credentials.Window{})

	// Who was published, and when, is in the log without a case.
	entries, err := w.db.Log().Entries(t.Context())
	if err != nil || len(entries) != 5 {
		t.Errorf("%d windows in the log, want 5: %v", len(entries), err)
	}
}

// TestPublishQueue has more changes than a window takes.
func TestPublishQueue(t *testing.T) {
	w := newWorld(t)
	d := newDesk(t, w, 3, nil)
	caseID := w.cases.open(w.house)
	var all []credentials.Issued
	for range 12 {
		all = append(all, w.screening(t, w.house, caseID).Issued)
	}
	for _, s := range all {
		w.set(t, w.house, s.ID, credentials.Withdraw)
	}
	for i, want := range []credentials.Published{{Lists: 1, Changed: 3, Waiting: 9}, {Lists: 1, Changed: 3, Waiting: 6}} {
		status, answers := d.window(want, credentials.Window{})
		d.changed("status", status, 3)
		d.changed("answers", answers, 3)
		for k, s := range all {
			shown := uint8(0)
			if k < 3*(i+1) {
				shown = statuslist.Invalid // who waits longest comes first
			}
			d.shows("queue", s, shown, 0)
		}
	}
	status, answers := d.window(credentials.Published{Lists: 1, Changed: 6}, credentials.Window{Emergency: true})
	d.changed("emergency, status", status, 6)
	d.changed("emergency, answers", answers, 3)
	for _, s := range all {
		d.shows("after the emergency", s, statuslist.Invalid, 0)
	}
	d.window(credentials.Published{Lists: 1}, credentials.Window{})
}

// TestPublishUrgent: whoever pauses much keeps no withdrawal waiting, whoever was first.
func TestPublishUrgent(t *testing.T) {
	w := newWorld(t)
	d := newDesk(t, w, 2, nil)
	caseID := w.cases.open(w.house)
	var paused []credentials.Issued
	for range 5 {
		paused = append(paused, w.screening(t, w.house, caseID).Issued)
	}
	last := w.screening(t, w.house, caseID).Issued
	for _, s := range paused {
		w.set(t, w.house, s.ID, credentials.Pause)
	}
	w.set(t, w.house, last.ID, credentials.Withdraw)
	d.window(credentials.Published{Lists: 1, Changed: 2, Waiting: 4}, credentials.Window{})
	d.shows("withdrawn last", last, statuslist.Invalid, 0)
	d.shows("paused first", paused[0], statuslist.Suspended, 0)
	d.shows("paused next", paused[1], statuslist.Valid, 0)

	// Nor an end of a pause: two are paused before each window, and it has its turn.
	d.window(credentials.Published{Lists: 1, Changed: 4}, credentials.Window{Emergency: true})
	w.set(t, w.house, paused[0].ID, credentials.Resume)
	for _, s := range []credentials.Issued{w.screening(t, w.house, caseID).Issued, w.screening(t, w.house, caseID).Issued} {
		w.set(t, w.house, s.ID, credentials.Pause)
	}
	d.window(credentials.Published{Lists: 1, Changed: 2, Waiting: 1}, credentials.Window{})
	d.shows("resumed first", paused[0], statuslist.Valid, 0)
}

// TestPublishAnswers puts an answer for a card into the other list.
func TestPublishAnswers(t *testing.T) {
	w := newWorld(t)
	d := newDesk(t, w, 4, nil)
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	c := w.card(t, w.house, cardOrder(caseID, s.ID))
	r := w.issue(t, w.ethiopia, credentials.Order{About: s.ID, Claims: reply("ETH", "matched")})
	status, answers := d.window(credentials.Published{Lists: 1, Changed: 1}, credentials.Window{})
	d.changed("status", status, 4)
	d.changed("answers", answers, 4)
	d.shows("answered", c.Issued, statuslist.Valid, credentials.AnswerMission)
	w.set(t, w.ethiopia, r.ID, credentials.Withdraw)
	w.set(t, w.house, c.ID, credentials.Pause)
	status, answers = d.window(credentials.Published{Lists: 1, Changed: 2}, credentials.Window{})
	d.changed("status", status, 4)
	d.changed("answers", answers, 4)
	d.shows("taken back and paused", c.Issued, statuslist.Suspended, credentials.AnswerNone)
}

// TestDecoys looks at many windows from inside and from outside: what decoys
// do, and that they and the real entries never meet.
func TestDecoys(t *testing.T) {
	w := newWorld(t)
	d := newDesk(t, w, 60, nil)
	caseID := w.cases.open(w.house)
	real := map[uint32]bool{}
	moves := [2]map[[2]uint8]int{{}, {}}
	inBoth := 0
	for range 12 {
		for range 3 {
			real[w.screening(t, w.house, caseID).Index] = true
		}
		before := d.seen[0]
		status, answers := d.window(credentials.Published{Lists: 1}, credentials.Window{})
		d.changed("status", status, 60)
		d.changed("answers", answers, 60)
		for k, at := range [2][]int{status[0], answers[0]} {
			for _, i := range at {
				if real[uint32(i)] {
					t.Error("a decoy sits on a real index")
				}
				from := uint8(0)
				if before[k] != nil {
					from = before[k][i]
				}
				moves[k][[2]uint8{from, d.seen[0][k][i]}]++
			}
		}
		for _, i := range differ(make([]uint8, statuslist.Entries), d.seen[0][0]) {
			if d.seen[0][1][i] != 0 {
				inBoth++
			}
		}
	}
	// Every way that is not rare was taken, and none that is no way of a real
	// entry.
	for k, ways := range [2]struct{ often, seldom [][2]uint8 }{
		{[][2]uint8{{0, 1}, {0, 2}, {0, 3}, {2, 0}, {2, 1}}, [][2]uint8{{2, 3}}},
		{[][2]uint8{{0, 1}, {0, 3}, {1, 0}}, [][2]uint8{{1, 3}, {3, 0}, {3, 1}}},
	} {
		for m := range moves[k] {
			if !slices.Contains(ways.often, m) && !slices.Contains(ways.seldom, m) {
				t.Errorf("list %d: a decoy went %d→%d", k, m[0], m[1])
			}
		}
		for _, m := range ways.often {
			if moves[k][m] == 0 {
				t.Errorf("list %d: no decoy went %d→%d", k, m[0], m[1])
			}
		}
	}
	if inBoth == 0 {
		t.Error("no decoy stands in both lists, as cards do")
	}
	entries, err := w.store.Entries(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	decoys, may, caseID := 0, w.decoys(t, 0), w.cases.open(w.house)
	for _, e := range entries {
		if e.Decoy == real[e.Index] || e.Decoy != may.Has(e.Index) {
			t.Error("an index is both real and decoy, or neither")
		}
		if e.Decoy {
			decoys++
			draft := credentials.Issued{ID: credentials.ID(storetest.NewID()), Case: caseID, List: 0, Index: e.Index}
			if decoys < 20 {
				wantError(t, "reserve a decoy's index", w.store.Reserve(t.Context(), draft, nil), credentials.ErrIndexTaken)
			}
		}
	}
	if decoys >= 12*120 || decoys < 12*30 {
		t.Errorf("%d decoys after %d moves: old ones are used again, and new ones come", decoys, 12*120)
	}
}

// collides is randomness that is always the same: it asks for a new decoy, and for
// which one.
type collides struct {
	mu   sync.Mutex
	left int // answers of this kind; then real randomness
}

// wanted is what collides asks for; decoy is the one that it gets first.
const wanted = 4711

func (w *world) decoy(tb testing.TB) uint32 {
	tb.Helper()
	return w.decoys(tb, 0).All()[wanted]
}

func (w *world) decoys(tb testing.TB, list uint16) *mask.Decoys {
	tb.Helper()
	key, err := w.agencies.Decoys(tb.Context(), list)
	if err != nil {
		tb.Fatal(err)
	}
	d, err := mask.New(key)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func (c *collides) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		return rand.Read(p)
	}
	c.left--
	return binary.Encode(p, binary.BigEndian, uint32(wanted))
}

// snatching reserves an index after the publisher has read the list.
type snatching struct {
	credentials.Store
	once sync.Once
	take func()
}

func (s *snatching) Entries(ctx context.Context, n uint16) ([]credentials.Entry, error) {
	e, err := s.Store.Entries(ctx, n)
	s.once.Do(s.take)
	return e, err
}

// TestPublishMixesAgain reserves an index while a decoy is drawn for it, as no issuer
// does.
func TestPublishMixesAgain(t *testing.T) {
	w := newWorld(t)
	mine := credentials.Issued{ID: credentials.ID(storetest.NewID()), Kind: claims.KindScreening, Case: w.cases.open(w.house), Index: w.decoy(t)}
	s := &snatching{Store: w.db.Credentials(), take: func() {
		if err := w.db.Credentials().Reserve(t.Context(), mine, nil, storetest.Entry(t, "")); err != nil {
			t.Error(err)
		}
	}}
	w.store = s
	// The first draw says what to do, the second one which decoy: both the same.
	d := newDesk(t, w, 2, &collides{left: 2})
	status, answers := d.window(credentials.Published{Lists: 1}, credentials.Window{})
	d.changed("status", status, 2)
	d.changed("answers", answers, 2)
	d.shows("the one that was quicker", mine, statuslist.Valid, 0)
	if e := w.entry(t, mine); e.Decoy {
		t.Error("its index became a decoy")
	}
}

// TestDecoysOfOneWindow asks for the same decoy twice.
func TestDecoysOfOneWindow(t *testing.T) {
	w := newWorld(t)
	d := newDesk(t, w, 2, &collides{left: 4})
	status, answers := d.window(credentials.Published{Lists: 1}, credentials.Window{})
	d.changed("status", status, 2)
	d.changed("answers", answers, 2)
	if !slices.Contains(status[0], int(w.decoy(t))) {
		t.Error("the decoy was not drawn: this test proves nothing")
	}
}

func TestPublishFails(t *testing.T) {
	w := newWorld(t)
	boom := errors.New("boom")
	list, err := w.store.OpenList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := credentials.NewPublisher(credentials.PublisherConfig{
		Store: w.store, Decoys: w.agencies.Decoys, StatusLists: statusLists, AnswersLists: answersLists,
		Signer: func(context.Context) (string, crypto.Signer, error) { return "", nil, boom },
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Publish(t.Context(), audit.Actor{}, credentials.Window{})
	wantError(t, "no status key", err, boom)
	if e, err := w.store.Entries(t.Context(), list); err != nil || len(e) != 0 {
		t.Errorf("%d entries of a window that failed: %v", len(e), err)
	}
	for _, n := range []int{-1, 1 << 20} {
		if _, err := credentials.NewPublisher(credentials.PublisherConfig{
			Store: w.store, Decoys: w.agencies.Decoys, StatusLists: statusLists, AnswersLists: answersLists, Changes: n,
			Signer: func(context.Context) (string, crypto.Signer, error) { return "", nil, boom },
		}); err == nil {
			t.Errorf("a publisher with %d changes", n)
		}
	}
}

// TestPublishAtOnce publishes and issues together: the number of changes
// stays, and the tokens are what the database says.
func TestPublishAtOnce(t *testing.T) {
	w := newWorld(t)
	d := newDesk(t, w, 16, nil)
	caseID := w.cases.open(w.house)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := d.publisher.Publish(context.Background(), audit.Actor{ID: "service"}, credentials.Window{}); err != nil {
				t.Errorf("publish: %v", err)
			}
		})
		wg.Go(func() {
			for range 5 {
				if _, err := w.issuer.Issue(context.Background(), w.house, credentials.Order{Case: caseID, Claims: sample("identity-least")}); err != nil {
					t.Errorf("issue: %v", err)
				}
			}
		})
	}
	wg.Wait()
	s, a, err := w.store.Tokens(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	d.seen[0] = [2][]uint8{d.read(statusLists, 0, s), d.read(answersLists, 0, a)}
	d.sameAsStored(0)
	status, answers := d.window(credentials.Published{Lists: 1}, credentials.Window{})
	d.changed("status", status, 16)
	d.changed("answers", answers, 16)
}

func TestStatusOf(t *testing.T) {
	for s, want := range map[credentials.State]uint8{
		credentials.Active: 0, credentials.Withdrawn: 1, credentials.Abandoned: 1, credentials.Draft: 1, credentials.Paused: 2, credentials.Replaced: 3, "new": 1,
	} {
		if got := credentials.StatusOf(s); got != want {
			t.Errorf("%s: %d, want %d", s, got, want)
		}
	}
}
