// Package promise is what the holder of a case was promised about who reads it: a page
// of rules that imports nothing of ours, so that whatever is wrong elsewhere is not
// wrong here in the same way. Its test plays random sequences of what people do to a
// case before a real service, and asks both of them at each reading.
//
// The rules are those of the product, R6, R8, R11 and R12. How they are kept, and what a
// reader sees of what he may read, is left to vault, credentials, people and
// internal/httpapi.
package promise

import (
	"slices"
	"time"
)

// Rule is one sentence of the promise.
type Rule string

// The rules, in the order in which they are asked.
const (
	Member    Rule = "whoever reads is a member, and so is his agency, and neither is suspended"
	Assigned  Rule = "a case is read by those it was given to, and by the supervisors of its agency"
	Granted   Rule = "another agency reads a record that she shares with it, until its day has passed or she takes it back"
	Hers      Rule = "what she agrees to for another agency is hers when her code was given for it"
	Newest    Rule = "her newest word counts everywhere"
	OwnState  Rule = "her own state, and any mission, is told only where she said that it is safe, and that she wants it"
	Second    Rule = "her own state is told only where a second person of the agency agreed"
	Free      Rule = "detained or under pressure is no, until two people of two agencies have asked her alone, for 14 days"
	Opened    Rule = "a shared record is read once she has opened it, the part that is read among the rest"
	Person    Rule = "an opening is one person's, and no colleague's"
	Place     Rule = "an opening is for the session or device that it was made in"
	Minutes   Rule = "an opening ends after fifteen minutes"
	SameGrant Rule = "a grant that is renewed or taken back ends what was open"
	AsAgreed  Rule = "an opening is for the purpose and the parts that she agreed to"
	CardInUse Rule = "a card that is withdrawn, paused or replaced ends what it opened"
	Device    Rule = "the device that opens is one that was let in, of the same agency"
	Left      Rule = "an agency takes as many readings without her as she left for it, and no more"
	Thrice    Rule = "after three openings of a grant on a day the next waits for the desk that keeps the case"
)

// Told is the rule about what comes after a reading, which stands in the way of none.
const Told Rule = "every reading is in her history"

// Rules lists all of them.
var Rules = []Rule{
	Member, Assigned, Granted, Hers, Newest, OwnState, Second, Free, Opened, Person, Place, Minutes, SameGrant, AsAgreed, CardInUse, Device, Left, Thrice,
}

// Agency is one of the network, as far as it matters to her.
type Agency struct {
	ID, Class, Country string
}

// Of says where she is from, as far as anybody knows: what she stated, and what a
// document of hers shows. Host is where she is.
type Of struct {
	Stated, Shown, Host string
}

// Word is what she said on one day about who is told.
type Word struct {
	Day    int      // since the beginning
	Until  int      // the last day on which it stands
	No     bool     // to everything
	Scope  []string // the kinds of agencies
	States []string // whose authorities may be told

	Safe, Contact bool // it is safe if her state knows, and she wants it to
	Unsafe        bool // she was asked whether it is, and did not say yes
	Free          bool // she was neither held nor had she just come out
}

// Grant is a record that she shares.
type Grant struct {
	ID      int
	Agency  string
	Record  string
	Purpose string
	Parts   []string // nil is whatever is opened
	Until   int
	Left    int // readings that the agency takes without her
	Said    Word
	Card    int  // by which she gave her code
	Code    bool // her code was given for it
	Second  bool // a second person of the agency agreed
	Alone   bool // two people of two agencies have asked her alone
	ended   bool
}

// Opening is that she opened a record to somebody.
type Opening struct {
	Person, Place string
	Agency        string
	Record        string
	Purpose       string
	Parts         []string
	At            time.Time
	Card          int
	Device        bool // a device of his agency that was let in, or none: then the service had her code
	Left          bool // one that she left: no card, no code

	grant int    // the one it was made on
	over  []Rule // what stood in the way when it was made
}

// Reading is that somebody asks for a part of a record.
type Reading struct {
	Person, Place string
	Supervisor    bool
	Of            Agency
	Record        string
	Parts         [][]string // each of them has one that has to be open
	At            time.Time
}

// Case is what has happened to one.
type Case struct {
	ID     string
	Keeper string
	From   Of
	Begun  time.Time

	words    []Word
	recorded []Word // what workers wrote down without her code
	grants   []Grant
	openings []Opening
	assigned map[string]time.Time // until when; the zero time is for good
	taken    map[string]bool      // from whom it was taken, until it is given again
	outside  map[string]bool      // agencies and people who are suspended
	ended    map[int]bool         // cards
	again    map[daily]int        // what the desk let be opened once more
}

// daily is an agency, a record and a day.
type daily struct {
	agency, record string
	day            int
}

// New is a case that somebody has begun.
func New(id, keeper, person string, from Of, now time.Time) *Case {
	return &Case{
		ID: id, Keeper: keeper, From: from, Begun: now,
		assigned: map[string]time.Time{person: {}}, taken: map[string]bool{}, outside: map[string]bool{}, ended: map[int]bool{}, again: map[daily]int{},
	}
}

// Day counts days.
func (c *Case) Day(t time.Time) int { return int(t.UTC().Unix()/86400 - c.Begun.UTC().Unix()/86400) }

// What happens to a case.

// Says is a word that she signed with what was found about her. It returns which it is.
func (c *Case) Says(w Word) int {
	c.words = append(c.words, w)
	return len(c.words) - 1
}

// Unsaid is that a word was taken out of use: of that day she agreed to nothing.
func (c *Case) Unsaid(i int) { c.words[i].No = true }

// Recorded is what a worker wrote down without her code. It gives nothing to anybody; to
// her own state it can only say no.
func (c *Case) Recorded(w Word) { c.recorded = append(c.recorded, w) }

// Shares is a grant. A second one to an agency renews the first.
func (c *Case) Shares(g Grant) {
	c.Unshares(g.Agency, g.Record)
	g.ID = len(c.grants) + 1
	c.grants = append(c.grants, g)
}

// Unshares takes one back.
func (c *Case) Unshares(agency, record string) {
	for i := range c.grants {
		if g := &c.grants[i]; g.Agency == agency && g.Record == record {
			g.ended = true
		}
	}
}

// SaysNo takes back everything.
func (c *Case) SaysNo(now time.Time) {
	for i := range c.grants {
		c.grants[i].ended = true
	}
	c.words = append(c.words, Word{Day: c.Day(now), Until: 1 << 30, No: true})
}

// Opens is an opening.
func (c *Case) Opens(o Opening) { c.openings = append(c.openings, c.made(o)) }

// made is an opening as it is made: on a grant, with what stands in its way.
func (c *Case) made(o Opening) Opening {
	g, ok := c.grant(o.Agency, o.Record, o.At)
	if ok {
		o.grant = g.ID
	}
	taken, today := 0, 0
	for _, was := range c.openings {
		if was.Left && was.grant == g.ID {
			taken++
		}
		if was.grant == g.ID && c.Day(was.At) == c.Day(o.At) {
			today++
		}
	}
	if o.Left {
		o.Card = g.Card
	}
	if o.Left && taken >= g.Left {
		o.over = append(o.over, Left)
	}
	if today >= 3+c.again[daily{o.Agency, o.Record, c.Day(o.At)}] {
		o.over = append(o.over, Thrice)
	}
	return o
}

// Again is that the desk which keeps the case lets an agency open a record once more today.
func (c *Case) Again(agency, record string, now time.Time) {
	c.again[daily{agency, record, c.Day(now)}]++
}

// Forbids lists the rules that stand in the way of an opening: with none of them, whoever
// it is for can read what it is of.
func (c *Case) Forbids(o Opening, of Agency) []Rule {
	alone := *c
	alone.openings = []Opening{c.made(o)}
	return alone.Breaks(Reading{Person: o.Person, Place: o.Place, Of: of, Record: o.Record, At: o.At})
}

// ForbidsGrant lists the rules that stand in the way of a grant: with none of them whoever
// it is for can read what she then opens, on a day on which nobody has opened anything.
func (c *Case) ForbidsGrant(g Grant, of Agency, now time.Time) []Rule {
	g.ID = 1 << 30
	then := *c
	then.grants, then.openings = append(slices.Clone(c.grants), g), nil
	return then.Forbids(Opening{Agency: of.ID, Record: g.Record, Purpose: g.Purpose, Parts: g.Parts, At: now, Card: g.Card, Device: true}, of)
}

// CardEnds is that a card is withdrawn, paused or replaced.
func (c *Case) CardEnds(card int) { c.ended[card] = true }

// Suspends says of an agency or a person that it is out.
func (c *Case) Suspends(id string) { c.outside[id] = true }

// Returns says that it is in again.
func (c *Case) Returns(id string) { delete(c.outside, id) }

// Assigns gives the case to somebody, until a time or, for the zero time, for good.
func (c *Case) Assigns(person string, until time.Time) {
	delete(c.taken, person)
	c.assigned[person] = until
}

// Attends gives it to somebody who has her card and her code, for twelve hours: to nobody
// from whom it was taken.
func (c *Case) Attends(person string, now time.Time) {
	if until, given := c.assigned[person]; !c.taken[person] && (!given || !until.IsZero()) {
		c.Assigns(person, now.Add(12*time.Hour))
	}
}

// Uses tells whether a card is in use.
func (c *Case) Uses(card int) bool { return !c.ended[card] }

// Unassigns takes it away.
func (c *Case) Unassigns(person string) {
	delete(c.assigned, person)
	c.taken[person] = true
}

// Breaks lists the rules that a reading would break: none, and it is allowed.
func (c *Case) Breaks(r Reading) (broken []Rule) {
	if c.outside[r.Of.ID] || c.outside[r.Person] {
		broken = append(broken, Member)
	}
	if r.Of.ID == c.Keeper {
		until, given := c.assigned[r.Person]
		if r.Supervisor || given && (until.IsZero() || r.At.Before(until)) {
			return broken
		}
		return append(broken, Assigned)
	}
	g, ok := c.grant(r.Of.ID, r.Record, r.At)
	if !ok {
		return append(broken, Granted)
	}
	if !g.Code {
		broken = append(broken, Hers)
	}
	broken = append(broken, c.word(g, r.Of, c.Day(r.At))...)
	return append(broken, c.opened(g, r)...)
}

// grant is the one in force.
func (c *Case) grant(agency, record string, now time.Time) (Grant, bool) {
	for _, g := range slices.Backward(c.grants) {
		if g.Agency == agency && g.Record == record && !g.ended && g.Until >= c.Day(now) {
			return g, true
		}
	}
	return Grant{}, false
}

// word asks her newest word: what she said about this agency, and what she signed about
// everybody. A no that was only recorded, and that it is not safe if her state knows,
// whomever she was asked about, stand until she gives her code on a later day: for missions
// and whoever is of her state.
func (c *Case) word(g Grant, to Agency, day int) (broken []Rule) {
	broken = c.newest(append(slices.Clone(c.words), g.Said), g, to, day)
	breaks := func(rules ...Rule) {
		for _, rule := range rules {
			if !slices.Contains(broken, rule) {
				broken = append(broken, rule)
			}
		}
	}
	if to.Class == mission && !g.Said.Contact {
		breaks(OwnState)
	}
	if to.Class != mission && !c.From.involves(to) {
		return broken
	}
	said := slices.Clone(c.recorded)
	for _, w := range c.recorded {
		switch asked := w.Safe || w.Unsafe; {
		case w.Day < g.Said.Day:
		case asked:
			breaks(w.breaks(c.From, to, g, w.Day)...)
		case c.From.involves(to) && !w.Free && !g.Alone: // all that it says
			breaks(Free)
		}
	}
	for _, other := range c.grants {
		if other.ID != g.ID {
			said = append(said, other.Said)
		}
	}
	if slices.ContainsFunc(said, func(w Word) bool { return w.Unsafe && w.Day >= g.Said.Day }) {
		breaks(OwnState)
	}
	return broken
}

// newest lists what the words of the newest day forbid: of one day the careful one counts.
func (c *Case) newest(words []Word, g Grant, to Agency, day int) (broken []Rule) {
	newest := -1 << 30
	for _, w := range words {
		newest = max(newest, w.Day)
	}
	for _, w := range words {
		if w.Day != newest {
			continue
		}
		for _, rule := range w.breaks(c.From, to, g, day) {
			if !slices.Contains(broken, rule) {
				broken = append(broken, rule)
			}
		}
	}
	return broken
}

// kinds is what she agrees to, by the class of the agency.
var kinds = map[string]string{"NGO": "ngo", mission: "other_mission", "LawEnforcement": "police", "ImmigrationService": "immigration"}

const mission = "x_DiplomaticMission"

// authority tells whether agencies of a class are a state's.
func authority(class string) bool { return class != "NGO" }

func (w Word) breaks(from Of, to Agency, g Grant, day int) (broken []Rule) {
	own := from.involves(to)
	kind, named := kinds[to.Class], true
	switch {
	case own && to.Class == mission:
		kind = "mission_of_origin"
	case to.Class != mission && authority(to.Class) && (own || to.Country != from.Host):
		named = slices.Contains(w.States, to.Country)
	}
	if w.No || day > w.Until || !slices.Contains(w.Scope, kind) || !named {
		broken = append(broken, Newest)
	}
	if own && (!w.Safe || !w.Contact) {
		broken = append(broken, OwnState)
	}
	if own && !g.Second {
		broken = append(broken, Second)
	}
	if own && !w.Free && (!g.Alone || day > w.Day+14) {
		broken = append(broken, Free)
	}
	return broken
}

// involves tells whether an agency is of her own state: of each that she stated or a
// document shows. Where nothing is known, or the two contradict each other, it is every
// state's but the one's where she is.
func (o Of) involves(a Agency) bool {
	if !authority(a.Class) {
		return false
	}
	unclear := o.Stated == "" && o.Shown == "" || o.Stated != "" && o.Shown != "" && o.Stated != o.Shown
	return a.Country == o.Stated || a.Country == o.Shown || unclear && a.Country != o.Host
}

// opened asks the openings of this agency, and returns what the best of them lacks.
func (c *Case) opened(g Grant, r Reading) []Rule {
	best, found := []Rule{Opened}, false
	for _, o := range c.openings {
		if o.Agency != r.Of.ID || o.Record != r.Record && o.Record != c.ID || !o.has(r.Parts) {
			continue
		}
		if lacks := c.lacks(o, g, r); !found || len(lacks) < len(best) {
			best, found = lacks, true
		}
	}
	return best
}

// has tells whether the parts of an opening are enough for a reading.
func (o Opening) has(parts [][]string) bool {
	return !slices.ContainsFunc(parts, func(one []string) bool {
		return !slices.ContainsFunc(one, func(p string) bool { return slices.Contains(o.Parts, p) })
	})
}

func (c *Case) lacks(o Opening, g Grant, r Reading) (broken []Rule) {
	for _, one := range []struct {
		rule  Rule
		holds bool
	}{
		{Person, o.Person == r.Person},
		{Place, o.Place == r.Place || o.Person != r.Person},
		{Minutes, r.At.Sub(o.At) < 15*time.Minute},
		{SameGrant, o.grant == g.ID},
		{AsAgreed, o.Purpose == g.Purpose && within(o.Parts, g.Parts)},
		{CardInUse, !c.ended[o.Card]},
		{Device, o.Device || o.Left},
	} {
		if !one.holds {
			broken = append(broken, one.rule)
		}
	}
	return append(broken, o.over...)
}

// within tells whether all that was opened was agreed to.
func within(parts, agreed []string) bool {
	return agreed == nil || !slices.ContainsFunc(parts, func(p string) bool { return !slices.Contains(agreed, p) })
}
