package people_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/people"
)

// TestMay walks every role and every action: what a role may do stands here a
// second time, so that a slip of the hand in the table fails.
func TestMay(t *testing.T) {
	allowed := map[people.Role]string{
		people.Operator:   "agency.manage member.manage device.manage epoch.manage publication log.read pack.fetch",
		people.Caseworker: "case.create case.read issue:screening issue:identity issue:document issue:opinion issue:reliance attestation.read card.issue card.status document.write document.read document.share page.write page.read record.open verification history.read export pack.fetch",
		people.Supervisor: "case.create case.read issue:screening issue:identity issue:document issue:opinion issue:reliance attestation.read attestation.status card.issue card.status document.write document.read document.share page.write page.read record.open verification history.read export erase pack.fetch member.manage device.manage",
		people.Officer:    "issue:opinion issue:reliance attestation.read record.open lookup verification pack.fetch",
		people.Mission:    "issue:reply issue:opinion attestation.read attestation.status document.read page.read record.open lookup verification pack.fetch",
		people.DeviceRole: "pack.fetch envelope.fetch verification device.self",
		people.Pending:    "device.self",
		"admin":           "",
		"":                "",
	}
	actions := []people.Action{
		people.CaseCreate, people.CaseRead, people.IssueScreening, people.IssueIdentity, people.IssueDocument,
		people.IssueOpinion, people.IssueReliance, people.IssueReply, people.AttestationRead, people.AttestationStatus,
		people.CardIssue, people.CardStatus, people.DocumentWrite, people.DocumentRead, people.DocumentShare,
		people.PageWrite, people.PageRead, people.RecordOpen, people.Lookup, people.Verification, people.HistoryRead,
		people.Export, people.Erase, people.PackFetch, people.EnvelopeFetch, people.DeviceSelf, people.Publication, people.AgencyManage,
		people.MemberManage, people.DeviceManage, people.EpochManage, people.LogRead, "attestation.issue:other", "",
	}
	for role, words := range allowed {
		agency := "5eed"
		if role == people.Operator {
			agency = ""
		}
		used := 0
		for _, action := range actions {
			want := slices.Contains(strings.Fields(words), strings.TrimPrefix(string(action), "attestation."))
			if strings.HasPrefix(string(action), "attestation.") && !strings.HasPrefix(string(action), "attestation.issue:") {
				want = slices.Contains(strings.Fields(words), string(action))
			}
			if want {
				used++
			}
			err := people.May(audit.Actor{ID: "1", Agency: agency, Role: string(role)}, action)
			if (err == nil) != want || err != nil && !errors.Is(err, people.ErrForbidden) {
				t.Errorf("%s may %s: %v, want %v", role, action, err, want)
			}
		}
		if want := len(strings.Fields(words)); used != want {
			t.Errorf("%s: %d of %d permissions were looked at", role, used, want)
		}
	}
	for name, by := range map[string]audit.Actor{
		"nobody":                        {},
		"without an id":                 {Agency: "5eed", Role: "caseworker"},
		"a caseworker of no agency":     {ID: "1", Role: "caseworker"},
		"an operator inside an agency":  {ID: "1", Agency: "5eed", Role: "operator"},
		"a role in other case":          {ID: "1", Agency: "5eed", Role: "Caseworker"},
		"a role with a space around it": {ID: "1", Agency: "5eed", Role: "caseworker "},
	} {
		wantErr(t, name, people.May(by, people.PackFetch), people.ErrForbidden)
	}
}
