package httpapi

import (
	"errors"
	"fmt"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/people"
)

// access says what an operation is, in the words of package people, which
// knows the roles that may do it. One of the actions is enough to get as far as
// the handler; where kinds differ, the handler asks again. Whether an actor may
// touch the one record he names is for the room that keeps it.
//
// An operation without a row does not start: checkAccess.
var access = map[string][]people.Action{
	"openCase":         {people.CaseCreate},
	"listCases":        {people.CaseRead},
	"readCase":         {people.CaseRead},
	"makeCaseFindable": {people.DocumentShare},
	"eraseCase":        {people.Erase},
	"readHistory":      {people.HistoryRead},

	"attest":            {people.IssueScreening, people.IssueIdentity, people.IssueDocument, people.IssueOpinion, people.IssueReliance, people.IssueReply},
	"answer":            {people.IssueOpinion, people.IssueReliance, people.IssueReply},
	"listAttestations":  {people.CaseRead},
	"readAttestation":   {people.AttestationRead},
	"changeAttestation": {people.AttestationStatus},

	"issueCard":  {people.CardIssue},
	"changeCard": {people.CardStatus},

	"addDocument":     {people.DocumentWrite},
	"readDocument":    {people.DocumentRead},
	"updateDocument":  {people.DocumentWrite},
	"addPage":         {people.PageWrite},
	"readPage":        {people.PageRead},
	"shareDocument":   {people.DocumentShare},
	"unshareDocument": {people.DocumentShare},
	"shareCase":       {people.DocumentShare},
	"unshareCase":     {people.DocumentShare},
	"listShared":      {people.DocumentRead, people.RecordOpen},

	"challengeOpening": {people.RecordOpen},
	"openRecord":       {people.RecordOpen},
	"lookUp":           {people.Lookup},
	"verify":           {people.Verification},

	"listAgencies": {people.PackFetch},
	"admitAgency":  {people.AgencyManage},
	"addMember":    {people.MemberManage},
	"publish":      {people.Publication},

	"inviteDevice":  {people.DeviceManage},
	"listDevices":   {people.DeviceManage},
	"approveDevice": {people.DeviceManage},
	"revokeDevice":  {people.DeviceManage},
	"readSelf":      {people.DeviceSelf},
	"readEnvelope":  {people.EnvelopeFetch},
}

// may returns nil if the actor's role may do one of the actions of an
// operation. No row, no.
func (s *Server) may(by audit.Actor, operation string) error {
	for _, do := range access[operation] {
		if people.May(by, do) == nil {
			return nil
		}
	}
	return people.ErrForbidden
}

// checkAccess refuses a contract and a table that do not cover each other.
func checkAccess(ops map[string]*operation) error {
	var errs []error
	known := make(map[string]bool)
	for _, o := range ops {
		known[o.id] = true
		if row := access[o.id]; !o.public && len(row) == 0 {
			errs = append(errs, fmt.Errorf("nobody may use %s: it has no row in access.go", o.id))
		} else if o.public && len(row) > 0 {
			errs = append(errs, fmt.Errorf("%s is public and has a row in access.go", o.id))
		}
	}
	for id := range access {
		if !known[id] {
			errs = append(errs, fmt.Errorf("access.go names %s, which the contract does not", id))
		}
	}
	return errors.Join(errs...)
}
