package people

import (
	"slices"
	"strings"

	"github.com/safeconduct/safeconduct/audit"
)

// Action is something that may need a right.
type Action string

// The actions. Issue makes one for each kind of attestation.
const (
	CaseCreate        Action = "case.create"
	CaseRead          Action = "case.read"
	CaseAssign        Action = "case.assign" // to whom a case is given, and from whom it is taken
	CaseAttend        Action = "case.attend" // with the holder's card and code, for some hours
	CaseJoin          Action = "case.join"   // two that are about one person
	AttestationRead   Action = "attestation.read"
	AttestationStatus Action = "attestation.status"  // withdraw, pause, resume
	Contest           Action = "attestation.contest" // of another agency's answer, and take that back
	CardIssue         Action = "card.issue"
	CardAgain         Action = "card.issue:again" // in another name, and the third in a month
	CardStatus        Action = "card.status"
	DocumentWrite     Action = "document.write"
	DocumentRead      Action = "document.read"
	DocumentShare     Action = "document.share"
	PageWrite         Action = "page.write"
	PageRead          Action = "page.read"
	RecordOpen        Action = "record.open"
	Lookup            Action = "lookup"
	Verification      Action = "verification"
	HistoryRead       Action = "history.read"
	Export            Action = "export"
	Erase             Action = "erase"
	PackFetch         Action = "pack.fetch"
	EnvelopeFetch     Action = "envelope.fetch"
	DeviceSelf        Action = "device.self"
	DeviceLeave       Action = "device.leave" // before anybody has let it in
	PersonSelf        Action = "person.self"  // one's own session, passkeys, and what waits for one
	Publication       Action = "publication"  // make lists and packs now
	AgencyManage      Action = "agency.manage"
	MemberManage      Action = "member.manage"
	DeviceManage      Action = "device.manage"
	EpochManage       Action = "epoch.manage"
	FoundingClose     Action = "founding.close"
	LogRead           Action = "log.read"
)

// Issue is the action of issuing attestations of a kind.
func Issue(kind string) Action { return Action("attestation.issue:" + kind) }

// Relation says how an actor's agency stands to what he acts on.
type Relation string

// The relations. What an act is about, and so what the relation is to, stands in
// each line of the table: Subject.
const (
	// Own: his agency keeps the case, which is a colleague's or nobody's, or has signed
	// the attestation or card, or is the agency itself.
	Own Relation = "own"
	// Assigned: his agency keeps the case, and it was given to him: by who began it, by
	// a colleague who works on it, by a supervisor, or for some hours by its holder.
	Assigned Relation = "assigned"
	// Shared: another agency keeps the case and has shared the record with his,
	// with the holder's consent.
	Shared Relation = "shared"
	// Opened: it is shared, and open to him now.
	Opened Relation = "opened"
	// None: nothing of these. So it is, too, where an act is about no case.
	None Relation = "none"
)

// Relations lists every relation.
var Relations = []Relation{Own, Assigned, Shared, Opened, None}

// Subject is what an act is about.
type Subject string

// The subjects.
const (
	AboutNothing Subject = "nothing"   // no case: the network, a paper at hand
	AboutCase    Subject = "case"      // a case and what is kept of it
	AboutSigned  Subject = "signature" // an attestation or a card, by who signed it
	AboutAgency  Subject = "agency"    // an agency's people and devices
)

// Right is one line of the table: these roles may do this, to what stands to them
// in one of these relations.
type Right struct {
	Action Action
	About  Subject
	In     []Relation
	Roles  []Role
}

// The relations of the table's lines.
var (
	anywhere = Relations
	ours     = []Relation{Own}
	kept     = []Relation{Own, Assigned}
	assigned = []Relation{Assigned}
	given    = []Relation{Shared, Opened}
	toAnswer = []Relation{Assigned, Shared, Opened}
	answered = []Relation{Own, Assigned, Shared, Opened}
	opened   = []Relation{Opened}
)

// rights is the whole of who may do what. What does not stand here is refused.
// The operator runs the network and reads no record. A kind of attestation has
// one line, or one for each relation.
//
// The relation is decided where the thing is kept, because nobody else knows it:
// by credentials and vault for cases, by network and Roster for agencies.
// TestRelations, in internal/httpapi, holds the running service to these lines.
var rights = slices.Concat(
	[]Right{{CaseCreate, AboutNothing, anywhere, []Role{Caseworker, Supervisor}}},
	ofCases(AboutCase, CaseRead, CaseAssign, CaseJoin, HistoryRead, Export),
	[]Right{
		{CaseAttend, AboutCase, kept, []Role{Caseworker, Supervisor}},
		{Erase, AboutCase, kept, []Role{Supervisor}},
	},
	ofCases(AboutCase, Issue("screening"), Issue("appointment"), Issue("identity"), Issue("document")),
	[]Right{
		// These answer an attestation of a case that is shared, whoever keeps it.
		{Issue("opinion"), AboutCase, toAnswer, []Role{Caseworker}},
		{Issue("opinion"), AboutCase, answered, []Role{Supervisor, Officer, Mission}},
		{Issue("reliance"), AboutCase, toAnswer, []Role{Caseworker}},
		{Issue("reliance"), AboutCase, answered, []Role{Supervisor, Officer}},
		{Issue("reply"), AboutCase, answered, []Role{Mission}},
	},
	ofCases(AboutCase, AttestationRead),
	[]Right{
		{AttestationRead, AboutCase, opened, []Role{Caseworker, Supervisor, Officer, Mission}},
		{AttestationStatus, AboutSigned, kept, []Role{Supervisor, Mission}},
	},
	ofCases(AboutCase, Contest, CardIssue),
	[]Right{{CardAgain, AboutCase, kept, []Role{Supervisor}}},
	ofCases(AboutSigned, CardStatus),
	ofCases(AboutCase, DocumentWrite, DocumentRead, DocumentShare, PageWrite, PageRead),
	[]Right{
		{DocumentRead, AboutCase, opened, []Role{Caseworker, Supervisor, Officer, Mission}},
		{PageRead, AboutCase, opened, []Role{Caseworker, Supervisor, Officer, Mission}},
		{RecordOpen, AboutCase, given, []Role{Caseworker, Supervisor, Officer, Mission}},
	},
	[]Right{
		{Lookup, AboutNothing, anywhere, []Role{Officer, Mission}},
		{Verification, AboutNothing, anywhere, []Role{Caseworker, Supervisor, Officer, Mission, DeviceRole}},
		{PackFetch, AboutNothing, anywhere, []Role{Operator, Auditor, Admin, Caseworker, Supervisor, Officer, Mission, DeviceRole}},
		{Publication, AboutNothing, anywhere, []Role{Operator}},
		{EpochManage, AboutNothing, anywhere, []Role{Operator}},
		{FoundingClose, AboutNothing, anywhere, []Role{Operator, Admin, Supervisor}}, // whose agreement counts
		{LogRead, AboutNothing, anywhere, []Role{Operator, Auditor}},

		{AgencyManage, AboutAgency, anywhere, []Role{Operator}},
		{MemberManage, AboutAgency, anywhere, []Role{Operator}},
		{MemberManage, AboutAgency, ours, []Role{Admin, Supervisor}},
		{DeviceManage, AboutAgency, anywhere, []Role{Operator}},
		{DeviceManage, AboutAgency, ours, []Role{Admin, Supervisor}},
		{EnvelopeFetch, AboutAgency, ours, []Role{DeviceRole}},
		{PersonSelf, AboutNothing, anywhere, []Role{Operator, Auditor, Admin, Caseworker, Supervisor, Officer, Mission}},
		{DeviceSelf, AboutAgency, ours, []Role{DeviceRole, Pending}},
		{DeviceLeave, AboutAgency, ours, []Role{Pending}},
	},
)

// ofCases is what is done in a case: by a caseworker where it was given to her, and by a
// supervisor wherever the agency keeps it.
func ofCases(about Subject, actions ...Action) (lines []Right) {
	for _, do := range actions {
		lines = append(lines, Right{do, about, assigned, []Role{Caseworker}}, Right{do, about, kept, []Role{Supervisor}})
	}
	return lines
}

// Rights returns the lines of the table, in its order.
func Rights() []Right { return slices.Clone(rights) }

// Named lists the actions of a name, in the order of the table: the one that is
// called so, or, for the first part of a name, all that begin with it and a
// colon. None for a name that nobody has heard of.
func Named(name string) []Action {
	var found []Action
	for _, r := range rights {
		named := string(r.Action) == name || strings.HasPrefix(string(r.Action), name+":")
		if named && !slices.Contains(found, r.Action) {
			found = append(found, r.Action)
		}
	}
	return found
}

// May returns nil if the actor's role may do this in some relation, and
// ErrForbidden otherwise, also for a role or an action that nobody has heard of.
// It is the question at the door, where nobody knows yet what the act is about.
func May(by audit.Actor, do Action) error {
	for _, in := range Relations {
		if MayIn(by, do, in) == nil {
			return nil
		}
	}
	return ErrForbidden
}

// MayIn is May for what stands to the actor in a relation.
func MayIn(by audit.Actor, do Action, in Relation) error {
	if by.ID == "" {
		return ErrForbidden
	}
	for _, role := range by.Roles() {
		if allows(Role(role), by.Agency, do, in) {
			return nil
		}
	}
	return ErrForbidden
}

// allows is MayIn for one of an actor's roles.
func allows(role Role, agency string, do Action, in Relation) bool {
	// Operators and auditors stand outside all agencies, everybody else inside one.
	if (role == Operator || role == Auditor) != (agency == "") {
		return false
	}
	return slices.ContainsFunc(rights, func(r Right) bool {
		return r.Action == do && slices.Contains(r.Roles, role) && slices.Contains(r.In, in)
	})
}

// MayFor is May for what belongs to an agency, or, for "", to the network
// itself.
func MayFor(by audit.Actor, do Action, agency string) error {
	if agency == by.Agency {
		return MayIn(by, do, Own)
	}
	return MayIn(by, do, None)
}
