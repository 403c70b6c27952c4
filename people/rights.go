package people

import (
	"slices"

	"github.com/safeconduct/safeconduct/audit"
)

// Action is something that may need a permission. What an actor may do to a
// particular case or attestation is decided where those are kept; here it is
// only what the role may do at all.
type Action string

// The actions. Issuing has one for each kind of attestation.
const (
	CaseCreate        Action = "case.create"
	CaseRead          Action = "case.read"
	IssueScreening    Action = "attestation.issue:screening"
	IssueIdentity     Action = "attestation.issue:identity"
	IssueDocument     Action = "attestation.issue:document"
	IssueOpinion      Action = "attestation.issue:opinion"
	IssueReliance     Action = "attestation.issue:reliance"
	IssueReply        Action = "attestation.issue:reply"
	AttestationRead   Action = "attestation.read"
	AttestationStatus Action = "attestation.status" // withdraw, pause, resume
	CardIssue         Action = "card.issue"
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
	Publication       Action = "publication" // make lists and packs now
	AgencyManage      Action = "agency.manage"
	MemberManage      Action = "member.manage"
	DeviceManage      Action = "device.manage"
	EpochManage       Action = "epoch.manage"
	LogRead           Action = "log.read"
)

// permitted is the whole of who may do what. What does not stand here is
// refused. The operator runs the network and reads no record.
var permitted = map[Role][]Action{
	Operator: {
		AgencyManage, MemberManage, DeviceManage, EpochManage, Publication, LogRead, PackFetch,
	},
	Caseworker: {
		CaseCreate, CaseRead, IssueScreening, IssueIdentity, IssueDocument, IssueOpinion, IssueReliance,
		AttestationRead, CardIssue, CardStatus, DocumentWrite, DocumentRead, DocumentShare, PageWrite, PageRead,
		RecordOpen, Verification, HistoryRead, Export, PackFetch,
	},
	Supervisor: {
		CaseCreate, CaseRead, IssueScreening, IssueIdentity, IssueDocument, IssueOpinion, IssueReliance,
		AttestationRead, AttestationStatus, CardIssue, CardStatus, DocumentWrite, DocumentRead, DocumentShare, PageWrite, PageRead,
		RecordOpen, Verification, HistoryRead, Export, Erase, PackFetch,
		MemberManage, DeviceManage,
	},
	Officer: {
		IssueOpinion, IssueReliance, AttestationRead, RecordOpen, Lookup, Verification, PackFetch,
	},
	Mission: {
		IssueReply, IssueOpinion, AttestationRead, AttestationStatus, DocumentRead, PageRead,
		RecordOpen, Lookup, Verification, PackFetch,
	},
	DeviceRole: {
		PackFetch, EnvelopeFetch, Verification, DeviceSelf,
	},
	Pending: {
		DeviceSelf,
	},
}

// May returns nil if the actor's role may do this at all, and ErrForbidden
// otherwise, also for a role or an action that nobody has heard of.
func May(by audit.Actor, do Action) error {
	if by.ID == "" || !slices.Contains(permitted[Role(by.Role)], do) {
		return ErrForbidden
	}
	// An operator stands outside all agencies, everybody else inside one.
	if (Role(by.Role) == Operator) != (by.Agency == "") {
		return ErrForbidden
	}
	return nil
}

// MayFor is May for an act on an agency's people or things: operators may act
// on all, others on their own agency only. "" is the network itself.
func MayFor(by audit.Actor, do Action, agency string) error {
	if err := May(by, do); err != nil {
		return err
	}
	if Role(by.Role) != Operator && by.Agency != agency {
		return ErrForbidden
	}
	return nil
}
