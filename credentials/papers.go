package credentials

import (
	"context"
	"errors"
	"fmt"
	"time"

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

// Limits on tries with one number, whoever makes them and whether or not there
// is such a card. They are those of a device (docs/card.md, The code), by the
// clock's hours.
const (
	paperTriesPerHour = 5
	paperTriesPerDay  = 10
	paperTriesKept    = 48 // hours
)

// knows is a variable so that a test can count its calls: one per question.
var knows = card.Kept.Knows

// Paper answers a question with a number and a code. The work is the same
// whatever was asked, and so is the answer to everything but a number and its
// code: whoever tries learns nothing about which numbers there are.
func (is *Issuer) Paper(ctx context.Context, number, code private.String) (PaperAnswer, error) {
	d, known, err := is.known(ctx, number, code)
	switch {
	case err != nil:
		return "", err
	case !known:
		return PaperUnknown, nil
	case d.inUse:
		return PaperInUse, nil
	default:
		return PaperNotInUse, nil
	}
}

// Given tells by which card in use of a case its holder gave her number and code. It is
// as dear as Paper, and counts as a try like it. ErrCode is the answer to everything
// else, also to a card of another case: whoever tries learns no more here than there.
func (is *Issuer) Given(ctx context.Context, caseID string, number, code private.String) (ID, error) {
	d, known, err := is.known(ctx, number, code)
	switch {
	case err != nil:
		return "", err
	case !known || !d.inUse || d.Case != caseID:
		return "", ErrCode
	default:
		return d.ID, nil
	}
}

// paper is a card that somebody asks about by its number.
type paper struct {
	Issued

	inUse bool // and of an agency that may speak
}

// known tells whether number and code are those of one card. The work is the same
// whatever was asked.
func (is *Issuer) known(ctx context.Context, number, code private.String) (p paper, known bool, err error) {
	digits, whole := card.ParseNumber(number.Reveal())
	if !whole {
		// No number is written like this, so that it is counted beside all of them.
		digits = "-" + number.Reveal()
	}
	typed, err := card.ParseCode(card.WithoutMarks(code.Reveal()))
	if err != nil {
		typed = card.Code{} // opens nothing
	}
	within, err := is.tryPaper(ctx, digits)
	if err != nil {
		return paper{}, false, err
	}
	d, err := is.byNumber(ctx, digits)
	if err != nil {
		return paper{}, false, err
	}
	kept, err := is.kept(ctx, d)
	if err != nil {
		return paper{}, false, err
	}
	stands, err := is.stands(ctx, d)
	if err != nil {
		return paper{}, false, err
	}
	if !whole || !within {
		kept = card.Kept{}
	}
	inUse := stands && d.State == Active && day(is.cfg.Now()).Before(d.ValidUntil)
	return paper{d, inUse}, knows(kept, typed), nil
}

func (is *Issuer) tryPaper(ctx context.Context, digits string) (within bool, err error) {
	place, err := is.tag(ctx, "paper-tries", []byte(digits))
	if err != nil {
		return false, err
	}
	within, err = is.cfg.Store.TryPaper(ctx, place, hours(is.cfg.Now()), paperTriesPerHour, paperTriesPerDay)
	if err != nil {
		return false, fmt.Errorf("count the try: %w", err)
	}
	return within, nil
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

// stands tells whether the agency that issued a card may speak. It is asked for
// in either case, also when there is no card.
func (is *Issuer) stands(ctx context.Context, d Issued) (bool, error) {
	_, err := is.cfg.Network.Agency(ctx, d.Agency)
	switch {
	case errors.Is(err, ErrNotFound) || errors.Is(err, ErrNotAllowed):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("find agency: %w", err)
	}
	return true, nil
}

// SweepPapers forgets the tries of more than two days ago.
func (is *Issuer) SweepPapers(ctx context.Context) error {
	return is.cfg.Store.SweepPapers(ctx, hours(is.cfg.Now())-paperTriesKept)
}

// hours counts the hours since 1970.
func hours(t time.Time) int64 { return t.Unix() / 3600 }
