package people_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestMay walks every role and every action: what a role may do stands here a
// second time, so that a slip of the hand in the table fails.
func TestMay(t *testing.T) {
	allowed := map[people.Role]string{
		people.Auditor:    "log.read pack.fetch",
		people.Admin:      "founding.close member.manage device.manage pack.fetch",
		people.Operator:   "founding.close agency.manage member.manage device.manage epoch.manage publication log.read pack.fetch",
		people.Caseworker: "case.create case.read case.assign case.attend case.join issue:screening issue:identity issue:document issue:opinion issue:reliance attestation.read attestation.contest card.issue card.status document.write document.read document.share page.write page.read record.open verification history.read export pack.fetch",
		people.Supervisor: "case.create case.read case.assign case.attend case.join issue:screening issue:identity issue:document issue:opinion issue:reliance attestation.read attestation.status attestation.contest card.issue card.status document.write document.read document.share page.write page.read record.open verification history.read export erase pack.fetch member.manage device.manage founding.close",
		people.Officer:    "issue:opinion issue:reliance attestation.read document.read page.read record.open lookup verification pack.fetch",
		people.Mission:    "issue:reply issue:opinion attestation.read attestation.status document.read page.read record.open lookup verification pack.fetch",
		people.DeviceRole: "pack.fetch envelope.fetch verification device.self",
		people.Pending:    "device.self device.leave",
		"clerk":           "",
		"":                "",
	}
	actions := []people.Action{
		people.CaseCreate, people.CaseRead, people.CaseAssign, people.CaseAttend, people.CaseJoin, people.Issue("screening"), people.Issue("identity"), people.Issue("document"),
		people.Issue("opinion"), people.Issue("reliance"), people.Issue("reply"), people.AttestationRead, people.AttestationStatus, people.Contest,
		people.CardIssue, people.CardStatus, people.DocumentWrite, people.DocumentRead, people.DocumentShare,
		people.PageWrite, people.PageRead, people.RecordOpen, people.Lookup, people.Verification, people.HistoryRead,
		people.Export, people.Erase, people.PackFetch, people.EnvelopeFetch, people.DeviceSelf, people.DeviceLeave, people.FoundingClose, people.Publication, people.AgencyManage,
		people.MemberManage, people.DeviceManage, people.EpochManage, people.LogRead, "attestation.issue:other", "",
	}
	for role, words := range allowed {
		agency := "5eed"
		if role == people.Operator || role == people.Auditor {
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
		"nobody":                         {},
		"without an id":                  {Agency: "5eed", Role: "caseworker"},
		"a caseworker of no agency":      {ID: "1", Role: "caseworker"},
		"an auditor inside an agency":    {ID: "1", Agency: "5eed", Role: "auditor"},
		"two roles, one of them outside": {ID: "1", Role: "operatorcaseworker"},
		"an operator inside an agency":   {ID: "1", Agency: "5eed", Role: "operator"},
		"a role in other case":           {ID: "1", Agency: "5eed", Role: "Caseworker"},
		"a role with a space around it":  {ID: "1", Agency: "5eed", Role: "caseworker "},
	} {
		wantErr(t, name, people.May(by, people.PackFetch), people.ErrForbidden)
	}
}

// TestSeveralRoles: who has two roles may do what either may, and nothing else.
func TestSeveralRoles(t *testing.T) {
	both := audit.Actor{ID: "1", Agency: "5eed", Role: "admin+caseworker"}
	for action, want := range map[people.Action]bool{people.MemberManage: true, people.CaseCreate: true, people.Erase: false, people.AgencyManage: false} {
		if got := people.May(both, action) == nil; got != want {
			t.Errorf("%s: %v, want %v", action, got, want)
		}
	}
}

var update = flag.Bool("update", false, "rewrite testdata/rights.golden")

const goldenFile = "testdata/rights.golden"

// TestRightsAreTheGoldenOnes compares every role, action and relation with a file
// that a person has read: a right that was added fails as one that was lost does.
func TestRightsAreTheGoldenOnes(t *testing.T) {
	got := matrix() + "\n" + classes()
	if *update {
		if err := os.WriteFile(goldenFile, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(lines) || line != lines[i] {
			t.Fatalf("line %d is now %q; if somebody wants that, run make golden and read the difference", i+1, line)
		}
	}
	if got != string(want) {
		t.Error("lines have gone from the table; if somebody wants that, run make golden and read the difference")
	}
}

// as is somebody of a role, where its people are.
func as(role people.Role) audit.Actor {
	if role == people.Operator {
		return audit.Actor{ID: "1", Role: string(role)}
	}
	return audit.Actor{ID: "1", Agency: "5eed", Role: string(role)}
}

// matrix writes down every role, action and relation, by asking for each.
func matrix() string {
	var b strings.Builder
	b.WriteString("o own, a assigned, s shared, p opened, n none: the role may do this in that relation.\n\n")
	fmt.Fprintf(&b, "%-30s%-11s", "action", "about")
	for _, role := range people.Roles {
		fmt.Fprintf(&b, "%-11s", role)
	}
	b.WriteString("\n")
	seen := map[people.Action]bool{}
	for _, r := range people.Rights() {
		if seen[r.Action] {
			continue
		}
		seen[r.Action] = true
		fmt.Fprintf(&b, "%-30s%-11s", r.Action, r.About)
		for _, role := range people.Roles {
			cell := ""
			for i, in := range people.Relations {
				if people.MayIn(as(role), r.Action, in) == nil {
					cell += "oaspn"[i : i+1]
				} else {
					cell += "-"
				}
			}
			fmt.Fprintf(&b, "%-11s", cell)
		}
		b.WriteString("\n")
	}
	return trimmed(b.String())
}

// classes writes down which roles the people of an agency may have.
func classes() string {
	var b strings.Builder
	b.WriteString("class of agency               its people\n")
	for _, class := range append(slices.Clone(network.Classes), "", "Bank") {
		fmt.Fprintf(&b, "%-30s", class)
		for _, role := range people.RolesOf(string(class)) {
			b.WriteString(string(role) + " ")
		}
		b.WriteString("\n")
	}
	return trimmed(b.String())
}

// trimmed leaves no blank at the end of a line.
func trimmed(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// TestTableIsWhole: no line says nothing, names a word twice, or speaks of what
// nobody has heard of, and lines about one action agree on what it is about.
func TestTableIsWhole(t *testing.T) {
	about := map[people.Action]people.Subject{}
	for _, r := range people.Rights() {
		if r.Action == "" || len(r.In) == 0 || len(r.Roles) == 0 {
			t.Errorf("%s: a line is empty", r.Action)
		}
		for _, in := range r.In {
			if !slices.Contains(people.Relations, in) {
				t.Errorf("%s: unknown relation %q", r.Action, in)
			}
		}
		for _, role := range r.Roles {
			if !slices.Contains(people.Roles, role) {
				t.Errorf("%s: unknown role %q", r.Action, role)
			}
		}
		if before, ok := about[r.Action]; ok && before != r.About {
			t.Errorf("%s is about %s and about %s", r.Action, before, r.About)
		}
		about[r.Action] = r.About
	}
	for _, in := range []people.Relation{"", "Own", "owner"} {
		wantErr(t, "relation "+string(in), people.MayIn(as(people.Supervisor), people.CaseRead, in), people.ErrForbidden)
	}
}

// TestEveryKindHasItsLine: whoever adds a kind of attestation says who may issue
// it.
func TestEveryKindHasItsLine(t *testing.T) {
	var want []people.Action
	for _, terms := range claims.Kinds() {
		want = append(want, people.Issue(string(terms.Kind)))
	}
	got := people.Named("attestation.issue")
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("the table has lines for %q, want %q", got, want)
	}
	for name, n := range map[string]int{"erase": 1, "attestation.issue:screening": 1, "attestation": 0, "attestation.issue:": 0, "": 0} {
		if got := people.Named(name); len(got) != n {
			t.Errorf("%q names %q, want %d", name, got, n)
		}
	}
}

// TestIssuersAreThoseOfTheTable: who signs a kind stands in the roster a second time, for
// a signer that has no table.
func TestIssuersAreThoseOfTheTable(t *testing.T) {
	kinds := map[string][]people.Role{}
	for _, r := range people.Rights() {
		if kind, ok := strings.CutPrefix(string(r.Action), string(people.Issue(""))); ok {
			kinds[kind] = append(kinds[kind], r.Roles...)
		}
	}
	for kind, roles := range kinds {
		if got := roster.IssuersOf(kind); !slices.Equal(got, roles) {
			t.Errorf("%s: the roster has %v, the table %v", kind, got, roles)
		}
	}
	if len(kinds) != len(claims.Kinds()) {
		t.Errorf("the table has %d kinds, want %d", len(kinds), len(claims.Kinds()))
	}
	if got := roster.IssuersOf("other"); got != nil {
		t.Errorf("a kind that there is not: %v", got)
	}
}
