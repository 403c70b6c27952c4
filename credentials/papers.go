package credentials

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// PaperAnswer is what somebody hears who has a card's number and code, and no
// device: enough to know whether the paper is still good, and nothing about the
// person.
type PaperAnswer string

// The answers.
const (
	// PaperUnknown is everything that is not number and code of one card
	// together: a guess, a slip of the finger, too many tries, a card from before
	// the salt was kept, and one whose epoch is over.
	PaperUnknown PaperAnswer = "unknown"
	PaperInUse   PaperAnswer = "in_use"
	// PaperNotInUse is a card that is paused, replaced, withdrawn or past its
	// date, and one of an agency that is suspended: an officer's check trusts
	// none of these.
	PaperNotInUse PaperAnswer = "not_in_use"
)

// WrongPerDay is how many wrong codes there may be for one number within a day, by the
// clock's hours, whoever tries and whether or not there is such a card. Up to then its
// code is answered: whoever knows a number alone can't shut its holder out. Of 10^10
// codes 1,000 are a chance of one in ten million (docs/decisions/0059). At desks nobody
// has more than a share of them, and no agency has.
const (
	WrongPerDay       = 1000
	WrongPerDayAsker  = 20
	WrongPerDayAgency = 100

	paperTriesKept = 48 // hours
)

// Budget is how many wrong codes somebody has for a number within a day.
type Budget struct {
	Place [16]byte // a keyed hash of the number, and of whose budget it is
	Who   string   // whose: "actor:" or "agency:" and an id; "" is everybody's
	Daily int
}

// byStrangers and atDesk are who tries: each has wrong codes of its own, so that strangers
// who flood a page with a number from a photograph don't shut its holder out at the desks,
// and nobody at one desk shuts her out at another.
var byStrangers = budgets{label: "paper-tries", of: []Budget{{Daily: WrongPerDay}}}

func atDesk(by audit.Actor) budgets {
	return budgets{label: "desk-tries", of: []Budget{
		{Who: "actor:" + by.ID, Daily: WrongPerDayAsker}, {Who: "agency:" + by.Agency, Daily: WrongPerDayAgency}, {Daily: WrongPerDay},
	}}
}

// budgets are all that a try has to be within, under the label of their keyed hashes.
type budgets struct {
	label string
	of    []Budget
}

// signs is a variable so that a test can count its calls: one per question.
var signs = card.Kept.Sign

// Paper answers a question with a number and a code. The work is the same
// whatever was asked, and so is the answer to everything but a number and its
// code: whoever tries learns nothing about which numbers there are.
func (is *Issuer) Paper(ctx context.Context, number, code private.String) (PaperAnswer, error) {
	p, err := is.prove(ctx, byStrangers, number, code, nil)
	switch {
	case err != nil:
		return "", err
	case !p.known:
		return PaperUnknown, nil
	case p.inUse:
		return PaperInUse, nil
	default:
		return PaperNotInUse, nil
	}
}

// Proof is what a holder proves who gives number and code of a card of hers in use.
type Proof struct {
	Card      ID
	Case      string
	Agency    string // that issued the card
	OpenKey   ed25519.PublicKey
	Signature []byte // of the message, under OpenKey; none of an empty message
}

// Prove is the one way in which number and code are proven to the service at a desk: for
// a consent, an opening, a copy, or that somebody is there. message is what her card
// signs, if the code is its code; its first bytes say what it is for.
//
// It is of the case that is named, whichever it is where none is. ErrCode is the answer
// to everything else, also to a card of another case or out of use: whoever tries learns
// no more here than by Paper, at the same price for each who asks.
func (is *Issuer) Prove(ctx context.Context, by audit.Actor, caseID string, number, code private.String, message []byte) (Proof, error) {
	p, err := is.prove(ctx, atDesk(by), number, code, message)
	switch {
	case err != nil:
		return Proof{}, err
	case !p.known || !p.inUse || caseID != "" && p.Case != caseID:
		return Proof{}, ErrCode
	}
	return Proof{Card: p.ID, Case: p.Case, Agency: p.Agency, OpenKey: p.Card.OpenKey, Signature: p.signature}, nil
}

// paper is a card that somebody asks about by its number.
type paper struct {
	Issued

	known     bool // the code is its code
	inUse     bool // and of an agency that may speak
	signature []byte
}

// prove tells whether number and code are those of one card. The work is the same
// whatever was asked: a try is written down, a card, an agency and an epoch's key are
// asked for, a code is stretched, and the try is settled.
func (is *Issuer) prove(ctx context.Context, who budgets, number, code private.String, message []byte) (paper, error) {
	digits, whole := card.ParseNumber(number.Reveal())
	if !whole {
		// No number is written like this, so that it is counted beside all of them.
		digits = "-" + number.Reveal()
	}
	typed, err := card.ParseCode(card.WithoutMarks(code.Reveal()))
	if err != nil {
		typed = card.Code{} // opens nothing
	}
	try, err := is.try(ctx, who, digits)
	if err != nil {
		return paper{}, err
	}
	d, err := is.byNumber(ctx, digits)
	if err != nil {
		return paper{}, err
	}
	kept, err := is.kept(ctx, d)
	if err != nil {
		return paper{}, err
	}
	stands, err := is.cfg.Network.Stands(ctx, d.Agency) // also of nobody's card
	if err != nil {
		return paper{}, fmt.Errorf("find agency: %w", err)
	}
	if !whole || !try.within {
		kept = card.Kept{}
	}
	p := paper{Issued: d, inUse: stands && d.State == Active && day(is.cfg.Now()).Before(d.ValidUntil)}
	p.signature, p.known = signs(kept, typed, message)
	if err := is.cfg.Store.SettlePaper(ctx, try.budgets, try.hour, p.known); err != nil {
		return paper{}, fmt.Errorf("settle the try: %w", err)
	}
	return p, nil
}

// try is a code that is being tried with a number. Until it is settled it counts as wrong,
// so that many at once are no more than one after the other.
type try struct {
	budgets []Budget
	hour    int64
	within  bool // what may be wrong in a day
}

func (is *Issuer) try(ctx context.Context, who budgets, digits string) (try, error) {
	t := try{budgets: slices.Clone(who.of), hour: hours(is.cfg.Now())}
	for i, b := range t.budgets {
		of := digits
		if b.Who != "" {
			of = b.Who + "\x00" + digits
		}
		place, err := is.tag(ctx, who.label, []byte(of))
		if err != nil {
			return try{}, err
		}
		t.budgets[i].Place = place
	}
	var err error
	if t.within, err = is.cfg.Store.TryPaper(ctx, t.budgets, t.hour); err != nil {
		return try{}, fmt.Errorf("count the try: %w", err)
	}
	return t, nil
}

// byNumber finds a card by its number, whatever its state; the zero Issued when
// there is none.
func (is *Issuer) byNumber(ctx context.Context, digits string) (Issued, error) {
	tag, err := is.tag(ctx, "card-number", []byte(digits))
	if err != nil {
		return Issued{}, err
	}
	d, err := is.cfg.Store.ByNumber(ctx, tag)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Issued{}, fmt.Errorf("look the number up: %w", err)
	}
	return d, nil
}

// kept gathers what the code is tried against, which is nothing for a card that
// was never given out. An epoch's key is asked for in either case.
func (is *Issuer) kept(ctx context.Context, d Issued) (card.Kept, error) {
	var facts CardFacts
	if d.Card != nil && d.State != Draft && d.State != Abandoned {
		facts = *d.Card
	}
	netKey, known, err := is.cfg.Network.NetKey(ctx, facts.Epoch)
	switch {
	case err != nil:
		return card.Kept{}, fmt.Errorf("find epoch: %w", err)
	case !known:
		return card.Kept{}, nil
	}
	return card.Kept{Salt: facts.Salt, NetKey: netKey, OpenKey: facts.OpenKey}, nil
}

// SweepPapers forgets the tries of more than two days ago.
func (is *Issuer) SweepPapers(ctx context.Context) error {
	return is.cfg.Store.SweepPapers(ctx, hours(is.cfg.Now())-paperTriesKept)
}

// hours counts the hours since 1970.
func hours(t time.Time) int64 { return t.Unix() / 3600 }
