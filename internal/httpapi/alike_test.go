package httpapi_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/people"
)

// worked is what an answer cost: the statements of the database and the calls of the
// keystore, one after the other. It is how equal times are shown, because a clock shows
// them on a quiet machine alone; make timing asks the clock.
func (w *world) worked(server *pgtest.Server, ask func() answer) (a answer, cost []string) {
	w.t.Helper()
	before, asked := len(server.Log(w.t)), len(w.witness.asked)
	a = ask()
	cost = ran(server.Log(w.t)[before:])
	for _, name := range aside {
		a.header.Del(name)
	}
	return a, append(cost, w.witness.asked[asked:]...)
}

// ran are the statements that PostgreSQL says it executed. A driver that asks whether a
// connection is alive that was idle for a second tells of the machine, not of the question.
func ran(log string) (all []string) {
	for _, line := range statement.FindAllStringSubmatch(log, -1) {
		if line[1] != "-- ping" {
			all = append(all, line[1])
		}
	}
	return all
}

// TestPapersWorkAlike is hostile case 90: number and code of a card in use, of one that is
// paused, a wrong code, a number that nobody has, one that is no number and one with too
// many wrong codes have the same headers, the same length, and the same work. At desks as
// well.
func TestPapersWorkAlike(t *testing.T) {
	server := pgtest.New(t, "log_statement=all")
	w := newWorldIn(t, server.Database(t), func(c *httpapi.Config) { c.Rate, c.StrangerRate = 1e6, 1e6 })
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	at := w.cases(ngo)
	issue := func() (c cardAnswer) {
		w.into(w.call(ngo, "POST", at+"/cards", `{"name":"SITI"}`), 201, &c)
		c.Number = strings.ReplaceAll(c.Number, "-", "")
		return c
	}
	made, paused, shut := issue(), issue(), issue()
	w.into(w.call(ngo, "POST", "/api/v1/cards/"+paused.ID+"/status", `{"action":"pause","reason":"other"}`), 200, nil)
	questions := []struct{ name, number, code string }{
		{"a card in use", made.Number, made.Code},
		{"a paused card", paused.Number, paused.Code},
		{"a wrong code", made.Number, paused.Code},
		{"a number that nobody has", "000000000097", made.Code},
		{"no number", "words", made.Code},
		{"no code", made.Number, "words"},
		{"too many wrong codes", shut.Number, shut.Code},
	}
	for _, door := range []struct {
		name string
		ask  func(number, code string) answer
		ok   int // of those that are given something, where that is more than an answer
	}{
		{"/papers", func(number, code string) answer {
			return w.call("", "POST", "/api/v1/papers", map[string]string{"number": number, "code": code})
		}, 0},
		{"a desk", func(number, code string) answer {
			return w.call(ngo, "POST", at+"/copies", map[string]string{"number": number, "code": code, "passphrase": "four words or more"})
		}, 1},
		{"whoever is on duty", func(number, code string) answer {
			return w.call(ngo, "POST", "/api/v1/cases/attendances", map[string]string{"number": number, "code": code})
		}, 1},
	} {
		w.wrongCodes = 1
		door.ask(shut.Number, made.Code) // what is done once in a while is done, and the number is shut
		w.wrongCodes = 0
		var first answer
		var want []string
		for i, q := range questions[door.ok:] {
			if q.number == shut.Number {
				w.wrongCodes = 1
			}
			got, cost := w.worked(server, func() answer { return door.ask(q.number, q.code) })
			w.wrongCodes = 0
			if i == 0 {
				first, want = got, cost
			}
			if got.status != first.status || len(got.body) != len(first.body) || !sameHeaders(got.header, first.header) {
				t.Errorf("%s, %s: %d, %d bytes %v, want %d, %d bytes %v", door.name, q.name, got.status, len(got.body), got.header, first.status, len(first.body), first.header)
			}
			if !slices.Equal(cost, want) {
				t.Errorf("%s, %s: works\n  %s\nand for %s\n  %s", door.name, q.name, strings.Join(cost, "\n  "), questions[door.ok].name, strings.Join(want, "\n  "))
			}
		}
		if door.ok == 0 && first.status != http.StatusOK || door.ok == 1 && first.status != http.StatusForbidden {
			t.Errorf("%s: got %d %s", door.name, first.status, first.body)
		}
	}
}

// drawn are ids, digests, challenges and moments, which differ with every request.
var drawn = regexp.MustCompile(`"[0-9A-Za-z+/=_-]{32,}"|"[0-9]{4}-[0-9]{2}-[0-9]{2}[^"]*"`)

// TestLookUpsWorkAlike is hostile case 54: a document that is recorded, one that is not,
// and one whose holder does not want to be found have one answer, byte for byte, and the
// same work, while they are asked for and when the second person agrees.
func TestLookUpsWorkAlike(t *testing.T) {
	server := pgtest.New(t, "log_statement=all")
	w := newWorldIn(t, server.Database(t), func(c *httpapi.Config) { c.Rate, c.StrangerRate = 1e6, 1e6 })
	ngo, officer := w.admit("Lotus", "NGO", "KHM", "supervisor"), w.admit("Gate", "ImmigrationService", "THA", "officer")
	gate := w.of(officer)
	record := func(number string, findable bool) {
		at, _ := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO", "document_number": number, "birth_date": "1995-03-14"})
		w.into(w.call(ngo, "PUT", at+"/findable", map[string]bool{"findable": findable}), 204, nil)
	}
	record("X1111111", true)
	record("X2222222", false)
	var first [2]answer
	var want [2][]string
	for i, number := range []string{"X0000000", "X0000000", "X3333333", "X1111111", "X2222222"} {
		asks := map[string]string{"kind": "PASSPORT", "issuing_state": "UTO", "document_number": number, "birth_date": "950314"}
		a, asking := w.worked(server, func() answer { return w.call(officer, "POST", "/api/v1/look-ups", asks) })
		var out asked
		w.into(a, 202, &out)
		w.person(gate, people.Admin).agreed(out.Request, "waits")
		b, agreeing := w.worked(server, func() answer { return w.person(gate, people.Officer).agree(out.Request) })
		for of, got := range [2]answer{a, b} {
			cost := [2][]string{asking, agreeing}[of]
			got.body = drawn.ReplaceAll(got.body, []byte(`""`))
			if i < 2 { // the first time something may be done once
				first[of], want[of] = got, cost
				continue
			}
			if got.status != first[of].status || string(got.body) != string(first[of].body) || !sameHeaders(got.header, first[of].header) {
				t.Errorf("%s: %d %s %v, want %d %s %v", number, got.status, got.body, got.header, first[of].status, first[of].body, first[of].header)
			}
			if !slices.Equal(cost, want[of]) {
				t.Errorf("%s: works\n  %s\nand for one that nobody has\n  %s", number, strings.Join(cost, "\n  "), strings.Join(want[of], "\n  "))
			}
		}
	}
}
