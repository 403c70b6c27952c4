package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/vault/mrz"
)

// Document is what an agency knows about a passport or another paper. The
// struct is its wire form and its sealed form: encode it with
// private.RevealJSON only. Allowed values stand in docs/vocabulary.md.
type Document struct {
	Kind       string         `json:"kind,omitempty" list:"document_kind" is:"required" tells:"document"`
	CustomType private.String `json:"custom_type,omitzero" tells:"document"` // with kind OTHER only

	IssuingState     string         `json:"issuing_state,omitempty" is:"required,country" tells:"document"` // three letters, ICAO Doc 9303-3
	Number           private.String `json:"document_number,omitzero" tells:"document"`
	IssueDate        private.String `json:"issue_date,omitzero" is:"date,past" tells:"document"` // YYYY, YYYY-MM or YYYY-MM-DD
	ExpiryDate       private.String `json:"expiry_date,omitzero" is:"date" tells:"document"`
	IssuingAuthority private.String `json:"issuing_authority,omitzero" tells:"document"`

	HolderNames private.String `json:"holder_names,omitzero" is:"name" tells:"document"` // as printed
	BirthDate   private.String `json:"birth_date,omitzero" is:"date,past" tells:"document"`
	Sex         private.String `json:"sex,omitzero" list:"sex" tells:"document"` // M, F or X

	// MRZ is the machine-readable zone as printed. On the way in its lines may
	// end in any of the usual ways; what is kept has a line feed between them.
	// MRZFormat and MRZChecks are worked out from it; they may be absent
	// on the way in, and if they are present they must say the same.
	MRZ       private.String `json:"mrz,omitzero" is:"zone" tells:"document"`
	MRZFormat mrz.Format     `json:"mrz_format,omitempty" list:"mrz_format" tells:"document"`
	MRZChecks *mrz.Checks    `json:"mrz_checks,omitempty" tells:"document"`

	Custody      string     `json:"custody,omitempty" list:"custody" tells:"custody"` // who has the paper itself; empty means unknown
	CustodySince claims.Day `json:"custody_since,omitempty" is:"past" tells:"custody"`

	Loss *Loss `json:"loss_report,omitempty" tells:"each"`

	// RecordStatus is active or withdrawn; empty means active. Which versions
	// are superseded and what was erased, the vault knows by itself.
	RecordStatus string `json:"record_status,omitempty" list:"record_status" tells:"document"`
}

// Loss reports that the paper is lost, was taken, or came back. Reporting
// notifies nobody by itself.
type Loss struct {
	Event          string              `json:"event,omitempty" list:"loss_event" is:"required" tells:"custody"`
	SLTDEquivalent string              `json:"sltd_equivalent,omitempty" list:"sltd_equivalent" tells:"loss"`
	EventDate      *claims.PartialDate `json:"event_date,omitempty" tells:"loss"`
	PlaceCountry   private.String      `json:"place_country,omitzero" is:"country" tells:"account"`
	PlaceCity      private.String      `json:"place_city,omitzero" tells:"account"`
	TakenByRole    string              `json:"taken_by_role,omitempty" list:"taken_by_role" tells:"account"`
	Circumstances  private.String      `json:"circumstances,omitzero" is:"text" tells:"account"`
	PoliceReport   *PoliceReport       `json:"police_report,omitempty" tells:"note"`

	EmbassyNotified string `json:"embassy_notified,omitempty" list:"embassy_notified" tells:"loss"` // empty means no
	EmbassyConsent  string `json:"embassy_consent,omitempty" is:"id" tells:"consent"`               // the consent's id, with EmbassyNotified yes only

	// SLTDRequested changes only through MissionAnswered.
	SLTDRequested string `json:"sltd_requested,omitempty" list:"sltd_requested" tells:"loss"`

	MisuseSuspected bool       `json:"misuse_suspected,omitempty" tells:"note"`
	ReviewDate      claims.Day `json:"review_date,omitempty" tells:"note"`
}

// PoliceReport says whether a report was made, and if not, why.
type PoliceReport struct {
	Made string         `json:"made" list:"police_report_made" is:"required"`
	Ref  private.String `json:"ref,omitzero"`
	Date private.String `json:"date,omitzero" is:"date,past"`
}

// maxDocument bounds a document's JSON, in bytes.
const maxDocument = 64 << 10

// ParseDocument reads a document's JSON strictly: unknown members and trailing
// bytes are refused, and what cannot be seen at the ends of texts is dropped. It
// judges nothing: what it returns may still be refused by Validate.
func ParseDocument(data []byte) (Document, error) {
	if len(data) > maxDocument {
		return Document{}, invalid.One("", "too_large", "is at most 64 KiB")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var d Document
	// The decoder's own text may repeat input, so that it is left out.
	if err := dec.Decode(&d); err != nil {
		return Document{}, invalid.One("", "json_invalid", "is a document as docs/api describes it")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Document{}, invalid.One("", "json_invalid", "has nothing after the document")
	}
	invalid.Tidy(&d)
	return d, nil
}

// Zone parses the document's machine-readable zone. The zero MRZ if it has
// none.
func (d Document) Zone() (mrz.MRZ, error) {
	if d.MRZ.IsZero() {
		return mrz.MRZ{}, nil
	}
	var lines []private.String
	for line := range strings.SplitSeq(joined(d.MRZ), "\n") {
		lines = append(lines, private.New(line))
	}
	return mrz.Parse(lines)
}

// joined is a zone with a line feed between its lines and none behind the last,
// however a scanner or a form ends them.
func joined(zone private.String) string {
	return strings.TrimSuffix(lineEnds.Replace(zone.Reveal()), "\n")
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// nationalities are the states that a document shows its holder to be of: what
// its machine-readable zone says, and whoever issued it, if it is of a kind that
// states give to their own people.
func (d Document) nationalities() []string {
	var shown []string
	own := claims.ForOwnPeople(d.Kind)
	if own {
		shown = append(shown, d.IssuingState)
	}
	if zone, err := d.Zone(); err == nil && zone.Format != "" {
		shown = append(shown, zone.Nationality.Reveal())
		if own {
			shown = append(shown, zone.State.Reveal())
		}
	}
	return distinct(shown)
}

// complete fills what follows from the rest. d is valid.
func (d Document) complete() Document {
	if zone, err := d.Zone(); err == nil && zone.Format != "" {
		d.MRZ, d.MRZFormat, d.MRZChecks = private.New(joined(d.MRZ)), zone.Format, &zone.Checks
	}
	if d.Custody == "" {
		d.Custody = "unknown"
	}
	if d.RecordStatus == "" {
		d.RecordStatus = "active"
	}
	return d
}

// Kept is a document as it is read back.
type Kept struct {
	ID       string
	Case     string
	Version  int // from 1; name it when updating
	Document Document
	Pages    []PageInfo
	// Elsewhere says that the same document is recorded in another case, and nothing
	// of that case. Its keeper alone is told, when it is read.
	Elsewhere bool
	// Reader is who reads it, of the table in package claims. Document and Pages are what he
	// sees, and LeftOut the members that he sees of no document, as pointers.
	Reader  claims.Reader
	LeftOut []string
}

// AddDocument keeps a document under a new record of the case, and returns it
// as it was kept. All problems are reported at once as an *invalid.Error.
func (v *Vault) AddDocument(ctx context.Context, by audit.Actor, caseID string, d Document) (Kept, error) {
	c, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return Kept{}, err
	}
	if err := d.follows(nil, v.now()); err != nil {
		return Kept{}, err
	}
	d = d.complete()
	defer v.cases.lock(c.Case)()

	places, err := v.placesOf(ctx, c, d)
	if err != nil {
		return Kept{}, err
	}
	same, err := v.sameOf(ctx, d)
	if err != nil {
		return Kept{}, err
	}
	id := newID()
	r, err := v.newRecord(ctx, by, id, c.Case)
	if err != nil {
		return Kept{}, err
	}
	r.CaseRecipient = c.CaseRecipient
	o, entries, err := v.sealDocument(r, by, d, 1, "document.added", nil)
	o.Same = same
	if err == nil {
		err = v.store.CreateRecord(ctx, r, []Object{o}, places, entries...)
	}
	if err != nil {
		return Kept{}, v.discardKeyFile(ctx, id, fmt.Errorf("vault: add a document: %w", err))
	}
	return Kept{ID: id, Case: c.Case, Version: 1, Document: d}, nil
}

// UpdateDocument keeps a new version of a document: another custody, a loss, a
// recovery, a correction. version is the one that the caller has read;
// ErrConflict if it is not the newest any more.
func (v *Vault) UpdateDocument(ctx context.Context, by audit.Actor, id string, version int, d Document) (Kept, error) {
	r, err := v.ownedDocument(ctx, by, id)
	if err != nil {
		return Kept{}, err
	}
	defer v.cases.lock(r.Case)()

	old, o, err := v.openDocument(ctx, r, by.Agency)
	if err != nil {
		return Kept{}, err
	}
	if o.Version != version {
		return Kept{}, ErrConflict
	}
	if err := d.follows(old.Loss, v.now()); err != nil {
		return Kept{}, err
	}
	d = d.complete()
	next, err := v.addVersion(ctx, by, r, d, version+1, "document.updated", nil)
	if err != nil {
		return Kept{}, fmt.Errorf("vault: update a document: %w", err)
	}
	pages, err := v.pages(ctx, id)
	return Kept{ID: id, Case: r.Case, Version: next.Version, Document: d, Pages: pages}, err
}

// addVersion seals a further version of a document and puts it where its number
// is found.
func (v *Vault) addVersion(ctx context.Context, by audit.Actor, r Record, d Document, version int, kind string, more facts) (Object, error) {
	places, err := v.placesOf(ctx, r, d)
	if err != nil {
		return Object{}, err
	}
	same, err := v.sameOf(ctx, d)
	if err != nil {
		return Object{}, err
	}
	o, entries, err := v.sealDocument(r, by, d, version, kind, more)
	if err != nil {
		return Object{}, err
	}
	o.Same = same
	return o, v.store.AddObject(ctx, o, places, entries...)
}

// MissionAnswer is what a mission's signed reply says about lost documents.
type MissionAnswer struct {
	Reply    string // id of the attestation
	Case     string // that it was given in
	Document string // the record that was asked about; empty if the question named none
	State    string // the mission's; three letters
}

// MissionAnswered records that a state has entered lost documents in INTERPOL's
// list: those of the case that it issued and whose loss was reported, or of them
// the one that was asked about. It returns how many. Nothing else can set it,
// because only the issuing state can ask for an entry there. The mission reads
// nothing by it; that it answered is in the holder's history. Doing it again
// changes nothing.
func (v *Vault) MissionAnswered(ctx context.Context, by audit.Actor, a MissionAnswer) (recorded int, err error) {
	if err := requireActor(by); err != nil {
		return 0, err
	}
	if !isID(a.Case) {
		return 0, ErrNotFound
	}
	defer v.cases.lock(a.Case)()
	records, err := v.store.Records(ctx, a.Case)
	if err != nil {
		return 0, fmt.Errorf("vault: a mission answered: %w", err)
	}
	for _, r := range records {
		if r.ID == r.Case || a.Document != "" && r.ID != a.Document {
			continue
		}
		entered, err := v.enteredByState(ctx, by, r, a)
		if err != nil {
			return recorded, fmt.Errorf("vault: a mission answered: %w", err)
		}
		if entered {
			recorded++
		}
	}
	return recorded, nil
}

// enteredByState records it for one document, in its keeper's name.
func (v *Vault) enteredByState(ctx context.Context, by audit.Actor, r Record, a MissionAnswer) (bool, error) {
	const done = "done_by_state"
	for range maxSwaps {
		d, o, err := v.openDocument(ctx, r, r.Agency)
		if err != nil {
			return false, err
		}
		if claims.State(d.IssuingState) != claims.State(a.State) || d.Loss == nil || d.Loss.SLTDRequested == done {
			return false, nil
		}
		loss := *d.Loss
		loss.SLTDRequested = done
		d.Loss = &loss
		_, err = v.addVersion(ctx, by, r, d, o.Version+1, "document.mission_answered", facts{"reply": a.Reply})
		if !errors.Is(err, ErrConflict) { // another process was faster: read again
			return err == nil, err
		}
	}
	return false, ErrConflict
}

// ReadDocument returns the newest version of a document and what pages it has, as far
// as the actor sees them: all of it if his agency owns it, and with a live grant and
// today's opening what such a reader sees of what was opened. The reading is in the
// history before anything is released.
func (v *Vault) ReadDocument(ctx context.Context, by audit.Actor, id string) (Kept, error) {
	r, on, err := v.readable(ctx, by, id, PartDocument, PartPages, PartPortrait)
	if err != nil {
		return Kept{}, err
	}
	if r.ID == r.Case {
		return Kept{}, ErrNotFound
	}
	view, err := v.view(ctx, by, on)
	if err != nil {
		return Kept{}, err
	}
	if !slices.ContainsFunc(documentTopics(), view.Sees) {
		return Kept{}, ErrNotFound // there is nothing here for such a reader
	}
	d, o, err := v.openDocument(ctx, r, by.Agency)
	if err != nil {
		return Kept{}, err
	}
	pages, err := v.pages(ctx, id)
	if err != nil {
		return Kept{}, err
	}
	kept := Kept{ID: id, Case: r.Case, Version: o.Version, Document: d, Reader: view.Reader}
	view.Clear(&kept.Document)
	kept.LeftOut = view.LeftOut(reflect.TypeFor[Document]())
	kept.Pages = slices.DeleteFunc(pages, func(p PageInfo) bool { return !view.Sees(p.Role.topic()) })
	if on.Own {
		if kept.Elsewhere, err = v.store.Elsewhere(ctx, r.ID); err != nil {
			return Kept{}, err
		}
	}
	if err := v.reading(ctx, r, by, "document.read", view.Reader, on, facts{"version": o.Version}); err != nil {
		return Kept{}, fmt.Errorf("vault: read a document: %w", err)
	}
	return kept, nil
}

// documentTopics are what a document and its pages tell.
func documentTopics() []claims.Topic {
	topics := []claims.Topic{claims.TopicPages, claims.TopicPortrait}
	for _, m := range claims.Members(reflect.TypeFor[Document]()) {
		topics = append(topics, m.Tells)
	}
	return topics
}

// Documents lists the documents of a case of the actor's agency, in the order
// of their ids.
func (v *Vault) Documents(ctx context.Context, by audit.Actor, caseID string) ([]string, error) {
	if _, err := v.ownedCase(ctx, by, caseID); err != nil {
		return nil, err
	}
	records, err := v.store.Records(ctx, caseID)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(records))
	for _, r := range records {
		if r.ID != r.Case {
			ids = append(ids, r.ID)
		}
	}
	return ids, nil
}

// sealDocument makes a document's row and its log entries. more is what the
// history says of it besides the version.
func (v *Vault) sealDocument(r Record, by audit.Actor, d Document, version int, kind string, more facts) (Object, []audit.Entry, error) {
	plain, err := private.RevealJSON(d)
	if err != nil {
		return Object{}, nil, err
	}
	if len(plain) > maxDocument {
		return Object{}, nil, invalid.One("", "too_large", "is at most 64 KiB")
	}
	o := Object{Record: r.ID, Version: version, MediaType: mediaJSON, Day: v.today()}
	sealed, committed, err := v.sealObject(r, &o, plain)
	if err != nil {
		return Object{}, nil, err
	}
	o.Sealed = sealed
	said := facts{"version": version}
	maps.Copy(said, more)
	entry, err := v.entry(r, by, kind, said)
	return o, []audit.Entry{entry, committed}, err
}

// openDocument reads the newest version for an agency that may.
func (v *Vault) openDocument(ctx context.Context, r Record, agency string) (Document, Object, error) {
	id, err := v.identity(ctx, r, agency)
	if err != nil {
		return Document{}, Object{}, err
	}
	o, err := v.store.Object(ctx, r.ID, 0)
	if err != nil {
		return Document{}, Object{}, err
	}
	plain, err := v.openObject(ctx, id, o)
	if err != nil {
		return Document{}, Object{}, fmt.Errorf("vault: read a document: %w", err)
	}
	d, err := ParseDocument(plain)
	if err != nil {
		return Document{}, Object{}, fmt.Errorf("vault: read a document: %w", ErrIntegrity)
	}
	return d, o, nil
}
