package roster_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestNamed is of hostile case 85: an agency is named for a state by two bodies, a day before it
// counts; by nobody alone, and by no row that was written past them.
func TestNamed(t *testing.T) {
	s := grown(t)
	ministry := s.id()
	of := roster.Agency{ID: ministry, Name: "Ministry", Class: "CentralGovernmentOrganisation", Country: "ETH", Desk: "+251", Kinds: []string{"opinion", "reply"}}
	s.must(roster.DoAdmitAgency, "", &roster.AdmitAgency{Agency: of}, s.op1, s.a1)
	s.pass(roster.Delay)
	officer := func(by ...string) error {
		return s.do(roster.DoAddPerson, ministry, &roster.AddPerson{
			Person: roster.Person{ID: s.id(), Agency: ministry, Roles: []roster.Role{roster.Mission}, Handle: "desk-1"}, Link: link("x", s.now+3600),
		}, by...)
	}
	if _, refused := errors.AsType[*invalid.Error](officer(s.op1, s.op2)); !refused {
		t.Error("somebody answers in a state's name whom the network has not named for one")
	}
	named := of
	named.Confirms = []string{"ETH"}
	for who, by := range map[string][]string{"an operator": {s.op1}, "two operators": {s.op1, s.op2}, "two agencies": {s.a1, s.b1}, "an agency": {s.a1, s.a2}} {
		if err := s.do(roster.DoChangeAgency, "", &roster.ChangeAgency{Agency: named}, by...); !errors.Is(err, roster.ErrNotAgreed) {
			t.Errorf("%s alone: %v", who, err)
		}
	}
	// What two agreed to says nothing of a state, and somebody writes one into the row.
	c := s.change(s.act(roster.DoChangeAgency, "", &roster.ChangeAgency{Agency: of}), s.op1, s.a1)
	c.Act = bytes.Replace(c.Act, []byte(`"level":""`), []byte(`"level":"","confirms":["ETH"]`), 1)
	if err := s.try(c); !errors.Is(err, roster.ErrProof) {
		t.Errorf("written into the row: %v", err)
	}

	s.must(roster.DoChangeAgency, "", &roster.ChangeAgency{Agency: named}, s.op1, s.a1)
	if len(s.view().Agencies[ministry].Confirms) > 0 {
		t.Error("it counts at once")
	}
	s.pass(roster.Delay)
	if got := s.view().Agencies[ministry].Confirms; len(got) != 1 || got[0] != "ETH" {
		t.Errorf("a day later it confirms for %v", got)
	}
	if err := officer(s.op1, s.op2); err != nil {
		t.Errorf("an officer who answers: %v", err)
	}

	for what, edit := range map[string]func(a *roster.Agency){
		"an NGO":                              func(a *roster.Agency) { a.Class = "NGO" },
		"one that signs no replies":           func(a *roster.Agency) { a.Kinds = []string{"opinion"} },
		"twice":                               func(a *roster.Agency) { a.Confirms = []string{"ETH", "ETH"} },
		"in no order":                         func(a *roster.Agency) { a.Confirms = []string{"KEN", "ETH"} },
		"for no state":                        func(a *roster.Agency) { a.Confirms = []string{"XXA"} },
		"for a state by another of its codes": func(a *roster.Agency) { a.Confirms = []string{"GBN"} },
		"for too many":                        func(a *roster.Agency) { a.Confirms = many(31) },
	} {
		bad := named
		edit(&bad)
		err := s.do(roster.DoChangeAgency, "", &roster.ChangeAgency{Agency: bad}, s.op1, s.a1)
		if input, ok := errors.AsType[*invalid.Error](err); !ok || len(input.Problems) == 0 {
			t.Errorf("%s: %v", what, err)
		}
	}
	embassy := named
	embassy.Class, embassy.Kinds, embassy.Confirms = claims.ClassMission, []string{}, []string{"DJI", "ERI"}
	if err := s.s.Check(s.act(roster.DoChangeAgency, "", &roster.ChangeAgency{Agency: embassy})); err != nil {
		t.Errorf("a mission that stands for two others: %v", err)
	}
}

func many(n int) (states []string) {
	for i := range n {
		states = append(states, "A"+string(rune('A'+i/26))+string(rune('A'+i%26)))
	}
	return states
}
