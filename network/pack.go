package network

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/verifier"
)

// trustLife is how long a trust list holds. Half way through it is signed anew.
const trustLife = 30 * day

// reopenedShown is how long devices tell that founding was opened again.
const reopenedShown = 30 * day

// TrustList returns the newest trust list, with the root's statement that names who
// signed it. A new one is signed only when something on it has changed or half of its
// life is over.
func (n *Network) TrustList(ctx context.Context) (SignedTrustList, error) {
	return n.signedTrustList(ctx, false)
}

// NameTrustKey has the root name the key that signs trust lists, and that sign a new one:
// a ceremony, for where the root is not at hand otherwise.
func (n *Network) NameTrustKey(ctx context.Context) (SignedTrustList, error) {
	return n.signedTrustList(ctx, true)
}

func (n *Network) signedTrustList(ctx context.Context, ceremony bool) (SignedTrustList, error) {
	list, err := n.trustList(ctx)
	if err != nil {
		return SignedTrustList{}, err
	}
	key, err := n.cfg.Keys.Trust(ctx)
	if err != nil {
		return SignedTrustList{}, fmt.Errorf("find the key for trust lists: %w", err)
	}
	digest, err := digestOf(list, key.KeyID)
	if err != nil {
		return SignedTrustList{}, err
	}
	now := n.cfg.Now()
	last, err := n.cfg.Store.TrustList(ctx)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return SignedTrustList{}, fmt.Errorf("read the trust list: %w", err)
	}
	left := n.named(last.Key, key.KeyID)
	if left > 0 && !ceremony && last.Digest == digest && now.Before(last.Expires.Add(-trustLife/2)) {
		return last, nil
	}

	// The number is taken and logged before anything is signed: there is no
	// signed list that the log does not know of.
	entry, err := n.entry("trust.publish", audit.Actor{}, map[string]string{"digest": fmt.Sprintf("%x", digest)})
	if err != nil {
		return SignedTrustList{}, err
	}
	if list.Sequence, err = n.cfg.Store.NextTrustList(ctx, entry); err != nil {
		return SignedTrustList{}, fmt.Errorf("number the trust list: %w", err)
	}
	next := SignedTrustList{Sequence: list.Sequence, Digest: digest, Expires: now.Add(trustLife).UTC().Truncate(time.Second), Key: last.Key}
	if ceremony || left < trustKeyLife/2 {
		// The root may be away for as long as what it said still holds.
		if next.Key, err = n.nameKey(ctx, key, n.after(last.Key)); err != nil && (ceremony || left <= 0) {
			return SignedTrustList{}, fmt.Errorf("have the root name the key for trust lists: %w", err)
		} else if err != nil {
			next.Key = last.Key
		}
	}
	list.IssuedAt, list.Expires = now.Unix(), next.Expires.Unix()
	if k, err := verifier.ReadTrustKey(next.Key); err == nil {
		// Devices take no list that is dated before the statement beside it.
		list.IssuedAt = max(list.IssuedAt, k.IssuedAt)
	}
	if next.Compact, err = list.Sign(key); err != nil {
		return SignedTrustList{}, fmt.Errorf("sign the trust list: %w", err)
	}
	// One that nobody reads is not kept: every later one would be made with it in view.
	root, err := n.RootKey(ctx)
	if err != nil {
		return SignedTrustList{}, err
	}
	if err := verifier.CheckTrustList(verifier.Lists{TrustList: next.Compact, TrustKey: next.Key}, n.cfg.ID, root, time.Unix(list.IssuedAt, 0)); err != nil {
		return SignedTrustList{}, fmt.Errorf("read the trust list that was signed: %w", err)
	}
	if err := n.cfg.Store.PublishTrustList(ctx, next); err != nil {
		return SignedTrustList{}, fmt.Errorf("store the trust list: %w", err)
	}
	return next, nil
}

// trustList says what a trust list would say now, without number and dates.
func (n *Network) trustList(ctx context.Context) (verifier.TrustList, error) {
	l := verifier.TrustList{
		Network: n.cfg.ID, Name: n.cfg.Name, Demo: n.cfg.Demo, Desk: n.cfg.Desk,
		StatusLists: n.StatusLists(), AnswersLists: n.AnswersLists(),
		Agencies: []verifier.Agency{},
	}
	for _, use := range ownUses {
		keys, err := n.listedKeys(ctx, use)
		if err != nil {
			return verifier.TrustList{}, err
		}
		l.Keys = append(l.Keys, keys...)
	}
	state, err := n.cfg.Rights.State(ctx)
	if err != nil {
		return verifier.TrustList{}, err
	}
	if r := state.Reopened; r > 0 && n.cfg.Now().Before(time.Unix(r, 0).Add(reopenedShown)) {
		l.Reopened = r
	}
	agencies, err := n.Agencies(ctx)
	if err != nil {
		return verifier.TrustList{}, err
	}
	for _, a := range agencies {
		if err := n.disbelieve(ctx, &a); err != nil {
			return verifier.TrustList{}, err
		}
		l.Agencies = append(l.Agencies, n.listed(a))
	}
	if err := n.narrow(ctx, l.Agencies); err != nil {
		return verifier.TrustList{}, err
	}
	return l, n.shorten(ctx, l)
}

// shorten has nothing be valid any more of the agency of which most is listed that a stolen
// key had signed, and of the next, until the list is no longer than devices read: one that
// nobody reads says of no agency that its keys were stolen.
func (n *Network) shorten(ctx context.Context, l verifier.TrustList) error {
	logged := func(a verifier.Agency) (sum int) {
		for _, k := range a.Keys {
			if k.Compromised != nil {
				sum += len(k.Compromised.Logged)
			}
		}
		return sum
	}
	for {
		data, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("encode the trust list: %w", err)
		}
		if base64.RawURLEncoding.EncodedLen(len(data)) < verifier.MaxTrustList-aroundList {
			return nil
		}
		if len(l.Agencies) == 0 {
			return errLong
		}
		a := slices.MaxFunc(l.Agencies, func(a, b verifier.Agency) int { return cmp.Compare(logged(a), logged(b)) })
		many := logged(a)
		if many == 0 {
			return errLong
		}
		n.cfg.Log.WarnContext(ctx, "more was signed with stolen keys of an agency than a trust list has room for: nothing of it is believed", "agency", a.ID, "signed", many)
		for i, k := range a.Keys {
			if k.Compromised != nil {
				a.Keys[i].Compromised = &verifier.Compromise{At: k.Compromised.At, Logged: []string{}}
			}
		}
	}
}

// aroundList is room for the signature of a trust list, its number and its dates.
const aroundList = 4 << 10

var errLong = errors.New("network: the trust list is longer than anybody reads")

// narrow leaves of a stolen key no more valid than the newest trust list does, whatever
// was found in the log since: whoever signs refuses that.
func (n *Network) narrow(ctx context.Context, agencies []verifier.Agency) error {
	last, err := n.cfg.Store.TrustList(ctx)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the trust list: %w", err)
	}
	stolen, err := stolenKeys(last.Compact)
	if err != nil {
		return fmt.Errorf("read the trust list: %w", err)
	}
	for _, a := range agencies {
		for i, k := range a.Keys {
			was := stolen[a.ID+" "+k.KeyID]
			if was == nil {
				continue
			}
			if k.Compromised != nil {
				both := k.Compromised.Both(*was)
				was = &both
			}
			a.Keys[i].Compromised = was
		}
	}
	return nil
}

// stolenKeys are what a trust list says of the keys that were stolen.
func stolenKeys(compact string) (map[string]*verifier.Compromise, error) {
	m, err := jws.Parse(compact, verifier.MaxTrustList, verifier.TypeTrustList)
	if err != nil {
		return nil, err
	}
	var l verifier.TrustList
	if err := json.Unmarshal(m.Unverified(), &l); err != nil { // a row that we have sealed
		return nil, err
	}
	stolen := map[string]*verifier.Compromise{}
	for _, a := range l.Agencies {
		for _, k := range a.Keys {
			if k.Compromised != nil {
				stolen[a.ID+" "+k.KeyID] = k.Compromised
			}
		}
	}
	return stolen, nil
}

// disbelieve has every key of an agency of which nothing is believed since a time be
// taken for stolen then: the dates inside of what such a key signs prove nothing, and
// only what was logged before that day stays valid. A key that is made later is no
// better: the agency would have to be admitted anew.
func (n *Network) disbelieve(ctx context.Context, a *Agency) error {
	if a.Compromised.IsZero() {
		return nil
	}
	a.Keys = slices.Clone(a.Keys)
	for i, k := range a.Keys {
		if k.Compromised != nil && k.Compromised.At <= a.Compromised.Unix() {
			continue
		}
		c := &verifier.Compromise{At: a.Compromised.Unix(), Logged: []string{}}
		from, until := a.SignedWith(k.KeyID)
		if before := earlier(a.Compromised.Truncate(day), until); n.cfg.Signed != nil && from.Before(before) {
			signed, err := n.cfg.Signed(ctx, a.ID, from, before)
			if err != nil {
				return fmt.Errorf("find what the agency signed: %w", err)
			}
			for _, d := range signed {
				c.Logged = append(c.Logged, hex.EncodeToString(d[:8]))
			}
		}
		slices.Sort(c.Logged)
		c.Logged = slices.Compact(c.Logged)
		a.Keys[i].Compromised = c
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// listed is an agency as it stands on the trust list.
func (n *Network) listed(a Agency) verifier.Agency {
	out := verifier.Agency{
		ID: a.ID, Name: a.Name, Class: string(a.Class), Country: a.Country,
		Issuer: n.Issuer(a.ID), Desk: a.Desk, Suspended: a.Suspended, Keys: []verifier.AgencyKey{},
	}
	if !a.Admitted.IsZero() {
		out.Admitted = a.Admitted.Unix()
	}
	for _, q := range a.Terms.Quotas {
		out.Quotas = append(out.Quotas, verifier.Quota{Event: q.Event, Cards: q.Cards, Until: q.Until.Unix()})
	}
	// A list with more would be read by nobody: what the oldest signed is not believed then.
	for _, k := range a.Keys[max(0, len(a.Keys)-verifier.MaxKeys):] {
		out.Keys = append(out.Keys, verifier.AgencyKey{
			KeyID: k.KeyID, JWK: k.JWK, From: k.From.Unix(), To: k.To.Unix(),
			Revoked: k.Revoked, Compromised: k.Compromised,
		})
	}
	return out
}

func digestOf(l verifier.TrustList, kid string) ([32]byte, error) {
	data, err := json.Marshal(l)
	if err != nil {
		return [32]byte{}, fmt.Errorf("encode the trust list: %w", err)
	}
	return sha256.Sum256(append(data, kid...)), nil
}

// Pack makes the public half of a pack from the newest list tokens, and
// returns it with its number. Each call takes a new number; devices refuse to
// go back behind one that they have seen.
func (n *Network) Pack(ctx context.Context, status, answers []verifier.ListToken) (verifier.Lists, uint64, error) {
	trust, err := n.TrustList(ctx)
	if err != nil {
		return verifier.Lists{}, 0, err
	}
	epochs, err := n.cfg.Store.Epochs(ctx)
	if err != nil {
		return verifier.Lists{}, 0, fmt.Errorf("read epochs: %w", err)
	}
	s := verifier.PackStatement{
		Network: n.cfg.ID, IssuedAt: n.cfg.Now().Unix(), TrustSHA256: verifier.TrustDigest(trust.Compact),
		Status: notNil(status), Answers: notNil(answers), Burned: burnedEpochs(epochs, n.cfg.Now()),
	}
	entry, err := n.entry("pack.publish", audit.Actor{}, map[string]any{
		"trust": s.TrustSHA256, "status": digests(status), "answers": digests(answers), "burned": s.Burned,
	})
	if err != nil {
		return verifier.Lists{}, 0, err
	}
	if s.Sequence, err = n.cfg.Store.NextPack(ctx, entry); err != nil {
		return verifier.Lists{}, 0, fmt.Errorf("number the pack: %w", err)
	}
	// Whoever has the key sees that no list of before is named.
	key, err := n.cfg.Keys.Pack(approval.With(ctx, approval.Authority{About: private.New(trust.Compact)}))
	if err != nil {
		return verifier.Lists{}, 0, fmt.Errorf("find the pack key: %w", err)
	}
	compact, err := s.Sign(key)
	if err != nil {
		return verifier.Lists{}, 0, fmt.Errorf("sign the pack: %w", err)
	}
	return verifier.Lists{TrustList: trust.Compact, Pack: compact, TrustKey: trust.Key}, s.Sequence, nil
}

// Envelope seals the epoch keys to one device, for the pack with the given
// number. by must be that device: an envelope goes to nobody else.
func (n *Network) Envelope(ctx context.Context, by audit.Actor, sequence uint64) (string, error) {
	if err := n.may(by, actEnvelope, by.Agency); err != nil {
		return "", err
	}
	d, err := n.device(ctx, by.ID)
	switch {
	case err != nil:
		return "", err
	case d.Revoked || d.Pending || d.Agency != by.Agency:
		return "", ErrForbidden
	}
	if _, err := n.active(ctx, d.Agency); err != nil {
		return "", err
	}
	return n.seal(ctx, d.ID, d.Recipient, sequence)
}

func (n *Network) seal(ctx context.Context, device string, recipient []byte, sequence uint64) (string, error) {
	keys, err := n.deviceKeys(ctx)
	if err != nil {
		return "", err
	}
	pack, err := n.cfg.Keys.Pack(ctx)
	if err != nil {
		return "", fmt.Errorf("find the pack key: %w", err)
	}
	now := n.cfg.Now()
	return verifier.Envelope{
		Network: n.cfg.ID, Device: device, Sequence: sequence,
		IssuedAt: now.Unix(), LeaseUntil: now.Add(n.cfg.Lease).Unix(),
	}.Seal(keys, recipient, pack)
}

// ServerPack opens the pack with a number for the service itself, which
// is no device that anybody has let in: it has the keys, and needs no envelope. So the
// service judges cards through the very code that devices use, with nothing beside it.
func (n *Network) ServerPack(ctx context.Context, lists verifier.Lists, sequence uint64) (*verifier.Pack, error) {
	root, err := n.RootKey(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := n.deviceKeys(ctx)
	if err != nil {
		return nil, err
	}
	now := n.cfg.Now()
	pack, err := verifier.OpenOwn(lists, keys, verifier.Device{Network: n.cfg.ID, ID: newID(), Root: root}, now.Add(n.cfg.Lease), now)
	if err == nil && pack.Sequence() != sequence {
		err = fmt.Errorf("pack %d, where %d was published", pack.Sequence(), sequence)
	}
	if err != nil {
		return nil, err
	}
	return pack, nil
}

// digests names list tokens in the log.
func digests(tokens []verifier.ListToken) []string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		out[i] = fmt.Sprintf("%d:%x", t.Number, sha256.Sum256([]byte(t.Token)))
	}
	return out
}

// notNil keeps an empty list from being written as null.
func notNil(tokens []verifier.ListToken) []verifier.ListToken {
	if tokens == nil {
		return []verifier.ListToken{}
	}
	return tokens
}
