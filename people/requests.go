package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/people/token"
)

// Request is an act that waits for those who have to agree.
type Request struct {
	Act    approval.Act
	Proofs []approval.Proof
	State  RequestState
	Change uint64 // of the roster, that it became; 0 if it became none
	// Sealed is what the act has a digest of, encrypted to the case that it is about.
	Sealed []byte
	// Version rises with every change, so that of two who agree at once neither
	// is lost.
	Version int64
}

// RequestState says what has become of a request.
type RequestState string

// The states of requests.
const (
	Waits     RequestState = "waits"
	Agreed    RequestState = "agreed" // enough have agreed, and another room does it
	Done      RequestState = "done"
	Withdrawn RequestState = "withdrawn"
)

// requestLife is how long people have to agree, openLife how long they have that and a
// record is open, without its holder, and againLife how long they have to let an agency
// open one once more, which it does on the day on which it asked.
const (
	requestLife = 72 * time.Hour
	openLife    = 15 * time.Minute
	againLife   = 24 * time.Hour
)

// life is how long an act is good for something.
func life(do string) time.Duration {
	switch do {
	case roster.DoOpen:
		return openLife
	case roster.DoAgain:
		return againLife
	default:
		return requestLife
	}
}

// ToldFor is how long those are told of an act who have to be.
const ToldFor = 30 * 24 * time.Hour

// Requests keeps what waits. It is not believed: whatever becomes of a request is
// proven by what is in it.
type Requests interface {
	// AddRequest writes one. One that presses is written also while the log has stopped.
	// ErrExists, and nothing is written, where one that waits to do the same is asked for
	// already, as asked says of it, which is nil where there may be any number.
	AddRequest(ctx context.Context, r Request, presses Pressing, asked func(waits Request) bool, log ...audit.Entry) error
	// Request returns one. ErrNotFound if there is none.
	Request(ctx context.Context, id string) (Request, error)
	// Waiting returns those that wait and are not over at a time, oldest first.
	Waiting(ctx context.Context, now time.Time) ([]Request, error)
	// Agreed returns those to do something to which enough have agreed, and that were
	// not over at a time, oldest first.
	Agreed(ctx context.Context, do string, since time.Time) ([]Request, error)
	// ReplaceRequest writes one as given, one version higher. ErrConflict if the
	// stored version is another than r.Version.
	ReplaceRequest(ctx context.Context, r Request) error
}

// asks says what a change of the roster is in the table of rights, for programs: what a
// person may ask, she may agree to.
var asks = map[string]Action{
	roster.DoAdmitAgency: AgencyManage, roster.DoChangeAgency: AgencyManage, roster.DoSuspendAgency: AgencyManage,
	roster.DoResumeAgency: AgencyManage, roster.DoCompromisedAgency: AgencyManage,
	roster.DoNewKey:    AgencyManage,
	roster.DoAddPerson: MemberManage, roster.DoChangePerson: MemberManage, roster.DoRemovePerson: MemberManage,
	roster.DoRecoverPerson: MemberManage, roster.DoSignOut: MemberManage, roster.DoPartner: MemberManage, roster.DoRaiseQuota: MemberManage,
	roster.DoAddProgram: MemberManage, roster.DoRemoveProgram: MemberManage,
	roster.DoAdmitDevice: DeviceManage, roster.DoRemoveDevice: DeviceManage,
}

// asked is what an act is in the table of rights, for programs.
func asked(act approval.Act) (Action, bool) {
	switch act.Do {
	case roster.DoIssue:
		var i roster.Issue
		err := act.Read(&i)
		return Issue(i.Kind), err == nil
	case roster.DoCard:
		return CardIssue, true
	case roster.DoErase:
		return Erase, true
	case roster.DoLookUp:
		return Lookup, true
	case roster.DoShare:
		return DocumentShare, true
	case roster.DoResume:
		var r roster.Resume
		if err := act.Read(&r); err != nil || r.Kind != "card" {
			return AttestationStatus, err == nil
		}
		return CardStatus, true
	default:
		action, ok := asks[act.Do]
		return action, ok
	}
}

// Ask begins an act of the roster: it is checked, written down, and waits. agency is
// whom it is about, "" for the network.
func (r *Roster) Ask(ctx context.Context, by audit.Actor, do, agency string, what any) (Request, error) {
	return r.AskSealed(ctx, by, do, agency, what, nil)
}

// AskSealed is Ask for an act that has the digest of something about a person, which is
// kept with it, encrypted.
func (r *Roster) AskSealed(ctx context.Context, by audit.Actor, do, agency string, what any, sealed []byte) (Request, error) {
	s, err := r.State(ctx)
	if err != nil {
		return Request{}, err
	}
	act, err := approval.New(s.Network, do, agency, by.ID, what, r.cfg.Now(), life(do))
	if err != nil {
		return Request{}, err
	}
	if err := r.mayAsk(s, by, act); err != nil {
		return Request{}, err
	}
	if err := s.Check(act); err != nil {
		return Request{}, conflict(err)
	}
	entry, err := audit.NewAct("request.ask", by, map[string]any{"request": act.ID, "do": do, "agency": agency}, r.cfg.Now())
	if err != nil {
		return Request{}, err
	}
	q := Request{Act: act, State: Waits, Sealed: sealed}
	if err := r.cfg.Store.AddRequest(ctx, q, Pressing(s.TakesAway(act)), askedBefore(act), entry); err != nil {
		return Request{}, fmt.Errorf("store the request: %w", err)
	}
	return q, nil
}

// askedBefore finds what is asked for one at a time: to open a record once more today, by
// whomever of the agency. nil for all else.
func askedBefore(act approval.Act) func(waits Request) bool {
	var now roster.Again
	if act.Do != roster.DoAgain || act.Read(&now) != nil {
		return nil
	}
	return func(q Request) bool {
		var before roster.Again
		return q.Act.Read(&before) == nil && before.Record == now.Record && before.Reader == now.Reader && sameDay(askedAt(q.Act), askedAt(act))
	}
}

// askedAt is when it was asked to open a record once more.
func askedAt(act approval.Act) time.Time { return time.Unix(act.Expires, 0).Add(-againLife) }

// mayAsk lets a person ask for what she may agree to, and a program for what its role
// may manage. More cards, and to open a record once more, an agency asks for itself, and
// others agree.
func (r *Roster) mayAsk(s roster.State, by audit.Actor, act approval.Act) error {
	if s.MayAgree(act, by.ID) || manages(s, by, act) && !forPeople(s, act) {
		return nil
	}
	var again roster.Again
	if p := s.People[by.ID]; act.Do == roster.DoAgain && act.Read(&again) == nil && p.Agency == again.Reader && s.Present(p) {
		return MayIn(by, RecordOpen, Shared)
	}
	if p := s.People[by.ID]; act.Do == roster.DoRaiseQuota && p.Agency == act.Agency && s.Present(p) {
		return MayFor(by, MemberManage, act.Agency)
	}
	return ErrForbidden
}

// forPeople tells whether people alone ask for something: that passkeys are replaced, or
// that somebody runs or audits the network. Whoever has a stolen token asks for neither.
func forPeople(s roster.State, act approval.Act) bool {
	switch act.Do {
	case roster.DoRecoverPerson:
		return true
	case roster.DoAddPerson:
		var a roster.AddPerson
		return act.Read(&a) != nil || a.Agency == ""
	case roster.DoChangePerson:
		var a roster.ChangePerson
		return act.Read(&a) != nil || s.People[a.ID].Agency == ""
	default:
		return false
	}
}

// manages tells whether a program's role may manage what an act is about. To stop a
// change is to manage what that changes.
func manages(s roster.State, by audit.Actor, act approval.Act) bool {
	if _, person := s.People[by.ID]; person {
		return false
	}
	if act.Do == roster.DoStop {
		var stop roster.Stop
		if act.Read(&stop) != nil {
			return false
		}
		i := slices.IndexFunc(s.Waiting, func(w roster.Waiting) bool { return w.Seq == stop.Seq })
		if i < 0 {
			return false
		}
		act = s.Waiting[i].Act
	}
	action, ok := asked(act)
	if roster.Elsewhere(act.Do) {
		// How he stands to a case is decided where that is kept.
		return ok && by.Agency == act.Agency && May(by, action) == nil
	}
	return ok && MayFor(by, action, act.Agency) == nil
}

// sees tells whether somebody may know of an act: who asked, who may agree, and a
// program of what its role may manage. What is about a case is shown to no other
// program than the one that asked.
func sees(s roster.State, by audit.Actor, act approval.Act) bool {
	return act.By == by.ID || s.MayAgree(act, by.ID) || !roster.Elsewhere(act.Do) && manages(s, by, act)
}

// SeesChange tells whether somebody may know of a change that waits, and whether she
// may ask to stop it.
func (r *Roster) SeesChange(s roster.State, by audit.Actor, w roster.Waiting) (sees, stops bool) {
	stops = s.MayStop(w.Seq, by.ID) || manages(s, by, w.Act)
	return stops || w.Act.Agency == by.Agency, stops
}

// conflict says in the words of this room that the roster does not allow something.
func conflict(err error) error {
	if errors.Is(err, roster.ErrState) {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return err
}

// Agree adds somebody's proof to a request, and does what was asked as soon as enough
// have agreed. Whoever has agreed already gets a request again that could not be done
// then. approval.ErrRefused for a proof that does not count; ErrConflict for a request
// that waits no more.
func (r *Roster) Agree(ctx context.Context, by audit.Actor, id string, p approval.Proof) (Request, error) {
	for range maxRaces {
		q, err := r.visible(ctx, by, id)
		over := q.Act.Over(r.cfg.Now())
		switch {
		case err != nil:
			return Request{}, err
		case q.State == Agreed && !over && slices.ContainsFunc(q.Proofs, func(p approval.Proof) bool { return p.Person == by.ID }):
			return q, nil // enough have agreed, and it could not be done then
		case q.State != Waits || over:
			return Request{}, fmt.Errorf("%w: the request waits no more", ErrConflict)
		}
		if q, err = r.agree(ctx, by, q, p); !errors.Is(err, errRace) {
			return q, err
		}
	}
	return Request{}, ErrConflict
}

// errRace says that somebody else agreed at the same moment.
var errRace = errors.New("people: another approval came between")

func (r *Roster) agree(ctx context.Context, by audit.Actor, q Request, p approval.Proof) (Request, error) {
	s, err := r.State(ctx)
	if err != nil {
		return Request{}, err
	}
	if p.Person != by.ID || !s.MayAgree(q.Act, by.ID) {
		return Request{}, approval.ErrRefused
	}
	if err := s.CheckProof(q.Act, p, r.cfg.Checker); err != nil {
		return Request{}, err
	}
	proofs := append(slices.Clone(q.Proofs), p)
	if err := approval.Distinct(proofs); err != nil {
		return Request{}, err
	}
	var agreed []string
	for _, p := range q.Proofs {
		agreed = append(agreed, p.Person)
	}
	// One that would leave the request waiting as before is not taken: it would look as
	// if enough had agreed.
	if !s.Counts(q.Act, agreed, p.Person) {
		return Request{}, approval.ErrRefused
	}
	q.Proofs, agreed = proofs, append(agreed, p.Person)
	needs, err := s.Needs(q.Act)
	if err != nil {
		return Request{}, err
	}
	switch err := s.Agreed(q.Act, agreed); {
	case err == nil && needs.Root:
		// It waits on, for whoever has folder and passphrase: Countersign.
	case err == nil && roster.Elsewhere(q.Act.Do):
		q.State = Agreed
	case err == nil:
		c, err := r.append(ctx, roster.Change{Proofs: q.Proofs}, q.Act, by)
		if err != nil {
			return Request{}, conflict(err)
		}
		q.State, q.Change = Done, c.Seq
	case !errors.Is(err, roster.ErrNotAgreed):
		return Request{}, conflict(err)
	}
	switch err := r.cfg.Store.ReplaceRequest(ctx, q); {
	case errors.Is(err, ErrConflict) && q.State != Done:
		return Request{}, errRace
	case err != nil && !errors.Is(err, ErrConflict):
		return Request{}, fmt.Errorf("store the approval: %w", err)
	}
	q.Version++
	return q, nil
}

// Finish notes that what was agreed to and is done elsewhere was done.
func (r *Roster) Finish(ctx context.Context, q Request) error {
	if q.State != Agreed {
		return fmt.Errorf("%w: nobody has agreed to it", ErrConflict)
	}
	q.State = Done
	if err := r.cfg.Store.ReplaceRequest(ctx, q); err != nil && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("store the request: %w", err)
	}
	return nil
}

// Holds tells whether those have agreed to an act who have to now, by proofs that
// hold. It believes nothing but its arguments and the roster.
func (r *Roster) Holds(ctx context.Context, act approval.Act, proofs []approval.Proof) error {
	s, err := r.State(ctx)
	if err != nil {
		return err
	}
	if act.Over(r.cfg.Now()) {
		return approval.ErrOver
	}
	return s.Holds(act, proofs, r.cfg.Checker)
}

// Request returns one that somebody has to do with.
func (r *Roster) Request(ctx context.Context, by audit.Actor, id string) (Request, error) {
	return r.visible(ctx, by, id)
}

// visible finds a request for whoever may know of it. To everybody else it does not
// exist.
func (r *Roster) visible(ctx context.Context, by audit.Actor, id string) (Request, error) {
	s, err := r.State(ctx)
	if err != nil {
		return Request{}, err
	}
	q, err := r.cfg.Store.Request(ctx, id)
	switch {
	case err != nil:
		return Request{}, err
	case q.Act.ID != id || q.Act.Network != s.Network || !sees(s, by, q.Act) && !told(s, q, by.ID):
		return Request{}, ErrNotFound
	}
	// What became of it is what the roster says, whatever stands beside the request.
	if roster.Elsewhere(q.Act.Do) {
		return q, nil // what was done says the room that does it
	}
	if q.Change = s.Did(id); q.Change > 0 {
		q.State = Done
	} else if q.State == Done {
		q.State = Waits
	}
	return q, nil
}

// Waiting lists the requests that somebody may know of, oldest first.
func (r *Roster) Waiting(ctx context.Context, by audit.Actor) ([]Request, error) {
	s, err := r.State(ctx)
	if err != nil {
		return nil, err
	}
	all, err := r.cfg.Store.Waiting(ctx, r.cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("read the requests: %w", err)
	}
	return slices.DeleteFunc(all, func(q Request) bool {
		return q.Act.Network != s.Network || !sees(s, by, q.Act)
	}), nil
}

// Told lists what was done that somebody is told of, oldest first: records that were
// opened without their holder in the name of her agency, or in a case that it keeps.
func (r *Roster) Told(ctx context.Context, by audit.Actor) ([]Request, error) {
	s, err := r.State(ctx)
	if err != nil {
		return nil, err
	}
	all, err := r.cfg.Store.Agreed(ctx, roster.DoOpen, r.cfg.Now().Add(-ToldFor))
	if err != nil {
		return nil, fmt.Errorf("read the requests: %w", err)
	}
	return slices.DeleteFunc(all, func(q Request) bool { return q.Act.Network != s.Network || !told(s, q, by.ID) }), nil
}

func told(s roster.State, q Request, person string) bool {
	return (q.State == Agreed || q.State == Done) && s.Told(q.Act, person)
}

// Opened tells whether a record is open to somebody now without its holder, because two
// of the agency have agreed to that request of hers. No row says so: the act and its
// proofs do.
func (r *Roster) Opened(ctx context.Context, by audit.Actor, record, request string) (bool, error) {
	q, err := r.cfg.Store.Request(ctx, request)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read the request: %w", err)
	}
	var o roster.Open
	// Agreed is not enough: the history of the case says it first.
	if q.State != Done || q.Act.ID != request || q.Act.Do != roster.DoOpen || q.Act.By != by.ID || q.Act.Agency != by.Agency || q.Act.Read(&o) != nil || o.Record != record {
		return false, nil
	}
	return r.Holds(ctx, q.Act, q.Proofs) == nil, nil
}

// Again tells how often people of a record's keeper have let an agency open it once more
// today. No row says so: acts and proofs do.
func (r *Roster) Again(ctx context.Context, agency, record string) (n int, err error) {
	now := r.cfg.Now()
	all, err := r.cfg.Store.Agreed(ctx, roster.DoAgain, now)
	if err != nil {
		return 0, fmt.Errorf("read the requests: %w", err)
	}
	for _, q := range all {
		var a roster.Again
		if q.State != Done || q.Act.Do != roster.DoAgain || q.Act.Read(&a) != nil || a.Reader != agency || a.Record != record || !sameDay(askedAt(q.Act), now) {
			continue
		}
		if r.Holds(ctx, q.Act, q.Proofs) == nil {
			n++
		}
	}
	return n, nil
}

func sameDay(a, b time.Time) bool {
	return a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly)
}

// Withdraw ends a request before enough have agreed: by whoever asked, or by one who
// might agree and will not.
func (r *Roster) Withdraw(ctx context.Context, by audit.Actor, id string) error {
	for range maxRaces {
		q, err := r.visible(ctx, by, id)
		switch {
		case err != nil:
			return err
		case q.State != Waits:
			return fmt.Errorf("%w: the request waits no more", ErrConflict)
		}
		if err := r.mayWithdraw(ctx, by, q.Act); err != nil {
			return err
		}
		q.State = Withdrawn
		if err := r.cfg.Store.ReplaceRequest(ctx, q); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return ErrConflict
}

// mayWithdraw lets whoever asked take it back, and whoever might agree say no.
func (r *Roster) mayWithdraw(ctx context.Context, by audit.Actor, act approval.Act) error {
	s, err := r.State(ctx)
	if err != nil {
		return err
	}
	if act.By != by.ID && !s.MayAgree(act, by.ID) {
		return ErrForbidden
	}
	return nil
}

// Needs tells what a request needs now.
func (r *Roster) Needs(ctx context.Context, q Request) (roster.Needs, error) {
	s, err := r.State(ctx)
	if err != nil {
		return roster.Needs{}, err
	}
	return s.Needs(q.Act)
}

// linkLife is how long a link to join is good, from the day on which it counts.
const linkLife = 7 * 24 * time.Hour

// NewLink makes a link with which somebody joins. The secret is shown this once.
func (r *Roster) NewLink() (roster.Link, string) {
	secret, hash := token.New(token.Join)
	return roster.Link{Hash: hash[:], Until: r.cfg.Now().Add(linkLife + roster.Delay).Unix()}, secret
}

// Invited finds who may join with a secret. ErrUnauthenticated for any secret that is
// not good for anything now; which of the reasons it is, is not said.
func (r *Roster) Invited(ctx context.Context, secret string) (roster.Person, error) {
	hash, ok := token.Hash(token.Join, secret)
	if !ok {
		return roster.Person{}, ErrUnauthenticated
	}
	s, err := r.State(ctx)
	switch {
	case err != nil:
		return roster.Person{}, err
	case s.Lock != "":
		return roster.Person{}, roster.ErrLocked
	}
	for _, p := range s.People {
		if string(p.Link.Hash) == string(hash[:]) && !p.Removed && r.cfg.Now().Unix() < p.Link.Until && (p.Agency == "" || s.Active(p.Agency)) {
			return p, nil
		}
	}
	return roster.Person{}, ErrUnauthenticated
}

// JoinAct is the act by which somebody joins with a new passkey. The passkey then
// signs it.
func (r *Roster) JoinAct(ctx context.Context, secret string, k roster.Credential) (approval.Act, error) {
	p, err := r.Invited(ctx, secret)
	if err != nil {
		return approval.Act{}, err
	}
	s, err := r.State(ctx)
	if err != nil {
		return approval.Act{}, err
	}
	act, err := approval.New(s.Network, roster.DoJoin, p.Agency, p.ID, &roster.Join{Person: p.ID, Credential: k}, r.cfg.Now(), time.Hour)
	if err != nil {
		return approval.Act{}, err
	}
	return act, conflict(s.Check(act))
}

// Join lets somebody in with the passkey that has signed the act, and uses the link
// up.
func (r *Roster) Join(ctx context.Context, secret string, act approval.Act, p approval.Proof) (audit.Actor, error) {
	who, err := r.Invited(ctx, secret)
	if err != nil {
		return audit.Actor{}, err
	}
	by := actorOf(who)
	_, err = r.append(ctx, roster.Change{Secret: secret, Proofs: []approval.Proof{p}}, act, by)
	switch {
	case errors.Is(err, roster.ErrProof):
		return audit.Actor{}, ErrUnauthenticated
	case err != nil:
		return audit.Actor{}, conflict(err)
	}
	return by, nil
}

// NewProgram is what AddProgram takes in, and the token, which is shown this once.
func (r *Roster) NewProgram(agency string, role Role, label string, life time.Duration) (roster.Program, string) {
	secret, hash := token.New(token.Bearer)
	return roster.Program{
		ID: newID(), Agency: agency, Role: role, Label: label, Token: hash[:], Expires: r.cfg.Now().Add(life).Unix(),
	}, secret
}

// NewPerson is somebody who is to be taken in.
func NewPerson(agency, handle string, roles ...Role) roster.Person {
	roles = slices.Clone(roles)
	slices.Sort(roles)
	return roster.Person{ID: newID(), Agency: agency, Roles: slices.Compact(roles), Handle: handle}
}
