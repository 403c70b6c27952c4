package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/credentials/card"
)

// TestPapers: number and code of one card together say whether it is in use,
// without a token. Everything else is one answer, byte by byte.
func TestPapers(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	var begun struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &begun)
	issue := func() (c cardAnswer) {
		w.into(w.call(ngo, "POST", "/api/v1/cases/"+begun.ID+"/cards", `{"name":"SITI"}`), 201, &c)
		c.Number = strings.ReplaceAll(c.Number, "-", "")
		return c
	}
	made, locked, paused := issue(), issue(), issue()
	ask := func(number, code string) answer {
		t.Helper()
		got := w.call("", "POST", "/api/v1/papers", map[string]string{"number": number, "code": code})
		if got.status != 200 {
			t.Fatalf("got %d %s", got.status, got.body)
		}
		return got
	}
	random, err := card.NewNumber(nil)
	if err != nil {
		t.Fatal(err)
	}
	unknown := ask(random, "0123456789")
	if want := `{"answer":"unknown","desk":"+855 00 000 000"}   ` + "\n"; string(unknown.body) != want {
		t.Errorf("a random number: %s, want %s", unknown.body, want)
	}
	w.wrongCodes = 3 // instead of a thousand
	for range 3 {
		ask(locked.Number, "0123456789")
	}
	for name, c := range map[string]struct{ number, code string }{
		"another code":                 {made.Number, paused.Code},
		"another random number":        {"000000000097", made.Code},
		"wrong check digits":           {made.Number[:11] + string('0'+(made.Number[11]-'0'+1)%10), made.Code},
		"after all wrong codes, right": {locked.Number, locked.Code},
		"after all wrong codes, wrong": {locked.Number, made.Code},
		"words":                        {"no number", "no code"},
		"nothing":                      {"", ""},
	} {
		got := ask(c.number, c.code)
		if string(got.body) != string(unknown.body) {
			t.Errorf("%s: %s, want %s", name, got.body, unknown.body)
		}
		for _, h := range []http.Header{got.header, unknown.header} {
			h.Del("Date")
			h.Del("X-Request-Id") // random
		}
		for h := range got.header {
			if got.header.Get(h) != unknown.header.Get(h) {
				t.Errorf("%s: header %s is %q, of a random number %q", name, h, got.header.Get(h), unknown.header.Get(h))
			}
		}
	}

	w.wrongCodes = 0

	state := func(c cardAnswer) string {
		var a struct{ Answer, Desk string }
		w.into(ask(c.Number[:4]+"-"+c.Number[4:8]+" "+c.Number[8:], c.Code[:5]+" "+c.Code[5:]), 200, &a)
		return a.Answer
	}
	if got := state(made); got != "in_use" {
		t.Errorf("a card in use: %s", got)
	}
	// A finding on a card shows nowhere: a lost-document record gets the same.
	var screening struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+begun.ID+"/attestations", screeningBody(t)), 201, &screening)
	var found cardAnswer
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+begun.ID+"/cards", map[string]string{"name": "SITI", "attestation": screening.ID}), 201, &found)
	found.Number = strings.ReplaceAll(found.Number, "-", "")
	if plain, with := ask(made.Number, made.Code), ask(found.Number, found.Code); string(plain.body) != string(with.body) {
		t.Errorf("a plain card: %s, one with a finding: %s", plain.body, with.body)
	}
	w.into(w.call(ngo, "POST", "/api/v1/cards/"+paused.ID+"/status", `{"action":"pause","reason":"other"}`), 200, nil)
	if got := state(paused); got != "not_in_use" {
		t.Errorf("a paused card: %s", got)
	}

	for name, body := range map[string]string{
		"no code": `{"number":"1"}`, "a member more": `{"number":"1","code":"1","name":"SITI"}`, "numbers": `{"number":1,"code":1}`,
		"too long": `{"number":"` + strings.Repeat("1", 65) + `","code":"1"}`,
	} {
		if got := w.call("", "POST", "/api/v1/papers", body); got.status != 400 || strings.Contains(string(got.body), "SITI") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for _, secret := range []string{made.Number, made.Code, random} {
		if strings.Contains(w.log.String(), secret) {
			t.Error("a number or a code was logged")
		}
	}
}

// TestWrongCodesOfOne is hostile case 90: somebody at another agency's desk who knows a
// number alone doesn't shut its holder out at hers.
func TestWrongCodesOfOne(t *testing.T) {
	w := newWorld(t)
	ngo, desk := w.admit("Lotus", "NGO", "KHM", "supervisor"), w.admit("Lotus", "NGO", "KHM", "caseworker")
	him := w.admit("Bridge", "NGO", "THA", "caseworker")
	var made cardAnswer
	w.into(w.call(ngo, "POST", w.cases(ngo)+"/cards", `{"name":"SITI"}`), 201, &made)
	attend := func(by, code string, want int) {
		t.Helper()
		got := w.call(by, "POST", "/api/v1/cases/attendances", map[string]string{"number": made.Number, "code": code})
		if got.status != want {
			t.Fatalf("got %d %s, want %d", got.status, got.body, want)
		}
	}
	w.wrongCodes = 3 // instead of 20
	for range 4 {
		attend(him, "0123456789", http.StatusForbidden)
	}
	attend(desk, made.Code, http.StatusCreated)
}
