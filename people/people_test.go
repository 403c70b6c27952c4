package people_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/people/token"
)

// id makes one of 32 hex digits from a word.
func id(word string) string { return strings.Repeat("0", 32-len(word)) + word }

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// waiting writes a device that waits by somebody's invitation.
func (o *office) waiting(agency, maker string) (bearer string, d network.Device) {
	o.t.Helper()
	bearer, hash := token.New(token.Bearer)
	_, secret := token.New(token.Invitation)
	id := fmt.Sprintf("%x", hash[:16])
	i := network.Invitation{ID: id, Agency: agency, Label: "gate-1", Secret: secret, InvitedBy: maker, Expires: time.Now().Add(time.Hour)}
	o.ok(o.store.Network().AddInvitation(o.t.Context(), i))
	d = network.Device{ID: id, Agency: agency, Label: i.Label, Recipient: []byte{1}, Token: hash, InvitedBy: maker, Pending: true}
	o.ok(o.store.Network().EnrolDevice(o.t.Context(), i.ID, time.Now(), d))
	return bearer, d
}

func TestAuthenticateRefuses(t *testing.T) {
	o := newOffice(t, true)
	ngo := o.agency(o.first)
	_, good := o.Program(ngo, people.Caseworker, o.first)
	swapped := []byte(good)
	swapped[10] ^= 1
	// The last of 48 digits has no spare bits; the padding form is refused.
	for name, token := range map[string]string{
		"empty": "", "cut by one": good[:len(good)-1], "cut to half": good[:len(good)/2], "longer": good + "A",
		"padded": good + "=", "without prefix": strings.TrimPrefix(good, "sc_"), "other case": strings.ToUpper(good),
		"one bit": string(swapped), "a space": " " + good, "a line break": good[:20] + "\n" + good[21:],
	} {
		if who, err := o.Authenticate(t.Context(), token); !errors.Is(err, people.ErrUnauthenticated) || who != (audit.Actor{}) {
			t.Errorf("%s: role %q, %v, want ErrUnauthenticated", name, who.Role, err)
		}
		if o.Knows(token) {
			t.Errorf("%s: is one of the roster", name)
		}
	}
	// Authenticate has read the roster of this moment, and Knows asks nobody.
	knows := func(want bool) {
		t.Helper()
		if got := o.Knows(good); got != want {
			t.Errorf("knows the token: %t, want %t", got, want)
		}
	}
	_, err := o.Authenticate(t.Context(), good)
	o.ok(err)
	knows(true)
	o.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: ngo}, o.first)
	_, err = o.Authenticate(t.Context(), good)
	wantErr(t, "of a suspended agency", err, people.ErrUnauthenticated)
	knows(false)
	o.Do(roster.DoResumeAgency, "", &roster.ResumeAgency{ID: ngo}, o.first)
	_, err = o.Authenticate(t.Context(), good)
	o.ok(err)
	o.now = o.now.Add(24 * time.Hour)
	_, err = o.Authenticate(t.Context(), good)
	wantErr(t, "when it is over", err, people.ErrUnauthenticated)
	knows(false)
}

// TestWaitingEndsWithItsMaker: a device that waits for approval is let in, to hear
// that it waits, while whoever invited it could invite it still.
func TestWaitingEndsWithItsMaker(t *testing.T) {
	o := newOffice(t, true)
	ngo := o.agency(o.first)
	supervisor, worker := o.Person(ngo, people.Supervisor, o.first), o.Person(ngo, people.Caseworker, o.first)
	border := o.agency(o.first)
	program, _ := o.Program("", people.Operator, o.first)
	gone, _ := o.Program(ngo, people.Supervisor, o.first)
	o.Do(roster.DoRemoveProgram, ngo, &roster.RemoveProgram{ID: gone.ID}, o.first)
	ask := func(bearer, role string) {
		t.Helper()
		switch who, err := o.Authenticate(t.Context(), bearer); {
		case role == "" && errors.Is(err, people.ErrUnauthenticated):
		case err != nil || who.Role != role:
			t.Errorf("role %q, %v, want %q", who.Role, err, role)
		}
	}
	for _, c := range []struct {
		name, agency, maker, role string
	}{
		{"its agency's supervisor", ngo, supervisor, "pending"},
		{"an operator", border, o.first, "pending"},
		{"an operator's program", border, program.ID, "pending"},
		{"another agency's supervisor", border, supervisor, ""},
		{"a caseworker", ngo, worker, ""},
		{"a program that was removed", ngo, gone.ID, ""},
		{"whoever runs commands", ngo, "console", ""},
		{"nobody", ngo, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bearer, _ := o.waiting(c.agency, c.maker)
			ask(bearer, c.role)
		})
	}
	bearer, d := o.waiting(border, program.ID)
	ask(bearer, "pending")
	admit := func(d network.Device) {
		o.Do(roster.DoAdmitDevice, d.Agency, &roster.AdmitDevice{Device: roster.Device{
			ID: d.ID, Agency: d.Agency, Label: d.Label, Recipient: d.Recipient, Token: d.Token[:], InvitedBy: d.InvitedBy,
		}, Symbols: "ABCDEF"}, o.first)
	}
	admit(d)
	ask(bearer, "device")
	other, _ := o.waiting(border, program.ID)
	o.Do(roster.DoRemoveProgram, "", &roster.RemoveProgram{ID: program.ID}, o.first)
	ask(other, "")
	ask(bearer, "device") // who is in was let in by those who had to
	o.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: border}, o.first)
	ask(bearer, "")
	o.Do(roster.DoResumeAgency, "", &roster.ResumeAgency{ID: border}, o.first)
	o.Do(roster.DoRemoveDevice, border, &roster.RemoveDevice{ID: d.ID}, o.first)
	ask(bearer, "") // and it does not wait again, although its row is there
}
