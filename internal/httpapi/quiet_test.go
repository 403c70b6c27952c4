package httpapi

import (
	"slices"
	"strings"
	"testing"
)

// TestEveryCheckIsQuiet: no operation that takes a card, a code or what a card has signed
// may be told of at once, nor one by which devices get what they check with; and none about
// a case by itself. A new one cannot be forgotten.
func TestEveryCheckIsQuiet(t *testing.T) {
	ops, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	quiet := 0
	for _, o := range ops {
		for _, of := range []string{"cases", "attestations", "cards", "documents", "openings", "shared", "look-ups", "requests"} {
			if about := "/api/v1/" + of; o.route != about && !strings.HasPrefix(o.route, about+"/") {
				continue
			}
			if !o.cases {
				t.Errorf("%s is about cases, and has no x-case", o.id)
			}
		}
		why := ""
		if body := o.spec.Operation.RequestBody; body != nil && o.json {
			for name := range body.Value.Content.Get(mediaJSON).Schema.Value.Properties {
				if slices.Contains([]string{"digits", "code", "proof", "signature", "nonce"}, name) {
					why = "takes " + name
				}
			}
		}
		if slices.ContainsFunc([]string{"/pack", "/status-lists/:list", "/answers-lists/:list", "/trust-list", "/trust-key", "/check", "/check/*file", "/card", "/api/v1/devices/self/envelope"}, func(route string) bool { return route == o.route }) {
			why = "is what devices check with"
		}
		if why != "" && !o.check {
			t.Errorf("%s %s, and has no x-check", o.id, why)
		}
		if o.check {
			quiet++
		}
	}
	if quiet < 15 {
		t.Errorf("found %d operations about checks: the contract is not read", quiet)
	}
}
