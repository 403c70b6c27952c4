package httpapi_test

import (
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/people"
)

// ownState is a document that the embassy of its holder's state may be shared.
type ownState struct {
	*world
	keeper, embassy string // a token, an agency
	officer         *browser
	at, document    string
}

func newOwnState(t *testing.T) *ownState {
	w := newWorld(t, func(cfg *httpapi.Config) { cfg.Rate, cfg.StrangerRate = 1e6, 1e6 })
	o := &ownState{world: w, keeper: w.admit("Lotus", "NGO", "KHM", "supervisor")}
	w.admit("Embassy", "x_DiplomaticMission", "ETH", "mission")
	w.admit("Lawyers", "LegalService", "KHM", "caseworker")
	o.embassy = w.agency["Embassy"]
	o.officer = w.person(o.embassy, people.Mission)
	o.at, o.document = w.keeps(o.keeper, map[string]any{"kind": "PASSPORT", "issuing_state": "ETH"})
	return o
}

// order is one for an agency.
func (o *ownState) order(agency string, parts ...string) map[string]any {
	g := grantTo(o.agency[agency])
	g["purpose"], g["parts"] = "protection", parts
	return g
}

// opens has the embassy's officer open the document by number and code, and read it.
func (o *ownState) opens() (opened, read int) {
	held := o.held(idIn(o.at))
	a := o.officer.call("POST", "/api/v1/openings/by-code", map[string]any{
		"record": strings.TrimPrefix(o.document, "/api/v1/documents/"), "purpose": "protection", "parts": []string{"identity", "document"}, "number": held.number, "code": held.code,
	})
	return a.status, o.reads()
}

func (o *ownState) reads() int { return o.officer.call("GET", o.document, nil).status }

// agreed has two people of the keeper agree to a request, and returns the last answer.
func (o *ownState) agreed(waits answer) answer {
	var out asked
	o.into(waits, 202, &out)
	lotus := o.agency["Lotus"]
	o.person(lotus, people.Caseworker).agree(out.Request)
	return o.person(lotus, people.Supervisor).agree(out.Request)
}

var saidNo = map[string]any{"language": "am", "circumstance": "free", "method": "signature", "mission": false, "safe_if_state_knows": "no"}

// TestOlderWordGivesNothing: an order for an authority of her state waits for others, she
// says something newer, and they agree after that. So it is with two that wait.
func TestOlderWordGivesNothing(t *testing.T) {
	for how, says := range map[string]func(o *ownState) answer{
		"takes the grant back": func(o *ownState) answer {
			return o.call(o.keeper, "DELETE", o.document+"/grants/"+o.embassy, nil)
		},
		"takes everything back": func(o *ownState) answer { return o.call(o.keeper, "POST", o.at+"/consents/none", nil) },
		"says no at the desk":   func(o *ownState) answer { return o.call(o.keeper, "POST", o.at+"/consents", saidNo) },
		"agrees to less": func(o *ownState) answer {
			return o.agreed(o.consents(o.with(o.keeper), o.document, o.order("Embassy", "portrait")))
		},
	} {
		t.Run(how, func(t *testing.T) {
			o := newOwnState(t)
			o.into(o.shares(o.keeper, o.document, o.order("Embassy", "identity", "document")), 201, nil)
			waits := o.consents(o.with(o.keeper), o.document, o.order("Embassy", "identity", "document", "pages"))
			if a := says(o); a.status >= 300 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if a := o.agreed(waits); a.status < 400 {
				t.Errorf("they agree: %d %s", a.status, a.body)
			}
			if opened, read := o.opens(); opened < 400 || read < 400 {
				t.Errorf("the embassy opens: %d, and reads: %d", opened, read)
			}
		})
	}
}

// TestNoStays: a no that was said at a desk, or about her state with her code for somebody
// else, ends what her state reads, and nobody lifts it without her code on another day.
func TestNoStays(t *testing.T) {
	t.Run("recorded", func(t *testing.T) {
		o := newOwnState(t)
		o.into(o.shares(o.keeper, o.document, o.order("Embassy", "identity", "document")), 201, nil)
		if opened, read := o.opens(); opened != 201 || read != 200 {
			t.Fatalf("shared: %d, %d", opened, read)
		}
		var no struct{ ID string }
		o.into(o.call(o.keeper, "POST", o.at+"/consents", saidNo), 201, &no)
		if read := o.reads(); read != 404 {
			t.Errorf("after her no: %d", read)
		}
		if a := o.call(o.keeper, "DELETE", o.at+"/consents/"+no.ID, nil); a.status != 404 {
			t.Errorf("the no is taken back: %d %s", a.status, a.body)
		}
		o.into(o.call(o.keeper, "POST", o.at+"/consents", recordedBody), 201, nil)
		o.into(o.call(o.keeper, "POST", o.at+"/attestations", screeningBody(t)), 201, nil)
		if read := o.reads(); read != 404 {
			t.Errorf("after a yes that a worker recorded, and one in a screening: %d", read)
		}
		// What is not told to read is not written to either, nor listed.
		if a := o.officer.call("GET", "/api/v1/shared", nil); strings.Contains(string(a.body), idIn(o.at)) || strings.Contains(string(a.body), o.embassy) {
			t.Errorf("still listed: %s", a.body)
		}
	})
	t.Run("for somebody else", func(t *testing.T) {
		o := newOwnState(t)
		o.into(o.shares(o.keeper, o.document, o.order("Embassy", "identity", "document")), 201, nil)
		other := o.order("Lawyers", "identity")
		other["mission"], other["safe_if_state_knows"] = false, "unsure"
		o.into(o.shares(o.keeper, o.document, other), 201, nil)
		if opened, read := o.opens(); opened < 400 || read < 400 {
			t.Errorf("the embassy opens: %d, and reads: %d", opened, read)
		}
	})
}
