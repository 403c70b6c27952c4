package httpapi_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/people"
)

// counter is a case of one agency, a record of it that is shared with another one, and the
// people of that who stand at a counter.
type counter struct {
	*world
	keeper, reader       string // tokens of programs
	worker, colleague    *browser
	elsewhere            *browser // the worker in another browser
	agency, other        string   // ids
	replicas             []func(*http.Request)
	at, document, record string
	printed              cardAnswer
	desk                 *browser // somebody of the agency that keeps the case
	purpose              string
	parts                []string
}

// newCounter has a network of two processes.
func newCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{world: newWorld(t, func(cfg *httpapi.Config) { cfg.Rate, cfg.StrangerRate = 1e6, 1e6 }), purpose: "protection", parts: []string{"document", "pages"}}
	c.keeper, c.reader = c.admit("Lotus", "NGO", "KHM", "supervisor"), c.admit("Bridge", "NGO", "THA", "caseworker")
	c.admit("River", "NGO", "THA", "caseworker")
	c.agency, c.other = c.world.agency["Bridge"], c.world.agency["River"]
	c.worker, c.colleague = c.person(c.agency, people.Caseworker), c.person(c.agency, people.Supervisor)
	c.elsewhere = &browser{world: c.world, key: c.worker.key}
	c.into(c.elsewhere.signIn(), 201, nil)
	c.desk = c.person(c.world.agency["Lotus"], people.Supervisor)
	second, err := httpapi.New(c.cfg)
	if err != nil {
		t.Fatal(err)
	}
	there := httptest.NewServer(second)
	t.Cleanup(there.Close)
	c.replicas = []func(*http.Request){
		func(*http.Request) {},
		func(r *http.Request) { r.URL.Host = strings.TrimPrefix(there.URL, "http://") },
	}
	return c
}

// begins makes another case with a card, and shares its document.
func (c *counter) begins() {
	c.t.Helper()
	c.at, c.document = c.keeps(c.keeper, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	c.record = c.document[len("/api/v1/documents/"):]
	c.into(c.call(c.keeper, "POST", c.at+"/cards", map[string]any{"name": "SITI"}), 201, &c.printed)
	c.into(c.call(c.operator, "POST", "/api/v1/publications", nil), 201, nil)
	c.shares(0)
}

func (c *counter) shares(readings int) {
	c.t.Helper()
	order := grantTo(c.agency)
	order["purpose"], order["parts"], order["readings"], order["until"] = c.purpose, c.parts, readings, claims.NewDay(time.Now()).Add(10)
	c.slips[idIn(c.at)] = slip{c.printed.Number, c.printed.Code, c.shown(c.printed.Digits, c.printed.Code)}
	c.into(c.world.shares(c.keeper, c.document, order), 201, nil)
}

// signed opens with a device, as edit has it.
func (c *counter) signed(who *browser, edit func(o *card.Opening)) answer {
	c.t.Helper()
	v := c.shown(c.printed.Digits, c.printed.Code)
	handle := hex.EncodeToString(v.Card.Handle[:])
	var challenge struct{ Nonce string }
	c.into(who.call("POST", "/api/v1/openings/challenges", map[string]string{"card_handle": handle}), 201, &challenge)
	o := card.Opening{
		Nonce: challenge.Nonce, Device: c.deviceOf(c.agency), Agency: c.agency, Record: c.record,
		Purpose: c.purpose, Parts: c.parts, Minute: time.Now().Unix() / 60,
	}
	edit(&o)
	return who.call("POST", "/api/v1/openings", map[string]any{
		"nonce": o.Nonce, "device": o.Device, "record": o.Record, "card_handle": handle, "purpose": o.Purpose,
		"parts": o.Parts, "minute": o.Minute, "signature": base64.RawURLEncoding.EncodeToString(v.SignOpening(o)),
	})
}

func (c *counter) byCode(who *browser) answer {
	return who.call("POST", "/api/v1/openings/by-code", map[string]any{
		"record": c.record, "purpose": c.purpose, "parts": c.parts, "number": c.printed.Number, "code": c.printed.Code,
	})
}

func (c *counter) left(who *browser, edit ...func(*http.Request)) answer {
	return who.call("POST", "/api/v1/openings/left", map[string]any{"record": c.record, "purpose": c.purpose, "parts": c.parts}, edit...)
}

// reads wants an answer of the record, at every replica.
func (c *counter) reads(what string, who *browser, want int) {
	c.t.Helper()
	for n, replica := range c.replicas {
		if got := who.call("GET", c.document, nil, replica); got.status != want {
			c.t.Errorf("%s, at replica %d: %d %s, want %d", what, n, got.status, got.body, want)
		}
	}
}

// TestOneCheckIsNoKey is of hostile case 84: what one check or one opening answered opens
// nothing to a colleague, in another browser, for another purpose, for more of the record,
// with a device that is none, after the card was paused, withdrawn or replaced, after the
// record was taken back or shared again, or after the device was removed; at both of two
// replicas with the next request.
func TestOneCheckIsNoKey(t *testing.T) {
	c := newCounter(t)
	c.begins()
	got := c.call(c.reader, "POST", "/api/v1/verifications", map[string]string{"digits": c.printed.Digits, "code": c.printed.Code})
	var verdict map[string]any
	c.into(got, 200, &verdict)
	if verdict["card"] == nil || verdict["open_key"] != nil {
		t.Errorf("a check answers %v", verdict)
	}
	for _, one := range []struct {
		name string
		edit func(o *card.Opening)
		code string
	}{
		{"another purpose", func(o *card.Opening) { o.Purpose = "shelter" }, "opening.beyond_grant"},
		{"more of the record", func(o *card.Opening) { o.Parts = []string{"document", "pages", "portrait"} }, "opening.beyond_grant"},
		{"a device that does not exist", func(o *card.Opening) { o.Device = randomID() }, "opening.device"},
		{"another agency's device", func(o *card.Opening) { o.Device = c.deviceOf(c.other) }, "opening.device"},
		{"signed for another agency", func(o *card.Opening) { o.Agency = c.other }, "opening.refused"},
		{"another record", func(o *card.Opening) { o.Record = randomID() }, "opening.refused"},
	} {
		if got := c.signed(c.worker, one.edit); got.status != http.StatusForbidden || got.code() != one.code {
			t.Errorf("%s: %d %s", one.name, got.status, got.body)
		}
	}
	c.reads("nothing was opened", c.worker, http.StatusForbidden)
	as := func(string) {}
	for _, one := range []struct {
		name string
		end  func(device string)
		who  *browser
		want int
	}{
		{"the one who opened it", as, c.worker, http.StatusOK},
		{"a colleague", as, c.colleague, http.StatusForbidden},
		{"she in another browser", as, c.elsewhere, http.StatusForbidden},
		{"after the card was paused", func(string) { c.changes("pause") }, c.worker, http.StatusForbidden},
		{"after the card was withdrawn", func(string) { c.changes("withdraw") }, c.worker, http.StatusForbidden},
		{"after the card was replaced", func(string) {
			c.into(c.call(c.keeper, "POST", c.at+"/cards", map[string]any{"name": "SITI", "replaces": c.printed.ID}), 201, nil)
		}, c.worker, http.StatusForbidden},
		{"after it was taken back", func(string) {
			c.into(c.call(c.keeper, "DELETE", c.document+"/grants/"+c.agency, nil), 204, nil)
		}, c.worker, http.StatusNotFound},
		{"after it was shared again", func(string) { c.shares(0) }, c.worker, http.StatusForbidden},
		{"after she signed out and in", func(string) {
			c.into(c.worker.call("DELETE", "/api/v1/sessions/self", nil), 204, nil)
			c.into(c.worker.signIn(), 201, nil)
		}, c.worker, http.StatusForbidden},
		{"after the device was removed", func(device string) {
			c.agree(c.call(c.operator, "DELETE", "/api/v1/devices/"+device, nil))
			delete(c.devices, c.agency)
		}, c.worker, http.StatusForbidden},
	} {
		c.begins()
		c.into(c.signed(c.worker, func(*card.Opening) {}), 201, nil)
		c.reads(one.name+", before", c.worker, http.StatusOK)
		one.end(c.deviceOf(c.agency))
		c.reads(one.name, one.who, one.want)
	}
}

func (c *counter) changes(action string) {
	c.t.Helper()
	c.into(c.call(c.keeper, "POST", "/api/v1/cards/"+c.printed.ID+"/status", map[string]string{"action": action, "reason": "other"}), 200, nil)
}

// TestOpenByCode: number and code open what they are of, and a wrong code, another's card
// and a card out of use are one answer.
func TestOpenByCode(t *testing.T) {
	c := newCounter(t)
	c.begins()
	other := c.printed
	c.begins()
	mine := c.printed
	for name, edit := range map[string]func(){
		"a wrong code": func() { c.printed.Code = wrongCode(mine.Code) }, "another's card": func() { c.printed = other }, "a number that nobody has": func() { c.printed.Number = "1234 1234 1234" },
	} {
		c.printed = mine
		edit()
		if got := c.byCode(c.worker); got.status != http.StatusForbidden || got.code() != "code_refused" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	c.printed = mine
	var open struct{ Expires time.Time }
	c.into(c.byCode(c.worker), 201, &open)
	if left := time.Until(open.Expires); left > 15*time.Minute || left < 13*time.Minute {
		t.Errorf("open for %s", left)
	}
	c.reads("with her code", c.worker, http.StatusOK)
	c.changes("withdraw")
	if got := c.byCode(c.worker); got.status != http.StatusForbidden || got.code() != "code_refused" {
		t.Errorf("a card that was withdrawn: %d %s", got.status, got.body)
	}
	c.reads("after that", c.worker, http.StatusForbidden)
	if got := c.call(c.keeper, "POST", "/api/v1/openings/by-code", map[string]any{"record": c.record, "purpose": c.purpose, "parts": c.parts, "number": mine.Number, "code": mine.Code}); got.status != http.StatusNotFound {
		t.Errorf("what is shared with nobody: %d %s", got.status, got.body)
	}
}

// wrongCode is a code that is not this one.
func wrongCode(code string) string {
	if code[0] == '1' {
		return "2" + code[1:]
	}
	return "1" + code[1:]
}

// TestLeft: a reading that she left is taken by people alone, each is named in her history,
// and of two processes one takes the last.
func TestLeft(t *testing.T) {
	c := newCounter(t)
	c.begins()
	if got := c.left(c.worker); got.status != http.StatusForbidden || got.code() != "not_opened" {
		t.Errorf("she left none: %d %s", got.status, got.body)
	}
	c.shares(2)
	if got := c.call(c.reader, "POST", "/api/v1/openings/left", map[string]any{"record": c.record, "purpose": c.purpose, "parts": c.parts}); got.status != http.StatusUnauthorized {
		t.Errorf("a program takes one: %d %s", got.status, got.body)
	}
	c.into(c.left(c.worker), 201, nil)
	c.reads("to the one who took it", c.worker, http.StatusOK)
	c.reads("to a colleague", c.colleague, http.StatusForbidden)
	var wg sync.WaitGroup
	answers := make([]answer, 8)
	for i := range answers {
		who := []*browser{c.colleague, c.elsewhere}[i%2]
		wg.Go(func() { answers[i] = c.left(who, c.replicas[i%2]) })
	}
	wg.Wait()
	taken := 0
	for _, got := range answers {
		switch {
		case got.status == http.StatusCreated:
			taken++
		case got.code() != "readings_spent" && got.code() != "changed_meanwhile":
			t.Errorf("one of many: %d %s", got.status, got.body)
		}
	}
	if taken != 1 {
		t.Errorf("the last reading was taken %d times", taken)
	}
	var shared struct {
		Records []struct{ Readings, Taken int }
	}
	c.into(c.call(c.reader, "GET", "/api/v1/shared", nil), 200, &shared)
	if len(shared.Records) != 1 || shared.Records[0].Readings != 2 || shared.Records[0].Taken != 2 {
		t.Errorf("the agency is told %+v", shared.Records)
	}
	var history struct {
		Entries []struct {
			Kind string
			Body struct{ Actor, Agency, How string }
		}
	}
	c.into(c.call(c.keeper, "GET", c.at+"/history", nil), 200, &history)
	named := 0
	for _, e := range history.Entries {
		if e.Kind == "record.opened" && e.Body.How == "left" && e.Body.Agency == c.agency && len(e.Body.Actor) == 32 {
			named++
		}
	}
	if named != 2 {
		t.Errorf("her history names %d of two: %+v", named, history)
	}
}

// TestReadAgain: after three openings on a day the next waits for the yes of one person of
// the agency that keeps the record, and that yes is for one. Nobody asks for it before, nor
// twice: however many ask, the desk has one request.
func TestReadAgain(t *testing.T) {
	c := newCounter(t)
	c.begins()
	asks := func(who *browser) answer {
		return who.call("POST", "/api/v1/openings/again", map[string]string{"record": c.record})
	}
	early := func(what string) {
		t.Helper()
		if got := asks(c.worker); got.status != http.StatusConflict || got.code() != "state_conflict" {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	for range 3 {
		early("asked while there are readings")
		c.into(c.byCode(c.worker), 201, nil)
	}
	refused := func(what string) {
		t.Helper()
		if got := c.byCode(c.colleague); got.status != http.StatusForbidden || got.code() != "read_again" {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	refused("a fourth")
	var out asked
	many := make([]answer, 8)
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() { many[i] = asks([]*browser{c.worker, c.colleague}[i%2]) })
	}
	wg.Wait()
	waiting := 0
	for _, got := range many {
		switch got.status {
		case http.StatusAccepted:
			waiting++
			c.into(got, 202, &out)
		case http.StatusConflict:
		default:
			t.Errorf("asked at once: %d %s", got.status, got.body)
		}
	}
	if waiting != 1 {
		t.Errorf("%d of 8 wait", waiting)
	}
	early("asked once more")
	refused("it was asked for")
	if out.Request.Mine {
		t.Error("who asks agrees")
	}
	beside := c.person(c.world.agency["Lotus"], people.Caseworker)
	if got := beside.call("GET", "/api/v1/requests/"+out.Request.ID, nil); got.status != http.StatusNotFound {
		t.Errorf("a colleague whose case it is not is asked: %d", got.status)
	}
	c.desk.agreed(out.Request, "done")
	early("it was let")
	c.into(c.byCode(c.colleague), 201, nil)
	refused("a fifth")
	c.into(asks(c.colleague), 202, nil)
	var history struct{ Entries []struct{ Kind string } }
	c.into(c.call(c.keeper, "GET", c.at+"/history", nil), 200, &history)
	n := 0
	for _, e := range history.Entries {
		if e.Kind == "record.read_again" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("her history says %d times that it was let", n)
	}
	stranger := c.person(c.other, people.Caseworker)
	if got := stranger.call("POST", "/api/v1/openings/again", map[string]string{"record": c.record}); got.status != http.StatusNotFound {
		t.Errorf("what is not shared: %d %s", got.status, got.body)
	}
}
