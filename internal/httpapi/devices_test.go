package httpapi_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

type deviceAnswer struct {
	ID, Agency, Label, State string
	AgencyName               string `json:"agency_name"`
	PublicKey                []byte `json:"public_key"`
	InvitedBy                string `json:"invited_by"`
}

// TestDeviceInThreeHands: invited, enrolled by itself, approved by a second
// person; then it opens a pack, and from its revocation on it gets nothing.
func TestDeviceInThreeHands(t *testing.T) {
	w := newWorld(t)
	w.admit("Gate", "ImmigrationService", "THA", "officer")
	ngo := w.admit("Lotus", "NGO", "KHM", "caseworker")
	var begun struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &begun)
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+begun.ID+"/cards", `{"name":"SITI"}`), 201, nil)
	w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)

	var made struct {
		ID, Agency, Label, Secret, Link string
		Expires                         time.Time
	}
	w.into(w.call(w.operator, "POST", "/api/v1/invitations", map[string]string{"agency": w.agency["Gate"], "label": "gate-1"}), 201, &made)
	if made.Agency != w.agency["Gate"] || made.Label != "gate-1" || made.Link != peopletest.Address+"/check#invite="+made.Secret || !strings.HasPrefix(made.Secret, "sci_") {
		t.Errorf("the invitation is %+v", made)
	}
	if left := time.Until(made.Expires); left < 47*time.Hour || left > 48*time.Hour {
		t.Errorf("the invitation is good for %v", left)
	}

	kept, public, err := verifier.NewDevice("", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var e enrolment
	w.into(w.call("", "POST", "/api/v1/enrolments", map[string]any{"invitation": made.Secret, "public_key": public}), 201, &e)
	e.public = public
	if e.State != "pending" || e.Agency != w.agency["Gate"] || e.AgencyName != "Gate" || e.Label != "gate-1" || e.Network != w.net.ID() {
		t.Errorf("the enrolment is %+v", e)
	}
	self := func(want string) {
		t.Helper()
		var d deviceAnswer
		w.into(w.call(e.Token, "GET", "/api/v1/devices/self", nil), 200, &d)
		if d.ID != e.Device || d.State != want || d.AgencyName != "Gate" || d.Label != "gate-1" {
			t.Errorf("the device hears %+v, want %s", d, want)
		}
	}
	self("pending")
	if got := w.call(e.Token, "GET", "/api/v1/devices/self/envelope", nil); got.status != 403 || got.code() != "forbidden" {
		t.Errorf("an envelope for a pending device: %d %s", got.status, got.code())
	}
	if got := w.call(e.Token, "POST", "/api/v1/verifications", map[string]string{"digits": "1"}); got.status != 403 {
		t.Errorf("a verification for a pending device: %d %s", got.status, got.code())
	}

	// The inviter cannot approve, whatever he types; a second person can.
	approval := "/api/v1/devices/" + e.Device + "/approval"
	for _, symbols := range []string{w.symbols(e), "222222", "no symbols"} {
		if got := w.call(w.operator, "POST", approval, map[string]string{"symbols": symbols}); got.status != 403 || got.code() != "approval_invalid" {
			t.Errorf("the inviter: %d %s", got.status, got.code())
		}
	}
	second := w.second()
	var list struct{ Devices []deviceAnswer }
	w.into(w.call(second, "GET", "/api/v1/devices?agency="+w.agency["Gate"], nil), 200, &list)
	if len(list.Devices) != 1 || list.Devices[0].State != "pending" || list.Devices[0].InvitedBy == "" || !slices.Equal(list.Devices[0].PublicKey, public) {
		t.Errorf("the list is %+v", list.Devices)
	}
	if got := w.call(second, "POST", approval, map[string]string{"symbols": "no symbols"}); got.status != 422 || got.code() != "input_refused" {
		t.Errorf("no symbols: %d %s", got.status, got.code())
	}
	key := header("Idempotency-Key", newKey())
	w.agree(w.call(second, "POST", approval, map[string]string{"symbols": strings.ToLower(w.symbols(e))}, key))
	if got := w.call(second, "POST", approval, map[string]string{"symbols": strings.ToLower(w.symbols(e))}, key); got.code() != "already_done" {
		t.Errorf("the same request again: %d %s", got.status, got.code())
	}
	if got := w.call(second, "POST", approval, map[string]string{"symbols": w.symbols(e)}); got.status != 409 || got.code() != "state_conflict" {
		t.Errorf("approved twice: %d %s", got.status, got.code())
	}
	self("active")

	// It works, with what it was told.
	var lists verifier.Lists
	w.into(w.call("", "GET", "/pack", nil), 200, &lists)
	var sealed struct{ Envelope string }
	w.into(w.call(e.Token, "GET", "/api/v1/devices/self/envelope", nil), 200, &sealed)
	kept.Network, kept.ID, kept.Root = e.Network, e.Device, e.Root
	if _, err := verifier.Open(verifier.File{Lists: lists, Envelope: sealed.Envelope}, kept, time.Now()); err != nil {
		t.Errorf("the pack does not open: %v", err)
	}

	w.agree(w.call(second, "DELETE", "/api/v1/devices/"+e.Device, nil))
	for _, path := range []string{"/api/v1/devices/self/envelope", "/api/v1/devices/self"} {
		if got := w.call(e.Token, "GET", path, nil); got.status != 401 {
			t.Errorf("%s after the revocation: %d %s", path, got.status, got.code())
		}
	}
	w.into(w.call(w.operator, "GET", "/api/v1/devices", nil), 200, &list)
	if len(list.Devices) != 1 || list.Devices[0].State != "revoked" {
		t.Errorf("the list of all is %+v", list.Devices)
	}

	// Nothing of it that is secret stands in the service's log.
	for _, secret := range []string{made.Secret, e.Token, w.symbols(e)} {
		if strings.Contains(w.log.String(), secret) {
			t.Error("a secret was logged")
		}
	}
}

// TestDeviceLeaves: a device that waits ends its own waiting, and one that is in does not.
func TestDeviceLeaves(t *testing.T) {
	w := newWorld(t)
	w.admit("Gate", "ImmigrationService", "THA", "officer")
	in, waits := w.device("Gate"), w.pending("Gate").Token
	if got := w.call(in, "DELETE", "/api/v1/devices/self", nil); got.status != 403 || got.code() != "forbidden" {
		t.Errorf("one that is in: %d %s", got.status, got.code())
	}
	if got := w.call(waits, "PATCH", "/api/v1/devices/self", nil); got.status != 405 || got.header.Get("Allow") != "GET, DELETE, HEAD, OPTIONS" {
		t.Errorf("what can be done with it: %d %q", got.status, got.header.Get("Allow"))
	}
	if got := w.call(waits, "DELETE", "/api/v1/devices/self", nil); got.status != 204 {
		t.Fatalf("one that waits: %d %s", got.status, got.body)
	}
	for _, method := range []string{"GET", "DELETE"} {
		if got := w.call(waits, method, "/api/v1/devices/self", nil); got.status != 401 {
			t.Errorf("%s afterwards: %d %s", method, got.status, got.code())
		}
	}
	var list struct{ Devices []deviceAnswer }
	w.into(w.call(w.operator, "GET", "/api/v1/devices?agency="+w.agency["Gate"], nil), 200, &list)
	if len(list.Devices) != 1 || list.Devices[0].State != "active" {
		t.Errorf("the list is %+v", list.Devices)
	}
}

// TestInvitationRefused: used, over, cut, made up: one and the same answer.
func TestInvitationRefused(t *testing.T) {
	w := newWorld(t)
	w.admit("Gate", "ImmigrationService", "THA", "officer")
	public := newPublicKey(t)
	enrol := func(secret string) answer {
		return w.call("", "POST", "/api/v1/enrolments", map[string]any{"invitation": secret, "public_key": public})
	}
	used := w.invitation("Gate")
	w.into(enrol(used), 201, nil)
	suspended := w.invitation("Gate")
	w.house.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: w.agency["Gate"]}, w.house.First)
	unknown := enrol("sci_" + strings.Repeat("A", 48))
	if unknown.status != 403 || unknown.code() != "invitation_refused" {
		t.Errorf("an unknown one: %d %s", unknown.status, unknown.body)
	}
	for name, secret := range map[string]string{
		"used": used, "cut": used[:20], "a token": w.operator, "none": "", "of a suspended agency": suspended,
	} {
		if got := enrol(secret); got.status != unknown.status || string(got.body) != string(unknown.body) {
			t.Errorf("%s: %d %s, want what an unknown one gets", name, got.status, got.body)
		}
	}
	for name, body := range map[string]any{
		"no invitation": map[string]any{"public_key": public},
		"no key":        map[string]any{"invitation": used},
		"a short key":   map[string]any{"invitation": used, "public_key": public[1:]},
		"a member more": map[string]any{"invitation": used, "public_key": public, "label": "gate-9"},
	} {
		if got := w.call("", "POST", "/api/v1/enrolments", body); got.status != 400 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// TestInvitationEndsWithItsMaker is hostile case 92: from the next call on, what somebody began who
// was sent away gets the answer of what never was.
func TestInvitationEndsWithItsMaker(t *testing.T) {
	w := newWorld(t)
	w.admit("Gate", "ImmigrationService", "THA", "officer")
	unknown := w.call("", "POST", "/api/v1/enrolments", map[string]any{"invitation": "sci_" + strings.Repeat("A", 48), "public_key": newPublicKey(t)})
	maker := w.agree(w.call(w.operator, "POST", "/api/v1/members", map[string]string{"role": "operator"}))
	first := w.operator
	w.operator = maker.Token // who invites
	secret, waiting := w.invitation("Gate"), w.pending("Gate")
	w.operator = first
	w.into(w.call(waiting.Token, "GET", "/api/v1/devices/self", nil), 200, nil)
	w.house.Do(roster.DoRemoveProgram, "", &roster.RemoveProgram{ID: maker.ID}, w.house.First)
	got := w.call("", "POST", "/api/v1/enrolments", map[string]any{"invitation": secret, "public_key": newPublicKey(t)})
	if got.status != unknown.status || string(got.body) != string(unknown.body) {
		t.Errorf("the invitation: %d %s, want what an unknown one gets", got.status, got.body)
	}
	got = w.call(w.second(), "POST", "/api/v1/devices/"+waiting.Device+"/approval", map[string]string{"symbols": w.symbols(waiting)})
	if got.status != 403 || got.code() != "invitation_refused" {
		t.Errorf("the approval: %d %s", got.status, got.body)
	}
	if got := w.call(waiting.Token, "GET", "/api/v1/devices/self", nil); got.status != 401 {
		t.Errorf("the device asks: %d %s", got.status, got.body)
	}
}

// TestInvitationAtOnce: of twenty that take one invitation up at once, one
// becomes a device.
func TestInvitationAtOnce(t *testing.T) {
	w := newWorld(t)
	w.admit("Gate", "ImmigrationService", "THA", "officer")
	secret := w.invitation("Gate")
	public := newPublicKey(t)
	var made, refused atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			switch got := w.call("", "POST", "/api/v1/enrolments", map[string]any{"invitation": secret, "public_key": public}); {
			case got.status == 201:
				made.Add(1)
			case got.code() == "invitation_refused":
				refused.Add(1)
			default:
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	var list struct{ Devices []deviceAnswer }
	w.into(w.call(w.operator, "GET", "/api/v1/devices?agency="+w.agency["Gate"], nil), 200, &list)
	if made.Load() != 1 || refused.Load() != 19 || len(list.Devices) != 1 {
		t.Errorf("%d made, %d refused, %d devices", made.Load(), refused.Load(), len(list.Devices))
	}
}

// TestSymbolsDiffer: five wrong ones, and the device is out.
func TestSymbolsDiffer(t *testing.T) {
	w := newWorld(t)
	w.admit("Gate", "ImmigrationService", "THA", "officer")
	e, neighbour := w.pending("Gate"), w.pending("Gate")
	approve := func(symbols string) answer {
		return w.call(w.second(), "POST", "/api/v1/devices/"+e.Device+"/approval", map[string]string{"symbols": symbols})
	}
	for range 5 {
		if got := approve(w.symbols(neighbour)); got.status != 422 || got.code() != "symbols_differ" {
			t.Errorf("another device's: %d %s", got.status, got.body)
		}
	}
	if got := approve(w.symbols(e)); got.status != 404 {
		t.Errorf("right, too late: %d %s", got.status, got.body)
	}
	if got := w.call(e.Token, "GET", "/api/v1/devices/self", nil); got.status != 401 {
		t.Errorf("the device asks: %d %s", got.status, got.body)
	}
	if got := w.call(neighbour.Token, "GET", "/api/v1/devices/self", nil); got.status != 200 {
		t.Errorf("its neighbour asks: %d %s", got.status, got.body)
	}
}

// TestOthersDevices: another agency's device and none at all are one answer.
func TestOthersDevices(t *testing.T) {
	w := newWorld(t)
	w.admit("Gate", "ImmigrationService", "THA", "officer")
	supervisor := w.admit("Lotus", "NGO", "KHM", "supervisor")
	e := w.pending("Gate")
	body := map[string]string{"symbols": w.symbols(e)}
	for _, c := range []struct{ method, path string }{{"POST", "/approval"}, {"DELETE", ""}} {
		var b any
		if c.method == "POST" {
			b = body
		}
		foreign := w.call(supervisor, c.method, "/api/v1/devices/"+e.Device+c.path, b)
		unknown := w.call(supervisor, c.method, "/api/v1/devices/"+randomID()+c.path, b)
		if foreign.status != 404 || string(foreign.body) != string(unknown.body) {
			t.Errorf("%s: %d %s, unknown %d %s", c.method, foreign.status, foreign.body, unknown.status, unknown.body)
		}
	}
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/api/v1/devices?agency=" + w.agency["Gate"], nil},
		{"POST", "/api/v1/invitations", map[string]string{"agency": w.agency["Gate"], "label": "gate-9"}},
	} {
		if got := w.call(supervisor, c.method, c.path, c.body); got.status != 403 {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.status, got.body)
		}
	}
	// Its own it may have, and see; of its own invitation it approves nothing.
	var made struct{ Secret string }
	w.into(w.call(supervisor, "POST", "/api/v1/invitations", map[string]string{"label": "office-1"}), 201, &made)
	mine := enrolment{public: newPublicKey(t)}
	w.into(w.call("", "POST", "/api/v1/enrolments", map[string]any{"invitation": made.Secret, "public_key": mine.public}), 201, &mine)
	var list struct{ Devices []deviceAnswer }
	w.into(w.call(supervisor, "GET", "/api/v1/devices", nil), 200, &list)
	if len(list.Devices) != 1 || list.Devices[0].ID != mine.Device {
		t.Errorf("the list is %+v", list.Devices)
	}
	own := map[string]string{"symbols": w.symbols(mine)}
	if got := w.call(supervisor, "POST", "/api/v1/devices/"+mine.Device+"/approval", own); got.code() != "approval_invalid" {
		t.Errorf("its own: %d %s", got.status, got.body)
	}
	colleague := w.admit("Lotus", "NGO", "KHM", "supervisor")
	w.agree(w.call(colleague, "POST", "/api/v1/devices/"+mine.Device+"/approval", own))
}

// TestStrangersAreSlowedDown is hostile case 90: those without a token share a rate at
// each door, and whoever floods one leaves the others open. The clock stands still, so
// that only what may come at once gets through.
func TestStrangersAreSlowedDown(t *testing.T) {
	start := time.Now()
	w := newWorld(t, func(cfg *httpapi.Config) {
		cfg.StrangerRate, cfg.Now = 3, func() time.Time { return start }
	})
	body, err := json.Marshal(map[string]any{"invitation": "sci_", "public_key": newPublicKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	through := 0
	for range 20 {
		switch got := w.call("", "POST", "/api/v1/enrolments", body); got.code() {
		case "rate_limited":
			if got.header.Get("Retry-After") == "" {
				t.Error("nobody says when to try again")
			}
		case "invitation_refused":
			through++
		default:
			t.Fatalf("got %d %s", got.status, got.body)
		}
	}
	if through != 7 {
		t.Errorf("%d strangers got through at once, want 7", through)
	}
	for _, path := range []string{"/api/v1/papers", "/api/v1/sessions/options", "/api/v1/joins/options", "/api/v1/unlock/options"} {
		body := map[string]string{"/api/v1/papers": `{"number":"1","code":"1"}`, "/api/v1/joins/options": `{"secret":"scj_1"}`}[path]
		got := w.call("", "POST", path, body)
		if got.code() == "rate_limited" || got.status >= 500 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := w.call(w.operator, "GET", "/api/v1/agencies", nil); got.status != 200 {
		t.Errorf("those with a token: %d %s", got.status, got.body)
	}
	if got := w.call("", "GET", "/healthz", nil); got.status != 200 {
		t.Errorf("what is public: %d %s", got.status, got.body)
	}
}
