package credentials

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// PublisherConfig is everything a Publisher needs. Store, Signer, Decoys and the two
// URIs are required.
type PublisherConfig struct {
	Store Store
	// Signer returns the network's status key.
	Signer func(ctx context.Context) (kid string, key crypto.Signer, err error)
	// Decoys is the key by which the decoys of a list are known (package mask).
	Decoys func(ctx context.Context, list uint16) ([]byte, error)
	// Said is the list at an address, as a token, that the signer holds the next one
	// against, "" if there was none; judged is false where nobody reads what is signed.
	// Nil means nobody.
	Said func(ctx context.Context, address string) (list string, judged bool, err error)
	// Refused is what the signer says who does not see why the places of a list may
	// change as they do.
	Refused error
	// StatusLists and AnswersLists are URIs without the list number.
	StatusLists, AnswersLists string
	// Changes is how many entries of each list change in every window, real
	// and decoy together; zero means 64. It is fixed, because a number that
	// varied would say how much happened.
	Changes int
	Now     func() time.Time // nil means time.Now
	Rand    io.Reader        // nil means crypto/rand
}

// Times of a list token: how long a reader may rely on it, and when it should
// look for a newer one.
const (
	listLifetime = 72 * time.Hour
	listTTL      = 6 * time.Hour
)

// Publisher makes the public lists out of the wanted states, a window at a
// time.
type Publisher struct {
	cfg   PublisherConfig
	masks masks
	// doubted are the reasons, by lists, that the signer did not believe the last time.
	doubted map[uint16]map[reason]bool
	// window is held while lists are published: two windows at once would
	// draw decoys that the other one's tokens do not show. Another process
	// finds that the tokens are not those it began with, and begins anew.
	window sync.Mutex
}

// NewPublisher checks the configuration and starts nothing.
func NewPublisher(cfg PublisherConfig) (*Publisher, error) {
	if cfg.Store == nil || cfg.Signer == nil || cfg.Decoys == nil || cfg.StatusLists == "" || cfg.AnswersLists == "" {
		return nil, errors.New("credentials: publisher needs Store, Signer, Decoys and the URIs of the lists")
	}
	if cfg.Changes < 0 || cfg.Changes > statuslist.Entries/1024 {
		return nil, errors.New("credentials: publisher needs a small number of Changes")
	}
	if cfg.Changes == 0 {
		cfg.Changes = 64
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return &Publisher{cfg: cfg, masks: masks{key: cfg.Decoys}, doubted: map[uint16]map[reason]bool{}}, nil
}

// Window is one publication.
type Window struct {
	// Emergency publishes everything that waits, even when that is more than
	// a window's fixed number of changes. It shows in public as what it is.
	Emergency bool
}

// Published tells what a window did.
type Published struct {
	Lists   int // lists signed
	Changed int // real entries that changed
	Waiting int // real entries left for the next window
	// Held are those of them that nothing shows enough of: they stay as they are until
	// something does.
	Held int
}

// Publish closes a window for every list: withdrawals, and by turns with them the longest
// waiting changes become public, decoys fill up to the fixed number, and both lists are signed anew
// even when nothing happened.
func (p *Publisher) Publish(ctx context.Context, by audit.Actor, w Window) (Published, error) {
	p.window.Lock()
	defer p.window.Unlock()
	lists, err := p.cfg.Store.Lists(ctx)
	if err != nil {
		return Published{}, fmt.Errorf("list status lists: %w", err)
	}
	var total Published
	for _, n := range lists {
		one, err := p.publish(ctx, by, n, w)
		if err != nil {
			return total, fmt.Errorf("publish status list: %w", err)
		}
		total.Lists++
		total.Changed += one.Changed
		total.Waiting += one.Waiting
		total.Held += one.Held
	}
	return total, nil
}

// publish closes the window of one list. When an index that a decoy was drawn
// for is reserved in the same moment, or another process has published the
// list, the window is mixed again. A reason that the signer does not believe is held
// alone: neither a withdrawal nor another person's answer waits for it.
func (p *Publisher) publish(ctx context.Context, by audit.Actor, n uint16, w Window) (Published, error) {
	believe, refusals := everything, 0
	for range maxDraws {
		done, err := p.tryPublish(ctx, by, n, w, believe)
		refused := p.refused(err)
		if refused {
			refusals++
		}
		switch {
		case refused && refusals == 1:
			if believe, err = p.believable(ctx, n, w); err != nil {
				return Published{}, err
			}
		case refused && refusals == 2: // of what it believed a moment ago
			believe = nothing
		case !errors.Is(err, ErrIndexTaken) && !errors.Is(err, ErrChanged):
			return done, err
		}
	}
	return Published{}, ErrListFull
}

// stand is how a list stands before a window.
type stand struct {
	list    uint16
	before  string // its status token
	entries []Entry
	frozen  bool
	said    *said
	proven  map[uint32]approval.Change
	limit   int // of changes
}

func (p *Publisher) stand(ctx context.Context, n uint16, w Window) (s stand, err error) {
	s.list, s.limit = n, p.cfg.Changes
	// Before the entries, so that tokens made from older ones are refused.
	if s.before, _, err = p.cfg.Store.Tokens(ctx, n); err != nil {
		return s, err
	}
	if s.entries, err = p.cfg.Store.Entries(ctx, n); err != nil {
		return s, err
	}
	s.entries = inTurn(s.entries)
	if s.frozen, err = p.cfg.Store.Frozen(ctx, n); err != nil {
		return s, err
	}
	if s.said, err = p.said(ctx, n); err != nil {
		return s, err
	}
	if w.Emergency {
		s.limit = len(s.entries)
	}
	s.proven, err = p.proven(ctx, n, s.entries, s.said)
	return s, err
}

// inTurn orders what waits: what is urgent, and what waits longest, by turns. Many pauses of
// one agency, which it ends and begins anew as it likes, keep nobody's withdrawal waiting,
// and many withdrawals nobody's end of a pause.
func inTurn(waiting []Entry) []Entry {
	urgent := slices.Clone(waiting)
	slices.SortStableFunc(urgent, func(a, b Entry) int { return cmp.Compare(urgency(b), urgency(a)) })
	ordered, had := make([]Entry, 0, len(waiting)), make(map[uint32]bool, len(waiting))
	add := func(e Entry) {
		if !had[e.Index] {
			had[e.Index], ordered = true, append(ordered, e)
		}
	}
	next := 0
	for _, e := range waiting {
		if wanted(e) != e { // the others take no room in a window
			for next < len(urgent) && had[urgent[next].Index] {
				next++
			}
			if next < len(urgent) {
				add(urgent[next])
			}
		}
		add(e)
	}
	return ordered
}

// urgency is highest for what goes out of use, for good before for a time: of the rest,
// what waits longest is first.
func urgency(e Entry) int {
	switch e.WantedStatus {
	case e.PublishedStatus:
		return 0
	case statuslist.Invalid, statuslist.Replaced:
		return 2
	case statuslist.Suspended:
		return 1
	default:
		return 0
	}
}

// signed is a window of a list that waits to be published.
type signed struct {
	real            realChanges
	changed         []Entry
	status, answers string
}

// sign makes a window out of what is wanted, as far as the reasons for it are believed.
func (p *Publisher) sign(ctx context.Context, s stand, believe belief) (made signed, err error) {
	if made.real, err = s.real(believe); err != nil {
		return made, err
	}
	may, err := p.masks.of(ctx, s.list)
	if err != nil {
		return made, err
	}
	if made.changed, err = p.mix(made.real.now, newDecoys(s.entries, may, s.frozen, p.cfg.Rand)); err != nil {
		return made, err
	}
	made.changed = append(made.changed, made.real.back...)
	if err := p.cfg.Store.MayAppend(ctx); err != nil {
		return made, err
	}
	proven := approval.With(ctx, approval.Authority{Changes: made.real.evidence})
	made.status, made.answers, err = p.tokens(proven, s.list, s.entries, made.changed)
	return made, err
}

func (p *Publisher) tryPublish(ctx context.Context, by audit.Actor, n uint16, w Window, believe belief) (Published, error) {
	s, err := p.stand(ctx, n, w)
	if err != nil {
		return Published{}, err
	}
	made, err := p.sign(ctx, s, believe)
	if err != nil {
		return Published{}, err
	}
	entry, err := windowEntry(by, n, w, p.cfg.Now())
	if err != nil {
		return Published{}, err
	}
	if err := p.cfg.Store.Publish(ctx, n, s.before, made.changed, made.status, made.answers, entry); err != nil {
		return Published{}, err
	}
	return Published{Changed: len(made.real.now), Waiting: made.real.waiting, Held: made.real.held}, nil
}

// mix turns real changes into published values and adds decoys until each of
// the two lists changes in the fixed number of places, or until the decoys of a
// frozen list are used up.
func (p *Publisher) mix(real []step, d *decoys) ([]Entry, error) {
	var statusChanges, answerChanges int
	mixed := make([]Entry, 0, 2*p.cfg.Changes)
	for _, s := range real {
		if s.to.PublishedStatus != s.from.PublishedStatus {
			statusChanges++
		}
		if s.to.PublishedAnswer != s.from.PublishedAnswer {
			answerChanges++
		}
		mixed = append(mixed, s.to)
	}
	if err := d.status(p.cfg.Changes - statusChanges); err != nil {
		return nil, err
	}
	if err := d.answer(p.cfg.Changes - answerChanges); err != nil {
		return nil, err
	}
	return append(mixed, d.changed()...), nil
}

// tokens signs both lists as they will stand after the changes.
func (p *Publisher) tokens(ctx context.Context, n uint16, before, changed []Entry) (status, answers string, err error) {
	statuses, err := statuslist.New(2, statuslist.Entries)
	if err != nil {
		return "", "", err
	}
	replies, err := statuslist.New(2, statuslist.Entries)
	if err != nil {
		return "", "", err
	}
	for _, e := range slices.Concat(before, changed) {
		if err := statuses.Set(int(e.Index), e.PublishedStatus); err != nil {
			return "", "", err
		}
		if err := replies.Set(int(e.Index), e.PublishedAnswer); err != nil {
			return "", "", err
		}
	}
	kid, key, err := p.cfg.Signer(ctx)
	if err != nil {
		return "", "", fmt.Errorf("find status key: %w", err)
	}
	now := p.cfg.Now().UTC().Truncate(time.Second)
	sign := func(uri string, l *statuslist.List) (string, error) {
		return statuslist.Token{
			Subject: fmt.Sprintf("%s%d", uri, n), IssuedAt: now, Expires: now.Add(listLifetime), TTL: listTTL, List: l,
		}.Sign(kid, key)
	}
	if status, err = sign(p.cfg.StatusLists, statuses); err != nil {
		return "", "", err
	}
	answers, err = sign(p.cfg.AnswersLists, replies)
	return status, answers, err
}

// windowEntry logs a publication.
func windowEntry(by audit.Actor, n uint16, w Window, now time.Time) (audit.Entry, error) {
	return openNote("status.published", struct {
		Actor     string `json:"actor"`
		List      uint16 `json:"list"`
		Emergency bool   `json:"emergency,omitempty"`
		Day       string `json:"day"`
	}{by.ID, n, w.Emergency, day(now).Format(time.DateOnly)}, now)
}

// StatusOf is the public status that a state stands for.
func StatusOf(s State) uint8 {
	switch s {
	case Active:
		return statuslist.Valid
	case Paused:
		return statuslist.Suspended
	case Replaced:
		return statuslist.Replaced
	default: // withdrawn, abandoned, and a draft that was never released
		return statuslist.Invalid
	}
}
