package demo

import (
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/vault/mrz"
)

// person is somebody made up. Names are common ones put together by chance;
// documents are of Utopia, the state of ICAO's specimens, so that no number
// can be a real one.
type person struct {
	latin       string // as on the card
	native      string // in the person's own script, "" if that is Latin
	script      string // ISO 15924
	language    string // ISO 639-3
	tag         string // the same for a page, as BCP 47 writes it; "" if native is
	birth       string // as on the card: YYYYMMDD, YYYYMM or YYYY
	precision   string
	sex         int
	nationality string
}

var (
	felix  = person{latin: "TESFAYE, FELIX ABEBE", native: "ፌሊክስ አበበ ተስፋዬ", script: "Ethi", language: "amh", tag: "am", birth: "19950314", precision: "day", sex: 1, nationality: "ETH"}
	siti   = person{latin: "SITI", script: "Latn", language: "ind", birth: "1999", precision: "year", sex: 2, nationality: "IDN"}
	sokha  = person{latin: "CHAN, SOKHA", native: "ចាន់ សុខា", script: "Khmr", language: "khm", tag: "km", birth: "19880229", precision: "day", sex: 2, nationality: "KHM"}
	aung   = person{latin: "MG MG AUNG", native: "မောင်မောင်အောင်", script: "Mymr", language: "mya", tag: "my", birth: "200206", precision: "month", sex: 1, nationality: "MMR"}
	amara  = person{latin: "JOHNSON, AMARA", script: "Latn", language: "eng", birth: "19931107", precision: "day", sex: 2, nationality: "KEN"}
	wei    = person{latin: "CHEN, WEI", native: "陈伟", script: "Hans", language: "zho", tag: "zh-Hans", birth: "19970707", precision: "day", sex: 1, nationality: "CHN"}
	tigist = person{latin: "BEKELE, TIGIST", native: "ትግስት በቀለ", script: "Ethi", language: "amh", tag: "am", birth: "2001", precision: "year", sex: 2, nationality: "ETH"}
	rahman = person{latin: "RAHMAN, MD", script: "Latn", language: "ben", birth: "1990", precision: "year", sex: 1, nationality: "BGD"}
)

// agencies of the demo, all made up.
var agencies = []struct{ key, name, class, country, desk, role string }{
	{"lotus", "Lotus House (made up)", "NGO", "KHM", "+855 00 000 001", "caseworker"},
	{"bridge", "Bridge Aid (made up)", "NGO", "THA", "+66 00 000 002", "caseworker"},
	{"ethiopia", "Embassy of Ethiopia (made up)", claims.ClassMission, "ETH", "+66 00 000 003", "mission"},
	{"cambodia", "Embassy of Cambodia (made up)", claims.ClassMission, "KHM", "+66 00 000 004", "mission"},
	{"checkpoint", "River Checkpoint (made up)", "ImmigrationService", "THA", "+66 00 000 005", "officer"},
}

// screening is what an NGO found out about a person in one private talk.
func screening(p person, today time.Time) *claims.Screening {
	day := claims.NewDay(today)
	return &claims.Screening{
		TraffickingStatus: claims.StatusPossible, DecisionLevel: "preliminary_screening",
		AuthorityClass: "NGO", StandardOfEvidence: "suspicion_indicators", Confidence: "medium",
		ConfidenceReason: private.New("told without contradictions; the compound is known from others (made up)"),
		Tool:             "ILO_EC_2009",
		Act:              []string{"recruitment", "transportation", "harbouring"},
		Means:            []string{"deception", "threat"},
		Purpose:          []string{"x_ForcedCriminality", "ForcedLabour"}, ForcedCriminalityKind: []string{"online_scam"},
		MethodsOfControl:     []string{"WithholdsDocuments", "PhysicalThreats", "ExcessiveWorkingHours"},
		MethodOfRecruitment:  []string{"ThroughAnOnlineAdvertisement"},
		ForcedLabourIndustry: []string{"J_InformationAndCommunication"},
		Indicators: []claims.Indicator{
			{Code: "d1_nature_location_employer", Basis: "reported"},
			{Code: "d1_wages", Basis: "reported"},
			{Code: "d4_excessive_hours", Basis: "reported"},
			{Code: "d4_low_no_salary", Basis: "reported"},
			{Code: "d5_confiscation_documents", Basis: "corroborated"},
			{Code: "d5_forced_illicit_activities", Basis: "reported"},
			{Code: "d5_isolation_confinement", Basis: "reported"},
		},
		MinorAtTime: "no",
		Interview: &claims.Interview{
			Date: day, PlaceCountry: "KHM", Mode: "in_person", Language: p.language, Interpreter: true,
			InterpreterKind: "vetted", InterviewerOrgRole: "NGO", Alone: "yes", PlaceKind: "shelter",
			KeepApartFrom: []private.String{private.New("the former room warden (made up)")},
		},
		Consent: &claims.Consent{
			Interview: true, Purpose: true, Use: true, RightToRequestData: true, StorageDuration: true, HowToWithdraw: true,
			GivenOn: day, ReceiptLanguage: p.language, Method: "signature",
			ShareScope: []string{"immigration", "mission_of_origin"}, TransferToState: []string{p.nationality, "THA"},
			Controller: private.New("Lotus House (made up)"), LawfulBasis: "consent", Circumstance: "free",
			SafeIfStateKnows: "yes", MissionMayBeContacted: true,
		},
		RequestedEffect: []string{"do_not_detain", "consular_assistance"},
	}
}

// identity is who a person says she is, in her own script and in Latin
// letters.
func identity(p person) *claims.IdentityClaim {
	names := []claims.Name{{Script: "Latn", Full: private.New(p.latin), Type: "passport", Transliteration: "entered"}}
	if p.native != "" {
		names = append(names, claims.Name{Script: p.script, Full: private.New(p.native), Type: "used"})
	}
	return &claims.IdentityClaim{
		Names: names, BirthDate: &claims.PartialDate{Value: private.New(birthDate(p)), Precision: p.precision},
		Sex: map[int]string{1: "M", 2: "F"}[p.sex], Citizenship: []string{p.nationality},
		Languages: []string{p.language}, Assurance: "self_asserted", ClaimStatus: "open",
		Evidence: []claims.Evidence{{Type: "self_declared", Strength: "weak", Seen: "none"}},
	}
}

// birthDate is a person's date of birth as records write it: YYYY-MM-DD, or as
// much of it as is known.
func birthDate(p person) string {
	date := p.birth[:4]
	for i := 4; i < len(p.birth); i += 2 {
		date += "-" + p.birth[i:i+2]
	}
	return date
}

// zone is the machine-readable zone of a person's specimen passport.
func zone(p person, number string) ([]private.String, error) {
	family, given, _ := strings.Cut(p.latin, ", ")
	return mrz.Compose(mrz.Fields{
		Format: mrz.TD3, Code: private.New("P"), State: private.New("UTO"),
		Surname: private.New(family), GivenNames: private.New(given),
		Number: private.New(number), Nationality: private.New("UTO"), BirthDate: private.New(p.birth[2:]),
		Sex: private.New(map[int]string{1: "M", 2: "F"}[p.sex]), Expiry: private.New("310415"),
	})
}
