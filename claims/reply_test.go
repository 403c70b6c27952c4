package claims_test

import (
	"slices"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
)

// TestConfirms is of hostile case 85: over every class of agency, only the mission of a nationality that
// was stated, and an authority that the network has named for that state, confirm
// anybody, by an answer that matched and that they gave themselves.
func TestConfirms(t *testing.T) {
	const nothing, mission, named = claims.ConfirmsNothing, claims.ConfirmsAsMission, claims.ConfirmsAsNamed
	worth := func(r claims.Reply, by claims.Answerer, nationality string) claims.Confirmation {
		return r.Confirms(by, func(code string) bool { return code == nationality })
	}
	ethiopia := claims.Reply{Answer: "matched", Channel: "account", MissionState: "ETH"}
	authorities := []string{"CentralGovernmentOrganisation", "LocalGovernmentOrganisation", "ImmigrationService", "LawEnforcement"}
	for _, class := range append(claims.Values("org_type"), "", "x_Nobody") {
		of := func(country string, confirms ...string) claims.Answerer {
			return claims.Answerer{Class: class, Country: country, Confirms: confirms}
		}
		isMission, mayBe := class == claims.ClassMission, class == claims.ClassMission || slices.Contains(authorities, class)
		when := func(is bool, then claims.Confirmation) claims.Confirmation {
			if is {
				return then
			}
			return nothing
		}
		for what, tt := range map[string]struct {
			by          claims.Answerer
			nationality string
			want        claims.Confirmation
		}{
			"of her state":                          {of("ETH"), "ETH", when(isMission, mission)},
			"of her state, and named for another":   {of("ETH", "DJI"), "ETH", when(isMission, mission)},
			"of another state":                      {of("KEN"), "ETH", nothing},
			"of another state, named for hers":      {of("KEN", "DJI", "ETH"), "ETH", when(mayBe, named)},
			"of another state, named for a third":   {of("KEN", "DJI"), "ETH", nothing},
			"named for hers, and she is of another": {of("KEN", "ETH"), "KEN", nothing},
			"of nobody":                             {of(""), "ETH", nothing},
			"about one of another state":            {of("ETH"), "ERI", nothing},
			"about one who stated none":             {of("ETH"), "", nothing},
		} {
			if got := worth(ethiopia, tt.by, tt.nationality); got != tt.want {
				t.Errorf("%s %s: got %d, want %d", class, what, got, tt.want)
			}
		}
		if claims.MayBeNamed(class) != mayBe {
			t.Errorf("%s may be named: %v, want %v", class, !mayBe, mayBe)
		}
	}
	embassy := claims.Answerer{Class: claims.ClassMission, Country: "ETH"}
	for what, r := range map[string]claims.Reply{
		"not found":               {Answer: "not_found", Channel: "account", MissionState: "ETH"},
		"no answer":               {Channel: "account", MissionState: "ETH"},
		"relayed":                 {Answer: "matched", Channel: "relayed", MissionState: "ETH", CallBacks: someReply().CallBacks},
		"by no channel":           {Answer: "matched", MissionState: "ETH"},
		"in another state's name": {Answer: "matched", Channel: "account", MissionState: "KEN"},
		"in nobody's name":        {Answer: "matched", Channel: "account"},
	} {
		for _, nationality := range []string{"ETH", "KEN", ""} {
			if got := worth(r, embassy, nationality); got != nothing {
				t.Errorf("%s, about one of %q: got %d", what, nationality, got)
			}
		}
	}
	// One state has several codes, and some codes are no state's.
	british := claims.Reply{Answer: "matched", Channel: "account", MissionState: "GBR"}
	if got := worth(british, claims.Answerer{Class: claims.ClassMission, Country: "GBR"}, "GBN"); got != mission {
		t.Errorf("another code of her state: got %d", got)
	}
	stateless := claims.Reply{Answer: "matched", Channel: "account", MissionState: "XXA"}
	if got := worth(stateless, claims.Answerer{Class: claims.ClassMission, Country: "XXA", Confirms: []string{"XXA"}}, "XXA"); got != nothing {
		t.Errorf("the mission of no state: got %d", got)
	}
}

// TestNamedIsHerState: an agency that stands for her state is an authority of hers, wherever
// it is from: what goes to it takes what goes to her state.
func TestNamedIsHerState(t *testing.T) {
	hers := claims.Origin{Stated: []string{"ETH"}, Host: "KHM"}
	for _, class := range claims.Values("org_type") {
		of := claims.Recipient{Class: class, Country: "DJI"}
		if hers.Involves(of) {
			t.Errorf("a %s of another state is of hers", class)
		}
		of.For = []string{"ERI", "ETH"}
		if got, want := hers.Involves(of), hers.Involves(claims.Recipient{Class: class, Country: "ETH"}); got != want {
			t.Errorf("a %s that is named for her state: %v, want %v", class, got, want)
		}
	}
}
