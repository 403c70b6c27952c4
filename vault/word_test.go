package vault

import (
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/claims"
)

// TestAllows is of hostile case 83: the newest day counts, and of it everything that she
// said; what was only recorded lifts nothing; what was not said in freedom takes two
// agencies, and lasts 14 days.
func TestAllows(t *testing.T) {
	monday := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return monday.AddDate(0, 0, n) }
	ngo, embassy := claims.Recipient{Class: "NGO", Country: "THA"}, claims.Recipient{Class: claims.ClassMission, Country: "UTO"}
	origin := claims.Origin{Shown: []string{"UTO"}, Host: "KHM"}
	yes := func(n int) Word {
		return Word{ID: "w", Kind: WordGrant, State: InForce, Purpose: "protection", Circumstance: "free", SafeWithState: "yes", Mission: true, Given: day(n)}
	}
	word := func(n int, edit func(*Word)) Word {
		w := yes(n)
		edit(&w)
		return w
	}
	none := func(n int) Word { return Word{ID: "n", Kind: WordNone, State: InForce, Given: day(n)} }
	heard := func(n int, safe string) Word {
		return word(n, func(w *Word) { w.ID, w.Kind, w.SafeWithState, w.Mission = "r", WordRecord, safe, safe == "yes" })
	}
	signed := func(n int, edit func(*claims.Consent)) *claims.Consent {
		c := &claims.Consent{
			Interview: true, GivenOn: claims.NewDay(day(n)), ShareScope: claims.Values("share_scope"), TransferToState: []string{"UTO"},
			Circumstance: "free", SafeIfStateKnows: "yes", MissionMayBeContacted: true,
		}
		edit(c)
		return c
	}
	no := func(c *claims.Consent) { c.ShareScope, c.SafeIfStateKnows, c.MissionMayBeContacted = nil, "no", false }
	same := func(*claims.Consent) {}
	held := func(c *claims.Consent) { c.Circumstance, c.ReconfirmBy = "detained", c.GivenOn.Add(14) }
	detained := func(alone bool) func(*Word) { return func(w *Word) { w.Circumstance, w.Alone = "detained", alone } }
	for _, c := range []struct {
		name   string
		to     claims.Recipient
		w      Word
		words  []Word
		signed []*claims.Consent
		on     int
		want   bool
	}{
		{"her word alone", ngo, yes(0), nil, nil, 0, true},
		{"her own state, by her word", embassy, yes(0), nil, nil, 0, true},
		{"she signed no before", ngo, yes(1), nil, []*claims.Consent{signed(0, no)}, 1, true},
		{"she signed no that day", ngo, yes(1), nil, []*claims.Consent{signed(1, no)}, 1, false},
		{"she signed no since", ngo, yes(1), nil, []*claims.Consent{signed(2, no)}, 2, false},
		{"and yes after that", ngo, yes(1), nil, []*claims.Consent{signed(2, no), signed(3, same)}, 3, true},
		{"she took everything back before", ngo, yes(1), []Word{none(0)}, nil, 1, true},
		{"she took everything back that day", ngo, yes(1), []Word{none(1)}, nil, 1, false},
		{"she took everything back since", ngo, yes(1), []Word{none(2)}, nil, 2, false},
		{"that was a no which is over", ngo, yes(1), []Word{word(1, func(w *Word) { w.Kind, w.State = WordNone, Replaced })}, nil, 1, true},
		{"a worker heard no of her state", embassy, yes(1), []Word{heard(2, "no")}, nil, 2, false},
		{"which is not about others", ngo, yes(1), []Word{heard(2, "no")}, nil, 2, true},
		{"a worker heard no before", embassy, yes(1), []Word{heard(0, "no")}, nil, 1, true},
		{"a worker's yes lifts no signed no", embassy, yes(1), []Word{heard(3, "yes")}, []*claims.Consent{signed(2, no)}, 3, false},
		{"held", embassy, word(0, detained(false)), nil, nil, 0, false},
		{"held, and asked alone by two agencies", embassy, word(0, detained(true)), nil, nil, 0, true},
		{"14 days later", embassy, word(0, detained(true)), nil, nil, 14, true},
		{"15 days later", embassy, word(0, detained(true)), nil, nil, 15, false},
		{"held, as she signed the same day", embassy, word(0, detained(true)), nil, []*claims.Consent{signed(0, held)}, 0, true},
		{"held, as she signed the same day, and not asked alone", embassy, yes(0), nil, []*claims.Consent{signed(0, held)}, 0, false},
		{"held, for others", ngo, word(0, detained(false)), nil, nil, 14, true},
		{"held, for others, too long ago", ngo, word(0, detained(false)), nil, nil, 15, false},
		{"it is not safe", embassy, word(0, func(w *Word) { w.SafeWithState = "no" }), nil, nil, 0, false},
		{"she does not want it", embassy, word(0, func(w *Word) { w.Mission = false }), nil, nil, 0, false},
	} {
		if got := allows(c.w, c.words, c.to, Signed{c.signed, origin}, claims.NewDay(day(c.on))); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestWording: whatever can be asked has words, in every language that there is a text in,
// and in English for all others. What is special about an agency is said.
func TestWording(t *testing.T) {
	a := Ask{Purpose: "protection", Parts: Parts, Until: time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC), Keeper: "One agency", To: "Another agency"}
	for language, s := range speeches {
		for _, p := range claims.Values("sharing_purpose") {
			if p != claims.PurposeDanger && s.purposes[Purpose(p)] == "" {
				t.Errorf("%s has no words for %s", language, p)
			}
		}
		for _, p := range Parts {
			if s.parts[p] == "" {
				t.Errorf("%s has no words for %s", language, p)
			}
		}
	}
	for asked, want := range map[string]string{"en": "en", "en-GB": "en", "km": "en", "": "en"} {
		a.Language = asked
		if _, in := wording(a, false, false); in != want {
			t.Errorf("asked in %q, the text is in %q", asked, in)
		}
	}
	seen := map[string]bool{}
	for _, mission := range []bool{false, true} {
		for _, own := range []bool{false, true} {
			for _, a.Readings = range []int{0, 1, 10} {
				text, _ := wording(a, mission, own)
				seen[text] = true
				if len(text) > 4000 || !strings.Contains(text, "Another agency") || !strings.Contains(text, "10 March 2026") || strings.Contains(text, "<no value>") {
					t.Errorf("the text is %q", text)
				}
			}
		}
	}
	if len(seen) != 3*3 { // of her own state nothing is said beside it
		t.Errorf("%d texts", len(seen))
	}
}
