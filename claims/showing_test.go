package claims_test

import (
	"testing"

	"github.com/safeconduct/safeconduct/claims"
)

// yes is the consent of somebody who agreed to everything, in freedom.
func yes(edit func(*claims.Consent)) *claims.Consent {
	c := &claims.Consent{
		Interview: true, GivenOn: "2026-03-08", Circumstance: "free", SafeIfStateKnows: "yes", MissionMayBeContacted: true,
		ShareScope: claims.Values("share_scope"), TransferToState: []string{"ETH"},
	}
	if edit != nil {
		edit(c)
	}
	return c
}

// TestAllows: may this be shown to whom, for what, on this day? Not asked and
// not sure are no.
func TestAllows(t *testing.T) {
	ethiopian := claims.Origin{Stated: []string{"ETH"}, Host: "KHM"}
	mission := claims.Recipient{Class: "x_DiplomaticMission", Country: "ETH"}
	police := claims.Recipient{Class: "LawEnforcement", Country: "ETH"}
	const contact, identity = claims.PurposeContact, "confirm_identity"
	without := func(scope string) *claims.Consent {
		return yes(func(c *claims.Consent) {
			var rest []string
			for _, s := range c.ShareScope {
				if s != scope {
					rest = append(rest, s)
				}
			}
			c.ShareScope = rest
		})
	}
	for _, c := range []struct {
		name    string
		words   []*claims.Consent
		to      claims.Recipient
		origin  claims.Origin
		purpose string
		on      claims.Day
		want    bool
	}{
		{"her mission, a free yes", []*claims.Consent{yes(nil)}, mission, ethiopian, identity, "2026-03-10", true},
		{"on the day itself", []*claims.Consent{yes(nil)}, mission, ethiopian, identity, "2026-03-08", true},
		{"before she was asked", []*claims.Consent{yes(nil)}, mission, ethiopian, identity, "2026-03-07", false},
		{"long after, in freedom", []*claims.Consent{yes(nil)}, mission, ethiopian, identity, "2027-12-01", true},
		{"no day", []*claims.Consent{yes(nil)}, mission, ethiopian, identity, "", false},
		{"a day that is none", []*claims.Consent{yes(nil)}, mission, ethiopian, identity, "soon", false},
		{"nobody asked her", nil, mission, ethiopian, identity, "2026-03-10", false},
		{"an empty consent", []*claims.Consent{{}}, mission, ethiopian, identity, "2026-03-10", false},
		{"not even the interview", []*claims.Consent{yes(func(c *claims.Consent) { c.Interview = false })}, mission, ethiopian, identity, "2026-03-10", false},
		{"an unknown purpose", []*claims.Consent{yes(nil)}, mission, ethiopian, "curiosity", "2026-03-10", false},
		{"no purpose", []*claims.Consent{yes(nil)}, mission, ethiopian, "", "2026-03-10", false},

		{"safety not asked", []*claims.Consent{yes(func(c *claims.Consent) { c.SafeIfStateKnows = "" })}, mission, ethiopian, identity, "2026-03-10", false},
		{"safety not sure", []*claims.Consent{yes(func(c *claims.Consent) { c.SafeIfStateKnows = "unsure" })}, mission, ethiopian, identity, "2026-03-10", false},
		{"safety in an older word", []*claims.Consent{yes(func(c *claims.Consent) { c.SafeIfStateKnows = "not_sure" })}, mission, ethiopian, identity, "2026-03-10", false},
		{"not safe", []*claims.Consent{yes(func(c *claims.Consent) { c.SafeIfStateKnows = "no" })}, mission, ethiopian, identity, "2026-03-10", false},
		{"no to the mission", []*claims.Consent{yes(func(c *claims.Consent) { c.MissionMayBeContacted = false })}, mission, ethiopian, identity, "2026-03-10", false},
		{"detained", []*claims.Consent{yes(func(c *claims.Consent) { c.Circumstance = "detained" })}, mission, ethiopian, identity, "2026-03-10", false},
		{"just come out", []*claims.Consent{yes(func(c *claims.Consent) { c.Circumstance = "first_72h" })}, mission, ethiopian, identity, "2026-03-10", false},
		{"nobody said how free she was", []*claims.Consent{yes(func(c *claims.Consent) { c.Circumstance = "" })}, mission, ethiopian, identity, "2026-03-10", false},
		{"not with the mission of origin", []*claims.Consent{without("mission_of_origin")}, mission, ethiopian, identity, "2026-03-10", false},
		{"to be asked again by then", []*claims.Consent{yes(func(c *claims.Consent) { c.ReconfirmBy = "2026-03-09" })}, mission, ethiopian, identity, "2026-03-10", false},
		{"to be asked again some day", []*claims.Consent{yes(func(c *claims.Consent) { c.ReconfirmBy = "soon" })}, mission, ethiopian, identity, "2026-03-10", false},

		{"on a card", []*claims.Consent{yes(nil)}, mission, ethiopian, contact, "2026-03-10", true},
		{"on a card, nothing to be shown", []*claims.Consent{yes(func(c *claims.Consent) { c.ShareScope = nil })}, mission, ethiopian, contact, "2026-03-10", true},
		{"on a card, not safe", []*claims.Consent{yes(func(c *claims.Consent) { c.SafeIfStateKnows = "no" })}, mission, ethiopian, contact, "2026-03-10", false},
		{"on a card, another mission", []*claims.Consent{yes(nil)}, claims.Recipient{Class: "x_DiplomaticMission", Country: "KEN"}, ethiopian, contact, "2026-03-10", false},
		{"on a card, no mission named", []*claims.Consent{yes(nil)}, claims.Recipient{Class: "x_DiplomaticMission"}, ethiopian, contact, "2026-03-10", false},
		{"on a card, she stated nothing", []*claims.Consent{yes(nil)}, mission, claims.Origin{Host: "KHM"}, contact, "2026-03-10", false},
		{"on a card, only a document shows it", []*claims.Consent{yes(nil)}, mission, claims.Origin{Shown: []string{"ETH"}, Host: "KHM"}, contact, "2026-03-10", false},
		{"on a card, a document shows another than she stated", []*claims.Consent{yes(nil)}, claims.Recipient{Class: "x_DiplomaticMission", Country: "KEN"}, claims.Origin{Stated: []string{"ETH"}, Shown: []string{"KEN"}, Host: "KHM"}, contact, "2026-03-10", false},
		{"on a card, the second that she stated", []*claims.Consent{yes(nil)}, mission, claims.Origin{Stated: []string{"KEN", "ETH"}, Host: "KHM"}, contact, "2026-03-10", true},
		{"on a card, by another code of her state", []*claims.Consent{yes(nil)}, claims.Recipient{Class: "x_DiplomaticMission", Country: "XKX"}, claims.Origin{Stated: []string{"RKS"}, Host: "KHM"}, contact, "2026-03-10", true},
		{"on a card, of no state", []*claims.Consent{yes(nil)}, claims.Recipient{Class: "x_DiplomaticMission", Country: "XXA"}, claims.Origin{Stated: []string{"XXA"}, Host: "KHM"}, contact, "2026-03-10", false},
		{"on a card, the police", []*claims.Consent{yes(nil)}, police, ethiopian, contact, "2026-03-10", false},

		{"police of her state, which she named", []*claims.Consent{yes(nil)}, police, ethiopian, identity, "2026-03-10", true},
		{"police of her state, unnamed", []*claims.Consent{yes(func(c *claims.Consent) { c.TransferToState = nil })}, police, ethiopian, identity, "2026-03-10", false},
		{"police of her state, safety not asked", []*claims.Consent{yes(func(c *claims.Consent) { c.SafeIfStateKnows = "" })}, police, ethiopian, identity, "2026-03-10", false},
		{"police where she is", []*claims.Consent{yes(func(c *claims.Consent) { c.SafeIfStateKnows = "no" })}, claims.Recipient{Class: "LawEnforcement", Country: "KHM"}, ethiopian, identity, "2026-03-10", true},
		{"police where she is, without a word of it", []*claims.Consent{without("police")}, claims.Recipient{Class: "LawEnforcement", Country: "KHM"}, ethiopian, identity, "2026-03-10", false},
		{"police of a third state", []*claims.Consent{yes(nil)}, claims.Recipient{Class: "LawEnforcement", Country: "THA"}, ethiopian, identity, "2026-03-10", false},
		{"police of a third state, named", []*claims.Consent{yes(func(c *claims.Consent) { c.TransferToState = []string{"THA"} })}, claims.Recipient{Class: "LawEnforcement", Country: "THA"}, ethiopian, identity, "2026-03-10", true},
		{"mission of a third state", []*claims.Consent{yes(func(c *claims.Consent) { c.SafeIfStateKnows = "no" })}, claims.Recipient{Class: "x_DiplomaticMission", Country: "THA"}, ethiopian, identity, "2026-03-10", true},
		{"mission of a third state, without a word of it", []*claims.Consent{without("other_mission")}, claims.Recipient{Class: "x_DiplomaticMission", Country: "THA"}, ethiopian, identity, "2026-03-10", false},

		{"an NGO of her country", []*claims.Consent{yes(func(c *claims.Consent) { c.SafeIfStateKnows = "" })}, claims.Recipient{Class: "NGO", Country: "ETH"}, ethiopian, "shelter", "2026-03-10", true},
		{"an NGO, without a word of it", []*claims.Consent{without("ngo")}, claims.Recipient{Class: "NGO", Country: "KHM"}, ethiopian, "shelter", "2026-03-10", false},
		{"an NGO, detained", []*claims.Consent{yes(func(c *claims.Consent) { c.Circumstance = "detained" })}, claims.Recipient{Class: "NGO", Country: "KHM"}, ethiopian, "shelter", "2026-03-22", true},
		{"an NGO, detained and not asked again", []*claims.Consent{yes(func(c *claims.Consent) { c.Circumstance = "detained" })}, claims.Recipient{Class: "NGO", Country: "KHM"}, ethiopian, "shelter", "2026-03-23", false},
		{"a later day written", []*claims.Consent{yes(func(c *claims.Consent) { c.Circumstance, c.ReconfirmBy = "detained", "2026-12-01" })}, claims.Recipient{Class: "NGO", Country: "KHM"}, ethiopian, "shelter", "2026-03-23", false},
		{"a business", []*claims.Consent{yes(nil)}, claims.Recipient{Class: "CorporateBusiness", Country: "KHM"}, ethiopian, identity, "2026-03-10", false},
		{"a class that nobody knows", []*claims.Consent{yes(nil)}, claims.Recipient{Class: "Bank", Country: "KHM"}, ethiopian, identity, "2026-03-10", false},
		{"no class", []*claims.Consent{yes(nil)}, claims.Recipient{Country: "KHM"}, ethiopian, identity, "2026-03-10", false},

		{"an older no", []*claims.Consent{yes(nil), {Interview: true, GivenOn: "2026-03-07"}}, mission, ethiopian, identity, "2026-03-10", true},
		{"a newer no", []*claims.Consent{yes(nil), {Interview: true, GivenOn: "2026-03-09"}}, mission, ethiopian, identity, "2026-03-10", false},
		{"a no of the same day", []*claims.Consent{yes(nil), {Interview: true, GivenOn: "2026-03-08"}}, mission, ethiopian, identity, "2026-03-10", false},
		{"a newer word that is to come", []*claims.Consent{yes(nil), yes(func(c *claims.Consent) { c.GivenOn = "2026-03-11" })}, mission, ethiopian, identity, "2026-03-10", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := claims.Showing{To: c.to, About: c.origin, Purpose: c.purpose, On: c.on}
			if got := claims.Allows(c.words, s); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestInvolves: who is an authority of her own state.
func TestInvolves(t *testing.T) {
	of := func(class, country string) claims.Recipient { return claims.Recipient{Class: class, Country: country} }
	list := func(s ...string) []string { return s }
	for _, c := range []struct {
		name   string
		origin claims.Origin
		to     claims.Recipient
		want   bool
	}{
		{"its mission", claims.Origin{Stated: list("ETH"), Host: "KHM"}, of("x_DiplomaticMission", "ETH"), true},
		{"its police", claims.Origin{Stated: list("ETH"), Host: "KHM"}, of("LawEnforcement", "ETH"), true},
		{"its immigration", claims.Origin{Stated: list("ETH"), Host: "KHM"}, of("ImmigrationService", "ETH"), true},
		{"its government", claims.Origin{Stated: list("ETH"), Host: "KHM"}, of("CentralGovernmentOrganisation", "ETH"), true},
		{"its town", claims.Origin{Stated: list("ETH"), Host: "KHM"}, of("LocalGovernmentOrganisation", "ETH"), true},
		{"its hospital", claims.Origin{Stated: list("ETH"), Host: "KHM"}, of("HealthServiceOrganisation", "ETH"), true},
		{"its school", claims.Origin{Stated: list("ETH"), Host: "KHM"}, of("SchoolOrCollege", "ETH"), true},
		{"an NGO there", claims.Origin{Stated: list("ETH"), Host: "KHM"}, of("NGO", "ETH"), false},
		{"a shelter there", claims.Origin{Stated: list("ETH"), Host: "KHM"}, of("x_Shelter", "ETH"), false},
		{"a lawyer there", claims.Origin{Stated: list("ETH"), Host: "KHM"}, of("LegalService", "ETH"), false},
		{"an international organisation there", claims.Origin{Stated: list("ETH"), Host: "KHM"}, of("x_InternationalOrganisation", "ETH"), false},
		{"another mission", claims.Origin{Stated: list("ETH"), Host: "KHM"}, of("x_DiplomaticMission", "KEN"), false},
		{"the second of two nationalities", claims.Origin{Stated: list("ETH", "KEN"), Host: "KHM"}, of("x_DiplomaticMission", "KEN"), true},
		{"what a document shows beside", claims.Origin{Stated: list("ETH"), Shown: list("ETH", "ERI"), Host: "KHM"}, of("x_DiplomaticMission", "ERI"), true},
		{"she is at home", claims.Origin{Stated: list("KHM"), Host: "KHM"}, of("LawEnforcement", "KHM"), true},
		{"nothing is known", claims.Origin{Host: "KHM"}, of("x_DiplomaticMission", "KEN"), true},
		{"nothing is known, the host's police", claims.Origin{Host: "KHM"}, of("LawEnforcement", "KHM"), false},
		{"nothing is known, an NGO", claims.Origin{Host: "KHM"}, of("NGO", "KEN"), false},
		{"stateless", claims.Origin{Stated: list("XXA"), Host: "KHM"}, of("x_DiplomaticMission", "KEN"), true},
		{"her word and her passport contradict", claims.Origin{Stated: list("ETH"), Shown: list("KEN"), Host: "KHM"}, of("x_DiplomaticMission", "UGA"), true},
		{"they contradict, the host's police", claims.Origin{Stated: list("ETH"), Shown: list("KEN"), Host: "KHM"}, of("LawEnforcement", "KHM"), false},
		{"they contradict, one of them is the host", claims.Origin{Stated: list("ETH"), Shown: list("KHM"), Host: "KHM"}, of("LawEnforcement", "KHM"), true},
		{"one state, two codes", claims.Origin{Stated: list("XKX"), Shown: list("RKS"), Host: "KHM"}, of("x_DiplomaticMission", "RKS"), true},
		{"one state, two codes, somebody else's mission", claims.Origin{Stated: list("XKX"), Shown: list("RKS"), Host: "KHM"}, of("x_DiplomaticMission", "SRB"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.origin.Involves(c.to); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
