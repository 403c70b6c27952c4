package credentials

import (
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

// ChangeAttestation withdraws, pauses or resumes an attestation of the actor's
// own agency. What is true of a screening holds for the cards that carry it:
// they follow. requestKey makes the same request, sent twice, have one effect;
// it may be empty. The id of a card gives ErrNotFound: who may change cards is
// not asked about findings.
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
	if err != nil {
		return Issued{}, err
	}
	if !reason.Valid() {
		return Issued{}, invalid.One("/reason", invalid.CodeNotInList, "is one of the listed reasons")
	}
	err = is.settled(func() error {
		if d, err = is.cfg.Store.Get(ctx, id); err != nil {
			return err
		}
		if d.Agency != by.Agency || d.State == Draft || d.State == Abandoned || !meant(d) {
			return ErrNotFound
		}
		// What was done before the case was erased is not told any more.
		if _, err = is.cfg.Cases.Owner(ctx, d.Case); err != nil {
			return err
		}
		if d.State == to && requestKey != "" && d.ChangeKey == requestKey {
			return nil // this very request has done it; its answer was lost
		}
		d, err = is.apply(ctx, by, d, action, Change{From: from, To: to, RequestKey: requestKey}, reason)
		return err
	})
	if err != nil {
		return Issued{}, err
	}
	return d, nil
}

func (is *Issuer) apply(ctx context.Context, by audit.Actor, d Issued, action Action, ch Change, reason Reason) (Issued, error) {
	from, to := ch.From, ch.To
	ch.ID = d.ID
	changes := []Change{ch}
	related, err := is.cfg.Store.ByCase(ctx, d.Case)
	if err != nil {
		return Issued{}, err
	}
	seen := See(d.Case, related)
	changes = append(changes, cardsOf(related, d, from, to)...)
	if d.Kind == KindCard && d.About != "" && to == Active {
		// A card comes back only while what it states is stated still.
		changes = append(changes, Change{ID: newest(related, d.About), From: []State{Active}, To: Active})
	}
	var answers []Answer
	if d.Matched {
		if answers, err = is.answers(ctx, after(related, changes)); err != nil {
			return Issued{}, err
		}
	}
	entry, err := is.note(ctx, d.Case, string(d.Kind)+"."+string(action), noteBody{
		ID: d.ID, Actor: by.ID, Agency: by.Agency, Reason: string(reason), Day: day(is.cfg.Now()).Format(time.DateOnly),
	})
	if err != nil {
		return Issued{}, err
	}
	if err := is.cfg.Store.Apply(ctx, seen, changes, answers, entry); err != nil {
		return Issued{}, fmt.Errorf("%s: %w", action, err)
	}
	d.State = to
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
	owner, err := is.cfg.Cases.Owner(ctx, caseID)
	if err != nil {
		return 0, err
	}
	if owner != by.Agency {
		return 0, ErrNotFound
	}
	var n int
	err = is.settled(func() error {
		n, err = is.withdrawAll(ctx, by, caseID)
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
		if err := is.settled(func() error { return is.reconsider(ctx, by, agency, r.Case) }); err != nil {
			return len(done), fmt.Errorf("reconsider what is confirmed: %w", err)
		}
		done[r.Case] = true
	}
	return len(done), nil
}

func (is *Issuer) reconsider(ctx context.Context, by audit.Actor, agency, caseID string) error {
	related, err := is.cfg.Store.ByCase(ctx, caseID)
	if err != nil {
		return err
	}
	answers, err := is.answers(ctx, related)
	if err != nil || len(answers) == 0 {
		return err
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
	if err != nil {
		// Nothing can be sealed to the case, so that the log says it outside.
		entry, err = openNote("draft.abandoned", noteBody{
			ID: d.ID, Actor: "recovery", Agency: d.Agency, Digest: hex.EncodeToString(d.Digest[:]), Day: day(is.cfg.Now()).Format(time.DateOnly),
		}, is.cfg.Now())
	}
	if err != nil {
		return fmt.Errorf("abandon draft: %w", err)
	}
	err = is.cfg.Store.Apply(ctx, nil, []Change{{ID: d.ID, From: []State{Draft}, To: Abandoned}}, nil, entry)
	if errors.Is(err, ErrConflict) {
		return nil // completed or settled meanwhile
	}
	return err
}
