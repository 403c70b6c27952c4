package httpapi_test

import (
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestWhoMadeAChange: whoever is to stop a change knows of which agency each is who made
// it, and the handles of those alone whom she may list.
func TestWhoMadeAChange(t *testing.T) {
	reader, house := strings.Repeat("0a", 16), strings.Repeat("0b", 16)
	s := roster.State{People: map[string]roster.Person{
		"asks":  {ID: "asks", Handle: "operator-1"},
		"agree": {ID: "agree", Handle: "operator-2"},
		"desk":  {ID: "desk", Handle: "desk-1", Agency: house},
	}}
	w := roster.Waiting{Act: approval.Act{By: "asks"}, By: []string{"agree", "asks"}}
	for name, c := range map[string]struct {
		by    audit.Actor
		w     roster.Waiting
		shown []string // each as id, agency, handle
		none  bool     // whoever asked has not agreed
	}{
		"an operator":         {by: audit.Actor{ID: reader, Role: string(people.Operator)}, w: w, shown: []string{"asks//operator-1", "agree//operator-2"}},
		"who leads an agency": {by: audit.Actor{ID: reader, Role: string(people.Supervisor), Agency: house}, w: w, shown: []string{"asks//", "agree//"}},
		"with one of hers": {
			by: audit.Actor{ID: reader, Role: string(people.Supervisor), Agency: house}, none: true,
			w: roster.Waiting{Act: approval.Act{By: "asks"}, By: []string{"desk"}}, shown: []string{"asks//", "desk/" + house + "/desk-1"},
		},
		"by the root": {by: audit.Actor{ID: reader, Role: string(people.Operator)}, w: roster.Waiting{}},
	} {
		t.Run(name, func(t *testing.T) {
			made := httpapi.WhoMade(c.by, s, c.w)
			if len(made) != len(c.shown) {
				t.Fatalf("%+v, want %v", made, c.shown)
			}
			for i, one := range made {
				if got := one.ID + "/" + one.Agency + "/" + one.Handle; got != c.shown[i] {
					t.Errorf("%s, want %s", got, c.shown[i])
				}
				if one.Agreed == (c.none && i == 0) {
					t.Errorf("%s: agreed is %v", one.ID, one.Agreed)
				}
			}
		})
	}
}
