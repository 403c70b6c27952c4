package httpapi_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/people"
)

// TestAnswersUnasked is of hostile case 85: whoever once held an id, a card or its handle, and with
// whom nothing of the case is shared now, gets the answer of an id that never was,
// whatever he would say, and whether or not it could be said. Nothing is written.
func TestAnswersUnasked(t *testing.T) {
	f := newFile(t)
	asked := 0
	for _, r := range f.readers {
		for _, kind := range []claims.Kind{claims.KindOpinion, claims.KindReliance, claims.KindReply} {
			well, badly := f.order(kind), f.order(kind)
			badly["claims"] = map[string]any{}
			for what, body := range map[string]map[string]any{"what could be signed": well, "what could not": badly} {
				for member, ids := range map[string][2]string{
					"about":       {f.screening, randomID()},
					"card_handle": {f.seen.Card.Handle, "0123456789abcdef"},
				} {
					ask := func(id string) answer {
						body := map[string]any{"kind": body["kind"], "claims": body["claims"], member: id}
						return f.call(r.token, "POST", "/api/v1/attestations", body)
					}
					got, unknown := ask(ids[0]), ask(ids[1])
					if unknown.status == http.StatusForbidden {
						continue // not for this role, whatever it is about
					}
					asked++
					may := people.MayIn(audit.Actor{ID: "1", Agency: r.agency, Role: string(r.role)}, people.Issue(string(kind)), r.relation) == nil
					switch {
					case unknown.status != http.StatusNotFound:
						t.Errorf("%s by %s of nobody: %d %s", kind, member, unknown.status, unknown.body)
					case !may && (got.status != unknown.status || !bytes.Equal(got.body, unknown.body)):
						t.Errorf("%s of a %s by %s, %s: %d %s, want as for an unknown one", kind, r.role, member, what, got.status, got.body)
					case may && got.status == http.StatusNotFound:
						t.Errorf("%s of a %s to whom it is %s, by %s, %s: %s", kind, r.role, r.relation, member, what, got.body)
					}
				}
			}
		}
	}
	if asked < 50 {
		t.Errorf("only %d were asked", asked)
	}
	f.nothingBy("none NGO", "none ImmigrationService", "none DiplomaticMission")
}

// TestAnswersTakenBack is of hostile case 85: an answer that waits for an officer is not signed once the holder
// has taken back what was shared, and none comes after it.
func TestAnswersTakenBack(t *testing.T) {
	f := newFile(t)
	var mission reader
	for _, r := range f.readers {
		if r.relation == "shared" && r.role == "mission" {
			mission = r
		}
	}
	officer := f.person(mission.agency, "mission")
	body := f.order(claims.KindReply)
	body["card_handle"] = f.seen.Card.Handle
	var waits asked
	f.into(f.call(mission.token, "POST", "/api/v1/attestations", body), 202, &waits)
	for _, record := range []string{f.at, f.document} {
		f.into(f.call(f.keeper, "DELETE", record+"/grants/"+mission.agency, nil), 204, nil)
	}
	if got := officer.agree(waits.Request); got.status != http.StatusNotFound {
		t.Errorf("agreed to after it was taken back: %d %s", got.status, got.body)
	}
	if got := f.call(mission.token, "POST", "/api/v1/attestations", body); got.status != http.StatusNotFound {
		t.Errorf("asked after it was taken back: %d %s", got.status, got.body)
	}
	f.nothingBy("shared DiplomaticMission")
}

// TestAnswersByHerNewestWord is of hostile case 85: what is shared still lets nobody answer once the holder
// has said no in a newer screening, before anybody takes the grant back.
func TestAnswersByHerNewestWord(t *testing.T) {
	g := newGreen(t)
	g.says(g.embassy, "ETH")
	no := screening()
	no.Consent.ShareScope, no.Consent.TransferToState, no.Consent.SafeIfStateKnows, no.Consent.MissionMayBeContacted = nil, nil, "no", false
	g.into(g.call(g.keeper, "POST", g.at+"/attestations", orderOf(t, no)), 201, nil)
	body := orderOf(t, &claims.Reply{
		Answer: "matched", Mission: private.New("Embassy (made up)"), MissionState: "ETH", Date: claims.NewDay(time.Now()), Channel: "account",
	})
	ask := func(about string) answer {
		body["about"] = about
		return g.call(g.embassy, "POST", "/api/v1/attestations", body)
	}
	if got, unknown := ask(g.screening), ask(randomID()); got.status != http.StatusNotFound || !bytes.Equal(got.body, unknown.body) {
		t.Errorf("got %d %s, want as for an unknown id", got.status, got.body)
	}
}

// nothingBy fails if anything in the case was signed by one of these agencies.
func (f *file) nothingBy(names ...string) {
	f.t.Helper()
	var list struct {
		Attestations []struct{ Kind, Agency string }
	}
	f.into(f.call(f.keeper, "GET", f.at+"/attestations", nil), 200, &list)
	for _, a := range list.Attestations {
		for _, name := range names {
			if a.Agency == f.agency[name] {
				f.t.Errorf("a %s of %s stands in the case", a.Kind, name)
			}
		}
	}
}

// green is a case with a card of one nationality, which is shared with embassies.
type green struct {
	*world
	t                           *testing.T
	keeper, at, screening       string
	printed                     cardAnswer
	embassy, consulate, foreign string // tokens: of her state, two; of another one
}

func newGreen(t *testing.T) *green {
	t.Helper()
	w := newWorld(t, func(c *httpapi.Config) { c.Rate = 1e6 })
	g := &green{world: w, t: t, keeper: w.admit("Lotus", "NGO", "KHM", "supervisor")}
	g.embassy, g.foreign = w.admit("Embassy", "x_DiplomaticMission", "ETH", "mission"), w.admit("Foreign", "x_DiplomaticMission", "THA", "mission")
	g.consulate = w.admit("Consulate", "x_DiplomaticMission", "ETH", "mission")
	var made struct{ ID string }
	g.into(g.call(g.keeper, "POST", "/api/v1/cases", nil), 201, &made)
	g.at = "/api/v1/cases/" + made.ID
	g.into(g.call(g.keeper, "POST", g.at+"/attestations", screeningBody(t)), 201, &made)
	g.screening = made.ID
	g.into(g.call(g.keeper, "POST", g.at+"/cards", map[string]any{"name": personName, "nationality": "ETH", "attestation": g.screening}), 201, &g.printed)
	for _, agency := range []string{"Embassy", "Consulate", "Foreign"} {
		g.into(g.shares(g.keeper, g.at, grantTo(g.agency[agency])), 201, nil)
	}
	return g
}

// says has a mission answer that she matches its records, in a state's name.
func (g *green) says(token, state string) string {
	g.t.Helper()
	body := orderOf(g.t, &claims.Reply{
		Answer: "matched", Mission: private.New("Embassy (made up)"), MissionState: state, Date: claims.NewDay(time.Now()), Channel: "account",
	})
	body["about"] = g.screening
	return g.reply(token, body)
}

// shows fails unless the card is something after the next publication, by every way that a
// pack takes to whoever checks it.
func (g *green) shows(when, want, reason string) {
	g.t.Helper()
	g.into(g.call(g.operator, "POST", "/api/v1/publications", nil), 201, nil)
	var v verdictAnswer
	g.into(g.call(g.keeper, "POST", "/api/v1/verifications", map[string]string{"digits": g.printed.Digits, "code": g.printed.Code}), 200, &v)
	if v.State != want || v.Reason != reason {
		g.t.Errorf("%s: %s (%s), want %s (%s)", when, v.State, v.Reason, want, reason)
	}
}

// name has two people name an agency for states, or for none.
func (g *green) name(agency, class, country string, states ...string) {
	g.t.Helper()
	g.agree(g.call(g.operator, "POST", "/api/v1/agencies/"+g.agency[agency]+"/description", map[string]any{
		"name": agency, "class": class, "country": country, "desk": "+66 00 000 009", "confirms": append([]string{}, states...),
		"signs": map[string]any{"kinds": []string{"opinion", "reply"}},
	}))
}

// TestAnotherStatesMission is of hostile case 85: a mission of another state says that she matched, and no card
// is green for it, unless two people have named it for her state; and not any more once
// they name it no longer.
func TestAnotherStatesMission(t *testing.T) {
	g := newGreen(t)
	g.shows("before anybody answered", "unconfirmed", "")
	g.says(g.foreign, "THA")
	g.shows("another state's mission", "unconfirmed", "")
	body := orderOf(t, &claims.Reply{
		Answer: "matched", Mission: private.New("Embassy (made up)"), MissionState: "ETH", Date: claims.NewDay(time.Now()), Channel: "account",
	})
	body["about"] = g.screening
	if got := g.call(g.foreign, "POST", "/api/v1/attestations", body); got.status != http.StatusUnprocessableEntity {
		t.Errorf("in her state's name: %d %s", got.status, got.body)
	}
	g.name("Foreign", "x_DiplomaticMission", "THA", "ETH")
	g.shows("named for her state, and it has answered for its own", "unconfirmed", "")
	g.says(g.foreign, "ETH")
	g.shows("one that was named for her state", "confirmed", "other_authority")
	g.says(g.embassy, "ETH")
	g.shows("her own mission beside it", "confirmed", "mission_of_nationality")
	g.into(g.call(g.embassy, "POST", "/api/v1/attestations/"+g.says(g.consulate, "ETH")+"/status", map[string]string{"action": "withdraw", "reason": "mistake"}), 404, nil)
	g.name("Foreign", "x_DiplomaticMission", "THA")
	g.shows("named no more, her own mission stands", "confirmed", "mission_of_nationality")
}

// TestTakesItsWordBack: the mission withdraws what it answered, without a grant, and the
// card follows with the next pack.
func TestTakesItsWordBack(t *testing.T) {
	g := newGreen(t)
	reply := g.says(g.embassy, "ETH")
	g.shows("answered", "confirmed", "mission_of_nationality")
	g.into(g.call(g.keeper, "DELETE", g.at+"/grants/"+g.agency["Embassy"], nil), 204, nil)
	g.into(g.call(g.embassy, "POST", "/api/v1/attestations/"+reply+"/status", map[string]string{"action": "withdraw", "reason": "mistake"}), 200, nil)
	g.shows("taken back", "unconfirmed", "")
}

// TestContested is of hostile case 85: the desk that keeps the case sees an answer that it did not expect, and
// takes it off: no card is green for it, nor for what its mission answers again, until the
// desk takes that back or the mission its word. Nobody else can, and it turns nothing
// green.
func TestContested(t *testing.T) {
	g := newGreen(t)
	reply := g.says(g.embassy, "ETH")
	g.shows("answered", "confirmed", "mission_of_nationality")
	type listed struct{ ID, Agency, Kind, State, Contested string }
	sees := func() (found listed) {
		t.Helper()
		var list struct{ Attestations []listed }
		g.into(g.call(g.keeper, "GET", g.at+"/attestations", nil), 200, &list)
		for _, a := range list.Attestations {
			if a.ID == reply {
				found = a
			}
		}
		return found
	}
	if got := sees(); got.Agency != g.agency["Embassy"] || got.Kind != "reply" || got.Contested != "" {
		t.Errorf("in the list of the case: %+v", got)
	}
	at := "/api/v1/attestations/" + reply + "/contest"
	why := map[string]string{"reason": "not_expected"}
	for name, token := range map[string]string{"the mission": g.embassy, "another one": g.foreign} {
		if got := g.call(token, "POST", at, why); got.status != http.StatusForbidden && got.status != http.StatusNotFound {
			t.Errorf("%s contests it: %d", name, got.status)
		}
	}
	if got := g.call(g.keeper, "POST", "/api/v1/attestations/"+g.screening+"/contest", why); got.code() != "state_conflict" {
		t.Errorf("one's own finding: %d %s", got.status, got.body)
	}
	if got := g.call(g.keeper, "POST", at, map[string]string{"reason": "fraud"}); got.status != http.StatusBadRequest && got.status != http.StatusUnprocessableEntity {
		t.Errorf("for a reason of one's own: %d %s", got.status, got.body)
	}
	for range 2 { // twice is once
		g.into(g.call(g.keeper, "POST", at, why), 200, nil)
	}
	if got := sees(); got.Contested != "not_expected" || got.State != "active" {
		t.Errorf("contested, it is %+v", got)
	}
	g.shows("contested", "unconfirmed", "")
	again := g.says(g.embassy, "ETH")
	g.shows("answered again", "unconfirmed", "")
	body := orderOf(t, &claims.Reply{
		Answer: "matched", Mission: private.New("Embassy (made up)"), MissionState: "ETH", Date: claims.NewDay(time.Now()), Channel: "account",
	})
	body["about"], body["supersedes"] = g.screening, reply
	if got := g.call(g.embassy, "POST", "/api/v1/attestations", body); got.code() != "state_conflict" {
		t.Errorf("said anew in its place: %d %s", got.status, got.body)
	}

	g.into(g.call(g.keeper, "DELETE", at, nil), 204, nil)
	g.shows("taken back", "confirmed", "mission_of_nationality")
	g.into(g.call(g.keeper, "POST", at, why), 200, nil)
	g.shows("contested once more", "unconfirmed", "")
	// The other mission of her state has a word of its own, and the first its own back.
	g.says(g.consulate, "ETH")
	g.shows("another mission of her state", "confirmed", "mission_of_nationality")
	for _, id := range []string{reply, again} {
		g.into(g.call(g.embassy, "POST", "/api/v1/attestations/"+id+"/status", map[string]string{"action": "withdraw", "reason": "mistake"}), 200, nil)
	}
	if got := g.call(g.keeper, "POST", at, why); got.code() != "state_conflict" {
		t.Errorf("contested after it was withdrawn: %d %s", got.status, got.body)
	}
	g.shows("withdrawn", "confirmed", "mission_of_nationality")

	var history struct{ Entries []struct{ Kind string } }
	g.into(g.call(g.keeper, "GET", g.at+"/history", nil), 200, &history)
	told := map[string]int{}
	for _, e := range history.Entries {
		told[e.Kind]++
	}
	if told["reply.issued"] != 3 || told["reply.contested"] != 2 || told["reply.contest_taken_back"] != 1 || told["reply.withdraw"] != 2 {
		t.Errorf("the history has %v", told)
	}
}

// TestContestIsNotEvaded: an agency whose answer is contested confirms nobody in the case,
// whether that answer matched or not, and whether it is withdrawn or said again, until the
// desk takes back the contest of each.
func TestContestIsNotEvaded(t *testing.T) {
	for _, answer := range []string{"matched", "not_found"} {
		g := newGreen(t)
		body := orderOf(t, &claims.Reply{
			Answer: answer, Mission: private.New("Embassy (made up)"), MissionState: "ETH", Date: claims.NewDay(time.Now()), Channel: "account",
		})
		body["about"] = g.screening
		first := g.reply(g.embassy, body)
		contest := func(id string) string { return "/api/v1/attestations/" + id + "/contest" }
		g.into(g.call(g.keeper, "POST", contest(first), map[string]string{"reason": "another_person"}), 200, nil)
		second := g.says(g.embassy, "ETH")
		g.shows(answer+", contested and said again", "unconfirmed", "")
		g.into(g.call(g.embassy, "POST", "/api/v1/attestations/"+first+"/status", map[string]string{"action": "withdraw", "reason": "mistake"}), 200, nil)
		g.shows(answer+", withdrawn", "unconfirmed", "")
		g.says(g.embassy, "ETH")
		g.shows(answer+", withdrawn and said again", "unconfirmed", "")
		g.into(g.call(g.keeper, "POST", contest(second), map[string]string{"reason": "other"}), 200, nil)
		g.into(g.call(g.keeper, "DELETE", contest(first), nil), 204, nil)
		g.shows(answer+", one of two taken back", "unconfirmed", "")
		g.into(g.call(g.keeper, "DELETE", contest(second), nil), 204, nil)
		g.shows(answer+", taken back by the desk", "confirmed", "mission_of_nationality")
	}
}

// TestContestTurnsNothingGreen: contesting, and taking that back, of answers that confirm
// nobody.
func TestContestTurnsNothingGreen(t *testing.T) {
	g := newGreen(t)
	at := "/api/v1/attestations/" + g.says(g.foreign, "THA") + "/contest"
	g.into(g.call(g.keeper, "POST", at, map[string]string{"reason": "other"}), 200, nil)
	g.shows("another state's, contested", "unconfirmed", "")
	g.into(g.call(g.keeper, "DELETE", at, nil), 204, nil)
	g.shows("another state's, taken back", "unconfirmed", "")
	withdrawn := g.says(g.embassy, "ETH")
	g.into(g.call(g.keeper, "POST", "/api/v1/attestations/"+withdrawn+"/contest", map[string]string{"reason": "other"}), 200, nil)
	g.into(g.call(g.embassy, "POST", "/api/v1/attestations/"+withdrawn+"/status", map[string]string{"action": "withdraw", "reason": "mistake"}), 200, nil)
	g.into(g.call(g.keeper, "DELETE", "/api/v1/attestations/"+withdrawn+"/contest", nil), 204, nil)
	g.shows("a contest of what was withdrawn is taken back", "unconfirmed", "")
}
