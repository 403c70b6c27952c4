package verifier

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// Lists is the public half of a pack, the same for everybody: the trust list and
// the root's statement that names the key which signed it, and the lists under the
// pack key's signature.
type Lists struct {
	TrustList string `json:"trust_list"`
	Pack      string `json:"pack"`
	// TrustKey is a signed TrustKey. Without it the root itself has signed the list.
	TrustKey string `json:"trust_key,omitempty"`
}

// Tokens returns the lists that stand in a pack, for whoever serves them one by
// one. It checks no signature: Open does.
func (l Lists) Tokens() (status, answers []ListToken, err error) {
	m, err := jws.Parse(l.Pack, MaxPack, TypePack)
	if err != nil {
		return nil, nil, fmt.Errorf("pack: %w", err)
	}
	var s PackStatement
	if err := readStatement(m.Unverified(), MaxPack, &s); err != nil {
		return nil, nil, fmt.Errorf("pack: %w", err)
	}
	return s.Status, s.Answers, nil
}

// File is a pack as it lies on a disk or a USB stick.
type File struct {
	Lists    Lists  `json:"lists"`
	Envelope string `json:"envelope"`
}

// PackStatement is what the pack key signs: which lists belong together, in
// what order packs were made, and which epochs are closed.
type PackStatement struct {
	Network     string      `json:"network"`
	Sequence    uint64      `json:"sequence"` // rises with every pack; an older one is refused
	IssuedAt    int64       `json:"iat"`
	TrustSHA256 string      `json:"trust_list_sha256"` // hex, over the compact trust list
	Status      []ListToken `json:"status_lists"`
	Answers     []ListToken `json:"answers_lists"`
	Burned      []uint32    `json:"burned_epochs"` // epochs whose keys were stolen
}

// ListToken is one status or answers list: its number, and its token.
type ListToken struct {
	Number uint16 `json:"number"`
	Token  string `json:"token"`
}

// Limits of a pack in bytes. A list of 2^20 entries of 2 bits is 256 KiB
// before compression.
const (
	MaxPack = 24 << 20
)

// Sign makes the signed form of the statement.
func (s PackStatement) Sign(pack Signer) (string, error) {
	return signStatement(TypePack, pack, s)
}

// TrustDigest is the value of PackStatement.TrustSHA256 for a trust list.
func TrustDigest(compact string) string {
	sum := sha256.Sum256([]byte(compact))
	return hex.EncodeToString(sum[:])
}

// Pack is everything a device needs to judge a card without a network. It
// exists only after every signature, date and size in it was checked, never
// changes, and is safe for concurrent use.
type Pack struct {
	trust    *trusted
	envelope Envelope
	keys     EpochKeys
	tags     []card.TagKey
	open     map[uint32]card.OpenKeys // of the epochs that live, by their ids; parsed once for all cards
	sequence uint64
	issued   time.Time
	status   map[uint16]*statuslist.Token
	answers  map[uint16]*statuslist.Token
	triesKey []byte // of the device that opened it; the service has none
}

// Format shows that there is a pack and nothing in it: it holds the keys that
// open cards.
func (Pack) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("verifier.Pack")) }

// OpenPack checks a pack file for this device at this time. A pack that may not
// be used gives an error that wraps a *NotReadyError; NotReadyVerdict turns it
// into what is shown. The caller keeps what the Accepted of the pack returns, or
// the Kept of the error.
func OpenPack(file []byte, dev Device, now time.Time) (*Pack, error) {
	var f File
	if err := readStatement(file, MaxPack, &f); err != nil {
		return nil, broken(fmt.Errorf("pack file: %w", err))
	}
	return Open(f, dev, now)
}

// Open is OpenPack for a pack that is already decoded.
func Open(f File, dev Device, now time.Time) (*Pack, error) {
	return open(f.Lists, dev, now, func(t *trusted, sequence uint64) (Envelope, EpochKeys, error) {
		return openEnvelope(f.Envelope, t, dev, sequence, now)
	})
}

// OpenOwn is Open for the service itself, which has made the keys and needs no envelope
// that says so. The rest is checked as for any device.
func OpenOwn(l Lists, keys EpochKeys, dev Device, until, now time.Time) (*Pack, error) {
	return open(l, dev, now, func(_ *trusted, sequence uint64) (Envelope, EpochKeys, error) {
		e := Envelope{Network: dev.Network, Device: dev.ID, Sequence: sequence, IssuedAt: now.Unix(), LeaseUntil: until.Unix()}
		return e, keys, keys.check()
	})
}

// open checks lists for a device, and has its keys from an envelope of theirs.
func open(lists Lists, dev Device, now time.Time, keysOf func(*trusted, uint64) (Envelope, EpochKeys, error)) (*Pack, error) {
	root, err := jws.ParseKey(dev.Root)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", notReady(ReasonPackBroken, "the device's root key cannot be read"), err)
	}
	key, err := readTrustKey(lists.TrustKey, root, dev.Network)
	if err != nil {
		return nil, broken(err)
	}
	// From here on the root's statement counts, whatever else the file holds.
	p, err := openUnder(key, lists, dev.under(key.IssuedAt), now, keysOf)
	if not, ok := errors.AsType[*NotReadyError](err); ok {
		not.statement = key.IssuedAt
	}
	return p, err
}

// openUnder goes on from the key that may sign the trust list.
func openUnder(key trustKey, lists Lists, dev Device, now time.Time, keysOf func(*trusted, uint64) (Envelope, EpochKeys, error)) (*Pack, error) {
	if now.Unix() < dev.Seen {
		return nil, notReady(ReasonClock, "the clock is before what this device has seen")
	}
	if err := key.inDates(dev, now); err != nil {
		return nil, err
	}
	trust, err := openTrustList(lists.TrustList, key, dev.Network, now)
	if err != nil {
		return nil, broken(err)
	}
	// Numbers begin anew under a newer statement. What was signed before it does not.
	if trust.IssuedAt < dev.TrustKeyIssued {
		return nil, notReady(ReasonPackOlder, "the trust list is older than the root's newest statement")
	}
	statement, err := openPackStatement(lists, trust)
	if err != nil {
		return nil, broken(err)
	}
	switch {
	case statement.Sequence < dev.Sequence:
		return nil, notReady(ReasonPackOlder, "the pack is older than one this device has seen")
	case now.Unix() < statement.IssuedAt:
		return nil, notReady(ReasonClock, "the clock is before the pack's date")
	}
	envelope, keys, err := keysOf(trust, statement.Sequence)
	if err != nil {
		return nil, broken(err)
	}
	prepared, err := keys.openKeys()
	if err != nil {
		return nil, broken(err)
	}
	p := &Pack{
		trust: trust, envelope: envelope, keys: keys, tags: keys.tagKeys(), open: prepared,
		sequence: statement.Sequence, issued: time.Unix(statement.IssuedAt, 0).UTC(),
	}
	if p.status, err = openLists(statement.Status, trust.StatusLists, trust.status); err != nil {
		return nil, broken(err)
	}
	if p.answers, err = openLists(statement.Answers, trust.AnswersLists, trust.status); err != nil {
		return nil, broken(err)
	}
	if len(p.status) == 0 {
		return nil, notReady(ReasonStatusMissing, "the pack holds no status list that can be read")
	}
	if len(dev.Private) > 0 {
		p.triesKey = triesKey(dev.Private)
	}
	p.burn(statement.Burned)
	return p, nil
}

// Sequence is the number that rises with every pack of a network.
func (p *Pack) Sequence() uint64 { return p.sequence }

// Issued is when the pack was made.
func (p *Pack) Issued() time.Time { return p.issued }

// LeaseUntil is when this device has to have fetched a newer pack.
func (p *Pack) LeaseUntil() time.Time { return time.Unix(p.envelope.LeaseUntil, 0).UTC() }

// Trust returns what the pack says about the network. Its slices belong to the
// pack.
func (p *Pack) Trust() TrustList { return p.trust.TrustList }

// Reopened is the day on which one person alone opened the founding of the network again;
// empty when nobody did within 30 days.
func (p *Pack) Reopened() string { return p.trust.reopened() }

// ListDates tells when each status list was signed, for a strip that shows
// how old each one is.
func (p *Pack) ListDates() map[uint16]time.Time {
	dates := make(map[uint16]time.Time, len(p.status))
	for n, l := range p.status {
		dates[n] = l.IssuedAt
	}
	return dates
}

// Accepted returns dev as it has to be kept after this pack: an older pack and
// an earlier clock are refused from then on.
func (p *Pack) Accepted(dev Device) Device {
	by := p.trust.by.IssuedAt
	if by != 0 && by < dev.TrustKeyIssued {
		return dev // it was shown a newer statement meanwhile
	}
	dev = dev.under(by)
	dev.Sequence = max(dev.Sequence, p.sequence)
	dev.Seen = max(dev.Seen, p.issued.Unix(), p.envelope.IssuedAt)
	return dev
}

// burn moves the epochs named in the public pack to the closed ones, whatever
// the envelope says: a burned epoch opens nothing.
func (p *Pack) burn(ids []uint32) {
	burned := make(map[uint32]bool, len(ids))
	for _, id := range ids {
		burned[id] = true
	}
	var live []Epoch
	for _, e := range p.keys.Live {
		if burned[e.ID] {
			p.keys.Closed = append(p.keys.Closed, ClosedEpoch{ID: e.ID, TagKey: e.TagKey, Burned: true})
			continue
		}
		live = append(live, e)
	}
	for i := range p.keys.Closed {
		p.keys.Closed[i].Burned = p.keys.Closed[i].Burned || burned[p.keys.Closed[i].ID]
	}
	p.keys.Live = live
	p.tags = p.keys.tagKeys()
}

func openPackStatement(l Lists, trust *trusted) (PackStatement, error) {
	var s PackStatement
	if err := openAny(TypePack, l.Pack, MaxPack, trust.pack, &s); err != nil {
		return PackStatement{}, fmt.Errorf("pack: %w", err)
	}
	switch {
	case s.Network != trust.Network:
		return PackStatement{}, errors.New("pack: of another network")
	case s.TrustSHA256 != TrustDigest(l.TrustList):
		return PackStatement{}, errors.New("pack: belongs to another trust list")
	}
	return s, nil
}

// listBits is how many bits an entry has in every list of ours.
const listBits = 2

// openLists checks the list tokens under the network's status keys. A list that
// is broken, of another network, or of other bits is left out, as if the pack
// did not have it: then its cards are at best status_old (docs/card.md, Opening
// in order, step 7), and those of the other lists can still be checked. Whoever
// could break a list in a signed pack could leave it out as well.
func openLists(tokens []ListToken, prefix string, keys map[string]*ecdsa.PublicKey) (map[uint16]*statuslist.Token, error) {
	lists := make(map[uint16]*statuslist.Token, len(tokens))
	for _, t := range tokens {
		if _, twice := lists[t.Number]; twice {
			return nil, errors.New("list: given twice")
		}
		// draft-ietf-oauth-status-list-20 §8.3: sub equals the URI exactly.
		subject := prefix + strconv.FormatUint(uint64(t.Number), 10)
		token, err := statuslist.Parse(t.Token, subject, statuslist.Entries, func(kid string) *ecdsa.PublicKey { return keys[kid] })
		if err != nil || token.List.Bits() != listBits {
			token = nil
		}
		lists[t.Number] = token
	}
	maps.DeleteFunc(lists, func(_ uint16, t *statuslist.Token) bool { return t == nil })
	return lists, nil
}

// critTrustKey is what a file names in crit that holds the statement of the root: who
// passes over it takes the trust list for one that nobody has signed.
const critTrustKey = "lists.trust_key"

// MarshalFile encodes a pack as it is written to disks and sticks.
func MarshalFile(f File) ([]byte, error) {
	if f.Lists.TrustKey == "" {
		return json.Marshal(f)
	}
	return json.Marshal(struct {
		Crit []string `json:"crit"`
		File
	}{[]string{critTrustKey}, f})
}
