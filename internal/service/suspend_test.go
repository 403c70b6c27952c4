package service

import (
	"errors"
	"reflect"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestSuspendedAmongTheRooms: what the other rooms hear of an agency that is
// suspended, and of one that nobody knows.
func TestSuspendedAmongTheRooms(t *testing.T) {
	cfg, house, agency, _, _ := withPeople(t, config.Engines{})
	opened(t, cfg, func(s *Service) {
		seen := members{s.Network}
		for _, c := range []struct {
			name, agency     string
			suspend          bool
			issues, receives error
			class            string
		}{
			{"active", agency, false, nil, nil, "NGO"},
			{"suspended", agency, true, credentials.ErrNotAllowed, network.ErrConflict, ""},
			{"unknown", randomHex(16), false, credentials.ErrNotFound, network.ErrNotFound, ""},
		} {
			if c.suspend {
				if err := s.Suspend(t.Context(), agency, false); err != nil {
					t.Fatal(err)
				}
			}
			a, err := seen.Agency(t.Context(), c.agency)
			if !errors.Is(err, c.issues) || a.Class != c.class {
				t.Errorf("%s, as one that issues: %q, %v, want %v", c.name, a.Class, err, c.issues)
			}
			to, err := seen.Recipient(t.Context(), c.agency)
			if !errors.Is(err, c.receives) || err == nil && !reflect.DeepEqual(to, claims.Recipient{Class: "NGO", Country: "KHM"}) {
				t.Errorf("%s, as one to share with: %+v, %v, want %v", c.name, to, err, c.receives)
			}
		}
		if err := s.Suspend(t.Context(), agency, false); err != nil {
			t.Errorf("repeated: %v", err)
		}
		// Whoever has the folder alone cannot let it in again; people can.
		if err := s.End(t.Context(), roster.DoResumeAgency, "", &roster.ResumeAgency{ID: agency}); !errors.Is(err, roster.ErrProof) {
			t.Errorf("let in again by the root alone: %v, want ErrProof", err)
		}
		house = house.At(t, s.People, s.Passkeys)
		house.Do(roster.DoResumeAgency, "", &roster.ResumeAgency{ID: agency}, house.First)
		if _, err := seen.Agency(t.Context(), agency); err != nil {
			t.Errorf("let in again: %v", err)
		}
	})
}
