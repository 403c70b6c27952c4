package claims_test

import (
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
)

func TestAppointment(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*claims.Appointment)
		want string
	}{
		"as it is":               {func(*claims.Appointment) {}, ""},
		"office and day only":    {func(a *claims.Appointment) { *a = claims.Appointment{Purpose: "court", Office: a.Office, Day: a.Day} }, ""},
		"today":                  {func(a *claims.Appointment) { a.Day = "2026-03-10" }, ""},
		"over":                   {func(a *claims.Appointment) { a.Day = "2026-03-08" }, "/day range"},
		"in years":               {func(a *claims.Appointment) { a.Day = "2028-03-10" }, "/day range"},
		"no purpose of ours":     {func(a *claims.Appointment) { a.Purpose = "lunch" }, "/purpose not_in_list, /purpose_text not_allowed"},
		"other, and which":       {func(a *claims.Appointment) { a.PurposeText = private.String{} }, "/purpose_text required"},
		"listed, and which":      {func(a *claims.Appointment) { a.Purpose = "medical" }, "/purpose_text not_allowed"},
		"two lines of an office": {func(a *claims.Appointment) { a.Office = private.New("a\nb") }, "/office format"},
	} {
		t.Run(name, func(t *testing.T) {
			a := sample("appointment").(*claims.Appointment)
			tt.edit(a)
			if got := strings.Join(said(found(a)), ", "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	a := sample("appointment").(*claims.Appointment)
	for issued, want := range map[claims.Day]claims.Day{"2026-03-10": "2026-03-18", "2026-03-19": "2026-03-19"} {
		if last, err := claims.LastDay(a, issued); err != nil || last != want {
			t.Errorf("issued on %s: lasts until %s, %v, want %s", issued, last, err, want)
		}
	}
	if terms, err := claims.TermsOf(a); err != nil || !claims.KeeperOnly(terms.Kind) || terms.Answers {
		t.Errorf("got %+v, %v: an appointment is for the keeper of the case alone", terms, err)
	}
}
