package vault_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/vault"
)

// TestEveryMemberIsDecided: whoever adds a member of documents says what it tells, so that
// the table of readers says of each of them whether he sees it.
func TestEveryMemberIsDecided(t *testing.T) {
	_, is := claims.Topics()
	seen := 0
	var walk func(at string, typ reflect.Type)
	walk = func(at string, typ reflect.Type) {
		for _, m := range claims.Members(typ) {
			seen++
			switch {
			case m.Tells == claims.TopicEach:
				walk(at+"/"+m.Name, m.Type)
			case is[m.Tells] == "":
				t.Errorf("%s/%s tells %q, of which the table of readers knows nothing", at, m.Name, m.Tells)
			}
		}
	}
	walk("", reflect.TypeFor[vault.Document]())
	if seen < 30 {
		t.Errorf("%d members were looked at", seen)
	}
}

// members lists what a document has, as pointers.
func members(t *testing.T, d vault.Document) (names []string) {
	t.Helper()
	data, err := private.RevealJSON(d)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for name, value := range all {
		var inner map[string]json.RawMessage
		if name != "loss_report" || json.Unmarshal(value, &inner) != nil {
			names = append(names, "/"+name)
			continue
		}
		for within := range inner {
			names = append(names, "/"+name+"/"+within)
		}
	}
	slices.Sort(names)
	return names
}

// readers are agencies that a document is shared with, each for a purpose.
var readers = []struct {
	reader         claims.Reader
	class, country string
	role           string
	purpose        vault.Purpose
}{
	{claims.ReaderEmbassy, claims.ClassMission, "UTO", "mission", "confirm_identity"},
	{claims.ReaderOfficer, "ImmigrationService", "KHM", "officer", "protection"},
	{claims.ReaderCaseworker, "NGO", "THA", "caseworker", "shelter"},
	{claims.ReaderLawyer, "NGO", "THA", "supervisor", "legal_aid"},
	{claims.ReaderMedical, "x_InternationalOrganisation", "THA", "caseworker", "medical"},
}

// TestDocumentByReader is of hostile case 86. Each reader gets the members that are for him
// of the parts that were opened, hears which he sees of no document whatever this one has, and
// stands in the history as that reader.
func TestDocumentByReader(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	for _, role := range []vault.PageRole{vault.RoleData, vault.RolePortrait} {
		_, err := w.AddPage(ctx, w.worker, d.ID, vault.PageMeta{Role: role}, bytes.NewReader(pngOf(4, 4)))
		w.ok(err)
	}
	own, err := w.ReadDocument(ctx, w.worker, d.ID)
	w.ok(err)
	if own.Reader != claims.ReaderOwn || len(own.LeftOut) != 0 || len(own.Pages) != 2 || own.Document.Loss.TakenByRole == "" {
		t.Errorf("its own agency reads %+v, without %v", own.Reader, own.LeftOut)
	}
	paper := "/birth_date /document_number /expiry_date /holder_names /issuing_state /kind /mrz /mrz_checks /mrz_format /record_status /sex"
	lost := " /loss_report/event_date /loss_report/sltd_equivalent"
	keeps := " /custody /custody_since /loss_report/event"
	type want struct{ members, pages string }
	for i, one := range readers {
		t.Run(string(one.reader), func(t *testing.T) {
			by := audit.Actor{ID: id(), Agency: id(), Role: one.role, At: id()}
			w.directory[by.Agency] = claims.Recipient{Class: one.class, Country: one.country}
			g := w.grant(d.ID, by)
			g.Purpose = one.purpose
			w.ok(w.give(w.worker, g, vault.Signed{}))
			whole := map[claims.Reader]string{claims.ReaderEmbassy: paper + lost, claims.ReaderCaseworker: paper + lost + keeps, claims.ReaderLawyer: paper + lost + keeps}[one.reader]
			all := map[claims.Reader]string{claims.ReaderOfficer: "2", claims.ReaderMedical: "2"}[one.reader]
			if all == "" {
				all = "12"
			}
			opened := []struct {
				part vault.Part
				want want
			}{
				{vault.PartPortrait, want{"", "2"}}, {vault.PartDocument, want{whole, "2"}}, {vault.PartPages, want{whole, all}},
			}
			_, err := w.ReadDocument(ctx, by, d.ID)
			w.is("before it was opened", err, vault.ErrNotOpened)
			for _, o := range opened {
				w.open(by, d.ID, o.part)
				got, err := w.ReadDocument(ctx, by, d.ID)
				w.ok(err)
				sees := strings.Fields(o.want.members)
				slices.Sort(sees)
				if got := members(t, got.Document); !slices.Equal(got, sees) {
					t.Errorf("with %s: sees\n%v, want\n%v", o.part, got, sees)
				}
				listed := ""
				for _, p := range got.Pages {
					listed += string(rune('0' + p.Page))
				}
				if listed != o.want.pages || got.Reader != one.reader || got.Elsewhere {
					t.Errorf("with %s: %s lists the pages %s, want %s", o.part, got.Reader, listed, o.want.pages)
				}
				for _, name := range members(t, own.Document) {
					if slices.Contains(got.LeftOut, name) == slices.Contains(sees, name) {
						t.Errorf("with %s: %s is seen, or left out, and not one of both", o.part, name)
					}
				}
				for page, none := range map[int]error{1: map[bool]error{true: vault.ErrNotFound, false: vault.ErrNotOpened}[all == "2"], 2: nil} {
					if strings.ContainsRune(o.want.pages, rune('0'+page)) {
						none = nil
					}
					_, err := w.ReadPage(ctx, by, d.ID, page)
					w.is("page", err, none)
				}
			}
			events, err := w.History(ctx, w.worker, c.ID)
			w.ok(err)
			told := 0
			for _, e := range events {
				var said struct {
					Actor, Agency, Role, Reader, Purpose, At string
				}
				w.ok(json.Unmarshal(e.Note.Body, &said))
				if said.Actor != by.ID || e.Note.Kind != "document.read" && e.Note.Kind != "page.read" {
					continue
				}
				told++
				if said.Agency != by.Agency || said.Role != one.role || said.Reader != string(one.reader) || said.Purpose != string(one.purpose) || said.At == "" {
					t.Errorf("the history says %+v", said)
				}
			}
			if want := 3 + 3 + map[string]int{"12": 1, "2": 0}[all]; told != want {
				t.Errorf("reader %d: %d readings in the history, want %d", i, told, want)
			}
		})
	}
}

// TestWhoSeesNothing: whoever is no reader of the table, or sees nothing of a document,
// gets the answer for what does not exist, whatever was opened to him.
func TestWhoSeesNothing(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	for name, one := range map[string]struct {
		class, role string
		parts       []vault.Part
	}{
		"an officer, the document alone": {"ImmigrationService", "officer", []vault.Part{vault.PartDocument}},
		"a doctor, the document alone":   {"HealthServiceOrganisation", "caseworker", []vault.Part{vault.PartDocument}},
		"a mission's clerk":              {claims.ClassMission, "clerk", vault.Parts},
		"an admin":                       {"NGO", "admin", vault.Parts},
	} {
		by := audit.Actor{ID: id(), Agency: id(), Role: one.role, At: id()}
		w.directory[by.Agency] = claims.Recipient{Class: one.class, Country: "KHM"}
		w.share(d.ID, by)
		w.open(by, d.ID, one.parts...)
		_, err := w.ReadDocument(ctx, by, d.ID)
		w.is(name, err, vault.ErrNotFound)
	}
	w.has(c.ID, "document.read", 0)
}

// TestNoReadingWithoutEntry: what cannot be written into the history is not released, to
// nobody.
func TestNoReadingWithoutEntry(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	_, err := w.AddPage(ctx, w.worker, d.ID, vault.PageMeta{Role: vault.RoleData}, bytes.NewReader(pngOf(4, 4)))
	w.ok(err)
	w.share(d.ID, w.embassy)
	w.open(w.embassy, d.ID, vault.PartDocument, vault.PartPages)
	stopped := errors.New("the log has stopped")
	w.store.append = stopped
	for name, by := range map[string]audit.Actor{"its keeper": w.worker, "a mission": w.embassy} {
		kept, err := w.ReadDocument(ctx, by, d.ID)
		w.is(name, err, stopped)
		if kept.ID != "" || !kept.Document.Number.IsZero() {
			t.Errorf("%s reads it all the same", name)
		}
		page, err := w.ReadPage(ctx, by, d.ID, 1)
		w.is(name+", a page", err, stopped)
		if len(page.Bytes()) > 0 {
			t.Errorf("%s sees a page all the same", name)
		}
	}
}
