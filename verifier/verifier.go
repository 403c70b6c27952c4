// Package verifier judges cards and credentials: a pack, a presentation and a
// time go in, and one Verdict comes out. It is the same code behind the
// command line, the API and the browser, and anybody may import it.
//
// It has many exported names because a verdict's states and reasons are a closed
// list, and so are the parts of packs, trust lists and envelopes: whoever shows a
// result has a name for each.
//
// It knows no network, no files and no clock: fetching packs, reading pictures
// and keeping state between checks are left to its callers.
package verifier

import (
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// Presentation is what somebody shows.
type Presentation struct {
	// Text is what the scanned code or the upload holds: the digits of a
	// card, a credential, or anything else.
	Text string
	// Code is the holder's code as it was typed; nil when none was asked for
	// or given. An empty code is a wrong code.
	Code *string
	// Tries counts wrong codes; nil counts nothing. Verify changes it, so one
	// Tries serves one check at a time.
	Tries *Tries
	// Binding asks for proof that the holder of a credential presents it.
	// Whether it is asked for is the verifier's decision, never the
	// presentation's (RFC 9901 §7.3).
	Binding *Binding
}

// Format shows nothing: a credential is all about a person.
func (Presentation) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(private.Masked)) }

// MaxText bounds a presentation in bytes. No symbol holds as much (7,089 digits
// at most), so what is longer came by another way than a scanner.
const MaxText = 32 << 10

// Verify judges a presentation. A nil pack is a device that is not ready.
//
// It follows docs/card.md, Opening in order, step by step.
func (p *Pack) Verify(in Presentation, now time.Time) Verdict {
	return p.verify(in, card.Open, now)
}

// opener is the slow part of opening a card: card.Open, or what a browser has
// in its place.
type opener func(card.Card, card.OpenKeys, card.Code) (*card.Opened, error)

func (p *Pack) verify(in Presentation, open opener, now time.Time) Verdict {
	if p == nil {
		return NotReadyVerdict(nil)
	}
	if err := p.ready(now); err != nil {
		return p.verdict(NotReady, reasonNotReady(err))
	}
	if len(in.Text) > MaxText {
		return p.verdict(Unreadable, ReasonTooLarge)
	}
	if text := pasted(in.Text); looksLikeCredential(text) {
		in.Text = text
		return p.verifyCredential(in, now)
	}
	// Step 1: digits to bytes.
	c, err := card.Parse(in.Text)
	if err != nil {
		v := p.verdict(NotOurs, ReasonUnknownContent)
		v.Kind = Recognise(in.Text)
		return v
	}
	return p.verifyCard(c, in, open, now)
}

// ready repeats what may have changed since the pack was opened: a pack can
// stay in memory beyond its lease.
func (p *Pack) ready(now time.Time) error {
	switch {
	case now.Before(p.issued) || now.Unix() < p.envelope.IssuedAt:
		return notReady(ReasonClock, "the clock is before the pack's date")
	case now.Unix() >= p.envelope.LeaseUntil:
		return notReady(ReasonLeaseOver, "the lease of this device is over")
	case now.Unix() >= p.trust.Expires || p.trust.by.over(now):
		return notReady(ReasonTrustListOld, "the trust list is past its date")
	default:
		return nil
	}
}

func (p *Pack) verifyCard(c card.Card, in Presentation, open opener, now time.Time) Verdict {
	// Step 2: the tag, against every epoch known.
	i, ours := c.Match(p.tags)
	switch {
	case !ours:
		return p.verdict(NotOurs, ReasonUnknownContent)
	case i >= len(p.keys.Live):
		if p.keys.Closed[i-len(p.keys.Live)].Burned {
			return p.verdict(NotReady, ReasonEpochBurned)
		}
		return p.verdict(Expired, ReasonEpochEnded)
	}
	// Step 3: the code. One Argon2id at most.
	if in.Code == nil {
		return p.verdict(CodeNotGiven, ReasonNone)
	}
	handle := p.handle(c, p.keys.Live[i])
	in.Tries.forget(now)
	code, err := card.ParseCode(*in.Code)
	if err != nil { // not a try: a code of another form was never one of ours
		v := p.verdict(WrongCode, ReasonCodeFormat)
		v.TriesLeft = in.Tries.left(handle, now)
		return v
	}
	if until, reason := in.Tries.locked(handle, now); reason != ReasonNone {
		v := p.verdict(CodeLocked, reason)
		v.LockedUntil = until
		return v
	}
	opened, err := open(c, p.open[p.keys.Live[i].ID], code)
	switch {
	case errors.Is(err, card.ErrWrongCode):
		in.Tries.count(handle, now)
		v := p.verdict(WrongCode, ReasonCodeWrong)
		v.TriesLeft = in.Tries.left(handle, now)
		return v
	case errors.Is(err, card.ErrContent):
		return p.doesNotMatch(ReasonContent, No)
	case err != nil: // what was stretched elsewhere is of another length
		return p.verdict(NotReady, ReasonPackBroken)
	}
	return p.judgeCard(opened, now)
}

// judgeCard goes on from an opened card: step 4 to step 7.
func (p *Pack) judgeCard(o *card.Opened, now time.Time) Verdict {
	claims := o.Claims()
	kid := o.KeyID()
	v, ok := p.signer(hex.EncodeToString(kid[:]), ReasonKeyWindow, o.Verify, func(k issuerKey) bool {
		return k.covers(claims.IssuedAt, o.Digest)
	})
	if !ok {
		return v
	}
	v.Card, v.openSeed = &claims, private.New(string(o.OpenSeed()))
	return p.judgeStatus(v, standing{
		list: claims.List, index: int64(claims.Index), blank: claims.Blank,
		issued: claims.IssuedAt, expires: claims.Expires,
	}, now)
}

// standing is what decides whether something signed is in use now.
type standing struct {
	list            uint16
	index           int64
	blank           bool
	issued, expires time.Time // zero: the credential does not say
}

// judgeStatus is steps 5 to 7. What a list says against a card holds from an
// expired list too; only "in use" needs a list that is not past its date.
func (p *Pack) judgeStatus(v Verdict, s standing, now time.Time) Verdict {
	status, current, reason := p.lookUp(s.list, s.index, &v, now)
	switch { // step 5
	case status == statuslist.Invalid:
		return with(v, OutOfUse, ReasonNone, No)
	case status == statuslist.Replaced:
		return with(v, Replaced, ReasonNone, No)
	case s.blank:
		return with(v, NotYetInUse, ReasonBlank, statusAnswer(status, current))
	case status == statuslist.Suspended:
		return with(v, Paused, ReasonNone, No)
	case status != statuslist.Valid: // two bits hold no other; what it would say is not that it is in use
		return with(v, OutOfUse, ReasonNone, No)
	}
	switch { // step 6, no skew
	case !s.expires.IsZero() && !now.Before(s.expires):
		return with(v, Expired, ReasonNone, statusAnswer(status, current))
	case now.Before(s.issued):
		return with(v, NotYetInUse, ReasonNotBegun, statusAnswer(status, current))
	}
	if !current { // step 7
		return with(v, StatusOld, reason, Unchecked)
	}
	switch p.answer(s, now) {
	case answerMission:
		return with(v, Confirmed, ReasonMission, Yes)
	case answerOther:
		return with(v, Confirmed, ReasonOtherAuthority, Yes)
	default:
		return with(v, Unconfirmed, ReasonNone, Yes)
	}
}

// Values of the answers list: docs/card.md, Answers after printing. The others
// confirm nothing.
const (
	answerNone    = 0
	answerMission = 1
	answerOther   = 3
)

// answer is what the answers list says of an index. A list out of its dates
// says nothing: an answer may have been taken back since, and green is for
// what could be checked.
func (p *Pack) answer(s standing, now time.Time) uint8 {
	token := p.answers[s.list]
	if token == nil || !inDates(token, now) {
		return answerNone
	}
	a, err := token.List.Get(int(s.index))
	if err != nil {
		return answerNone
	}
	return a
}

func inDates(t *statuslist.Token, now time.Time) bool {
	return !now.Before(t.IssuedAt) && now.Before(t.Expires)
}

// lookUp finds the status of an index and dates the verdict. current is true
// only when the list is there, in its dates, and has the index.
func (p *Pack) lookUp(list uint16, index int64, v *Verdict, now time.Time) (status uint8, current bool, why Reason) {
	token := p.status[list]
	if token == nil {
		return statuslist.Valid, false, ReasonStatusMissing
	}
	// draft-ietf-oauth-status-list-20 §8.3: an index beyond the list is not to
	// be accepted. The list bounds it as an int, which may be narrower.
	if index < 0 || index >= statuslist.Entries {
		return statuslist.Valid, false, ReasonStatusIndex
	}
	status, err := token.List.Get(int(index))
	if err != nil {
		return statuslist.Valid, false, ReasonStatusIndex
	}
	v.StatusAsOf = token.IssuedAt
	if !inDates(token, now) {
		return status, false, ReasonStatusExpired
	}
	return status, true, ReasonNone
}

func statusAnswer(status uint8, current bool) Answer {
	switch {
	case !current:
		return Unchecked
	case status == statuslist.Valid:
		return Yes
	default:
		return No
	}
}

// with finishes a verdict whose signature and issuer are known to be good.
func with(v Verdict, s State, r Reason, status Answer) Verdict {
	v.State, v.Reason = s, r
	v.Checks = Checks{Signature: Yes, Issuer: Yes, Status: status}
	return v
}

// signer is step 4 from the key id on: it finds the key that signed, among all
// live keys with this kid, and that covers what was signed; when none does, the
// reason is uncovered. v names the agency then; when ok is false, v is already
// the answer.
func (p *Pack) signer(kid string, uncovered Reason, signed func(*ecdsa.PublicKey) bool, covered func(issuerKey) bool) (v Verdict, ok bool) {
	candidates := p.trust.live(kid)
	if len(candidates) == 0 {
		return p.verdict(IssuerUnknown, ReasonKeyUnknown), false
	}
	verified := false
	for _, k := range candidates {
		if !signed(k.public) {
			continue
		}
		verified = true
		if covered(k) {
			v = p.verdict(StatusOld, ReasonNone)
			v.Issuer = k.agency.forOfficers(p.trust.Network)
			return v, true
		}
	}
	if verified {
		v = p.verdict(IssuerUnknown, uncovered)
		v.Checks.Signature = Yes
		return v, false
	}
	return p.doesNotMatch(ReasonSignature, No), false
}

// doesNotMatch shows nothing but itself.
func (p *Pack) doesNotMatch(r Reason, signature Answer) Verdict {
	v := p.verdict(DoesNotMatch, r)
	v.Checks.Signature = signature
	return v
}
