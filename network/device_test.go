package network_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/verifier"
)

// TestDeviceInThreeHands goes the whole way of a device, in three hands.
func TestDeviceInThreeHands(t *testing.T) {
	b := newBench(t)
	border := b.agency(network.ImmigrationService)
	before := b.logged()
	i, secret, err := b.InviteDevice(t.Context(), b.root, border.ID, "gate-2")
	b.ok(err)
	if link := b.InvitationLink(secret); link != "https://network.example/check#invite="+secret {
		t.Errorf("the link is %s", link)
	}
	if !strings.HasPrefix(secret, "sci_") || i.InvitedBy != b.root.ID || !i.Expires.Equal(start.Add(48*time.Hour)) {
		t.Errorf("the invitation is %+v", i)
	}
	kept, public, err := verifier.NewDevice(b.cfg.ID, "", nil)
	b.ok(err)
	e, err := b.EnrolDevice(t.Context(), secret, public)
	b.ok(err)
	if d := e.Device; !d.Pending || d.Agency != border.ID || d.Label != "gate-2" || e.AgencyName != border.Name {
		t.Errorf("enrolled: %+v at %q", d, e.AgencyName)
	}

	// It may ask who it is, and nothing else.
	waiting, err := b.people.Authenticate(t.Context(), e.Token)
	b.ok(err)
	if waiting != (audit.Actor{ID: e.Device.ID, Agency: border.ID, Role: "pending"}) {
		t.Errorf("a pending device is %+v", waiting)
	}
	self, agency, err := b.Self(t.Context(), waiting)
	b.ok(err)
	if !self.Pending || self.ID != e.Device.ID || agency.Name != border.Name {
		t.Errorf("it hears that it is %+v of %s", self, agency.Name)
	}
	for _, by := range []audit.Actor{waiting, actorIn(e.Device.ID, border.ID)} { // as it is, and as it says
		_, err = b.Envelope(t.Context(), by, 1)
		wantErr(t, "an envelope for a pending device", err, network.ErrForbidden)
	}

	second := b.second()
	b.ok(b.approve(second, e.Device.ID, b.symbols(e)))
	device, err := b.people.Authenticate(t.Context(), e.Token)
	b.ok(err)
	if device.Role != string(people.DeviceRole) {
		t.Errorf("an approved device has role %q", device.Role)
	}
	kept.ID, kept.Root = e.Device.ID, e.Root
	if _, err := b.Envelope(t.Context(), device, 1); err != nil {
		t.Errorf("an approved device gets no envelope: %v", err)
	}
	wantErr(t, "approved twice", b.approve(second, e.Device.ID, b.symbols(e)), network.ErrConflict)

	// Out at once: the next call lets nobody in.
	b.remove(e.Device.ID, border.ID)
	_, err = b.people.Authenticate(t.Context(), e.Token)
	wantErr(t, "a revoked device", err, people.ErrUnauthenticated)
	_, err = b.Envelope(t.Context(), device, 1)
	wantErr(t, "an envelope for a revoked device", err, network.ErrForbidden)
	_, err = b.RefuseDevice(t.Context(), second, e.Device.ID)
	wantErr(t, "refused, when it is out", err, network.ErrConflict)
	all, err := b.Devices(t.Context(), b.root, border.ID)
	b.ok(err)
	if len(all) != 1 || !all[0].Revoked || all[0].InvitedBy != b.root.ID || !slices.Equal(all[0].Recipient, public) {
		t.Errorf("the agency has %+v", all)
	}
	// Invitation, enrolment, approval; what the roster says stands there.
	if got := b.logged() - before; got != 3 {
		t.Errorf("%d entries logged, want 3", got)
	}
}

// TestInvitationRefused: one answer for every invitation that is not there to be
// taken up, and nothing changes.
func TestInvitationRefused(t *testing.T) {
	b := newBench(t)
	border, other := b.agency(network.ImmigrationService), b.agency(network.ImmigrationService)
	invite := func(agency string) string {
		t.Helper()
		_, secret, err := b.InviteDevice(t.Context(), b.root, agency, "gate-2")
		b.ok(err)
		return secret
	}
	_, public, err := verifier.NewDevice(b.cfg.ID, "", nil)
	b.ok(err)
	used, over, shut := invite(border.ID), invite(border.ID), invite(other.ID)
	_, err = b.EnrolDevice(t.Context(), used, public)
	b.ok(err)
	b.move(48*time.Hour - time.Second)
	late := invite(border.ID)
	b.suspend(other.ID)
	_, err = b.EnrolDevice(t.Context(), over, public) // in the last second
	b.ok(err)
	over = invite(border.ID)
	b.move(48 * time.Hour)
	swapped := []byte(late)
	swapped[10] ^= 1

	before := b.logged()
	for name, secret := range map[string]string{
		"used": used, "over": over, "of a suspended agency": shut, "none": "", "a token": b.token,
		"cut": late[:len(late)-1], "one bit": string(swapped), "a space": " " + late, "without prefix": strings.TrimPrefix(late, "sci_"),
		"another network's": "sci_" + strings.TrimPrefix(b.token, "sc_"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.EnrolDevice(t.Context(), secret, public)
			if !errors.Is(err, network.ErrInvitation) || err.Error() != network.ErrInvitation.Error() {
				t.Errorf("%v, want ErrInvitation and nothing more", err)
			}
		})
	}
	secret := invite(border.ID)
	for name, key := range map[string][]byte{
		"no key": nil, "a byte less": public[1:], "a byte more": append(slices.Clone(public), 0), "noise": bytesOf(0xff, len(public)),
	} {
		_, err := b.EnrolDevice(t.Context(), secret, key)
		wantErr(t, name, err, invalid.ErrInput)
	}
	if got := b.logged() - before; got != 1 { // the invitation
		t.Errorf("%d entries logged, want 1", got)
	}
	_, err = b.EnrolDevice(t.Context(), secret, public)
	b.ok(err)

	for _, label := range []string{"", "Officer's phone", strings.Repeat("a", 41), "-gate"} {
		_, _, err := b.InviteDevice(t.Context(), b.root, border.ID, label)
		wantErr(t, "label "+label, err, invalid.ErrInput)
	}
	_, _, err = b.InviteDevice(t.Context(), b.root, "unknown", "gate")
	wantErr(t, "an unknown agency", err, network.ErrNotFound)
	_, _, err = b.InviteDevice(t.Context(), b.root, other.ID, "gate")
	wantErr(t, "a suspended agency", err, network.ErrConflict)
	ngo := b.agency(network.NGO)
	supervisor, _ := b.member(ngo.ID, people.Supervisor)
	_, _, err = b.InviteDevice(t.Context(), supervisor, border.ID, "gate")
	wantErr(t, "a supervisor for another agency", err, network.ErrForbidden)
	_, _, err = b.InviteDevice(t.Context(), supervisor, ngo.ID, "gate")
	b.ok(err)
}

// TestInvitationOnce: of twenty devices that take one invitation up at once, one
// gets through.
func TestInvitationOnce(t *testing.T) {
	b := newBench(t)
	border := b.agency(network.ImmigrationService)
	_, secret, err := b.InviteDevice(t.Context(), b.root, border.ID, "gate-2")
	b.ok(err)
	_, public, err := verifier.NewDevice(b.cfg.ID, "", nil)
	b.ok(err)
	before := b.logged()
	var through, refused atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := b.EnrolDevice(context.Background(), secret, public)
			switch {
			case err == nil:
				through.Add(1)
			case errors.Is(err, network.ErrInvitation):
				refused.Add(1)
			default:
				t.Errorf("at once: %v", err)
			}
		})
	}
	wg.Wait()
	all, err := b.Devices(t.Context(), b.root, border.ID)
	b.ok(err)
	if through.Load() != 1 || refused.Load() != 19 || len(all) != 1 || b.logged() != before+1 {
		t.Errorf("%d got through, %d were refused, %d devices", through.Load(), refused.Load(), len(all))
	}
}

// TestInvitationEndsWithItsMaker is hostile case 92: whoever may invite no more has not invited. It
// holds for an invitation and for the device that waits by one, and one answer is
// like any other refusal.
func TestInvitationEndsWithItsMaker(t *testing.T) {
	b := newBench(t)
	ngo := b.agency(network.NGO)
	_, public, err := verifier.NewDevice(b.cfg.ID, "", nil)
	b.ok(err)
	type begun struct {
		secret  string            // an invitation that nobody has taken up
		waiting network.Enrolment // a device that waits by another
	}
	begin := func(maker audit.Actor) begun {
		t.Helper()
		_, secret, err := b.InviteDevice(t.Context(), maker, ngo.ID, "gate-2")
		b.ok(err)
		_, taken, err := b.InviteDevice(t.Context(), maker, ngo.ID, "gate-3")
		b.ok(err)
		e, err := b.EnrolDevice(t.Context(), taken, public)
		b.ok(err)
		return begun{secret, e}
	}
	refused := func(what string, n *network.Network, g begun) {
		t.Helper()
		before := b.logged()
		_, err := n.EnrolDevice(t.Context(), g.secret, public)
		if !errors.Is(err, network.ErrInvitation) || err.Error() != network.ErrInvitation.Error() {
			t.Errorf("%s: the invitation: %v, want ErrInvitation and nothing more", what, err)
		}
		wantErr(t, what+": the device that waits", admission(n, b.second(), g.waiting.Device.ID, b.symbols(g.waiting)), network.ErrInvitation)
		if got := b.logged() - before; got != 0 {
			t.Errorf("%s: %d entries logged, want none", what, got)
		}
	}
	out := func(what string, g begun) {
		t.Helper()
		_, err := b.people.Authenticate(t.Context(), g.waiting.Token)
		wantErr(t, what+": the device asks", err, people.ErrUnauthenticated)
	}

	operator := b.second()
	by := begin(operator)
	b.end(operator)
	refused("of an operator who was revoked", b.Network, by)
	out("of an operator who was revoked", by)

	supervisor, _ := b.member(ngo.ID, people.Supervisor)
	by = begin(supervisor)
	cfg := b.cfg
	cfg.Rights = demoted{b.people, supervisor.ID}
	other, err := network.New(cfg)
	b.ok(err)
	refused("of a supervisor who is a caseworker now", other, by)

	b.suspend(ngo.ID)
	out("of a suspended agency", by)
	_, err = b.EnrolDevice(t.Context(), by.secret, public)
	wantErr(t, "of a suspended agency", err, network.ErrInvitation)
	b.resume(ngo.ID)
	_, err = b.EnrolDevice(t.Context(), by.secret, public)
	b.ok(err)
	b.ok(b.approve(b.second(), by.waiting.Device.ID, b.symbols(by.waiting)))

	// A device that is in stays in: two people have let it in.
	b.end(supervisor)
	if who, err := b.people.Authenticate(t.Context(), by.waiting.Token); err != nil || who.Role != "device" {
		t.Errorf("a device that was approved before: role %q, %v", who.Role, err)
	}
}

// admission asks for what the roster has to say for a device to be in.
func admission(n *network.Network, by audit.Actor, device, symbols string) error {
	_, err := n.DeviceAdmission(context.Background(), by, device, symbols)
	return err
}

// demoted is the people of a network, one of whom has another role now.
type demoted struct {
	*people.Roster
	member string
}

func (d demoted) Present(ctx context.Context, member string) (audit.Actor, bool, error) {
	by, ok, err := d.Roster.Present(ctx, member)
	if member == d.member {
		by.Role = string(people.Caseworker)
	}
	return by, ok, err
}

// TestApprovalRefused: by whoever began it, by those it is no business of, and
// with other symbols than the device shows.
func TestApprovalRefused(t *testing.T) {
	b := newBench(t)
	ngo, border := b.agency(network.NGO), b.agency(network.ImmigrationService)
	kept, e := b.pending(ngo.ID)
	_, neighbour := b.pending(ngo.ID)
	symbols, second := b.symbols(e), b.second()
	worker, _ := b.member(ngo.ID, people.Caseworker)
	stranger, _ := b.member(b.agency(network.NGO).ID, people.Supervisor)
	before := b.logged()
	wantErr(t, "by the inviter", b.approve(b.root, kept.ID, symbols), network.ErrApproval)
	wantErr(t, "by a caseworker", b.approve(worker, kept.ID, symbols), network.ErrForbidden)
	wantErr(t, "by itself", b.approve(actorIn(kept.ID, ngo.ID), kept.ID, symbols), network.ErrForbidden)
	foreign := b.approve(stranger, kept.ID, symbols)
	unknown := b.approve(stranger, strings.Repeat("0", 32), symbols)
	wantErr(t, "by another agency", foreign, network.ErrNotFound)
	if foreign.Error() != unknown.Error() {
		t.Errorf("another agency can tell %q from %q", foreign, unknown)
	}
	for _, typed := range []string{"", symbols[:5], symbols + "2", "ABC0DE", "ABCDEI", "АBCDEF"} {
		wantErr(t, "typed "+typed, b.approve(second, kept.ID, typed), invalid.ErrInput)
	}

	// None of these was a try. Five are, and the device is out; a right one in
	// time is taken however it is typed.
	for range 4 {
		wantErr(t, "another device's", b.approve(second, neighbour.Device.ID, symbols), network.ErrSymbols)
	}
	if got := b.logged(); got != before {
		t.Errorf("%d entries logged, want none", got-before)
	}
	typed := strings.ToLower(b.symbols(neighbour))
	b.ok(b.approve(second, neighbour.Device.ID, typed[:3]+" "+typed[3:4]+"-"+typed[4:]))
	for range 5 {
		wantErr(t, "another device's", b.approve(second, kept.ID, b.symbols(neighbour)), network.ErrSymbols)
	}
	wantErr(t, "right, too late", b.approve(second, kept.ID, symbols), network.ErrNotFound)
	_, err := b.people.Authenticate(t.Context(), e.Token)
	wantErr(t, "a device that is out", err, people.ErrUnauthenticated)
	if got := b.logged(); got != before+2 { // an approval, a revocation
		t.Errorf("%d entries logged, want 2", got-before)
	}

	// Nobody comes in while the agency is shut out.
	_, late := b.pending(border.ID)
	b.suspend(border.ID)
	wantErr(t, "of a suspended agency", b.approve(second, late.Device.ID, b.symbols(late)), network.ErrConflict)
}

// TestOnlyItsOwnEndsWaiting: a device that waits is sent away by its agency, or by that
// of whoever invited it. Another one's token ends nothing, also an operator's.
func TestOnlyItsOwnEndsWaiting(t *testing.T) {
	b := newBench(t)
	ngo := b.agency(network.NGO)
	inviter, _ := b.member(ngo.ID, people.Supervisor)
	colleague, _ := b.member(ngo.ID, people.Supervisor)
	stranger, _ := b.member(b.agency(network.NGO).ID, people.Supervisor)
	_, public, err := verifier.NewDevice(b.cfg.ID, "", nil)
	b.ok(err)
	enrol := func(by audit.Actor) string {
		_, secret, err := b.InviteDevice(t.Context(), by, ngo.ID, "gate-2")
		b.ok(err)
		e, err := b.EnrolDevice(t.Context(), secret, public)
		b.ok(err)
		return e.Device.ID
	}
	refuse := func(by audit.Actor, id string) error {
		_, err := b.RefuseDevice(t.Context(), by, id)
		return err
	}
	theirs, ours := enrol(inviter), enrol(b.root)
	wantErr(t, "by an operator", refuse(b.second(), theirs), network.ErrForbidden)
	wantErr(t, "by another agency", refuse(stranger, theirs), network.ErrNotFound)
	b.ok(refuse(colleague, theirs))
	wantErr(t, "twice", refuse(colleague, theirs), network.ErrNotFound)
	b.ok(refuse(b.second(), ours)) // whom an operator invited
}

// TestApprovalTriesAtOnce: many wrong ones at once are still five.
func TestApprovalTriesAtOnce(t *testing.T) {
	b := newBench(t)
	kept, e := b.pending(b.agency(network.NGO).ID)
	second, wrong := b.second(), "222222"
	if b.symbols(e) == wrong {
		wrong = "333333"
	}
	var compared atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			err := admission(b.Network, second, kept.ID, wrong)
			switch {
			case errors.Is(err, network.ErrSymbols):
				compared.Add(1)
			case !errors.Is(err, network.ErrConflict) && !errors.Is(err, network.ErrNotFound):
				t.Errorf("at once: %v", err)
			}
		})
	}
	wg.Wait()
	if n := compared.Load(); n > 5 {
		t.Errorf("%d were compared, want 5 at most", n)
	}
	_, err := b.store.Device(t.Context(), kept.ID)
	wantErr(t, "after a hundred wrong ones", err, network.ErrNotFound)
}
