package signer

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/mask"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// No place of a status list goes back from paused, and no answer appears, because the
// process that publishes says so. What shows that it may is a receipt: what the guard
// itself has said of a thing when it signed it. Decoys go as they like; nothing real
// stands at their places.

// noAnswer is of the answers list (docs/card.md, Answers after printing); what confirms
// somebody is a claims.Confirmation.
const noAnswer = 0

// places is what a guard knows of the places of status lists beside what the lists say.
type places struct {
	mu     sync.Mutex
	key    []byte                  // that of receipts
	decoys map[uint16]*mask.Decoys // of the lists that were asked about; they never change
	// recent are receipts for what was signed last, until somebody asks for them, and
	// order is that in which they came.
	recent map[listPlace]receipt
	order  []listPlace
	// fresh are the lists that were signed since the last pack, by their addresses: their
	// hashes, and the last of the status lists.
	fresh map[string]*freshList
	// shown is the hash of the last pack that somebody else signed and that was taken
	// notice of.
	shown [sha256.Size]byte
}

type listPlace struct {
	list  uint16
	index uint32
}

type freshList struct {
	// signed has the acts that each of them uses up, with how long they are good.
	signed map[[sha256.Size]byte]map[string]int64
	last   *statuslist.List
}

// decoys are those of a list.
func (g *Guard) decoys(ctx context.Context, list uint16) (*mask.Decoys, error) {
	g.places.mu.Lock()
	d := g.places.decoys[list]
	g.places.mu.Unlock()
	if d != nil {
		return d, nil
	}
	key, err := g.Decoys(ctx, list)
	if err != nil {
		return nil, err
	}
	if d, err = mask.New(key); err != nil {
		return nil, err
	}
	g.places.mu.Lock()
	defer g.places.mu.Unlock()
	if g.places.decoys == nil {
		g.places.decoys = map[uint16]*mask.Decoys{}
	}
	g.places.decoys[list] = d
	return d, nil
}

// free refuses to sign anything at a place of a decoy, which may change without a
// reason.
func (g *Guard) free(ctx context.Context, list uint16, index uint32) error {
	d, err := g.decoys(ctx, list)
	if err == nil && d.Has(index) {
		err = refuse("its place is a decoy's")
	}
	return err
}

// A receipt is what a guard has said of a thing that it signed, for itself: nobody else
// can make one, or read a person out of it.
type receipt struct {
	Kind   byte   `cbor:"1,keyasint"`
	List   uint16 `cbor:"2,keyasint"`
	Index  uint32 `cbor:"3,keyasint"`
	Agency string `cbor:"4,keyasint"`
	// Case is a keyed hash of whom it is about; empty if nobody said it.
	Case []byte `cbor:"5,keyasint,omitempty"`
	// Nationality, of a card, is a keyed hash of it, bound to the place.
	Nationality []byte `cbor:"6,keyasint,omitempty"`
	// State and Until, of a reply that confirms, are in whose name it does, and when it
	// is over, in Unix seconds.
	State string `cbor:"7,keyasint,omitempty"`
	Until int64  `cbor:"8,keyasint,omitempty"`
}

// What a receipt is for.
const (
	ofCard byte = iota + 1
	ofConfirmation
	ofOther
)

const (
	receiptLabel = stateLabel + "receipts/1"
	maxReceipt   = 1 << 10
	maxRecent    = 4096
)

// tag is a keyed hash of parts, under the key of receipts.
func (g *Guard) tag(ctx context.Context, use string, parts ...string) ([]byte, error) {
	g.places.mu.Lock()
	key := g.places.key
	g.places.mu.Unlock()
	if key == nil {
		var err error
		if key, err = g.Store.MAC(ctx, receiptLabel, nil); err != nil {
			return nil, err
		}
		g.places.mu.Lock()
		g.places.key = key
		g.places.mu.Unlock()
	}
	mac := hmac.New(sha256.New, key)
	for _, part := range append([]string{use}, parts...) {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part)))) //nolint:gosec // far below 4 GiB
		mac.Write([]byte(part))
	}
	return mac.Sum(nil), nil
}

// caseTag is that of whom something is about which is signed now: as the order says that
// people agreed to, or else as the service says.
func (g *Guard) caseTag(ctx context.Context) ([]byte, error) {
	a := approval.Of(ctx)
	id := a.Case
	if len(a.Order) > 0 {
		var order map[string]json.RawMessage
		id = ""
		if strictjson.Unmarshal(a.Order, strictjson.Limits{Size: maxFrame}, &order) != nil || json.Unmarshal(order["case"], &id) != nil {
			return nil, refuse("an order about nobody")
		}
	}
	if id == "" {
		return nil, nil
	}
	return g.tag(ctx, "case", id)
}

func (g *Guard) nationalityTag(ctx context.Context, list uint16, index uint32, state string) ([]byte, error) {
	return g.tag(ctx, "nationality", strconv.Itoa(int(list)), strconv.FormatUint(uint64(index), 10), state)
}

func (g *Guard) receiptForCard(ctx context.Context, agency string, c card.Claims) (r receipt, err error) {
	r = receipt{Kind: ofCard, List: c.List, Index: c.Index, Agency: agency}
	if r.Case, err = g.caseTag(ctx); err != nil {
		return r, err
	}
	if nationality := c.Nationality.Reveal(); nationality != "" {
		r.Nationality, err = g.nationalityTag(ctx, r.List, r.Index, nationality)
	}
	return r, err
}

func (g *Guard) receiptFor(ctx context.Context, agency string, list uint16, index uint32, c *sdjwt.Claims) (r receipt, err error) {
	r = receipt{Kind: ofOther, List: list, Index: index, Agency: agency}
	if said := replyIn(c); said.Matched() {
		r.Kind, r.State, r.Until = ofConfirmation, said.MissionState, c.Expires().Unix()
	}
	r.Case, err = g.caseTag(ctx)
	return r, err
}

// replyIn is what a reply says of whom it confirms; of anything else it says nothing.
func replyIn(c *sdjwt.Claims) (said claims.Reply) {
	if c.Text("kind") == string(claims.KindReply) {
		said = claims.Reply{Answer: c.Text("answer"), Channel: c.Text("channel"), MissionState: c.Text("mission_state")}
	}
	return said
}

// remember keeps receipts for who asks for them next.
func (p *places) remember(all []receipt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.recent == nil {
		p.recent = map[listPlace]receipt{}
	}
	for _, r := range all {
		if r.Kind == 0 {
			continue // nothing with a place
		}
		at := listPlace{r.List, r.Index}
		p.recent[at] = r
		p.order = append(p.order, at)
		if len(p.order) > maxRecent {
			delete(p.recent, p.order[0])
			p.order = p.order[1:]
		}
	}
}

// Receipt says what was signed for a place a moment ago. A signer that was started anew
// since has forgotten it: whoever asks gives up what was signed, and asks again for that.
func (g *Guard) Receipt(ctx context.Context, list uint16, index uint32) ([]byte, error) {
	g.places.mu.Lock()
	r, ok := g.places.recent[listPlace{list, index}]
	g.places.mu.Unlock()
	if !ok {
		return nil, &trouble.Later{Err: ErrAway, Cause: "it has signed nothing there lately", After: time.Second}
	}
	plain, err := encoding.Marshal(r)
	if err != nil {
		return nil, err
	}
	mac, err := g.tag(ctx, "receipt", string(plain))
	return append(plain, mac...), err
}

// open reads a receipt that this keystore gave.
func (g *Guard) open(ctx context.Context, sealed []byte) (r receipt, err error) {
	if len(sealed) <= sha256.Size || len(sealed) > maxReceipt {
		return r, refuse("no receipt")
	}
	plain, mac := sealed[:len(sealed)-sha256.Size], sealed[len(sealed)-sha256.Size:]
	want, err := g.tag(ctx, "receipt", string(plain))
	if err != nil {
		return r, err
	}
	if !hmac.Equal(want, mac) || decoding.Unmarshal(plain, &r) != nil {
		return receipt{}, refuse("a receipt that was not given here")
	}
	return r, nil
}

// proven sees that there is a reason for a change, and completes it by what the reason
// says. t is the list in which it happens. What is over is over by our own clock, or in a
// demonstration on the list's day.
func (g *Guard) proven(ctx context.Context, base string, list uint16, c *Change, t *statuslist.Token) error {
	shown := approval.Change{}
	for _, one := range approval.Of(ctx).Changes {
		if one.List == list && int64(one.Index) == int64(c.Index) {
			shown = one
		}
	}
	on := g.judged(t.IssuedAt)
	if _, _, status := subject(t.Subject); status {
		return g.resumed(ctx, list, c, shown, on)
	}
	return g.answered(ctx, base, list, c, shown, on)
}

// resumed sees that a pause ends by an act of the agency which has signed what stands
// there, about this place and this person. An act ends one pause: the list with it may
// be signed several times, until it stands in a pack.
func (g *Guard) resumed(ctx context.Context, list uint16, c *Change, shown approval.Change, on time.Time) error {
	stands, err := g.standing(ctx, list, c.Index, shown.Card)
	if err != nil {
		return err
	}
	var r roster.Resume
	act, err := approval.Parse(shown.Act)
	if err != nil || act.Do != roster.DoResume || act.Read(&r) != nil {
		return refuse("a pause that ends without an act")
	}
	about, err := g.tag(ctx, "case", r.Case)
	if err != nil {
		return err
	}
	g.mu.Lock()
	network, used := g.state.Network, g.state.Resumed[resumedKey(act, stands)] != 0
	g.mu.Unlock()
	switch {
	case act.Agency != stands.Agency || network != "" && act.Network != network:
		return refuse("an act of another agency")
	case !slices.Contains(r.Places, roster.Place{List: stands.List, Index: stands.Index}):
		return refuse("an act about another place")
	case !hmac.Equal(about, stands.Case):
		return refuse("an act about somebody else")
	case on.After(lastUse(act)):
		return refuse("an act that is over")
	case used:
		return refuse("an act by which a pause has ended before")
	}
	c.Agency, c.Act, c.Proofs = stands.Agency, shown.Act, shown.Proofs
	return nil
}

// resumedKey names the use of an act at a place.
func resumedKey(act approval.Act, at receipt) string {
	return fmt.Sprintf("%s %d/%d", act.ID, at.List, at.Index)
}

// lastUse is how long an act ends a pause: whoever agreed at the last moment has to wait
// for a list, and perhaps for one that can be signed.
func lastUse(act approval.Act) time.Time { return time.Unix(act.Expires, 0).Add(longestList) }

// answered sees that a reply is about a card of the same person, and in the name of the
// state that she has stated on it: no other state's confirms her. What its agency is, and
// so which answer it gives, Permits knows.
func (g *Guard) answered(ctx context.Context, base string, list uint16, c *Change, shown approval.Change, on time.Time) error {
	stands, err := g.standing(ctx, list, c.Index, shown.Card)
	if err != nil {
		return err
	}
	reply, err := g.open(ctx, shown.Reply)
	if err != nil {
		return err
	}
	switch {
	case stands.Kind != ofCard:
		return refuse("an answer for what is no card")
	case reply.Kind != ofConfirmation:
		return refuse("an answer by what confirms nobody")
	case len(stands.Case) == 0 || !bytes.Equal(stands.Case, reply.Case):
		return refuse("an answer about somebody else")
	case reply.Until <= on.Unix():
		return refuse("an answer by a reply that is over")
	case c.To != uint8(claims.ConfirmsAsMission) && c.To != uint8(claims.ConfirmsAsNamed):
		return refuse("an answer that no reply gives")
	}
	switch is, err := g.national(ctx, stands, reply.State); {
	case err != nil:
		return err
	case !is:
		return refuse("an answer of another state than the card names")
	}
	if err := g.inUse(ctx, base, reply); err != nil {
		return err
	}
	c.Agency, c.Mission, c.State = stands.Agency, reply.Agency, reply.State
	return nil
}

// national tells whether a card names a state, by any code of it, as the nationality.
func (g *Guard) national(ctx context.Context, card receipt, state string) (bool, error) {
	for _, code := range claims.StateCodes(state) {
		tag, err := g.nationalityTag(ctx, card.List, card.Index, code)
		if err != nil || hmac.Equal(tag, card.Nationality) {
			return err == nil, err
		}
	}
	return false, nil
}

// standing is the receipt for what stands at a place.
func (g *Guard) standing(ctx context.Context, list uint16, index int, sealed []byte) (receipt, error) {
	r, err := g.open(ctx, sealed)
	if err == nil && (r.List != list || int64(r.Index) != int64(index)) {
		err = refuse("a receipt for another place")
	}
	return r, err
}

// inUse sees that a reply is in use, by the newest list that was signed of its place.
func (g *Guard) inUse(ctx context.Context, base string, r receipt) error {
	newest, err := g.newest(ctx, base+"/status-lists/"+strconv.Itoa(int(r.List)))
	switch {
	case err != nil:
		return err
	case newest == nil:
		return refuse("an answer by a reply whose list was never published")
	}
	if is, err := newest.Get(int(r.Index)); err != nil || is != statuslist.Valid {
		return refuse("an answer by a reply that is not in use")
	}
	return nil
}

// newest is the status list that was signed last for an address, whether or not it stands
// in a pack; nil if there was none.
func (g *Guard) newest(ctx context.Context, address string) (*statuslist.List, error) {
	if last := g.places.newest(address); last != nil {
		return last, nil
	}
	return g.said(ctx, address)
}

// inputOf is the hash of what was signed of a token: the list, and not the signature,
// which is another one each time.
func inputOf(token string) [sha256.Size]byte {
	return sha256.Sum256([]byte(token[:max(0, strings.LastIndexByte(token, '.'))]))
}

// sign notes that a list is signed, for reasons.
func (p *places) sign(t *statuslist.Token, input []byte, changes []Change) {
	acts := map[string]int64{}
	_, number, status := subject(t.Subject)
	for _, c := range changes {
		if act, err := approval.Parse(c.Act); err == nil {
			acts[resumedKey(act, receipt{List: number, Index: uint32(c.Index)})] = lastUse(act).Unix() //nolint:gosec // an index of a list
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fresh == nil {
		p.fresh = map[string]*freshList{}
	}
	f := p.fresh[t.Subject]
	if f == nil || len(f.signed) >= maxMany {
		f = &freshList{signed: map[[sha256.Size]byte]map[string]int64{}}
		p.fresh[t.Subject] = f
	}
	f.signed[sha256.Sum256(input)] = acts
	if status {
		f.last = t.List
	}
}

// signed tells whether a list was signed here since the last pack, and which acts it uses
// up.
func (p *places) signed(subject, token string) (acts map[string]int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.fresh[subject]; f != nil {
		acts, ok = f.signed[inputOf(token)]
	}
	return acts, ok
}

func (p *places) newest(subject string) *statuslist.List {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.fresh[subject]; f != nil {
		return f.last
	}
	return nil
}

// published forgets the lists that were signed before a pack: each stands in it, or will
// never stand in one.
func (p *places) published() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fresh = nil
}

// Said is the list at an address that the next one is held against: the one in the last
// pack that was signed here, or in a newer one that another signer of these keys has
// signed. Of a log it is the longest checkpoint.
func (g *Guard) Said(ctx context.Context, address, pack string) (string, bool, error) {
	if strings.HasPrefix(address, logName) {
		text, err := g.saidOfLog(ctx, address, pack)
		return text, true, err
	}
	base, _, _ := subject(address)
	if base == "" {
		return "", true, refuse("a list at another address")
	}
	if err := g.catchUp(ctx, base, pack); err != nil {
		return "", true, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state.Lists[address], true, nil
}

// catchUp takes notice of a pack with a higher number than the last one. What is out of
// use or replaced stays so in it, too, and it names no trust list of before. Right after a
// key was replaced the newest pack is one of before: nothing is taken from it, and nothing
// stops for it, because the next one is signed by the new key.
func (g *Guard) catchUp(ctx context.Context, base, pack string) error {
	hash := sha256.Sum256([]byte(pack))
	g.places.mu.Lock()
	known := pack == "" || g.places.shown == hash
	g.places.mu.Unlock()
	if known {
		return nil
	}
	if err := g.takePack(ctx, base, pack); err != nil && !errors.Is(err, errFormer) {
		return err
	}
	g.places.mu.Lock()
	defer g.places.mu.Unlock()
	g.places.shown = hash
	return nil
}

func (g *Guard) takePack(ctx context.Context, base, pack string) error {
	var p verifier.PackStatement
	if err := g.signedNow(ctx, keystore.Pack, pack, verifier.MaxPack, verifier.TypePack, &p); err != nil {
		return err
	}
	g.judging.Lock()
	defer g.judging.Unlock()
	g.mu.Lock()
	last := g.state.Sequence
	g.mu.Unlock()
	switch {
	case p.Sequence <= last:
		return nil
	case far(p.Sequence, last):
		return refuse("a pack with a number far ahead")
	}
	return g.adoptPack(ctx, base, p)
}

func (g *Guard) adoptPack(ctx context.Context, base string, p verifier.PackStatement) error {
	trust, err := g.trustListOf(ctx, p)
	if err != nil {
		return err
	}
	lists, err := g.listsOf(ctx, base, p, func(subject string, t *statuslist.Token, former bool, _ string) error {
		changes, err := g.changes(ctx, subject, t.List)
		if err == nil && former && len(changes) > 0 {
			err = errFormer
		}
		return err
	})
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	next := g.state.clone()
	if err := errors.Join(next.network(p.Network), next.served(base)); err != nil {
		return err
	}
	if p.Sequence <= next.Sequence {
		return nil // one that is newer still came meanwhile
	}
	if err := errors.Join(next.noteTrustList(trust), next.burn(p.Burned)); err != nil {
		return err
	}
	next.Sequence = p.Sequence
	maps.Copy(next.Lists, lists)
	if err := g.keep(ctx, next); err != nil {
		return err
	}
	g.places.published()
	return nil
}
