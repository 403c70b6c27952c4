// Package people knows who works for the agencies of a network, and what each of
// them may do: members and their roles, the bearer tokens that let members and
// devices in, and one table of rights. It keeps nothing itself: a Store does.
// Agencies, their keys and their devices are left to network, and what becomes
// of a case to credentials and vault; whoever serves an act asks here first and
// calls those rooms then.
package people

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/people/token"
)

// Conditions that a caller can act on.
var (
	// ErrNotFound says that there is no such member or agency.
	ErrNotFound = errors.New("people: no such record")

	// ErrExists says that a member with that id or token is there already.
	ErrExists = errors.New("people: exists already")

	// ErrUnauthenticated says that a token is not one of ours, was revoked,
	// or belongs to a suspended agency. Which of these is not said.
	ErrUnauthenticated = errors.New("people: not authenticated")

	// ErrForbidden says that the actor's role may not do this, or not for
	// that agency.
	ErrForbidden = errors.New("people: not allowed")

	// ErrConflict says that the record's state does not allow this.
	ErrConflict = errors.New("people: the state does not allow this")
)

// Role says what somebody may do: a role of the roster, or what a device is.
type Role = roster.Role

// The roles of people and programs are the roster's. A device has one of two.
const (
	Operator   = roster.Operator
	Auditor    = roster.Auditor
	Admin      = roster.Admin
	Caseworker = roster.Caseworker
	Supervisor = roster.Supervisor
	Officer    = roster.Officer
	Mission    = roster.Mission

	DeviceRole Role = "device"  // an enrolled device acting by itself
	Pending    Role = "pending" // a device that waits for approval
)

// Roles lists every role.
var Roles = []Role{Operator, Auditor, Admin, Caseworker, Supervisor, Officer, Mission, DeviceRole, Pending}

// RolesOf lists the roles that people of an agency may have, by its class.
func RolesOf(class string) []Role { return roster.RolesOf(class) }

// Member is somebody who works for an agency. No name is known here: the agency
// knows it.
type Member struct {
	ID      string // 128 random bits in hex
	Agency  string // "" for operators
	Role    Role
	Token   [32]byte // SHA-256 of the bearer token
	Revoked bool
}

// Agency is what has to be known of an agency before somebody of it is let in.
type Agency struct {
	Class     string // as in docs/vocabulary.md
	Suspended bool
}

// Device is what has to be known of a device before it is let in.
type Device struct {
	ID, Agency string
	Token      [32]byte // SHA-256 of the bearer token
	InvitedBy  string   // the member who made the invitation; "" for devices from before there were any
	Pending    bool     // nobody has approved it yet
	Revoked    bool
}

// Store keeps members, and reads what network keeps of agencies and devices.
// Every method that changes something takes the log entries that say so, and
// writes both or neither. Reads of one record return ErrNotFound when there is
// none.
type Store interface {
	Changes
	Requests

	AddMember(ctx context.Context, m Member, log ...audit.Entry) error
	// RevokeMember ends a member's access for good. ErrConflict if it was
	// ended before.
	RevokeMember(ctx context.Context, id string, log ...audit.Entry) error
	Member(ctx context.Context, id string) (Member, error)
	MemberByToken(ctx context.Context, hash [32]byte) (Member, error)
	// Members lists an agency's members; "" lists the operators.
	Members(ctx context.Context, agency string) ([]Member, error)

	Agency(ctx context.Context, id string) (Agency, error)
	// DeviceByToken knows devices that wait or are out, too.
	DeviceByToken(ctx context.Context, hash [32]byte) (Device, error)
}

// Config is everything a Roster needs. Store is required.
type Config struct {
	Store Store
	// Checker checks the proofs of the roster; nil means that none holds.
	Checker roster.Checker
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Roster is everybody who may act in one network. It is safe for use by many
// goroutines.
type Roster struct {
	cfg  Config
	book book
}

// New checks the configuration. It reads and writes nothing.
func New(cfg Config) (*Roster, error) {
	if cfg.Store == nil {
		return nil, errors.New("people: a roster needs a Store")
	}
	if cfg.Checker == nil {
		cfg.Checker = nothingHolds{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Roster{cfg: cfg}, nil
}

// NewOperator makes the first operator of a new network, and the bearer token,
// which is shown this once. Whoever founds the network writes the operator down
// together with it: neither is there without the other.
func NewOperator() (Member, string) {
	secret, hash := token.New(token.Bearer)
	return Member{ID: newID(), Role: Operator, Token: hash}, secret
}

// AddMember lets somebody in who works for an agency, and returns the bearer
// token, which is shown this once. An operator may add anybody, a supervisor
// people of the own agency; agency is "" for a new operator.
func (r *Roster) AddMember(ctx context.Context, by audit.Actor, agency string, role Role) (Member, string, error) {
	if err := MayFor(by, MemberManage, agency); err != nil {
		return Member{}, "", err
	}
	if role == Operator && agency == "" {
		return r.addMember(ctx, by, "", role)
	}
	a, err := r.cfg.Store.Agency(ctx, agency)
	switch {
	case errors.Is(err, ErrNotFound):
		return Member{}, "", ErrNotFound
	case err != nil:
		return Member{}, "", fmt.Errorf("read the agency: %w", err)
	case a.Suspended:
		return Member{}, "", fmt.Errorf("%w: the agency is suspended", ErrConflict)
	case !slices.Contains(RolesOf(a.Class), role):
		return Member{}, "", invalid.One("/role", invalid.CodeNotInList, "is one that this class of agency has")
	}
	return r.addMember(ctx, by, agency, role)
}

func (r *Roster) addMember(ctx context.Context, by audit.Actor, agency string, role Role) (Member, string, error) {
	secret, hash := token.New(token.Bearer)
	m := Member{ID: newID(), Agency: agency, Role: role, Token: hash}
	entry, err := audit.NewAct("member.add", by, map[string]any{"id": m.ID, "agency": agency, "role": role}, r.cfg.Now())
	if err != nil {
		return Member{}, "", err
	}
	if err := r.cfg.Store.AddMember(ctx, m, entry); err != nil {
		return Member{}, "", fmt.Errorf("store the member: %w", err)
	}
	return m, secret, nil
}

// RevokeMember ends somebody's access for good, from the next call on. Nobody
// can revoke their own: the last operator would lock the network.
func (r *Roster) RevokeMember(ctx context.Context, by audit.Actor, id string) error {
	if err := May(by, MemberManage); err != nil {
		return err
	}
	m, err := r.cfg.Store.Member(ctx, id)
	switch {
	case err != nil:
		return err
	// A member of another agency and one that never was get the same answer.
	case MayFor(by, MemberManage, m.Agency) != nil:
		return ErrNotFound
	case by.ID == id:
		return fmt.Errorf("%w: nobody revokes their own access", ErrConflict)
	}
	entry, err := audit.NewAct("member.revoke", by, map[string]any{"id": id}, r.cfg.Now())
	if err != nil {
		return err
	}
	if err := r.cfg.Store.RevokeMember(ctx, id, entry); err != nil {
		return fmt.Errorf("revoke the member: %w", err)
	}
	return nil
}

// Members lists who works for an agency; "" lists the operators.
func (r *Roster) Members(ctx context.Context, by audit.Actor, agency string) ([]Member, error) {
	if err := MayFor(by, MemberManage, agency); err != nil {
		return nil, err
	}
	return r.cfg.Store.Members(ctx, agency)
}

// Authenticate tells who a bearer token belongs to. Everything is looked up
// anew, so that a revocation or suspension works on the next call.
// ErrUnauthenticated for any token that lets nobody in.
func (r *Roster) Authenticate(ctx context.Context, bearer string) (audit.Actor, error) {
	hash, ok := token.Hash(token.Bearer, bearer)
	if !ok {
		return audit.Actor{}, ErrUnauthenticated
	}
	s, err := r.State(ctx)
	if err != nil {
		return audit.Actor{}, err
	}
	if by, ok := program(s, hash, r.cfg.Now()); ok {
		return by, nil
	}
	m, err := r.cfg.Store.MemberByToken(ctx, hash)
	switch {
	case errors.Is(err, ErrNotFound):
		return r.authenticateDevice(ctx, hash)
	case err != nil:
		return audit.Actor{}, fmt.Errorf("look the token up: %w", err)
	// The look-up was by the whole hash; comparing again costs nothing and
	// does not depend on how a database compares.
	case subtle.ConstantTimeCompare(m.Token[:], hash[:]) != 1:
		return audit.Actor{}, ErrUnauthenticated
	}
	return r.present(ctx, m)
}

// authenticateDevice is Authenticate for the tokens of devices.
func (r *Roster) authenticateDevice(ctx context.Context, hash [32]byte) (audit.Actor, error) {
	d, err := r.cfg.Store.DeviceByToken(ctx, hash)
	switch {
	case errors.Is(err, ErrNotFound):
		return audit.Actor{}, ErrUnauthenticated
	case err != nil:
		return audit.Actor{}, fmt.Errorf("look the token up: %w", err)
	case d.Revoked || d.Agency == "" || subtle.ConstantTimeCompare(d.Token[:], hash[:]) != 1:
		return audit.Actor{}, ErrUnauthenticated
	}
	if err := r.active(ctx, d.Agency); err != nil {
		return audit.Actor{}, err
	}
	if !d.Pending {
		return audit.Actor{ID: d.ID, Agency: d.Agency, Role: string(DeviceRole)}, nil
	}
	// What waits for approval is an invitation still, and ends with its maker.
	maker, ok, err := r.Present(ctx, d.InvitedBy)
	switch {
	case err != nil:
		return audit.Actor{}, err
	case !ok || MayFor(maker, DeviceManage, d.Agency) != nil:
		return audit.Actor{}, ErrUnauthenticated
	}
	return audit.Actor{ID: d.ID, Agency: d.Agency, Role: string(Pending)}, nil
}

// Present tells who a member is now, and whether a token of theirs would let
// them in. Nobody is present by an id that no member has.
func (r *Roster) Present(ctx context.Context, member string) (by audit.Actor, ok bool, err error) {
	m, err := r.cfg.Store.Member(ctx, member)
	switch {
	case errors.Is(err, ErrNotFound):
		return audit.Actor{}, false, nil
	case err != nil:
		return audit.Actor{}, false, fmt.Errorf("look the member up: %w", err)
	}
	by, err = r.present(ctx, m)
	if errors.Is(err, ErrUnauthenticated) {
		return audit.Actor{}, false, nil
	}
	return by, err == nil, err
}

// present refuses whoever was revoked, or belongs to an agency that is not active.
func (r *Roster) present(ctx context.Context, m Member) (audit.Actor, error) {
	if m.Revoked || (m.Agency == "") != (m.Role == Operator) {
		return audit.Actor{}, ErrUnauthenticated
	}
	if m.Agency != "" {
		if err := r.active(ctx, m.Agency); err != nil {
			return audit.Actor{}, err
		}
	}
	return audit.Actor{ID: m.ID, Agency: m.Agency, Role: string(m.Role)}, nil
}

// active refuses an agency that is suspended, or that nobody knows.
func (r *Roster) active(ctx context.Context, agency string) error {
	a, err := r.cfg.Store.Agency(ctx, agency)
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && a.Suspended:
		return ErrUnauthenticated
	case err != nil:
		return fmt.Errorf("look the agency up: %w", err)
	}
	return nil
}

// nothingHolds is a Checker that nobody has set up.
type nothingHolds struct{}

func (nothingHolds) Proof(roster.Credential, [32]byte, approval.Proof) error { return roster.ErrProof }

func (nothingHolds) Root(json.RawMessage, [32]byte, []byte) error { return roster.ErrProof }

// Allows tells whether an actor may do an act to what belongs to an agency, or,
// for "", to the network itself. It is May for rooms that do not know this one
// and name acts by their words.
func (r *Roster) Allows(by audit.Actor, act, agency string) bool {
	return MayFor(by, Action(act), agency) == nil
}

// newID draws 128 random bits, in hex.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never returns an error
	return hex.EncodeToString(b[:])
}
