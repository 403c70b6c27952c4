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
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
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

// Device is a device that waits to be let in, as network keeps it.
type Device struct {
	ID, Agency string
	Token      [32]byte // SHA-256 of the bearer token
	InvitedBy  string   // who made the invitation
}

// Store keeps the roster and what waits, and reads what network keeps of devices that
// nobody has let in yet. Every method that changes something takes the log entries
// that say so, and writes both or neither. Reads of one record return ErrNotFound
// when there is none.
type Store interface {
	Changes
	Requests

	// WaitingDevice finds a device that waits by the hash of its token.
	WaitingDevice(ctx context.Context, hash [32]byte) (Device, error)
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

// Authenticate tells who a bearer token belongs to. Everything is looked up
// anew, so that a revocation or suspension works on the next call.
// ErrUnauthenticated for any token that lets nobody in, roster.ErrLocked for every
// token while the network is locked.
func (r *Roster) Authenticate(ctx context.Context, bearer string) (audit.Actor, error) {
	hash, ok := token.Hash(token.Bearer, bearer)
	if !ok {
		return audit.Actor{}, ErrUnauthenticated
	}
	s, err := r.State(ctx)
	if err != nil {
		return audit.Actor{}, err
	}
	if s.Lock != "" {
		return audit.Actor{}, roster.ErrLocked
	}
	if by, ok := program(s, hash, r.cfg.Now()); ok {
		return by, nil
	}
	if by, ok := device(s, hash); ok {
		return by, nil
	}
	return r.waiting(ctx, s, hash)
}

// Knows tells whether a token is one of a program or a device that the roster has, as far
// as it was read. It asks no store, so that made-up tokens cost nothing to be told from
// these; what such a one may, and whether it still does, says Authenticate.
func (r *Roster) Knows(bearer string) bool {
	hash, ok := token.Hash(token.Bearer, bearer)
	if !ok {
		return false
	}
	r.book.mu.Lock()
	s := r.read()
	r.book.mu.Unlock()
	if _, ok := program(s, hash, r.cfg.Now()); ok {
		return true
	}
	_, ok = device(s, hash)
	return ok
}

// program finds whose token a hash is, among the programs of the roster.
func program(s roster.State, hash [32]byte, now time.Time) (audit.Actor, bool) {
	for _, p := range s.Programs {
		if subtle.ConstantTimeCompare(p.Token, hash[:]) == 1 {
			return actorOfProgram(p), present(s, p, now)
		}
	}
	return audit.Actor{}, false
}

func actorOfProgram(p roster.Program) audit.Actor {
	return audit.Actor{ID: p.ID, Agency: p.Agency, Role: string(p.Role)}
}

func present(s roster.State, p roster.Program, now time.Time) bool {
	return !p.Removed && now.Unix() < p.Expires && (p.Agency == "" || s.Active(p.Agency))
}

// device finds whose token a hash is, among the devices of the roster.
func device(s roster.State, hash [32]byte) (audit.Actor, bool) {
	for _, d := range s.Devices {
		if subtle.ConstantTimeCompare(d.Token, hash[:]) == 1 {
			return audit.Actor{ID: d.ID, Agency: d.Agency, Role: string(DeviceRole)}, !d.Removed && s.Active(d.Agency)
		}
	}
	return audit.Actor{}, false
}

// waiting finds a device that nobody has let in yet. What waits is an invitation
// still, and ends with its maker; one that was let in and removed does not wait.
func (r *Roster) waiting(ctx context.Context, s roster.State, hash [32]byte) (audit.Actor, error) {
	d, err := r.cfg.Store.WaitingDevice(ctx, hash)
	switch {
	case errors.Is(err, ErrNotFound):
		return audit.Actor{}, ErrUnauthenticated
	case err != nil:
		return audit.Actor{}, fmt.Errorf("look the token up: %w", err)
	}
	_, decided := s.Devices[d.ID]
	if decided || !s.Active(d.Agency) || subtle.ConstantTimeCompare(d.Token[:], hash[:]) != 1 {
		return audit.Actor{}, ErrUnauthenticated
	}
	maker, ok, err := r.Present(ctx, d.InvitedBy)
	switch {
	case err != nil:
		return audit.Actor{}, err
	case !ok || MayFor(maker, DeviceManage, d.Agency) != nil:
		return audit.Actor{}, ErrUnauthenticated
	}
	return audit.Actor{ID: d.ID, Agency: d.Agency, Role: string(Pending)}, nil
}

// Admitted tells whether a device is let in for an agency now.
func (r *Roster) Admitted(ctx context.Context, id, agency string) (bool, error) {
	s, err := r.State(ctx)
	if err != nil {
		return false, err
	}
	d, ok := s.Devices[id]
	return ok && !d.Removed && d.Agency == agency && s.Active(agency), nil
}

// Present tells who a person or a program is now, and whether they would be let in.
// Nobody is present by an id that nobody has.
func (r *Roster) Present(ctx context.Context, id string) (by audit.Actor, ok bool, err error) {
	s, err := r.State(ctx)
	if err != nil {
		return audit.Actor{}, false, err
	}
	if p, ok := s.People[id]; ok {
		return actorOf(p), s.Present(p), nil
	}
	if p, ok := s.Programs[id]; ok {
		return actorOfProgram(p), present(s, p, r.cfg.Now()), nil
	}
	return audit.Actor{}, false, nil
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
