package network

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/network/naming"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// Class says what kind of organisation an agency is: HTCDS 2.0 org_Type, with
// three values of our own (docs/vocabulary.md).
type Class string

// The classes of agencies.
const (
	NGO                       Class = "NGO"
	LawEnforcement            Class = "LawEnforcement"
	HealthService             Class = "HealthServiceOrganisation"
	CentralGovernment         Class = "CentralGovernmentOrganisation"
	LocalGovernment           Class = "LocalGovernmentOrganisation"
	ImmigrationService        Class = "ImmigrationService"
	LegalService              Class = "LegalService"
	CorporateBusiness         Class = "CorporateBusiness"
	SchoolOrCollege           Class = "SchoolOrCollege"
	DiplomaticMission         Class = "x_DiplomaticMission"
	InternationalOrganisation Class = "x_InternationalOrganisation"
	Shelter                   Class = "x_Shelter"
)

// Classes lists every class.
var Classes = []Class{
	NGO, LawEnforcement, HealthService, CentralGovernment, LocalGovernment, ImmigrationService,
	LegalService, CorporateBusiness, SchoolOrCollege, DiplomaticMission, InternationalOrganisation, Shelter,
}

// KeyLife is how long an agency signs with one key.
const KeyLife = 2 * 365 * day

// Agency is a member organisation. Everything in it is public: it stands on
// the trust list.
type Agency struct {
	ID        string // 128 random bits in hex
	Name      string
	Class     Class
	Country   string // ICAO three-letter code
	Desk      string // the telephone number that officers call
	Suspended bool   // nobody of it is let in, and nothing it signed is trusted
	// Admitted is the day on which it became an agency of this network; zero for
	// those from before it was kept.
	Admitted time.Time
	Founder  bool   // it was admitted while the network was founded
	Partner  string // the agency whose people are the second person here; "" is none
	Terms    Terms
	Keys     []Key // oldest first
	// Compromised is since when nothing that it signs is believed; zero is never.
	Compromised time.Time

	version int64 // of its keys
}

// AgencyKeys are the keys of an agency, which a Store keeps beside the roster.
type AgencyKeys struct {
	Agency string
	Keys   []Key // oldest first
	// Version rises with every change, so that of two who change them the second is
	// told.
	Version int64
}

// Terms are what the network agreed with an agency.
type Terms struct {
	// Signs is what it may sign; nil is what agencies of its class may.
	Signs *Signs `json:"signs,omitempty"`
	// Confirms are the states, beside its own, for which it says who is theirs.
	Confirms []string `json:"confirms,omitempty"`
	// Quotas are beyond the usual number of cards, the oldest first.
	Quotas []Quota `json:"quotas,omitempty"`
}

// Signs names kinds of attestations and the highest decision level, in the words of
// docs/vocabulary.md; who issues judges them.
type Signs struct {
	Kinds []string `json:"kinds"`
	Level string   `json:"level"` // empty is none
}

// Since is the day on which an agency was admitted, or, where that was not kept,
// from which on it has had a key.
func (a Agency) Since() time.Time {
	if a.Admitted.IsZero() && len(a.Keys) > 0 {
		return slices.MinFunc(a.Keys, func(a, b Key) int { return a.From.Compare(b.From) }).From
	}
	return a.Admitted
}

// Key is a public key that an agency signs with. It vouches for what is dated
// From ≤ iat < To; both are midnight UTC.
type Key struct {
	KeyID    string
	JWK      json.RawMessage // public, P-256
	From, To time.Time
	Revoked  bool
	// Compromised, if not nil, says that the key was stolen, and what it had
	// signed before.
	Compromised *verifier.Compromise
}

// CodeAlike is the code of the problem with a name that could be taken for
// another agency's.
const CodeAlike = "name_alike"

// validate checks an agency that is not among all, the network's others. A name
// that could be taken for that of another, also of a suspended one, is told whose it
// is: names of agencies are public.
func (a Agency) validate(all []Agency) error {
	var c invalid.Checker
	naming.Check(&c, "/name", a.Name)
	for _, other := range all {
		if naming.Alike(a.Name, other.Name) {
			c.Add("/name", CodeAlike, "can be told from the name of an agency that is there: "+other.Name)
		}
	}
	c.ShortLine("/desk", a.Desk, 40, invalid.Required)
	c.Must(slices.Contains(Classes, a.Class), "/class", invalid.CodeNotInList, "is one of the listed classes")
	c.Country("/country", a.Country, invalid.Required)
	return c.Err()
}

// Admission is what the roster has to say for an organisation to be of the network. Of
// a, only Name, Class, Country, Desk and what it signs are read. Its name has to be one
// that officers can tell from every other agency's.
func (n *Network) Admission(ctx context.Context, a Agency) (*roster.AdmitAgency, error) {
	a = Agency{ID: newID(), Name: a.Name, Class: a.Class, Country: a.Country, Desk: a.Desk, Terms: Terms{Signs: a.Terms.Signs, Confirms: a.Terms.Confirms}}
	all, err := n.Agencies(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.validate(all); err != nil {
		return nil, err
	}
	if len(all) >= verifier.MaxAgencies {
		return nil, fmt.Errorf("%w: the network has as many agencies as a trust list may name", ErrConflict)
	}
	return &roster.AdmitAgency{Agency: told(a)}, nil
}

// Description is what the roster has to say for an agency to be something else from then
// on: all that Admission says, of one that is there.
func (n *Network) Description(ctx context.Context, a Agency) (*roster.ChangeAgency, error) {
	all, err := n.Agencies(ctx)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(slices.Clone(all), func(b Agency) bool { return b.ID == a.ID })
	if len(others) == len(all) {
		return nil, ErrNotFound
	}
	if err := a.validate(others); err != nil {
		return nil, err
	}
	return &roster.ChangeAgency{Agency: told(a)}, nil
}

// told is what people agree to of an agency.
func told(a Agency) roster.Agency {
	of := roster.Agency{ID: a.ID, Name: a.Name, Class: string(a.Class), Country: a.Country, Desk: a.Desk, Kinds: []string{}, Confirms: slices.Clone(a.Terms.Confirms)}
	slices.Sort(of.Confirms)
	if s := a.Terms.Signs; s != nil {
		of.Kinds, of.Level = append(of.Kinds, s.Kinds...), s.Level
		slices.Sort(of.Kinds)
	}
	return of
}

// Adopt follows the roster: it makes the keys of agencies that have none yet, and ends
// the waiting of devices that were let in or sent away. It is repeated without harm.
func (n *Network) Adopt(ctx context.Context) error {
	s, err := n.cfg.Rights.State(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(s.Agencies)) {
		switch _, err := n.cfg.Store.Keys(ctx, id); {
		case err == nil:
		case !errors.Is(err, ErrNotFound):
			return fmt.Errorf("read the agency's keys: %w", err)
		default:
			if err := n.adopt(ctx, agencyOf(s.Agencies[id])); err != nil {
				return err
			}
		}
	}
	return n.adoptDevices(ctx, s)
}

// adopt makes the first keys of an agency. The keys come first: a row without keys
// could sign nothing, while keys that stand nowhere are trusted by nobody.
func (n *Network) adopt(ctx context.Context, a Agency) error {
	kid, public, err := n.cfg.Keys.NewAgency(ctx, a.ID)
	if err != nil {
		return fmt.Errorf("make the agency's keys: %w", err)
	}
	key, err := n.newKey(kid, public)
	if err != nil {
		return err
	}
	entry, err := n.entry("agency.add", audit.Actor{}, struct {
		ID      string `json:"id"`
		Class   Class  `json:"class"`
		Country string `json:"country"`
		Signs   *Signs `json:"signs,omitempty"`
		KeyID   string `json:"kid"`
	}{a.ID, a.Class, a.Country, a.Terms.Signs, kid})
	if err != nil {
		return err
	}
	err = n.cfg.Store.AddKeys(ctx, AgencyKeys{Agency: a.ID, Keys: []Key{key}}, entry)
	switch {
	case errors.Is(err, ErrExists): // another process was faster
		return nil
	case err != nil:
		return fmt.Errorf("store the agency's keys: %w", err)
	}
	return n.recordGeneration(ctx)
}

// agencyOf is an agency of the roster, without its keys. One about which the roster says
// nothing of what it signs signs what agencies of its class do.
func agencyOf(a roster.Agency) Agency {
	out := Agency{
		ID: a.ID, Name: a.Name, Class: Class(a.Class), Country: a.Country, Desk: a.Desk, Suspended: a.Suspended,
		Admitted: time.Unix(a.Admitted, 0).UTC().Truncate(day), Founder: a.Founder, Partner: a.Partner,
	}
	if a.Compromised > 0 {
		out.Compromised = time.Unix(a.Compromised, 0).UTC()
	}
	out.Terms.Confirms = a.Confirms
	for _, q := range a.Quotas {
		out.Terms.Quotas = append(out.Terms.Quotas, Quota{Event: q.Event, Cards: q.Cards, Until: time.Unix(q.Until, 0).UTC()})
	}
	if len(a.Kinds) > 0 || a.Level != "" {
		out.Terms.Signs = &Signs{Kinds: a.Kinds, Level: a.Level}
	}
	return out
}

// newKey makes the record of a key that is used from today on. A key is dated
// midnight because cards are.
func (n *Network) newKey(kid string, public *ecdsa.PublicKey) (Key, error) {
	jwk, err := jws.MarshalKey(public)
	if err != nil {
		return Key{}, fmt.Errorf("encode the agency's key: %w", err)
	}
	return Key{KeyID: kid, JWK: jwk, From: n.today(), To: n.today().Add(KeyLife)}, nil
}

// Agency returns an agency, also a suspended one. Who it is says the roster; its keys
// stand beside it.
func (n *Network) Agency(ctx context.Context, id string) (Agency, error) {
	s, err := n.cfg.Rights.State(ctx)
	if err != nil {
		return Agency{}, err
	}
	of, ok := s.Agencies[id]
	if !ok {
		return Agency{}, ErrNotFound
	}
	kept, err := n.cfg.Store.Keys(ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Agency{}, fmt.Errorf("read the agency's keys: %w", err)
	}
	return with(of, kept), nil
}

// Stands tells whether an agency is a member whose word counts now. The roster says it, so
// that an agency that nobody knows takes the same work.
func (n *Network) Stands(ctx context.Context, id string) (bool, error) {
	s, err := n.cfg.Rights.State(ctx)
	if err != nil {
		return false, err
	}
	a, known := s.Agencies[id]
	return known && !a.Suspended && a.Compromised == 0, nil
}

// with is an agency of the roster with the keys that are kept for it.
func with(of roster.Agency, kept AgencyKeys) Agency {
	a := agencyOf(of)
	a.Keys, a.version = kept.Keys, kept.Version
	return a
}

// keys are those of an agency, to be written.
func (a Agency) keys() AgencyKeys { return AgencyKeys{a.ID, a.Keys, a.version} }

// Agencies returns all agencies, in order of id.
func (n *Network) Agencies(ctx context.Context) ([]Agency, error) {
	s, err := n.cfg.Rights.State(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := n.cfg.Store.AllKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the agencies' keys: %w", err)
	}
	kept := map[string]AgencyKeys{}
	for _, k := range rows {
		kept[k.Agency] = k
	}
	all := make([]Agency, 0, len(s.Agencies))
	for _, id := range slices.Sorted(maps.Keys(s.Agencies)) {
		all = append(all, with(s.Agencies[id], kept[id]))
	}
	return all, nil
}

// RotateKey makes a new signing key for an agency. The old key signs nothing more,
// and what it signed stays valid. A device knows the new key from the next pack
// that it fetches, and until then cannot tell who issued what the key signs: rotate
// when nothing is about to be printed.
func (n *Network) RotateKey(ctx context.Context, by audit.Actor, agency string) (Key, error) {
	if err := n.may(by, actAgencies, agency); err != nil {
		return Key{}, err
	}
	if _, err := n.Agency(ctx, agency); err != nil {
		return Key{}, err
	}
	before, _, err := n.cfg.Keys.NewAgency(ctx, agency) // finds the one that it has
	if err != nil {
		return Key{}, fmt.Errorf("find the agency's key: %w", err)
	}
	return n.rotateKey(ctx, by, agency, before, verifier.MaxKeys)
}

// rotateKey replaces the key that has an id, unless another one signs already: that one is
// written down then. The agency has no more than most keys afterwards.
func (n *Network) rotateKey(ctx context.Context, by audit.Actor, agency, before string, most int) (Key, error) {
	var key Key
	err := n.editAgency(ctx, by, agency, "key.rotate", func(a *Agency) (any, error) {
		if err := n.makeRoom(ctx, a, most); err != nil {
			return nil, err
		}
		kid, public, err := n.cfg.Keys.RotateAgency(ctx, agency, before)
		if err != nil {
			return nil, fmt.Errorf("make the agency's key: %w", err)
		}
		if i := slices.IndexFunc(a.Keys, func(k Key) bool { return k.KeyID == kid }); i >= 0 {
			key = a.Keys[i]
			return nil, nil // another process was faster
		}
		if key, err = n.newKey(kid, public); err != nil {
			return nil, err
		}
		a.Keys = append(a.Keys, key)
		return map[string]any{"id": agency, "kid": kid}, nil
	})
	if err != nil {
		return Key{}, err
	}
	return key, n.recordGeneration(ctx)
}

// makeRoom sees that an agency can have one more key, and no more than most. The trust list
// has room for a few: where there is none, revoked keys leave it, those that nothing valid
// carries any more, and those that were replaced before anything was signed with them.
func (n *Network) makeRoom(ctx context.Context, a *Agency, most int) error {
	if len(a.Keys) < most {
		return nil
	}
	var kept []Key
	for i, k := range a.Keys {
		over := k.Revoked || !n.today().Before(k.To.Add(KeyLife))
		if !over && k.Compromised == nil && i < len(a.Keys)-1 && n.cfg.Signed != nil {
			from, before := a.SignedWith(k.KeyID)
			signed, err := n.cfg.Signed(ctx, a.ID, from, before)
			if err != nil {
				return fmt.Errorf("find what the agency signed: %w", err)
			}
			over = len(signed) == 0
		}
		if !over {
			kept = append(kept, k)
		}
	}
	if len(kept) >= most {
		return fmt.Errorf("%w: the agency has as many keys as a trust list may name", ErrConflict)
	}
	a.Keys = kept
	return nil
}

// SignedWith are the days from one to before another on which the agency may have signed with
// a key: from its first on, until that on which the next one took its place.
func (a Agency) SignedWith(kid string) (from, before time.Time) {
	i := slices.IndexFunc(a.Keys, func(k Key) bool { return k.KeyID == kid })
	if i < 0 {
		return from, before
	}
	from, before = a.Keys[i].From, a.Keys[i].To
	if i+1 < len(a.Keys) {
		before = earlier(before, a.Keys[i+1].From.Add(day))
	}
	return from, before
}

// adoptKeys records signing keys that the keystore has and the store lacks. A
// rotation that was cut off between the two leaves such a key, and nobody would
// trust what it signs.
func (n *Network) adoptKeys(ctx context.Context) error {
	all, err := n.Agencies(ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		kid, public, err := n.cfg.Keys.NewAgency(ctx, a.ID)
		if err != nil {
			return fmt.Errorf("find the agency's key: %w", err)
		}
		if slices.ContainsFunc(a.Keys, func(k Key) bool { return k.KeyID == kid }) {
			continue
		}
		key, err := n.newKey(kid, public)
		if err != nil {
			return err
		}
		a.Keys = append(a.Keys, key)
		entry, err := n.entry("key.adopt", audit.Actor{}, map[string]any{"id": a.ID, "kid": kid})
		if err != nil {
			return err
		}
		if err := n.cfg.Store.ReplaceKeys(ctx, a.keys(), entry); err != nil {
			return fmt.Errorf("store the agency's keys: %w", err)
		}
	}
	return nil
}

// RevokeKey ends a key for good: nothing that it signed is trusted any more. If c
// is not nil, the key was stolen at c.At, and what c lists as logged before stays
// trusted. Nothing is trusted again: ErrConflict where more is listed than before.
func (n *Network) RevokeKey(ctx context.Context, by audit.Actor, agency, kid string, c *verifier.Compromise) error {
	if c != nil {
		var v invalid.Checker
		v.Must(c.At > 0, "/at", invalid.CodeRange, "is a time")
		v.Must(slices.IsSorted(c.Logged), "/logged", invalid.CodeFormat, "is sorted")
		v.Must(!slices.ContainsFunc(c.Logged, func(s string) bool {
			b, err := hex.DecodeString(s)
			return err != nil || len(b) != 8 || hex.EncodeToString(b) != s
		}), "/logged", invalid.CodeFormat, "is prefixes of 16 hex digits")
		if err := v.Err(); err != nil {
			return err
		}
	}
	return n.changeAgency(ctx, by, agency, "key.revoke", func(a *Agency) (any, error) {
		i := slices.IndexFunc(a.Keys, func(k Key) bool { return k.KeyID == kid })
		if i < 0 {
			return nil, ErrNotFound
		}
		a.Keys = slices.Clone(a.Keys)
		if c == nil {
			a.Keys[i].Revoked = true
			return map[string]any{"id": agency, "kid": kid}, nil
		}
		if was := a.Keys[i].Compromised; was != nil && !c.Within(*was) {
			return nil, fmt.Errorf("%w: the key is known to be stolen, and less that it signed is trusted", ErrConflict)
		}
		a.Keys[i].Compromised = c
		return map[string]any{"id": agency, "kid": kid, "compromised_at": c.At}, nil
	})
}

// changeAgency reads an agency, lets change edit it, and stores it with a log
// entry of what change returns. nil says that there was nothing to change.
func (n *Network) changeAgency(ctx context.Context, by audit.Actor, id, kind string, change func(*Agency) (any, error)) error {
	if err := n.may(by, actAgencies, id); err != nil {
		return err
	}
	return n.editAgency(ctx, by, id, kind, change)
}

// editAgency is changeAgency for what somebody was let do already.
func (n *Network) editAgency(ctx context.Context, by audit.Actor, id, kind string, change func(*Agency) (any, error)) error {
	a, err := n.Agency(ctx, id)
	if err != nil {
		return err
	}
	what, err := change(&a)
	if err != nil || what == nil {
		return err
	}
	entry, err := n.entry(kind, by, what)
	if err != nil {
		return err
	}
	if err := n.cfg.Store.ReplaceKeys(ctx, a.keys(), entry); err != nil {
		return fmt.Errorf("store the agency's keys: %w", err)
	}
	return nil
}

// active returns an agency that is not suspended. ErrConflict for one that is.
func (n *Network) active(ctx context.Context, id string) (Agency, error) {
	a, err := n.Agency(ctx, id)
	switch {
	case err != nil:
		return Agency{}, err
	case a.Suspended:
		return Agency{}, fmt.Errorf("%w: the agency is suspended", ErrConflict)
	}
	return a, nil
}
