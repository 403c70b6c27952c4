package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// statement is one that PostgreSQL says it executed.
var statement = regexp.MustCompile(`LOG:  (?:execute [^:]*|statement): (.*)`)

// told are operations with an id in their path that another agency's people may know:
// agencies stand in the trust list.
var told = []string{"changeAgency", "describeAgency", "namePartner", "raiseQuota", "compromiseAgency"}

// TestAnotherIsUnknown is hostile cases 45, 46 and 91. An id that is another agency's is
// answered as one that never was, by every operation with an id in its path, to every
// role that gets past its door: the same status, body and headers, by the same
// statements in the database and the same calls of the keystore, one after the other. So
// is an id of one's own agency, where the case was not assigned to who asks.
func TestAnotherIsUnknown(t *testing.T) {
	server := pgtest.New(t, "log_statement=all")
	w := newWorldIn(t, server.Database(t), func(c *httpapi.Config) { c.Rate, c.StrangerRate = 1e6, 1e6 })
	ids, spare := theirs(t, w)
	mine := []comer{}
	for _, r := range []struct {
		agency, class, country string
		roles                  []people.Role
	}{
		{"Lotus", "NGO", "KHM", []people.Role{people.Caseworker, people.Supervisor, people.Admin}},
		{"Gate", "ImmigrationService", "THA", []people.Role{people.Officer}},
		{"Embassy", "x_DiplomaticMission", "ETH", []people.Role{people.Mission}},
	} {
		for _, role := range r.roles {
			token := w.admit(r.agency, r.class, r.country, string(role))
			mine = append(mine, comer{who: "a program, " + string(role), token: token})
			mine = append(mine, comer{who: "a person, " + string(role), browser: w.person(w.agency[r.agency], role)})
		}
	}
	colleague := w.admit("Bridge", "NGO", "THA", string(people.Caseworker))
	mine = append(mine, comer{who: "a colleague's program", token: colleague})
	mine = append(mine, comer{who: "a colleague", browser: w.person(w.agency["Bridge"], people.Caseworker)})
	response := func() json.RawMessage {
		b := mine[1].browser
		var o options
		w.into(b.call("POST", "/api/v1/sessions/options", nil), 200, &o)
		made, err := b.key.Get(o.Options, peopletest.Origin)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}()
	record, nobody := map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"}, randomID()
	status := map[string]string{"action": "withdraw", "reason": "other"}
	bodies := map[string]any{
		"makeCaseFindable": map[string]bool{"findable": true}, "attest": screeningBody(t), "issueCard": map[string]string{"name": "SITI"},
		"copyCase":   map[string]string{"number": "123456789012", "code": "1234567890", "passphrase": "four words or more"},
		"assignCase": map[string]string{"person": nobody}, "joinCases": map[string]string{"case": nobody, "number": "123456789012", "code": "1234567890"},
		"addDocument": record, "updateDocument": record, "addPage": scan(t), "shareCase": unasked(grantTo(spare)), "shareDocument": unasked(grantTo(spare)),
		"changeAttestation": status, "changeCard": status, "contest": map[string]string{"reason": "other"}, "approveDevice": map[string]string{"symbols": "222222"},
		"askConsent": questionOf(randomID(), grantTo(spare)), "recordConsent": recordedBody,
		"changePerson": map[string]any{"roles": []string{"caseworker"}, "handle": "desk-2"}, "agree": map[string]any{"response": response},
	}
	parameter := regexp.MustCompile(`\{(\w+)\}`)
	for _, door := range w.server.Doors() {
		names := parameter.FindAllStringSubmatch(door.Path, -1)
		if door.Public || len(names) == 0 || slices.Contains(told, door.ID) {
			continue
		}
		name := names[0][1]
		if ids[name] == "" {
			t.Errorf("%s: nothing of another agency is known by its %s", door.ID, name)
			continue
		}
		unknown := randomID()
		if name == "key" {
			unknown = base64.RawURLEncoding.EncodeToString([]byte(randomID()[:16]))
		}
		if name == "change" {
			unknown = "4096"
		}
		tried := 0
		for _, c := range mine {
			if strings.HasPrefix(c.who, "a colleague") && !slices.Contains([]string{"case", "document", "attestation", "card"}, name) {
				continue
			}
			ask := func(id string) (answer, []string, []string) {
				t.Helper()
				path := strings.Replace(door.Path, names[0][0], id, 1)
				path = strings.NewReplacer("{page}", "1", "{agency}", spare, "{person}", nobody, "{consent}", randomID()).Replace(path)
				if door.ID == "addPage" {
					path += "?role=data"
				}
				before, asked := len(server.Log(t)), len(w.witness.asked)
				edit := []func(*http.Request){mediaOf(bodies[door.ID], door.Method)}
				got := w.ask(c, door.Method, path, bodies[door.ID], edit...)
				statements := ran(server.Log(t)[before:])
				for _, name := range aside {
					got.header.Del(name)
				}
				return got, statements, slices.Clone(w.witness.asked[asked:])
			}
			w.still = time.Now()
			ask(unknown) // whatever is done once in a while is done, and not again where the clock stands
			want, never, keys := ask(unknown)
			if want.status == http.StatusForbidden || want.status == http.StatusUnauthorized {
				continue // not past the door
			}
			// What of one's own cannot be taken away is a conflict, whosever it is.
			if want.status != http.StatusNotFound && (door.ID != "removeKey" || want.status != http.StatusConflict) {
				t.Errorf("%s by %s, unknown: %d %s", door.ID, c.who, want.status, want.body)
				continue
			}
			tried++
			got, also, calls := ask(ids[name])
			if got.status != want.status || !bytes.Equal(got.body, want.body) || !sameHeaders(got.header, want.header) {
				t.Errorf("%s by %s: %d %s %v, want %d %s %v", door.ID, c.who, got.status, got.body, got.header, want.status, want.body, want.header)
			}
			if !slices.Equal(also, never) {
				t.Errorf("%s by %s: the database works differently for another agency's:\n  %s\nand for an unknown one:\n  %s", door.ID, c.who, strings.Join(also, "\n  "), strings.Join(never, "\n  "))
			}
			if !slices.Equal(calls, keys) {
				t.Errorf("%s by %s: the keystore is asked %v for another agency's, %v for an unknown one", door.ID, c.who, calls, keys)
			}
		}
		if tried == 0 {
			t.Errorf("%s: nobody got past its door", door.ID)
		}
	}
}

func sameHeaders(a, b http.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for name, values := range a {
		if !slices.Equal(values, b[name]) {
			return false
		}
	}
	return true
}

// ask is call for whoever comes.
func (w *world) ask(c comer, method, path string, body any, edit ...func(*http.Request)) answer {
	w.t.Helper()
	if c.browser != nil {
		return c.browser.call(method, path, body, edit...)
	}
	return w.call(c.token, method, path, body, edit...)
}

// theirs are ids of an agency by the parameters of paths that name them, and an agency
// to which anybody may give something.
func theirs(t *testing.T, w *world) (ids map[string]string, spare string) {
	w.t.Helper()
	supervisor := w.admit("Bridge", "NGO", "THA", "supervisor")
	w.admit("Spare", "NGO", "THA", "caseworker")
	bridge := w.agency["Bridge"]
	at, document := w.keeps(supervisor, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	w.into(w.call(supervisor, "POST", document+"/pages?role=data", scan(t), header("Content-Type", "image/png")), 201, nil)
	var attestation struct{ ID string }
	w.into(w.call(supervisor, "POST", at+"/attestations", screeningBody(t)), 201, &attestation)
	var printed cardAnswer
	w.into(w.call(supervisor, "POST", at+"/cards", `{"name":"SITI"}`), 201, &printed)
	her := w.house.Person(bridge, people.Supervisor, w.house.First)
	program, _ := w.house.Program(bridge, people.Caseworker, w.house.First)
	q, err := w.house.Ask(w.t.Context(), w.house.Actor(her), roster.DoSignOut, bridge, &roster.SignOut{ID: her})
	if err != nil {
		w.t.Fatal(err)
	}
	state, err := w.people.State(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return map[string]string{
		"case": strings.TrimPrefix(at, "/api/v1/cases/"), "document": strings.TrimPrefix(document, "/api/v1/documents/"),
		"attestation": attestation.ID, "card": printed.ID, "person": her, "program": program.ID, "act": q.Act.ID,
		"key":    base64.RawURLEncoding.EncodeToString(state.People[her].Credentials[0].ID),
		"device": w.pending("Bridge").Device, "change": "2", // of the roster, where nothing waits in a demonstration
	}, w.agency["Spare"]
}
