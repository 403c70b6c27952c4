package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// comer is somebody who comes to the door of every operation.
type comer struct {
	who     string
	actor   audit.Actor // as the table sees them; of nobody whom the door does not know
	token   string      // a program's or a device's
	browser *browser    // or that of somebody who is signed in
}

func (c comer) call(w *world, method, path string) answer {
	if c.browser != nil {
		return c.browser.call(method, path, nil)
	}
	return w.call(c.token, method, path, nil)
}

// comers are everybody whom the table knows, as a program and as somebody who is
// signed in, people of several roles, and those whom nobody lets in any more.
func comers(w *world) []comer {
	w.t.Helper()
	w.admit("Lotus", "NGO", "KHM", "caseworker")
	w.admit("Gate", "ImmigrationService", "THA", "officer")
	w.admit("Embassy", "x_DiplomaticMission", "ETH", "mission")
	w.admit("Gone", "NGO", "THA", "supervisor")
	lotus, gone := w.agency["Lotus"], w.agency["Gone"]
	var all []comer
	join := func(agency string, roles ...people.Role) (string, *browser) {
		w.t.Helper()
		link, secret := w.house.NewLink()
		p := people.NewPerson(agency, "desk-1", roles...)
		w.house.Do(roster.DoAddPerson, agency, &roster.AddPerson{Person: p, Link: link}, w.house.First)
		w.house.Join(p.ID, secret)
		b := &browser{world: w, key: w.house.Keys[p.ID]}
		w.into(b.signIn(), 201, nil)
		return p.ID, b
	}
	person := func(agency string, roles ...people.Role) {
		w.t.Helper()
		id, b := join(agency, roles...)
		all = append(all, comer{"a person, " + w.house.Actor(id).Role, w.house.Actor(id), "", b})
	}
	for agency, roles := range map[string][]people.Role{
		"":      {people.Operator, people.Auditor},
		"Lotus": {people.Admin, people.Caseworker, people.Supervisor}, "Gate": {people.Officer}, "Embassy": {people.Mission},
	} {
		id := w.agency[agency]
		for _, role := range roles {
			person(id, role)
			all = append(all, comer{"a program, " + string(role), audit.Actor{ID: "1", Agency: id, Role: string(role)}, w.house.Token(id, role), nil})
		}
	}
	person(lotus, people.Admin, people.Caseworker)
	person(lotus, people.Caseworker, people.Supervisor)
	person(w.agency["Gate"], people.Admin, people.Officer)
	person(w.agency["Embassy"], people.Admin, people.Mission)
	person("", people.Operator, people.Auditor)
	device := audit.Actor{ID: "1", Agency: lotus, Role: string(people.DeviceRole)}
	pending := audit.Actor{ID: "1", Agency: lotus, Role: string(people.Pending)}
	all = append(all, comer{"a device", device, w.device("Lotus"), nil}, comer{"a device that waits", pending, w.pending("Lotus").Token, nil})

	// Nobody lets these in: what they had counted once.
	removed, leaver := join(lotus, people.Supervisor)
	former, late := w.house.Program(lotus, people.Supervisor, w.house.First)
	_, insider := join(gone, people.Supervisor)
	all = append(all,
		comer{who: "nobody"},
		comer{who: "somebody who was removed", browser: leaver},
		comer{who: "a program that was removed", token: late},
		comer{who: "a person of a suspended agency", browser: insider},
		comer{who: "a program of a suspended agency", token: w.tokens["Gone supervisor"]},
		comer{who: "a device of a suspended agency", token: w.device("Gone")},
		comer{who: "a device that waits, of a suspended agency", token: w.pending("Gone").Token},
		comer{who: "a session that nobody began", browser: &browser{world: w, cookie: strings.Repeat("A", len(leaver.cookie))}},
		comer{who: "a token that nobody has", token: "sc_" + strings.Repeat("A", 43)},
	)
	w.house.Do(roster.DoRemovePerson, lotus, &roster.RemovePerson{ID: removed}, w.house.First)
	w.house.Do(roster.DoRemoveProgram, lotus, &roster.RemoveProgram{ID: former.ID}, w.house.First)
	w.house.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: gone}, w.house.First)
	if err := w.net.Adopt(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return all
}

// TestDoors is hostile case 44: everybody comes to the door of every operation of the
// contract, and it opens as the table says, and to nobody whom the table does not
// have. Requests are empty, so that whoever is let in is refused for the body or the
// record at the latest.
func TestDoors(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Rate, c.StrangerRate = 1e6, 1e6 })
	everybody := comers(w)
	tried := map[string]bool{}
	for _, door := range w.server.Doors() {
		if door.Public {
			continue
		}
		if slices.Contains(door.Actions, people.EpochManage) {
			t.Errorf("%s is about epochs, which docs/operate.md says nobody asks for", door.ID)
		}
		path := filledIn(door.Path)
		for i, c := range everybody {
			want := 0 // let in
			switch may := slices.ContainsFunc(door.Actions, func(do people.Action) bool { return people.May(c.actor, do) == nil }); {
			case c.actor.ID == "", door.Person && c.browser == nil:
				want = http.StatusUnauthorized
			case !may:
				want = http.StatusForbidden
			default:
				tried[door.ID] = true
			}
			got := c.call(w, door.Method, path)
			closed := got.status == http.StatusUnauthorized || got.status == http.StatusForbidden
			if want != 0 && got.status != want || want == 0 && closed || got.status >= 500 {
				t.Errorf("%s by %s: %d %s, want %d", door.ID, c.who, got.status, got.body, want)
			}
			if door.ID == "signOut" && c.actor.ID != "" && c.browser != nil {
				w.into(c.browser.signIn(), 201, nil)
			}
			if door.ID == "leaveSelf" && got.status == http.StatusNoContent {
				everybody[i].token = w.pending("Lotus").Token
			}
		}
		if !tried[door.ID] {
			t.Errorf("%s opens to nobody", door.ID)
		}
	}
	if len(tried) < 50 {
		t.Errorf("tried %d operations: the search is broken", len(tried))
	}
}
