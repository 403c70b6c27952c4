package verifier

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/credentials/jws"
)

// TrustList names who belongs to a network: its own keys, and every agency
// with the keys it signs with. It is signed by the key that a TrustKey names, or by
// the network's root itself.
type TrustList struct {
	Network  string `json:"network"`        // 32 hex digits
	Name     string `json:"name"`           // of the network, for people
	Demo     bool   `json:"demo,omitempty"` // a throw-away network; every verdict repeats it
	Sequence uint64 `json:"sequence"`
	IssuedAt int64  `json:"iat"` // Unix seconds
	Expires  int64  `json:"exp"` // Unix seconds
	Desk     string `json:"desk"`
	// Reopened is when the root and one person alone opened the founding again, for 30
	// days; 0 is that nobody did. Every verdict repeats its day.
	Reopened int64 `json:"reopened,omitempty"`
	// StatusLists and AnswersLists are the URIs of the network's lists, up to
	// and without the list number; they end in a slash.
	StatusLists  string       `json:"status_lists"`
	AnswersLists string       `json:"answers_lists"`
	Keys         []NetworkKey `json:"keys"`
	Agencies     []Agency     `json:"agencies"`
}

// Use says what a network key signs. A key outside its use is refused.
type Use string

// The uses of the network's own keys.
const (
	UseStatus Use = "status" // status and answers lists
	UsePack   Use = "pack"   // packs and envelopes
	UseLog    Use = "log"    // checkpoints of the log
)

// NetworkKey is one of the network's own online keys.
type NetworkKey struct {
	Use   Use             `json:"use"`
	KeyID string          `json:"kid,omitempty"`
	JWK   json.RawMessage `json:"jwk,omitempty"`  // P-256, for status and pack
	Note  string          `json:"note,omitempty"` // a note verifier key, for log
}

// Agency is one member of the network, as officers see it.
type Agency struct {
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	Class     string      `json:"class"`   // docs/vocabulary.md, organisation classes
	Country   string      `json:"country"` // ICAO three-letter code
	Issuer    string      `json:"iss"`     // the iss of its credentials
	Desk      string      `json:"desk"`    // the telephone number to call
	Suspended bool        `json:"suspended,omitempty"`
	Admitted  int64       `json:"admitted,omitempty"` // Unix seconds; lists from before it was told have none
	Quotas    []Quota     `json:"quotas,omitempty"`
	Keys      []AgencyKey `json:"keys"`
}

// Quota lets an agency make more cards than usual. No verdict asks for it; it is
// there so that everybody sees who was let make how many, for what.
type Quota struct {
	Event string `json:"event"` // for people
	Cards int    `json:"cards"` // beyond the usual
	Until int64  `json:"until"` // Unix seconds
}

// Since is when the agency became one of the network's: when it was admitted, or
// where the list does not say so, when the first of its keys begins.
func (a *Agency) Since() time.Time {
	since := a.Admitted
	if since == 0 && len(a.Keys) > 0 {
		since = slices.MinFunc(a.Keys, func(a, b AgencyKey) int { return cmp.Compare(a.From, b.From) }).From
	}
	return time.Unix(since, 0).UTC()
}

// forOfficers is what officers of a network are told of an agency.
func (a *Agency) forOfficers(network string) *Issuer {
	return &Issuer{
		ID: a.ID, Name: a.Name, Class: a.Class, Country: a.Country, Desk: a.Desk,
		Since: a.Since().Format(time.DateOnly), Symbols: AgencySymbols(network, a.ID),
	}
}

// AgencyKey is a key that an agency signs attestations and cards with.
type AgencyKey struct {
	KeyID   string          `json:"kid"` // 16 hex digits; two agencies may share one
	JWK     json.RawMessage `json:"jwk"`
	From    int64           `json:"from"` // Unix seconds; valid for from ≤ iat < to
	To      int64           `json:"to"`
	Revoked bool            `json:"revoked,omitempty"`
	// Compromised, when present, leaves valid only what the log held before
	// the key was stolen: the dates inside anything else prove nothing.
	Compromised *Compromise `json:"compromised,omitempty"`
}

// Compromise lists what a stolen key had signed before it was stolen.
type Compromise struct {
	At     int64    `json:"at"`     // Unix seconds
	Logged []string `json:"logged"` // sorted hex of the first 8 bytes of the SHA-256 of what was signed
}

// Within tells whether all that is left valid was left valid before, too. The lists of both
// are sorted.
func (c Compromise) Within(was Compromise) bool {
	return c.At <= was.At && len(c.Both(was).Logged) == len(c.Logged)
}

// Both is what this and another one leave valid.
func (c Compromise) Both(other Compromise) Compromise {
	both := Compromise{At: min(c.At, other.At), Logged: []string{}}
	for _, s := range c.Logged {
		if _, ok := slices.BinarySearch(other.Logged, s); ok {
			both.Logged = append(both.Logged, s)
		}
	}
	return both
}

// Limits on what a network may state. They bound memory before anything is
// believed.
const (
	MaxTrustList = 8 << 20 // bytes: room for every agency with all its keys
	MaxAgencies  = 2_000
	MaxKeys      = 8 // of one agency
	MaxOwnKeys   = 64
)

// trusted is a trust list after its signature and shape were checked, with
// its keys parsed once.
type trusted struct {
	TrustList
	by           trustKey // that signed it
	status, pack map[string]*ecdsa.PublicKey
	issuers      []issuerKey
}

type issuerKey struct {
	AgencyKey
	agency *Agency
	public *ecdsa.PublicKey
}

// covers tells whether something signed at iat lies inside what this key may
// vouch for. digest gives the SHA-256 of what the signature covers, which is
// asked for only of a key that was stolen.
func (k issuerKey) covers(iat time.Time, digest func() [sha256.Size]byte) bool {
	if u := iat.Unix(); u < k.From || u >= k.To {
		return false
	}
	if k.Compromised == nil {
		return true
	}
	sum := digest()
	_, logged := slices.BinarySearch(k.Compromised.Logged, hex.EncodeToString(sum[:8]))
	return logged
}

// live returns every key with this kid that is on the list, not revoked, and
// of an agency that is not suspended. kids are not unique: every key with a
// kid is tried.
func (t *trusted) live(kid string) []issuerKey {
	var keys []issuerKey
	for _, k := range t.issuers {
		if k.KeyID == kid && !k.Revoked && !k.agency.Suspended {
			keys = append(keys, k)
		}
	}
	return keys
}

// reopened is the day on which founding was opened again, or nothing.
func (l *TrustList) reopened() string {
	if l.Reopened == 0 {
		return ""
	}
	return time.Unix(l.Reopened, 0).UTC().Format(time.DateOnly)
}

// Sign makes the signed form of the list. trust is the key that a TrustKey of the root
// names, or the root itself.
func (l TrustList) Sign(trust Signer) (string, error) {
	return signStatement(TypeTrustList, trust, l)
}

// openTrustList checks a trust list under the key that may sign it.
func openTrustList(compact string, by trustKey, network string, now time.Time) (*trusted, error) {
	var l TrustList
	if err := by.open(compact, &l); err != nil {
		return nil, fmt.Errorf("trust list: %w", err)
	}
	switch {
	case l.Network != network:
		return nil, errors.New("trust list: of another network")
	case len(l.Agencies) > MaxAgencies:
		return nil, errors.New("trust list: too many agencies")
	case len(l.Keys) > MaxOwnKeys:
		return nil, errors.New("trust list: too many network keys")
	// Otherwise an answers list could stand where a status list belongs: with
	// the slash, no two lists have one URI.
	case l.StatusLists == l.AnswersLists || !strings.HasSuffix(l.StatusLists, "/") || !strings.HasSuffix(l.AnswersLists, "/"):
		return nil, errors.New("trust list: the addresses of status and answers lists do not keep them apart")
	case now.Unix() < l.IssuedAt:
		return nil, notReady(ReasonClock, "the clock is before the trust list's date")
	case now.Unix() >= l.Expires:
		return nil, notReady(ReasonTrustListOld, "the trust list is past its date")
	}
	t := &trusted{TrustList: l, by: by, status: map[string]*ecdsa.PublicKey{}, pack: map[string]*ecdsa.PublicKey{}}
	for _, k := range l.Keys {
		if err := t.addNetworkKey(k); err != nil {
			return nil, err
		}
	}
	for i := range t.Agencies {
		a := &t.Agencies[i]
		if len(a.Keys) > MaxKeys {
			return nil, errors.New("trust list: too many keys of one agency")
		}
		for _, k := range a.Keys {
			pub, err := jws.ParseKey(k.JWK)
			if err != nil {
				return nil, fmt.Errorf("trust list: agency key: %w", err)
			}
			// Searched by halves: in any other order, genuine cards would not
			// be found.
			if c := k.Compromised; c != nil && !slices.IsSorted(c.Logged) {
				return nil, errors.New("trust list: what was logged is not sorted")
			}
			// The kid is taken from the list and never computed again:
			// docs/card.md, Signed content.
			t.issuers = append(t.issuers, issuerKey{AgencyKey: k, agency: a, public: pub})
		}
	}
	return t, nil
}

func (t *trusted) addNetworkKey(k NetworkKey) error {
	var keys map[string]*ecdsa.PublicKey
	switch k.Use {
	case UseStatus:
		keys = t.status
	case UsePack:
		keys = t.pack
	case UseLog:
		return nil // for whoever audits the log; a verdict needs none of it
	default:
		return nil // of a use that came later: it verifies nothing here
	}
	pub, err := jws.ParseKey(k.JWK)
	if err != nil {
		return fmt.Errorf("trust list: network key: %w", err)
	}
	if _, twice := keys[k.KeyID]; twice {
		return errors.New("trust list: two network keys with one kid")
	}
	keys[k.KeyID] = pub
	return nil
}
