package httpapi

import (
	"errors"
	"fmt"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/network"
)

// access says what an operation is, in the words of package network, which
// knows the roles that may do it. One of the actions is enough to get as far as
// the handler; where kinds differ, the handler asks again. Whether an actor may
// touch the one record he names is for the room that keeps it.
//
// An operation without a row does not start: checkAccess.
var access = map[string][]network.Action{
	"openCase":         {network.CaseCreate},
	"listCases":        {network.CaseRead},
	"readCase":         {network.CaseRead},
	"makeCaseFindable": {network.DocumentShare},
	"eraseCase":        {network.Erase},
	"readHistory":      {network.HistoryRead},

	"attest":            {network.IssueScreening, network.IssueIdentity, network.IssueDocument, network.IssueOpinion, network.IssueReliance, network.IssueReply},
	"answer":            {network.IssueOpinion, network.IssueReliance, network.IssueReply},
	"listAttestations":  {network.CaseRead},
	"readAttestation":   {network.AttestationRead},
	"changeAttestation": {network.AttestationStatus},

	"issueCard":  {network.CardIssue},
	"changeCard": {network.CardStatus},

	"addDocument":     {network.DocumentWrite},
	"readDocument":    {network.DocumentRead},
	"updateDocument":  {network.DocumentWrite},
	"addPage":         {network.PageWrite},
	"readPage":        {network.PageRead},
	"shareDocument":   {network.DocumentShare},
	"unshareDocument": {network.DocumentShare},
	"shareCase":       {network.DocumentShare},
	"unshareCase":     {network.DocumentShare},
	"listShared":      {network.DocumentRead, network.RecordOpen},

	"challengeOpening": {network.RecordOpen},
	"openRecord":       {network.RecordOpen},
	"lookUp":           {network.Lookup},
	"verify":           {network.Verification},

	"listAgencies": {network.PackFetch},
	"admitAgency":  {network.AgencyManage},
	"addMember":    {network.MemberManage},
	"publish":      {network.Publication},

	"inviteDevice":  {network.DeviceManage},
	"listDevices":   {network.DeviceManage},
	"approveDevice": {network.DeviceManage},
	"revokeDevice":  {network.DeviceManage},
	"readSelf":      {network.DeviceSelf},
	"readEnvelope":  {network.EnvelopeFetch},
}

// may returns nil if the actor's role may do one of the actions of an
// operation. No row, no.
func (s *Server) may(by audit.Actor, operation string) error {
	for _, do := range access[operation] {
		if s.cfg.Network.May(by, do) == nil {
			return nil
		}
	}
	return network.ErrForbidden
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
