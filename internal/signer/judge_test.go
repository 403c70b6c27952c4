package signer_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// A town is a network of real people: its roster, its database, and a signer behind a
// socket that judges by a roster of its own. The one clock is everybody's.
type town struct {
	*peopletest.House
	t    testing.TB
	now  time.Time
	mu   sync.Mutex
	keys keystore.Store // behind the signer
	dir  string         // the signer's
	db   *sqlstore.DB
	all  *people.Roster

	judge *signer.Judge
	*signer.Client

	ngo, other, embassy     string
	worker, boss, officer   string
	program, mission, alien string // tokens: the NGO's, the embassy's, the other NGO's
}

func (w *town) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *town) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func newTown(t testing.TB, keys keystore.Store) *town {
	t.Helper()
	w := &town{t: t, now: now, keys: known{keys}, dir: t.TempDir()}
	var err error
	w.db, err = sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "safeconduct.db"))
	w.ok(err)
	t.Cleanup(func() { _ = w.db.Close() })
	w.ok(storetest.Seal(t.Context(), w.db))
	site, err := passkey.At(base, "Made up", false)
	w.ok(err)
	passkeys, err := passkey.New(site)
	w.ok(err)
	w.all, err = people.New(people.Config{Store: w.db.People(), Checker: passkey.Checker{RelyingParty: passkeys}, Now: w.clock})
	w.ok(err)

	root, err := keystore.New(keys).Root(t.Context())
	w.ok(err)
	jwk, err := jws.MarshalKey(publicOf(root.Key))
	w.ok(err)
	link, secret := w.all.NewLink()
	w.ok(w.all.Found(t.Context(), netID, roster.Found{
		Root: jwk, First: people.NewPerson("", "operator-1", people.Operator), Link: link, Until: w.now.Add(roster.FoundingLife).Unix(), Format: roster.Format,
	}, func(message []byte) ([]byte, error) {
		return crypto.SignMessage(root.Key, rand.Reader, message, crypto.SHA256)
	}))
	w.House = peopletest.Joined(t, w.all, passkeys, base, secret)

	w.ngo = w.Agency(nil, roster.Agency{Name: "Lotus House", Class: "NGO", Country: "KHM", Desk: "+855 1"})
	w.other = w.Agency(nil, roster.Agency{Name: "Open Door", Class: "NGO", Country: "THA", Desk: "+66 1"})
	w.embassy = w.Agency(nil, roster.Agency{Name: "Embassy of Utopia", Class: "x_DiplomaticMission", Country: "UTO", Desk: "+855 2"})
	w.worker, w.boss = w.Person(w.ngo, people.Caseworker, w.First), w.Person(w.ngo, people.Supervisor, w.First)
	w.officer = w.Person(w.embassy, people.Mission, w.First)
	w.Person(w.other, people.Supervisor, w.First)
	w.program, w.mission, w.alien = w.Token(w.ngo, people.Caseworker), w.Token(w.embassy, people.Mission), w.Token(w.other, people.Caseworker)
	w.start()
	for _, agency := range []string{w.ngo, w.other, w.embassy} {
		_, err := w.NewAgency(t.Context(), agency)
		w.ok(err)
	}
	return w
}

// town with a key file.
func fileTown(t testing.TB) *town {
	t.Helper()
	file, err := keyfile.Create(t.Context(), keyfile.Config{Path: filepath.Join(t.TempDir(), "keys.age"), Passphrase: "made up for a test", WorkFactor: 2}, "safeconduct/"+netID)
	if err != nil {
		t.Fatal(err)
	}
	return newTown(t, file)
}

func (w *town) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// start starts the signer, or starts it anew, and tells it what there is.
func (w *town) start() {
	w.t.Helper()
	w.Client = through(w.t, w.signer())
	w.Follow(signer.Roster{Base: base, Changes: w.db.People().Changes})
	_, err := w.HandOver(w.t.Context())
	w.ok(err)
}

// signer is what stands behind the socket.
func (w *town) signer() *signer.Guard {
	w.t.Helper()
	var err error
	w.judge, err = signer.NewJudge(w.t.Context(), signer.JudgeConfig{Keys: w.keys, Dir: w.dir, Now: w.clock})
	w.ok(err)
	guard, err := signer.NewGuard(w.t.Context(), signer.GuardConfig{Keys: w.keys, Dir: w.dir, Permits: w.judge, Now: w.clock})
	w.ok(err)
	return guard
}

// with is a context with a program's token.
func (w *town) with(token string) context.Context {
	return approval.With(w.t.Context(), approval.Authority{Token: private.New(token)})
}

// sample is one of the samples of claims.
func sample(t testing.TB, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "claims", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var stated map[string]any
	if err := json.Unmarshal(data, &stated); err != nil {
		t.Fatal(err)
	}
	return stated
}

// preliminary is a finding that a program may have signed.
func preliminary(t testing.TB) map[string]any {
	stated := sample(t, "screening-least")
	stated["decision_level"] = "preliminary_screening"
	return stated
}

// attest has an attestation signed, and returns it.
func (w *town) attest(ctx context.Context, agency, kind string, stated map[string]any) (string, error) {
	w.t.Helper()
	return w.attestOn(ctx, w.clock().Truncate(24*time.Hour), agency, kind, stated)
}

// attestOn is attest with another date.
func (w *town) attestOn(ctx context.Context, today time.Time, agency, kind string, stated map[string]any) (string, error) {
	w.t.Helper()
	kid, key, err := keystore.New(w.Client).Signer(ctx, agency)
	if err != nil {
		return "", err
	}
	return w.signed(kid, key, today, agency, kind, stated)
}

// signed makes an attestation with a key.
func (w *town) signed(kid string, key crypto.Signer, today time.Time, agency, kind string, stated map[string]any) (string, error) {
	members := []sdjwt.Member{{Name: "attestation_id", Value: strings.Repeat("0a", 16)}, {Name: "kind", Value: kind}}
	for name, value := range stated {
		members = append(members, sdjwt.Member{Name: name, Value: value})
	}
	return sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: kid}, []sdjwt.Member{
		{Name: "iss", Value: base + "/agencies/" + agency}, {Name: "iat", Value: today.Unix()}, {Name: "exp", Value: today.AddDate(0, 0, 90).Unix()},
		{Name: "vct", Value: "urn:safeconduct:attestation:1"},
		{Name: "status", Value: map[string]any{"status_list": map[string]any{"idx": nextPlace(), "uri": base + "/status-lists/1"}}},
	}, members, 32, key, nil)
}

// agreement is an act with what people have agreed to.
type agreement struct {
	act   approval.Act
	order []byte
	by    []approval.Proof
}

// agree has people agree to an attestation that attest would have signed.
func (w *town) agree(agency, kind, level string, stated map[string]any, by ...string) agreement {
	w.t.Helper()
	data, err := json.Marshal(stated)
	w.ok(err)
	caseID := strings.Repeat("0c", 16)
	a := agreement{}
	a.order, err = json.Marshal(struct {
		Case       string          `json:"case"`
		Kind       string          `json:"kind"`
		About      string          `json:"about"`
		Claims     json.RawMessage `json:"claims"`
		Replaces   string          `json:"replaces"`
		ValidUntil int64           `json:"valid_until"`
		Salt       string          `json:"salt"`
	}{caseID, kind, "", data, "", w.clock().Truncate(24*time.Hour).AddDate(0, 0, 89).Unix(), hex.EncodeToString(random(8))})
	w.ok(err)
	digest := sha256.Sum256(a.order)
	a.act, err = approval.New(netID, roster.DoIssue, agency, "", &roster.Issue{Case: caseID, Kind: kind, Level: level, Order: digest[:]}, w.clock(), 72*time.Hour)
	w.ok(err)
	for _, person := range by {
		a.by = append(a.by, w.Proof(a.act, person))
	}
	return a
}

// shown is a context with it.
func (w *town) shown(a agreement) context.Context {
	w.t.Helper()
	data, err := a.act.Bytes()
	w.ok(err)
	return approval.With(w.t.Context(), approval.Authority{Act: data, Proofs: a.by, Order: a.order})
}

// print has a card signed.
func (w *town) print(ctx context.Context, agency string, edit func(*card.Claims)) error {
	w.t.Helper()
	kid, key, err := keystore.New(w.Client).Signer(ctx, agency)
	if err != nil {
		return err
	}
	return w.seal(kid, key, edit)
}

// seal makes a card with a key.
func (w *town) seal(kid string, key crypto.Signer, edit func(*card.Claims)) error {
	w.t.Helper()
	today := w.clock().Truncate(24 * time.Hour)
	c := card.Claims{IssuedAt: today, Expires: today.AddDate(0, 0, 100), Name: private.New("SPECIMEN, MADE UP"), Handle: [8]byte{1}, List: 1, Index: nextPlace()}
	edit(&c)
	var id [8]byte
	_, err := hex.Decode(id[:], []byte(kid))
	w.ok(err)
	code, err := card.NewCode(rand.Reader)
	w.ok(err)
	public := make([]byte, 32)
	public[0] = 9 // the base point
	_, err = card.Seal(c, card.SealKeys{Epoch: 1, TagKey: random(32), NetKey: random(32), Public: public}, code, id, key, nil)
	return err
}

func TestJudgeProgram(t *testing.T) {
	w := fileTown(t)
	try := func(token, agency, kind string, stated map[string]any) error {
		_, err := w.attest(w.with(token), agency, kind, stated)
		return err
	}
	allowed(t, "a preliminary finding", try(w.program, w.ngo, "screening", preliminary(t)))
	allowed(t, "a document", try(w.program, w.ngo, "document", sample(t, "document-least")))
	decision := preliminary(t)
	decision["decision_level"] = "reasonable_grounds"
	hidden := sample(t, "document-least")
	hidden["decision_level"], hidden["trafficking_status"] = "judicial_finding", "ActualVictimOfTrafficking"
	for what, err := range map[string]error{
		"a decision":                          try(w.program, w.ngo, "screening", decision),
		"a decision that is called otherwise": try(w.program, w.ngo, "document", hidden),
		"a kind that nobody knows":            try(w.program, w.ngo, "verdict", sample(t, "document-least")),
		"nobody's token":                      try("", w.ngo, "document", sample(t, "document-least")),
		"another agency's token":              try(w.alien, w.ngo, "document", sample(t, "document-least")),
		"in another agency's name":            try(w.program, w.other, "document", sample(t, "document-least")),
		"a reply":                             try(w.mission, w.embassy, "reply", sample(t, "reply-matched")),
		"a kind that embassies do not sign":   try(w.mission, w.embassy, "document", sample(t, "document-least")),
	} {
		refused(t, what, err)
	}
	plain := func(*card.Claims) {}
	allowed(t, "a card", w.print(w.with(w.program), w.ngo, plain))
	refused(t, "a card of an embassy", w.print(w.with(w.mission), w.embassy, plain))
	refused(t, "nobody's card", w.print(t.Context(), w.ngo, plain))

	// Who has taken a token away, and who is suspended, is asked each time.
	s, err := w.all.State(t.Context())
	w.ok(err)
	removed := s.ProgramsOf(w.other)[0].ID
	allowed(t, "before it is taken away", try(w.alien, w.other, "document", sample(t, "document-least")))
	w.Do(roster.DoRemoveProgram, w.other, &roster.RemoveProgram{ID: removed}, w.First)
	_, err = w.HandOver(t.Context())
	w.ok(err)
	refused(t, "a token that was taken away", try(w.alien, w.other, "document", sample(t, "document-least")))
	w.wait(23 * time.Hour)
	allowed(t, "the last day", try(w.program, w.ngo, "document", sample(t, "document-least")))
	w.wait(2 * time.Hour)
	refused(t, "a token that is over", try(w.program, w.ngo, "document", sample(t, "document-least")))
}

// TestJudgeScreenedCard: a card repeats a screening that was signed here, and nothing
// else.
func TestJudgeScreenedCard(t *testing.T) {
	w := fileTown(t)
	ctx := w.with(w.program)
	screening, err := w.attest(ctx, w.ngo, "screening", preliminary(t))
	w.ok(err)
	others, err := w.attest(w.with(w.alien), w.other, "screening", preliminary(t))
	w.ok(err)
	document, err := w.attest(ctx, w.ngo, "document", sample(t, "document-least"))
	w.ok(err)
	print := func(about string, status, level int) error {
		ctx := approval.With(t.Context(), approval.Authority{Token: private.New(w.program), About: private.New(about)})
		return w.print(ctx, w.ngo, func(c *card.Claims) { c.Status, c.DecisionLevel = status, level })
	}
	is := claims.CardStatus(preliminary(t)["trafficking_status"].(string))
	allowed(t, "what the screening says", print(screening, is, 1))
	for what, err := range map[string]error{
		"another status":         print(screening, 3-is, 1),
		"a higher level":         print(screening, is, 2),
		"without the screening":  print("", is, 1),
		"another agency's":       print(others, is, 1),
		"a document":             print(document, is, 1),
		"a screening half shown": print(strings.SplitN(screening, "~", 2)[0]+"~", is, 1),
		"an altered one":         print("e"+screening, is, 1),
	} {
		refused(t, what, err)
	}
	g := &guarded{t: t, Keys: keystore.New(w.Client)}
	w.ok(g.published(w.listed(1)))
	list, err := g.list(base+"/status-lists/1", map[int]uint8{w.place(w.ngo, screening): statuslist.Invalid}, nil)
	w.ok(err)
	refused(t, "a screening that is out of use", print(screening, is, 1))
	w.ok(g.pack(1, list, ""))
	w.start()
	refused(t, "a screening that is out of use, started anew", print(screening, is, 1))
	w.wait(100 * 24 * time.Hour)
	refused(t, "a screening that is over", print(screening, is, 1))
}

// place is where an attestation stands.
func (w *town) place(agency, attestation string) int {
	w.t.Helper()
	p, err := w.Public(w.t.Context(), keystore.Agency(agency))
	w.ok(err)
	key, err := p.Key()
	w.ok(err)
	token, err := sdjwt.Parse(attestation, sdjwt.TypeVC)
	w.ok(err)
	said, err := token.Verify(key, sdjwt.Policy{Now: w.clock()})
	w.ok(err)
	return int(said.Status().Index)
}

// TestJudgeBudget: a signer stops at what an agency may have in all, and counts on when
// it is started anew.
func TestJudgeBudget(t *testing.T) {
	w := fileTown(t)
	p, err := w.Public(t.Context(), keystore.Agency(w.ngo))
	w.ok(err)
	_, key, err := keystore.New(w.Client).Signer(w.with(w.program), w.ngo)
	w.ok(err)
	spy := &spying{key: key.(crypto.MessageSigner)}
	w.ok(w.seal(p.KeyID, spy, func(*card.Claims) {}))
	print := func(n int) (done int) {
		for range n {
			_, err := w.Sign(w.with(w.program), keystore.Agency(w.ngo), p.KeyID, []keystore.Message{{Bytes: spy.message}})
			if err == nil {
				done++
			} else if !errors.Is(err, keystore.ErrRefused) {
				t.Fatal(err)
			}
		}
		return done
	}
	if got := print(99); got != 99 { // the first was sealed
		t.Fatalf("%d of 99", got)
	}
	w.ok(w.judge.Close(t.Context()))
	w.start()
	if got := print(250); got != 200 {
		t.Errorf("started anew: %d, want the other 200 of 300", got)
	}
	w.start() // killed: what was counted ahead is gone, and never more is signed
	if got := print(5); got != 0 {
		t.Errorf("killed: %d more", got)
	}
}

// TestJudgeAtOnce: of a hundred at the edge of a budget exactly what is left passes, and
// of a hundred under one act one.
func TestJudgeAtOnce(t *testing.T) {
	w := fileTown(t)
	p, err := w.Public(t.Context(), keystore.Agency(w.ngo))
	w.ok(err)
	_, key, err := keystore.New(w.Client).Signer(w.with(w.program), w.ngo)
	w.ok(err)
	spy := &spying{key: key.(crypto.MessageSigner)}
	w.ok(w.seal(p.KeyID, spy, func(*card.Claims) {}))
	many := make([]keystore.Message, 249)
	for i := range many {
		many[i] = keystore.Message{Bytes: spy.message}
	}
	_, err = w.Sign(w.with(w.program), keystore.Agency(w.ngo), p.KeyID, many)
	w.ok(err)
	atOnce := func(try func() error) (passed int64) {
		var done sync.WaitGroup
		var n atomic.Int64
		for range 100 {
			done.Go(func() {
				switch err := try(); {
				case err == nil:
					n.Add(1)
				case !errors.Is(err, keystore.ErrRefused):
					t.Error(err)
				}
			})
		}
		done.Wait()
		return n.Load()
	}
	if got := atOnce(func() error {
		_, err := w.Sign(w.with(w.program), keystore.Agency(w.ngo), p.KeyID, many[:1])
		return err
	}); got != 50 {
		t.Errorf("%d cards of 100, want the 50 that were left", got)
	}
	decision := preliminary(t)
	decision["decision_level"] = "reasonable_grounds"
	ctx := w.shown(w.agree(w.ngo, "screening", "reasonable_grounds", decision, w.worker, w.boss))
	if got := atOnce(func() error { _, err := w.attest(ctx, w.ngo, "screening", decision); return err }); got != 1 {
		t.Errorf("%d attestations under one act", got)
	}
}

// broken is a keystore that does not sign while it is.
type broken struct {
	keystore.Store
	is *atomic.Bool
}

func (b broken) Sign(ctx context.Context, use keystore.Use, kid string, messages []keystore.Message) ([][]byte, error) {
	if _, agency := use.OfAgency(); agency && b.is.Load() {
		return nil, trouble.ErrKeystore
	}
	return b.Store.Sign(ctx, use, kid, messages)
}

// TestJudgeUse: one act, one signature; where none could be made the act is not used up,
// and who asks for the same again, because the answer was lost, gets it.
func TestJudgeUse(t *testing.T) {
	file, err := keyfile.Create(t.Context(), keyfile.Config{Path: filepath.Join(t.TempDir(), "keys.age"), Passphrase: "made up for a test", WorkFactor: 2}, "safeconduct/"+netID)
	if err != nil {
		t.Fatal(err)
	}
	var down atomic.Bool
	w := newTown(t, broken{file, &down})
	decision := preliminary(t)
	decision["decision_level"] = "reasonable_grounds"
	ctx := w.shown(w.agree(w.ngo, "screening", "reasonable_grounds", decision, w.worker, w.boss))
	down.Store(true)
	if _, err := w.attest(ctx, w.ngo, "screening", decision); !errors.Is(err, trouble.ErrKeystore) {
		t.Fatalf("while it is broken: %v", err)
	}
	down.Store(false)
	kid, key, err := keystore.New(w.Client).Signer(ctx, w.ngo)
	w.ok(err)
	spy := &spying{key: key.(crypto.MessageSigner)}
	_, err = w.signed(kid, spy, w.clock().Truncate(24*time.Hour), w.ngo, "screening", decision)
	allowed(t, "when it works again", err)
	again := func() error {
		_, err := w.Sign(ctx, keystore.Agency(w.ngo), kid, []keystore.Message{{Bytes: spy.message, Shown: spy.shown}})
		return err
	}
	allowed(t, "the same again", again())
	w.start()
	allowed(t, "the same again, by a signer that was started anew", again())
	_, err = w.attest(ctx, w.ngo, "screening", decision)
	refused(t, "another one", err)
}

// TestJudgeKeys: keys are made for agencies of the roster, and no others.
func TestJudgeKeys(t *testing.T) {
	w := fileTown(t)
	_, err := w.NewAgency(t.Context(), strings.Repeat("ab", 16))
	refused(t, "keys of an agency that there is not", err)
	public := func(use keystore.Use) string {
		p, err := w.Public(t.Context(), use)
		w.ok(err)
		return p.KeyID
	}
	rotate := func(agency string) error {
		_, err := w.RotateAgency(t.Context(), agency, public(keystore.Agency(agency)))
		return err
	}
	refused(t, "another key that nobody agreed to", rotate(w.ngo))
	agree := func(agency string, what *roster.NewKey) {
		w.Do(roster.DoNewKey, agency, what, w.First)
	}
	before := public(keystore.Agency(w.ngo))
	agree(w.ngo, &roster.NewKey{Use: roster.UseAgency, Agency: w.ngo, Before: before})
	refused(t, "a key of another agency", rotate(w.other))
	allowed(t, "another key", rotate(w.ngo))
	refused(t, "one more", rotate(w.ngo))
	w.Do(roster.DoCompromisedAgency, "", &roster.CompromisedAgency{ID: w.other, Since: w.clock().Unix()}, w.First)
	allowed(t, "a key of an agency whose keys were in other hands", rotate(w.other))

	// Those of the network, and the old ones on a trust list.
	pack := public(keystore.Pack)
	_, err = w.Rotate(t.Context(), keystore.Pack, pack)
	refused(t, "a pack key that nobody agreed to replace", err)
	agree("", &roster.NewKey{Use: roster.UsePack, Before: pack})
	_, err = w.Rotate(t.Context(), keystore.Root, pack)
	refused(t, "the root", err)
	_, err = w.Rotate(t.Context(), keystore.Pack, pack)
	allowed(t, "a pack key", err)
	if public(keystore.Pack) == pack {
		t.Error("the pack key is the same")
	}
}

// TestOneActOneKey: an act that replaces a key makes one, however many ask for it at once.
func TestOneActOneKey(t *testing.T) {
	w := fileTown(t)
	for _, c := range []struct {
		use    keystore.Use
		act    roster.NewKey
		rotate func(before string) (keystore.Public, error)
	}{
		{keystore.Agency(w.ngo), roster.NewKey{Use: roster.UseAgency, Agency: w.ngo}, func(before string) (keystore.Public, error) {
			return w.RotateAgency(t.Context(), w.ngo, before)
		}},
		{keystore.Pack, roster.NewKey{Use: roster.UsePack}, func(before string) (keystore.Public, error) {
			return w.Rotate(t.Context(), keystore.Pack, before)
		}},
	} {
		old, err := w.Public(t.Context(), c.use)
		w.ok(err)
		c.act.Before = old.KeyID
		w.agreed(c.act)
		var asking sync.WaitGroup
		for range 20 {
			asking.Go(func() {
				if got, err := c.rotate(old.KeyID); err != nil || got.KeyID == old.KeyID {
					t.Errorf("%s: key %s, %v", c.use, got.KeyID, err)
				}
			})
		}
		asking.Wait()
		all, err := w.Publics(t.Context(), c.use)
		w.ok(err)
		if len(all) != 2 {
			t.Errorf("%s: %d keys after one act, want 2", c.use, len(all))
		}
	}
}

// TestJudgeLogKey is hostile case 77: the log's key is replaced by people who agreed, once. The one before
// stands on trust lists and signs checkpoints beside the new one; a key that came to the
// keystore otherwise does not stand beside another.
func TestJudgeLogKey(t *testing.T) {
	w := fileTown(t)
	keys := keystore.New(w.Client)
	number := uint64(0)
	list := func(notes ...verifier.NetworkKey) error {
		number++
		l := w.listed(number)
		l.Keys = append(l.Keys[:2], notes...)
		trust, err := keys.Trust(t.Context())
		w.ok(err)
		_, err = l.Sign(trust)
		return err
	}
	signed := &leaves{}
	checkpoint := func(by ...verifier.NetworkKey) error { // one text, all of them
		more := signed.grown(t, "one more")
		for _, k := range by {
			ctx := approval.With(t.Context(), approval.Authority{Proof: more.proof(t, signed)})
			s, err := keys.LogSigner(ctx, k.Note)
			w.ok(err)
			if _, err := s.Sign([]byte(more.text(t, "safeconduct/"+netID))); err != nil {
				return err
			}
			signed = more
		}
		return nil
	}
	notes := w.notes
	first := notes()[0]
	allowed(t, "the one key", errors.Join(list(first), checkpoint(first)))
	_, err := w.Rotate(t.Context(), keystore.Log, kidOf(t, first))
	refused(t, "a key that nobody agreed to replace", err)
	w.Do(roster.DoNewKey, "", &roster.NewKey{Use: roster.UsePack, Before: kidOf(t, first)}, w.First)
	_, err = w.Rotate(t.Context(), keystore.Log, kidOf(t, first))
	refused(t, "by an act for packs", err)
	w.Do(roster.DoNewKey, "", &roster.NewKey{Use: roster.UseLog, Before: kidOf(t, first)}, w.First)
	for range 2 { // asked again, because the answer was lost
		_, err = w.Rotate(t.Context(), keystore.Log, kidOf(t, first))
		allowed(t, "a key that people agreed to replace", err)
	}
	now := notes()
	if len(now) != 2 || now[1].Note != first.Note {
		t.Fatalf("%d keys", len(now))
	}
	_, err = w.Rotate(t.Context(), keystore.Log, kidOf(t, now[0]))
	refused(t, "one more", err)
	allowed(t, "both", errors.Join(list(now...), checkpoint(now...)))
	refused(t, "the one before alone", checkpoint(now[1]))

	// Whoever has the keystore makes a third one, past the signer.
	_, err = w.keys.Rotate(t.Context(), keystore.Log, kidOf(t, now[0]))
	w.ok(err)
	three := notes()
	refused(t, "a key that was replaced without people", list(three[0], three[1]))
	refused(t, "a checkpoint by it", checkpoint(three[1]))
}

// TestJudgeTrustKey is hostile case 78: the root names another key for trust lists where
// people agreed that the one of before is replaced, and not before.
func TestJudgeTrustKey(t *testing.T) {
	w := fileTown(t)
	iat := w.clock().Unix()
	name := func(edit func(*verifier.TrustKey)) error {
		t.Helper()
		p, err := w.Public(t.Context(), keystore.Trust)
		w.ok(err)
		key, err := p.Key()
		w.ok(err)
		jwk, err := jws.MarshalKey(key)
		w.ok(err)
		root, err := keystore.New(w.Client).Root(t.Context())
		w.ok(err)
		iat++
		k := verifier.TrustKey{Network: netID, KeyID: p.KeyID, JWK: jwk, IssuedAt: iat, Expires: iat + 365*86400}
		edit(&k)
		_, err = k.Sign(root)
		return err
	}
	same := func(*verifier.TrustKey) {}
	refused(t, "of another network", name(func(k *verifier.TrustKey) { k.Network = strings.Repeat("0", 32) }))
	allowed(t, "the first", name(same))
	allowed(t, "the same again", name(same))
	before, err := w.Public(t.Context(), keystore.Trust)
	w.ok(err)
	_, err = w.Rotate(t.Context(), keystore.Trust, before.KeyID)
	refused(t, "a new key that nobody agreed to", err)
	// Whoever has folder and passphrase makes one behind the signer's back.
	_, err = w.keys.Rotate(t.Context(), keystore.Trust, before.KeyID)
	w.ok(err)
	refused(t, "a key that nobody agreed to", name(same))
	w.agreed(roster.NewKey{Use: roster.UsePack, Before: before.KeyID})
	refused(t, "agreed to for another use", name(same))
	w.agreed(roster.NewKey{Use: roster.UseTrust, Before: before.KeyID})
	allowed(t, "agreed to", name(same))
}

// listed is the trust list as the service makes it.
func (w *town) listed(sequence uint64) verifier.TrustList {
	w.t.Helper()
	keys := keystore.New(w.Client)
	l := verifier.TrustList{
		Network: netID, Name: "Test", Sequence: sequence, IssuedAt: w.clock().Unix(), Expires: w.clock().Add(30 * 24 * time.Hour).Unix(),
		StatusLists: base + "/status-lists/", AnswersLists: base + "/answers-lists/",
		Keys: []verifier.NetworkKey{w.own(keystore.Status), w.own(keystore.Pack), w.notes()[0]},
	}
	s, err := w.all.State(w.t.Context())
	w.ok(err)
	for _, id := range slices.Sorted(func(yield func(string) bool) {
		for id := range s.Agencies {
			if !yield(id) {
				return
			}
		}
	}) {
		a := s.Agencies[id]
		p, err := keys.Public(w.t.Context(), keystore.Agency(id))
		w.ok(err)
		key, err := p.Key()
		w.ok(err)
		jwk, err := jws.MarshalKey(key)
		w.ok(err)
		of := verifier.Agency{
			ID: id, Name: a.Name, Class: a.Class, Country: a.Country, Desk: a.Desk, Issuer: base + "/agencies/" + id, Suspended: a.Suspended,
			Admitted: midnight(a.Admitted),
			Keys:     []verifier.AgencyKey{{KeyID: p.KeyID, JWK: jwk, From: midnight(a.Admitted), To: midnight(a.Admitted) + 1e6}},
		}
		for _, q := range a.Quotas {
			of.Quotas = append(of.Quotas, verifier.Quota{Event: q.Event, Cards: q.Cards, Until: q.Until})
		}
		l.Agencies = append(l.Agencies, of)
	}
	return l
}

func TestJudgeTrustList(t *testing.T) {
	w := fileTown(t)
	n := uint64(0)
	sign := func(edit func(*verifier.TrustList)) error {
		n++
		l := w.listed(n)
		edit(&l)
		trust, err := keystore.New(w.Client).Trust(t.Context())
		w.ok(err)
		_, err = l.Sign(trust)
		return err
	}
	allowed(t, "as it is", sign(func(*verifier.TrustList) {}))
	allowed(t, "one that was left out", sign(func(l *verifier.TrustList) { l.Agencies = l.Agencies[1:] }))
	for what, edit := range map[string]func(*verifier.TrustList){
		"another name":                      func(l *verifier.TrustList) { l.Agencies[0].Name = "Lotus Hause" },
		"another desk":                      func(l *verifier.TrustList) { l.Agencies[1].Desk = "+1 900" },
		"another class":                     func(l *verifier.TrustList) { l.Agencies[1].Class = "x_DiplomaticMission" },
		"another country":                   func(l *verifier.TrustList) { l.Agencies[2].Country = "UTO" },
		"admitted long ago":                 func(l *verifier.TrustList) { l.Agencies[0].Admitted -= 86400 },
		"more cards":                        func(l *verifier.TrustList) { l.Agencies[0].Quotas = []verifier.Quota{{Event: "x", Cards: 5, Until: 1}} },
		"a real network as a demonstration": func(l *verifier.TrustList) { l.Demo = true },
		"an agency more": func(l *verifier.TrustList) {
			more := l.Agencies[0]
			more.ID = strings.Repeat("ab", 16)
			more.Issuer, more.Keys = base+"/agencies/"+more.ID, nil
			l.Agencies = append(l.Agencies, more)
		},
	} {
		refused(t, what, sign(func(l *verifier.TrustList) {
			slices.SortFunc(l.Agencies, func(a, b verifier.Agency) int { return strings.Compare(b.Class+b.Name, a.Class+a.Name) })
			edit(l)
		}))
	}
	w.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: w.other}, w.First)
	_, err := w.HandOver(t.Context())
	w.ok(err)
	refused(t, "suspended, and not marked", sign(func(l *verifier.TrustList) {
		for i := range l.Agencies {
			l.Agencies[i].Suspended = false
		}
	}))
	allowed(t, "suspended", sign(func(*verifier.TrustList) {}))
	_, err = w.attest(w.with(w.alien), w.other, "document", sample(t, "document-least"))
	refused(t, "a suspended agency's attestation", err)
}

// TestAdopt: a signer takes what follows from what it has, and nothing else.
func TestAdopt(t *testing.T) {
	w := fileTown(t)
	there := w.judge.Roster()
	rows, err := w.db.People().Changes(t.Context(), 1, 100)
	w.ok(err)
	if there.Seq != uint64(len(rows)) {
		t.Fatalf("%d changes were adopted, of %d", there.Seq, len(rows))
	}
	take := func(j *signer.Judge, changes ...[]byte) error {
		_, err := j.Adopt(t.Context(), base, changes, false)
		return err
	}
	allowed(t, "all again", take(w.judge, rows...))
	refused(t, "not a change", take(w.judge, []byte("{}")))

	// A roster of somebody else's, whose root is not ours, and one of our own root that
	// goes another way.
	stranger := fileTown(t)
	theirs, err := stranger.db.People().Changes(t.Context(), 1, 100)
	w.ok(err)
	refused(t, "another roster", take(w.judge, theirs...))
	fresh, err := signer.NewJudge(t.Context(), signer.JudgeConfig{Keys: w.keys, Dir: t.TempDir(), Now: w.clock})
	w.ok(err)
	refused(t, "another root's", take(fresh, theirs...))
	refused(t, "from the middle", take(fresh, rows[3:]...))
	allowed(t, "from the beginning", take(fresh, rows...))
	if got := fresh.Roster(); got.Seq != there.Seq || string(got.Head) != string(there.Head) {
		t.Error("another head")
	}

	// When it began, and with what, is written down and told.
	began := signer.Beginning{At: w.clock().Truncate(time.Second), Changes: there.Seq}
	if got := fresh.Began(); !got.At.Equal(began.At) || got.Changes != began.Changes {
		t.Errorf("began %v with %d, want %v with %d", got.At, got.Changes, began.At, began.Changes)
	}
	first, err := w.Began(t.Context())
	w.ok(err)
	w.Person("", people.Operator, w.First)
	_, err = w.HandOver(t.Context())
	w.ok(err)
	w.start()
	again, err := w.Began(t.Context())
	w.ok(err)
	if again != first || first.At.IsZero() || w.judge.Roster().Seq == there.Seq {
		t.Errorf("it began %+v, and started anew %+v", first, again)
	}

	// What was adopted stays when the signer is started anew, and is nobody's to alter.
	anew, err := signer.NewJudge(t.Context(), signer.JudgeConfig{Keys: w.keys, Dir: w.dir, Now: w.clock})
	w.ok(err)
	if anew.Roster().Seq != w.judge.Roster().Seq {
		t.Error("started anew it knows nothing")
	}
	path := filepath.Join(w.dir, signer.RosterName)
	data, err := os.ReadFile(path)
	w.ok(err)
	w.ok(os.WriteFile(path, []byte(strings.Replace(string(data), `"whole":true`, `"whole":false`, 1)), 0o600))
	if _, err := signer.NewJudge(t.Context(), signer.JudgeConfig{Keys: w.keys, Dir: w.dir, Now: w.clock}); !errors.Is(err, signer.ErrState) {
		t.Errorf("altered: %v", err)
	}
}

// TestAdoptBackdated: a change that was dated back waits its day from when it was seen,
// and an operator alone founds nothing any more, whatever the change says.
func TestAdoptBackdated(t *testing.T) {
	w := fileTown(t)
	at := w.clock()
	w.wait(25 * time.Hour) // founding is over
	life := 72 * time.Hour
	forge := func(do, agency string, what any, made time.Time, by ...string) error {
		t.Helper()
		rows, err := w.db.People().Changes(t.Context(), 1, 100)
		w.ok(err)
		state, err := w.all.State(t.Context())
		w.ok(err)
		act, err := approval.New(netID, do, agency, "", what, w.clock(), life)
		w.ok(err)
		data, err := act.Bytes()
		w.ok(err)
		c := roster.Change{Seq: uint64(len(rows)) + 1, Prev: state.Head[:], At: made.Unix(), Act: data}
		for _, person := range by {
			c.Proofs = append(c.Proofs, w.Proof(act, person))
		}
		row, err := c.Bytes()
		w.ok(err)
		_, err = w.judge.Adopt(t.Context(), base, [][]byte{row}, false)
		return err
	}
	secret := strings.Repeat("x", 32)
	program := roster.Program{ID: strings.Repeat("cd", 16), Agency: w.ngo, Role: people.Caseworker, Label: "made up", Token: []byte(secret), Expires: w.clock().Add(48 * time.Hour).Unix()}
	refused(t, "by one operator, as if founding were open", forge(roster.DoAddProgram, w.ngo, &roster.AddProgram{Program: program}, at.Add(time.Hour), w.First))
	refused(t, "tomorrow's", forge(roster.DoAddProgram, w.ngo, &roster.AddProgram{Program: program}, w.clock().Add(time.Hour), w.boss, w.First))
	w.wait(3 * 24 * time.Hour)
	program.Expires = w.clock().Add(10 * 24 * time.Hour).Unix()
	refused(t, "before anybody can have asked", forge(roster.DoAddProgram, w.ngo, &roster.AddProgram{Program: program}, at.Add(time.Hour), w.boss, w.First))
	life = 12 * time.Hour // asked for long ago, and agreed to now
	allowed(t, "by two, dated back", forge(roster.DoAddProgram, w.ngo, &roster.AddProgram{Program: program}, w.clock().Add(-30*time.Hour), w.boss, w.First))
	counts := func() bool {
		view := w.judge.State()
		_, ok := view.Programs[program.ID]
		return ok
	}
	if counts() {
		t.Error("it counts at once")
	}
	w.wait(23 * time.Hour)
	if counts() {
		t.Error("it counts before its day is over")
	}
	w.wait(2 * time.Hour)
	if !counts() {
		t.Error("it never counts")
	}
}

// BenchmarkJudge is a document by a program's token, through the socket: without a judge,
// and with one that counts.
func BenchmarkJudge(b *testing.B) {
	w := fileTown(b)
	document := sample(b, "document-least")
	ctx := w.with(w.program)
	judged := w.Client
	guard, err := signer.NewGuard(b.Context(), signer.GuardConfig{Keys: w.keys, Dir: b.TempDir(), Now: w.clock})
	w.ok(err)
	for name, client := range map[string]*signer.Client{"guarded": through(b, guard), "judged": judged} {
		b.Run(name, func(b *testing.B) {
			w.Client = client
			for b.Loop() {
				if _, err := w.attest(ctx, w.ngo, "document", document); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestJudgeEnvelope: keys are sealed for the devices that were let in, as long as nobody
// has taken them out, and for as long as the service lets a device work by itself.
func TestJudgeEnvelope(t *testing.T) {
	w := fileTown(t)
	key, err := keystore.New(w.Client).Pack(t.Context())
	w.ok(err)
	trust, err := keystore.New(w.Client).Trust(t.Context())
	w.ok(err)
	_, err = w.listed(1).Sign(trust) // so that the network is known
	w.ok(err)
	_, recipient, err := verifier.NewDevice(netID, "dd01", nil)
	w.ok(err)
	envelope := func(device string, lease time.Duration) error {
		at := w.clock()
		_, err := verifier.Envelope{Network: netID, Device: device, Sequence: 1, IssuedAt: at.Unix(), LeaseUntil: at.Add(lease).Unix()}.Seal(verifier.EpochKeys{}, recipient, key)
		return err
	}
	let := func(agency string) string {
		d := roster.AdmitDevice{Device: roster.Device{
			ID: randomID(), Agency: agency, Label: "tablet 1", Recipient: recipient, Token: make([]byte, sha256.Size), InvitedBy: w.boss,
		}, Symbols: "x"}
		_, _ = rand.Read(d.Token)
		w.Do(roster.DoAdmitDevice, agency, &d, w.First)
		return d.ID
	}
	const week = 7 * 24 * time.Hour
	refused(t, "a device that nobody has let in", envelope(randomID(), week))
	one, two := let(w.ngo), let(w.other)
	allowed(t, "a device", envelope(one, week))
	allowed(t, "another one", envelope(two, week))
	refused(t, "for longer than the service gives", envelope(one, week+time.Second))
	w.Do(roster.DoRemoveDevice, w.ngo, &roster.RemoveDevice{ID: one}, w.boss)
	w.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: w.other}, w.First)
	_, err = w.HandOver(t.Context())
	w.ok(err)
	refused(t, "a device that was taken out", envelope(one, week))
	refused(t, "a device of an agency that is suspended", envelope(two, week))
}

func randomID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}
