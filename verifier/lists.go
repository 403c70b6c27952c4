package verifier

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// Public is the public half of a pack with every signature in it checked. It
// holds no key and judges no card: it says what a network has stated.
type Public struct {
	trust     *trusted
	statement PackStatement
	status    map[uint16]*statuslist.Token
	answers   map[uint16]*statuslist.Token
}

// OpenLists checks the public half of a pack under a network's root key, a JWK.
// It is for whoever needs to know what was published last, however long ago
// that was: dates are not looked at. A card is checked with Open.
func OpenLists(l Lists, network string, root json.RawMessage) (*Public, error) {
	key, err := jws.ParseKey(root)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", notReady(ReasonPackBroken, "the root key cannot be read"), err)
	}
	// Each is asked for its own date, so that only its end is left out.
	by, err := readTrustKey(l.TrustKey, key, network)
	if err != nil {
		return nil, broken(err)
	}
	var dates TrustList
	if err := by.open(l.TrustList, &dates); err != nil {
		return nil, broken(fmt.Errorf("trust list: %w", err))
	}
	trust, err := openTrustList(l.TrustList, by, network, time.Unix(dates.IssuedAt, 0))
	if err != nil {
		return nil, broken(err)
	}
	statement, err := openPackStatement(l, trust)
	if err != nil {
		return nil, broken(err)
	}
	p := &Public{trust: trust, statement: statement}
	if p.status, err = openLists(statement.Status, trust.StatusLists, trust.status); err != nil {
		return nil, broken(err)
	}
	if p.answers, err = openLists(statement.Answers, trust.AnswersLists, trust.status); err != nil {
		return nil, broken(err)
	}
	// A device goes on with what it can read; here every list counts.
	if len(p.status) != len(statement.Status) || len(p.answers) != len(statement.Answers) {
		return nil, notReady(ReasonPackBroken, "a list in the pack cannot be read")
	}
	return p, nil
}

// CheckTrustList tells why no device would take a trust list, as far as that does not depend
// on the device: its signatures, form, dates and limits. Of the lists, the trust list and the
// root's statement beside it are read.
func CheckTrustList(l Lists, network string, root json.RawMessage, now time.Time) error {
	key, err := jws.ParseKey(root)
	if err != nil {
		return fmt.Errorf("%w: %w", notReady(ReasonPackBroken, "the root key cannot be read"), err)
	}
	by, err := readTrustKey(l.TrustKey, key, network)
	if err == nil {
		_, err = openTrustList(l.TrustList, by, network, now)
	}
	if err != nil {
		return broken(err)
	}
	return nil
}

// Statement is what the pack key signed.
func (p *Public) Statement() PackStatement { return p.statement }

// Trust is the trust list. Its slices belong to p.
func (p *Public) Trust() TrustList { return p.trust.TrustList }

// Status returns a status list, or nil, and Answers the answers list beside it.
func (p *Public) Status(number uint16) *statuslist.List { return listOf(p.status[number]) }

// Answers returns an answers list, or nil.
func (p *Public) Answers(number uint16) *statuslist.List { return listOf(p.answers[number]) }

func listOf(t *statuslist.Token) *statuslist.List {
	if t == nil {
		return nil
	}
	return t.List
}
