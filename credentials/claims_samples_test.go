package credentials_test

import (
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// claimsNow is the day on which the sample claims are signed.
var claimsNow = time.Date(2026, 3, 10, 8, 0, 0, 0, time.UTC)

func id(digit string) string { return strings.Repeat(digit, 32) }

func texts(s ...string) []private.String {
	var out []private.String
	for _, t := range s {
		out = append(out, private.New(t))
	}
	return out
}

func someConsent() *credentials.Consent {
	return &credentials.Consent{
		Interview: true, Purpose: true, Use: true, RightToRequestData: true, StorageDuration: true, HowToWithdraw: true,
		GivenOn: "2026-03-08", ShareScope: []string{"shelter", "mission_of_origin"}, TransferToState: []string{"THA", "KEN"},
		ReceiptLanguage: "swa", Method: "verbal_witnessed", Witness: private.New("Somsri Jaidee"),
		Controller: private.New("Open Door Foundation"), LawfulBasis: "consent", Circumstance: "first_72h",
		ReconfirmBy: "2026-03-20", SafeIfStateKnows: "yes", MissionMayBeContacted: true,
	}
}

// someScreening is complete: every member has a value.
func someScreening() *credentials.Screening {
	s := &credentials.Screening{
		TraffickingStatus: credentials.StatusActual, DecisionLevel: "formal_identification", AuthorityClass: "x_MultidisciplinaryTeam",
		StandardOfEvidence: "balance_of_probabilities", Confidence: "high", ConfidenceReason: private.New("Three people told the same, apart.\nBruises seen."),
		Tool: "OTHER", ToolName: private.New("Raid form of the Open Door Foundation"),
		Act: []string{"recruitment", "transfer"}, Means: []string{"deception", "force"}, Purpose: []string{"x_ForcedCriminality", "ForcedLabour"},
		ForcedCriminalityKind: []string{"online_scam"}, MethodsOfControl: []string{"DebtBondage", "WithholdsDocuments"},
		MethodOfRecruitment: []string{"ThroughOnlineSocialNetworks"}, RecruitmentApps: []string{"Telegram", "4Sale"},
		ForcedLabourIndustry: []string{"J_InformationAndCommunication"}, TypeOfSexExploitation: []string{"RemoteInteractiveServices"},
		Indicators: []credentials.Indicator{
			{Code: "d1_nature_location_employer", Basis: "reported"},
			{Code: "d1_wages", Basis: "reported"},
			{Code: "d4_excessive_hours", Basis: "reported"},
			{Code: "d4_low_no_salary", Basis: "corroborated"},
			{Code: "d5_confiscation_documents", Basis: "observed"},
			{Code: "d5_violence", Basis: "observed"},
		},
		MinorAtTime: "no",
		Interview: &credentials.Interview{
			Date: "2026-03-08", PlaceCountry: "THA", Mode: "in_person", Language: "swa", Interpreter: true, InterpreterKind: "remote",
			InterviewerOrgRole: "NGO", PriorInterviews: 1, Alone: "no", OthersPresent: []string{"fellow_resident"}, PlaceKind: "shelter",
			KeepApartFrom: texts("Kiprono Baraka", "the man called Boss Six"),
		},
		Consent:                someConsent(),
		NonPunishmentStatement: &credentials.NonPunishment{Stated: true, LegalRefs: texts("ACTIP article 14(7)")},
		RequestedEffect:        []string{"do_not_detain", "shelter"},
		ReflectionPeriod:       &credentials.Reflection{Start: "2026-03-09", Days: 45, LegalBasis: private.New("Act B.E. 2551, section 29")},
		ValidFrom:              "2026-03-10", ValidUntil: "2027-03-09",
		Referral: &credentials.Referral{
			FromOrg: "open-door", ToOrg: "river-shelter", Reason: "AdditionalServicesRequired", Date: "2026-03-09",
			PreviousAttestations: []string{id("a")},
		},
	}
	s.Complete()
	return s
}

func someIdentity() *credentials.IdentityClaim {
	return &credentials.IdentityClaim{
		ClaimID: id("1"),
		Names: []credentials.Name{
			{Script: "Ethi", Full: private.New("ተስፋዬ ፊሊክስ"), Type: "birth"},
			{Script: "Latn", Full: private.New("TESFAYE FELIX"), Given: private.New("FELIX"), Family: private.New("TESFAYE"), Type: "passport", Transliteration: "ICAO"},
			{Script: "Khmr", Full: private.New("ហ្វេលីច"), Type: "used"},
		},
		BirthDate: &credentials.PartialDate{Value: private.New("1999-07"), Precision: "month"}, Sex: "M", Citizenship: []string{"ETH", "XXA"},
		PlaceOfBirth: private.New("Bahir Dar"), ParentsNames: texts("Almaz Bekele", "Felix Girma"), HomeContact: private.New("neighbour, +251 555 0100"),
		Photo:     &credentials.Photo{SHA256: private.New(strings.Repeat("0f", 32)), CapturedOn: "2026-03-08"},
		Languages: []string{"amh", "eng"},
		Evidence: []credentials.Evidence{
			{Type: "photo_of_passport", Strength: "fair", Seen: "image", HeldBy: private.New("cousin Dawit")},
			{Type: "self_declared", Strength: "weak", Seen: "none"},
		},
		Assurance: "mission_confirmed", ClaimStatus: "confirmed",
		MissionReply: &credentials.MissionReply{
			Mission: private.New("Embassy at Example City"), Ref: private.New("CONS/26/0042"), OfficerID: private.New("officer 7"),
			Date: "2026-03-09", ETDRef: private.New("ETD 000123"),
		},
		FatherName: private.New("Girma Wolde"), GrandfatherName: private.New("Wolde Tadesse"), Region: private.New("Amhara"), District: private.New("West Gojjam"),
		Village: private.New("Merawi"), NationalIDNumber: private.New("ID-778899"), School: private.New("Fasilo School"), RelativeContact: private.New("sister, +251 555 0101"),
	}
}

func someDocument() *credentials.DocumentReport {
	return &credentials.DocumentReport{
		DocID: id("2"), DocumentKind: "OTHER", CustomType: private.New("Seafarer's discharge book"), IssuingState: "UTO", DocumentNumber: private.New("L898902C3"),
		IssueDate: &credentials.PartialDate{Value: private.New("2021"), Precision: "year"}, ExpiryDate: "2031-04-15", IssuingAuthority: private.New("Zenith City Office"),
		HolderNames: private.New("ERIKSSON ANNA MARIA"), HolderBirthDate: &credentials.PartialDate{Value: private.New("1974-08-12"), Precision: "day"}, HolderSex: "F",
		MRZ: &credentials.MRZ{
			Raw:    private.New("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"),
			Format: "TD3", Checks: credentials.MRZChecks{DocNo: "pass", BirthDate: "pass", Expiry: "fail", Optional: "absent", Composite: "fail"},
		},
		Pages: []credentials.Page{{
			SHA256: private.New(strings.Repeat("ab", 32)), Role: "data", CapturedBy: "open-door", CaptureDeviceClass: "phone", SeenOriginal: true,
		}},
		Custody: "trafficker", CustodySince: &credentials.PartialDate{Value: private.New("2025-11"), Precision: "estimated"}, RecordStatus: "active",
		Loss: &credentials.Loss{
			ReportID: id("3"), Event: "confiscated_by_trafficker", SLTDEquivalent: "STOLEN",
			EventDate: &credentials.PartialDate{Value: private.New("2025-11-02"), Precision: "day"}, PlaceCountry: "KHM", PlaceCity: private.New("Poipet"),
			TakenByRole: "RecruiterOrIntermediary", Circumstances: private.New("Taken at the gate,\nfor registration."),
			PoliceReport:    &credentials.PoliceReport{Made: "yes", Ref: private.New("P-55-2026"), Date: "2026-03-09"},
			EmbassyNotified: "yes", EmbassyConsentID: id("4"), SLTDRequested: "done_by_state", SLTDReplyID: id("5"), MisuseSuspected: true, ReviewDate: "2036-03-09",
		},
	}
}

func someReply() *credentials.Reply {
	return &credentials.Reply{
		Answer: "matched", Mission: private.New("Embassy at Example City"), MissionState: "ETH", Ref: private.New("CONS/26/0042"), OfficerID: private.New("officer 7"),
		Date: "2026-03-09", Channel: "relayed",
		CallBacks: []credentials.CallBack{
			{By: "worker-1", On: "2026-03-09", FromDirectory: true, Confirmed: true},
			{By: "worker-2", On: "2026-03-10", FromDirectory: true, Confirmed: true},
		},
		Reason: private.New("Found in the register of births."), ETDRef: private.New("ETD 000123"), ETDValidUntil: "2026-04-09", Entries: "single",
		CollectWhere: private.New("Counter 3, with the slip"), DeliveredOn: "2026-03-10", SLTDRecorded: true,
	}
}

// samples returns fresh claims that may be signed on claimsNow. Together they
// give every member of every kind a value.
func samples() map[string]credentials.Claims {
	possible := &credentials.Screening{
		TraffickingStatus: credentials.StatusPossible, DecisionLevel: "preliminary_screening", AuthorityClass: "NGO",
		StandardOfEvidence: "suspicion_indicators", Confidence: "low", Tool: "ILO_EC_2009", MinorAtTime: "unknown",
		Interview: &credentials.Interview{
			Date: "2026-03-10", PlaceCountry: "MMR", Mode: "remote", Language: "mya", InterpreterKind: "none", InterviewerOrgRole: "NGO",
			Alone: "yes", PlaceKind: "street",
		},
		Consent: &credentials.Consent{
			Interview: true, GivenOn: "2026-03-10", ReceiptLanguage: "mya", Method: "thumb", Controller: private.New("River Shelter"),
			LawfulBasis: "vital_interests", Circumstance: "free",
		},
	}
	possible.Complete()
	return map[string]credentials.Claims{
		"screening, everything": someScreening(),
		"screening, least":      possible,
		"identity, everything":  someIdentity(),
		"identity, least": &credentials.IdentityClaim{
			Names:     []credentials.Name{{Script: "Mymr", Full: private.New("နှင်းဆီ"), Type: "used"}},
			Assurance: "self_asserted", ClaimStatus: "open",
		},
		"document, everything": someDocument(),
		"document, least": &credentials.DocumentReport{
			DocumentKind: "PASSPORT", IssuingState: "DEU", Custody: "unknown", RecordStatus: "active",
		},
		"opinion": &credentials.Opinion{
			Opinion: "dissent", AuthorityClass: "Police", Date: "2026-03-10", Parts: []string{"indicators"}, Reason: private.New("The hours were not checked."),
		},
		"reliance, again": &credentials.Reliance{
			Reliance: "rescreened", OfficerDecision: "referred_to_mdt", AuthorityClass: "x_MultidisciplinaryTeam", Date: "2026-03-10",
			Reason: "other", ReasonText: private.New("She asked for it."), NewScreening: id("6"),
		},
		"reliance, partly": &credentials.Reliance{
			Reliance: "relied_partly", AuthorityClass: "NGO", Date: "2026-03-10", Parts: []string{"trafficking_status"},
		},
		"reliance, officer": &credentials.Reliance{OfficerDecision: "relied", AuthorityClass: "Police", Date: "2026-03-10"},
		"reply, matched":    someReply(),
		"reply, more": &credentials.Reply{
			Answer: "more_info_needed", Mission: private.New("Consulate at Sample Town"), MissionState: "ETH", Date: "2026-03-10", Channel: "account",
			Needed: []string{"grandfather_name", "photo"},
		},
	}
}
