package verifier

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// State is the one answer to a check. The word is the same in the API, on the
// command line and in the browser.
type State string

// The seventeen states. No state calls a person valid or invalid: only a card
// or a record has one.
const (
	Confirmed     State = "confirmed"      // genuine; identity confirmed by an authority
	Unconfirmed   State = "unconfirmed"    // genuine; identity not yet confirmed
	StatusOld     State = "status_old"     // genuine; its status is from an earlier day
	NotYetInUse   State = "not_yet_in_use" // not yet known to be given to anyone
	Expired       State = "expired"        // the card is past its date
	Paused        State = "paused"
	Replaced      State = "replaced"       // by a newer card
	OutOfUse      State = "out_of_use"     // withdrawn; says nothing about the person
	IssuerUnknown State = "issuer_unknown" // we cannot tell who issued this
	DoesNotMatch  State = "does_not_match" // changed or damaged
	CodeNotGiven  State = "code_not_given" // looks like one of ours
	WrongCode     State = "wrong_code"
	CodeLocked    State = "code_locked"
	NotOurs       State = "not_ours"
	Unreadable    State = "unreadable"
	NewerVersion  State = "newer_version" // of a card; reserved: nothing of version 1 gives it
	NotReady      State = "not_ready"     // the device, not the card
)

// States lists every state in the order of precedence: when several hold, the
// first one is the answer.
var States = []State{
	NotReady, Unreadable, NotOurs, NewerVersion, CodeNotGiven, WrongCode, CodeLocked,
	DoesNotMatch, IssuerUnknown, OutOfUse, Replaced, NotYetInUse, Paused, Expired,
	StatusOld, Unconfirmed, Confirmed,
}

// Answer is what one check found. There are three, and "could not check" is
// never shown as yes.
type Answer string

// The three answers of a check.
const (
	Yes       Answer = "yes"
	No        Answer = "no"
	Unchecked Answer = "unchecked"
)

// Checks are the three questions behind a state.
type Checks struct {
	Signature Answer `json:"signature"` // is the content as its issuer signed it?
	Issuer    Answer `json:"issuer"`    // is the signer somebody this network trusts?
	Status    Answer `json:"status"`    // is it in use, by a list that is not past its date?
}

// Reason is a stable code that says why a state was reached.
type Reason string

// Reasons of states that have more than one cause.
const (
	ReasonNone            Reason = ""
	ReasonNoPack          Reason = "no_pack"
	ReasonPackBroken      Reason = "pack_broken"
	ReasonPackOlder       Reason = "pack_older"
	ReasonTrustListOld    Reason = "trust_list_old"
	ReasonLeaseOver       Reason = "lease_over"
	ReasonClock           Reason = "clock"
	ReasonNewerVersion    Reason = "newer_version" // of the pack or what is in it, never of a card
	ReasonStatusMissing   Reason = "status_missing"
	ReasonStatusExpired   Reason = "status_expired"
	ReasonStatusIndex     Reason = "status_index"
	ReasonEpochEnded      Reason = "epoch_ended"
	ReasonEpochBurned     Reason = "epoch_burned"
	ReasonCodeFormat      Reason = "code_format"
	ReasonCodeWrong       Reason = "code_wrong"
	ReasonTriesHour       Reason = "tries_hour"
	ReasonTriesDay        Reason = "tries_day"
	ReasonContent         Reason = "content"
	ReasonSignature       Reason = "signature"
	ReasonKeyUnknown      Reason = "key_unknown"
	ReasonKeyWindow       Reason = "key_window"          // of a card
	ReasonIssuerKey       Reason = "issuer_key_mismatch" // of a credential: outside the window, or for another iss
	ReasonBlank           Reason = "blank"
	ReasonNotBegun        Reason = "not_begun"
	ReasonMission         Reason = "mission_of_nationality"
	ReasonOtherAuthority  Reason = "other_authority"
	ReasonUnknownContent  Reason = "unknown_content"
	ReasonNoPicture       Reason = "no_picture"
	ReasonNoCode          Reason = "no_code_in_picture"
	ReasonDrawnPage       Reason = "drawn_page" // a PDF without a photograph in which there was one
	ReasonTooLarge        Reason = "too_large"
	ReasonMoreThanOneCode Reason = "more_than_one_code"
)

// Issuer is what an officer is told about who issued a card. A name can be copied
// by whoever is admitted under it; what stands beside it cannot.
type Issuer struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Class   string `json:"class"`
	Country string `json:"country"`
	Desk    string `json:"desk"`
	Since   string `json:"since"`   // the day on which it was admitted
	Symbols string `json:"symbols"` // AgencySymbols
}

// Verdict is the answer to one check. Its JSON form holds no claim: whoever
// shows claims asks for them by name.
type Verdict struct {
	State  State  `json:"state"`
	Checks Checks `json:"checks"`
	Reason Reason `json:"reason"`
	// StatusAsOf is when the status list that was used was signed; the zero
	// time when none was.
	StatusAsOf time.Time `json:"status_as_of,omitzero"`
	Demo       bool      `json:"demo"`
	// Reopened is the day on which one person alone opened the founding of the network
	// again; empty when nobody did within 30 days.
	Reopened string `json:"reopened,omitempty"`
	// Kind names what a foreign code is, when that is recognisable.
	Kind Kind `json:"kind,omitempty"`
	// Issuer is set once the signature was checked.
	Issuer *Issuer `json:"issuer,omitempty"`
	// Desk is the network's neutral desk, for whoever needs to ask.
	Desk string `json:"desk,omitempty"`
	// TriesLeft and LockedUntil are for wrong_code and code_locked. Where tries
	// are not counted all of them are left.
	TriesLeft   int       `json:"tries_left,omitempty"`
	LockedUntil time.Time `json:"locked_until,omitzero"`
	// SaysNothing is set for a credential of which nothing was disclosed but what
	// says that it is one. Whatever its state, there is nothing in it to rely on.
	SaysNothing bool `json:"says_nothing,omitempty"`

	// Card holds the claims of a card, after step 4 of docs/card.md, Opening
	// in order; nil before.
	Card *card.Claims `json:"-"`
	// Credential holds the claims of a credential that was given instead of a
	// card, under the same condition.
	Credential *Credential `json:"-"`

	// The seed of the open key. fmt asks no method of what stands in
	// unexported fields, and would print them plain.
	openSeed private.String
}

// SignOpening signs a request to open the record online, with the key that card and code
// give (docs/card.md, Opening a record online). The key itself is in no verdict that
// anybody sees. Nil where no card was opened.
func (v Verdict) SignOpening(o card.Opening) []byte {
	if v.openSeed.IsZero() {
		return nil
	}
	return o.Sign([]byte(v.openSeed.Reveal()))
}

// SignConsent has the card sign that its holder agrees to something, like SignOpening.
func (v Verdict) SignConsent(c card.Consent) []byte {
	if v.openSeed.IsZero() {
		return nil
	}
	return c.Sign([]byte(v.openSeed.Reveal()))
}

// OpenKey is the public half of that key, by which the service knows the card; nil where
// no card was opened.
func (v Verdict) OpenKey() ed25519.PublicKey {
	if v.openSeed.IsZero() {
		return nil
	}
	return ed25519.PublicKey(ed25519.NewKeyFromSeed([]byte(v.openSeed.Reveal()))[ed25519.SeedSize:])
}

// Credential is what an SD-JWT VC disclosed.
type Credential struct {
	Type string // its vct
	// Claims is the processed payload: what always stood open and what was
	// disclosed, without digests. Numbers are json.Number.
	Claims map[string]any
}

// String shows no claim.
func (Credential) String() string { return private.Masked }

// Format shows no claim, whatever the verb.
func (Credential) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(private.Masked)) }

// MarshalJSON refuses: whoever writes claims down says which.
func (Credential) MarshalJSON() ([]byte, error) { return nil, private.ErrReveal }

// Format shows the state and the reason only, whatever the verb: a verdict
// carries claims and a key, and fmt prints what pointers lead to.
func (v Verdict) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%s (%s)", string(v.State), string(v.Reason))
}

// NotReadyError says why a device cannot judge anything now.
type NotReadyError struct {
	Reason Reason
	Detail string // for people; holds nothing from the input

	statement int64 // the date of the root's statement in the pack, once its signature held
}

func (e *NotReadyError) Error() string { return "verifier: not ready: " + e.Detail }

// Kept returns dev as it has to be kept after this refusal: a newer statement of the root
// counts, even where nothing else in the pack does.
func (e *NotReadyError) Kept(dev Device) Device { return dev.under(e.statement) }

func notReady(r Reason, detail string) error { return &NotReadyError{Reason: r, Detail: detail} }

// broken makes sure that every way in which a pack can be refused is a
// NotReadyError.
func broken(err error) error {
	if _, ok := errors.AsType[*NotReadyError](err); ok {
		return err
	}
	return fmt.Errorf("%w: %w", notReady(ReasonPackBroken, "the pack does not hold together"), err)
}

// NotReadyVerdict is the verdict for whatever is shown to a device whose pack
// was refused with err. A nil err stands for no pack at all.
func NotReadyVerdict(err error) Verdict {
	if err == nil {
		return verdict(NotReady, ReasonNoPack)
	}
	return verdict(NotReady, reasonNotReady(err))
}

func reasonNotReady(err error) Reason {
	if e, ok := errors.AsType[*NotReadyError](err); ok {
		return e.Reason
	}
	return ReasonPackBroken
}

// UnreadableVerdict is the verdict for a picture in which no code was found.
// A device that is not ready says so first, so it needs the pack and the time.
func (p *Pack) UnreadableVerdict(reason Reason, now time.Time) Verdict {
	if p == nil {
		return NotReadyVerdict(nil)
	}
	if err := p.ready(now); err != nil {
		return p.verdict(NotReady, reasonNotReady(err))
	}
	return p.verdict(Unreadable, reason)
}

func verdict(s State, r Reason) Verdict {
	return Verdict{State: s, Reason: r, Checks: Checks{Signature: Unchecked, Issuer: Unchecked, Status: Unchecked}}
}

func (p *Pack) verdict(s State, r Reason) Verdict {
	v := verdict(s, r)
	v.Demo, v.Reopened = p.trust.Demo, p.trust.reopened()
	v.Desk = p.trust.Desk
	return v
}
