package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Refusal is a day on which an agency was refused a card because it had made as many as
// it may.
type Refusal struct {
	Agency string
	Day    time.Time
}

// Refusals lists the newest of each agency since a day.
func (c *Credentials) Refusals(ctx context.Context, since time.Time) ([]Refusal, error) {
	rows, err := c.db.read.QueryContext(ctx, "SELECT agency_id, MAX(day) FROM card_counts WHERE refused AND day >= $1 GROUP BY agency_id ORDER BY agency_id", toDay(since))
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read refusals: %w", classify(err))
	}
	defer func() { _ = rows.Close() }()
	var all []Refusal
	for rows.Next() {
		var r Refusal
		var day int64
		if err := rows.Scan(&r.Agency, &day); err != nil {
			return nil, fmt.Errorf("sqlstore: read refusals: %w", classify(err))
		}
		r.Day = fromDay(day)
		all = append(all, r)
	}
	return all, rows.Err()
}

// LookUps are how many look-ups somebody spent on a day.
type LookUps struct {
	Actor, Agency string // one of them
	Used          int
}

// LookUps lists whoever spent at least so many on a day.
func (v *Vault) LookUps(ctx context.Context, day time.Time, least int) ([]LookUps, error) {
	rows, err := v.db.read.QueryContext(ctx, "SELECT who, used FROM lookup_budgets WHERE day = $1 AND used >= $2 ORDER BY who", toDay(day), least)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read look-ups: %w", classify(err))
	}
	defer func() { _ = rows.Close() }()
	var all []LookUps
	for rows.Next() {
		var who string
		var l LookUps
		if err := rows.Scan(&who, &l.Used); err != nil {
			return nil, fmt.Errorf("sqlstore: read look-ups: %w", classify(err))
		}
		var known bool
		if l.Actor, l.Agency, known = whose(who); known { // not of all together, as versions before counted
			all = append(all, l)
		}
	}
	return all, rows.Err()
}

// WrongCodes counts the card numbers with which at least so many codes were tried within
// the 24 hours before an hour, and were not right. What is tried within that hour is told
// when it is over.
func (c *Credentials) WrongCodes(ctx context.Context, hour int64, least int) (numbers int, err error) {
	err = c.db.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM
		(SELECT 1 FROM paper_tries WHERE hour >= $1 AND hour < $2 GROUP BY number HAVING SUM(tries) >= $3) AS tried`, hour-24, hour, least).Scan(&numbers)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: count tries: %w", classify(err))
	}
	return numbers, nil
}

// WrongAtDesk is how many codes somebody tried with one card number, and were not right.
type WrongAtDesk struct {
	Actor, Agency string // one of them
	Tries         int
}

// WrongAtDesk lists those of at least so many within the 24 hours before an hour.
func (c *Credentials) WrongAtDesk(ctx context.Context, hour int64, least int) ([]WrongAtDesk, error) {
	rows, err := c.db.read.QueryContext(ctx, `SELECT who, SUM(tries) FROM paper_tries WHERE hour >= $1 AND hour < $2 AND who <> ''
		GROUP BY number, who HAVING SUM(tries) >= $3 ORDER BY who`, hour-24, hour, least)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read tries: %w", classify(err))
	}
	defer func() { _ = rows.Close() }()
	var all []WrongAtDesk
	for rows.Next() {
		var who string
		var w WrongAtDesk
		if err := rows.Scan(&who, &w.Tries); err != nil {
			return nil, fmt.Errorf("sqlstore: read tries: %w", classify(err))
		}
		w.Actor, w.Agency, _ = whose(who)
		all = append(all, w)
	}
	return all, rows.Err()
}

// whose reads whom a budget is of.
func whose(who string) (actor, agency string, known bool) {
	if id, ok := strings.CutPrefix(who, "actor:"); ok {
		return id, "", true
	}
	id, ok := strings.CutPrefix(who, "agency:")
	if !ok {
		return "", "", false
	}
	return "", id, true
}
