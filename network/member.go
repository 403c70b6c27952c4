package network

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/safeconduct/safeconduct/audit"
)

// Role says what somebody may do. It is one word per member.
type Role string

// The roles.
const (
	Operator   Role = "operator"   // runs the network; belongs to no agency, sees no record
	Caseworker Role = "caseworker" // takes people in and attests
	Supervisor Role = "supervisor" // answers for what the agency signs
	Officer    Role = "officer"    // of an immigration service
	Mission    Role = "mission"    // of an embassy or consulate
	DeviceRole Role = "device"     // an enrolled device acting by itself
	Pending    Role = "pending"    // a device that waits for approval
)

// fits says which agencies a role belongs into. An agency that only checks or
// only answers has nobody who attests.
func (r Role) fits(c Class) bool {
	switch r {
	case Caseworker, Supervisor:
		return c != LawEnforcement && c != ImmigrationService && c != DiplomaticMission && c != CorporateBusiness
	case Officer:
		return c == ImmigrationService || c == LawEnforcement
	case Mission:
		return c == DiplomaticMission
	default:
		return false
	}
}

// Member is somebody who works for an agency. The network knows no name: the
// agency does.
type Member struct {
	ID      string // 128 random bits in hex
	Agency  string // "" for operators
	Role    Role
	Token   [32]byte // SHA-256 of the bearer token
	Revoked bool
}

// AddMember lets somebody in who works for an agency, and returns the bearer
// token, which is shown this once. An operator may add anybody, a supervisor
// people of the own agency; agency is "" for a new operator.
func (n *Network) AddMember(ctx context.Context, by audit.Actor, agency string, role Role) (Member, string, error) {
	if err := n.mayFor(by, MemberManage, agency); err != nil {
		return Member{}, "", err
	}
	if role == Operator && agency == "" {
		return n.addMember(ctx, by, "", role)
	}
	a, err := n.active(ctx, agency)
	if err != nil {
		return Member{}, "", err
	}
	var v validator
	v.check(role.fits(a.Class), "role", "must be one that this class of agency has")
	if err := v.err(); err != nil {
		return Member{}, "", err
	}
	return n.addMember(ctx, by, agency, role)
}

func (n *Network) addMember(ctx context.Context, by audit.Actor, agency string, role Role) (Member, string, error) {
	token, hash := newSecret(tokenSecret)
	m := Member{ID: newID(), Agency: agency, Role: role, Token: hash}
	entry, err := n.entry("member.add", by, map[string]any{"id": m.ID, "agency": agency, "role": role})
	if err != nil {
		return Member{}, "", err
	}
	if err := n.cfg.Store.AddMember(ctx, m, entry); err != nil {
		return Member{}, "", fmt.Errorf("store the member: %w", err)
	}
	return m, token, nil
}

// RevokeMember ends somebody's access for good, from the next call on. Nobody
// can revoke their own: the last operator would lock the network.
func (n *Network) RevokeMember(ctx context.Context, by audit.Actor, id string) error {
	if err := n.May(by, MemberManage); err != nil {
		return err
	}
	m, err := n.cfg.Store.Member(ctx, id)
	if err != nil {
		return err
	}
	if err := own(by, m.Agency); err != nil {
		return err
	}
	if by.ID == id {
		return fmt.Errorf("%w: nobody revokes their own access", ErrConflict)
	}
	entry, err := n.entry("member.revoke", by, map[string]any{"id": id})
	if err != nil {
		return err
	}
	if err := n.cfg.Store.RevokeMember(ctx, id, entry); err != nil {
		return fmt.Errorf("revoke the member: %w", err)
	}
	return nil
}

// Members lists who works for an agency; "" lists the operators.
func (n *Network) Members(ctx context.Context, by audit.Actor, agency string) ([]Member, error) {
	if err := n.mayFor(by, MemberManage, agency); err != nil {
		return nil, err
	}
	return n.cfg.Store.Members(ctx, agency)
}

// own refuses to know an agency's people and things for whoever belongs to
// another one: a record that exists and one that does not give one answer.
func own(by audit.Actor, agency string) error {
	if Role(by.Role) != Operator && by.Agency != agency {
		return ErrNotFound
	}
	return nil
}

// Authenticate tells who a bearer token belongs to. Everything is looked up
// anew, so that a revocation or suspension works on the next call.
// ErrUnauthenticated for any token that lets nobody in.
func (n *Network) Authenticate(ctx context.Context, token string) (audit.Actor, error) {
	hash, ok := parseSecret(tokenSecret, token)
	if !ok {
		return audit.Actor{}, ErrUnauthenticated
	}
	actor, stored, revoked, err := n.byToken(ctx, hash)
	switch {
	case errors.Is(err, ErrNotFound):
		return audit.Actor{}, ErrUnauthenticated
	case err != nil:
		return audit.Actor{}, fmt.Errorf("look the token up: %w", err)
	// The look-up was by the whole hash; comparing again costs nothing and
	// does not depend on how a database compares.
	case revoked || subtle.ConstantTimeCompare(stored[:], hash[:]) != 1:
		return audit.Actor{}, ErrUnauthenticated
	}
	if actor.Agency == "" {
		if Role(actor.Role) != Operator {
			return audit.Actor{}, ErrUnauthenticated
		}
		return actor, nil
	}
	a, err := n.cfg.Store.Agency(ctx, actor.Agency)
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && a.Suspended:
		return audit.Actor{}, ErrUnauthenticated
	case err != nil:
		return audit.Actor{}, fmt.Errorf("look the agency up: %w", err)
	}
	return actor, nil
}

func (n *Network) byToken(ctx context.Context, hash [32]byte) (actor audit.Actor, stored [32]byte, revoked bool, err error) {
	m, err := n.cfg.Store.MemberByToken(ctx, hash)
	if err == nil {
		return audit.Actor{ID: m.ID, Agency: m.Agency, Role: string(m.Role)}, m.Token, m.Revoked, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return audit.Actor{}, stored, false, err
	}
	d, err := n.cfg.Store.DeviceByToken(ctx, hash)
	if err != nil {
		return audit.Actor{}, stored, false, err
	}
	role := DeviceRole
	if d.Pending {
		role = Pending
	}
	return audit.Actor{ID: d.ID, Agency: d.Agency, Role: string(role)}, d.Token, d.Revoked, nil
}

// newID draws 128 random bits, in hex.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never returns an error
	return hex.EncodeToString(b[:])
}

// A secret that somebody carries, a bearer token or an invitation, is its
// prefix and, in base64url, 32 random bytes and the first 4 bytes of their hash.
// The prefix lets secret scanners find a leaked one; the check keeps a cut or
// mistyped one away from the database.
type secretKind struct{ prefix, label string }

var (
	tokenSecret      = secretKind{"sc_", "safeconduct/token/1"}
	invitationSecret = secretKind{"sci_", "safeconduct/invitation/1"}
)

const (
	secretRandom = 32
	secretCheck  = 4
)

func newSecret(k secretKind) (secret string, hash [32]byte) {
	b := make([]byte, secretRandom, secretRandom+secretCheck)
	_, _ = rand.Read(b) // never returns an error
	secret = k.prefix + base64.RawURLEncoding.EncodeToString(append(b, k.check(b)...))
	return secret, sha256.Sum256([]byte(secret))
}

// parseSecret returns the hash that a secret is stored under, if it is whole
// and of this kind.
func parseSecret(k secretKind, secret string) (hash [32]byte, ok bool) {
	text, ok := strings.CutPrefix(secret, k.prefix)
	if !ok || len(text) != base64.RawURLEncoding.EncodedLen(secretRandom+secretCheck) {
		return hash, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != secretRandom+secretCheck {
		return hash, false
	}
	if subtle.ConstantTimeCompare(k.check(b[:secretRandom]), b[secretRandom:]) != 1 {
		return hash, false
	}
	return sha256.Sum256([]byte(secret)), true
}

func (k secretKind) check(random []byte) []byte {
	sum := sha256.Sum256(append([]byte(k.label), random...))
	return sum[:secretCheck]
}
