package vault

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// TestOwnState is of hostile case 83: no authority of the holder's own state, of whatever class, is
// told anything before she was asked whether that is safe. An NGO, a lawyer, a
// shelter and an international organisation of that country are not her state.
func TestOwnState(t *testing.T) {
	authorities := []string{
		"x_DiplomaticMission", "LawEnforcement", "ImmigrationService", "CentralGovernmentOrganisation", "LocalGovernmentOrganisation",
		"HealthServiceOrganisation", "SchoolOrCollege",
	}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	today := claims.NewDay(now)
	// She is in Cambodia.
	for _, c := range []struct {
		name          string
		stated, shown []string
		hers          []string // of UTO, KHM, THA
	}{
		{"a document shows it", nil, []string{"UTO"}, []string{"UTO"}},
		{"she stated it", []string{"THA"}, nil, []string{"THA"}},
		{"both", []string{"UTO"}, []string{"UTO"}, []string{"UTO"}},
		{"two nationalities", []string{"KHM", "UTO"}, []string{"UTO"}, []string{"UTO", "KHM"}},
		{"nothing is known", nil, nil, []string{"UTO", "THA"}},
		{"she has none", []string{"XXA"}, nil, []string{"UTO", "THA"}},
		{"a refugee's document", nil, []string{"XXB"}, []string{"UTO", "THA"}},
		{"the two contradict each other", []string{"MMR"}, []string{"UTO"}, []string{"UTO", "THA"}},
	} {
		for _, class := range claims.Values("org_type") {
			for _, country := range []string{"UTO", "KHM", "THA"} {
				to := claims.Recipient{Class: class, Country: country}
				origin := claims.Origin{Stated: c.stated, Shown: c.shown, Host: "KHM"}
				one := asked{to: to, signed: Signed{Origin: origin}, own: origin.Involves(to)}
				o := Order{Ask: Ask{Purpose: "protection", Circumstance: "free"}, Answers: Answers{Mission: true}, Text: sha256.Sum256(nil)}
				err := mayAsk(one, o)
				has := errors.Is(err, invalid.ErrInput)
				if want := slices.Contains(authorities, class) && slices.Contains(c.hers, country); has != want {
					t.Errorf("%s: %s of %s, not asked: %v", c.name, class, country, err)
				}
				if !has {
					continue
				}
				if p, ok := errors.AsType[*invalid.Error](err); !ok || p.Problems[0].Pointer != "/safe_if_state_knows" || p.Problems[0].Code != invalid.CodeRequired {
					t.Errorf("%s: %s of %s: %v", c.name, class, country, err)
				}
				for _, no := range []string{"no", "unsure"} {
					w := Word{Kind: WordGrant, Purpose: "protection", Circumstance: "free", Mission: true, SafeWithState: no, Given: now}
					if allows(w, nil, to, one.signed, today) {
						t.Errorf("%s: %s of %s, %s: allowed", c.name, class, country, no)
					}
				}
			}
		}
	}
}

// TestNationalities: what a document shows of where its holder is from.
func TestNationalities(t *testing.T) {
	zone := "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36%s7408122F1204159ZE184226B<<<<<10"
	for _, c := range []struct {
		name string
		d    Document
		want []string
	}{
		{"passport", Document{Kind: "PASSPORT", IssuingState: "MMR"}, []string{"MMR"}},
		{"passport of another state's national", Document{Kind: "PASSPORT", IssuingState: "UTO", MRZ: private.New(fmt.Sprintf(zone, "GBO"))}, []string{"UTO", "GBO"}},
		{"birth certificate", Document{Kind: "BIRTH_CERTIFICATE", IssuingState: "MMR"}, []string{"MMR"}},
		{"work permit", Document{Kind: "WORK_PERMIT", IssuingState: "KHM"}, nil},
		{"residence permit", Document{Kind: "RESIDENCE_PERMIT", IssuingState: "UTO", MRZ: private.New(fmt.Sprintf(zone, "VNM"))}, []string{"VNM"}},
		{"something", Document{Kind: "OTHER", IssuingState: "KHM"}, nil},
	} {
		if got := c.d.nationalities(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
