package httpapi_test

import (
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// TestSuspension: nobody of a suspended agency is let in from the next call on,
// and what it signed is trusted by nobody from the next publication on. Resumed,
// it is as it was.
func TestSuspension(t *testing.T) {
	w := newWorld(t)
	supervisor := w.admit("Lotus", "NGO", "KHM", "supervisor")
	worker := w.admit("Lotus", "NGO", "KHM", "caseworker")
	officer := w.admit("Gate", "ImmigrationService", "THA", "officer")
	device, waiting, invited := w.device("Lotus"), w.pending("Lotus"), w.invitation("Lotus")
	other := w.device("Gate")
	var begun struct{ ID string }
	w.into(w.call(worker, "POST", "/api/v1/cases", nil), 201, &begun)
	var printed cardAnswer
	w.into(w.call(worker, "POST", "/api/v1/cases/"+begun.ID+"/cards", `{"name":"SITI"}`), 201, &printed)
	publish := func() { t.Helper(); w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil) }
	publish()

	change := func(token, agency, action string) answer {
		return w.call(token, "POST", "/api/v1/agencies/"+agency+"/status", map[string]string{"action": action})
	}
	state := func(want string) {
		t.Helper()
		var list struct {
			Agencies []struct{ ID, State string }
		}
		w.into(w.call(w.operator, "GET", "/api/v1/agencies", nil), 200, &list)
		for _, a := range list.Agencies {
			if a.ID == w.agency["Lotus"] && a.State != want {
				t.Errorf("the agency is %s, want %s", a.State, want)
			}
		}
	}
	// people tries everybody of the agency; status is what each gets.
	people := func(when string, status int) {
		t.Helper()
		for who, ask := range map[string][2]string{
			"supervisor": {supervisor, "/api/v1/cases"}, "caseworker": {worker, "/api/v1/cases/" + begun.ID},
			"device": {device, "/api/v1/devices/self/envelope"}, "pending": {waiting.Token, "/api/v1/devices/self"},
		} {
			if got := w.call(ask[0], "GET", ask[1], nil); got.status != status {
				t.Errorf("%s, the %s: %d %s, want %d", when, who, got.status, got.body, status)
			}
		}
	}
	paper := func(when, want string) {
		t.Helper()
		var a struct{ Answer string }
		w.into(w.call("", "POST", "/api/v1/papers", map[string]string{"number": printed.Number, "code": printed.Code}), 200, &a)
		if a.Answer != want {
			t.Errorf("%s, its paper is %s, want %s", when, a.Answer, want)
		}
	}
	check := func(when, want string) {
		t.Helper()
		var v verdictAnswer
		w.into(w.call(officer, "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits, "code": printed.Code}), 200, &v)
		if v.State != want {
			t.Errorf("%s, its card is %s (%s), want %s", when, v.State, v.Reason, want)
		}
	}

	people("before", 200)
	check("before", "unconfirmed")
	paper("before", "in_use")
	for who, token := range map[string]string{"its supervisor": supervisor, "another's officer": officer, "a device": other} {
		if got := change(token, w.agency["Lotus"], "suspend"); got.status != 403 {
			t.Errorf("%s suspends: %d %s", who, got.status, got.body)
		}
	}
	if got := change(w.operator, randomID(), "suspend"); got.status != 404 {
		t.Errorf("an unknown agency: %d %s", got.status, got.body)
	}
	if got := change(w.operator, w.agency["Lotus"], "erase"); got.status != 400 {
		t.Errorf("an unknown action: %d %s", got.status, got.body)
	}
	state("active")

	asked := change(w.operator, w.agency["Lotus"], "suspend")
	state("active") // until somebody agrees
	people("asked for", 200)
	w.agree(asked)
	state("suspended")
	people("suspended", 401)
	if got := change(w.operator, w.agency["Lotus"], "suspend"); got.status != 409 {
		t.Errorf("suspended twice: %d %s", got.status, got.body)
	}
	if got := w.call("", "POST", "/api/v1/enrolments", map[string]any{"invitation": invited, "public_key": newPublicKey(t)}); got.code() != "invitation_refused" {
		t.Errorf("suspended, its invitation: %d %s", got.status, got.body)
	}
	if got := w.call(other, "GET", "/api/v1/devices/self/envelope", nil); got.status != 200 {
		t.Errorf("another agency's device: %d %s", got.status, got.body)
	}
	at, _ := w.keeps(w.admit("Bridge", "NGO", "THA", "caseworker"), map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	if got := w.shares(w.tokens["Bridge caseworker"], at, grantTo(w.agency["Lotus"])); got.status != 409 || got.code() != "state_conflict" {
		t.Errorf("a record is shared with it: %d %s", got.status, got.body)
	}
	check("before a publication", "unconfirmed")
	publish()
	check("after a publication", "issuer_unknown")
	paper("after a publication", "not_in_use")

	w.agree(change(w.operator, w.agency["Lotus"], "resume"))
	state("active")
	people("resumed", 200)
	publish()
	check("resumed", "unconfirmed")
	paper("resumed", "in_use")
}

// TestSuspendedConfirmNothing: a card that a mission has turned green is so no
// longer when the mission is suspended, and is again when it is let in.
func TestSuspendedConfirmNothing(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	mission := w.admit("Embassy", "x_DiplomaticMission", "ETH", "mission")
	var begun, screening struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &begun)
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+begun.ID+"/attestations", screeningBody(t)), 201, &screening)
	var printed cardAnswer
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+begun.ID+"/cards", map[string]any{
		"name": personName, "nationality": "ETH", "attestation": screening.ID,
	}), 201, &printed)
	reply := orderOf(t, &claims.Reply{
		Answer: "matched", Mission: private.New("Embassy (made up)"), MissionState: "ETH", Date: claims.NewDay(time.Now()), Channel: "account",
	})
	reply["about"] = screening.ID
	w.into(w.shares(ngo, "/api/v1/cases/"+begun.ID, grantTo(w.agency["Embassy"])), 201, nil)
	w.reply(mission, reply)
	check := func(when, want string) {
		t.Helper()
		w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)
		var v verdictAnswer
		w.into(w.call(ngo, "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits, "code": printed.Code}), 200, &v)
		if v.State != want {
			t.Errorf("%s: %s (%s), want %s", when, v.State, v.Reason, want)
		}
	}
	change := func(action string) {
		t.Helper()
		w.agree(w.call(w.operator, "POST", "/api/v1/agencies/"+w.agency["Embassy"]+"/status", map[string]string{"action": action}))
	}
	check("confirmed", "confirmed")
	change("suspend")
	check("by a mission that is suspended", "unconfirmed")
	change("resume")
	check("by a mission that was let in again", "confirmed")
	// Nor does a log that has stopped keep it in: what follows is written later.
	w.stopLog()
	change("suspend")
	if a := w.call(mission, "GET", "/api/v1/cases", nil); a.status == 200 {
		t.Errorf("it is still let in: %d", a.status)
	}
}
