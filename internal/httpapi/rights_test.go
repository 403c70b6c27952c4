package httpapi

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
)

var update = flag.Bool("update", false, "rewrite docs/rights.md")

const rightsFile = "../../docs/rights.md"

// TestRightsDocument keeps docs/rights.md at what the code does: the table of
// package people, and the contract's operations.
func TestRightsDocument(t *testing.T) {
	got := rightsDocument(t)
	if *update {
		if err := os.WriteFile(rightsFile, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(rightsFile)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Error("docs/rights.md is not what the code does: run make golden, and read the difference")
	}
}

func rightsDocument(t *testing.T) string {
	ops, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(`# Who may do what

Made from the code by ` + "`make golden`" + `: the table in ` + "`people/rights.go`" + `, and what the
[contract](api/openapi.yaml) says of each operation. What does not stand here is
refused.

Somebody belongs to one agency, and has one role or several. Operators run the
network, auditors read its log: both belong to no agency and read no record. A
program has one role, and never agrees to anything. A holder is nobody's member:
her card and her code speak for her.

What somebody may do hangs on how the agency stands to the case, too:

- **own**: the agency keeps the case, and it was not given to this person; for what
  was signed, it is the agency that signed it; for people and devices, it is their
  agency.
- **assigned**: the agency keeps the case, and the case was given to this person:
  who begins a case works on it, and whoever works on it or supervises gives it to
  others. Its holder gives it for twelve hours, with her card and her code.
- **shared**: another agency keeps the case, and has shared the record with this
  one, with the holder's consent.
- **opened**: it is shared, and open to this person, here and for a quarter of an hour,
  because its holder gave her code for it ([card.md](card.md), Opening a record online).
- **none**: nothing of these. So it is, too, where an act is about no case.

What somebody sees of a record that he may read stands in [readers.md](readers.md).

*Any* stands for all five. A record that is there and not open to somebody gets
the same answer as one that does not exist, but for one that is shared and not
opened yet: then the answer says that the holder has to open it.

## Roles and actions

`)
	actions := table(&b, "action", "about")
	for _, r := range people.Rights() {
		actions.row(string(r.Action), string(r.About), func(role people.Role) string { return relations(role, r.Action) })
	}
	b.WriteString("\n## Agencies and roles\n\n| class of agency | its people |\n|---|---|\n")
	for _, class := range network.Classes {
		var names []string
		for _, role := range people.RolesOf(string(class)) {
			names = append(names, string(role))
		}
		fmt.Fprintf(&b, "| %s | %s |\n", class, orDash(strings.Join(names, ", ")))
	}
	b.WriteString(`
Nobody of a suspended agency is let in, and none of its devices.

## Operations

Who gets past the door of each, and with which action. Whether the one record
that is named stands in the right relation is decided where it is kept.

`)
	doors := table(&b, "operation", "action")
	var keys []string
	for key, o := range ops {
		if !o.public {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(strings.Compare(ops[a].spec.Path, ops[b].spec.Path), strings.Compare(a, b))
	})
	for _, key := range keys {
		o := ops[key]
		doors.row(fmt.Sprintf("`%s %s`<br>%s", o.method, o.spec.Path, o.spec.Operation.Summary), names(o.actions), func(role people.Role) string {
			if slices.ContainsFunc(o.actions, func(do people.Action) bool { return people.May(somebody(role), do) == nil }) {
				return "yes"
			}
			return "–"
		})
	}
	b.WriteString(`
Operations without a token, and the public files, are open to everybody and stand
in the contract with ` + "`security: []`" + `.

Whoever can run commands in the service's folder acts as an operator, whom the log
calls *console*.
`)
	return b.String()
}

// rightsTable writes rows with a column for each role.
type rightsTable struct {
	b    *strings.Builder
	seen map[string]bool
}

func table(b *strings.Builder, first, second string) rightsTable {
	b.WriteString("| " + first + " | " + second)
	for _, role := range people.Roles {
		b.WriteString(" | " + string(role))
	}
	b.WriteString(" |\n" + strings.Repeat("|---", len(people.Roles)+2) + "|\n")
	return rightsTable{b, map[string]bool{}}
}

func (t rightsTable) row(first, second string, cell func(people.Role) string) {
	if t.seen[first] {
		return
	}
	t.seen[first] = true
	t.b.WriteString("| " + first + " | " + second)
	for _, role := range people.Roles {
		t.b.WriteString(" | " + cell(role))
	}
	t.b.WriteString(" |\n")
}

// relations names those in which a role may do something.
func relations(role people.Role, do people.Action) string {
	var in []string
	for _, r := range people.Relations {
		if people.MayIn(somebody(role), do, r) == nil {
			in = append(in, string(r))
		}
	}
	if len(in) == len(people.Relations) {
		return "any"
	}
	return orDash(strings.Join(in, ", "))
}

// names writes a family of actions by what they share.
func names(actions []people.Action) string {
	if slices.Equal(actions, people.Named("attestation.issue")) {
		return "attestation.issue, of the kind"
	}
	var all []string
	for _, a := range actions {
		all = append(all, string(a))
	}
	return strings.Join(all, ", ")
}

// somebody has a role, where its people are.
func somebody(role people.Role) audit.Actor {
	if role == people.Operator || role == people.Auditor {
		return audit.Actor{ID: "1", Role: string(role)}
	}
	return audit.Actor{ID: "1", Agency: "5eed", Role: string(role)}
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
