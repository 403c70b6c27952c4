package httpapi_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
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
					switch {
					case unknown.status != http.StatusNotFound:
						t.Errorf("%s by %s of nobody: %d %s", kind, member, unknown.status, unknown.body)
					case r.relation == "none" && (got.status != unknown.status || !bytes.Equal(got.body, unknown.body)):
						t.Errorf("%s of a %s by %s, %s: %d %s, want as for an unknown one", kind, r.role, member, what, got.status, got.body)
					case r.relation != "none" && got.status == http.StatusNotFound:
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
	officer := f.world.person(mission.agency, "mission")
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
	w := newWorld(t)
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
		g.into(g.call(g.keeper, "POST", g.at+"/grants", grantTo(g.agency[agency])), 201, nil)
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
