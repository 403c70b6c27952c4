package network

import "time"

// How many cards an agency makes by itself. A new one has a month in which others
// see what it does; later the number is what people and printers can do in a day, so
// that a stolen token or a bought worker shows before it has done much.
const (
	Probation      = 30 * day
	ProbationCards = 20  // in all of it
	DailyCards     = 300 // on each day after it
)

// Quota lets an agency make more cards for one event, for so long. Two members of
// two other agencies agree to it, and it stands in the trust list.
type Quota struct {
	Event string    `json:"event"` // a name for people
	Cards int       `json:"cards"` // beyond the usual
	Until time.Time `json:"until"`
}

// Limit is how many cards an agency may make in so many days, today among them.
type Limit struct{ Days, Cards int }

// Limits are those that hold for an agency today; each by itself. Who was admitted while
// the network was founded has no month: nobody is there yet who could watch. A throw-away
// network has none: nobody relies on its cards, and a demonstration is no place to
// wait a month.
func (n *Network) Limits(a Agency) []Limit {
	if n.cfg.Demo {
		return nil
	}
	now := n.cfg.Now()
	l := Limit{Days: 1, Cards: DailyCards}
	if !a.Founder && now.Before(a.Since().Add(Probation)) {
		l = Limit{Days: int(Probation / day), Cards: ProbationCards}
	}
	for _, q := range a.Terms.Quotas {
		if now.Before(q.Until) {
			l.Cards += q.Cards
		}
	}
	return []Limit{l}
}
