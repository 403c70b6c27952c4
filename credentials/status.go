package credentials

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/invalid"
)

// Action is a change of status that an agency may order for what it issued.
type Action string

// The actions. Replacing is not among them: it follows from issuing.
const (
	Withdraw Action = "withdraw"
	Pause    Action = "pause"
	Resume   Action = "resume"
)

// Reason says why a status was changed. It goes into the history of the case
// and nowhere else: a withdrawal never reads as fraud.
type Reason string

// The reasons.
const (
	ReasonHolderAsked    Reason = "holder_asked"
	ReasonLost           Reason = "lost"
	ReasonMistake        Reason = "mistake"
	ReasonNewInformation Reason = "new_information"
	ReasonSafety         Reason = "safety"
	ReasonErasure        Reason = "erasure"
	ReasonOther          Reason = "other"
	// ReasonIssuer says that whoever signed cannot be relied on. Nobody orders it of
	// one record: WithdrawSigned gives it.
	ReasonIssuer Reason = "issuer_not_relied_on"
)

// Valid tells whether r is one of the reasons.
func (r Reason) Valid() bool {
	switch r {
	case ReasonHolderAsked, ReasonLost, ReasonMistake, ReasonNewInformation, ReasonSafety, ReasonErasure, ReasonOther:
		return true
	default:
		return false
	}
}

// ChangeAttestation withdraws or pauses an attestation of the actor's own agency.
// What is true of a screening holds for the cards that carry it: they follow.
// requestKey makes the same request, sent twice, have one effect; it may be empty. The
// id of a card gives ErrNotFound: who may change cards is not asked about findings.
// What comes back has to be agreed to: ErrNotAgreed for Resume, which is ProposeReturn's.
func (is *Issuer) ChangeAttestation(ctx context.Context, by audit.Actor, id ID, action Action, reason Reason, requestKey string) (Issued, error) {
	return is.setStatus(ctx, by, id, action, reason, requestKey, func(d Issued) bool { return d.Kind != KindCard })
}

// ChangeCard does the same for a card. The id of an attestation gives
// ErrNotFound.
func (is *Issuer) ChangeCard(ctx context.Context, by audit.Actor, id ID, action Action, reason Reason, requestKey string) (Issued, error) {
	return is.setStatus(ctx, by, id, action, reason, requestKey, func(d Issued) bool { return d.Kind == KindCard })
}

func (is *Issuer) setStatus(ctx context.Context, by audit.Actor, id ID, action Action, reason Reason, requestKey string, meant func(Issued) bool) (d Issued, err error) {
	from, to, err := transition(action)
	switch {
	case err != nil:
		return Issued{}, err
	case action == Resume:
		return Issued{}, ErrNotAgreed
	case !reason.Valid():
		return Issued{}, errReason()
	}
	err = is.settledOf(ctx, id, func() error {
		if d, err = is.signedBy(ctx, by, id); err != nil {
			return err
		}
		if !meant(d) {
			return ErrNotFound
		}
		if d.State == to && requestKey != "" && d.ChangeKey == requestKey {
			return nil // this very request has done it; its answer was lost
		}
		p, err := is.plan(ctx, d, Change{From: from, To: to, RequestKey: requestKey})
		if err != nil {
			return err
		}
		d, err = is.apply(ctx, by, d, action, p, reason)
		return err
	})
	if err != nil {
		return Issued{}, err
	}
	return d, nil
}

func errReason() error {
	return invalid.One("/reason", invalid.CodeNotInList, "is one of the listed reasons")
}

// signedBy finds what an actor's agency has signed, while its case is there: what was
// done before the case was erased is not told any more. In a case of his own agency it
// has to be one of his.
func (is *Issuer) signedBy(ctx context.Context, by audit.Actor, id ID) (Issued, error) {
	d, err := is.cfg.Store.Get(ctx, id)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return Issued{}, err
	case err != nil, d.Agency != by.Agency, d.State == Draft, d.State == Abandoned:
		// Its case is asked for all the same: an unknown one takes as long as a colleague's.
		d = Issued{Case: nowhere}
	}
	own, his, err := is.cfg.Cases.Stands(ctx, by, d.Case)
	switch {
	case err != nil:
		return Issued{}, err
	case d.Case == nowhere, own && !his:
		return Issued{}, ErrNotFound
	}
	return d, nil
}

// returns works out what comes back when the pause of something ends.
func (is *Issuer) returns(ctx context.Context, d Issued, requestKey string, a *Approval) (plan, error) {
	from, to, err := transition(Resume)
	if err != nil {
		return plan{}, err
	}
	p, err := is.plan(ctx, d, Change{From: from, To: to, RequestKey: requestKey, Agreed: a})
	if err != nil {
		return plan{}, err
	}
	for _, ch := range p.changes {
		i := slices.IndexFunc(p.related, func(r Issued) bool { return r.ID == ch.ID })
		if i < 0 || !slices.Contains(ch.From, p.related[i].State) {
			return plan{}, ErrConflict
		}
		if p.related[i].State == Paused {
			p.places = append(p.places, Place{p.related[i].List, p.related[i].Index})
		}
	}
	slices.SortFunc(p.places, func(a, b Place) int { return cmp.Or(cmp.Compare(a.List, b.List), cmp.Compare(a.Index, b.Index)) })
	return p, nil
}

// resume ends a pause, at the places that people agreed to and no others.
func (is *Issuer) resume(ctx context.Context, by audit.Actor, o returnOrder, r Return, a Approval) (d Issued, err error) {
	err = is.settledOf(ctx, o.Of, func() error {
		if d, err = is.signedBy(ctx, by, o.Of); err != nil {
			return err
		}
		switch d.ChangeKey {
		case a.Act.ID:
			return nil // it was done; the answer was lost
		case o.Pause:
		default:
			return ErrConflict // it was paused again since
		}
		p, err := is.returns(ctx, d, a.Act.ID, &a)
		if err != nil {
			return err
		}
		for _, place := range p.places {
			if !slices.Contains(r.Places, place) {
				return fmt.Errorf("%w: something else would come back with it", ErrNotAgreed)
			}
		}
		d, err = is.apply(ctx, by, d, Resume, p, o.Reason)
		return err
	})
	if err != nil {
		return Issued{}, err
	}
	return d, nil
}

// plan is what a change of one record means for its case.
type plan struct {
	related []Issued
	changes []Change // the record's own first
	places  []Place  // of what comes back
}

func (is *Issuer) plan(ctx context.Context, d Issued, ch Change) (p plan, err error) {
	ch.ID = d.ID
	p.changes = []Change{ch}
	if p.related, err = is.cfg.Store.ByCase(ctx, d.Case); err != nil {
		return plan{}, err
	}
	for _, follows := range cardsOf(p.related, d, ch.From, ch.To) {
		follows.Agreed = ch.Agreed
		p.changes = append(p.changes, follows)
	}
	if d.Kind == KindCard && d.About != "" && ch.To == Active {
		// A card comes back only while what it states is stated still.
		p.changes = append(p.changes, Change{ID: newest(p.related, d.About), From: []State{Active}, To: Active})
	}
	return p, nil
}

func (is *Issuer) apply(ctx context.Context, by audit.Actor, d Issued, action Action, p plan, reason Reason) (_ Issued, err error) {
	var answers []Answer
	if d.Matched {
		if answers, err = is.answers(ctx, after(p.related, p.changes)); err != nil {
			return Issued{}, err
		}
	}
	entry, err := is.note(ctx, d.Case, string(d.Kind)+"."+string(action), noteBody{
		ID: d.ID, Actor: by.ID, Agency: by.Agency, Reason: string(reason), Day: day(is.cfg.Now()).Format(time.DateOnly),
	})
	if err != nil {
		return Issued{}, err
	}
	if err := is.cfg.Store.Apply(ctx, See(d.Case, p.related), p.changes, answers, entry); err != nil {
		return Issued{}, fmt.Errorf("%s: %w", action, err)
	}
	d.State = p.changes[0].To
	return d, nil
}

// cardsOf finds the cards that carry a screening, or one that it replaced, and
// are in one of the states from.
func cardsOf(related []Issued, d Issued, from []State, to State) []Change {
	var changes []Change
	for _, c := range related {
		if c.Kind != KindCard || c.About == "" || !slices.Contains(from, c.State) {
			continue
		}
		if n := newest(related, c.About); n == d.ID || n == d.Replaces {
			changes = append(changes, Change{ID: c.ID, From: from, To: to})
		}
	}
	return changes
}

// newest follows a record to the one that replaced it, and on to the last.
func newest(related []Issued, id ID) ID {
	for range related {
		next := slices.IndexFunc(related, func(r Issued) bool {
			return r.Replaces == id && r.State != Draft && r.State != Abandoned
		})
		if next < 0 {
			return id
		}
		id = related[next].ID
	}
	return id
}

// after returns the records of a case as they will stand after changes.
func after(related []Issued, changes []Change) []Issued {
	will := slices.Clone(related)
	for i := range will {
		for _, ch := range changes {
			if will[i].ID == ch.ID {
				will[i].State = ch.To
			}
		}
	}
	return will
}

func transition(a Action) (from []State, to State, err error) {
	switch a {
	case Withdraw:
		return []State{Active, Paused}, Withdrawn, nil
	case Pause:
		return []State{Active}, Paused, nil
	case Resume:
		return []State{Paused}, Active, nil
	default:
		return nil, "", ErrUnknownAction
	}
}

// WithdrawCase withdraws everything that is in use in a case, whoever issued
// it, because the holder wants to be forgotten. Erasing the data follows; the
// status entries stay, so that no index is ever used again.
func (is *Issuer) WithdrawCase(ctx context.Context, by audit.Actor, caseID string) (int, error) {
	if err := is.keeps(ctx, by, caseID); err != nil {
		return 0, err
	}
	var n int
	err := is.settled(caseID, func() error {
		done, err := is.withdrawAll(ctx, by, caseID)
		n = done
		return err
	})
	return n, err
}

func (is *Issuer) withdrawAll(ctx context.Context, by audit.Actor, caseID string) (int, error) {
	all, err := is.cfg.Store.ByCase(ctx, caseID)
	if err != nil {
		return 0, err
	}
	var changes []Change
	for _, d := range all {
		switch d.State {
		// What was replaced is out of use already, and stays as it is: decoys
		// never go that way either.
		case Active, Paused:
			changes = append(changes, Change{ID: d.ID, From: []State{d.State}, To: Withdrawn})
		case Draft:
			changes = append(changes, Change{ID: d.ID, From: []State{Draft}, To: Abandoned})
		}
	}
	entry, err := is.note(ctx, caseID, "case.withdrawn", noteBody{
		Actor: by.ID, Agency: by.Agency, Reason: string(ReasonErasure), Day: day(is.cfg.Now()).Format(time.DateOnly),
	})
	if err != nil {
		return 0, err
	}
	if err := is.cfg.Store.Apply(ctx, See(caseID, all), changes, nil, entry); err != nil {
		return 0, fmt.Errorf("withdraw case: %w", err)
	}
	return len(changes), nil
}

// Reconsider works out anew what the cards show that an agency's replies confirm.
// It is for whoever has suspended the agency or let it in again, who is by; what
// it changes is seen with the next published lists. It returns in how many cases
// there is such a reply. After an error some cases are done, and repeating it does
// the others.
func (is *Issuer) Reconsider(ctx context.Context, by audit.Actor, agency string) (cases int, err error) {
	replies, err := is.cfg.Store.Confirming(ctx, agency)
	if err != nil {
		return 0, err
	}
	done := map[string]bool{}
	for _, r := range replies {
		if done[r.Case] {
			continue
		}
		if err := is.settled(r.Case, func() error { return is.reconsider(ctx, by, agency, r.Case) }); err != nil {
			return len(done), fmt.Errorf("reconsider what is confirmed: %w", err)
		}
		done[r.Case] = true
	}
	return len(done), nil
}

// Lapse works out anew what the cards show that replies confirm which are over. It is for
// whoever is about to publish, who is by: nothing else happens on the day after the last
// one. One case that cannot be read leaves the others to be done.
func (is *Issuer) Lapse(ctx context.Context, by audit.Actor) error {
	replies, err := is.cfg.Store.Over(ctx, day(is.cfg.Now()))
	if err != nil {
		return fmt.Errorf("find answers that are over: %w", err)
	}
	var errs []error
	for _, r := range replies {
		errs = append(errs, is.settled(r.Case, func() error { return is.reconsider(ctx, by, r.Agency, r.Case) }))
	}
	return errors.Join(errs...)
}

func (is *Issuer) reconsider(ctx context.Context, by audit.Actor, agency, caseID string) error {
	related, err := is.cfg.Store.ByCase(ctx, caseID)
	if err != nil {
		return err
	}
	answers, err := is.answers(ctx, related)
	if err != nil {
		return err
	}
	if answers, err = is.other(ctx, related, answers); err != nil || len(answers) == 0 {
		return err // nothing is told where nothing changes
	}
	entry, err := is.note(ctx, caseID, "confirmation.reconsidered", noteBody{
		Actor: by.ID, Agency: agency, Day: day(is.cfg.Now()).Format(time.DateOnly),
	})
	if err != nil {
		return err
	}
	return is.cfg.Store.Apply(ctx, See(caseID, related), nil, answers, entry)
}

// Recover settles the drafts that a crash left behind, or an error that kept
// the store from being told: each one becomes abandoned, its index is marked
// out of use for good, and the log says so. Nothing is signed again. It returns
// how many there were. Call it before the first use, and from time to time: it
// leaves alone what this Issuer or a process that lives is at work on, and who
// comes too late to complete a draft finds it given up.
func (is *Issuer) Recover(ctx context.Context) (int, error) {
	drafts, err := is.cfg.Store.Orphans(ctx)
	if err != nil {
		return 0, fmt.Errorf("find drafts: %w", err)
	}
	var settled int
	var errs []error
	for _, d := range drafts {
		if is.inHand(d.ID) {
			continue
		}
		if err := is.abandon(ctx, d); err != nil {
			errs = append(errs, err) // the others are settled all the same
			continue
		}
		settled++
	}
	return settled, errors.Join(errs...)
}

// abandon settles one draft. The request's own context may be over by now, and
// its case erased, and the draft has to be settled all the same.
func (is *Issuer) abandon(ctx context.Context, d Issued) error {
	ctx = context.WithoutCancel(ctx)
	entry, err := is.entry(ctx, audit.Actor{ID: "recovery", Agency: d.Agency}, "abandoned", d)
	if _, gone := is.cfg.Cases.Owner(ctx, d.Case); gone != nil {
		// The case has no history any more, so that the log says it outside.
		entry, err = openNote("draft.abandoned", noteBody{
			ID: d.ID, Actor: "recovery", Agency: d.Agency, Digest: hex.EncodeToString(d.Digest[:]), Day: day(is.cfg.Now()).Format(time.DateOnly),
		}, is.cfg.Now())
	}
	if err != nil {
		return fmt.Errorf("abandon draft: %w", err)
	}
	err = is.cfg.Store.Apply(ctx, nil, []Change{{ID: d.ID, From: []State{Draft}, To: Abandoned}}, nil, entry)
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		return nil // completed, settled or erased meanwhile
	}
	return err
}
