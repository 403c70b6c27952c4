package claims

import (
	"reflect"
	"slices"
)

// Reader is who reads something of a case, as far as that decides what he sees of it.
// The set is closed: whoever is none of these sees nothing.
type Reader string

// The readers.
const (
	ReaderOwn        Reader = "own"        // whose agency keeps the case, or has signed what he reads
	ReaderEmbassy    Reader = "embassy"    // of an embassy or consulate
	ReaderOfficer    Reader = "officer"    // of an immigration service or a police
	ReaderCaseworker Reader = "caseworker" // of another agency
	ReaderAuthority  Reader = "authority"  // of an authority that identifies people formally, for just that
	ReaderLawyer     Reader = "lawyer"
	ReaderMedical    Reader = "medical"
)

// Readers lists every reader, in the order in which documents list them.
var Readers = []Reader{ReaderOwn, ReaderEmbassy, ReaderOfficer, ReaderCaseworker, ReaderAuthority, ReaderLawyer, ReaderMedical}

// Part is a part of a record that its holder opens, or does not.
type Part string

// The parts. The identity is what a card says: a device that opens it shows it by
// itself. The status is for a mission that is told more than who she is; everybody
// else reads it with the attestations.
const (
	PartIdentity     Part = "identity"
	PartPortrait     Part = "portrait"
	PartDocument     Part = "document"
	PartPages        Part = "pages"
	PartAttestations Part = "attestations"
	PartStatus       Part = "status"
)

// Parts lists every part, in the order in which rows number them: what is new comes
// last.
var Parts = []Part{PartIdentity, PartPortrait, PartDocument, PartPages, PartAttestations, PartStatus}

// PurposeDanger is what two people open a record for without its holder: her life is in
// danger, or somebody's. It is no purpose that she shares it for.
const PurposeDanger = "danger_to_life"

// Access is how somebody comes to read something of a case.
type Access struct {
	Own     bool   // his agency keeps the case, or has signed what he reads
	Purpose string // what the holder has shared it for: list sharing_purpose
	Parts   []Part // that are open to him
}

// ReaderOf tells who somebody is who has these roles in an agency, and comes to a
// record in that way. The class of the agency is the most that he can be; a purpose
// makes it less, but for an authority that identifies people: it is one only where the
// holder has agreed to protection by it, and a caseworker otherwise.
func ReaderOf(of Recipient, roles []string, on Access) Reader {
	if on.Own {
		return ReaderOwn
	}
	if !slices.Contains(values("sharing_purpose"), on.Purpose) {
		return ""
	}
	reader := readerIn(of, on.Purpose)
	if !slices.ContainsFunc(rolesOf[reader], func(role string) bool { return slices.Contains(roles, role) }) {
		return ""
	}
	return reader
}

// readerIn is ReaderOf for whoever has the role that goes with it.
func readerIn(of Recipient, purpose string) Reader {
	switch of.Class {
	case ClassMission:
		return ReaderEmbassy
	case "ImmigrationService", "LawEnforcement":
		return ReaderOfficer
	case "LegalService":
		return ReaderLawyer
	case "HealthServiceOrganisation":
		return ReaderMedical
	case "NGO", "x_Shelter", "x_InternationalOrganisation", "CentralGovernmentOrganisation", "LocalGovernmentOrganisation":
	default:
		return ""
	}
	switch purpose {
	case "legal_aid":
		return ReaderLawyer
	case "medical":
		return ReaderMedical
	case "protection":
		if of.Identifies {
			return ReaderAuthority
		}
		return ReaderCaseworker
	case "confirm_identity", "travel_document", "shelter", "reunion", PurposeDanger:
		return ReaderCaseworker
	default:
		return ""
	}
}

// rolesOf are the roles in which somebody reads, as package people names them.
var rolesOf = map[Reader][]string{
	ReaderEmbassy:    {"mission"},
	ReaderOfficer:    {"officer"},
	ReaderCaseworker: {"caseworker", "supervisor"},
	ReaderAuthority:  {"caseworker", "supervisor"},
	ReaderLawyer:     {"caseworker", "supervisor"},
	ReaderMedical:    {"caseworker", "supervisor"},
}

// Topic is what a member of claims or of a record tells about somebody, as far as it
// matters to who sees it: tag tells. A member that tells nothing that stands here is
// seen by nobody but its own agency.
type Topic string

// TopicEach is the tag of a member inside of which each one says for itself what it
// tells. What is signed has no such members: one disclosure shows all that is in one.
const TopicEach Topic = "each"

// TopicPortrait and TopicPages are what pictures show.
const (
	TopicPortrait Topic = "portrait"
	TopicPages    Topic = "pages"
)

// What a reader sees of a topic hangs on the parts that are open to him: on this one,
// or on no more than that he reads it at all, or it is never seen.
const (
	whatever Part = "*"
	never    Part = "-"
)

// line is one line of the table of readers. Whoever reads his own agency's sees all.
type line struct {
	topic                                                  Topic
	is                                                     string // in words
	embassy, officer, caseworker, authority, lawyer, medic Part
}

// lines is the table: what each reader sees of what is kept about somebody, and with
// which part. What does not stand here, nobody sees.
var lines = []line{
	{"name", "her names", whatever, whatever, whatever, whatever, whatever, whatever},
	{"birth", "her birth date, or its year", whatever, whatever, whatever, whatever, whatever, whatever},
	{"nationality", "her nationalities", whatever, never, whatever, whatever, whatever, whatever},
	{"portrait", "her portrait", PartPortrait, PartPortrait, PartPortrait, PartPortrait, PartPortrait, PartPortrait},
	{"identity", "what else she says of who she is", whatever, never, whatever, whatever, whatever, whatever},
	{"sources", "what there is to show for it", whatever, never, whatever, whatever, whatever, never},
	{"family", "her parents and relatives", whatever, never, whatever, never, never, never},
	{"register", "by what a register at home is searched", whatever, never, never, never, never, never},

	{"document", "what stands in a document", PartDocument, never, PartDocument, PartDocument, PartDocument, never},
	{"loss", "that it is lost, as its state would list it", PartDocument, never, PartDocument, PartDocument, PartDocument, never},
	{"custody", "who has it, and how it came to that", never, never, PartDocument, PartDocument, PartDocument, never},
	{"pages", "pictures of its pages", PartPages, never, PartPages, PartPages, PartPages, never},

	{"status", "what the agency found her to be", PartStatus, never, PartAttestations, PartAttestations, PartAttestations, never},
	{"level", "how far the procedure has come", PartStatus, PartAttestations, PartAttestations, PartAttestations, PartAttestations, never},
	{"validity", "from when until when that holds", PartStatus, PartAttestations, PartAttestations, PartAttestations, PartAttestations, PartAttestations},
	{"assessment", "who assessed, by which standard and tool", never, never, PartAttestations, PartAttestations, PartAttestations, never},
	{"codes", "act, means and purpose as codes", never, never, PartAttestations, PartAttestations, PartAttestations, never},
	{"indicators", "indicators with their strength, and what the rule makes of them", never, never, never, PartAttestations, never, never},
	{"needs", "what is asked for her, and whether she was a child", never, never, PartAttestations, PartAttestations, PartAttestations, PartAttestations},
	{"effects", "that she is not to be punished, and time to recover", never, never, PartAttestations, PartAttestations, PartAttestations, never},
	{"answer", "what other agencies and missions answered, as codes", never, never, PartAttestations, PartAttestations, PartAttestations, never},

	{"account", "what happened, where, and who did it", never, never, never, never, never, never},
	{"confidence", "how sure the agency is, and why", never, never, never, never, never, never},
	{"interview", "how she was asked, and who was there", never, never, never, never, never, never},
	{"consent", "what she agreed to, and who witnessed it", never, never, never, never, never, never},
	{"note", "notes of agencies and missions, and their references", never, never, never, never, never, never},
	{"whereabouts", "where she is expected", never, never, never, never, never, never},
}

// part is what has to be open for a reader to see what is of the line.
func (l line) part(r Reader) Part {
	switch r {
	case ReaderOwn:
		return whatever
	case ReaderEmbassy:
		return l.embassy
	case ReaderOfficer:
		return l.officer
	case ReaderCaseworker:
		return l.caseworker
	case ReaderAuthority:
		return l.authority
	case ReaderLawyer:
		return l.lawyer
	case ReaderMedical:
		return l.medic
	default:
		return never
	}
}

// Need tells which part has to be open for a reader to see a topic: "" if none has to
// be besides the one that lets him in. ever is false where he never sees it.
func Need(r Reader, t Topic) (part Part, ever bool) {
	if r == ReaderOwn {
		return "", true
	}
	for _, l := range lines {
		if l.topic != t {
			continue
		}
		switch part := l.part(r); part {
		case never:
			return "", false
		case whatever:
			return "", true
		default:
			return part, true
		}
	}
	return "", false
}

// View is what one reader sees of one case.
type View struct {
	Reader Reader

	parts []Part
}

// ViewOf is the view of whoever has these roles in an agency and comes in that way.
func ViewOf(of Recipient, roles []string, on Access) View {
	return View{ReaderOf(of, roles, on), on.Parts}
}

// Sees tells whether the view has what tells a topic. The portrait is a page of its
// document.
func (v View) Sees(t Topic) bool {
	part, ever := Need(v.Reader, t)
	return ever && (part == "" || slices.Contains(v.parts, part) || part == PartPortrait && slices.Contains(v.parts, PartPages))
}

// Claims names the claims of a kind that the view has, in the order in which they are
// documented. Where it has none, there is no attestation of that kind to the reader: that
// there is one would tell what he is not to know.
func (v View) Claims(kind Kind) (names []string) {
	c, err := New(kind)
	if err != nil {
		return nil
	}
	for _, m := range Members(reflect.TypeOf(c).Elem()) {
		if v.Sees(m.Tells) {
			names = append(names, m.Name)
		}
	}
	return names
}

// KeeperOnly tells whether nobody but the agency that keeps the case reads attestations of
// a kind, whomever the record is shared with, and whatever is open.
func KeeperOnly(kind Kind) bool {
	for _, r := range Readers {
		if v := (View{r, Parts}); r != ReaderOwn && len(v.Claims(kind)) > 0 {
			return false
		}
	}
	return true
}

// Clear empties the members of a record, a pointer to a struct like those of claims, that
// the view does not have.
func (v View) Clear(record any) { v.clear(reflect.ValueOf(record).Elem()) }

func (v View) clear(s reflect.Value) {
	for _, m := range Members(s.Type()) {
		switch f := s.Field(m.index); {
		case m.Tells != TopicEach && !v.Sees(m.Tells):
			f.SetZero()
		case m.Tells == TopicEach && !f.IsNil():
			if v.clear(f.Elem()); f.Elem().IsZero() {
				f.SetZero()
			}
		}
	}
}

// LeftOut lists the members of records of a type that the view has of none of them, as
// pointers: it says who reads, and nothing about a record.
func (v View) LeftOut(t reflect.Type) []string {
	var out []string
	v.leftOut(t, "", func(pointer string) { out = append(out, pointer) })
	return out
}

func (v View) leftOut(t reflect.Type, at string, tell func(pointer string)) {
	for _, m := range Members(t) {
		switch {
		case m.Tells == TopicEach:
			v.leftOut(m.Type, at+"/"+m.Name, tell)
		case !v.Sees(m.Tells):
			tell(at + "/" + m.Name)
		}
	}
}

// Topics lists the topics of the table, and what each of them is in words.
func Topics() (topics []Topic, is map[Topic]string) {
	is = map[Topic]string{}
	for _, l := range lines {
		topics, is[l.topic] = append(topics, l.topic), l.is
	}
	return topics, is
}
