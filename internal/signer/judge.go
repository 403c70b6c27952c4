package signer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/people/token"
	"github.com/safeconduct/safeconduct/verifier"
)

// A Judge permits what somebody has agreed to who may: a person by an act, or a program
// by its token, as the roster says that it has adopted itself. It believes no row, no
// session and no process that asks. Whoever asks shows an approval.Authority.
type Judge struct {
	cfg JudgeConfig
	// stands says how a place stands in the newest list that was signed; the guard does.
	stands func(ctx context.Context, address string, index int) (uint8, error)
	// listed says what trust lists said of a key of an agency; the guard does.
	listed func(agency, kid string) (listed, bool)

	mu      sync.Mutex
	members members
	signed  signed
}

// JudgeConfig says what a Judge judges with.
type JudgeConfig struct {
	Keys keystore.Store
	Dir  string           // the guard's folder
	Now  func() time.Time // nil means time.Now
	Log  *slog.Logger     // nil means nowhere
	// Opened is a lock that two people have opened, as ServeShut was shown: the change
	// that says so follows.
	Opened string
}

// NewJudge reads the roster that was adopted, and what was signed under it.
func NewJudge(ctx context.Context, cfg JudgeConfig) (*Judge, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	j := &Judge{
		cfg:    cfg,
		stands: func(context.Context, string, int) (uint8, error) { return statuslist.Valid, nil },
		listed: func(string, string) (listed, bool) { return listed{}, false },
	}
	var kept adopted
	err := unseal(ctx, cfg.Keys, cfg.Dir, RosterName, stateLabel+"roster", &kept)
	if err != nil {
		return nil, err
	}
	if j.members, err = replay(ctx, cfg.Keys, kept); err != nil {
		return nil, err
	}
	j.signed, err = readSigned(ctx, cfg.Keys, cfg.Dir)
	return j, err
}

// Attestation permits what people have agreed to word for word, and what a program may
// have signed by itself.
func (j *Judge) Attestation(ctx context.Context, agency string, m keystore.Message, c *sdjwt.Claims) error {
	now := j.cfg.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	s, of, err := j.agency(agency, now)
	if err != nil {
		return err
	}
	kind := claims.Kind(c.Text("kind"))
	level, err := stated(kind, c)
	if err != nil {
		return err
	}
	switch signs := signing(of); {
	case !signs.May(kind):
		return refuse("a kind that the agency does not sign")
	case claims.CardDecisionLevel(level) > 0 && !signs.Reaches(level):
		return refuse("a decision level that the agency does not sign")
	}
	if said := replyIn(c); said.Channel == "account" && answers(of).Speaks(said.MissionState) == claims.ConfirmsNothing {
		return refuse("an answer in the name of a state that is not the agency's to answer for")
	}
	if err := recent(s, c.IssuedAt(), now); err != nil {
		return err
	}
	a := approval.Of(ctx)
	if len(a.Act) > 0 {
		return j.agreed(ctx, s, agency, roster.DoIssue, a, m, func(act approval.Act) error { return credentials.Says(act, a.Order, c) })
	}
	switch {
	case kind == claims.KindReply:
		return refuse("an answer in a state's name that nobody of its mission has agreed to")
	case claims.CardDecisionLevel(level) >= claims.CardDecisionLevel(decisionsFrom):
		return refuse("a decision that nobody has agreed to")
	}
	if err := program(s, agency, a, roster.IssuersOf(string(kind)), now); err != nil {
		return err
	}
	return j.count(ctx, s, of, now, tally{Attestations: 1})
}

// decisionsFrom is the level from which on an attestation is a decision.
const decisionsFrom = "reasonable_grounds"

// stated sees that what is signed is claims of its kind and nothing else, and returns
// the decision level that they state.
func stated(kind claims.Kind, c *sdjwt.Claims) (level string, err error) {
	said := map[string]any{}
	for name, value := range c.Payload() {
		if !slices.Contains(around, name) {
			said[name] = value
		}
	}
	data, err := json.Marshal(said)
	if err != nil {
		return "", refuse("not the claims of any kind")
	}
	typed, err := claims.Decode(kind, data)
	if err != nil {
		return "", refuse("not the claims of its kind")
	}
	if s, ok := typed.(*claims.Screening); ok {
		level = s.DecisionLevel
	}
	return level, nil
}

// around are the members of an attestation that are no claims of its kind.
var around = []string{"iss", "iat", "exp", "vct", "status", "attestation_id", "kind", "about", "supersedes"}

// Card permits cards that say of a screening what it says, and as many as the agency
// may make.
func (j *Judge) Card(ctx context.Context, agency string, m keystore.Message, c card.Claims) error {
	now := j.cfg.Now()
	about, err := j.carries(ctx, agency, c, now) // reads a list, while others go on
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	s, of, err := j.agency(agency, now)
	if err != nil {
		return err
	}
	if err := recent(s, c.IssuedAt, now); err != nil {
		return err
	}
	if a := approval.Of(ctx); len(a.Act) > 0 {
		says := func(act approval.Act) error { return credentials.SaysCard(act, a.Order, c, about) }
		err = j.agreed(ctx, s, agency, roster.DoCard, a, m, says)
	} else {
		err = program(s, agency, a, roster.CardIssuers(), now)
	}
	if err != nil {
		return err
	}
	return j.count(ctx, s, of, now, tally{Cards: 1})
}

// carries is the screening that a card carries, "" for none.
func (j *Judge) carries(ctx context.Context, agency string, c card.Claims, now time.Time) (about credentials.ID, err error) {
	j.mu.Lock()
	_, of, err := j.agency(agency, now)
	j.mu.Unlock()
	carried := claims.KindDocument
	if c.Status != 0 || c.DecisionLevel != 0 {
		carried = claims.KindScreening
	}
	switch {
	case err != nil:
		return "", err
	case !signing(of).May(carried):
		return "", refuse("a card of a kind that the agency does not make")
	case carried == claims.KindDocument:
		return "", nil
	}
	return j.screened(ctx, of, c, now)
}

// screened sees that a card says what a screening of the same agency says, which this
// keystore has signed, and which is neither over nor out of use.
func (j *Judge) screened(ctx context.Context, of roster.Agency, c card.Claims, now time.Time) (about credentials.ID, err error) {
	t, err := sdjwt.Parse(approval.Of(ctx).About.Reveal(), sdjwt.TypeVC)
	if err != nil {
		return "", refuse("a card that says a status, without the screening")
	}
	publics, err := j.cfg.Keys.Publics(ctx, keystore.Agency(of.ID))
	if err != nil {
		return "", err
	}
	key := publicWith(publics, t.KeyID())
	if key == nil {
		return "", refuse("a screening that was not signed here")
	}
	said, err := t.Verify(key, sdjwt.Policy{Now: now})
	if err != nil || said.VCT() != typeOfAttestation || said.Status() == nil || !strings.HasSuffix(said.Issuer(), "/agencies/"+of.ID) {
		return "", refuse("a screening that was not signed here, or is over")
	}
	if err := j.vouches(ctx, of.ID, t.KeyID(), said.IssuedAt(), approval.Of(ctx).About.Reveal()); err != nil {
		return "", err
	}
	level := said.Text("decision_level")
	switch {
	case said.Text("kind") != string(claims.KindScreening),
		c.Status == 0 || c.Status != claims.CardStatus(said.Text("trafficking_status")),
		c.DecisionLevel == 0 || c.DecisionLevel != claims.CardDecisionLevel(level):
		return "", refuse("a card says another thing than the screening")
	case !signing(of).Reaches(level):
		return "", refuse("a decision level that the agency does not sign")
	}
	is, err := j.stands(ctx, said.Status().URI, int(said.Status().Index))
	if err == nil && is != statuslist.Valid {
		err = refuse("a screening that is out of use, or paused")
	}
	return credentials.ID(said.Text("attestation_id")), err
}

// vouches sees that a key of an agency is believed for what it has signed, as devices do:
// by what trust lists said of it. One that no list has named yet is the one that signs now.
func (j *Judge) vouches(ctx context.Context, agency, kid string, issued time.Time, token string) error {
	k, known := j.listed(agency, kid)
	if !known {
		now, err := j.cfg.Keys.Public(ctx, keystore.Agency(agency))
		if err == nil && now.KeyID != kid {
			err = refuse("by a key that signs no more, and was on no trust list")
		}
		return err
	}
	switch {
	case k.Revoked:
		return refuse("by a key that was revoked")
	case issued.Unix() < k.From || issued.Unix() >= k.To:
		return refuse("by a key that was not good then")
	case k.Compromised != nil && !k.logged(token):
		return refuse("by a key that was stolen, and not logged before")
	default:
		return nil
	}
}

// stands says how a place stands in the newest list that was signed; valid where none
// was.
func (g *Guard) stands(ctx context.Context, address string, index int) (uint8, error) {
	newest, err := g.newest(ctx, address)
	if err != nil || newest == nil {
		return statuslist.Valid, err
	}
	return newest.Get(index)
}

// listed says what trust lists said of a key of an agency.
func (g *Guard) listed(agency, kid string) (listed, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k, ok := g.state.Listed[listedAs(agency, kid)]
	return k, ok
}

// recent sees that nothing is dated back: what people agreed to is signed within days.
func recent(s roster.State, issued, now time.Time) error {
	if !s.Demo && issued.Before(now.Add(-longestAct-day)) {
		return refuse("it is dated back")
	}
	return nil
}

// publicWith is the key with an id; nil if there is none.
func publicWith(publics []keystore.Public, kid string) *ecdsa.PublicKey {
	for _, p := range publics {
		if key, err := p.Key(); err == nil && p.KeyID == kid {
			return key
		}
	}
	return nil
}

// agency finds who signs, as the roster has it now. Nobody signs for one that is not
// there, or suspended.
func (j *Judge) agency(id string, now time.Time) (roster.State, roster.Agency, error) {
	s := j.members.at(now.Unix())
	switch {
	case s.Seq == 0:
		return s, roster.Agency{}, refuse("no roster was adopted")
	case s.Lock != "":
		return s, roster.Agency{}, refuse("the network is locked")
	case s.Agencies[id].Compromised > 0:
		return s, roster.Agency{}, refuse("of an agency that is not believed since a time")
	case !s.Active(id):
		return s, roster.Agency{}, refuse("an agency that is not of the network, or suspended")
	}
	return s, s.Agencies[id], nil
}

// answers is an agency as one that answers.
func answers(of roster.Agency) claims.Answerer {
	return claims.Answerer{Class: of.Class, Country: of.Country, Confirms: of.Confirms}
}

// signing is what an agency signs.
func signing(of roster.Agency) claims.Signing {
	if len(of.Kinds) > 0 || of.Level != "" {
		return *claims.NewSigning(of.Kinds, of.Level)
	}
	return claims.SigningOf(of.Class)
}

// program sees that a token is that of a program of the agency, which may do this.
func program(s roster.State, agency string, a approval.Authority, roles []roster.Role, now time.Time) error {
	hash, ok := token.Hash(token.Bearer, a.Token.Reveal())
	if !ok {
		return refuse("nobody has agreed to it, and no program asks")
	}
	for _, p := range s.Programs {
		if !bytes.Equal(p.Token, hash[:]) {
			continue
		}
		if p.Agency != agency || p.Removed || now.Unix() >= p.Expires || !slices.Contains(roles, p.Role) {
			break
		}
		return nil
	}
	return refuse("a token that is not good for this")
}

// agreed sees that people have agreed to what is signed, and uses the act up.
func (j *Judge) agreed(ctx context.Context, s roster.State, agency, do string, a approval.Authority, m keystore.Message, says func(approval.Act) error) error {
	act, err := approval.Parse(a.Act)
	switch {
	case err != nil:
		return refuse("not an act")
	case act.Do != do || act.Agency != agency:
		return refuse("an act of another agency, or to do something else")
	}
	if err := j.holds(s, act, a.Proofs); err != nil {
		return err
	}
	if err := says(act); err != nil {
		return refuse("another thing than was agreed to: " + err.Error())
	}
	return j.use(ctx, act, m)
}

// holds sees that those have agreed to an act who have to, now.
func (j *Judge) holds(s roster.State, act approval.Act, proofs []approval.Proof) error {
	if act.Over(j.cfg.Now()) && !s.Demo { // which plays in the past
		return refuse("the time to agree is over")
	}
	if err := s.Holds(act, proofs, j.members.check); err != nil {
		return refuse("not agreed to by those who have to: " + err.Error())
	}
	return nil
}

// reopenedShown is how long a trust list says that founding was opened again, less an hour
// for two clocks.
const reopenedShown = 30*day - time.Hour

// TrustKey permits the first key for trust lists, the same again, and another one where
// people agreed that the one which was named last is replaced. That they agreed to replace
// an earlier one says nothing of it.
func (j *Judge) TrustKey(_ context.Context, k verifier.TrustKey, before string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.members.at(j.cfg.Now().Unix())
	switch {
	case s.Seq == 0:
		return refuse("no roster was adopted")
	case k.Network != s.Network:
		return refuse("of another network")
	case before != "" && !s.Replaces(roster.UseTrust, "", before):
		return refuse("nobody agreed that the key for trust lists is replaced")
	default:
		return nil
	}
}

// TrustList permits a list of agencies that are of the network, each as the roster says.
func (j *Judge) TrustList(ctx context.Context, l verifier.TrustList) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.members.at(j.cfg.Now().Unix())
	switch {
	case s.Seq == 0:
		return refuse("no roster was adopted")
	case l.Network != s.Network || l.Demo != s.Demo:
		return refuse("of another network")
	case l.Reopened != 0 && l.Reopened != s.Reopened, l.Reopened == 0 && s.Reopened > 0 && j.cfg.Now().Before(time.Unix(s.Reopened, 0).Add(reopenedShown)):
		return refuse("it says otherwise when founding was opened again")
	case slices.ContainsFunc(formers(l.Keys), func(k former) bool { return !replaced(s, k, l.IssuedAt) }):
		return refuse("a key that signed before, and that people did not have replaced in these days")
	}
	for _, a := range l.Agencies {
		of, ok := s.Agencies[a.ID]
		switch {
		case !ok:
			return refuse("an agency that is not of the network")
		case a.Name != of.Name || a.Class != of.Class || a.Country != of.Country || a.Desk != of.Desk:
			return refuse("an agency is called otherwise than the roster says")
		case of.Suspended && !a.Suspended:
			return refuse("an agency that is suspended")
		case of.Compromised > 0 && slices.ContainsFunc(a.Keys, believedSince(of.Compromised)):
			return refuse("an agency that is not believed since a time")
		case a.Admitted != firstDay(of):
			return refuse("an agency was admitted on another day")
		case slices.ContainsFunc(a.Keys, func(k verifier.AgencyKey) bool {
			return k.From < firstDay(of) || k.From > l.IssuedAt || k.To-k.From > int64(network.KeyLife/time.Second)
		}):
			return refuse("a key of an agency from before it was of the network, or for longer than any is good")
		case !slices.EqualFunc(a.Quotas, of.Quotas, func(a verifier.Quota, b roster.Quota) bool {
			return a == verifier.Quota{Event: b.Event, Cards: b.Cards, Until: b.Until}
		}):
			return refuse("an agency may make another number of cards")
		}
	}
	return j.called(ctx, l)
}

// firstDay is midnight of the day on which an agency was admitted, in Unix seconds.
func firstDay(of roster.Agency) int64 { return of.Admitted - of.Admitted%int64(day/time.Second) }

// former is a key of the network's own that signed before.
type former struct{ use, kid string }

// formers are those on a trust list behind the key that signs now, which the guard has
// seen to be the first of its use.
func formers(keys []verifier.NetworkKey) (all []former) {
	signs := map[verifier.Use]bool{}
	for _, k := range keys {
		if !signs[k.Use] {
			signs[k.Use] = true
			continue
		}
		kid := k.KeyID
		if k.Use == verifier.UseLog {
			kid, _ = keystore.LogKeyID(k.Note) // seen to be one
		}
		all = append(all, former{string(k.Use), kid})
	}
	return all
}

// replaced tells whether people had a key replaced so short a time before a list that it
// may stand on it.
func replaced(s roster.State, k former, issued int64) bool {
	return slices.ContainsFunc(s.Ceremonies, func(c roster.Ceremony) bool {
		return c.Use == k.use && c.Before == k.kid && issued < c.At+int64(network.KeyOverlap/time.Second)
	})
}

// believedSince tells a key of which more is believed than what was logged before a time.
func believedSince(at int64) func(verifier.AgencyKey) bool {
	return func(k verifier.AgencyKey) bool {
		return !k.Revoked && (k.Compromised == nil || k.Compromised.At > at)
	}
}

// Envelope permits keys for a device that was let in, of an agency that works.
func (j *Judge) Envelope(_ context.Context, device string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.members.at(j.cfg.Now().Unix())
	if d, ok := s.Devices[device]; !ok || d.Removed || !s.Active(d.Agency) {
		return refuse("an envelope for a device that nobody has let in, or that is out")
	}
	return nil
}

// Changes permits an answer of who gives it as the roster has it now: a mission for its own
// state, and who was named for one, each with its own value; and the end of a pause that
// people of the agency have agreed to. That a reply or an act is about this place, and
// still good, is seen already.
func (j *Judge) Changes(_ context.Context, all []Change) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.members.at(j.cfg.Now().Unix())
	for _, c := range all {
		if c.Mission != "" {
			// Of one that is not believed since a time no reply is either: a receipt does
			// not prove when it was given.
			of, said := s.Agencies[c.Mission], claims.Reply{Answer: "matched", Channel: "account", MissionState: c.State}
			worth := said.Confirms(answers(of), func(code string) bool { return code == c.State }) // what the card names
			if !s.Active(c.Mission) || of.Compromised > 0 || worth == claims.ConfirmsNothing || c.To != uint8(worth) {
				return refuse("an answer of nobody who can give it")
			}
			continue
		}
		act, err := approval.Parse(c.Act)
		if err != nil || act.Agency != c.Agency {
			return refuse("a pause ends that nobody has agreed to end")
		}
		if err := s.Holds(act, c.Proofs, j.members.check); err != nil {
			return refuse("not agreed to by those who have to: " + err.Error())
		}
	}
	return nil
}

// Replaces permits a successor to a key of which people agreed that it is replaced. Of an
// agency whose keys were in other hands every key gets one.
func (j *Judge) Replaces(_ context.Context, use keystore.Use, kid string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.members.at(j.cfg.Now().Unix())
	agency, ok := use.OfAgency()
	switch {
	case ok && s.Agencies[agency].Compromised > 0, ok && s.Replaces(roster.UseAgency, agency, kid):
		return nil
	case !ok && s.Replaces(string(use), "", kid):
		return nil
	default:
		return refuse("nobody agreed that this key is replaced")
	}
}

// NewKeys permits keys for agencies of the roster.
func (j *Judge) NewKeys(_ context.Context, agency string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.members.at(j.cfg.Now().Unix())
	if _, ok := s.Agencies[agency]; !ok {
		return refuse("an agency that is not of the network")
	}
	return nil
}
