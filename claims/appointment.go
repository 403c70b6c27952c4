package claims

import (
	"fmt"
	"log/slog"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// KindAppointment is the kind of an Appointment.
const KindAppointment Kind = "appointment"

// Appointment says that the holder is expected at an office on a day. It tells
// where she will be, so that it is shown at a desk and on her own sheet: never on
// a card, and to no agency but the one that keeps her case.
type Appointment struct {
	Purpose     string         `json:"purpose,omitempty" list:"appointment_purpose" is:"required" tells:"whereabouts"`
	PurposeText private.String `json:"purpose_text,omitzero" tells:"whereabouts"`         // with other, and only then
	Office      private.String `json:"office,omitzero" is:"required" tells:"whereabouts"` // its name, as she asks for it
	Address     private.String `json:"address,omitzero" tells:"whereabouts"`              // street or floor
	City        private.String `json:"city,omitzero" tells:"whereabouts"`
	Country     string         `json:"country,omitempty" is:"country" tells:"whereabouts"`
	Day         Day            `json:"day,omitempty" is:"required,coming" tells:"whereabouts"`
	Window      private.String `json:"window,omitzero" tells:"whereabouts"` // when on that day, such as 09:00 to 11:00
	Bring       private.String `json:"bring,omitzero" is:"text" tells:"whereabouts"`
}

// Kind is KindAppointment.
func (*Appointment) Kind() Kind { return KindAppointment }

// Format hides the claims whatever the verb.
func (a Appointment) Format(f fmt.State, _ rune) { hidden(f, KindAppointment) }

// LogValue hides the claims in structured logs.
func (a Appointment) LogValue() slog.Value { return hiddenLog(KindAppointment) }

func (a *Appointment) rules(c *invalid.Checker) {
	other := a.Purpose == "other"
	c.Only("/purpose_text", !a.PurposeText.IsZero(), other, "goes with other")
	c.There("/purpose_text", !a.PurposeText.IsZero(), invalid.Need(other))
}

// lastDay is that of the appointment: nobody is expected after it.
func (a *Appointment) lastDay(issued Day) Day { return max(a.Day, issued) }
