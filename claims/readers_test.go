package claims_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/claims"
)

// typeOf is the struct of a kind's claims.
func typeOf(t *testing.T, kind claims.Kind) reflect.Type {
	t.Helper()
	c, err := claims.New(kind)
	if err != nil {
		t.Fatal(err)
	}
	return reflect.TypeOf(c).Elem()
}

// TestEveryClaimIsDecided: whoever adds a claim, or a kind, says what each claim tells, so
// that the table says of every reader whether he sees it. Each topic of the table is one that
// something tells.
func TestEveryClaimIsDecided(t *testing.T) {
	topics, is := claims.Topics()
	told := map[claims.Topic]bool{"loss": true} // of records: package vault
	for _, terms := range claims.Kinds() {
		for _, m := range claims.Members(typeOf(t, terms.Kind)) {
			if is[m.Tells] == "" {
				t.Errorf("%s of a %s tells %q, of which the table of readers knows nothing", m.Name, terms.Kind, m.Tells)
			}
			told[m.Tells] = true
		}
	}
	for _, topic := range topics {
		if !told[topic] {
			t.Errorf("nothing tells %q", topic)
		}
	}
	if len(is) != len(topics) || len(topics) == 0 {
		t.Errorf("%d topics, %d of them different", len(topics), len(is))
	}
}

// TestEveryReaderIsDecided: each cell of the table is never, always, or a part that there
// is, and whoever or whatever is in none of its lines or columns is shown nothing.
func TestEveryReaderIsDecided(t *testing.T) {
	topics, _ := claims.Topics()
	for _, r := range claims.Readers {
		sees := 0
		for _, topic := range topics {
			part, ever := claims.Need(r, topic)
			if ever {
				sees++
			}
			if part != "" && (!ever || !slices.Contains(claims.Parts, part)) {
				t.Errorf("%s sees %s with the part %q", r, topic, part)
			}
		}
		if sees == 0 || sees == len(topics) && r != claims.ReaderOwn {
			t.Errorf("%s sees %d of %d", r, sees, len(topics))
		}
		for _, topic := range []claims.Topic{"", "each", "Name", "everything"} {
			if _, ever := claims.Need(r, topic); ever != (r == claims.ReaderOwn) {
				t.Errorf("%s sees %q: %v", r, topic, ever)
			}
		}
	}
	for _, r := range []claims.Reader{"", "Own", "clerk"} {
		for _, topic := range topics {
			if _, ever := claims.Need(r, topic); ever {
				t.Errorf("a reader %q sees %s", r, topic)
			}
		}
	}
}

// view is that of a reader to whom parts are open, found as anybody's is.
func view(t *testing.T, r claims.Reader, parts ...claims.Part) claims.View {
	t.Helper()
	of, on := claims.Recipient{Class: "NGO", Country: "THA"}, claims.Access{Purpose: "shelter", Parts: parts}
	role := "caseworker"
	switch r {
	case claims.ReaderOwn:
		on.Own = true
	case claims.ReaderEmbassy:
		of.Class, role = claims.ClassMission, "mission"
	case claims.ReaderOfficer:
		of.Class, role = "LawEnforcement", "officer"
	case claims.ReaderAuthority:
		of.Class, of.Identifies, on.Purpose = "CentralGovernmentOrganisation", true, "protection"
	case claims.ReaderLawyer:
		of.Class = "LegalService"
	case claims.ReaderMedical:
		of.Class = "HealthServiceOrganisation"
	case claims.ReaderCaseworker:
	default:
		t.Fatalf("reader %q", r)
	}
	v := claims.ViewOf(of, []string{role}, on)
	if v.Reader != r {
		t.Fatalf("got a reader %q, want %q", v.Reader, r)
	}
	return v
}

// TestWhatNobodyElseSees: what stands in the last column of the design's table, a second
// time and by name, with every part open.
func TestWhatNobodyElseSees(t *testing.T) {
	const (
		told = "screening.forced_criminality_kind screening.methods_of_control screening.method_of_recruitment " +
			"screening.recruitment_apps screening.forced_labour_industry screening.type_of_sex_exploitation document.loss"
		asked  = "screening.interview screening.consent screening.ask_again_in_private screening.review_by screening.confidence screening.confidence_reason"
		notes  = "screening.referral opinion.reason reliance.reason_text reliance.new_screening reply.reason reply.callbacks reply.officer_id reply.ref identity.mission_reply"
		where  = "appointment.office appointment.address appointment.city appointment.country appointment.day appointment.window appointment.bring appointment.purpose appointment.purpose_text"
		family = "identity.parents_names identity.father_name identity.grandfather_name identity.home_contact identity.relative_contact"
		others = told + " " + asked + " " + notes + " " + where
	)
	for r, never := range map[claims.Reader]string{
		claims.ReaderEmbassy: others + " screening.indicators screening.dimension_results screening.act screening.means screening.purpose screening.tool " +
			"screening.minor_at_time screening.requested_effect document.custody reply.answer opinion.opinion reliance.reliance",
		claims.ReaderOfficer: others + " " + family + " screening.trafficking_status screening.act screening.means screening.purpose screening.indicators " +
			"identity.citizenship identity.national_id_number identity.evidence document.document_number document.mrz document.pages reply.answer reply.mission",
		claims.ReaderCaseworker: others + " screening.indicators screening.dimension_results",
		claims.ReaderAuthority:  others + " " + family,
		claims.ReaderLawyer:     others + " " + family + " screening.indicators",
		claims.ReaderMedical:    others + " " + family + " screening.trafficking_status screening.act screening.indicators document.document_number",
	} {
		v := view(t, r, claims.Parts...)
		for _, name := range strings.Fields(never) {
			kind, claim, _ := strings.Cut(name, ".")
			if !slices.ContainsFunc(claims.Members(typeOf(t, claims.Kind(kind))), func(m claims.Member) bool { return m.Name == claim }) {
				t.Fatalf("there is no %s", name)
			}
			if slices.Contains(v.Claims(claims.Kind(kind)), claim) {
				t.Errorf("%s sees %s", r, name)
			}
		}
	}
}

// TestWhatReadersSee: the middle column of the design's table, by name.
func TestWhatReadersSee(t *testing.T) {
	for _, tt := range []struct {
		reader claims.Reader
		parts  string
		kind   claims.Kind
		want   string
	}{
		{claims.ReaderOfficer, "attestations", "screening", "decision_level valid_from valid_until"},
		{claims.ReaderOfficer, "attestations", "identity", "names dob"},
		{claims.ReaderOfficer, "attestations portrait", "identity", "names dob photo"},
		{claims.ReaderOfficer, "attestations document pages", "document", ""},
		{claims.ReaderEmbassy, "attestations", "screening", ""},
		{claims.ReaderEmbassy, "attestations status", "screening", "trafficking_status decision_level valid_from valid_until"},
		{claims.ReaderEmbassy, "attestations", "document", ""},
		{claims.ReaderEmbassy, "attestations status", "reply", ""},
		{claims.ReaderCaseworker, "attestations", "screening", "trafficking_status decision_level authority_class standard_of_evidence tool tool_name " +
			"act means purpose minor_at_time non_punishment_statement requested_effect reflection_period valid_from valid_until"},
		{claims.ReaderAuthority, "attestations", "screening", "trafficking_status decision_level authority_class standard_of_evidence tool tool_name " +
			"act means purpose indicators dimension_results minor_at_time non_punishment_statement requested_effect reflection_period valid_from valid_until"},
		{claims.ReaderMedical, "attestations", "screening", "minor_at_time requested_effect valid_from valid_until"},
		{claims.ReaderLawyer, "attestations pages", "document", "pages"},
		{claims.ReaderCaseworker, "", "screening", ""},
		{claims.ReaderCaseworker, "attestations", "appointment", ""},
		{claims.ReaderCaseworker, "attestations", "card", ""},
	} {
		var parts []claims.Part
		for _, p := range strings.Fields(tt.parts) {
			parts = append(parts, claims.Part(p))
		}
		if got := strings.Join(view(t, tt.reader, parts...).Claims(tt.kind), " "); got != tt.want {
			t.Errorf("%s, with %s, of a %s: got, want:\n%s\n%s", tt.reader, tt.parts, tt.kind, got, tt.want)
		}
	}
	for _, terms := range claims.Kinds() {
		if got, want := view(t, claims.ReaderOwn).Claims(terms.Kind), claims.Members(typeOf(t, terms.Kind)); len(got) != len(want) {
			t.Errorf("its own agency sees %d of %d claims of a %s", len(got), len(want), terms.Kind)
		}
		if got, want := claims.KeeperOnly(terms.Kind), terms.Kind == claims.KindAppointment; got != want {
			t.Errorf("a %s is for its keeper alone: %v", terms.Kind, got)
		}
	}
}

// TestReaderOf: every class and every purpose, in the role that its people have, and in
// roles that they have not.
func TestReaderOf(t *testing.T) {
	purposes := claims.Values("sharing_purpose")
	every := func(r claims.Reader) map[string]claims.Reader {
		all := map[string]claims.Reader{}
		for _, p := range purposes {
			all[p] = r
		}
		return all
	}
	helping := map[string]claims.Reader{
		"confirm_identity": claims.ReaderCaseworker, "travel_document": claims.ReaderCaseworker, "protection": claims.ReaderCaseworker,
		"legal_aid": claims.ReaderLawyer, "medical": claims.ReaderMedical, "shelter": claims.ReaderCaseworker, "reunion": claims.ReaderCaseworker,
		claims.PurposeDanger: claims.ReaderCaseworker,
	}
	want := map[string]map[string]claims.Reader{
		"NGO": helping, "x_Shelter": helping, "x_InternationalOrganisation": helping,
		"CentralGovernmentOrganisation": helping, "LocalGovernmentOrganisation": helping,
		"x_DiplomaticMission": every(claims.ReaderEmbassy), "ImmigrationService": every(claims.ReaderOfficer), "LawEnforcement": every(claims.ReaderOfficer),
		"LegalService": every(claims.ReaderLawyer), "HealthServiceOrganisation": every(claims.ReaderMedical),
		"CorporateBusiness": every(""), "SchoolOrCollege": every(""),
	}
	got := map[string]map[string]claims.Reader{}
	roles := []string{"admin", "caseworker", "supervisor", "officer", "mission"}
	for _, class := range claims.Values("org_type") {
		got[class] = map[string]claims.Reader{}
		for _, p := range purposes {
			got[class][p] = claims.ReaderOf(claims.Recipient{Class: class}, roles, claims.Access{Purpose: p})
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}

	protection := claims.Access{Purpose: "protection", Parts: claims.Parts}
	for _, tt := range []struct {
		name  string
		of    claims.Recipient
		roles string
		on    claims.Access
		want  claims.Reader
	}{
		{"an authority that identifies", claims.Recipient{Class: "CentralGovernmentOrganisation", Identifies: true}, "caseworker", protection, claims.ReaderAuthority},
		{"its supervisor, who is an admin too", claims.Recipient{Class: "LocalGovernmentOrganisation", Identifies: true}, "admin supervisor", protection, claims.ReaderAuthority},
		{"the same, for something else", claims.Recipient{Class: "CentralGovernmentOrganisation", Identifies: true}, "caseworker", claims.Access{Purpose: "shelter"}, claims.ReaderCaseworker},
		{"a police that signs formal decisions", claims.Recipient{Class: "LawEnforcement", Identifies: true}, "officer", protection, claims.ReaderOfficer},
		{"her own agency", claims.Recipient{}, "", claims.Access{Own: true}, claims.ReaderOwn},
		{"no purpose", claims.Recipient{Class: "NGO"}, "caseworker", claims.Access{Parts: claims.Parts}, ""},
		{"a purpose of no list", claims.Recipient{Class: claims.ClassMission}, "mission", claims.Access{Purpose: "contact"}, ""},
		{"no class", claims.Recipient{}, "caseworker", protection, ""},
		{"a class that nobody knows", claims.Recipient{Class: "Bank"}, "caseworker", protection, ""},
		{"an admin", claims.Recipient{Class: "NGO"}, "admin", protection, ""},
		{"an officer of an NGO", claims.Recipient{Class: "NGO"}, "officer", protection, ""},
		{"a caseworker of a mission", claims.Recipient{Class: claims.ClassMission}, "caseworker", protection, ""},
		{"a caseworker of a police", claims.Recipient{Class: "LawEnforcement"}, "caseworker", protection, ""},
		{"a device", claims.Recipient{Class: "ImmigrationService"}, "device", protection, ""},
		{"no role", claims.Recipient{Class: "NGO"}, "", protection, ""},
	} {
		if got := claims.ReaderOf(tt.of, strings.Fields(tt.roles), tt.on); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	for class, want := range map[string]bool{"CentralGovernmentOrganisation": true, "LocalGovernmentOrganisation": false, "NGO": false, "x_DiplomaticMission": false, "Bank": false} {
		if got := claims.SigningOf(class).Identifies(); got != want {
			t.Errorf("%s identifies people: %v", class, got)
		}
	}
}

func ExampleView_Claims() {
	v := claims.ViewOf(claims.Recipient{Class: "ImmigrationService", Country: "THA"}, []string{"officer"}, claims.Access{
		Purpose: "protection", Parts: []claims.Part{claims.PartAttestations},
	})
	fmt.Println(v.Reader, v.Claims(claims.KindScreening))
	// Output: officer [decision_level valid_from valid_until]
}
