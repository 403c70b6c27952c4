package roster

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/invalid"
)

// What a change does, as its act says it.
const (
	DoFound             = "network.found"
	DoCloseFounding     = "founding.close"
	DoReopenFounding    = "founding.reopen"
	DoAdmitAgency       = "agency.admit"
	DoChangeAgency      = "agency.change"
	DoSuspendAgency     = "agency.suspend"
	DoResumeAgency      = "agency.resume"
	DoCompromisedAgency = "agency.compromised"
	DoPartner           = "agency.partner"
	DoRaiseQuota        = "agency.quota"
	DoAddPerson         = "person.add"
	DoJoin              = "person.join"
	DoChangePerson      = "person.change"
	DoRecoverPerson     = "person.recover"
	DoRemovePerson      = "person.remove"
	DoSignOut           = "person.out"
	DoAddKey            = "key.add"
	DoRemoveKey         = "key.remove"
	DoAddProgram        = "program.add"
	DoRemoveProgram     = "program.remove"
	DoAdmitDevice       = "device.admit"
	DoRemoveDevice      = "device.remove"
	DoStop              = "change.stop"
)

// What the roster says who has to agree to, and is done elsewhere.
const (
	DoIssue  = "attestation.issue" // an attestation is signed
	DoCard   = "card.issue"        // a card is made
	DoResume = "status.resume"     // what was paused is in use again
	DoErase  = "case.erase"        // a case is erased
	DoLookUp = "number.look_up"    // a keeper is told that somebody asks for a document
	DoOpen   = "record.open"       // a record is open for a quarter of an hour, without its holder
	DoAgain  = "record.read_again" // an agency opens a record once more on a day
	DoShare  = "record.share"      // a record is shared with an authority of its holder's state
)

// doing is what an act is about, and what the roster makes of it.
type doing interface {
	// need says who has to agree.
	need(s *State, act approval.Act) need
	// check says what is wrong with it, by itself and in this state.
	check(s *State, act approval.Act) error
	// apply does it. check has passed.
	apply(s *State, act approval.Act, at int64)
}

// joins is a doing that is proven by a passkey which is not in the roster yet.
type joins interface {
	joined(s *State, c Change, challenge [32]byte, check Checker) error
}

// elsewhere is a doing that is no change of the roster: the roster says who has to
// agree, and another room does it.
type elsewhere struct{}

func (elsewhere) apply(*State, approval.Act, int64) {}

// Elsewhere tells whether an act is none of the roster's own.
func Elsewhere(do string) bool {
	switch do {
	case DoIssue, DoCard, DoResume, DoErase, DoLookUp, DoOpen, DoAgain, DoShare:
		return true
	default:
		return false
	}
}

// need is a rule of who has to agree.
type need struct {
	people   int                 // how many
	who      func(p Person) bool // of whom each is one
	apart    bool                // not all of one agency; the network counts as one
	also     func([]Person) bool // what has to be true of them together; nil is nothing
	delay    bool                // it counts a day later
	founding bool                // while the network is founded one operator is enough
	root     bool                // the root signs, too
	alone    bool                // or the root alone: whoever has folder and passphrase may only take away
}

// kinds is every doing there is. What does not stand here is refused.
var kinds = map[string]func() doing{
	DoFound: func() doing { return &Found{} }, DoCloseFounding: func() doing { return &CloseFounding{} },
	DoReopenFounding: func() doing { return &ReopenFounding{} },
	DoAdmitAgency:    func() doing { return &AdmitAgency{} }, DoChangeAgency: func() doing { return &ChangeAgency{} },
	DoSuspendAgency: func() doing { return &SuspendAgency{} }, DoResumeAgency: func() doing { return &ResumeAgency{} },
	DoCompromisedAgency: func() doing { return &CompromisedAgency{} }, DoPartner: func() doing { return &Partner{} },
	DoRaiseQuota: func() doing { return &RaiseQuota{} },
	DoAddPerson:  func() doing { return &AddPerson{} }, DoJoin: func() doing { return &Join{} },
	DoChangePerson: func() doing { return &ChangePerson{} }, DoRecoverPerson: func() doing { return &RecoverPerson{} },
	DoRemovePerson: func() doing { return &RemovePerson{} }, DoSignOut: func() doing { return &SignOut{} },
	DoAddKey: func() doing { return &AddKey{} }, DoRemoveKey: func() doing { return &RemoveKey{} },
	DoAddProgram: func() doing { return &AddProgram{} }, DoRemoveProgram: func() doing { return &RemoveProgram{} },
	DoAdmitDevice: func() doing { return &AdmitDevice{} }, DoRemoveDevice: func() doing { return &RemoveDevice{} },
	DoStop: func() doing { return &Stop{} }, DoNewKey: func() doing { return &NewKey{} },
	DoLock: func() doing { return &Lock{} }, DoUnlock: func() doing { return &Unlock{} },
	DoIssue: func() doing { return &Issue{} }, DoCard: func() doing { return &Card{} }, DoResume: func() doing { return &Resume{} },
	DoErase: func() doing { return &Erase{} }, DoLookUp: func() doing { return &LookUp{} }, DoOpen: func() doing { return &Open{} },
	DoAgain: func() doing { return &Again{} }, DoShare: func() doing { return &Share{} },
}

// Kinds lists what can be done, sorted.
func Kinds() []string {
	var all []string
	for do := range kinds {
		all = append(all, do)
	}
	slices.Sort(all)
	return all
}

func read(act approval.Act) (doing, error) {
	kind, ok := kinds[act.Do]
	if !ok {
		return nil, fmt.Errorf("%w: nobody knows such a change", ErrChange)
	}
	do := kind()
	return do, act.Read(do)
}

// Who may agree.

func operators(p Person) bool { return p.Is(Operator) }

// leads answers for an agency, or runs the network.
func leads(p Person) bool { return p.Is(Operator, Supervisor, Admin) }

// two is the rule of who and what is let in: two who answer for the agency, or run the
// network. about is the person it is about, who has no say in it; "" is somebody new.
func two(s *State, agency, about string) need {
	n := delayed(team(s, agency, about))
	if agency == "" {
		n = twoOfNetwork(s, about)
	}
	who := n.who
	n.who = func(p Person) bool { return p.ID != about && who(p) }
	return n
}

// twoOfNetwork is the rule of whoever runs or audits the network: two operators. Where
// there is one besides the person it is about, she and somebody who answers for an
// agency; where there is none, two who answer for different agencies. No agency makes
// operators by itself: where that is the only way left, the root and one open the
// founding again.
func twoOfNetwork(s *State, about string) need {
	n := need{people: 2, who: operators, delay: true, founding: true}
	switch s.operators(about) {
	case 0:
		n.who, n.apart = leads, true
	case 1:
		n.who = leads
		n.also = func(by []Person) bool { return slices.ContainsFunc(by, operators) }
	}
	return n
}

// operators is how many operators are there besides somebody.
func (s *State) operators(besides string) int {
	n := 0
	for _, p := range s.People {
		if p.ID != besides && operators(p) && s.Present(p) {
			n++
		}
	}
	return n
}

// stuck tells whether nobody can agree any more to who runs the network: no operator is
// there, and nobody leads but in one agency.
func (s *State) stuck() bool {
	agencies := map[string]bool{}
	for _, p := range s.People {
		if leads(p) && s.Present(p) {
			agencies[p.Agency] = true
		}
	}
	return s.operators("") == 0 && len(agencies) < 2
}

// team is the rule of what concerns one agency: two who answer for it. Where one alone
// does, an operator is the other. Two operators act for it only where it has nobody who
// could agree: it was just admitted, all are gone, or the one is whom it is about.
func team(s *State, agency, about string) need {
	own := func(p Person) bool { return p.Agency == agency && leads(p) }
	all, others := 0, 0 // who answer for it, and those besides the one it is about
	for _, p := range s.People {
		if own(p) && s.Present(p) {
			all++
			if p.ID != about {
				others++
			}
		}
	}
	n := need{people: 2, founding: true, who: own}
	if all < 2 {
		n.who = func(p Person) bool { return own(p) || p.Is(Operator) }
		n.also = func(by []Person) bool { return others == 0 || slices.ContainsFunc(by, own) }
	}
	return n
}

// twoBodies is the rule of what concerns the whole network: an operator, and
// somebody who answers for an agency that is not the one it is about. A network of
// one agency has its two operators.
func twoBodies(s *State, about string) need {
	others := 0
	for id := range s.Agencies {
		if id != about && s.Active(id) {
			others++
		}
	}
	n := need{
		people: 2, founding: true, apart: others > 0,
		who:  func(p Person) bool { return leads(p) && (p.Agency == "" || p.Agency != about) },
		also: func(by []Person) bool { return slices.ContainsFunc(by, operators) },
	}
	return n
}

func delayed(n need) need { n.delay = true; return n }

// one is the rule of what only takes something away: whoever answers for the agency,
// or runs the network, or it is one's own.
func one(agency, self string) need {
	return need{people: 1, founding: true, alone: true, who: func(p Person) bool {
		return p.ID == self && self != "" || p.Is(Operator) || p.Agency == agency && leads(p)
	}}
}

// Found begins a roster. It is signed by the root, and there is nobody yet who could
// agree.
type Found struct {
	Root  json.RawMessage `json:"root"` // public key, a JWK
	Demo  bool            `json:"demo"`
	First Person          `json:"first"` // the first operator
	Link  Link            `json:"link"`  // with which the first operator joins
	Until int64           `json:"until"` // when founding ends, Unix seconds
	// Programs are let in with the founding, for whoever sets a network up by
	// commands.
	Programs []Program `json:"programs"`
	Format   int       `json:"format"`
}

// Format is the form of rosters that this package reads.
const Format = 1

func (f *Found) need(*State, approval.Act) need { return need{root: true} }

func (f *Found) check(s *State, act approval.Act) error {
	c := invalid.Checker{}
	c.Must(f.Format == Format, "/format", invalid.CodeNotInList, "is a form that this version reads")
	c.Must(len(f.Root) > 2 && f.Root[0] == '{' && len(f.Root) < 1000, "/root", invalid.CodeFormat, "is a public key")
	c.Must(f.Until > 0, "/until", invalid.CodeRange, "is a time")
	c.Must(f.First.Agency == "" && slices.Equal(f.First.Roles, []Role{Operator}), "/first/roles", invalid.CodeNotInList, "is operator")
	checkPerson(&c, "/first", f.First)
	checkLink(&c, f.Link)
	for _, p := range f.Programs {
		c.Must(p.Agency == "", "/programs", invalid.CodeNotInList, "are the network's own")
		if err := (&AddProgram{p}).check(s, act); err != nil {
			return err
		}
	}
	if s.Seq != 0 {
		return ErrPlace
	}
	return c.Err()
}

func (f *Found) apply(s *State, act approval.Act, at int64) {
	s.Network, s.Demo, s.Root = act.Network, f.Demo, f.Root
	s.FoundingUntil = min(f.Until, at+int64(FoundingLife.Seconds()))
	p := f.First
	p.Link = f.Link
	s.People[p.ID] = p
	for _, p := range f.Programs {
		s.Programs[p.ID] = p
	}
}

// CloseFounding ends the founding before its time.
type CloseFounding struct{}

func (*CloseFounding) need(*State, approval.Act) need { return need{people: 2, who: leads} }
func (*CloseFounding) check(s *State, _ approval.Act) error {
	if !s.Founding(s.now) {
		return fmt.Errorf("%w: founding is over", ErrState)
	}
	return nil
}
func (*CloseFounding) apply(s *State, _ approval.Act, _ int64) { s.FoundingUntil = 0 }

// ReopenFounding opens it again where fewer than two people can agree to anything, or
// those of one agency alone would make the operators. Devices show it for 30 days.
type ReopenFounding struct {
	Until int64 `json:"until"` // Unix seconds
}

func (*ReopenFounding) need(*State, approval.Act) need {
	return need{people: 1, who: leads, root: true}
}
func (r *ReopenFounding) check(s *State, _ approval.Act) error {
	if s.leading() >= 2 && !s.stuck() || r.Until <= s.now || s.Founding(s.now) {
		return fmt.Errorf("%w: two people can agree, or founding is open", ErrState)
	}
	return nil
}
func (r *ReopenFounding) apply(s *State, _ approval.Act, at int64) {
	s.Reopened = at
	s.FoundingUntil = min(r.Until, at+int64(FoundingLife.Seconds()))
}

// AdmitAgency takes an organisation in.
type AdmitAgency struct{ Agency }

func (a *AdmitAgency) need(s *State, _ approval.Act) need { return delayed(twoBodies(s, a.ID)) }
func (a *AdmitAgency) check(s *State, act approval.Act) error {
	if _, ok := s.Agencies[a.ID]; ok {
		return ErrState
	}
	return checkAgency(a.Agency)
}
func (a *AdmitAgency) apply(s *State, _ approval.Act, at int64) {
	n := a.Agency
	n.Admitted, n.Founder = at, s.Founding(at)
	s.Agencies[a.ID] = n
}

// ChangeAgency says anew all that AdmitAgency says of one.
type ChangeAgency struct{ Agency }

func (a *ChangeAgency) need(s *State, _ approval.Act) need { return delayed(twoBodies(s, a.ID)) }
func (a *ChangeAgency) check(s *State, _ approval.Act) error {
	if _, ok := s.Agencies[a.ID]; !ok {
		return ErrState
	}
	return checkAgency(a.Agency)
}
func (a *ChangeAgency) apply(s *State, _ approval.Act, _ int64) {
	old, n := s.Agencies[a.ID], a.Agency
	n.Partner, n.Suspended, n.Compromised, n.Admitted, n.Founder, n.Quotas = old.Partner, old.Suspended, old.Compromised, old.Admitted, old.Founder, old.Quotas
	s.Agencies[a.ID] = n
}

// SuspendAgency shuts an agency out, at once.
type SuspendAgency struct {
	ID string `json:"id"`
}

func (a *SuspendAgency) need(s *State, _ approval.Act) need {
	n := twoBodies(s, a.ID)
	n.alone = true
	return n
}
func (a *SuspendAgency) check(s *State, _ approval.Act) error {
	if !s.Active(a.ID) {
		return ErrState
	}
	return nil
}
func (a *SuspendAgency) apply(s *State, _ approval.Act, _ int64) {
	n := s.Agencies[a.ID]
	n.Suspended = true
	s.Agencies[a.ID] = n
}

// ResumeAgency lets a suspended one in again.
type ResumeAgency struct {
	ID string `json:"id"`
}

func (a *ResumeAgency) need(s *State, _ approval.Act) need { return delayed(twoBodies(s, a.ID)) }
func (a *ResumeAgency) check(s *State, _ approval.Act) error {
	if n, ok := s.Agencies[a.ID]; !ok || !n.Suspended {
		return ErrState
	}
	return nil
}
func (a *ResumeAgency) apply(s *State, _ approval.Act, _ int64) {
	n := s.Agencies[a.ID]
	n.Suspended = false
	s.Agencies[a.ID] = n
}

// CompromisedAgency says since when nothing that an agency signs is believed.
type CompromisedAgency struct {
	ID    string `json:"id"`
	Since int64  `json:"since"` // Unix seconds
}

func (a *CompromisedAgency) need(s *State, _ approval.Act) need { return twoBodies(s, a.ID) }
func (a *CompromisedAgency) check(s *State, _ approval.Act) error {
	if n, ok := s.Agencies[a.ID]; !ok || a.Since <= 0 || a.Since > s.now || n.Compromised > 0 && a.Since >= n.Compromised {
		return ErrState
	}
	return nil
}
func (a *CompromisedAgency) apply(s *State, _ approval.Act, _ int64) {
	n := s.Agencies[a.ID]
	n.Compromised = a.Since
	s.Agencies[a.ID] = n
}

// Partner names another agency whose people are the second person for one that has
// one person alone. One of each agrees.
type Partner struct {
	ID      string `json:"id"`
	Partner string `json:"partner"` // "" ends it
}

func (a *Partner) need(_ *State, _ approval.Act) need {
	if a.Partner == "" {
		return one(a.ID, "")
	}
	return need{
		people: 2, apart: true, delay: true,
		who: func(p Person) bool { return (p.Agency == a.ID || p.Agency == a.Partner) && leads(p) },
	}
}
func (a *Partner) check(s *State, _ approval.Act) error {
	if !s.Active(a.ID) || a.Partner != "" && (!s.Active(a.Partner) || a.Partner == a.ID) || s.Agencies[a.ID].Partner == a.Partner {
		return ErrState
	}
	return nil
}
func (a *Partner) apply(s *State, _ approval.Act, _ int64) {
	n := s.Agencies[a.ID]
	n.Partner = a.Partner
	s.Agencies[a.ID] = n
}

// RaiseQuota lets an agency make more cards for one event. Two other agencies
// agree, and it counts at once: people stand in a yard.
type RaiseQuota struct{ Quota }

// maxQuota is the most cards that can be added for one event.
const maxQuota = 5000

func (q *RaiseQuota) need(*State, approval.Act) need {
	return need{people: 2, apart: true, who: func(p Person) bool {
		return p.Agency != "" && p.Agency != q.Agency && leads(p)
	}}
}
func (q *RaiseQuota) check(s *State, _ approval.Act) error {
	var c invalid.Checker
	c.ShortLine("/event", q.Event, 80, invalid.Required)
	c.Must(q.Cards > 0 && q.Cards <= maxQuota, "/cards", invalid.CodeRange, "is from 1 to 5000")
	c.Must(q.Until > s.now && q.Until <= s.now+int64(90*24*3600), "/until", invalid.CodeRange, "is within 90 days")
	if !s.Active(q.Agency) {
		return ErrState
	}
	return c.Err()
}
func (q *RaiseQuota) apply(s *State, _ approval.Act, _ int64) {
	n := s.Agencies[q.Agency]
	n.Quotas = append(slices.Clone(n.Quotas), q.Quota)
	s.Agencies[q.Agency] = n
}

// AddPerson takes somebody in, who then joins with the link.
type AddPerson struct {
	Person
	Link Link `json:"link"`
}

func (a *AddPerson) need(s *State, _ approval.Act) need {
	return two(s, a.Agency, "")
}
func (a *AddPerson) check(s *State, _ approval.Act) error {
	if _, ok := s.People[a.ID]; ok || !s.may(a.Agency) {
		return ErrState
	}
	var c invalid.Checker
	checkPerson(&c, "", a.Person)
	checkRoles(&c, s.Agencies[a.Agency], a.Roles)
	checkLink(&c, a.Link)
	return c.Err()
}
func (a *AddPerson) apply(s *State, _ approval.Act, _ int64) {
	p := a.Person
	p.Link = a.Link
	s.People[p.ID] = p
}

// may tells whether something may be added to an agency, or to the network.
func (s *State) may(agency string) bool { return agency == "" || s.Active(agency) }

// Join adds the first passkey of somebody who was taken in, or recovered. It is
// proven by the secret of the link, and by the passkey itself.
type Join struct {
	Person     string     `json:"person"`
	Credential Credential `json:"credential"`
}

func (j *Join) need(*State, approval.Act) need { return need{who: nobody} }
func (j *Join) check(s *State, _ approval.Act) error {
	var c invalid.Checker
	checkCredential(&c, j.Credential)
	if s.holds(j.Credential) || s.People[j.Person].Removed {
		return ErrState
	}
	return c.Err()
}

func (j *Join) joined(s *State, c Change, challenge [32]byte, check Checker) error {
	p, ok := s.People[j.Person]
	hash := sha256.Sum256([]byte(c.Secret))
	if !ok || len(c.Root) > 0 || c.Secret == "" || !bytes.Equal(hash[:], p.Link.Hash) || c.At >= p.Link.Until {
		return ErrProof
	}
	return self(c, j.Person, j.Credential, challenge, check)
}

// self wants one proof, by the passkey that is being added.
func self(c Change, person string, k Credential, challenge [32]byte, check Checker) error {
	if len(c.Proofs) != 1 || c.Proofs[0].Person != person || !bytes.Equal(c.Proofs[0].Credential, k.ID) ||
		check.Proof(k, challenge, c.Proofs[0]) != nil {
		return ErrProof
	}
	return nil
}

func (j *Join) apply(s *State, _ approval.Act, _ int64) {
	p := s.People[j.Person]
	p.Link = Link{}
	p.Credentials = []Credential{j.Credential}
	s.People[j.Person] = p
}

// holds tells whether somebody has a passkey already: one passkey is one pair of
// hands.
func (s *State) holds(k Credential) bool {
	for _, p := range s.People {
		for _, old := range p.Credentials {
			if bytes.Equal(old.ID, k.ID) || bytes.Equal(old.PublicKey, k.PublicKey) {
				return true
			}
		}
	}
	return false
}

// ChangePerson gives somebody other roles. All sessions end.
type ChangePerson struct {
	ID     string `json:"id"`
	Roles  []Role `json:"roles"`
	Handle string `json:"handle"`
}

func (a *ChangePerson) need(s *State, _ approval.Act) need {
	return two(s, s.People[a.ID].Agency, a.ID)
}
func (a *ChangePerson) check(s *State, _ approval.Act) error {
	p, ok := s.People[a.ID]
	if !ok || p.Removed || !s.may(p.Agency) {
		return ErrState
	}
	p.Roles, p.Handle = a.Roles, a.Handle
	var c invalid.Checker
	checkPerson(&c, "", p)
	checkRoles(&c, s.Agencies[p.Agency], a.Roles)
	return c.Err()
}
func (a *ChangePerson) apply(s *State, _ approval.Act, at int64) {
	p := s.People[a.ID]
	p.Roles, p.Handle = a.Roles, a.Handle
	s.signOut(&p, at)
	s.People[a.ID] = p
}

// RecoverPerson lets somebody who lost their passkeys join again. Those that they had
// count for nothing from then on.
type RecoverPerson struct {
	ID   string `json:"id"`
	Link Link   `json:"link"`
}

func (a *RecoverPerson) need(s *State, _ approval.Act) need {
	return two(s, s.People[a.ID].Agency, a.ID)
}
func (a *RecoverPerson) check(s *State, _ approval.Act) error {
	p, ok := s.People[a.ID]
	if !ok || p.Removed || !s.may(p.Agency) {
		return ErrState
	}
	var c invalid.Checker
	checkLink(&c, a.Link)
	return c.Err()
}
func (a *RecoverPerson) apply(s *State, _ approval.Act, at int64) {
	p := s.People[a.ID]
	p.Credentials, p.Link = nil, a.Link
	s.signOut(&p, at)
	s.People[a.ID] = p
}

// RemovePerson ends somebody's access for good, at once. One operator may so remove the
// only other one: it only takes away, and adding is then agreed to by an agency, too.
type RemovePerson struct {
	ID string `json:"id"`
}

func (a *RemovePerson) need(s *State, _ approval.Act) need {
	n := one(s.People[a.ID].Agency, "")
	who := n.who
	n.who = func(p Person) bool { return p.ID != a.ID && who(p) } // the last one would lock the network
	return n
}
func (a *RemovePerson) check(s *State, _ approval.Act) error {
	if p, ok := s.People[a.ID]; !ok || p.Removed {
		return ErrState
	}
	return nil
}
func (a *RemovePerson) apply(s *State, _ approval.Act, at int64) {
	p := s.People[a.ID]
	p.Removed, p.Link = true, Link{}
	s.signOut(&p, at)
	s.People[a.ID] = p
}

// SignOut ends all sessions of somebody.
type SignOut struct {
	ID string `json:"id"`
}

func (a *SignOut) need(s *State, _ approval.Act) need { return one(s.People[a.ID].Agency, a.ID) }
func (a *SignOut) check(s *State, _ approval.Act) error {
	if p, ok := s.People[a.ID]; !ok || p.Removed {
		return ErrState
	}
	return nil
}
func (a *SignOut) apply(s *State, _ approval.Act, at int64) {
	p := s.People[a.ID]
	s.signOut(&p, at)
	s.People[a.ID] = p
}

// signOut ends all sessions of somebody.
func (s *State) signOut(p *Person, at int64) { p.SessionsFrom, p.SessionsChange = at, s.making }

// AddKey adds a further passkey of one's own. The new one has agreed, too, by being
// named with what it made: internal/passkey has checked its registration.
type AddKey struct {
	Person     string     `json:"person"`
	Credential Credential `json:"credential"`
}

// maxKeys is how many passkeys one person has.
const maxKeys = 10

func (a *AddKey) need(*State, approval.Act) need {
	return need{people: 1, who: func(p Person) bool { return p.ID == a.Person }}
}
func (a *AddKey) check(s *State, _ approval.Act) error {
	p, ok := s.People[a.Person]
	if !ok || p.Removed || len(p.Credentials) >= maxKeys || s.holds(a.Credential) {
		return ErrState
	}
	var c invalid.Checker
	checkCredential(&c, a.Credential)
	return c.Err()
}
func (a *AddKey) apply(s *State, _ approval.Act, _ int64) {
	p := s.People[a.Person]
	p.Credentials = append(slices.Clone(p.Credentials), a.Credential)
	s.People[a.Person] = p
}

// RemoveKey takes a passkey away: one's own, or somebody's who has lost it. Sessions
// end. The last one is replaced by RecoverPerson.
type RemoveKey struct {
	Person     string `json:"person"`
	Credential []byte `json:"credential"`
}

func (a *RemoveKey) need(s *State, _ approval.Act) need {
	return one(s.People[a.Person].Agency, a.Person)
}
func (a *RemoveKey) check(s *State, _ approval.Act) error {
	p := s.People[a.Person]
	if p.Removed || len(p.Credentials) < 2 || !slices.ContainsFunc(p.Credentials, a.is) {
		return ErrState
	}
	return nil
}
func (a *RemoveKey) is(k Credential) bool { return bytes.Equal(k.ID, a.Credential) }
func (a *RemoveKey) apply(s *State, _ approval.Act, at int64) {
	p := s.People[a.Person]
	p.Credentials = slices.DeleteFunc(slices.Clone(p.Credentials), a.is)
	s.signOut(&p, at)
	s.People[a.Person] = p
}

// AddProgram lets a machine in.
type AddProgram struct{ Program }

// maxProgram is how long a program's token lasts.
const maxProgram = 366 * 24 * 3600

func (a *AddProgram) need(s *State, _ approval.Act) need {
	return two(s, a.Agency, "")
}
func (a *AddProgram) check(s *State, _ approval.Act) error {
	if _, ok := s.Programs[a.ID]; ok || !s.may(a.Agency) || s.known(a.Token) {
		return ErrState
	}
	var c invalid.Checker
	c.ID("/id", a.ID, invalid.Required)
	c.ShortLine("/label", a.Label, 40, invalid.Required)
	c.Must(len(a.Token) == sha256.Size, "/token", invalid.CodeFormat, "is a SHA-256")
	c.Must(a.Expires > s.now && a.Expires <= s.now+maxProgram, "/expires", invalid.CodeRange, "is within a year")
	checkRoles(&c, s.Agencies[a.Agency], []Role{a.Role})
	return c.Err()
}
func (a *AddProgram) apply(s *State, _ approval.Act, _ int64) { s.Programs[a.ID] = a.Program }

// known tells whether a token lets somebody in already.
func (s *State) known(token []byte) bool {
	for _, p := range s.Programs {
		if bytes.Equal(p.Token, token) {
			return true
		}
	}
	for _, d := range s.Devices {
		if bytes.Equal(d.Token, token) {
			return true
		}
	}
	return false
}

// RemoveProgram ends a machine's access for good.
type RemoveProgram struct {
	ID string `json:"id"`
}

func (a *RemoveProgram) need(s *State, _ approval.Act) need { return one(s.Programs[a.ID].Agency, "") }
func (a *RemoveProgram) check(s *State, _ approval.Act) error {
	if p, ok := s.Programs[a.ID]; !ok || p.Removed {
		return ErrState
	}
	return nil
}
func (a *RemoveProgram) apply(s *State, _ approval.Act, _ int64) {
	p := s.Programs[a.ID]
	p.Removed = true
	s.Programs[a.ID] = p
}

// AdmitDevice lets a device in that has taken an invitation up. Who invited it is
// not enough.
type AdmitDevice struct {
	Device
	// Symbols are what the device shows: whoever agrees has looked at it.
	Symbols string `json:"symbols"`
}

func (a *AdmitDevice) need(s *State, _ approval.Act) need {
	return two(s, a.Agency, "")
}
func (a *AdmitDevice) check(s *State, _ approval.Act) error {
	if _, ok := s.Devices[a.ID]; ok || !s.Active(a.Agency) || s.known(a.Token) {
		return ErrState
	}
	var c invalid.Checker
	c.ID("/id", a.ID, invalid.Required)
	c.ShortLine("/label", a.Label, 40, invalid.Required)
	c.Must(len(a.Token) == sha256.Size, "/token", invalid.CodeFormat, "is a SHA-256")
	c.Must(len(a.Recipient) > 0 && len(a.Recipient) <= 4096, "/recipient", invalid.CodeFormat, "is a public key")
	return c.Err()
}
func (a *AdmitDevice) apply(s *State, _ approval.Act, _ int64) { s.Devices[a.ID] = a.Device }

// RemoveDevice lets a device fetch nothing more.
type RemoveDevice struct {
	ID string `json:"id"`
}

func (a *RemoveDevice) need(s *State, _ approval.Act) need { return one(s.Devices[a.ID].Agency, "") }
func (a *RemoveDevice) check(s *State, _ approval.Act) error {
	if d, ok := s.Devices[a.ID]; !ok || d.Removed {
		return ErrState
	}
	return nil
}
func (a *RemoveDevice) apply(s *State, _ approval.Act, _ int64) {
	d := s.Devices[a.ID]
	d.Removed = true
	s.Devices[a.ID] = d
}

// Stop takes a change out of those that wait. Whoever may agree to it may stop it.
type Stop struct {
	Seq uint64 `json:"seq"`
}

func (a *Stop) need(s *State, _ approval.Act) need {
	i := s.waits(a.Seq)
	if i < 0 {
		return need{people: 1, who: nobody}
	}
	w := s.Waiting[i]
	return need{people: 1, alone: true, who: func(p Person) bool { return p.Is(Operator) || w.do.need(s, w.Act).who(p) }}
}
func nobody(Person) bool { return false }
func (a *Stop) check(s *State, _ approval.Act) error {
	if s.waits(a.Seq) < 0 {
		return ErrState
	}
	return nil
}
func (s *State) waits(seq uint64) int {
	return slices.IndexFunc(s.Waiting, func(w Waiting) bool { return w.Seq == seq })
}
func (a *Stop) apply(s *State, _ approval.Act, _ int64) {
	i := s.waits(a.Seq)
	s.Waiting = slices.Delete(slices.Clone(s.Waiting), i, i+1)
}

// Issue signs an attestation in an agency's name. What is signed is the order that has
// the digest.
type Issue struct {
	Case  string `json:"case"`
	Kind  string `json:"kind"`
	Level string `json:"level"` // of a decision, from reasonable grounds on; "" for everything else
	Order []byte `json:"order"` // SHA-256
	elsewhere
}

// need is two for a decision, and otherwise one who may sign the kind: for an answer in
// a state's name an officer of its embassy.
func (i *Issue) need(s *State, act approval.Act) need {
	if i.Level != "" {
		return twoWhoAttest(s, act.Agency)
	}
	return need{people: 1, who: func(p Person) bool { return p.Agency == act.Agency && p.Is(IssuersOf(i.Kind)...) }}
}

// IssuersOf lists the roles whose people sign attestations of a kind. It says so a
// second time: what people may do stands in package people, which a signer does not
// have.
func IssuersOf(kind string) []Role {
	switch claims.Kind(kind) {
	case claims.KindScreening, claims.KindAppointment, claims.KindIdentity, claims.KindDocument:
		return []Role{Caseworker, Supervisor}
	case claims.KindOpinion:
		return []Role{Caseworker, Supervisor, Officer, Mission}
	case claims.KindReliance:
		return []Role{Caseworker, Supervisor, Officer}
	case claims.KindReply:
		return []Role{Mission}
	default:
		return nil
	}
}

func (i *Issue) check(s *State, act approval.Act) error {
	var c invalid.Checker
	c.ID("/case", i.Case, invalid.Required)
	c.Must(len(IssuersOf(i.Kind)) > 0, "/kind", invalid.CodeNotInList, "is a kind of attestation")
	c.Must(i.Level == "" || i.Kind == string(claims.KindScreening) && decides(i.Level), "/level", invalid.CodeNotInList, "is the level of a decision")
	return s.signs(act, &c, i.Order)
}

// decides tells whether a level is one that two people agree to.
func decides(level string) bool {
	return claims.CardDecisionLevel(level) >= claims.CardDecisionLevel("reasonable_grounds")
}

// signs checks what all acts have in common by which an agency signs something.
func (s *State) signs(act approval.Act, c *invalid.Checker, order []byte) error {
	c.Must(len(order) == sha256.Size, "/order", invalid.CodeFormat, "is a SHA-256")
	if !s.Active(act.Agency) {
		return ErrState
	}
	return c.Err()
}

// Card makes a card in an agency's name: one who attests for it agrees, and somebody who
// answers for it where it takes a second look.
type Card struct {
	Case  string `json:"case"`
	Again bool   `json:"again"` // in another name than an earlier card, or the third of a month
	Order []byte `json:"order"` // SHA-256
	elsewhere
}

func (c *Card) need(_ *State, act approval.Act) need {
	roles := CardIssuers()
	if c.Again {
		roles = []Role{Supervisor}
	}
	return need{people: 1, who: func(p Person) bool { return p.Agency == act.Agency && p.Is(roles...) }}
}

// CardIssuers lists the roles whose people make cards.
func CardIssuers() []Role { return []Role{Caseworker, Supervisor} }

func (c *Card) check(s *State, act approval.Act) error {
	var k invalid.Checker
	k.ID("/case", c.Case, invalid.Required)
	return s.signs(act, &k, c.Order)
}

// Resume has an attestation or a card in use again that was paused, and with it the
// cards that carry it: at these places, and no others. Two of the agency agree, of whom
// one answers for what it signs; at an embassy, where there is nobody else, that is an
// officer of it.
type Resume struct {
	Case   string  `json:"case"`
	Of     string  `json:"of"`   // id of what was paused
	Kind   string  `json:"kind"` // of attestation, or card
	Places []Place `json:"places"`
	Order  []byte  `json:"order"` // SHA-256
	elsewhere
}

// Place is where the status of something stands.
type Place struct {
	List  uint16 `json:"list"`
	Index uint32 `json:"index"`
}

// maxPlaces bounds how much comes back at once: one finding has few cards.
const maxPlaces = 1000

func (r *Resume) need(s *State, act approval.Act) need { return twoOf(s, act.Agency) }

func (r *Resume) check(s *State, act approval.Act) error {
	var c invalid.Checker
	c.ID("/case", r.Case, invalid.Required)
	c.ID("/of", r.Of, invalid.Required)
	c.Must(r.Kind == "card" || len(IssuersOf(r.Kind)) > 0, "/kind", invalid.CodeNotInList, "is card or a kind of attestation")
	c.Must(len(r.Places) > 0 && len(r.Places) <= maxPlaces, "/places", invalid.CodeRange, "is from 1 to 1000")
	return s.signs(act, &c, r.Order)
}

// Erase destroys a case with everything in it, where its holder is not there to ask for
// it with a card.
type Erase struct {
	Case string `json:"case"`
	elsewhere
}

func (e *Erase) need(s *State, act approval.Act) need { return twoOf(s, act.Agency) }
func (e *Erase) check(s *State, act approval.Act) error {
	var c invalid.Checker
	c.ID("/case", e.Case, invalid.Required)
	if !s.Active(act.Agency) {
		return ErrState
	}
	return c.Err()
}

// LookUp tells the keepers of a document that somebody asks for its number. Its order
// has the number.
type LookUp struct {
	Order []byte `json:"order"` // SHA-256
	elsewhere
}

func (l *LookUp) need(s *State, act approval.Act) need { return twoOf(s, act.Agency) }
func (l *LookUp) check(s *State, act approval.Act) error {
	var c invalid.Checker
	return s.signs(act, &c, l.Order)
}

// Open opens a record that is shared with an agency to the one person who asks, without
// the code of its holder, until the act is over. Whoever answers for the keeper or for
// the agency is told.
type Open struct {
	Case    string `json:"case"`
	Record  string `json:"record"`
	Keeper  string `json:"keeper"` // the agency that keeps the case
	Purpose string `json:"purpose"`
	elsewhere
}

func (o *Open) need(s *State, act approval.Act) need { return twoOf(s, act.Agency) }
func (o *Open) check(s *State, act approval.Act) error {
	var c invalid.Checker
	c.ID("/case", o.Case, invalid.Required)
	c.ID("/record", o.Record, invalid.Required)
	c.ID("/keeper", o.Keeper, invalid.Required)
	c.OneOf("/purpose", o.Purpose, []string{claims.PurposeDanger}, invalid.Required)
	if !s.Active(act.Agency) || o.Keeper == act.Agency {
		return ErrState
	}
	return c.Err()
}

// Again lets an agency open a record of another one's once more on a day than it may of
// itself: somebody of the agency that keeps it says yes.
type Again struct {
	Case   string `json:"case"`
	Record string `json:"record"`
	Reader string `json:"reader"` // the agency that reads
	elsewhere
}

func (a *Again) need(_ *State, act approval.Act) need {
	return need{people: 1, who: func(p Person) bool { return p.Agency == act.Agency && p.Is(Caseworker, Supervisor) }}
}

func (a *Again) check(s *State, act approval.Act) error {
	var c invalid.Checker
	c.ID("/case", a.Case, invalid.Required)
	c.ID("/record", a.Record, invalid.Required)
	c.ID("/reader", a.Reader, invalid.Required)
	if !s.Active(act.Agency) || !s.Active(a.Reader) || a.Reader == act.Agency {
		return ErrState
	}
	return c.Err()
}

// Share lets an authority of a holder's own state read a record, by a word that her card
// has signed: a second person of the agency agrees. Where she is not free they are of two
// agencies, neither of a state, and each has asked her alone: that is what they sign.
type Share struct {
	Case     string   `json:"case"`
	Record   string   `json:"record"`
	To       string   `json:"to"` // the agency that is to read
	Purpose  string   `json:"purpose"`
	Parts    []string `json:"parts"`
	Readings int      `json:"readings"`
	LastDay  string   `json:"last_day"`
	// Circumstance is how she said that she is: free, detained, first_72h.
	Circumstance string `json:"circumstance"`
	// AskedAlone says that each of those who agree has asked her alone; Second is then the
	// other agency.
	AskedAlone bool   `json:"asked_alone"`
	Second     string `json:"second"`
	Order      []byte `json:"order"` // SHA-256 of her word
	elsewhere
}

func (a *Share) need(s *State, act approval.Act) need {
	if !a.AskedAlone {
		return twoOf(s, act.Agency)
	}
	return need{people: 2, apart: true, who: func(p Person) bool {
		of := claims.Recipient{Class: s.Agencies[p.Agency].Class}
		return p.Agency != "" && (p.Agency == act.Agency || p.Agency == a.Second) && p.Is(Caseworker, Supervisor) && s.Active(p.Agency) && !of.OfState()
	}}
}

func (a *Share) check(s *State, act approval.Act) error {
	var c invalid.Checker
	c.ID("/case", a.Case, invalid.Required)
	c.ID("/record", a.Record, invalid.Required)
	c.ID("/to", a.To, invalid.Required)
	c.OneOf("/purpose", a.Purpose, claims.Values("sharing_purpose"), invalid.Required)
	c.Must(len(a.Parts) > 0 && len(a.Parts) <= len(claims.Parts), "/parts", invalid.CodeRange, "are some of the listed parts")
	for i, p := range a.Parts {
		c.Must(slices.Contains(claims.Parts, claims.Part(p)), invalid.At("/parts", i), invalid.CodeNotInList, "is one of the listed parts")
	}
	c.Must(a.Readings >= 0 && a.Readings <= 10, "/readings", invalid.CodeRange, "is from 0 to 10")
	c.Day("/last_day", a.LastDay, invalid.Required)
	c.OneOf("/circumstance", a.Circumstance, claims.Values("circumstance"), invalid.Required)
	c.Must(a.AskedAlone == (a.Circumstance != "free"), "/asked_alone", invalid.CodeInconsistent, "is where she is not free")
	c.ID("/second", a.Second, invalid.Need(a.AskedAlone))
	c.Only("/second", a.Second != "", a.AskedAlone, "goes with asked_alone")
	if a.To == act.Agency || a.AskedAlone && (a.Second == act.Agency || !s.Active(a.Second)) {
		return ErrState
	}
	return s.signs(act, &c, a.Order)
}

// Told tells whether somebody is told of an act that was done: those who answer for an
// agency whose record was opened without its holder, or whose people did.
func (s *State) Told(act approval.Act, person string) bool {
	var o Open
	if act.Do != DoOpen || act.Read(&o) != nil {
		return false
	}
	p := s.People[person]
	return s.Present(p) && leads(p) && p.Agency != "" && (p.Agency == act.Agency || p.Agency == o.Keeper)
}

// twoOf are two people of an agency who do its work, of whom one answers for it: two who
// attest, or, where nobody attests, an officer and whoever is there besides.
func twoOf(s *State, agency string) need {
	if slices.Contains(RolesOf(s.Agencies[agency].Class), Supervisor) {
		return twoWhoAttest(s, agency)
	}
	return need{
		people: 2, who: func(p Person) bool { return p.Agency == agency && p.Is(Mission, Officer, Admin) },
		also: func(by []Person) bool {
			return slices.ContainsFunc(by, func(p Person) bool { return p.Is(Mission, Officer) })
		},
	}
}

// twoWhoAttest are two people who attest for an agency, of whom one answers for it.
// Where there is one such person alone, whoever answers for a partner is the second.
func twoWhoAttest(s *State, agency string) need {
	own := func(p Person) bool { return p.Agency == agency && p.Is(Caseworker, Supervisor) }
	n, partner := 0, s.Agencies[agency].Partner
	for _, p := range s.People {
		if own(p) && s.Present(p) {
			n++
		}
	}
	helps := func(p Person) bool { return n < 2 && partner != "" && p.Agency == partner && p.Is(Supervisor) }
	return need{
		people: 2, who: func(p Person) bool { return own(p) || helps(p) },
		also: func(by []Person) bool {
			return slices.ContainsFunc(by, own) && slices.ContainsFunc(by, func(p Person) bool { return p.Is(Supervisor) })
		},
	}
}

// What is asked of the parts.

func checkAgency(a Agency) error {
	var c invalid.Checker
	c.ID("/id", a.ID, invalid.Required)
	c.ShortLine("/name", a.Name, 80, invalid.Required)
	c.ShortLine("/desk", a.Desk, 40, invalid.Required)
	c.Country("/country", a.Country, invalid.Required)
	c.Must(slices.Contains(claims.Values("org_type"), a.Class), "/class", invalid.CodeNotInList, "is one of the listed classes")
	c.Must(a.Level == "" || claims.CardDecisionLevel(a.Level) > 0, "/level", invalid.CodeNotInList, "is a decision level")
	c.Must(slices.IsSorted(a.Kinds) && len(slices.Compact(slices.Clone(a.Kinds))) == len(a.Kinds), "/kinds", invalid.CodeFormat, "is sorted, each once")
	for i, k := range a.Kinds {
		_, err := claims.TermsFor(claims.Kind(k))
		c.Must(err == nil, invalid.At("/kinds", i), invalid.CodeNotInList, "is a kind of attestation")
	}
	checkConfirms(&c, a)
	return c.Err()
}

// maxConfirms is for how many states one agency is named.
const maxConfirms = 30

// checkConfirms looks at the states for which an agency is named. Each has one code here,
// so that two people who read it read the same as whoever goes by it.
func checkConfirms(c *invalid.Checker, a Agency) {
	if len(a.Confirms) == 0 {
		return
	}
	replies := slices.Contains(a.Kinds, string(claims.KindReply)) || len(a.Kinds) == 0 && a.Level == "" && a.Class == claims.ClassMission
	c.Must(claims.MayBeNamed(a.Class), "/confirms", invalid.CodeNotAllowed, "goes with a mission or an authority of a government")
	c.Must(replies, "/confirms", invalid.CodeNotAllowed, "goes with the kind reply among what the agency signs")
	c.Must(slices.IsSorted(a.Confirms) && len(slices.Compact(slices.Clone(a.Confirms))) == len(a.Confirms), "/confirms", invalid.CodeFormat, "is sorted, each once")
	c.Must(len(a.Confirms) <= maxConfirms, "/confirms", invalid.CodeTooMany, "is at most 30 states")
	for i, state := range a.Confirms {
		c.Country(invalid.At("/confirms", i), state, invalid.Required)
		c.Must(claims.IsState(state) && claims.State(state) == state, invalid.At("/confirms", i), invalid.CodeNotInList, "is the code of a state")
	}
}

func checkPerson(c *invalid.Checker, at string, p Person) {
	c.ID(at+"/id", p.ID, invalid.Required)
	c.ShortLine(at+"/handle", p.Handle, 40, invalid.Required)
	if p.Agency != "" {
		c.ID(at+"/agency", p.Agency, invalid.Required)
	}
	c.Must(len(p.Roles) > 0 && slices.IsSorted(p.Roles) && len(slices.Compact(slices.Clone(p.Roles))) == len(p.Roles),
		at+"/roles", invalid.CodeFormat, "is sorted, each once")
}

func checkRoles(c *invalid.Checker, of Agency, roles []Role) {
	for i, r := range roles {
		c.Must(slices.Contains(of.roles(), r), invalid.At("/roles", i), invalid.CodeNotInList, "is one that this class of agency has")
	}
}

func checkLink(c *invalid.Checker, l Link) {
	c.Must(len(l.Hash) == sha256.Size, "/link/hash", invalid.CodeFormat, "is a SHA-256")
	c.Must(l.Until > 0, "/link/until", invalid.CodeRange, "is a time")
}

func checkCredential(c *invalid.Checker, k Credential) {
	c.Must(len(k.ID) > 0 && len(k.ID) <= 1023, "/credential/id", invalid.CodeFormat, "is the id of a passkey") // Web Authentication Level 3 §4
	c.Must(len(k.PublicKey) > 0 && len(k.PublicKey) <= 1024, "/credential/public_key", invalid.CodeFormat, "is a public key")
	c.Must(len(k.AAGUID) == 16, "/credential/aaguid", invalid.CodeFormat, "is 16 bytes")
}
