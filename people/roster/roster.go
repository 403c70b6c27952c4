// Package roster is the one document that says who belongs to a network: its
// agencies and what each may sign, its people with their roles and passkeys, its
// programs, its devices. It is a sequence of changes. Each change carries the
// proofs of those who made it, and names the change before it, so that whoever
// has the sequence can find out by himself, from the founding on, who may do what,
// and neither a row in a table nor a stolen key adds anybody.
//
// A State is what a sequence comes to. It is worked out from nothing else, by the
// service, by the signer, and by whoever examines a network.
//
// It leaves to others: checking one signature (a [Checker]), keeping the changes,
// what a role may do with a case (people), and what devices are told of agencies
// (network).
package roster

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// Conditions that a caller can act on.
var (
	// ErrChange says that bytes are no change, or not one in its one form.
	ErrChange = errors.New("roster: not a change in its one form")

	// ErrPlace says that a change does not come next: one is missing, was removed
	// or put in, or time ran backwards.
	ErrPlace = errors.New("roster: the change does not come next")

	// ErrProof says that a proof is no proof: of somebody who is not in the
	// roster, by a passkey that is not theirs, over another act, or twice by the
	// same hands.
	ErrProof = errors.New("roster: a proof does not hold")

	// ErrNotAgreed says that the proofs hold, and are not of those who have to
	// agree, or too few.
	ErrNotAgreed = errors.New("roster: not everybody has agreed who has to")

	// ErrState says that the roster does not allow the change as it stands: who is
	// to be removed is not there, who is to be added is.
	ErrState = errors.New("roster: the state does not allow this")
)

// Delay is how long a change waits before it counts, so that those who may stop it
// have the time.
const Delay = 24 * time.Hour

// delay is Delay in seconds.
const delay = int64(Delay / time.Second)

// FoundingLife is how long a founding may take.
const FoundingLife = 24 * time.Hour

// Change is one step of the roster.
type Change struct {
	Seq    uint64           `json:"seq"`  // 1, 2, 3 …
	Prev   []byte           `json:"prev"` // SHA-256 of the change before; of the first, 32 zeros
	At     int64            `json:"at"`   // when it was made, Unix seconds
	Act    json.RawMessage  `json:"act"`  // approval.Act, in its one form
	Proofs []approval.Proof `json:"proofs"`
	Root   []byte           `json:"root"`   // the root's signature over the act's challenge, where it is needed
	Secret string           `json:"secret"` // of the link with which somebody joins
}

// maxChange bounds an encoded change, in bytes.
const maxChange = 512 << 10

var limits = strictjson.Limits{Size: maxChange}

// Bytes is the one form of a change.
func (c Change) Bytes() ([]byte, error) {
	if c.Proofs == nil {
		c.Proofs = []approval.Proof{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil || b.Len() > maxChange { //nolint:gosec // the secret of a link is used up when it stands in a change
		return nil, ErrChange
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Parse reads what Bytes wrote, byte for byte.
func Parse(data []byte) (Change, error) {
	var c Change
	if err := strictjson.Unmarshal(data, limits, &c); err != nil {
		return Change{}, ErrChange
	}
	if again, err := c.Bytes(); err != nil || !bytes.Equal(again, data) {
		return Change{}, ErrChange
	}
	return c, nil
}

// Checker checks one signature. internal/passkey does for proofs, and credentials/jws
// for the root.
type Checker interface {
	// Proof checks that the passkey with this public key has signed a challenge,
	// by somebody who verified themselves to it.
	Proof(c Credential, challenge [32]byte, p approval.Proof) error
	// Root checks the root's signature. root is its public key, a JWK.
	Root(root json.RawMessage, challenge [32]byte, signature []byte) error
}

// State is what a sequence of changes comes to. The zero State is that of a network
// that is not founded.
type State struct {
	Network string
	Demo    bool
	Root    json.RawMessage // public key of the root, a JWK

	Seq  uint64   // of the newest change
	Head [32]byte // SHA-256 of the newest change
	At   int64    // when it was made

	// FoundingUntil is when founding ends by itself; 0 once it was closed.
	FoundingUntil int64
	// Reopened is when founding was last opened again; 0 is never. Devices show it
	// for 30 days.
	Reopened int64

	// Lock is the id of the act that locked the network; "" while it is open.
	Lock string
	// LockedAt is when it was last locked, and SessionsFrom when it was opened again:
	// everybody's sessions from before are over.
	LockedAt, SessionsFrom int64
	SessionsChange         uint64 // the change that opened it
	Opened                 string // the id of the lock that was opened last

	Agencies map[string]Agency
	People   map[string]Person
	Programs map[string]Program
	Devices  map[string]Device
	Waiting  []Waiting // in the order in which they will count
	// Ceremonies are the keys that two people agreed to replace, the oldest first.
	Ceremonies []Ceremony

	acts   map[string]uint64 // which change an act became: none is done twice
	seen   int64             // when the newest change was seen: ApplyAt
	now    int64             // the time that is being looked at: View
	making uint64            // the change that is being made; 0 while one counts that has waited
}

// Agency is an organisation. All of it is public.
type Agency struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Class   string   `json:"class"`   // as in docs/vocabulary.md
	Country string   `json:"country"` // ICAO three-letter code
	Desk    string   `json:"desk"`    // telephone
	Kinds   []string `json:"kinds"`   // of attestations that it may sign; sorted
	Level   string   `json:"level"`   // the highest decision level that it may sign; "" is none
	// Confirms are the states, beside its own, in whose name it says who is theirs; sorted.
	Confirms []string `json:"confirms,omitempty"`

	Partner     string  `json:"-"` // an agency whose people are the second person here
	Suspended   bool    `json:"-"`
	Compromised int64   `json:"-"` // since when nothing that it signs is believed; 0 is never
	Admitted    int64   `json:"-"` // when it first counted
	Founder     bool    `json:"-"` // it was admitted while the network was founded
	Quotas      []Quota `json:"-"` // beyond the usual, oldest first
}

// Quota lets an agency make more cards for one event.
type Quota struct {
	Agency string `json:"agency"`
	Event  string `json:"event"` // a name for people
	Cards  int    `json:"cards"`
	Until  int64  `json:"until"` // Unix seconds
}

// Person works for an agency, or for the network. No name is known here but the
// one that the agency gives to tell its people apart.
type Person struct {
	ID     string `json:"id"`
	Agency string `json:"agency"` // "" for whoever runs or audits the network
	Roles  []Role `json:"roles"`  // sorted
	Handle string `json:"handle"` // what colleagues call this person here, as in desk-2

	Link        Link         `json:"-"` // with which a passkey is added; zero if none waits
	Credentials []Credential `json:"-"`
	// SessionsFrom is since when sessions count, and SessionsChange the change that
	// ended those from before, where it did so at once.
	SessionsFrom   int64  `json:"-"`
	SessionsChange uint64 `json:"-"`
	Removed        bool   `json:"-"`
}

// Link lets somebody add a first passkey, once.
type Link struct {
	Hash  []byte `json:"hash"`  // SHA-256 of its secret
	Until int64  `json:"until"` // Unix seconds
}

// Credential is a passkey.
type Credential struct {
	ID        []byte `json:"id"`
	PublicKey []byte `json:"public_key"` // COSE (RFC 9052 §7)
	AAGUID    []byte `json:"aaguid"`
	Synced    bool   `json:"synced"` // it is backed up and on several machines
}

// Program is a machine's access, with a bearer token. It never agrees to anything.
type Program struct {
	ID      string `json:"id"`
	Agency  string `json:"agency"`
	Role    Role   `json:"role"` // whose operations it may do, less approvals
	Label   string `json:"label"`
	Token   []byte `json:"token"`   // SHA-256 of the token
	Expires int64  `json:"expires"` // Unix seconds

	Removed bool `json:"-"`
}

// Device is an officer's device, with a key of its own.
type Device struct {
	ID        string `json:"id"`
	Agency    string `json:"agency"`
	Label     string `json:"label"`
	Recipient []byte `json:"recipient"` // MLKEM768-X25519 public key that envelopes are sealed to
	Token     []byte `json:"token"`     // SHA-256 of its bearer token
	InvitedBy string `json:"invited_by"`

	Removed bool `json:"-"`
}

// Waiting is a change that was agreed to and does not count yet.
type Waiting struct {
	Seq    uint64
	Counts int64 // from when on, Unix seconds
	Act    approval.Act
	By     []string // who agreed: if one of them may no more, it will not count
	do     doing
	dated  int64 // from when on it counts by its own date
}

// Apply adds the next change. On an error the state is as it was.
func (s *State) Apply(c Change, check Checker) error { return s.ApplyAt(c, check, c.At) }

// ApplyAt is Apply for whoever does not believe the date of a change: what has to wait
// waits from when it was seen, and whether founding is open is asked of that time, too.
// What a change says of days keeps the date of the change, so that everybody says the
// same of them.
func (s *State) ApplyAt(c Change, check Checker, seen int64) error {
	data, err := c.Bytes()
	if err != nil {
		return err
	}
	seen = max(seen, c.At, s.seen) // in the order in which they were made
	next := s.View(seen)
	if err := next.apply(c, check); err != nil {
		return fmt.Errorf("change %d: %w", c.Seq, err)
	}
	next.Seq, next.Head, next.At, next.seen = c.Seq, sha256.Sum256(data), c.At, seen
	*s = next
	return nil
}

func (s *State) apply(c Change, check Checker) error {
	if c.Seq != s.Seq+1 || !bytes.Equal(c.Prev, s.Head[:]) || c.At < s.At || c.At <= 0 {
		return ErrPlace
	}
	act, err := approval.Parse(c.Act)
	if err != nil {
		return err
	}
	switch {
	case (s.Seq == 0) != (act.Do == DoFound), s.Seq > 0 && act.Network != s.Network:
		return ErrPlace
	case s.acts[act.ID] > 0:
		return fmt.Errorf("%w: the act was done before", ErrPlace)
	case act.Over(time.Unix(c.At, 0)):
		return approval.ErrOver
	}
	do, err := read(act)
	if err != nil {
		return err
	}
	if Elsewhere(act.Do) {
		return fmt.Errorf("%w: it is agreed to here, and done elsewhere", ErrChange)
	}
	if !s.open(c, act, do) {
		return ErrLocked
	}
	by, err := s.proven(c, act, do, check)
	if err != nil {
		return err
	}
	seen := s.now
	s.now = c.At // of days it says what it said on its own
	err = do.check(s, act)
	if s.now = seen; err != nil {
		return err
	}
	alone := len(c.Root) > 0 && do.need(s, act).alone
	if err := s.agreed(do, act, by); err != nil && !alone {
		return err
	}
	s.acts[act.ID] = c.Seq
	if do.need(s, act).delay && !s.Founding(s.now) && !s.Demo {
		s.Waiting = append(s.Waiting, Waiting{c.Seq, s.now + delay, act, ids(by), do, c.At + delay})
		return nil
	}
	s.making = c.Seq
	do.apply(s, act, c.At)
	s.making = 0
	return nil
}

// proven returns who has agreed, each by a proof that holds.
func (s *State) proven(c Change, act approval.Act, do doing, check Checker) ([]Person, error) {
	challenge, err := act.Challenge()
	if err != nil {
		return nil, err
	}
	if err := approval.Distinct(c.Proofs); err != nil {
		return nil, ErrProof
	}
	if j, ok := do.(joins); ok {
		return nil, j.joined(s, c, challenge, check)
	}
	if c.Secret != "" {
		return nil, ErrChange
	}
	var by []Person
	for _, p := range c.Proofs {
		who, ok := s.People[p.Person]
		if !ok || who.Removed {
			return nil, ErrProof
		}
		i := slices.IndexFunc(who.Credentials, func(k Credential) bool { return bytes.Equal(k.ID, p.Credential) })
		if i < 0 || check.Proof(who.Credentials[i], challenge, p) != nil {
			return nil, ErrProof
		}
		by = append(by, who)
	}
	root := s.Root
	if f, ok := do.(*Found); ok {
		root = f.Root
	}
	signed, n := len(c.Root) > 0, do.need(s, act)
	switch {
	case n.root && !signed, signed && !n.root && !n.alone:
		return nil, ErrProof
	case signed && check.Root(root, challenge, c.Root) != nil:
		return nil, ErrProof
	}
	return by, nil
}

// Agreed tells whether these people would be enough for an act, now. It is for
// whoever collects proofs: Apply asks again.
func (s *State) Agreed(act approval.Act, people []string) error {
	do, err := read(act)
	if err != nil {
		return err
	}
	if s.Lock != "" && act.Do != DoUnlock {
		return ErrLocked
	}
	if err := do.check(s, act); err != nil {
		return err
	}
	var by []Person
	for _, id := range people {
		by = append(by, s.People[id])
	}
	return s.agreed(do, act, by)
}

// Holds tells whether those have agreed to an act who have to now, by proofs that
// hold. It believes nothing but its arguments and this state.
func (s *State) Holds(act approval.Act, proofs []approval.Proof, check Checker) error {
	if act.Network != s.Network {
		return approval.ErrRefused
	}
	if err := approval.Distinct(proofs); err != nil {
		return err
	}
	var agreed []string
	for _, p := range proofs {
		if err := s.CheckProof(act, p, check); err != nil {
			return err
		}
		agreed = append(agreed, p.Person)
	}
	return s.Agreed(act, agreed)
}

// CheckProof checks one proof over an act: approval.ErrRefused for one that does not
// hold.
func (s *State) CheckProof(act approval.Act, p approval.Proof, check Checker) error {
	challenge, err := act.Challenge()
	if err != nil {
		return err
	}
	keys := s.People[p.Person].Credentials
	i := slices.IndexFunc(keys, func(k Credential) bool { return bytes.Equal(k.ID, p.Credential) })
	if i < 0 || check.Proof(keys[i], challenge, p) != nil {
		return approval.ErrRefused
	}
	return nil
}

// Check tells what is wrong with an act before anybody agrees to it.
func (s *State) Check(act approval.Act) error {
	do, err := read(act)
	if err != nil {
		return err
	}
	return do.check(s, act)
}

// Did tells which change an act became; 0 if it became none.
func (s *State) Did(act string) uint64 { return s.acts[act] }

// MayAgree tells whether somebody is one of those whose agreement counts for an
// act.
func (s *State) MayAgree(act approval.Act, person string) bool {
	do, err := read(act)
	return err == nil && s.allowed(do.need(s, act), s.People[person])
}

// Counts tells whether somebody's agreement counts for an act after that of others: the
// last of those who have to agree has to be one with whom they are enough.
func (s *State) Counts(act approval.Act, agreed []string, person string) bool {
	do, err := read(act)
	if err != nil || slices.Contains(agreed, person) {
		return false
	}
	n, p := do.need(s, act), s.People[person]
	if !s.allowed(n, p) {
		return false
	}
	by := make([]Person, 0, len(agreed)+1)
	for _, id := range agreed {
		by = append(by, s.People[id])
	}
	return len(agreed)+1 < n.people || s.agreed(do, act, append(by, p)) == nil
}

// Spent tells whether an act has to be asked for again: whoever has agreed to it and may
// not any more cannot be taken out of it, and with them it is never enough.
func (s *State) Spent(act approval.Act, agreed []string) bool {
	do, err := read(act)
	if err != nil {
		return false
	}
	n := do.need(s, act)
	return slices.ContainsFunc(agreed, func(id string) bool { return !s.allowed(n, s.People[id]) })
}

// allowed tells whether somebody's agreement counts where there is such a need.
func (s *State) allowed(n need, p Person) bool {
	return s.Present(p) && (n.who != nil && n.who(p) || n.founding && s.Founding(s.now) && s.founds(p))
}

// founds tells whether somebody alone is enough while the network is founded: an
// operator or, where founding was opened again and no operator is left, whoever answers
// for an agency.
func (s *State) founds(p Person) bool {
	if p.Is(Operator) || s.Reopened == 0 {
		return p.Is(Operator)
	}
	for _, other := range s.People {
		if s.Present(other) && other.Is(Operator) {
			return false
		}
	}
	return leads(p)
}

// Who lists those whose agreement counts for an act, in the order of their ids.
func (s *State) Who(act approval.Act) []Person {
	do, err := read(act)
	if err != nil {
		return nil
	}
	n := do.need(s, act)
	var all []Person
	for _, id := range slices.Sorted(maps.Keys(s.People)) {
		if p := s.People[id]; s.allowed(n, p) {
			all = append(all, p)
		}
	}
	return all
}

// MayStop tells whether somebody may stop a change that waits.
func (s *State) MayStop(seq uint64, person string) bool {
	p := s.People[person]
	return s.Present(p) && (&Stop{Seq: seq}).need(s, approval.Act{}).who(p)
}

// Of lists the people of an agency, or of the network, in the order of their ids.
func (s *State) Of(agency string) []Person {
	return of(s.People, agency, func(p Person) string { return p.Agency })
}

// ProgramsOf lists the programs of an agency, or of the network.
func (s *State) ProgramsOf(agency string) []Program {
	return of(s.Programs, agency, func(p Program) string { return p.Agency })
}

// DevicesOf lists the devices of an agency.
func (s *State) DevicesOf(agency string) []Device {
	return of(s.Devices, agency, func(d Device) string { return d.Agency })
}

func of[T any](all map[string]T, agency string, whose func(T) string) []T {
	var out []T
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if whose(all[id]) == agency {
			out = append(out, all[id])
		}
	}
	return out
}

// Needs is what an act needs, for whoever tells people what it waits for.
type Needs struct {
	People int  // how many have to agree
	Apart  bool // not all of one agency
	Delay  bool // it counts a day later
	Root   bool // the root has to sign, too
}

// Needs tells what an act needs now.
func (s *State) Needs(act approval.Act) (Needs, error) {
	do, err := read(act)
	if err != nil {
		return Needs{}, err
	}
	n := do.need(s, act)
	founding := s.Founding(s.now)
	if founding && n.founding {
		n.people, n.apart = 1, false
	}
	return Needs{n.people, n.apart, n.delay && !s.Demo && !founding, n.root}, nil
}

// agreed tells whether enough people have agreed, all of them such as may. It is
// asked twice of what waits.
func (s *State) agreed(do doing, act approval.Act, by []Person) error {
	n := do.need(s, act)
	if n.founding && s.Founding(s.now) && len(by) == 1 && s.Present(by[0]) && s.founds(by[0]) {
		return nil
	}
	agencies := map[string]bool{}
	for _, p := range by {
		if !s.Present(p) || !n.who(p) {
			return ErrNotAgreed
		}
		agencies[p.Agency] = true
	}
	if len(by) < n.people || n.apart && len(agencies) < 2 || n.also != nil && !n.also(by) {
		return ErrNotAgreed
	}
	return nil
}

// Present tells whether somebody is there to agree, or to sign in: taken in, with a
// passkey, and of an agency that is not suspended.
func (s *State) Present(p Person) bool {
	if p.ID == "" || p.Removed || len(p.Credentials) == 0 {
		return false
	}
	return p.Agency == "" || s.Active(p.Agency)
}

// Holder finds whose passkey has an id, among those who are present.
func (s *State) Holder(credential []byte) (Person, Credential, bool) {
	for _, p := range s.People {
		for _, k := range p.Credentials {
			if bytes.Equal(k.ID, credential) && s.Present(p) {
				return p, k, true
			}
		}
	}
	return Person{}, Credential{}, false
}

// Active tells whether an agency is there and not suspended.
func (s *State) Active(agency string) bool {
	a, ok := s.Agencies[agency]
	return ok && !a.Suspended
}

// Founding tells whether founding is open at a time.
func (s *State) Founding(at int64) bool { return at < s.FoundingUntil }

// View is the state at a time: what has waited long enough counts, unless the network
// is locked. The receiver is not changed.
func (s *State) View(at int64) State {
	v := *s
	v.now = at
	v.Agencies, v.People, v.Programs, v.Devices = maps.Clone(s.Agencies), maps.Clone(s.People), maps.Clone(s.Programs), maps.Clone(s.Devices)
	v.acts, v.Waiting = maps.Clone(s.acts), slices.Clone(s.Waiting)
	if v.acts == nil {
		v.Agencies, v.People, v.Programs, v.Devices = map[string]Agency{}, map[string]Person{}, map[string]Program{}, map[string]Device{}
		v.acts = map[string]uint64{}
	}
	for v.Lock == "" && len(v.Waiting) > 0 && v.Waiting[0].Counts <= at {
		w := v.Waiting[0]
		v.Waiting = v.Waiting[1:]
		v.now = w.Counts
		v.count(w)
	}
	v.now = at
	return v
}

// Now is a view with a later time, before anything counts that waits.
func (s State) Now(at int64) State {
	s.now = at
	return s
}

// count lets a change count that has waited, unless it may no more: one of those
// who agreed was removed or suspended meanwhile, or something else came first.
func (s *State) count(w Waiting) {
	var by []Person
	for _, id := range w.By {
		by = append(by, s.People[id])
	}
	if w.do.check(s, w.Act) != nil || s.agreed(w.do, w.Act, by) != nil {
		return
	}
	w.do.apply(s, w.Act, w.dated)
}

func ids(by []Person) []string {
	out := make([]string, len(by))
	for i, p := range by {
		out[i] = p.ID
	}
	return out
}
