package httpapi_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
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
