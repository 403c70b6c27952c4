package credentials_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

// stated makes the fullest attestation of each kind, which is the first sample, in a case of
// house. Answers are another agency's, and each replaces one, so that nothing beside it is
// empty.
func (w *world) stated(t *testing.T) (caseID string, all map[claims.Kind]credentials.Attestation) {
	t.Helper()
	caseID, all = w.cases.open(w.house), map[claims.Kind]credentials.Attestation{}
	for _, k := range claims.Kinds() {
		files, err := filepath.Glob("../claims/testdata/" + string(k.Kind) + "*.json")
		if err != nil || len(files) == 0 {
			t.Fatalf("no sample of a %s: %v", k.Kind, err)
		}
		by, o := w.house, credentials.Order{Case: caseID, Claims: sample(strings.TrimSuffix(filepath.Base(files[0]), ".json"))}
		if k.Answers {
			by, o.Case, o.About = w.river, "", all[claims.KindScreening].ID
		}
		if k.Kind == claims.KindReply {
			by = w.kenya
		}
		all[k.Kind] = w.issue(t, by, o)
		if k.Kind != claims.KindScreening { // the others are about it, and not about one that was replaced
			o.Replaces = all[k.Kind].ID
			all[k.Kind] = w.issue(t, by, o)
		}
	}
	return caseID, all
}

// reader adds somebody of another agency, and says how he comes in.
func (w *world) reader(t *testing.T, r claims.Reader) (by audit.Actor, on claims.Access) {
	t.Helper()
	class, role, purpose := "NGO", "caseworker", "shelter"
	switch r {
	case claims.ReaderEmbassy:
		class, role, purpose = claims.ClassMission, "mission", "confirm_identity"
	case claims.ReaderOfficer:
		class, role = "ImmigrationService", "officer"
	case claims.ReaderAuthority:
		class, purpose = "CentralGovernmentOrganisation", "protection"
	case claims.ReaderLawyer:
		purpose, role = "legal_aid", "admin+supervisor"
	case claims.ReaderMedical:
		class = "HealthServiceOrganisation"
	}
	by = audit.Actor{ID: storetest.NewID(), Agency: storetest.NewID(), Role: role}
	if err := w.agencies.add(by.Agency, class, "THA"); err != nil {
		t.Fatal(err)
	}
	w.agencies.of[by.Agency].Agreed = nil
	return by, claims.Access{Purpose: purpose, Parts: claims.Parts}
}

// TestReadByReader is of hostile case 86. Of an attestation of each kind, each reader gets the
// signed form with the disclosures of what he sees, and no others: it verifies, every digest
// is where it was, and the history says who read what, as whom, for what and when.
func TestReadByReader(t *testing.T) {
	w := newWorld(t)
	caseID, all := w.stated(t)
	for _, r := range claims.Readers {
		if r == claims.ReaderOwn {
			continue
		}
		by, on := w.reader(t, r)
		w.cases.opened = &on
		view := claims.ViewOf(claims.Recipient{Class: w.agencies.of[by.Agency].Class, Identifies: r == claims.ReaderAuthority}, by.Roles(), on)
		if view.Reader != r {
			t.Fatalf("a %s is no %s", view.Reader, r)
		}
		sees := 0
		for _, k := range claims.Kinds() {
			name := k.Kind
			a, before := all[name], w.readings(t, caseID)
			got, err := w.issuer.Read(t.Context(), by, a.ID)
			seen := view.Claims(a.Kind)
			if len(seen) == 0 {
				wantError(t, string(r)+" reads a "+string(name), err, credentials.ErrNotFound)
				if len(w.readings(t, caseID)) != len(before) || got.Token != "" {
					t.Errorf("%s: what is not read of a %s is in the history, or was given out", r, name)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s reads a %s: %v", r, name, err)
				continue
			}
			sees++
			whole, shown := w.verified(t, a, a.Token), w.verified(t, a, got.Token)
			for claim := range whole {
				open := []string{"iss", "iat", "exp", "vct", "status", "attestation_id", "kind", "about"}
				if !slices.Contains(open, claim) && !slices.Contains(seen, claim) {
					delete(whole, claim)
				}
			}
			if diff := cmp.Diff(whole, shown); diff != "" {
				t.Errorf("%s of a %s: -want +got\n%s", r, name, diff)
			}
			if signed(got.Token) != signed(a.Token) || strings.Count(got.Token, "~") != strings.Count(a.Token, "~")-hidden(t, a, got.Token) {
				t.Errorf("%s of a %s: other bytes than were signed", r, name)
			}
			if n := digestsOf(t, got.Token); n != 48 {
				t.Errorf("%s of a %s: %d digests", r, name, n)
			}
			if got.Reader != r || got.Replaces != "" || !got.ReviewBy.IsZero() || got.ID != a.ID || got.About != a.About || got.Agency != a.Agency {
				t.Errorf("%s of a %s: beside it stands %s %q %v", r, name, got.Reader, got.Replaces, got.ReviewBy)
			}
			after := w.readings(t, caseID)
			want := map[string]string{
				"kind": string(a.Kind) + ".read", "id": string(a.ID), "actor": by.ID, "agency": by.Agency, "role": by.Role,
				"reader": string(r), "purpose": on.Purpose, "at": "2026-03-10T08:00Z", "day": "2026-03-10",
			}
			if len(after) != len(before)+1 || !maps.Equal(after[len(before)], want) {
				t.Errorf("%s of a %s: the history says %v, want %v", r, name, after[len(before):], want)
			}
		}
		if sees == 0 {
			t.Errorf("%s sees nothing", r)
		}
	}
}

// readings are the entries that say that something was read, as their kind and their body.
func (w *world) readings(t *testing.T, caseID string) (all []map[string]string) {
	t.Helper()
	kinds, bodies := w.notes(t, caseID)
	for i, kind := range kinds {
		if strings.HasSuffix(kind, ".read") {
			bodies[i]["kind"] = kind
			all = append(all, bodies[i])
		}
	}
	return all
}

// verified is what a signed form says to whoever has the issuer's key.
func (w *world) verified(t *testing.T, a credentials.Attestation, token string) map[string]any {
	t.Helper()
	parsed, err := sdjwt.Parse(token, sdjwt.TypeVC)
	if err != nil {
		t.Fatal(err)
	}
	said, err := parsed.Verify(&w.agencies.of[a.Agency].key.PublicKey, sdjwt.Policy{Now: w.clock, Required: []string{"iss", "iat", "exp", "status", "attestation_id", "kind"}})
	if err != nil {
		t.Fatal(err)
	}
	return said.Payload()
}

// signed is the part of a token that the issuer has signed, with its signature.
func signed(token string) string {
	jwt, _, _ := strings.Cut(token, "~")
	return jwt
}

// hidden counts the disclosures of an attestation that a token of it does not have, each of
// which it would have as it is.
func hidden(t *testing.T, a credentials.Attestation, token string) int {
	t.Helper()
	all, shown := strings.Split(a.Token, "~"), strings.Split(token, "~")
	for _, one := range shown {
		if !slices.Contains(all, one) {
			t.Error("a disclosure that was not there")
		}
	}
	return len(all) - len(shown)
}

func digestsOf(t *testing.T, token string) int {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Digests []string `json:"_sd"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		t.Fatal(err)
	}
	return len(p.Digests)
}

// TestOwnReadings: the agency that keeps the case, and the one that signed, get all of it,
// and the history says so too.
func TestOwnReadings(t *testing.T) {
	w := newWorld(t)
	caseID, all := w.stated(t)
	w.cases.opened = &claims.Access{Purpose: "shelter", Parts: []claims.Part{claims.PartAttestations}}
	for name, a := range all {
		readers := []audit.Actor{w.house}
		if a.Agency == w.river.Agency {
			readers = append(readers, w.river)
		}
		for _, by := range readers {
			before := len(w.readings(t, caseID))
			got, err := w.issuer.Read(t.Context(), by, a.ID)
			if err != nil || got.Reader != claims.ReaderOwn || got.Token != a.Token || got.Replaces != a.Replaces || !got.ReviewBy.Equal(a.ReviewBy) {
				t.Errorf("%s, %v: as %s", name, err, got.Reader)
			}
			after := w.readings(t, caseID)
			if len(after) != before+1 || after[before]["reader"] != "own" || after[before]["actor"] != by.ID {
				t.Errorf("%s: the history has %v", name, after[before:])
			}
		}
	}
}

// TestStatusIsAWordOfItsOwn: a mission hears that somebody was screened only where that
// part was opened to it.
func TestStatusIsAWordOfItsOwn(t *testing.T) {
	w := newWorld(t)
	_, all := w.stated(t)
	by, on := w.reader(t, claims.ReaderEmbassy)
	w.cases.opened = &on
	on.Parts = slices.DeleteFunc(slices.Clone(claims.Parts), func(p claims.Part) bool { return p == claims.PartStatus })
	_, err := w.issuer.Read(t.Context(), by, all[claims.KindScreening].ID)
	wantError(t, "without it", err, credentials.ErrNotFound)
	if _, err := w.issuer.Read(t.Context(), by, all[claims.KindIdentity].ID); err != nil {
		t.Errorf("who she is: %v", err)
	}
	on.Parts = claims.Parts
	got, err := w.issuer.Read(t.Context(), by, all[claims.KindScreening].ID)
	if err != nil {
		t.Fatal(err)
	}
	if said := w.verified(t, all[claims.KindScreening], got.Token); said["trafficking_status"] == nil || said["interview"] != nil {
		t.Error("with it: not what a mission sees")
	}
}

// unwritten is a store whose log takes no entries.
type unwritten struct{ credentials.Store }

var errStopped = errors.New("the log has stopped")

func (unwritten) Append(context.Context, ...audit.Entry) error { return errStopped }

// TestNoReadingWithoutEntry: what cannot be written into the history is not released, to
// nobody.
func TestNoReadingWithoutEntry(t *testing.T) {
	w := newWorld(t)
	caseID, all := w.stated(t)
	by, on := w.reader(t, claims.ReaderCaseworker)
	w.cases.opened = &on
	if err := w.use(unwritten{w.db.Credentials()}); err != nil {
		t.Fatal(err)
	}
	for name, by := range map[string]audit.Actor{"its keeper": w.house, "another agency": by} {
		got, err := w.issuer.Read(t.Context(), by, all[claims.KindIdentity].ID)
		wantError(t, name, err, errStopped)
		if got.Token != "" || got.ID != "" {
			t.Errorf("%s reads it all the same", name)
		}
	}
	w.cases.broken = errors.New("nothing is sealed")
	if got, err := w.issuer.Read(t.Context(), w.house, all[claims.KindIdentity].ID); !errors.Is(err, w.cases.broken) || got.Token != "" {
		t.Errorf("an entry that cannot be sealed: %v", err)
	}
	w.cases.broken = nil
	if n := len(w.readings(t, caseID)); n != 0 {
		t.Errorf("%d readings in the history", n)
	}
}

// exchanged is a store in which one record has another one's content, or kind.
type exchanged struct {
	credentials.Store

	edit func(credentials.Issued) credentials.Issued
}

func (s exchanged) Get(ctx context.Context, id credentials.ID) (credentials.Issued, error) {
	d, err := s.Store.Get(ctx, id)
	return s.edit(d), err
}

// TestAnotherAttestationInItsPlace: a row that calls a screening something of which more is
// seen, or holds another one, shows nothing.
func TestAnotherAttestationInItsPlace(t *testing.T) {
	w := newWorld(t)
	_, all := w.stated(t)
	by, on := w.reader(t, claims.ReaderMedical)
	w.cases.opened = &on
	screening := all[claims.KindScreening]
	identity, err := w.store.Token(t.Context(), all[claims.KindIdentity].Issued)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(credentials.Issued) credentials.Issued{
		"another kind":    func(d credentials.Issued) credentials.Issued { d.Kind = claims.KindIdentity; return d },
		"another content": func(d credentials.Issued) credentials.Issued { d.Sealed = identity; return d },
		"another agency":  func(d credentials.Issued) credentials.Issued { d.Agency = w.river.Agency; return d },
	} {
		if err := w.use(exchanged{w.db.Credentials(), edit}); err != nil {
			t.Fatal(err)
		}
		got, err := w.issuer.Read(t.Context(), by, screening.ID)
		if err == nil || got.Token != "" || got.ID != "" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestReadLater: an attestation that has ended is read as on the day on which it was signed.
func TestReadLater(t *testing.T) {
	w := newWorld(t)
	_, all := w.stated(t)
	by, on := w.reader(t, claims.ReaderCaseworker)
	w.cases.opened = &on
	w.clock = w.clock.Add(4 * 365 * 24 * time.Hour)
	if _, err := w.issuer.Read(t.Context(), by, all[claims.KindIdentity].ID); err != nil {
		t.Errorf("four years later: %v", err)
	}
}
