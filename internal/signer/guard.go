package signer

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/verifier"
)

// What a guard believes of the process that asks it is nothing: it reads each
// message itself, and signs what an honest service could want. Everything else is
// keystore.ErrRefused.

// How long what is signed may hold at most, and how far from our clock it may be dated. A
// demonstration lives in the past.
const (
	day             = 24 * time.Hour
	longestTrust    = 31 * day
	longestList     = 72 * time.Hour
	longestLease    = 7 * day
	longestValidity = 5 * 366 * day // cards have a shorter one of their own
	ahead           = 5 * time.Minute
	// back is how far a list, a pack, an envelope or a trust list may be dated back.
	back = 6 * time.Hour
	// step is how far the next number may be ahead of the last, and how much a log may
	// have grown; firstStep bounds the first. A restore goes on more than 2^20 ahead.
	step      = 1 << 24
	firstStep = 1 << 32
)

// A Change is one place of a list that is about to change, which is no decoy's, in a way
// for which there has to be a reason: an answer appears, or a pause ends.
type Change struct {
	Subject  string // the address of the list
	Index    int
	From, To uint8
	Agency   string // that has signed what stands there; "" if nothing shows it

	// An answer is one of a mission, or of who was named, in the name of a state. That the
	// card names that state as the holder's, and that the reply is good, is seen already.
	Mission, State string
	// A pause ends by an act.
	Act    []byte
	Proofs []approval.Proof
}

// Permits judges what a guard can read and not decide by itself: whether somebody
// who may has agreed. Its errors wrap keystore.ErrRefused.
type Permits interface {
	// Attestation is asked for each finding with its claims, and Card for each card.
	Attestation(ctx context.Context, agency string, m keystore.Message, c *sdjwt.Claims) error
	Card(ctx context.Context, agency string, m keystore.Message, c card.Claims) error
	// NewKeys is asked before an agency gets keys.
	NewKeys(ctx context.Context, agency string) error
	// Replaces is asked before the key that has an id and signs for a use gets a
	// successor, and before the log's one of before signs beside it.
	Replaces(ctx context.Context, use keystore.Use, kid string) error
	// TrustKey is asked which key the root names for trust lists, where it named another
	// one last; "" where it named none, or the same.
	TrustKey(ctx context.Context, k verifier.TrustKey, before string) error
	// TrustList is asked who belongs to the network, with which keys, and which keys of
	// the network's own that signed before stand beside those that sign now.
	TrustList(ctx context.Context, l verifier.TrustList) error
	// Envelope is asked which devices get keys.
	Envelope(ctx context.Context, device string) error
	// Changes is asked for what takes something back or confirms something: a pause
	// that ends, an answer that appears.
	Changes(ctx context.Context, all []Change) error
}

// PermitAll has no objection: who agreed to what is looked at by the service alone.
type PermitAll struct{}

// Attestation permits.
func (PermitAll) Attestation(context.Context, string, keystore.Message, *sdjwt.Claims) error {
	return nil
}

// Card permits.
func (PermitAll) Card(context.Context, string, keystore.Message, card.Claims) error { return nil }

// NewKeys permits.
func (PermitAll) NewKeys(context.Context, string) error { return nil }

// Replaces permits.
func (PermitAll) Replaces(context.Context, keystore.Use, string) error { return nil }

// TrustKey permits.
func (PermitAll) TrustKey(context.Context, verifier.TrustKey, string) error { return nil }

// TrustList permits.
func (PermitAll) TrustList(context.Context, verifier.TrustList) error { return nil }

// Envelope permits.
func (PermitAll) Envelope(context.Context, string) error { return nil }

// Changes permits.
func (PermitAll) Changes(context.Context, []Change) error { return nil }

// GuardConfig says what stands behind a guard.
type GuardConfig struct {
	Keys keystore.Store
	// Dir is a folder of the guard's own, for what it signed last.
	Dir     string
	Permits Permits          // nil means PermitAll
	Now     func() time.Time // nil means time.Now
	// Derived are the labels that SignDerived may be asked for. MAC refuses them,
	// because it would give those keys away.
	Derived []string
}

// A Guard is a Store in front of another one. It is the only one that uses its
// folder.
type Guard struct {
	keystore.Store
	cfg   GuardConfig
	judge *Judge // nil where somebody else permits

	mu    sync.Mutex // what is compared with the state, and changes it, goes one by one
	state state

	// A list or a pack is held against what the last pack had, and kept, before another
	// one is looked at: else each of two takes back what the other one withdrew. It is
	// taken before mu.
	judging sync.Mutex

	// One key after the other is replaced: a keystore looks which one signs, and makes the
	// next. Without it one act would be good for as many keys as were asked for at once.
	rotating sync.Mutex

	places places
	taken  *takenPlaces
}

// NewGuard reads what was signed last. A state that was altered is an error, one
// that is not there is that of a signer which begins.
func NewGuard(ctx context.Context, cfg GuardConfig) (*Guard, error) {
	if cfg.Permits == nil {
		cfg.Permits = PermitAll{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	g := &Guard{Store: cfg.Keys, cfg: cfg}
	if j, ok := cfg.Permits.(*Judge); ok {
		g.judge, j.stands, j.listed = j, g.stands, g.listed
	}
	var err error
	if g.state, err = readState(ctx, cfg.Keys, cfg.Dir); err != nil {
		return nil, err
	}
	g.taken, err = openTaken(cfg.Dir)
	return g, err
}

func refuse(why string) error { return fmt.Errorf("%w: %s", keystore.ErrRefused, why) }

// Ready says whether the keys can be used now.
func (g *Guard) Ready(ctx context.Context) error {
	if r, ok := g.Store.(Readier); ok {
		return r.Ready(ctx)
	}
	return nil
}

// Roster says how far the roster goes that this signer has.
func (g *Guard) Roster() Place {
	if g.judge != nil {
		return g.judge.Roster()
	}
	return Place{}
}

// Began is Judge's.
func (g *Guard) Began() Beginning {
	if g.judge != nil {
		return g.judge.Began()
	}
	return Beginning{}
}

// Adopt is Judge's.
func (g *Guard) Adopt(ctx context.Context, base string, changes [][]byte, more bool) (Place, error) {
	if g.judge != nil {
		return g.judge.Adopt(ctx, base, changes, more)
	}
	return Place{}, refuse("there is nobody who judges by it")
}

// NewAgency makes keys for an agency that there is.
func (g *Guard) NewAgency(ctx context.Context, agency string) (keystore.Public, error) {
	if err := g.cfg.Permits.NewKeys(ctx, agency); err != nil {
		return keystore.Public{}, err
	}
	return g.Store.NewAgency(ctx, agency)
}

// RotateAgency makes a new key for an agency that there is, where people agreed that the
// one which signs is replaced.
func (g *Guard) RotateAgency(ctx context.Context, agency, before string) (keystore.Public, error) {
	if err := g.cfg.Permits.NewKeys(ctx, agency); err != nil {
		return keystore.Public{}, err
	}
	if err := g.cfg.Permits.Replaces(ctx, keystore.Agency(agency), before); err != nil {
		return keystore.Public{}, err
	}
	g.rotating.Lock()
	defer g.rotating.Unlock()
	return g.Store.RotateAgency(ctx, agency, before)
}

// Rotate makes a new key for trust lists, lists, packs or the log, where people agreed that
// the one which signs is replaced.
func (g *Guard) Rotate(ctx context.Context, use keystore.Use, before string) (keystore.Public, error) {
	if err := g.cfg.Permits.Replaces(ctx, use, before); err != nil {
		return keystore.Public{}, err
	}
	g.rotating.Lock()
	defer g.rotating.Unlock()
	return g.Store.Rotate(ctx, use, before)
}

// RetireSigning is the keystore's, as are RotateWrapping and RetireWrapping.
func (g *Guard) RetireSigning(ctx context.Context, agency string) error {
	r, err := retirer(g.Store)
	if err != nil {
		return err
	}
	return r.RetireSigning(ctx, agency)
}

// RotateWrapping is that of the keystore.
func (g *Guard) RotateWrapping(ctx context.Context, agency string) error {
	r, err := retirer(g.Store)
	if err != nil {
		return err
	}
	return r.RotateWrapping(ctx, agency)
}

// RetireWrapping is that of the keystore.
func (g *Guard) RetireWrapping(ctx context.Context, agency string) error {
	r, err := retirer(g.Store)
	if err != nil {
		return err
	}
	return r.RetireWrapping(ctx, agency)
}

// Sign reads each message, and has those signed that an honest service could want.
func (g *Guard) Sign(ctx context.Context, use keystore.Use, kid string, messages []keystore.Message) ([][]byte, error) {
	ctx, t := takes(ctx)
	var about []receipt
	for _, m := range messages {
		r, err := g.read(ctx, use, kid, m)
		if err == nil && r.Kind != 0 {
			err = g.taken.take(listPlace{r.List, r.Index}, m.Digest())
		}
		if err != nil {
			t.settle(false)
			return nil, err
		}
		about = append(about, r)
	}
	signatures, err := g.Store.Sign(ctx, use, kid, messages)
	t.settle(err == nil)
	if err == nil {
		g.places.remember(about)
	}
	return signatures, err
}

// read refuses a message that nobody honest could want signed, and says what stands at a
// place of a list from then on.
func (g *Guard) read(ctx context.Context, use keystore.Use, kid string, m keystore.Message) (receipt, error) {
	agency, ok := use.OfAgency()
	switch {
	case ok && len(m.Bytes) > 0 && m.Bytes[0] == 0x84: // an array of four; a token begins with a letter
		return g.card(ctx, agency, kid, m)
	case ok:
		return g.attestation(ctx, agency, kid, m)
	case len(m.Shown) > 0:
		return receipt{}, refuse("nothing is disclosed in it")
	case use == keystore.Root:
		return receipt{}, g.trustKey(ctx, kid, m.Bytes)
	case use == keystore.Trust:
		return receipt{}, g.trustList(ctx, kid, m.Bytes)
	case use == keystore.Status:
		g.judging.Lock()
		defer g.judging.Unlock()
		return receipt{}, g.list(ctx, kid, m.Bytes)
	case use == keystore.Pack:
		g.judging.Lock()
		defer g.judging.Unlock()
		return receipt{}, g.packOrEnvelope(ctx, kid, m.Bytes)
	default:
		return receipt{}, refuse("a use that there is no key for")
	}
}

// dated judges when something begins and ends, in Unix seconds.
func (g *Guard) dated(from, to int64, longest time.Duration) error {
	switch {
	case from <= 0 || to <= from:
		return refuse("it ends before it begins")
	case to-from > int64(longest/time.Second):
		return refuse("it holds longer than anything of its kind")
	case from > g.cfg.Now().Add(ahead).Unix():
		return refuse("it is dated ahead")
	}
	return nil
}

// fresh refuses what the network itself signs where it is dated ahead or back: else an
// act that was used, or a reply that is over, would be good again on the day of before.
// A demonstration plays in the past, and does not go back behind what it signed last.
func (g *Guard) fresh(from int64) error {
	now := g.cfg.Now()
	earliest := now.Add(-back).Unix()
	if g.demo() {
		g.mu.Lock()
		earliest = g.state.Latest - int64(ahead/time.Second)
		g.mu.Unlock()
	}
	switch {
	case from <= 0 || from > now.Add(ahead).Unix():
		return refuse("it is dated ahead")
	case from < earliest:
		return refuse("it is dated back")
	}
	return nil
}

// demo tells whether the signer's own roster is that of a demonstration.
func (g *Guard) demo() bool { return g.judge != nil && g.judge.State().Demo }

// judged is the time by which something of a date is judged: ours. That of a
// demonstration is the date.
func (g *Guard) judged(dated time.Time) time.Time {
	if g.demo() {
		return dated
	}
	return g.cfg.Now()
}

// far tells numbers that nobody honest comes to: whoever had one signed would have every
// later one refused.
func far(next, last uint64) bool {
	if last == 0 {
		return next >= firstStep
	}
	return next > last && next-last > step
}

func (g *Guard) card(ctx context.Context, agency, kid string, m keystore.Message) (r receipt, err error) {
	named, c, ok := card.ReadInput(m.Bytes)
	switch {
	case !ok || len(m.Shown) > 0:
		return r, refuse("not what a card is signed over")
	case hex.EncodeToString(named[:]) != kid:
		return r, refuse("a card names another key")
	}
	if err := g.dated(c.IssuedAt.Unix(), c.Expires.Unix(), longestValidity); err != nil {
		return r, err
	}
	if err := g.free(ctx, c.List, c.Index); err != nil {
		return r, err
	}
	if err := g.cfg.Permits.Card(ctx, agency, m, c); err != nil {
		return r, err
	}
	return g.receiptForCard(ctx, agency, c)
}

// typeOfAttestation is the vct of all attestations (docs/specs.md).
const typeOfAttestation = "urn:safeconduct:attestation:1"

func (g *Guard) attestation(ctx context.Context, agency, kid string, m keystore.Message) (r receipt, err error) {
	named, c, err := sdjwt.ReadInput(m.Bytes, m.Shown, sdjwt.TypeVC)
	if err != nil {
		return r, refuse("not what an attestation is signed over: " + err.Error())
	}
	base, ok := strings.CutSuffix(c.Issuer(), "/agencies/"+agency)
	switch {
	case named != kid:
		return r, refuse("an attestation names another key")
	case c.VCT() != typeOfAttestation:
		return r, refuse("another type of credential")
	case !ok:
		return r, refuse("an attestation of another agency")
	case c.Status() == nil || c.Status().Index < 0 || c.Status().Index >= statuslist.Entries:
		return r, refuse("its status stands nowhere")
	}
	list, ok := number(c.Status().URI, base+"/status-lists/")
	index := uint32(c.Status().Index) //nolint:gosec // within a list, as seen above
	if !ok {
		return r, refuse("its status stands elsewhere")
	}
	if err := g.free(ctx, list, index); err != nil {
		return r, err
	}
	if err := g.dated(c.IssuedAt().Unix(), c.Expires().Unix(), longestValidity); err != nil {
		return r, err
	}
	if err := g.cfg.Permits.Attestation(ctx, agency, m, c); err != nil {
		return r, err
	}
	if err := g.at(ctx, base); err != nil {
		return r, err
	}
	return g.receiptFor(ctx, agency, list, index, c)
}

// number reads the address of a list: a number behind a prefix, written in one way.
func number(address, prefix string) (list uint16, ok bool) {
	text, ok := strings.CutPrefix(address, prefix)
	n, err := strconv.ParseUint(text, 10, 16) // as it stands in cards
	return uint16(n), ok && err == nil && strconv.FormatUint(n, 10) == text
}

// at notes where the network is served, when it is the first to say so.
func (g *Guard) at(ctx context.Context, base string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state.Base == base {
		return nil // as always
	}
	next := g.state.clone()
	if err := next.served(base); err != nil {
		return err
	}
	return g.keep(ctx, next)
}

// served sees that everything is signed for one service: the first that was.
func (s *state) served(base string) error {
	if s.Base != "" && s.Base != base || base == "" {
		return refuse("the network is served elsewhere")
	}
	s.Base = base
	return nil
}

// network sees that everything is of one network: the first that was.
func (s *state) network(id string) error {
	if s.Network != "" && s.Network != id || len(id) != 32 {
		return refuse("of another network")
	}
	s.Network = id
	return nil
}

// statement reads a message that a key of the network signs.
func statement(message []byte, limit int, typ, kid string, v any) error {
	m, err := jws.ParseInput(message, limit, typ)
	if err != nil {
		return refuse("not a " + typ + ": " + err.Error())
	}
	if m.KeyID() != kid {
		return refuse("it names another key")
	}
	if err := strictjson.Unmarshal(m.Unverified(), strictjson.Limits{Size: limit}, v); err != nil {
		return refuse("not a " + typ)
	}
	return nil
}

// trustKey lets the root name the key of this keystore that signs trust lists now, and
// nothing else. A key that nobody agreed to replace is not followed by another.
func (g *Guard) trustKey(ctx context.Context, kid string, message []byte) error {
	var k verifier.TrustKey
	if err := statement(message, verifier.MaxTrustKey, verifier.TypeTrustKey, kid, &k); err != nil {
		return err
	}
	if err := errors.Join(g.dated(k.IssuedAt, k.Expires, verifier.MaxTrustKeyLife), g.fresh(k.IssuedAt)); err != nil {
		return err
	}
	ours, err := g.Public(ctx, keystore.Trust)
	if err != nil {
		return err
	}
	if !among([]keystore.Public{ours}, k.KeyID, k.JWK) {
		return refuse("a key for trust lists that is not the one of this keystore")
	}
	g.mu.Lock()
	before := g.state.Named.KeyID
	g.mu.Unlock()
	if before == k.KeyID {
		before = ""
	}
	if err := g.cfg.Permits.TrustKey(ctx, k, before); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	next := g.state.clone()
	if err := next.network(k.Network); err != nil {
		return err
	}
	if k.IssuedAt <= next.Named.IssuedAt {
		return refuse("the root has named a key with this date or a later one")
	}
	next.Named = naming{k.KeyID, k.IssuedAt}
	return g.keep(ctx, next)
}

func (g *Guard) trustList(ctx context.Context, kid string, message []byte) error {
	var l verifier.TrustList
	if err := statement(message, verifier.MaxTrustList, verifier.TypeTrustList, kid, &l); err != nil {
		return err
	}
	base, ok := strings.CutSuffix(l.StatusLists, "/status-lists/")
	if !ok || l.AnswersLists != base+"/answers-lists/" || len(l.Agencies) > verifier.MaxAgencies {
		return refuse("its lists stand elsewhere")
	}
	if len(l.Keys) > verifier.MaxOwnKeys || slices.ContainsFunc(l.Agencies, func(a verifier.Agency) bool { return len(a.Keys) > verifier.MaxKeys }) {
		return refuse("more keys than anybody reads")
	}
	if err := errors.Join(g.dated(l.IssuedAt, l.Expires, longestTrust), g.fresh(l.IssuedAt)); err != nil {
		return err
	}
	if err := g.ownKeys(ctx, l); err != nil {
		return err
	}
	for _, a := range l.Agencies {
		if a.Issuer != base+"/agencies/"+a.ID {
			return refuse("an agency issues elsewhere")
		}
		if err := g.agencyKeys(ctx, a); err != nil {
			return err
		}
	}
	if err := g.cfg.Permits.TrustList(ctx, l); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	next := g.state.clone()
	if err := errors.Join(next.network(l.Network), next.served(base)); err != nil {
		return err
	}
	if l.Sequence <= next.Trust {
		return refuse("a trust list with this number or a higher one was signed")
	}
	if err := errors.Join(next.callsLog(l), next.noteTrustList(l)); err != nil {
		return err
	}
	next.Latest = max(next.Latest, l.IssuedAt)
	return g.keep(ctx, next)
}

// ownKeys sees that a trust list names keys of this network's own, and no other: for each
// use first the one that signs now. Which of those before stand beside it is for who
// permits the list.
func (g *Guard) ownKeys(ctx context.Context, l verifier.TrustList) error {
	uses := map[verifier.Use]bool{}
	for _, k := range l.Keys {
		var signs string
		kid := k.KeyID
		switch k.Use {
		case verifier.UseStatus, verifier.UsePack:
			publics, err := g.Publics(ctx, keystore.Use(k.Use))
			if err != nil {
				return err
			}
			if !among(publics, k.KeyID, k.JWK) {
				return refuse("a key of the network that this keystore does not have")
			}
			now, err := g.Public(ctx, keystore.Use(k.Use))
			if err != nil {
				return err
			}
			signs = now.KeyID
		case verifier.UseLog:
			all, err := g.logKeyIDs(ctx)
			if err != nil {
				return err
			}
			if kid, err = keystore.LogKeyID(k.Note); err != nil || !slices.Contains(all, kid) {
				return refuse("a key of the log that this keystore does not have")
			}
			signs = all[0]
		default:
			return refuse("a key with a use that there is no key for")
		}
		if !uses[k.Use] && kid != signs {
			return refuse("a key that signed before, without the one that signs now in front of it")
		}
		uses[k.Use] = true
	}
	if len(uses) != 3 {
		return refuse("it names no key for lists, for packs or for the log")
	}
	return nil
}

// logKeyIDs are the ids of the log's keys, that of the one which signs now first.
func (g *Guard) logKeyIDs(ctx context.Context) ([]string, error) {
	vkeys, err := g.LogKeys(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]string, len(vkeys))
	for i, vkey := range vkeys {
		if all[i], err = keystore.LogKeyID(vkey); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// logKey sees that a key of the log is this keystore's, and signs now or was replaced by
// one that people agreed to.
func (g *Guard) logKey(ctx context.Context, kid string) (former bool, err error) {
	all, err := g.logKeyIDs(ctx)
	if err != nil {
		return false, err
	}
	switch i := slices.Index(all, kid); {
	case i == 0:
		return false, nil
	case i > 0:
		return true, g.cfg.Permits.Replaces(ctx, keystore.Log, kid)
	}
	return false, refuse("a key of the log that this keystore does not have")
}

func among(publics []keystore.Public, kid string, jwk []byte) bool {
	key, err := jws.ParseKey(jwk)
	if err != nil || jws.KeyID(key) != kid {
		return false
	}
	return slices.ContainsFunc(publics, func(p keystore.Public) bool {
		ours, err := p.Key()
		return err == nil && ours.Equal(key)
	})
}

// agencyKeys sees that an agency has keys of this keystore alone.
func (g *Guard) agencyKeys(ctx context.Context, a verifier.Agency) error {
	ours, err := g.ours(ctx, a)
	if err != nil {
		return err
	}
	for _, k := range a.Keys {
		if !hasOwnID(k) || k.To <= k.From {
			return refuse("a key of an agency that is none")
		}
		if !k.Revoked && !ours(k) {
			return refuse("a key of an agency that this keystore does not have")
		}
	}
	return nil
}

// hasOwnID tells whether the id of a key on a trust list is that key's.
func hasOwnID(k verifier.AgencyKey) bool {
	key, err := jws.ParseKey(k.JWK)
	return err == nil && jws.KeyID(key) == k.KeyID
}

// ours tells an agency's keys on a trust list that are of this keystore. Some that have
// ended may be gone here: they count when they stood on a list before.
func (g *Guard) ours(ctx context.Context, a verifier.Agency) (func(verifier.AgencyKey) bool, error) {
	g.mu.Lock()
	s := g.state
	g.mu.Unlock()
	stood := func(k verifier.AgencyKey) bool { return s.Keys[keyOf(a.ID, k)] }
	if !slices.ContainsFunc(a.Keys, func(k verifier.AgencyKey) bool { return !stood(k) }) {
		return stood, nil // as always
	}
	publics, err := g.Publics(ctx, keystore.Agency(a.ID))
	if err != nil && !errors.Is(err, keystore.ErrNoKey) {
		return nil, err
	}
	return func(k verifier.AgencyKey) bool { return stood(k) || among(publics, k.KeyID, k.JWK) }, nil
}

// trustListOf is the trust list that a pack names, which whoever asks has to show: for devices
// it counts by the pack alone, and one of before would let somebody in again who is out.
// It may be newer than the last that was signed here, because another signer of these
// keys has signed it.
func (g *Guard) trustListOf(ctx context.Context, p verifier.PackStatement) (l verifier.TrustList, err error) {
	compact := approval.Of(ctx).About.Reveal()
	if verifier.TrustDigest(compact) != p.TrustSHA256 {
		return l, refuse("a pack whose trust list is not shown")
	}
	if err := g.signedNow(ctx, keystore.Trust, compact, verifier.MaxTrustList, verifier.TypeTrustList, &l); err != nil {
		return l, err
	}
	if l.Network != p.Network {
		return l, refuse("a trust list of another network")
	}
	return l, g.strip(ctx, &l)
}

// strip leaves of a trust list that was signed elsewhere no keys of agencies but ours: else
// whoever has the trust key for an hour would plant one of his own, and this signer would
// put it on each list from then on. A signer that begins believes the first list of ended
// ones, too, which may be gone here.
func (g *Guard) strip(ctx context.Context, l *verifier.TrustList) error {
	g.mu.Lock()
	begins := g.state.Trust == 0
	g.mu.Unlock()
	for i := range l.Agencies {
		a := &l.Agencies[i]
		ours, err := g.ours(ctx, *a)
		if err != nil {
			return err
		}
		a.Keys = slices.DeleteFunc(a.Keys, func(k verifier.AgencyKey) bool {
			ended := begins && k.To <= l.IssuedAt && hasOwnID(k)
			return !ended && !ours(k)
		})
	}
	return nil
}

// errFormer says that something was signed by a key of this keystore that was replaced.
// People replace a key because it may be in other hands: nothing that it signed is news.
var errFormer = refuse("signed by a key that was replaced")

// signedNow reads what the key of this keystore has signed that signs for a use now.
func (g *Guard) signedNow(ctx context.Context, use keystore.Use, compact string, limit int, typ string, v any) error {
	publics, err := g.Publics(ctx, use)
	if err != nil {
		return err
	}
	m, err := jws.Parse(compact, limit, typ)
	if err != nil {
		return refuse("not a " + typ + ": " + err.Error())
	}
	key := publicWith(publics, m.KeyID())
	if key == nil {
		return refuse("a " + typ + " that was not signed here")
	}
	payload, err := m.Verify(key)
	if err != nil || strictjson.Unmarshal(payload, strictjson.Limits{Size: limit}, v) != nil {
		return refuse("a " + typ + " that was not signed here")
	}
	now, err := g.Public(ctx, use)
	if err == nil && now.KeyID != m.KeyID() {
		err = errFormer
	}
	return err
}

func (g *Guard) list(ctx context.Context, kid string, message []byte) error {
	named, t, err := statuslist.ReadInput(message, statuslist.Entries)
	switch {
	case err != nil:
		return refuse("not a list: " + err.Error())
	case named != kid:
		return refuse("it names another key")
	case t.List.Bits() != 2:
		return refuse("a list of another width")
	}
	if err := errors.Join(g.dated(t.IssuedAt.Unix(), t.Expires.Unix(), longestList), g.fresh(t.IssuedAt.Unix())); err != nil {
		return err
	}
	base, number, _ := subject(t.Subject)
	if base == "" {
		return refuse("a list at another address")
	}
	changes, err := g.changes(ctx, t.Subject, t.List)
	if err != nil {
		return err
	}
	for i := range changes {
		if err := g.proven(ctx, base, number, &changes[i], t); err != nil {
			return err
		}
	}
	if err := g.cfg.Permits.Changes(ctx, changes); err != nil {
		return err
	}
	if err := g.at(ctx, base); err != nil {
		return err
	}
	g.places.sign(t, message, changes)
	return nil
}

// subject tells a status list from an answers list, its number, and where it stands:
// nowhere if there is no such address.
func subject(address string) (base string, list uint16, status bool) {
	for _, kind := range []string{"/status-lists/", "/answers-lists/"} {
		base, _, _ := strings.Cut(address, kind)
		if list, ok := number(address, base+kind); ok {
			return base, list, kind == "/status-lists/"
		}
	}
	return "", 0, false
}

// said is the list that stood in the pack which was signed last, nil if there was
// none. What was signed and stood in no pack was never published: the service draws
// its decoys anew when somebody else was faster.
func (g *Guard) said(ctx context.Context, subject string) (*statuslist.List, error) {
	g.mu.Lock()
	compact := g.state.Lists[subject]
	g.mu.Unlock()
	if compact == "" {
		return nil, nil
	}
	t, _, err := g.parseList(ctx, compact, subject)
	if err != nil {
		return nil, err
	}
	return t.List, nil
}

// parseList reads a list that this keystore has signed, and tells whether a key did that
// was replaced.
func (g *Guard) parseList(ctx context.Context, compact, subject string) (t *statuslist.Token, former bool, err error) {
	publics, err := g.Publics(ctx, keystore.Status)
	if err != nil {
		return nil, false, err
	}
	now, err := g.Public(ctx, keystore.Status)
	if err != nil {
		return nil, false, err
	}
	t, err = statuslist.Parse(compact, subject, statuslist.Entries, func(kid string) *ecdsa.PublicKey {
		former = kid != now.KeyID
		return publicWith(publics, kid)
	})
	if err != nil {
		return nil, false, refuse("a list that was not signed here")
	}
	return t, former, nil
}

// changes refuses a status list in which something that is out of use or replaced is
// anything else again, and returns the changes that there has to be a reason for. Where
// no list stood, nothing was said of any place.
func (g *Guard) changes(ctx context.Context, address string, after *statuslist.List) (changes []Change, err error) {
	_, number, status := subject(address)
	decoys, err := g.decoys(ctx, number)
	if err != nil {
		return nil, err
	}
	before, err := g.said(ctx, address)
	if before == nil && err == nil {
		before, err = statuslist.New(2, statuslist.Entries)
	}
	if err != nil {
		return nil, err
	}
	if before.Len() != after.Len() {
		return nil, refuse("a list of another length")
	}
	for i := range after.Len() {
		was, err := before.Get(i)
		if err != nil {
			return nil, err
		}
		is, err := after.Get(i)
		if err != nil {
			return nil, err
		}
		switch {
		case was == is:
		case status && (was == statuslist.Invalid || was == statuslist.Replaced):
			return nil, refuse("what is out of use or replaced stays so")
		case status && (was != statuslist.Suspended || is != statuslist.Valid), !status && is == noAnswer:
		case !decoys.Has(uint32(i)):
			changes = append(changes, Change{Subject: address, Index: i, From: was, To: is})
		}
	}
	return changes, nil
}

func (g *Guard) packOrEnvelope(ctx context.Context, kid string, message []byte) error {
	if _, err := jws.ParseInput(message, maxFrame, verifier.TypeEnvelope); err == nil {
		return g.envelope(ctx, kid, message)
	}
	var p verifier.PackStatement
	if err := statement(message, maxFrame, verifier.TypePack, kid, &p); err != nil {
		return err
	}
	g.mu.Lock()
	base := g.state.Base
	before := g.state.Sequence
	g.mu.Unlock()
	switch {
	case base == "" && len(p.Status)+len(p.Answers) > 0:
		return refuse("lists before anything was signed")
	case p.Sequence <= before:
		return refuse("a pack with this number or a higher one was signed")
	case far(p.Sequence, before):
		return refuse("a pack with a number far ahead")
	}
	if err := g.fresh(p.IssuedAt); err != nil {
		return err
	}
	trust, err := g.trustListOf(ctx, p)
	if err != nil {
		return err
	}
	now := g.judged(time.Unix(p.IssuedAt, 0))
	used := map[string]int64{}
	lists, err := g.listsOf(ctx, base, p, func(subject string, t *statuslist.Token, _ bool, token string) error {
		changes, err := g.changes(ctx, subject, t.List)
		acts, ok := g.places.signed(subject, token)
		maps.Copy(used, acts)
		if err == nil && len(changes) > 0 && !ok {
			err = refuse("a list that was not signed for this pack, and that changes what there has to be a reason for")
		}
		return err
	})
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	next := g.state.clone()
	if err := next.network(p.Network); err != nil {
		return err
	}
	if p.Sequence <= next.Sequence {
		return refuse("a pack with this number or a higher one was signed")
	}
	if err := errors.Join(next.noteTrustList(trust), next.burn(p.Burned)); err != nil {
		return err
	}
	next.Sequence, next.Latest = p.Sequence, max(next.Latest, p.IssuedAt)
	maps.Copy(next.Lists, lists)
	maps.Copy(next.Resumed, used)
	maps.DeleteFunc(next.Resumed, func(_ string, until int64) bool { return until < now.Add(-longestList).Unix() })
	if err := g.keep(ctx, next); err != nil {
		return err
	}
	g.places.published()
	return nil
}

// listsOf are the lists of a pack by their addresses, each signed by this keystore and
// judged.
func (g *Guard) listsOf(ctx context.Context, base string, p verifier.PackStatement, judge func(subject string, t *statuslist.Token, former bool, token string) error) (map[string]string, error) {
	lists := map[string]string{}
	for _, kind := range []struct {
		tokens []verifier.ListToken
		path   string
	}{{p.Status, "/status-lists/"}, {p.Answers, "/answers-lists/"}} {
		for _, l := range kind.tokens {
			subject := base + kind.path + strconv.Itoa(int(l.Number))
			if lists[subject] != "" {
				return nil, refuse("a list twice")
			}
			t, former, err := g.parseList(ctx, l.Token, subject)
			if err != nil {
				return nil, err
			}
			if err := judge(subject, t, former, l.Token); err != nil {
				return nil, err
			}
			lists[subject] = l.Token
		}
	}
	return lists, nil
}

func (g *Guard) envelope(ctx context.Context, kid string, message []byte) error {
	var e verifier.Envelope
	if err := statement(message, maxFrame, verifier.TypeEnvelope, kid, &e); err != nil {
		return err
	}
	if err := g.fresh(e.IssuedAt); err != nil {
		return err
	}
	g.mu.Lock()
	s := g.state
	g.mu.Unlock()
	if err := s.network(e.Network); err != nil {
		return err
	}
	if e.Device == "" || len(e.Sealed) == 0 {
		return refuse("an envelope for nobody")
	}
	if err := g.dated(e.IssuedAt, e.LeaseUntil, longestLease); err != nil {
		return err
	}
	return g.cfg.Permits.Envelope(ctx, e.Device)
}

// logName begins the name of every log of a network (internal/service, LogOrigin).
const logName = "safeconduct/"

// SignLog signs a checkpoint of this network's log, which goes on behind the longest one
// that is known, with the key that signs now, and what that signed last also with the one
// that it replaced.
func (g *Guard) SignLog(ctx context.Context, kid string, text []byte) ([]byte, error) {
	former, err := g.logKey(ctx, kid)
	if err != nil {
		return nil, err
	}
	c, err := audit.ParseText(string(text))
	if err != nil {
		return nil, refuse("not a checkpoint")
	}
	if err := g.goesOn(ctx, c, former); err != nil {
		return nil, err
	}
	return g.Store.SignLog(ctx, kid, text)
}

// goesOn notes a checkpoint that goes on behind the longest one that is known under its
// name, as the proof shows that comes along: nothing that was said is taken back, and
// there is no second log of the same length (a split view).
func (g *Guard) goesOn(ctx context.Context, c audit.Checkpoint, former bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	last, known := g.state.Logs[c.Origin]
	size := uint64(c.Size) //nolint:gosec // not negative, as ParseText has seen
	switch {
	case !strings.HasPrefix(c.Origin, logName) || len(c.Origin) > 128:
		return refuse("not a checkpoint of a network's log")
	case g.state.Network != "" && c.Origin != logName+g.state.Network && !strings.HasPrefix(c.Origin, logName+g.state.Network+"/"):
		return refuse("the log of another network")
	case former && last != head{size, c.Root.String()}:
		return refuse("a key that was replaced signs nothing first")
	case far(size, last.Size):
		return refuse("a log that cannot have grown so long")
	case known:
		if err := last.followed(c, approval.Of(ctx).Proof); err != nil {
			return err
		}
		if size == last.Size {
			return nil // as it was signed
		}
	}
	next := g.state.clone()
	next.Logs[c.Origin] = head{size, c.Root.String()}
	return g.keep(ctx, next)
}

// followed sees that a checkpoint goes on behind a head.
func (h head) followed(c audit.Checkpoint, hashes [][]byte) error {
	proof := make(tlog.TreeProof, len(hashes))
	for i, hash := range hashes {
		if len(hash) != tlog.HashSize {
			return refuse("not the proof of a log")
		}
		proof[i] = tlog.Hash(hash)
	}
	before, err := audit.ParseText(h.text(c.Origin))
	if err != nil {
		return refuse("behind what is no checkpoint")
	}
	if err := audit.CheckConsistency(before, c, proof); err != nil {
		return refuse("a log that does not go on behind what was signed: " + err.Error())
	}
	return nil
}

// text is a head as it was signed.
func (h head) text(origin string) string { return fmt.Sprintf("%s\n%d\n%s\n", origin, h.Size, h.Root) }

// saidOfLog is the longest checkpoint of a log that is known, after one that somebody else
// with the log's key has signed.
func (g *Guard) saidOfLog(ctx context.Context, origin, newest string) (string, error) {
	if newest != "" {
		c, err := g.parseCheckpoint(ctx, origin, newest)
		if err != nil {
			return "", err
		}
		g.mu.Lock()
		longer := uint64(c.Size) > g.state.Logs[origin].Size //nolint:gosec // not negative
		g.mu.Unlock()
		if longer {
			if err := g.goesOn(ctx, c, false); err != nil {
				return "", err
			}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	last, known := g.state.Logs[origin]
	if !known {
		return "", nil
	}
	return last.text(origin), nil
}

// parseCheckpoint reads a checkpoint that the key has signed which signs the log now: one
// that was replaced may be in other hands.
func (g *Guard) parseCheckpoint(ctx context.Context, origin, signed string) (c audit.Checkpoint, err error) {
	signs, err := keystore.New(g.Store).LogKey(ctx)
	if err != nil {
		return c, err
	}
	public, err := keystore.LogPublic(signs)
	if err != nil {
		return c, err
	}
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return c, refuse("no name of a log")
	}
	if c, err = audit.ParseCheckpoint([]byte(signed), vkey); err != nil {
		return c, refuse("a checkpoint that was not signed here")
	}
	return c, nil
}

// SignDerived signs for the labels that there are, and this network.
func (g *Guard) SignDerived(ctx context.Context, label, network string, data []byte) ([]byte, error) {
	g.mu.Lock()
	s := g.state
	g.mu.Unlock()
	if !slices.Contains(g.cfg.Derived, label) {
		return nil, refuse("a label that nothing is signed for")
	}
	if err := s.network(network); err != nil {
		return nil, err
	}
	return g.Store.SignDerived(ctx, label, network, data)
}

// MAC refuses the labels of keys that are derived or asked for otherwise, and those of
// the guard itself.
func (g *Guard) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	if slices.Contains(g.cfg.Derived, label) || strings.HasPrefix(label, stateLabel) || label == keystore.DecoysLabel {
		return nil, refuse("a label that is not given away")
	}
	return g.Store.MAC(ctx, label, data)
}
