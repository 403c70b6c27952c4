package network

import (
	"context"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/people/token"
	"github.com/safeconduct/safeconduct/verifier"
)

// A device is enrolled in three steps, by three hands: somebody invites it, the
// device itself takes the invitation up with a key that it made, and a second
// person looks at both and approves (docs/decisions/0012-devices.md).

// Device is an officer's device. It holds epoch keys, so that it can open
// cards with no network.
type Device struct {
	ID     string // 128 random bits in hex
	Agency string
	// Label tells devices apart, as "checkpoint-2" does. It names the thing
	// and its place, never a person.
	Label     string
	Recipient []byte   // MLKEM768-X25519 public key that envelopes are sealed to
	Token     [32]byte // SHA-256 of the bearer token
	// InvitedBy is the member who made the invitation, and who may not approve.
	// It is "" for devices from before there were invitations.
	InvitedBy string
	// Pending says that nobody has approved the device yet. It may ask who it
	// is, end its waiting, and nothing else.
	Pending bool
	Revoked bool
}

// Invitation lets one device ask to be taken in. It is good for one enrolment,
// for two days, and ends with its maker: from the moment at which whoever made it
// may invite nobody any more, it and the device that waits by it are refused.
type Invitation struct {
	ID        string // 128 random bits in hex
	Agency    string
	Label     string
	Secret    [32]byte // SHA-256 of the secret
	InvitedBy string
	Expires   time.Time
	Used      bool
}

const (
	invitationLife = 48 * time.Hour

	// maxApprovalTries is how often the symbols of one device may be typed.
	maxApprovalTries = 5
)

var labelForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// InviteDevice makes an invitation for one device of an agency, and returns its
// secret, which is shown this once.
func (n *Network) InviteDevice(ctx context.Context, by audit.Actor, agency, label string) (Invitation, string, error) {
	if err := n.may(by, actDevices, agency); err != nil {
		return Invitation{}, "", err
	}
	var c invalid.Checker
	c.Shape("/label", label, labelForm, "is 1 to 40 of a-z, 0-9 and dash", invalid.Required)
	if err := c.Err(); err != nil {
		return Invitation{}, "", err
	}
	if _, err := n.active(ctx, agency); err != nil {
		return Invitation{}, "", err
	}
	secret, hash := token.New(token.Invitation)
	i := Invitation{
		ID: newID(), Agency: agency, Label: label, Secret: hash, InvitedBy: by.ID,
		Expires: n.cfg.Now().Add(invitationLife).UTC().Truncate(time.Second),
	}
	entry, err := n.entry("device.invite", by, map[string]any{"invitation": i.ID, "agency": agency})
	if err != nil {
		return Invitation{}, "", err
	}
	if err := n.cfg.Store.AddInvitation(ctx, i, entry); err != nil {
		return Invitation{}, "", fmt.Errorf("store the invitation: %w", err)
	}
	return i, secret, nil
}

// InvitationLink is what the device opens. The secret stands behind the #, which
// browsers keep to themselves.
func (n *Network) InvitationLink(secret string) string {
	return n.cfg.BaseURL + "/check#invite=" + secret
}

// Enrolment is what a device learns when it takes an invitation up.
type Enrolment struct {
	Device     Device
	AgencyName string
	Token      string // shown this once
	Root       json.RawMessage
}

// EnrolDevice takes an invitation up for a device that made the key public
// (ML-KEM-768 with X25519). The device is pending until somebody approves it.
// ErrInvitation for every invitation that is not there to be taken up, whatever
// the reason.
func (n *Network) EnrolDevice(ctx context.Context, secret string, public []byte) (Enrolment, error) {
	if _, err := hpke.MLKEM768X25519().NewPublicKey(public); err != nil {
		return Enrolment{}, invalid.One("/public_key", invalid.CodeFormat, "is an MLKEM768-X25519 public key")
	}
	i, agency, err := n.invitation(ctx, secret)
	if err != nil {
		return Enrolment{}, err
	}
	// The key is read before the invitation is used up: an error afterwards would
	// lose the token.
	root, err := n.RootKey(ctx)
	if err != nil {
		return Enrolment{}, err
	}
	bearer, hash := token.New(token.Bearer)
	d := Device{
		ID: newID(), Agency: i.Agency, Label: i.Label, Recipient: public, Token: hash,
		InvitedBy: i.InvitedBy, Pending: true,
	}
	entry, err := n.entry("device.enrol", audit.Actor{}, map[string]any{
		"id": d.ID, "agency": d.Agency, "invitation": i.ID, "recipient": fingerprint(public),
	})
	if err != nil {
		return Enrolment{}, err
	}
	err = n.cfg.Store.EnrolDevice(ctx, i.ID, n.cfg.Now(), d, entry)
	switch {
	case errors.Is(err, ErrConflict):
		return Enrolment{}, ErrInvitation // somebody was faster
	case err != nil:
		return Enrolment{}, fmt.Errorf("store the device: %w", err)
	}
	return Enrolment{Device: d, AgencyName: agency.Name, Token: bearer, Root: root}, nil
}

// invitation finds one that can be taken up now, and the agency that it is for.
func (n *Network) invitation(ctx context.Context, secret string) (Invitation, Agency, error) {
	hash, ok := token.Hash(token.Invitation, secret)
	if !ok {
		return Invitation{}, Agency{}, ErrInvitation
	}
	i, err := n.cfg.Store.Invitation(ctx, hash)
	switch {
	case errors.Is(err, ErrNotFound):
		return Invitation{}, Agency{}, ErrInvitation
	case err != nil:
		return Invitation{}, Agency{}, fmt.Errorf("look the invitation up: %w", err)
	case i.Used || !n.cfg.Now().Before(i.Expires) || subtle.ConstantTimeCompare(i.Secret[:], hash[:]) != 1:
		return Invitation{}, Agency{}, ErrInvitation
	}
	if err := n.checkInviter(ctx, i.InvitedBy, i.Agency); err != nil {
		return Invitation{}, Agency{}, err
	}
	a, err := n.active(ctx, i.Agency)
	switch {
	case errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound):
		return Invitation{}, Agency{}, ErrInvitation
	case err != nil:
		return Invitation{}, Agency{}, err
	}
	return i, a, nil
}

// checkInviter refuses, with ErrInvitation, an invitation whose maker could not
// make it now: somebody who was revoked, whose agency is suspended, or who has
// another role. Such a person may have been sent away for what they began.
func (n *Network) checkInviter(ctx context.Context, member, agency string) error {
	by, ok, err := n.cfg.Rights.Present(ctx, member)
	switch {
	case err != nil:
		return fmt.Errorf("look up who invited: %w", err)
	case !ok || n.may(by, actDevices, agency) != nil:
		return ErrInvitation
	}
	return nil
}

// DeviceAdmission is what the roster has to say for a pending device to be in. symbols
// are what the device shows, as whoever asks read them off it: with them he says that
// he has looked at the device itself. ErrApproval for whoever invited it; ErrInvitation
// when whoever did may invite nobody any more; ErrSymbols when the symbols are another
// device's, and after the fifth time the device is out for good.
func (n *Network) DeviceAdmission(ctx context.Context, by audit.Actor, id, symbols string) (*roster.AdmitDevice, error) {
	d, err := n.managedDevice(ctx, by, id)
	switch {
	case err != nil:
		return nil, err
	case !d.Pending:
		return nil, fmt.Errorf("%w: the device does not wait for approval", ErrConflict)
	case d.InvitedBy == by.ID:
		return nil, ErrApproval
	}
	if err := n.checkInviter(ctx, d.InvitedBy, d.Agency); err != nil {
		return nil, err
	}
	typed := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(symbols))
	if len(typed) != verifier.SymbolCount || strings.Trim(typed, verifier.SymbolAlphabet) != "" {
		return nil, invalid.One("/symbols", invalid.CodeFormat, "is the six symbols that the device shows")
	}
	if _, err := n.active(ctx, d.Agency); err != nil {
		return nil, err
	}
	root, err := n.RootKey(ctx)
	if err != nil {
		return nil, err
	}
	// A try is counted before the symbols are compared, so that many tries at
	// once are not more than five.
	try, err := n.cfg.Store.TryApproval(ctx, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("count the try: %w", err)
	case try > maxApprovalTries: // another call is refusing it, or a crash kept one from it
		return nil, errors.Join(ErrConflict, n.endWaiting(ctx, by, d, "symbols"))
	}
	want, err := verifier.Symbols(n.cfg.ID, root, d.Recipient)
	switch {
	case err != nil:
		return nil, fmt.Errorf("derive the symbols: %w", err)
	case subtle.ConstantTimeCompare([]byte(want), []byte(typed)) == 1:
		return &roster.AdmitDevice{Device: roster.Device{
			ID: d.ID, Agency: d.Agency, Label: d.Label, Recipient: d.Recipient, Token: d.Token[:], InvitedBy: d.InvitedBy,
		}, Symbols: want}, nil
	case try == maxApprovalTries:
		return nil, errors.Join(ErrSymbols, n.endWaiting(ctx, by, d, "symbols"))
	default:
		return nil, ErrSymbols
	}
}

// adoptDevices ends the waiting of those about whom the roster says something.
func (n *Network) adoptDevices(ctx context.Context, s roster.State) error {
	kept, err := n.cfg.Store.Devices(ctx, "")
	if err != nil {
		return fmt.Errorf("read devices: %w", err)
	}
	for _, d := range kept {
		if _, decided := s.Devices[d.ID]; !decided {
			continue
		}
		entry, err := n.entry("device.approve", audit.Actor{}, map[string]any{
			"id": d.ID, "agency": d.Agency, "invited_by": d.InvitedBy, "recipient": fingerprint(d.Recipient),
		})
		if err != nil {
			return err
		}
		if err := n.cfg.Store.EndWaiting(ctx, d.ID, entry); err != nil && !errors.Is(err, ErrConflict) {
			return fmt.Errorf("end the device's waiting: %w", err)
		}
	}
	return nil
}

// RefuseDevice ends the waiting of a device that nobody has let in, and returns its
// agency. ErrConflict for one that does not wait: a change of the roster ends those.
// It is ended by its agency, or by that of whoever invited it, so that one token ends no
// more than its own: ErrForbidden for others. The keys that a device holds stay in it
// until its lease is over, and whoever took it apart keeps them: burn the epochs then.
func (n *Network) RefuseDevice(ctx context.Context, by audit.Actor, id string) (agency string, err error) {
	d, err := n.managedDevice(ctx, by, id)
	switch {
	case err != nil:
		return "", err
	case !d.Pending:
		return d.Agency, ErrConflict
	}
	inviter, _, err := n.cfg.Rights.Present(ctx, d.InvitedBy)
	switch {
	case err != nil:
		return "", fmt.Errorf("look up who invited: %w", err)
	case by.Agency != d.Agency && (inviter.ID == "" || by.Agency != inviter.Agency):
		return d.Agency, ErrForbidden
	}
	return d.Agency, n.endWaiting(ctx, by, d, "")
}

// Leave ends the waiting of a device by itself. ErrConflict once somebody has let it in:
// then two people take it out.
func (n *Network) Leave(ctx context.Context, by audit.Actor) error {
	if err := n.may(by, actLeave, by.Agency); err != nil {
		return err
	}
	d, err := n.device(ctx, by.ID)
	switch {
	case err != nil:
		return err
	case !d.Pending:
		return ErrConflict
	}
	return n.endWaiting(ctx, by, d, "")
}

func (n *Network) endWaiting(ctx context.Context, by audit.Actor, d Device, why string) error {
	entry, err := n.entry("device.revoke", by, struct {
		ID  string `json:"id"`
		Why string `json:"why,omitempty"`
	}{d.ID, why})
	if err != nil {
		return err
	}
	if err := n.cfg.Store.EndWaiting(ctx, d.ID, entry); err != nil {
		return fmt.Errorf("end the device's waiting: %w", err)
	}
	return nil
}

// waitingLife is how long a device may wait: longer than any request to let it in.
const waitingLife = 14 * day

// SweepWaiting forgets invitations that are over, and devices that nobody let in.
func (n *Network) SweepWaiting(ctx context.Context) error {
	return n.cfg.Store.SweepWaiting(ctx, n.cfg.Now(), n.cfg.Now().Add(-waitingLife))
}

// device is a device as the roster has it, or one that waits.
func (n *Network) device(ctx context.Context, id string) (Device, error) {
	s, err := n.cfg.Rights.State(ctx)
	if err != nil {
		return Device{}, err
	}
	if d, ok := s.Devices[id]; ok {
		return deviceOf(d), nil
	}
	d, err := n.cfg.Store.Device(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return Device{}, ErrNotFound
	case err != nil:
		return Device{}, fmt.Errorf("read the device: %w", err)
	}
	return d, nil
}

func deviceOf(d roster.Device) Device {
	out := Device{ID: d.ID, Agency: d.Agency, Label: d.Label, Recipient: d.Recipient, InvitedBy: d.InvitedBy, Revoked: d.Removed}
	copy(out.Token[:], d.Token)
	return out
}

// managedDevice returns a device that the actor may manage. A device of another
// agency and one that never existed give the same answer.
func (n *Network) managedDevice(ctx context.Context, by audit.Actor, id string) (Device, error) {
	if err := n.may(by, actDevices, by.Agency); err != nil {
		return Device{}, err
	}
	d, err := n.device(ctx, id)
	if err != nil {
		return Device{}, err
	}
	if n.may(by, actDevices, d.Agency) != nil {
		return Device{}, ErrNotFound
	}
	return d, nil
}

// Devices lists an agency's devices, those that were let in and are out included. For
// an operator "" lists those of all agencies.
func (n *Network) Devices(ctx context.Context, by audit.Actor, agency string) ([]Device, error) {
	if err := n.may(by, actDevices, agency); err != nil {
		return nil, err
	}
	s, err := n.cfg.Rights.State(ctx)
	if err != nil {
		return nil, err
	}
	all, err := n.cfg.Store.Devices(ctx, agency)
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	all = slices.DeleteFunc(all, func(d Device) bool { _, decided := s.Devices[d.ID]; return decided })
	for _, d := range s.Devices {
		if agency == "" || d.Agency == agency {
			all = append(all, deviceOf(d))
		}
	}
	slices.SortFunc(all, func(a, b Device) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Self tells a device who it is, and the agency it belongs to.
func (n *Network) Self(ctx context.Context, by audit.Actor) (Device, Agency, error) {
	if err := n.may(by, actSelf, by.Agency); err != nil {
		return Device{}, Agency{}, err
	}
	d, err := n.device(ctx, by.ID)
	if err != nil {
		return Device{}, Agency{}, err
	}
	a, err := n.active(ctx, d.Agency)
	return d, a, err
}

// fingerprint identifies a device key in the log.
func fingerprint(public []byte) string { return fmt.Sprintf("%x", sha256.Sum256(public)) }
