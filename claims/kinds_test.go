package claims_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
)

func TestIdentityClaim(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*claims.IdentityClaim)
		want []string
	}{
		"too many names":         {func(c *claims.IdentityClaim) { c.Names = slices.Repeat(c.Names, 3) }, []string{"/names too_many"}},
		"empty name":             {func(c *claims.IdentityClaim) { c.Names[1] = claims.Name{} }, []string{"/names/1/script required", "/names/1/full required", "/names/1/type required"}},
		"script":                 {func(c *claims.IdentityClaim) { c.Names[1].Script = "latin" }, []string{"/names/1/script format", "/names/1/transliteration inconsistent"}},
		"transliterated Khmer":   {func(c *claims.IdentityClaim) { c.Names[2].Transliteration = "ICAO" }, []string{"/names/2/transliteration inconsistent"}},
		"German as printed":      {func(c *claims.IdentityClaim) { c.Citizenship = []string{"D"} }, []string{"/citizenship/0 format"}},
		"German":                 {func(c *claims.IdentityClaim) { c.Citizenship = []string{"DEU", "UTO", "XXB", "XXX"} }, nil},
		"five citizenships":      {func(c *claims.IdentityClaim) { c.Citizenship = make([]string, 5) }, []string{"/citizenship too_many"}},
		"citizen twice":          {func(c *claims.IdentityClaim) { c.Citizenship = []string{"ETH", "ETH"} }, []string{"/citizenship/1 duplicate"}},
		"five parents":           {func(c *claims.IdentityClaim) { c.ParentsNames = make([]private.String, 5) }, []string{"/parents_names too_many"}},
		"photo digest":           {func(c *claims.IdentityClaim) { c.Photo.SHA256 = private.New("00") }, []string{"/photo/sha256 format"}},
		"photo to come":          {func(c *claims.IdentityClaim) { c.Photo.CapturedOn = "2030-01-01" }, []string{"/photo/captured_on range"}},
		"languages":              {func(c *claims.IdentityClaim) { c.Languages = []string{"en", "amh", "amh"} }, []string{"/languages/0 format", "/languages/2 duplicate"}},
		"much evidence":          {func(c *claims.IdentityClaim) { c.Evidence = slices.Repeat(c.Evidence, 9) }, []string{"/evidence too_many"}},
		"many languages":         {func(c *claims.IdentityClaim) { c.Languages = make([]string, 9) }, []string{"/languages too_many"}},
		"confirmed by nobody":    {func(c *claims.IdentityClaim) { c.MissionReply = nil }, []string{"/assurance inconsistent", "/claim_status inconsistent"}},
		"supported by nothing":   {func(c *claims.IdentityClaim) { c.Assurance, c.Evidence = "document_supported", c.Evidence[1:] }, []string{"/assurance inconsistent"}},
		"supported by a picture": {func(c *claims.IdentityClaim) { c.Assurance = "document_supported" }, nil},
		"empty reply":            {func(c *claims.IdentityClaim) { *c.MissionReply = claims.MissionReply{} }, []string{"/mission_reply/mission required", "/mission_reply/date required"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := someIdentity()
			tt.edit(c)
			if diff := cmp.Diff(said(found(c)), append([]string{}, tt.want...)); diff != "" {
				t.Errorf("got, want:\n%s", diff)
			}
		})
	}
}

func TestDocumentReport(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*claims.DocumentReport)
		want []string
	}{
		"other without a name":    {func(d *claims.DocumentReport) { d.CustomType = private.String{} }, []string{"/custom_type required"}},
		"passport with a name":    {func(d *claims.DocumentReport) { d.DocumentKind = "PASSPORT" }, []string{"/custom_type not_allowed"}},
		"issued in the future":    {func(d *claims.DocumentReport) { d.IssueDate.Value = private.New("2031") }, []string{"/issue_date/value range"}},
		"digits not reported":     {func(d *claims.DocumentReport) { d.MRZ.Checks = claims.MRZChecks{DocNo: "pass"} }, []string{"/mrz/checks/dob required", "/mrz/checks/expiry required", "/mrz/checks/optional required", "/mrz/checks/composite required"}},
		"many pages":              {func(d *claims.DocumentReport) { d.Pages = slices.Repeat(d.Pages, 65) }, []string{"/pages too_many"}},
		"empty page":              {func(d *claims.DocumentReport) { d.Pages[0] = claims.Page{} }, []string{"/pages/0/sha256 required", "/pages/0/page_role required"}},
		"photographer":            {func(d *claims.DocumentReport) { d.Pages[0].CapturedBy = "a b" }, []string{"/pages/0/captured_by format"}},
		"destroyed, yet kept":     {func(d *claims.DocumentReport) { d.Loss.Event = "destroyed" }, []string{"/custody inconsistent"}},
		"recovered, yet stolen":   {func(d *claims.DocumentReport) { d.Loss.Event = "recovered" }, []string{"/loss/sltd_equivalent not_allowed"}},
		"never issued, no report": {func(d *claims.DocumentReport) { d.Loss.Event, d.Loss.SLTDEquivalent = "never_issued", "" }, nil},
		"embassy, no consent":     {func(d *claims.DocumentReport) { d.Loss.EmbassyConsentID = "" }, []string{"/loss/embassy_consent_id required"}},
		"consent, no embassy":     {func(d *claims.DocumentReport) { d.Loss.EmbassyNotified = "holder_declined" }, []string{"/loss/embassy_consent_id not_allowed"}},
		"done, says who":          {func(d *claims.DocumentReport) { d.Loss.SLTDReplyID = "" }, []string{"/loss/sltd_reply_id required"}},
		"reply, not done":         {func(d *claims.DocumentReport) { d.Loss.SLTDRequested = "yes" }, []string{"/loss/sltd_reply_id not_allowed"}},
		"police, unsafe":          {func(d *claims.DocumentReport) { d.Loss.PoliceReport.Made = "unsafe" }, []string{"/loss/police_report/ref not_allowed", "/loss/police_report/date not_allowed"}},
		"empty loss": {func(d *claims.DocumentReport) { *d.Loss = claims.Loss{} }, []string{
			"/loss/event required", "/loss/embassy_notified required", "/loss/sltd_requested required",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := someDocument()
			tt.edit(d)
			if diff := cmp.Diff(said(found(d)), append([]string{}, tt.want...)); diff != "" {
				t.Errorf("got, want:\n%s", diff)
			}
		})
	}
}

func TestOpinion(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*claims.Opinion)
		want []string
	}{
		"concur": {func(o *claims.Opinion) {
			*o = claims.Opinion{Opinion: "concur", AuthorityClass: "NGO", Date: "2026-03-10"}
		}, nil},
		"concur with a part":    {func(o *claims.Opinion) { o.Opinion = "concur" }, []string{"/parts not_allowed"}},
		"concur in no part":     {func(o *claims.Opinion) { o.Opinion, o.Parts = "concur_in_part", nil }, []string{"/parts required"}},
		"dissent for no reason": {func(o *claims.Opinion) { o.Reason = private.String{} }, []string{"/reason required"}},
		"information":           {func(o *claims.Opinion) { o.Opinion, o.Reason = "insufficient_information", private.String{} }, nil},
	} {
		o := &claims.Opinion{Opinion: "dissent", AuthorityClass: "Police", Date: "2026-03-10", Parts: []string{"means"}, Reason: private.New("No.")}
		tt.edit(o)
		if diff := cmp.Diff(said(found(o)), append([]string{}, tt.want...)); diff != "" {
			t.Errorf("%s: got, want:\n%s", name, diff)
		}
	}
}

func TestReliance(t *testing.T) {
	for name, tt := range map[string]struct {
		claims claims.Reliance
		want   []string
	}{
		"relied":                {claims.Reliance{Reliance: "relied_no_reinterview"}, nil},
		"relied on a part":      {claims.Reliance{Reliance: "relied_no_reinterview", Parts: []string{"act"}}, []string{"/parts not_allowed"}},
		"partly, on what":       {claims.Reliance{Reliance: "relied_partly"}, []string{"/parts required"}},
		"officer partly":        {claims.Reliance{OfficerDecision: "relied_partly", Parts: []string{"act"}}, nil},
		"screened again, why":   {claims.Reliance{Reliance: "rescreened"}, []string{"/reason required"}},
		"screened again, other": {claims.Reliance{Reliance: "rescreened", Reason: "other"}, []string{"/reason_text required"}},
		"screened again":        {claims.Reliance{Reliance: "rescreened", Reason: "expired", NewScreening: id("b")}, nil},
		"relied on a new one":   {claims.Reliance{Reliance: "relied_no_reinterview", NewScreening: id("b")}, []string{"/new_screening not_allowed"}},
		"relied and refused":    {claims.Reliance{Reliance: "relied_no_reinterview", OfficerDecision: "refused"}, []string{"/officer_decision inconsistent"}},
		"officer refused":       {claims.Reliance{OfficerDecision: "refused"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := tt.claims
			r.AuthorityClass, r.Date = "Police", "2026-03-10"
			if diff := cmp.Diff(said(found(&r)), append([]string{}, tt.want...)); diff != "" {
				t.Errorf("got, want:\n%s", diff)
			}
		})
	}
}

func TestReply(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*claims.Reply)
		want []string
	}{
		"not found, with travel document": {
			func(r *claims.Reply) { r.Answer = "not_found" },
			[]string{"/etd_ref not_allowed", "/etd_valid_until not_allowed", "/entries not_allowed", "/collect_where not_allowed", "/delivered_on not_allowed"},
		},
		"expired when given":  {func(r *claims.Reply) { r.ETDValidUntil = "2026-03-08" }, []string{"/etd_valid_until range"}},
		"delivered tomorrow":  {func(r *claims.Reply) { r.DeliveredOn = "2026-03-12" }, []string{"/delivered_on range"}},
		"account called back": {func(r *claims.Reply) { r.Channel = "account" }, []string{"/callbacks not_allowed"}},
		"empty call":          {func(r *claims.Reply) { r.CallBacks[1] = claims.CallBack{} }, []string{"/callbacks/1/by required", "/callbacks/1/on required"}},
		"many calls":          {func(r *claims.Reply) { r.CallBacks = slices.Repeat(r.CallBacks, 5) }, []string{"/callbacks too_many"}},
		"more, of what": {func(r *claims.Reply) {
			*r = claims.Reply{Answer: "more_info_needed", Mission: r.Mission, MissionState: "ETH", Date: "2026-03-10", Channel: "account"}
		}, []string{"/needed required"}},
		"matched, more is needed": {func(r *claims.Reply) { r.Needed = []string{"photo"} }, []string{"/needed not_allowed"}},
	} {
		r := someReply()
		tt.edit(r)
		if diff := cmp.Diff(said(found(r)), append([]string{}, tt.want...)); diff != "" {
			t.Errorf("%s: got, want:\n%s", name, diff)
		}
	}
}

// An answer that is not surely the mission's is shown as that.
func TestOfficeVerified(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*claims.Reply)
		want bool
	}{
		"two called back":         {func(*claims.Reply) {}, true},
		"the mission's account":   {func(r *claims.Reply) { r.Channel, r.CallBacks = "account", nil }, true},
		"nobody called back":      {func(r *claims.Reply) { r.CallBacks = nil }, false},
		"one called back":         {func(r *claims.Reply) { r.CallBacks = r.CallBacks[:1] }, false},
		"one called back twice":   {func(r *claims.Reply) { r.CallBacks[1].By = "worker-1" }, false},
		"a number from elsewhere": {func(r *claims.Reply) { r.CallBacks[0].FromDirectory = false }, false},
		"nobody named":            {func(r *claims.Reply) { r.CallBacks[0].By = "" }, false},
		"the mission says no": {func(r *claims.Reply) {
			r.CallBacks = append(r.CallBacks, claims.CallBack{By: "worker-3", FromDirectory: true})
		}, false},
		"unknown channel": {func(r *claims.Reply) { r.Channel = "letter" }, false},
		"no channel":      {func(r *claims.Reply) { r.Channel = "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := someReply()
			tt.edit(r)
			if got := r.OfficeVerified(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
