package credentials_test

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/vault"
)

const (
	statusLists  = "https://network.example/status-lists/"
	answersLists = "https://network.example/answers-lists/"
)

// world is an issuer with a real database and everything that it needs.
type world struct {
	path     string
	db       *sqlstore.DB
	store    credentials.Store // what the issuer sees
	clock    time.Time
	cases    *cases
	agencies *agencies
	issuer   *credentials.Issuer
	away     map[string]bool // those who may agree to nothing any more

	// The actors: two agencies, two missions, and one that asked for papers
	// once.
	house, river, ethiopia, kenya audit.Actor
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w, err := openWorld(tb.Context(), filepath.Join(tb.TempDir(), "main.db"), tb.Errorf)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.db.Close() })
	return w
}

func openWorld(ctx context.Context, path string, complain func(string, ...any)) (*world, error) {
	w := &world{
		path: path, clock: claimsNow, cases: &cases{owner: map[string]string{}, key: map[string][]byte{}},
		agencies: &agencies{of: map[string]*agency{}, complain: complain},
	}
	for _, a := range []struct {
		actor                *audit.Actor
		role, class, country string
	}{
		{&w.house, "caseworker", "NGO", "KHM"}, {&w.river, "caseworker", "NGO", "THA"},
		{&w.ethiopia, "mission", claims.ClassMission, "ETH"}, {&w.kenya, "mission", claims.ClassMission, "KEN"},
	} {
		*a.actor = audit.Actor{ID: storetest.NewID(), Agency: storetest.NewID(), Role: a.role}
		if err := w.agencies.add(a.actor.Agency, a.class, a.country); err != nil {
			return nil, err
		}
	}
	return w, w.restart(ctx)
}

// restart opens the database again, as after a crash, and puts a new issuer
// before it.
func (w *world) restart(ctx context.Context) (err error) {
	if w.db != nil {
		_ = w.db.Close()
	}
	if w.db, err = sqlstore.Open(ctx, w.path); err != nil {
		return err
	}
	if err := storetest.Seal(ctx, w.db); err != nil {
		return err
	}
	w.agencies.store = w.db.Credentials()
	w.cases.begin = func(id, agency string) error {
		return w.db.Vault().CreateRecord(ctx, vault.Record{ID: id, Case: id, Agency: agency, Recipient: "case " + id, Day: claimsNow}, nil, nil)
	}
	return w.use(w.db.Credentials())
}

// use makes an issuer over another store.
func (w *world) use(s credentials.Store) (err error) {
	w.store = s
	w.issuer, err = credentials.NewIssuer(credentials.IssuerConfig{
		Store: s, Keys: w.agencies, Cases: w.cases, Network: w.agencies, StatusLists: statusLists,
		Now: w.now, Agreed: w.agreed,
	})
	return err
}

// agreed believes whoever is named as having agreed, and no proof: what one is worth is
// tried in people.
func (w *world) agreed(_ context.Context, _ approval.Act, proofs []approval.Proof) error {
	if len(proofs) < 2 || w.away[proofs[0].Person] {
		return errors.New("too few")
	}
	return nil
}

// decision is an order that two have agreed to.
func (w *world) decision(tb testing.TB, by audit.Actor, o credentials.Order) (credentials.Approval, []byte) {
	tb.Helper()
	agreed, sealed, err := w.propose(tb.Context(), by, o)
	if err != nil {
		tb.Fatal(err)
	}
	return agreed, sealed
}

func (w *world) propose(ctx context.Context, by audit.Actor, o credentials.Order) (credentials.Approval, []byte, error) {
	d, sealed, err := w.issuer.Propose(ctx, by, o)
	if err != nil {
		return credentials.Approval{}, nil, err
	}
	agreed, err := w.agree(by, "attestation.issue", d)
	return agreed, sealed, err
}

// agree is an act that two have agreed to.
func (w *world) agree(by audit.Actor, do string, what any) (credentials.Approval, error) {
	act, err := approval.New(storetest.NewID(), do, by.Agency, by.ID, what, w.clock, time.Hour)
	return credentials.Approval{Act: act, Proofs: []approval.Proof{{Person: "one"}, {Person: "two"}}}, err
}

// made makes an attestation, with whatever agreement it takes.
func (w *world) made(ctx context.Context, by audit.Actor, o credentials.Order) (credentials.Attestation, error) {
	if !credentials.Agreement(o.Claims) {
		return w.issuer.Issue(ctx, by, o)
	}
	agreed, sealed, err := w.propose(ctx, by, o)
	if err != nil {
		return credentials.Attestation{}, err
	}
	a, _, err := w.issuer.Decide(ctx, by, agreed, sealed)
	return a, err
}

// resumed ends a pause, as two have agreed to.
func (w *world) resumed(ctx context.Context, by audit.Actor, id credentials.ID, isCard bool, reason credentials.Reason) (credentials.Issued, error) {
	r, sealed, err := w.issuer.ProposeReturn(ctx, by, id, isCard, reason)
	if err != nil {
		return credentials.Issued{}, err
	}
	agreed, err := w.agree(by, "status.resume", r)
	if err != nil {
		return credentials.Issued{}, err
	}
	return w.issuer.DecideReturn(ctx, by, agreed, sealed)
}

// changed changes the status of an attestation.
func (w *world) changed(ctx context.Context, by audit.Actor, id credentials.ID, a credentials.Action, reason credentials.Reason) (credentials.Issued, error) {
	if a == credentials.Resume {
		return w.resumed(ctx, by, id, false, reason)
	}
	return w.issuer.ChangeAttestation(ctx, by, id, a, reason, "")
}

// changedCard changes that of a card.
func (w *world) changedCard(ctx context.Context, by audit.Actor, id credentials.ID, a credentials.Action, reason credentials.Reason) (credentials.Issued, error) {
	if a == credentials.Resume {
		return w.resumed(ctx, by, id, true, reason)
	}
	return w.issuer.ChangeCard(ctx, by, id, a, reason, "")
}

func (w *world) now() time.Time { return w.clock }

// cases keeps cases: each has an owner, and a key of its own.
type cases struct {
	mu     sync.Mutex
	owner  map[string]string
	key    map[string][]byte
	begin  func(id, agency string) error // where the store looks
	broken error                         // what Seal answers
	opened *claims.Access                // on what everybody else reads, as after the holder has opened a record; nil: not at all
	// unshared says that nothing is shared with anybody, so that nobody else answers.
	unshared bool
	// colleagues work for the agency, and on none of its cases.
	colleagues map[string]bool
}

func (c *cases) open(by audit.Actor) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := storetest.NewID()
	if err := c.begin(id, by.Agency); err != nil {
		panic(err)
	}
	c.owner[id], c.key[id] = by.Agency, make([]byte, 32)
	_, _ = rand.Read(c.key[id])
	return id
}

func (c *cases) erase(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.owner, id)
	delete(c.key, id)
}

func (c *cases) Owner(_ context.Context, id string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	owner, ok := c.owner[id]
	if !ok {
		return "", credentials.ErrNotFound
	}
	return owner, nil
}

func (c *cases) Stands(ctx context.Context, by audit.Actor, id string) (own, his bool, err error) {
	owner, err := c.Owner(ctx, id)
	own = err == nil && owner == by.Agency
	return own, own && !c.colleagues[by.ID], err
}

func (c *cases) box(id string) (cipher.AEAD, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key, ok := c.key[id]
	if !ok {
		return nil, credentials.ErrNotFound
	}
	if c.broken != nil {
		return nil, c.broken
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (c *cases) Seal(_ context.Context, id string, plain []byte) ([]byte, error) {
	box, err := c.box(id)
	if err != nil {
		return nil, err
	}
	return box.Seal(nil, nil, plain, []byte(id)), nil
}

func (c *cases) Access(ctx context.Context, by audit.Actor, id string) (claims.Access, error) {
	owner, err := c.Owner(ctx, id)
	switch {
	case err == nil && owner == by.Agency && !c.colleagues[by.ID]:
		return claims.Access{Own: true}, nil
	case err == nil && c.opened != nil:
		return *c.opened, nil
	default:
		return claims.Access{}, credentials.ErrNotFound
	}
}

func (c *cases) Answers(ctx context.Context, by audit.Actor, id string) error {
	owner, err := c.Owner(ctx, id)
	if err == nil && owner != by.Agency && c.unshared {
		err = credentials.ErrNotFound
	}
	return err
}

func (c *cases) Open(ctx context.Context, by audit.Actor, id string, sealed []byte) ([]byte, error) {
	if _, err := c.Access(ctx, by, id); err != nil {
		return nil, err
	}
	box, err := c.box(id)
	if err != nil {
		return nil, err
	}
	return box.Open(nil, nil, sealed, []byte(id))
}

// agencies is the network and its keys.
type agencies struct {
	of       map[string]*agency
	seal     card.SealKeys
	open     card.OpenKeys
	store    credentials.Store
	complain func(string, ...any)

	macs, netKeys, asked atomic.Int32 // how often each was asked for; asked is Agency
	away                 atomic.Bool  // nobody can tell which agencies there are

	// watch sees what a key is asked to sign as whoever has it does; nil is nobody.
	watch func(ctx context.Context, message []byte, shown [][]byte)
}

func (a *agencies) add(id, class, country string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	a.of[id] = &agency{
		Agency: credentials.Agency{ID: id, Class: class, Country: country, Issuer: "https://network.example/agencies/" + id, Agreed: everything()},
		key:    &recordingKey{PrivateKey: key, in: a},
	}
	if a.seal.Public != nil {
		return nil
	}
	pair, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	a.seal = card.SealKeys{Epoch: 7, TagKey: random(32), NetKey: random(32), Public: pair.PublicKey().Bytes()}
	a.open = card.OpenKeys{Epoch: 7, TagKey: a.seal.TagKey, NetKey: a.seal.NetKey, Private: pair.Bytes()}
	return nil
}

// everything is agreed with the agencies of these tests: those who sign it all are
// refused nothing for the sake of their class.
func everything() *claims.Signing {
	all := &claims.Signing{Level: "judicial_finding"}
	for _, t := range claims.Kinds() {
		all.Kinds = append(all.Kinds, t.Kind)
	}
	return all
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

type agency struct {
	credentials.Agency
	key       *recordingKey
	suspended bool
}

// errAway says that nobody can tell now who belongs to the network.
var errAway = errors.New("the network cannot be asked now")

func (a *agencies) Stands(_ context.Context, id string) (bool, error) {
	a.asked.Add(1)
	if a.away.Load() {
		return false, errAway
	}
	of := a.of[id]
	return of != nil && !of.suspended, nil
}

func (a *agencies) Agency(_ context.Context, id string) (credentials.Agency, error) {
	switch of := a.of[id]; {
	case a.away.Load():
		return credentials.Agency{}, errAway
	case of == nil:
		return credentials.Agency{}, credentials.ErrNotFound
	case of.suspended:
		return credentials.Agency{}, credentials.ErrNotAllowed
	default:
		return of.Agency, nil
	}
}

func (a *agencies) PublicKey(_ context.Context, id, kid string) (*ecdsa.PublicKey, error) {
	of := a.of[id]
	if of == nil || jws.KeyID(&of.key.PublicKey) != kid {
		return nil, credentials.ErrNotFound
	}
	return &of.key.PublicKey, nil
}

func (a *agencies) SealKeys(context.Context) (card.SealKeys, time.Time, error) {
	return a.seal, claimsNow.AddDate(0, 0, 200), nil
}

func (a *agencies) NetKey(_ context.Context, epoch uint32) ([]byte, bool, error) {
	a.netKeys.Add(1)
	if epoch != a.seal.Epoch {
		return nil, false, nil
	}
	return a.seal.NetKey, true, nil
}

func (a *agencies) Signer(ctx context.Context, id string) (string, crypto.Signer, error) {
	of := a.of[id]
	if of == nil {
		return "", nil, credentials.ErrNotFound
	}
	if a.watch != nil {
		return jws.KeyID(&of.key.PublicKey), watchedKey{of.key, func(m []byte, shown [][]byte) { a.watch(ctx, m, shown) }}, nil
	}
	return jws.KeyID(&of.key.PublicKey), of.key, nil
}

// watchedKey is a key that is shown whole messages.
type watchedKey struct {
	*recordingKey
	watch func(message []byte, shown [][]byte)
}

func (k watchedKey) SignMessage(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	var shown [][]byte
	if s, ok := opts.(interface{ Shown() [][]byte }); ok {
		shown = s.Shown()
	}
	k.watch(message, shown)
	digest := sha256.Sum256(message)
	return k.Sign(random, digest[:], crypto.SHA256)
}

func (a *agencies) MAC(_ context.Context, label string, data []byte) ([]byte, error) {
	a.macs.Add(1)
	m := hmac.New(sha256.New, []byte("a key that never leaves\x00"+label))
	m.Write(data)
	return m.Sum(nil), nil
}

func (a *agencies) Decoys(_ context.Context, list uint16) ([]byte, error) {
	sum := sha256.Sum256([]byte{byte(list >> 8), byte(list)})
	return sum[:], nil
}

func (*agencies) Receipt(context.Context, uint16, uint32) ([]byte, error) { return nil, nil }

// recordingKey is a signing key that remembers what it was asked to sign, and
// holds the issuer to its order: of everything it is asked to sign, a draft
// must be in the database already.
type recordingKey struct {
	*ecdsa.PrivateKey
	in *agencies

	mu     sync.Mutex
	signed [][32]byte
	answer func(digest []byte) ([]byte, error) // nil signs as it should
}

func (k *recordingKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	drafts, err := k.in.store.Drafts(context.Background())
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(drafts, func(d credentials.Issued) bool { return [32]byte(digest) == d.Digest }) {
		k.in.complain("asked to sign what was not written down")
	}
	k.mu.Lock()
	k.signed = append(k.signed, [32]byte(digest))
	answer := k.answer
	k.mu.Unlock()
	if answer != nil {
		return answer(digest)
	}
	return k.PrivateKey.Sign(random, digest, opts)
}

func (k *recordingKey) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.signed)
}

// key is the signing key of an actor's agency.
func (w *world) key(by audit.Actor) *recordingKey { return w.agencies.of[by.Agency].key }

// issue makes an attestation that must succeed.
func (w *world) issue(tb testing.TB, by audit.Actor, o credentials.Order) credentials.Attestation {
	tb.Helper()
	a, err := w.made(tb.Context(), by, o)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// screening makes a screening in a case.
func (w *world) screening(tb testing.TB, by audit.Actor, caseID string) credentials.Attestation {
	tb.Helper()
	return w.issue(tb, by, credentials.Order{Case: caseID, Claims: sample("screening-least")})
}

// reply is an answer that a mission gives through its own account.
func reply(state, answer string) *claims.Reply {
	return &claims.Reply{
		Answer: answer, Mission: private.New("Embassy at Example City"), MissionState: state, Date: "2026-03-10", Channel: "account",
	}
}

// entry is where a record stands in the lists.
func (w *world) entry(tb testing.TB, d credentials.Issued) credentials.Entry {
	tb.Helper()
	entries, err := w.db.Credentials().Entries(tb.Context(), d.List)
	if err != nil {
		tb.Fatal(err)
	}
	i := slices.IndexFunc(entries, func(e credentials.Entry) bool { return e.Index == d.Index && !e.Decoy })
	if i < 0 {
		tb.Fatal("a record without its entry")
	}
	return entries[i]
}

// stands fails unless a record is in a state, in the database and in what is
// wanted of the lists.
func (w *world) stands(tb testing.TB, what string, id credentials.ID, want credentials.State) {
	tb.Helper()
	d, err := w.db.Credentials().Get(tb.Context(), id)
	if err != nil {
		tb.Fatal(err)
	}
	if d.State != want {
		tb.Errorf("%s: %s, want %s", what, d.State, want)
	}
	wanted := credentials.StatusOf(want)
	if want == credentials.Draft {
		wanted = statuslist.Valid // nobody has seen it; recovery settles it
	}
	if got := w.entry(tb, d).WantedStatus; got != wanted {
		tb.Errorf("%s: wanted status %d, want %d", what, got, wanted)
	}
}

// notes reads the history of a case: kind and body of each note.
func (w *world) notes(tb testing.TB, caseID string) (kinds []string, bodies []map[string]string) {
	tb.Helper()
	history, err := w.db.Log().History(tb.Context(), caseID)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range history {
		n, err := e.Read()
		if err != nil {
			tb.Fatal(err)
		}
		var body map[string]string
		if err := json.Unmarshal(n.Body, &body); err != nil {
			tb.Fatal(err)
		}
		kinds, bodies = append(kinds, n.Kind), append(bodies, body)
	}
	return kinds, bodies
}

func (w *world) set(tb testing.TB, by audit.Actor, id credentials.ID, a credentials.Action) {
	tb.Helper()
	d, err := w.store.Get(tb.Context(), id)
	if err != nil {
		tb.Fatal(err)
	}
	change := w.changed
	if d.Kind == credentials.KindCard {
		change = w.changedCard
	}
	if _, err := change(tb.Context(), by, id, a, credentials.ReasonOther); err != nil {
		tb.Fatalf("%s: %v", a, err)
	}
}

func wantError(tb testing.TB, what string, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// wantProblems compares all problems of an error with those wanted.
func wantProblems(tb testing.TB, what string, err error, want ...string) {
	tb.Helper()
	var refused *invalid.Error
	if !errors.As(err, &refused) {
		tb.Errorf("%s: got error %v, want problems", what, err)
		return
	}
	if diff := cmp.Diff(said(refused.Problems), want); diff != "" {
		tb.Errorf("%s: got, want:\n%s", what, diff)
	}
}

func TestNewIssuerAsksForItsParts(t *testing.T) {
	if _, err := credentials.NewIssuer(credentials.IssuerConfig{}); err == nil {
		t.Error("an issuer of nothing")
	}
	if _, err := credentials.NewPublisher(credentials.PublisherConfig{}); err == nil {
		t.Error("a publisher of nothing")
	}
}

// TestIssue issues each kind and reads it as a stranger does.
func TestIssue(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	about := w.screening(t, w.house, caseID)
	for _, tt := range []struct {
		by    audit.Actor
		order credentials.Order
		until time.Time
	}{
		{w.house, credentials.Order{Case: caseID, Claims: sample("screening-least")}, claimsNow.AddDate(0, 0, 90)},
		{w.house, credentials.Order{Case: caseID, Claims: sample("screening-everything")}, time.Date(2027, 3, 10, 0, 0, 0, 0, time.UTC)},
		{w.house, credentials.Order{Case: caseID, Claims: sample("identity-everything")}, claimsNow.AddDate(0, 0, 365)},
		{w.house, credentials.Order{Case: caseID, Claims: sample("document-everything"), ValidUntil: claimsNow.AddDate(0, 0, 3)}, claimsNow.AddDate(0, 0, 4)},
		{w.river, credentials.Order{About: about.ID, Claims: sample("opinion")}, claimsNow.AddDate(0, 0, 365)},
		{w.river, credentials.Order{About: about.ID, Case: caseID, Claims: sample("reliance-officer")}, claimsNow.AddDate(0, 0, 365)},
		{w.ethiopia, credentials.Order{About: about.ID, Claims: reply("ETH", "not_found")}, claimsNow.AddDate(0, 0, 365)},
	} {
		kind := tt.order.Claims.Kind()
		before := w.key(tt.by).count()
		a := w.issue(t, tt.by, tt.order)
		if got := w.key(tt.by).count() - before; got != 1 {
			t.Errorf("%s: %d signatures, want 1", kind, got)
		}
		checkToken(t, w, tt.by, a, tt.order, tt.until)
		w.stands(t, string(kind), a.ID, credentials.Active)
		stored, err := w.store.Get(t.Context(), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a.Issued, stored); diff != "" {
			t.Errorf("%s: returned, stored:\n%s", kind, diff)
		}
		signingInput := a.Token[:strings.LastIndex(a.Token[:strings.Index(a.Token, "~")], ".")]
		if a.Digest != sha256.Sum256([]byte(signingInput)) {
			t.Errorf("%s: the stored digest is not that of what was signed", kind)
		}
		kinds, bodies := w.notes(t, caseID)
		last := len(kinds) - 2
		if want := []string{string(kind) + ".reserved", string(kind) + ".issued"}; !slices.Equal(kinds[last:], want) {
			t.Errorf("log: got %v, want %v", kinds[last:], want)
		}
		for _, b := range bodies[last:] {
			want := map[string]string{
				"id": string(a.ID), "actor": tt.by.ID, "agency": tt.by.Agency, "day": "2026-03-10", "digest": hex.EncodeToString(a.Digest[:]),
			}
			if a.About != "" {
				want["about"] = string(a.About)
			}
			if diff := cmp.Diff(b, want); diff != "" {
				t.Errorf("%s: log, want:\n%s", kind, diff)
			}
		}
	}
}

// checkToken looks at a token with nothing but the agency's public key.
func checkToken(t *testing.T, w *world, by audit.Actor, a credentials.Attestation, o credentials.Order, until time.Time) {
	t.Helper()
	agency := w.agencies.of[by.Agency]
	kind := o.Claims.Kind()
	parsed, err := sdjwt.Parse(a.Token, sdjwt.TypeVC)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := parsed.KeyID(), jws.KeyID(&agency.key.PublicKey); got != want {
		t.Errorf("%s: kid %s, want %s", kind, got, want)
	}
	read, err := parsed.Verify(&agency.key.PublicKey, sdjwt.Policy{Now: w.clock, Required: []string{"iss", "iat", "exp", "status"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parsed.Verify(&w.key(w.kenya).PublicKey, sdjwt.Policy{Now: w.clock}); err == nil {
		t.Errorf("%s: it verifies under another agency's key", kind)
	}
	if read.Issuer() != agency.Issuer || read.VCT() != credentials.Type {
		t.Errorf("%s: another iss or vct", kind)
	}
	if got, want := read.IssuedAt(), claimsNow.Truncate(24*time.Hour); !got.Equal(want) {
		t.Errorf("%s: iat %v, want %v", kind, got, want)
	}
	if got, want := read.Expires(), until.Truncate(24*time.Hour); !got.Equal(want) || !a.ValidUntil.Equal(want) {
		t.Errorf("%s: exp %v and valid until %v, want %v", kind, got, a.ValidUntil, want)
	}
	if s := read.Status(); s == nil || s.URI != fmt.Sprintf("%s%d", statusLists, a.List) || s.Index != int64(a.Index) {
		t.Errorf("%s: the status is another entry's", kind)
	}

	// What stays visible, whatever the holder withholds.
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(a.Token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var visible map[string]json.RawMessage
	if err := json.Unmarshal(payload, &visible); err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(visible))
	for name := range visible {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"_sd", "_sd_alg", "exp", "iat", "iss", "status", "vct"}; !slices.Equal(names, want) {
		t.Errorf("%s: visible are %v, want %v", kind, names, want)
	}
	var sums []string
	if err := json.Unmarshal(visible["_sd"], &sums); err != nil || len(sums) != 48 {
		t.Errorf("%s: %d digests, want 48", kind, len(sums))
	}

	// What the holder can show, each alone.
	encoded, err := claims.Encode(o.Claims)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{}
	if err := json.Unmarshal(encoded, &want); err != nil {
		t.Fatal(err)
	}
	want["attestation_id"], want["kind"] = string(a.ID), string(kind)
	if o.About != "" {
		want["about"] = string(o.About)
	}
	if o.Replaces != "" {
		want["supersedes"] = string(o.Replaces)
	}
	got := map[string]any{}
	for _, name := range read.Disclosed() {
		if got[name] = read.Payload()[name]; got[name] == nil {
			t.Errorf("%s: a disclosure without a member at the top", kind)
		}
	}
	asJSON, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	again := map[string]any{}
	if err := json.Unmarshal(asJSON, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(again, want); diff != "" {
		t.Errorf("%s: disclosed, want:\n%s", kind, diff)
	}
}

func TestIssueReportsEveryProblem(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	about := w.screening(t, w.house, caseID)
	for name, tt := range map[string]struct {
		by    audit.Actor
		order credentials.Order
		want  []string
	}{
		"claims, about and date": {
			w.house, credentials.Order{Case: caseID, About: about.ID, Claims: &claims.IdentityClaim{}, ValidUntil: claimsNow.AddDate(0, 0, -1)},
			[]string{"/names required", "/assurance required", "/claim_status required", "/about not_allowed", "/valid_until range"},
		},
		"no case": {w.house, credentials.Order{Claims: sample("identity-least")}, []string{"/case required"}},
		"an opinion of nothing": {
			w.river, credentials.Order{Case: caseID, Claims: sample("opinion")}, []string{"/about required"},
		},
		"longer than three years": {
			w.house, credentials.Order{Case: caseID, Claims: sample("identity-least"), ValidUntil: claimsNow.AddDate(0, 0, 3*365)}, []string{"/valid_until range"},
		},
		"an agency in a mission's name": {
			w.river, credentials.Order{About: about.ID, Claims: reply("THA", "matched")}, []string{"/channel not_allowed"},
		},
		"a mission in another one's name": {
			w.kenya, credentials.Order{About: about.ID, Claims: reply("ETH", "matched")}, []string{"/mission_state inconsistent"},
		},
	} {
		_, err := w.made(t.Context(), tt.by, tt.order)
		wantProblems(t, name, err, tt.want...)
	}
	var none *claims.Screening
	for name, stated := range map[string]claims.Claims{"no claims": nil, "nil claims": none, "claims of somebody else": foreign{}} {
		_, err := w.issuer.Issue(t.Context(), w.house, credentials.Order{Case: caseID, Claims: stated})
		wantError(t, name, err, claims.ErrUnknownKind)
	}
	if got := w.key(w.house).count() + w.key(w.river).count() + w.key(w.kenya).count(); got != 1 {
		t.Errorf("%d signatures, want only that of the screening", got)
	}
	if kinds, _ := w.notes(t, caseID); len(kinds) != 2 {
		t.Errorf("log: %v, want only the screening", kinds)
	}
}

// TestIssueWhere goes through cases and records that an agency may not add to.
// What it may not know of looks like what is not there.
func TestIssueWhere(t *testing.T) {
	w := newWorld(t)
	mine, other := w.cases.open(w.house), w.cases.open(w.river)
	s, foreignScreening := w.screening(t, w.house, mine), w.screening(t, w.river, other)
	withdrawn, paused := w.screening(t, w.house, mine), w.screening(t, w.house, mine)
	w.set(t, w.house, withdrawn.ID, credentials.Withdraw)
	w.set(t, w.house, paused.ID, credentials.Pause)
	identity := w.issue(t, w.house, credentials.Order{Case: mine, Claims: sample("identity-least")})
	screening := func() claims.Claims { return sample("screening-least") }
	opinion := func() claims.Claims { return sample("opinion") }
	nobody := credentials.ID(storetest.NewID())
	for name, tt := range map[string]struct {
		by    audit.Actor
		order credentials.Order
		want  error
	}{
		"a random case":               {w.house, credentials.Order{Case: storetest.NewID(), Claims: screening()}, credentials.ErrNotFound},
		"another agency's case":       {w.house, credentials.Order{Case: other, Claims: screening()}, credentials.ErrNotFound},
		"about a random id":           {w.river, credentials.Order{About: nobody, Claims: opinion()}, credentials.ErrNotFound},
		"about, in another case":      {w.river, credentials.Order{About: s.ID, Case: other, Claims: opinion()}, credentials.ErrNotFound},
		"about what was withdrawn":    {w.river, credentials.Order{About: withdrawn.ID, Claims: opinion()}, credentials.ErrNotFound},
		"the same, by its keeper":     {w.house, credentials.Order{About: withdrawn.ID, Claims: opinion()}, credentials.ErrConflict},
		"replaces a random id":        {w.house, credentials.Order{Case: mine, Replaces: nobody, Claims: screening()}, credentials.ErrNotFound},
		"replaces another agency's":   {w.house, credentials.Order{Case: mine, Replaces: foreignScreening.ID, Claims: screening()}, credentials.ErrNotFound},
		"replaces another kind":       {w.house, credentials.Order{Case: mine, Replaces: identity.ID, Claims: screening()}, credentials.ErrNotFound},
		"replaces what is withdrawn":  {w.house, credentials.Order{Case: mine, Replaces: withdrawn.ID, Claims: screening()}, credentials.ErrConflict},
		"an agency that is not there": {audit.Actor{ID: "x", Agency: "x"}, credentials.Order{Case: mine, Claims: screening()}, credentials.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.issuer.Issue(t.Context(), tt.by, tt.order)
			wantError(t, name, err, tt.want)
		})
	}
	w.issue(t, w.river, credentials.Order{About: paused.ID, Claims: opinion()}) // a pause silences nobody
	w.agencies.of[w.river.Agency].suspended = true
	_, err := w.issuer.Issue(t.Context(), w.river, credentials.Order{Case: other, Claims: screening()})
	wantError(t, "a suspended agency", err, credentials.ErrNotAllowed)
	_, err = w.issuer.IssueCard(t.Context(), w.river, credentials.CardOrder{Case: other, Name: private.New("TESFAYE")})
	wantError(t, "a suspended agency's card", err, credentials.ErrNotAllowed)
	drafts, err := w.store.Drafts(t.Context())
	if err != nil || len(drafts) != 0 {
		t.Errorf("%d drafts are left, %v", len(drafts), err)
	}
}

func TestReadAndList(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	o := w.issue(t, w.river, credentials.Order{About: s.ID, Claims: sample("opinion")})
	got, err := w.issuer.Read(t.Context(), w.house, o.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, credentials.Reading{Attestation: o, Reader: claims.ReaderOwn}); diff != "" {
		t.Errorf("got, want:\n%s", diff)
	}
	_, err = w.issuer.Read(t.Context(), w.kenya, o.ID)
	wantError(t, "read by who may not", err, credentials.ErrNotFound)
	_, err = w.issuer.Read(t.Context(), w.house, credentials.ID(storetest.NewID()))
	wantError(t, "read a random id", err, credentials.ErrNotFound)

	list, err := w.issuer.List(t.Context(), w.house, caseID)
	if err != nil || len(list) != 2 {
		t.Errorf("%d in the case, want 2: %v", len(list), err)
	}
	_, err = w.issuer.List(t.Context(), w.river, caseID)
	wantError(t, "list of another agency's case", err, credentials.ErrNotFound)
	_, err = w.issuer.List(t.Context(), w.river, storetest.NewID())
	wantError(t, "list of a random case", err, credentials.ErrNotFound)
}

func TestReplace(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	first := w.screening(t, w.house, caseID)
	o := credentials.Order{Case: caseID, Replaces: first.ID, Claims: sample("screening-everything")}
	second := w.issue(t, w.house, o)
	checkToken(t, w, w.house, second, o, second.ValidUntil)
	w.stands(t, "the first", first.ID, credentials.Replaced)
	w.stands(t, "the second", second.ID, credentials.Active)
	_, err := w.issuer.Issue(t.Context(), w.house, o)
	wantError(t, "replace it again", err, credentials.ErrConflict)
	_, err = w.changed(t.Context(), w.house, first.ID, credentials.Resume, credentials.ReasonOther)
	wantError(t, "resume what was replaced", err, credentials.ErrConflict)
}

// TestStatusByKind: who says card means a card, and who says attestation means
// none. The other kind is as unknown as an id that never was, in every action.
func TestStatusByKind(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	c := w.card(t, w.house, cardOrder(caseID, ""))
	for _, action := range []credentials.Action{credentials.Pause, credentials.Resume, credentials.Withdraw} {
		_, err := w.changedCard(t.Context(), w.house, s.ID, action, credentials.ReasonOther)
		wantError(t, "a screening as a card: "+string(action), err, credentials.ErrNotFound)
		_, err = w.changed(t.Context(), w.house, c.ID, action, credentials.ReasonOther)
		wantError(t, "a card as an attestation: "+string(action), err, credentials.ErrNotFound)
		w.set(t, w.house, s.ID, action)
		w.set(t, w.house, c.ID, action)
	}
}

// TestErasedTellsNothing: what the same request did before its case was erased
// is not told afterwards, and nothing of the case can be answered.
func TestErasedTellsNothing(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	order := cardOrder(caseID, "")
	order.RequestKey = "card"
	made := w.card(t, w.house, order)
	s := w.screening(t, w.house, caseID)
	withdraw := func() error {
		_, err := w.issuer.ChangeAttestation(t.Context(), w.house, s.ID, credentials.Withdraw, credentials.ReasonOther, "status")
		return err
	}
	reprint := func() error { _, err := w.issuer.IssueCard(t.Context(), w.house, order); return err }
	wantError(t, "withdrawn", withdraw(), nil)
	wantError(t, "withdrawn, told again", withdraw(), nil)
	wantError(t, "printed, told again", reprint(), credentials.ErrCodeShown)

	w.cases.erase(caseID)
	wantError(t, "withdrawn, after erasure", withdraw(), credentials.ErrNotFound)
	wantError(t, "printed, after erasure", reprint(), credentials.ErrNotFound)
	for _, about := range []credentials.ID{s.ID, made.ID} {
		for _, by := range []audit.Actor{w.house, w.river} {
			_, err := w.issuer.Issue(t.Context(), by, credentials.Order{About: about, Claims: sample("opinion")})
			wantError(t, "answered after erasure", err, credentials.ErrNotFound)
		}
	}
}

func TestSetStatus(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	for _, step := range []struct {
		action credentials.Action
		err    error
		want   credentials.State
	}{
		{credentials.Resume, credentials.ErrConflict, credentials.Active},
		{credentials.Pause, nil, credentials.Paused},
		{credentials.Pause, credentials.ErrConflict, credentials.Paused},
		{credentials.Resume, nil, credentials.Active},
		{"replace", credentials.ErrUnknownAction, credentials.Active},
		{credentials.Pause, nil, credentials.Paused},
		{credentials.Withdraw, nil, credentials.Withdrawn},
		{credentials.Withdraw, credentials.ErrConflict, credentials.Withdrawn},
		{credentials.Resume, credentials.ErrConflict, credentials.Withdrawn},
	} {
		d, err := w.changed(t.Context(), w.house, s.ID, step.action, credentials.ReasonNewInformation)
		wantError(t, string(step.action), err, step.err)
		if err == nil && d.State != step.want {
			t.Errorf("%s: answered %s, want %s", step.action, d.State, step.want)
		}
		w.stands(t, string(step.action), s.ID, step.want)
	}
	kinds, bodies := w.notes(t, caseID)
	if want := []string{"screening.reserved", "screening.issued", "screening.pause", "screening.resume", "screening.pause", "screening.withdraw"}; !slices.Equal(kinds, want) {
		t.Errorf("log: %v, want %v", kinds, want)
	}
	if got := bodies[5]["reason"]; got != string(credentials.ReasonNewInformation) {
		t.Errorf("reason in the log: %q", got)
	}

	again := w.screening(t, w.house, caseID)
	_, err := w.issuer.ChangeAttestation(t.Context(), w.river, again.ID, credentials.Withdraw, credentials.ReasonLost, "")
	wantError(t, "another agency", err, credentials.ErrNotFound)
	_, err = w.issuer.ChangeAttestation(t.Context(), w.house, credentials.ID(storetest.NewID()), credentials.Withdraw, credentials.ReasonLost, "")
	wantError(t, "a random id", err, credentials.ErrNotFound)
	_, err = w.issuer.ChangeAttestation(t.Context(), w.house, again.ID, credentials.Withdraw, "fraud", "")
	wantProblems(t, "a reason of one's own", err, "/reason not_in_list")
	w.stands(t, "after refusals", again.ID, credentials.Active)
}

func TestWithdrawCase(t *testing.T) {
	w := newWorld(t)
	caseID, other := w.cases.open(w.house), w.cases.open(w.house)
	s, stays := w.screening(t, w.house, caseID), w.screening(t, w.house, other)
	paused, old := w.screening(t, w.house, caseID), w.screening(t, w.house, caseID)
	w.set(t, w.house, paused.ID, credentials.Pause)
	newer := w.issue(t, w.house, credentials.Order{Case: caseID, Replaces: old.ID, Claims: sample("screening-least")})
	theirs := w.issue(t, w.river, credentials.Order{About: s.ID, Claims: sample("opinion")})

	for name, by := range map[string]audit.Actor{"another agency": w.river, "a stranger": w.kenya} {
		_, err := w.issuer.WithdrawCase(t.Context(), by, caseID)
		wantError(t, name, err, credentials.ErrNotFound)
	}
	n, err := w.issuer.WithdrawCase(t.Context(), w.house, caseID)
	if err != nil || n != 4 {
		t.Errorf("%d withdrawn, want 4: %v", n, err)
	}
	for _, id := range []credentials.ID{s.ID, paused.ID, newer.ID, theirs.ID} {
		w.stands(t, "in the case", id, credentials.Withdrawn)
	}
	w.stands(t, "replaced before", old.ID, credentials.Replaced)
	w.stands(t, "another case", stays.ID, credentials.Active)
	if kinds, _ := w.notes(t, caseID); kinds[len(kinds)-1] != "case.withdrawn" {
		t.Errorf("log ends with %s", kinds[len(kinds)-1])
	}
	if n, err := w.issuer.WithdrawCase(t.Context(), w.house, caseID); n != 0 || err != nil {
		t.Errorf("once more: %d, %v", n, err)
	}
}

func TestSameRequest(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	order := func() credentials.Order {
		return credentials.Order{Case: caseID, Claims: sample("screening-least"), RequestKey: "a hash"}
	}
	first := w.issue(t, w.house, order())
	w.clock = w.clock.AddDate(0, 0, 1)
	again := w.issue(t, w.house, order())
	if diff := cmp.Diff(again, first); diff != "" {
		t.Errorf("again, first:\n%s", diff)
	}
	if got := w.key(w.house).count(); got != 1 {
		t.Errorf("%d signatures, want 1", got)
	}
	w.set(t, w.house, first.ID, credentials.Withdraw)
	if got := w.issue(t, w.house, order()); got.ID != first.ID || got.State != credentials.Withdrawn {
		t.Errorf("a repeated request after the withdrawal made something new")
	}
	o := order()
	o.Case = w.cases.open(w.river)
	_, err := w.issuer.Issue(t.Context(), w.river, o)
	wantError(t, "another agency's key", err, credentials.ErrNotFound)
	_, err = w.issuer.IssueCard(t.Context(), w.house, credentials.CardOrder{Case: caseID, RequestKey: "a hash"})
	wantError(t, "a card with the key of an attestation", err, credentials.ErrConflict)
}

func TestSameRequestAtOnce(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	ids := make(chan credentials.ID, 50)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			a, err := w.issuer.Issue(context.Background(), w.house, credentials.Order{Case: caseID, Claims: sample("screening-least"), RequestKey: "one"})
			switch {
			case err == nil:
				ids <- a.ID
			case !errors.Is(err, credentials.ErrInFlight):
				t.Errorf("got error %v, want none or in flight", err)
			}
		})
	}
	wg.Wait()
	close(ids)
	if len(ids) == 0 {
		t.Error("nobody got an attestation")
	}
	first := <-ids
	for id := range ids {
		if id != first {
			t.Error("one request made two attestations")
		}
	}
	if got := w.key(w.house).count(); got != 1 {
		t.Errorf("%d signatures, want 1", got)
	}
	if kinds, _ := w.notes(t, caseID); !slices.Equal(kinds, []string{"screening.reserved", "screening.issued"}) {
		t.Errorf("log: %v", kinds)
	}
}

// TestIssueAtOnce issues from many goroutines and compares the indices.
func TestIssueAtOnce(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if _, err := w.issuer.Issue(context.Background(), w.house, credentials.Order{Case: caseID, Claims: sample("identity-least")}); err != nil {
				t.Errorf("issue: %v", err)
			}
		})
	}
	wg.Wait()
	all, err := w.store.ByCase(t.Context(), caseID)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[[2]uint32]bool{}
	for _, d := range all {
		seen[[2]uint32{uint32(d.List), d.Index}] = true
	}
	if len(all) != 40 || len(seen) != 40 || w.key(w.house).count() != 40 {
		t.Errorf("%d records, %d indices, %d signatures, want 40 each", len(all), len(seen), w.key(w.house).count())
	}
}

// TestIssueDrawsAgain makes every first draw of an index hit the same one.
func TestIssueDrawsAgain(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	full := &refusing{Store: w.db.Credentials()}
	if err := w.use(full); err != nil {
		t.Fatal(err)
	}
	full.reserve = []error{credentials.ErrIndexTaken, credentials.ErrListFull, nil}
	a := w.screening(t, w.house, caseID)
	w.stands(t, "after two misses", a.ID, credentials.Active)
	if got := w.key(w.house).count(); got != 1 {
		t.Errorf("%d signatures, want 1: a miss signs nothing", got)
	}
	full.reserve = slices.Repeat([]error{credentials.ErrIndexTaken}, 1000)
	_, err := w.issuer.Issue(t.Context(), w.house, credentials.Order{Case: caseID, Claims: sample("screening-least")})
	wantError(t, "always taken", err, credentials.ErrListFull)
	if got := w.key(w.house).count(); got != 1 {
		t.Errorf("%d signatures, want 1", got)
	}
}

// refusing is a store that refuses what it is told to.
type refusing struct {
	credentials.Store
	reserve  []error // for the next calls
	complete error
	byCase   error
	panics   bool
}

func (r *refusing) Reserve(ctx context.Context, d credentials.Issued, limits []credentials.Limit, e ...audit.Entry) error {
	if len(r.reserve) > 0 {
		err := r.reserve[0]
		r.reserve = r.reserve[1:]
		if err != nil {
			return err
		}
	}
	return r.Store.Reserve(ctx, d, limits, e...)
}

func (r *refusing) Complete(ctx context.Context, c credentials.Completion, e ...audit.Entry) error {
	if r.panics {
		panic("the machine stops")
	}
	if r.complete != nil {
		return r.complete
	}
	return r.Store.Complete(ctx, c, e...)
}

func (r *refusing) ByCase(ctx context.Context, id string) ([]credentials.Issued, error) {
	if r.byCase != nil {
		return nil, r.byCase
	}
	return r.Store.ByCase(ctx, id)
}

// TestNothingIsReleased breaks each step after the draft was written.
func TestNothingIsReleased(t *testing.T) {
	boom := errors.New("boom")
	foreignDigest := sha256.Sum256([]byte("another request"))
	for name, tt := range map[string]struct {
		spoil  func(*world, *refusing)
		want   error
		signed int
	}{
		"the keystore is away": {func(w *world, _ *refusing) {
			w.key(w.house).answer = func([]byte) ([]byte, error) { return nil, boom }
		}, boom, 1},
		"the keystore answers noise": {func(w *world, _ *refusing) {
			w.key(w.house).answer = func([]byte) ([]byte, error) { return []byte("noise"), nil }
		}, jws.ErrSigner, 1},
		"the keystore answers nothing": {func(w *world, _ *refusing) {
			w.key(w.house).answer = func([]byte) ([]byte, error) { return nil, nil }
		}, jws.ErrSigner, 1},
		"another request's signature": {func(w *world, _ *refusing) {
			w.key(w.house).answer = func([]byte) ([]byte, error) {
				return ecdsa.SignASN1(rand.Reader, w.key(w.house).PrivateKey, foreignDigest[:])
			}
		}, jws.ErrSigner, 1},
		"another agency's signature": {func(w *world, _ *refusing) {
			w.key(w.house).answer = func(d []byte) ([]byte, error) { return ecdsa.SignASN1(rand.Reader, w.key(w.river).PrivateKey, d) }
		}, jws.ErrSigner, 1},
		"r and s side by side": {func(w *world, _ *refusing) {
			w.key(w.house).answer = func([]byte) ([]byte, error) { return make([]byte, 64), nil }
		}, jws.ErrSigner, 1},
		"the store is away": {func(_ *world, r *refusing) { r.complete = boom }, boom, 1},
		"the case is erased meanwhile": {func(w *world, _ *refusing) {
			w.key(w.house).answer = func(d []byte) ([]byte, error) {
				for id := range w.cases.owner {
					w.cases.erase(id)
				}
				return ecdsa.SignASN1(rand.Reader, w.key(w.house).PrivateKey, d)
			}
		}, credentials.ErrNotFound, 1},
		"the store is away before": {func(_ *world, r *refusing) { r.reserve = []error{boom} }, boom, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			caseID := w.cases.open(w.house)
			broken := &refusing{Store: w.db.Credentials()}
			if err := w.use(broken); err != nil {
				t.Fatal(err)
			}
			tt.spoil(w, broken)
			o := credentials.Order{Case: caseID, Claims: sample("screening-least"), RequestKey: "k"}
			a, err := w.issuer.Issue(t.Context(), w.house, o)
			wantError(t, "issue", err, tt.want)
			if a.Token != "" || a.ID != "" {
				t.Error("something came with the error")
			}
			if got := w.key(w.house).count(); got != tt.signed {
				t.Errorf("%d signatures, want %d", got, tt.signed)
			}
			all, err := w.db.Credentials().ByCase(t.Context(), caseID)
			if err != nil {
				t.Fatal(err)
			}
			waiting, err := w.db.Log().Waiting(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(all) != tt.signed || waiting != int64(2*tt.signed) {
				t.Fatalf("%d records and %d log entries, want %d and %d", len(all), waiting, tt.signed, 2*tt.signed)
			}
			if tt.signed == 0 {
				return
			}
			d := all[0]
			w.stands(t, "the draft", d.ID, credentials.Abandoned)
			if d.Sealed != nil {
				t.Error("its token was kept")
			}
			if d.Digest != w.key(w.house).signed[0] {
				t.Error("the record does not hold the digest that the key was asked for")
			}
			if strings.HasPrefix(name, "the case is erased") {
				return
			}
			if kinds, _ := w.notes(t, caseID); !slices.Equal(kinds, []string{"screening.reserved", "screening.abandoned"}) {
				t.Errorf("log: %v", kinds)
			}
			_, err = w.issuer.Read(t.Context(), w.house, d.ID)
			wantError(t, "read it", err, credentials.ErrNotFound)
			_, err = w.issuer.ChangeAttestation(t.Context(), w.house, d.ID, credentials.Withdraw, credentials.ReasonOther, "")
			wantError(t, "withdraw it", err, credentials.ErrNotFound)
			if list, err := w.issuer.List(t.Context(), w.house, caseID); err != nil || len(list) != 0 {
				t.Errorf("%d in the list: %v", len(list), err)
			}
			// The same request, once all is well, is a new one.
			w.key(w.house).answer, broken.complete = nil, nil
			if again := w.issue(t, w.house, o); again.ID == d.ID || again.Index == d.Index {
				t.Error("the abandoned draft came back")
			}
		})
	}
}

// TestIssueEndsWhatItBegan takes the caller away while the key is signing.
func TestIssueEndsWhatItBegan(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	ctx, leave := context.WithCancel(t.Context())
	key := w.key(w.house)
	key.answer = func(d []byte) ([]byte, error) {
		leave()
		return ecdsa.SignASN1(rand.Reader, key.PrivateKey, d)
	}
	a, err := w.issuer.Issue(ctx, w.house, credentials.Order{Case: caseID, Claims: sample("screening-least")})
	if err != nil {
		t.Fatal(err)
	}
	w.stands(t, "without its caller", a.ID, credentials.Active)
}

func TestLifetime(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	for level, want := range map[string]int{"preliminary_screening": 90, "reasonable_grounds": 90, "formal_identification": 365} {
		s := sample("screening-least").(*claims.Screening)
		s.DecisionLevel = level
		a := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: s})
		if got := a.ValidUntil; !got.Equal(claimsNow.Truncate(24*time.Hour).AddDate(0, 0, want)) {
			t.Errorf("%s: until %v, want %d days", level, got, want)
		}
	}
	// Somebody who was not alone is to be asked again.
	s := sample("screening-least").(*claims.Screening)
	s.Interview.Alone = "no"
	a := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: s})
	if got, want := a.ReviewBy, time.Date(2026, 3, 24, 0, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("review by %v, want %v", got, want)
	}
}

// TestDecisions: from reasonable grounds on nothing is signed that two have not agreed
// to, whoever asks and however; what they agreed to is signed once.
func TestDecisions(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	order := func() credentials.Order {
		s := sample("screening-least").(*claims.Screening)
		s.DecisionLevel = "reasonable_grounds"
		return credentials.Order{Case: caseID, Claims: s}
	}
	signed := func() int { return len(w.key(w.house).signed) }
	before := signed()
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, credentials.ErrNotAgreed) || signed() != before {
			t.Errorf("%s: %v, %d signatures more, want ErrNotAgreed and none", what, err, signed()-before)
		}
	}
	_, err := w.issuer.Issue(t.Context(), w.house, order())
	refused("by one alone", err)
	agreed, sealed := w.decision(t, w.house, order())
	one := agreed
	one.Proofs = agreed.Proofs[:1]
	_, _, err = w.issuer.Decide(t.Context(), w.house, one, sealed)
	refused("one approval", err)
	_, other := w.decision(t, w.house, order())
	_, _, err = w.issuer.Decide(t.Context(), w.house, agreed, other)
	refused("another order than they saw", err)
	foreign := agreed
	foreign.Act.Agency = storetest.NewID()
	_, _, err = w.issuer.Decide(t.Context(), w.house, foreign, sealed)
	wantError(t, "of another agency", err, credentials.ErrNotFound)
	w.away = map[string]bool{"one": true}
	_, _, err = w.issuer.Decide(t.Context(), w.house, agreed, sealed)
	refused("an approver who was removed", err)
	w.away = nil

	first, _, err := w.issuer.Decide(t.Context(), w.house, agreed, sealed)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := w.issuer.Decide(t.Context(), w.house, agreed, sealed)
	if err != nil || again.ID != first.ID || signed() != before+1 {
		t.Errorf("once more: %v, another attestation or %d signatures", err, signed()-before)
	}
	if got, err := w.issuer.Decided(t.Context(), agreed.Act); err != nil || got != first.ID {
		t.Errorf("the act became %v, want the attestation", err)
	}
}

func ExampleIssuer() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	w, err := openWorld(ctx, filepath.Join(dir, "main.db"), func(string, ...any) {})
	if err != nil {
		panic(err)
	}
	defer func() { _ = w.db.Close() }()

	issuer, err := credentials.NewIssuer(credentials.IssuerConfig{
		Store: w.db.Credentials(), Keys: w.agencies, Cases: w.cases, Network: w.agencies,
		StatusLists: "https://network.example/status-lists/",
		Now:         func() time.Time { return claimsNow },
	})
	if err != nil {
		panic(err)
	}
	// What a crash left behind is settled first.
	if _, err := issuer.Recover(ctx); err != nil {
		panic(err)
	}
	finding, err := issuer.Issue(ctx, w.house, credentials.Order{
		Case:   w.cases.open(w.house),
		Claims: sample("screening-least"),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(finding.Kind, finding.State, "through", finding.ValidUntil.AddDate(0, 0, -1).Format(time.DateOnly))

	// Another agency relies on it and does not ask again.
	_, err = issuer.Issue(ctx, w.river, credentials.Order{
		About:  finding.ID,
		Claims: &claims.Reliance{Reliance: "relied_no_reinterview", AuthorityClass: "NGO", Date: "2026-03-10"},
	})
	fmt.Println(err)

	_, err = issuer.ChangeAttestation(ctx, w.house, finding.ID, credentials.Withdraw, credentials.ReasonHolderAsked, "")
	fmt.Println(err)
	// Output:
	// screening active through 2026-06-07
	// <nil>
	// <nil>
}

// perCase is how much is issued in each case of a benchmark.
const perCase = 4

func BenchmarkIssue(b *testing.B) {
	w := newWorld(b)
	caseID := w.cases.open(w.house)
	stated := sample("screening-everything")
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%perCase == 0 {
			caseID = w.cases.open(w.house)
		}
		if _, err := w.issuer.Issue(b.Context(), w.house, credentials.Order{Case: caseID, Claims: stated}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReserveComplete is what the database takes of an attestation: two
// transactions, each with its log entry.
func BenchmarkReserveComplete(b *testing.B) {
	w := newWorld(b)
	list, err := w.store.OpenList(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	entry := func() audit.Entry {
		n, err := audit.NewNote("bench", struct{}{})
		if err != nil {
			b.Fatal(err)
		}
		e, err := audit.NewEntry("", n, claimsNow)
		if err != nil {
			b.Fatal(err)
		}
		return e
	}
	sealed, caseID := random(8<<10), w.cases.open(w.house)
	index := uint32(0)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%perCase == 0 {
			caseID = w.cases.open(w.house)
		}
		d := credentials.Issued{
			ID: credentials.ID(storetest.NewID()), Kind: claims.KindScreening, Case: caseID, Agency: "agency",
			List: list, Index: index, IssuedOn: claimsNow, ValidUntil: claimsNow,
		}
		if index++; index%50_000 == 0 {
			if list, err = w.store.OpenList(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.store.Reserve(b.Context(), d, nil, entry()); err != nil {
			b.Fatal(err)
		}
		if err := w.store.Complete(b.Context(), credentials.Completion{ID: d.ID, Sealed: sealed}, entry()); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWhoSignsWhat tries every class, every kind and every level: what the table of
// package claims says is what the issuer does, and what was agreed goes before it.
func TestWhoSignsWhat(t *testing.T) {
	w := newWorld(t)
	about := w.screening(t, w.house, w.cases.open(w.house))
	samples := map[claims.Kind]string{
		claims.KindAppointment: "appointment", claims.KindIdentity: "identity-least", claims.KindDocument: "document-least",
		claims.KindOpinion: "opinion", claims.KindReliance: "reliance-again", claims.KindReply: "reply-matched",
	}
	for _, class := range claims.SigningClasses() {
		by := audit.Actor{ID: storetest.NewID(), Agency: storetest.NewID(), Role: "worker"}
		if err := w.agencies.add(by.Agency, class, "ETH"); err != nil {
			t.Fatal(err)
		}
		w.agencies.of[by.Agency].Agreed = nil
		caseID, may := w.cases.open(by), claims.SigningOf(class)
		refused := func(want error, c claims.Claims) {
			t.Helper()
			terms, err := claims.TermsOf(c)
			if err != nil {
				t.Fatal(err)
			}
			o := credentials.Order{Case: caseID, Claims: c}
			if terms.Answers {
				o = credentials.Order{About: about.ID, Claims: c}
			}
			before := w.key(by).count()
			_, err = w.issuer.Issue(t.Context(), by, o)
			for _, e := range []error{credentials.ErrKind, credentials.ErrLevel} {
				if errors.Is(err, e) != errors.Is(want, e) {
					t.Errorf("%s signs %s: %v, want %v", class, terms.Kind, err, want)
				}
			}
			if want != nil && w.key(by).count() != before {
				t.Errorf("%s has signed %s", class, terms.Kind)
			}
		}
		for _, terms := range claims.Kinds() {
			if terms.Kind == claims.KindScreening {
				continue
			}
			want := credentials.ErrKind
			if may.May(terms.Kind) {
				want = nil
			}
			refused(want, sample(samples[terms.Kind]))
		}
		for _, level := range claims.Values("decision_level") {
			s := agreed(func(*claims.Consent) {})
			s.DecisionLevel = level
			want := credentials.ErrKind
			switch {
			case may.May(claims.KindScreening) && may.Reaches(level):
				want = nil
			case may.May(claims.KindScreening):
				want = credentials.ErrLevel
			}
			refused(want, s)
		}
		_, err := w.issuer.IssueCard(t.Context(), by, cardOrder(caseID, ""))
		if got := errors.Is(err, credentials.ErrKind); got == may.May(claims.KindDocument) {
			t.Errorf("%s prints a record of lost documents: %v", class, err)
		}
	}
}

// TestLevelOnACard: a card says a screening's level anew, so that it has to be one
// that may still be signed.
func TestLevelOnACard(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	formal := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: sample("screening-everything")})
	w.agencies.of[w.house.Agency].Agreed = nil // an NGO's table now
	before := w.key(w.house).count()
	_, err := w.issuer.IssueCard(t.Context(), w.house, cardOrder(caseID, formal.ID))
	wantError(t, "a card above what the agency signs", err, credentials.ErrLevel)
	w.agencies.of[w.house.Agency].Agreed = &claims.Signing{Kinds: []claims.Kind{claims.KindDocument}, Level: "judicial_finding"}
	_, err = w.issuer.IssueCard(t.Context(), w.house, cardOrder(caseID, formal.ID))
	wantError(t, "a card of a kind that the agency does not sign", err, credentials.ErrKind)
	w.agencies.of[w.house.Agency].Agreed = &claims.Signing{}
	_, err = w.issuer.IssueCard(t.Context(), w.house, cardOrder(caseID, ""))
	wantError(t, "a card of an agency that signs nothing", err, credentials.ErrKind)
	if got := w.key(w.house).count(); got != before {
		t.Errorf("%d signatures were made all the same", got-before)
	}
	w.agencies.of[w.house.Agency].Agreed = everything()
	w.card(t, w.house, cardOrder(caseID, formal.ID))
}
