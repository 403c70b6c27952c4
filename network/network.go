// Package network knows what belongs to a network: agencies and their keys, the
// devices of officers, and the epochs that cards are sealed to. From that it
// makes what devices carry: the signed trust list, packs, and envelopes sealed to
// one device each. It keeps nothing itself, holds no key and knows no role: a
// Store, the Keys and the Rights behind interfaces do. People are left to package
// people, and cases, attestations and documents to credentials and vault.
package network

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// Conditions that a caller can act on.
var (
	// ErrNotFound says that there is no such agency, device or network.
	ErrNotFound = errors.New("network: no such record")

	// ErrExists says that the network, or a record with that id, is there
	// already.
	ErrExists = errors.New("network: exists already")

	// ErrForbidden says that the actor's role may not do this, or not for
	// that agency.
	ErrForbidden = errors.New("network: not allowed")

	// ErrConflict says that the record's state does not allow this.
	ErrConflict = errors.New("network: the state does not allow this")

	// ErrInvitation says that an invitation was used, is over, is none of ours,
	// or was made by somebody who may invite no more. Which of these is not said.
	ErrInvitation = errors.New("network: no invitation to take up")

	// ErrApproval says that somebody tried to approve what they began.
	ErrApproval = errors.New("network: a second person has to approve")

	// ErrSymbols says that the symbols are not those of the device.
	ErrSymbols = errors.New("network: the symbols are another device's")

	// ErrOldKeys says that the keystore is an older copy than one that this
	// network has used.
	ErrOldKeys = errors.New("network: the keystore is an older copy")

	// ErrNoEpoch says that no epoch is open for sealing: Turn has not run.
	ErrNoEpoch = errors.New("network: no epoch is open for sealing")
)

// Keys is all that the network asks of a keystore. A private key never leaves
// it.
type Keys interface {
	// Root signs which key signs trust lists, and Trust the trust lists.
	Root(ctx context.Context) (verifier.Signer, error)
	Trust(ctx context.Context) (verifier.Signer, error)
	// Pack signs packs and envelopes.
	Pack(ctx context.Context) (verifier.Signer, error)
	// Status signs status and answers lists; here only its public half is
	// read.
	Status(ctx context.Context) (verifier.Signer, error)
	// Notes are the keys of the log with their ids, each as a note verifier key: the one
	// that signs first, then those that signed before.
	Notes(ctx context.Context) ([]verifier.NetworkKey, error)
	// NewAgency makes an agency's keys, or finds those it has, and returns
	// the signing key's id and public half.
	NewAgency(ctx context.Context, agency string) (kid string, public *ecdsa.PublicKey, err error)
	// RotateAgency makes a new signing key for an agency, unless another one than before
	// signs already, and returns the one that signs.
	RotateAgency(ctx context.Context, agency, before string) (kid string, public *ecdsa.PublicKey, err error)
	// RotateOwn makes a new key for lists, packs or the log, unless another one than before signs
	// already; Formers are the public halves of all that sign or have signed lists or
	// packs, by id.
	RotateOwn(ctx context.Context, use verifier.Use, before string) error
	Formers(ctx context.Context, use verifier.Use) (map[string]*ecdsa.PublicKey, error)
	// WrapEpoch encrypts an epoch's keys for keeping, UnwrapEpoch reverses it
	// for the same epoch only.
	WrapEpoch(ctx context.Context, epoch uint32, plain []byte) ([]byte, error)
	UnwrapEpoch(ctx context.Context, epoch uint32, wrapped []byte) ([]byte, error)
	// Generation rises with every change of the keystore.
	Generation(ctx context.Context) (uint64, error)
}

// Rights is all that the network asks about people.
type Rights interface {
	// Allows tells whether an actor may do an act to what belongs to an agency,
	// or, for "", to the network itself.
	Allows(by audit.Actor, act, agency string) bool
	// Present tells who a member is now. ok is false for somebody who was
	// revoked, whose agency is suspended, or who never was a member.
	Present(ctx context.Context, member string) (by audit.Actor, ok bool, err error)
	// State is the roster: which agencies and devices there are, and which of them
	// are shut out. What a Store says of that beside it counts for nothing.
	State(ctx context.Context) (roster.State, error)
}

// The acts that this room asks Rights about, by their words in package people.
const (
	actAgencies = "agency.manage"
	actDevices  = "device.manage"
	actEpochs   = "epoch.manage"
	actSelf     = "device.self"
	actLeave    = "device.leave"
	actEnvelope = "envelope.fetch"
)

// Record is what a store keeps of the network itself.
type Record struct {
	ID      string // 128 random bits in hex
	Name    string // for people
	BaseURL string // without a slash at the end
	Desk    string // the telephone number of the network's desk
	Demo    bool   // a throw-away network
	// Generation is the highest one of the keystore that was seen.
	Generation uint64
}

// SignedTrustList is the newest trust list as it was published.
type SignedTrustList struct {
	Sequence uint64
	Digest   [32]byte // over what it says, dates and sequence aside, and who signs it
	Expires  time.Time
	Compact  string
	Key      string // the root's statement that names the key which signed it
}

// Store keeps the network. Every method that changes something takes the log
// entries that say so, and writes both or neither. Reads of one record return
// ErrNotFound when there is none.
type Store interface {
	// Init writes a new network: its record and its first epochs. ErrExists if
	// there is one.
	Init(ctx context.Context, r Record, epochs []Epoch, log ...audit.Entry) error
	Network(ctx context.Context) (Record, error)
	// SeeGeneration raises the stored generation of the keystore; it never
	// lowers it.
	SeeGeneration(ctx context.Context, generation uint64) error

	// AddKeys writes the first keys of an agency. ErrExists if it has some.
	AddKeys(ctx context.Context, k AgencyKeys, log ...audit.Entry) error
	// ReplaceKeys writes an agency's keys as given, one version higher. ErrConflict if
	// the stored version is another than k.Version.
	ReplaceKeys(ctx context.Context, k AgencyKeys, log ...audit.Entry) error
	Keys(ctx context.Context, agency string) (AgencyKeys, error)
	AllKeys(ctx context.Context) ([]AgencyKeys, error) // in order of the agencies' ids

	AddInvitation(ctx context.Context, i Invitation, log ...audit.Entry) error
	// Invitation finds an invitation by the hash of its secret.
	Invitation(ctx context.Context, secret [32]byte) (Invitation, error)
	// EnrolDevice uses an invitation up and writes a pending device, both or
	// neither. ErrConflict if the invitation was used or is over at now: of many
	// that use it at once one gets through.
	EnrolDevice(ctx context.Context, invitation string, now time.Time, d Device, log ...audit.Entry) error
	// TryApproval counts a try to approve a pending device and returns which one
	// it is. ErrConflict if the device is not pending.
	TryApproval(ctx context.Context, device string) (try int, err error)
	// EndWaiting forgets a pending device: it was let in, or will not be. ErrConflict
	// if it is not pending.
	EndWaiting(ctx context.Context, device string, log ...audit.Entry) error
	// SweepWaiting forgets invitations that are over at now, and devices that have been
	// pending since before a day.
	SweepWaiting(ctx context.Context, now, since time.Time) error
	// Device returns a pending device.
	Device(ctx context.Context, id string) (Device, error)
	// Devices lists an agency's pending devices in order of id; "" lists those of all.
	Devices(ctx context.Context, agency string) ([]Device, error)

	// Epochs lists all epochs, the earliest sealing day first.
	Epochs(ctx context.Context) ([]Epoch, error)
	// ChangeEpochs adds epochs and replaces others by id, all or none.
	// ErrConflict if the epochs in the store are not those that were read:
	// read is how many there were.
	ChangeEpochs(ctx context.Context, read int, add, replace []Epoch, log ...audit.Entry) error

	// NextPack returns the next sequence number of a pack, which no other
	// call gets.
	NextPack(ctx context.Context, log ...audit.Entry) (uint64, error)
	// NextTrustList returns the next sequence number of a trust list.
	NextTrustList(ctx context.Context, log ...audit.Entry) (uint64, error)
	// PublishTrustList stores a signed trust list, unless a newer one is
	// stored already.
	PublishTrustList(ctx context.Context, l SignedTrustList) error
	TrustList(ctx context.Context) (SignedTrustList, error)
}

// Config is everything a Network needs. Store, Keys, Rights, ID, Name and BaseURL
// are required.
type Config struct {
	Store  Store
	Keys   Keys
	Rights Rights

	ID      string // 128 random bits in hex
	Name    string // of the network, for people
	BaseURL string // where its lists are served, https unless Demo
	Desk    string // the telephone number of the network's desk
	Demo    bool   // a throw-away network; every verdict says so

	// Signed returns the digests of what an agency signed on days from one to before
	// another, as it was logged. Of an agency that is not believed any more nothing
	// else stays valid; nil is nothing.
	Signed func(ctx context.Context, agency string, from, before time.Time) ([][32]byte, error)

	// Lease is how long a device may work without a new envelope; zero means
	// 7 days.
	Lease time.Duration
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Log is told what nobody waits for; nil means nothing is.
	Log *slog.Logger
}

// Network is one network. It is safe for use by many goroutines.
type Network struct{ cfg Config }

// New checks the configuration. It reads and writes nothing.
func New(cfg Config) (*Network, error) {
	var c invalid.Checker
	c.There("/store", cfg.Store != nil, invalid.Required)
	c.There("/keys", cfg.Keys != nil, invalid.Required)
	c.There("/rights", cfg.Rights != nil, invalid.Required)
	c.ID("/id", cfg.ID, invalid.Required)
	c.ShortLine("/name", cfg.Name, 80, invalid.Required)
	c.ShortLine("/desk", cfg.Desk, 40, invalid.Optional)
	u, err := url.Parse(cfg.BaseURL)
	c.Must(err == nil && u.Host != "" && u.RawQuery == "" && u.Fragment == "" && u.User == nil &&
		(u.Scheme == "https" || cfg.Demo && u.Scheme == "http"), "/base_url", invalid.CodeFormat, "is an https address without query")
	c.Must(cfg.Lease >= 0 && cfg.Lease <= maxLease, "/lease", invalid.CodeRange, "is at most 30 days")
	if err := c.Err(); err != nil {
		return nil, err
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	if cfg.Lease == 0 {
		cfg.Lease = 7 * 24 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Network{cfg: cfg}, nil
}

// Init starts a new network: its record and its first epochs, both or neither. Its
// people begin with the roster. ErrExists if the store holds a network.
func (n *Network) Init(ctx context.Context) error {
	generation, err := n.cfg.Keys.Generation(ctx)
	if err != nil {
		return fmt.Errorf("look at the keystore: %w", err)
	}
	epochs, err := n.firstEpochs(ctx, nil)
	if err != nil {
		return err
	}
	entry, err := n.entry("network.init", audit.Actor{}, struct {
		Network string   `json:"network"`
		Demo    bool     `json:"demo"`
		Epochs  []uint32 `json:"epochs"`
	}{n.cfg.ID, n.cfg.Demo, epochIDs(epochs)})
	if err != nil {
		return err
	}
	r := Record{
		ID: n.cfg.ID, Name: n.cfg.Name, BaseURL: n.cfg.BaseURL, Desk: n.cfg.Desk, Demo: n.cfg.Demo,
		Generation: generation,
	}
	if err := n.cfg.Store.Init(ctx, r, epochs, entry); err != nil {
		return fmt.Errorf("store the network: %w", err)
	}
	return nil
}

// Check compares the keystore and the configuration with the store. A service
// does not start before Check has returned nil. ErrOldKeys if the keystore was
// put back to an older copy, ErrConflict if the store belongs to another network.
func (n *Network) Check(ctx context.Context) error {
	r, err := n.cfg.Store.Network(ctx)
	if err != nil {
		return fmt.Errorf("read the network: %w", err)
	}
	if r.ID != n.cfg.ID || r.Demo != n.cfg.Demo {
		return fmt.Errorf("%w: the store belongs to another network", ErrConflict)
	}
	generation, err := n.cfg.Keys.Generation(ctx)
	if err != nil {
		return fmt.Errorf("look at the keystore: %w", err)
	}
	if generation < r.Generation {
		return ErrOldKeys
	}
	if err := n.Adopt(ctx); err != nil {
		return err
	}
	if err := n.adoptKeys(ctx); err != nil {
		return err
	}
	return n.recordGeneration(ctx)
}

// recordGeneration stores the keystore's generation after a change of it.
func (n *Network) recordGeneration(ctx context.Context) error {
	generation, err := n.cfg.Keys.Generation(ctx)
	if err != nil {
		return fmt.Errorf("look at the keystore: %w", err)
	}
	return n.cfg.Store.SeeGeneration(ctx, generation)
}

// RootKey is the public root key as a JWK, which devices pin when they are
// enrolled.
func (n *Network) RootKey(ctx context.Context) (json.RawMessage, error) {
	root, err := n.cfg.Keys.Root(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the root key: %w", err)
	}
	return publicKey(root)
}

func publicKey(s verifier.Signer) (json.RawMessage, error) {
	pub, ok := s.Key.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("network: the keystore gave another kind of key")
	}
	return jws.MarshalKey(pub)
}

// StatusLists is the URI of the network's status lists up to and without the
// list number; AnswersLists that of the answers lists.
func (n *Network) StatusLists() string { return n.cfg.BaseURL + "/status-lists/" }

// AnswersLists is the URI of the network's answers lists up to and without the
// list number.
func (n *Network) AnswersLists() string { return n.cfg.BaseURL + "/answers-lists/" }

// Issuer is the iss of an agency's credentials.
func (n *Network) Issuer(agency string) string { return n.cfg.BaseURL + "/agencies/" + agency }

// Name is the network's name, for people.
func (n *Network) Name() string { return n.cfg.Name }

// BaseURL is where the network is served, without a slash at the end.
func (n *Network) BaseURL() string { return n.cfg.BaseURL }

// ID is the network's id, 32 hex digits.
func (n *Network) ID() string { return n.cfg.ID }

// Desk is the telephone number of the network's desk.
func (n *Network) Desk() string { return n.cfg.Desk }

// Demo tells that the network is a throw-away one.
func (n *Network) Demo() bool { return n.cfg.Demo }

// entry makes the log entry of an act.
func (n *Network) entry(kind string, by audit.Actor, what any) (audit.Entry, error) {
	return audit.NewAct(kind, by, what, n.cfg.Now())
}

// may returns nil if the actor may do an act to what belongs to an agency, or to
// the network itself for "", and ErrForbidden otherwise.
func (n *Network) may(by audit.Actor, act, agency string) error {
	if !n.cfg.Rights.Allows(by, act, agency) {
		return ErrForbidden
	}
	return nil
}

// newID draws 128 random bits, in hex.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never returns an error
	return hex.EncodeToString(b[:])
}

// today is midnight UTC.
func (n *Network) today() time.Time { return n.cfg.Now().UTC().Truncate(day) }

const (
	day      = 24 * time.Hour
	maxLease = 30 * day
)
