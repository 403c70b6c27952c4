package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/mask"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// Health is what Check found. Problems name what is broken, never whose it is.
type Health struct {
	Issued   int64    `json:"issued"`
	Active   int64    `json:"active"`
	Entries  int64    `json:"status_entries"`
	Logged   int64    `json:"log_entries"`
	Drafts   int64    `json:"drafts"`  // open ones; wrong only where nobody is issuing
	Settled  int      `json:"settled"` // drafts, by whoever opened the house
	Problems []string `json:"problems"`
}

// What of the invariants does not hold: docs/operate.md, fsck.
const (
	placeless     = "records without a status entry"
	placeOfTwo    = "status entries of two records"
	placeOfNobody = "real status entries without a record"
	stillInUse    = "abandoned drafts that are not out of use"
	notInUse      = "records in use that are not marked so"
	cardUnopened  = "cards in use without an open key"
	tokenless     = "attestations in use without a token"
	untold        = "records with fewer than two log entries"
)

// Misplaced tells what stands where it may not in the status lists: something real at
// a place of a decoy, or a decoy at one of something real. What a restore holds may be
// either: it belongs to nobody here.
func (db *DB) Misplaced(ctx context.Context, decoys func(ctx context.Context, list uint16) (*mask.Decoys, error)) (problems []string, err error) {
	numbers, err := db.Credentials().Lists(ctx)
	if err != nil {
		return nil, err
	}
	for _, number := range numbers {
		may, err := decoys(ctx, number)
		if err != nil {
			return nil, err
		}
		var places []placeRow
		err = db.believed(ctx, func(h *heads) error {
			places, err = placesOf(ctx, h, number)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("sqlstore: check: %w", err)
		}
		wrong := 0
		for _, p := range places {
			if !p.held && p.Decoy != may.Has(p.Index) {
				wrong++
			}
		}
		if wrong > 0 {
			problems = append(problems, fmt.Sprintf("%d places of status list %d are decoys and should not be, or the other way round", wrong, number))
		}
	}
	return problems, nil
}

// Check asks the engine what damage it knows of, and the data whether its
// invariants hold. SQLite reads the whole file for it; a PostgreSQL server tells
// what it has come across.
func (db *DB) Check(ctx context.Context) (Health, error) {
	var h Health
	h.Problems = []string{}
	err := db.readTx(ctx, func(tx *sql.Tx) error {
		damage, err := db.damage(ctx, tx)
		if err != nil {
			return err
		}
		h.Problems = append(h.Problems, damage...)
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM leaves").Scan(&h.Logged); err != nil {
			return err
		}
		if err := db.checkIssued(ctx, tx, &h); err != nil {
			return err
		}
		unsealed, err := db.checkUnsealed(ctx, tx)
		h.Problems = append(h.Problems, unsealed...)
		return err
	})
	if err != nil {
		return Health{}, fmt.Errorf("sqlstore: check: %w", err)
	}
	return h, nil
}

// checkIssued holds all places and all that was issued against each other, as they stand
// in one moment. Whether they are what was written is for CheckSeals.
func (db *DB) checkIssued(ctx context.Context, tx *sql.Tx, health *Health) error {
	h, err := db.newHeads(tx, (*sealer).reading, true)
	if err != nil {
		return err
	}
	c := issuedCheck{Health: health, places: map[placeKey]placeRow{}, taken: map[placeKey]bool{}, shut: map[string]bool{}, wrong: map[string]int{}}
	places, err := list(ctx, tx, h.scanPlace, selectPlaces)
	if err != nil {
		return c.damaged(err)
	}
	for _, p := range places {
		p.box = nil
		c.places[placeKey{p.list, p.Index}] = p
	}
	step, err := slotsAtOnce(ctx, tx)
	if err != nil {
		return err
	}
	for first := int64(0); first < slots; first += step {
		heads, err := h.rawHeads(ctx, "slot >= $1 AND slot < $2", first, first+step)
		if err != nil {
			return err
		}
		bodies, err := h.bodiesOf(ctx, heads, func(id string) { c.shut[id] = true })
		if err != nil {
			return c.damaged(err)
		}
		for _, b := range bodies {
			c.body(b)
		}
	}
	c.end()
	return c.counts(ctx, tx)
}

// counts holds the count of each list, by which the next one is opened, against its places,
// where these hold themselves.
func (c *issuedCheck) counts(ctx context.Context, tx *sql.Tx) error {
	if len(c.wrong) > 0 {
		return nil
	}
	taken := map[uint16]int64{}
	for at, p := range c.places {
		if !p.Decoy && !p.held {
			taken[at.list]++
		}
	}
	rows, err := tx.QueryContext(ctx, "SELECT number, used FROM status_lists ORDER BY number")
	if err != nil {
		return classify(err)
	}
	return classify(each(rows, func() error {
		var number uint16
		var used int64
		err := rows.Scan(&number, &used)
		if err == nil && used != taken[number] {
			c.Problems = append(c.Problems, fmt.Sprintf("status list %d counts %d places in use, and has %d", number, used, taken[number]))
		}
		return err
	}))
}

// placeKey is where a place is.
type placeKey struct {
	list  uint16
	index uint32
}

// issuedCheck counts what does not hold.
type issuedCheck struct {
	*Health

	places map[placeKey]placeRow
	taken  map[placeKey]bool
	shut   map[string]bool // cases that nobody can open any more
	wrong  map[string]int
}

// damaged notes what does not open.
func (c *issuedCheck) damaged(err error) error {
	untrue, ok := errors.AsType[*SealError](err)
	if !ok {
		return err
	}
	c.Problems = append(c.Problems, untrue.problem())
	return nil
}

func (c *issuedCheck) body(b *body) {
	signed := 0
	for i := range b.Issued {
		d := &b.Issued[i]
		state, at := d.State.state(), placeKey{d.List, d.Index}
		c.Issued++
		c.count(placeOfTwo, c.taken[at])
		c.taken[at] = true
		p, there := c.places[at]
		c.count(placeless, !there || p.Decoy || p.of != lead{b.Case, string(d.ID)})
		switch state {
		case credentials.Active:
			c.Active++
			c.count(notInUse, there && p.WantedStatus != statuslist.Valid)
			c.count(cardUnopened, d.Card != nil && d.Card.OpenKey == nil)
			c.count(tokenless, d.Card == nil && d.Token == (ref{}))
		case credentials.Withdrawn, credentials.Abandoned:
			c.count(stillInUse, there && p.WantedStatus != statuslist.Invalid)
		case credentials.Draft:
			c.Drafts++
		default:
		}
		if state != credentials.Abandoned && d.Token != (ref{}) {
			signed++
		}
	}
	c.count(untold, int(b.Entries) < 2*signed) //nolint:gosec // counts one by one
}

// end counts the places that nothing has.
func (c *issuedCheck) end() {
	for at, p := range c.places {
		if p.Decoy || p.held {
			continue
		}
		c.Entries++
		c.count(placeOfNobody, p.of != (lead{}) && !c.taken[at] && !c.shut[p.of.Case])
	}
	for _, problem := range []string{placeless, placeOfTwo, placeOfNobody, stillInUse, notInUse, cardUnopened, tokenless, untold} {
		if n := c.wrong[problem]; n > 0 {
			c.Problems = append(c.Problems, fmt.Sprintf("%d %s", n, problem))
		}
	}
}

func (c *issuedCheck) count(problem string, is bool) {
	if is {
		c.wrong[problem]++
	}
}
