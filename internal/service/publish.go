package service

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/verifier"
)

// Board is what a network puts up for everybody: status and answers lists, the
// pack around them, and the log's checkpoint. The newest of each stands in the
// database; a Board holds a copy of the pack, opened for the service itself.
// Several processes may serve one network, and one of them publishes at a time
// (docs/decisions/0019-replicas.md).
type Board struct {
	network   *network.Network
	issuer    *credentials.Issuer
	publisher *credentials.Publisher
	store     credentials.Store
	believed  func() error // why nothing may be published
	keepRows  func(ctx context.Context) error
	touched   func(ctx context.Context, behind int64) (records []string, now int64, err error)
	renewed   int64 // up to which change the keyring looks as if every case had been shared
	keyring   *sqlstore.Keyring
	packs     *sqlstore.Network
	lease     *sqlstore.Lease
	log       *audit.Log
	keys      keystore.Store
	offsite   *offsite.Folder
	files     *logFiles // nil where the log's public files lie beside the service
	now       func() time.Time
	leaseWait time.Duration // with another process that publishes
	says      *slog.Logger

	publishing sync.Mutex      // one publication at a time in this process
	shutOut    map[string]bool // agencies, as they were at the last publication

	opening sync.Mutex // one refresh at a time

	mu        sync.RWMutex
	lists     verifier.Lists
	tokens    map[uint16]listTokens // the lists in the pack
	sequence  uint64
	pack      *verifier.Pack
	opened    time.Time
	asked     time.Time // when it was last asked whether there is something newer
	confirmed time.Time // when the answer was last heard
}

const (
	// publishLease is how long another process waits for a publisher that says
	// nothing any more, and leaseWait how long for one that works.
	publishLease = 4 * time.Second
	leaseWait    = 8 * time.Second
	// reopenAfter is when a pack is opened anew although it is still the
	// newest: the lease of the keys in it is to stay far away.
	reopenAfter = time.Hour
	// freshTime is how long a request may wait for a newer pack.
	freshTime = time.Second
	// askAgain is how often requests may ask for the number of the newest pack.
	askAgain = 250 * time.Millisecond
)

func newBoard(s *Service) (*Board, error) {
	publisher, err := credentials.NewPublisher(credentials.PublisherConfig{
		Store: s.DB.Credentials(),
		Signer: func(ctx context.Context) (string, crypto.Signer, error) {
			signer, err := s.Keys.Status(ctx)
			return signer.KeyID, signer.Key, err
		},
		Decoys: s.Keys.Decoys, Said: said(s), Refused: keystore.ErrRefused,
		StatusLists: s.Network.StatusLists(), AnswersLists: s.Network.AnswersLists(), Now: s.cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	var held *logFiles
	if s.cfg.Engines.Database != "" {
		held = &logFiles{dir: s.LogDir}
	}
	return &Board{
		network: s.Network, issuer: s.Issuer, shutOut: map[string]bool{}, publisher: publisher, believed: s.believed, keepRows: s.keepRows, touched: s.DB.Touched, renewed: s.DB.Seen(), keyring: s.Keyring, store: s.DB.Credentials(), packs: s.DB.Network(),
		lease: s.DB.Lease("publish", s.DB.Instance(), publishLease), log: s.log, keys: s.Keys.Store, offsite: s.Offsite, files: held, now: s.cfg.Now,
		leaseWait: leaseWait, says: s.cfg.Log,
	}, nil
}

// said asks whoever has the status key which list stands at an address, and shows it the
// newest pack: the signer of another process may have signed that one.
func said(s *Service) func(ctx context.Context, address string) (string, bool, error) {
	var number uint64
	var up verifier.Lists
	return func(ctx context.Context, address string) (string, bool, error) {
		newest, err := s.DB.Network().PackNumber(ctx)
		if err != nil {
			return "", false, err
		}
		if newest != number {
			if up, number, err = s.DB.Network().NewestPack(ctx); err != nil {
				return "", false, err
			}
		}
		return saidAfter(ctx, s.Keys.Store, address, up)
	}
}

// saidAfter asks it, and shows what is published, with the trust list that the pack names.
func saidAfter(ctx context.Context, keys keystore.Store, address string, up verifier.Lists) (string, bool, error) {
	return keys.Said(approval.With(ctx, approval.Authority{About: private.New(up.TrustList)}), address, up.Pack)
}

// followRoster does what follows from changes of the roster that count since the last
// publication: keys are made, and what agencies have confirmed that were shut out or
// let in again is judged anew. The first publication of a process judges all that are
// shut out.
func (b *Board) followRoster(ctx context.Context, by audit.Actor) error {
	if err := b.network.Adopt(ctx); err != nil {
		return err
	}
	// A key that cannot be replaced holds up nobody else: the one of before signs, and what
	// takes away goes out.
	if err := b.network.Renew(ctx); err != nil {
		b.says.ErrorContext(ctx, "a key that people agreed to replace still signs", "error", err.Error())
	}
	agencies, err := b.network.Agencies(ctx)
	if err != nil {
		return err
	}
	for _, a := range agencies {
		out := a.Suspended || !a.Compromised.IsZero()
		if b.shutOut[a.ID] == out {
			continue
		}
		if _, err := b.issuer.Reconsider(ctx, by, a.ID); err != nil {
			return err
		}
		b.shutOut[a.ID] = out
	}
	return nil
}

// listTokens are the newest tokens of one list.
type listTokens struct{ status, answers string }

// open puts up what was published last. A network that has published nothing
// begins with a window in which nothing happened, and so does one that was off for
// longer than what it published holds.
func (b *Board) open(ctx context.Context) error {
	if _, err := b.store.OpenList(ctx); err != nil {
		return err
	}
	up, err := b.packs.PackNumber(ctx)
	if err != nil {
		return err
	}
	if up > 0 {
		err := b.refresh(ctx)
		if !over(err) {
			return err
		}
		_, err = b.Publish(ctx, audit.Actor{ID: "service"}, false)
		return err
	}
	status, _, err := b.collect(ctx)
	switch {
	case err != nil:
		return err
	case len(status) == 0:
		_, err = b.Publish(ctx, audit.Actor{ID: "service"}, false)
		return err
	default: // lists of an older release, which kept its packs to itself
		return b.withLease(ctx, func() error { return b.makePack(ctx) })
	}
}

// Publish closes the window: lists, pack and log checkpoint.
func (b *Board) Publish(ctx context.Context, by audit.Actor, emergency bool) (done httpapi.Published, err error) {
	err = b.withLease(ctx, func() error {
		done, err = b.publish(ctx, by, emergency)
		return err
	})
	return done, err
}

// publishDue closes the window, unless another process has closed it while
// this one waited.
func (b *Board) publishDue(ctx context.Context, every time.Duration) error {
	return b.withLease(ctx, func() error {
		err := b.refresh(ctx)
		if err == nil && b.age() < every/2 {
			return nil
		}
		if err != nil && !over(err) {
			return err
		}
		_, err = b.publish(ctx, audit.Actor{ID: "service"}, false)
		return err
	})
}

// over tells whether a pack does not open because its trust list is past its end. The
// next publication has a new one.
func over(err error) bool {
	not, ok := errors.AsType[*verifier.NotReadyError](err)
	return ok && not.Reason == verifier.ReasonTrustListOld
}

// early tells whether a pack does not open only because the root's statement in it is dated
// behind the one of the same second.
func early(err error) bool {
	not, ok := errors.AsType[*verifier.NotReadyError](err)
	return ok && not.Reason == verifier.ReasonClock
}

func (b *Board) publish(ctx context.Context, by audit.Actor, emergency bool) (httpapi.Published, error) {
	if err := b.believed(); err != nil {
		return httpapi.Published{}, err
	}
	if err := b.followRoster(ctx, by); err != nil {
		return httpapi.Published{}, fmt.Errorf("follow the roster: %w", err)
	}
	// One case that cannot be read holds up nobody else.
	if err := b.issuer.Lapse(ctx, by); err != nil {
		b.says.ErrorContext(ctx, "an answer that is over may still confirm somebody", "error", err.Error())
	}
	if err := b.network.Turn(ctx); err != nil {
		return httpapi.Published{}, fmt.Errorf("turn epochs: %w", err)
	}
	done, err := b.publisher.Publish(ctx, by, credentials.Window{Emergency: emergency})
	if err != nil {
		return httpapi.Published{}, err
	}
	if done.Held > 0 {
		b.says.WarnContext(ctx, "places of the lists stay as they stand: the signer sees no reason for what is wanted of them", "places", done.Held)
	}
	if err := b.makePack(ctx); err != nil {
		return httpapi.Published{}, err
	}
	head, err := b.log.Publish(ctx)
	if errors.Is(err, audit.ErrOvertaken) || errors.Is(err, audit.ErrSequence) {
		head, err = b.log.Publish(ctx) // by somebody whose lease was over; once more, on top
	}
	if err != nil {
		return httpapi.Published{}, fmt.Errorf("publish the log: %w", err)
	}
	if err := b.offsite.KeepCheckpoint(head.Signed); err != nil {
		return httpapi.Published{}, fmt.Errorf("keep the checkpoint: %w", err)
	}
	if err := b.renewKeys(ctx); err != nil {
		b.says.WarnContext(ctx, "rows of the keyring show which cases were shared since the last publication", "error", err.Error())
	}
	if err := b.keepRows(ctx); err != nil {
		return httpapi.Published{}, err
	}
	if err := b.files.update(); err != nil {
		return httpapi.Published{}, fmt.Errorf("hold the log's files: %w", err)
	}
	return httpapi.Published{Sequence: b.Number(), LogSize: head.Size, Waiting: done.Waiting}, nil
}

// renewKeys seals the keys of every case anew that was touched since the last publication.
// To share a case changes its row in the keyring, and little else does: two copies of the
// keyring would say which cases are shared, and a lost document is shared with nobody.
func (b *Board) renewKeys(ctx context.Context) error {
	records, now, err := b.touched(ctx, b.renewed)
	if err == nil {
		err = b.keyring.Renew(ctx, records...)
	}
	if err == nil {
		b.renewed = now
	}
	return err
}

// withLease runs do while no other process publishes. The lease saves work and
// keeps order; what must not happen twice is guarded by the rows themselves, so
// that a process which was stopped for longer than its lease does no harm.
func (b *Board) withLease(ctx context.Context, do func() error) (err error) {
	deadline := time.NewTimer(b.leaseWait)
	defer deadline.Stop()
	for !b.publishing.TryLock() {
		if err := b.wait(ctx, deadline); err != nil {
			return err
		}
	}
	defer b.publishing.Unlock()
	if err := b.acquireLease(ctx, deadline); err != nil {
		return err
	}
	held, release := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { b.renewLease(held) })
	defer func() {
		release()
		renewing.Wait()
		// Also after the caller has gone. Where it cannot be given back it ends.
		_ = b.lease.Release(context.WithoutCancel(ctx))
	}()
	return do()
}

// acquireLease waits for the lease, for a while.
func (b *Board) acquireLease(ctx context.Context, deadline *time.Timer) error {
	for {
		ours, err := b.lease.Acquire(ctx)
		if ours || err != nil {
			return err
		}
		if err := b.wait(ctx, deadline); err != nil {
			return err
		}
	}
}

// wait is a moment in the wait for another publication.
func (b *Board) wait(ctx context.Context, deadline *time.Timer) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-deadline.C:
		return fmt.Errorf("somebody else publishes: %w", sqlstore.ErrBusy)
	case <-time.After(askAgain):
		return nil
	}
}

func (b *Board) renewLease(ctx context.Context) {
	again(ctx, publishLease/4, func() {
		_ = b.lease.Renew(ctx) // without it the work is done all the same
	})
}

// maxPackings bounds how often a pack is made anew because another process has
// put one up in the meantime.
const maxPackings = 8

// makePack puts a pack around the newest lists and puts it up.
func (b *Board) makePack(ctx context.Context) error {
	for range maxPackings {
		// First of all: whatever is read after it is newer than the pack that
		// is up.
		before, err := b.packs.PackNumber(ctx)
		if err != nil {
			return err
		}
		status, answers, err := b.collect(ctx)
		if err != nil {
			return err
		}
		lists, sequence, err := b.network.Pack(ctx, status, answers)
		if err != nil {
			return fmt.Errorf("make the pack: %w", err)
		}
		// What no reader opens is not put up; one that is ahead by a second will be opened.
		if _, err := b.network.ServerPack(ctx, lists, sequence); err != nil && !early(err) {
			return fmt.Errorf("open the pack that was made: %w", err)
		}
		err = b.packs.KeepPack(ctx, before, sequence, lists)
		if errors.Is(err, network.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		return b.refresh(ctx)
	}
	return fmt.Errorf("other processes publish all the time: %w", sqlstore.ErrBusy)
}

// refresh takes over the newest pack, and the log's newest files, when they are
// others than this process has, whoever published them.
func (b *Board) refresh(ctx context.Context) error {
	b.opening.Lock()
	defer b.opening.Unlock()
	return b.refreshLocked(ctx)
}

// refreshLocked is refresh for whoever holds the lock.
func (b *Board) refreshLocked(ctx context.Context) error {
	asked := time.Now()
	err := b.takePack(ctx)
	if err == nil {
		if err = b.files.update(); err != nil {
			err = fmt.Errorf("hold the log's files: %w", err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = asked
	if err == nil {
		b.confirmed = asked
	}
	return err
}

// takePack takes over the newest pack.
func (b *Board) takePack(ctx context.Context) error {
	up, err := b.packs.PackNumber(ctx)
	if err != nil {
		return err
	}
	b.mu.RLock()
	current := up == b.sequence && time.Since(b.opened) < reopenAfter
	b.mu.RUnlock()
	if current {
		return nil
	}
	lists, sequence, err := b.packs.NewestPack(ctx)
	if err != nil {
		return err
	}
	if has := b.Number(); sequence < has {
		return fmt.Errorf("the database has pack %d, and pack %d was published", sequence, has)
	}
	pack, err := b.network.ServerPack(ctx, lists, sequence)
	if err != nil {
		return fmt.Errorf("open the pack: %w", err)
	}
	tokens, err := tokensOf(lists)
	if err != nil {
		return err
	}
	// Before anybody can have it.
	if err := b.offsite.KeepPack(ctx, lists); err != nil {
		return fmt.Errorf("keep the pack: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lists, b.tokens, b.sequence, b.pack, b.opened = lists, tokens, sequence, pack, time.Now()
	return nil
}

// tokensOf sorts the lists in a pack by their numbers.
func tokensOf(lists verifier.Lists) (map[uint16]listTokens, error) {
	status, answers, err := lists.Tokens()
	if err != nil {
		return nil, err
	}
	tokens := make(map[uint16]listTokens, len(status))
	for _, l := range status {
		tokens[l.Number] = listTokens{status: l.Token}
	}
	for _, l := range answers {
		tokens[l.Number] = listTokens{status: tokens[l.Number].status, answers: l.Token}
	}
	return tokens, nil
}

// follow keeps up with what other processes publish, until ctx ends.
func (b *Board) follow(ctx context.Context, every time.Duration, failed func(error)) {
	var shown uint64
	again(ctx, every, func() {
		err := b.refresh(ctx)
		if err == nil {
			shown, err = b.show(ctx, shown)
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
	})
}

// show has this process's signer remember what others have published, as soon as it is:
// whoever takes this process over later cannot have it go back behind that.
func (b *Board) show(ctx context.Context, shown uint64) (uint64, error) {
	if err := b.log.Show(ctx); err != nil {
		return shown, err
	}
	b.mu.RLock()
	lists, sequence := b.lists, b.sequence
	b.mu.RUnlock()
	if sequence == shown {
		return shown, nil
	}
	if _, _, err := saidAfter(ctx, b.keys, b.network.StatusLists()+"1", lists); err != nil {
		return shown, fmt.Errorf("show the pack to the signer: %w", err)
	}
	return sequence, nil
}

// fresh is refresh for requests: not with every one of them, and what is here
// will do while the newest cannot be had. Once there was no answer, requests ask
// no sooner than follow does: each would wait for it.
func (b *Board) fresh(ctx context.Context) {
	b.mu.RLock()
	pause := askAgain
	if b.confirmed.Before(b.asked) {
		pause = followEvery
	}
	lately := time.Since(b.asked) < pause
	b.mu.RUnlock()
	if lately || !b.opening.TryLock() {
		return
	}
	defer b.opening.Unlock()
	ctx, cancel := context.WithTimeout(ctx, freshTime)
	defer cancel()
	_ = b.refreshLocked(ctx) // follow reports it
}

// collect reads the newest token of every list.
func (b *Board) collect(ctx context.Context) (status, answers []verifier.ListToken, err error) {
	numbers, err := b.store.Lists(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range numbers {
		s, a, err := b.store.Tokens(ctx, n)
		if err != nil {
			return nil, nil, err
		}
		if s != "" && a != "" {
			status = append(status, verifier.ListToken{Number: n, Token: s})
			answers = append(answers, verifier.ListToken{Number: n, Token: a})
		}
	}
	return status, answers, nil
}

// Number is the sequence number of the pack that is up here.
func (b *Board) Number() uint64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.sequence
}

// age is how old the oldest list of the newest pack is.
func (b *Board) age() time.Duration {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var oldest time.Duration
	for _, signed := range b.pack.ListDates() {
		oldest = max(oldest, b.now().Sub(signed))
	}
	return oldest
}

// ready says why what is put up here cannot be relied on. A pack may be that
// old; zero is any age.
func (b *Board) ready(ctx context.Context, oldest time.Duration) error {
	_, err := b.log.Check(ctx)
	if fresh := b.refresh(ctx); fresh != nil {
		err = errors.Join(err, fmt.Errorf("look for a newer pack: %w", fresh))
	}
	if age := b.age(); oldest > 0 && age > oldest {
		err = errors.Join(err, fmt.Errorf("the lists are %s old", age.Round(time.Minute)))
	}
	return err
}

// Lists returns the public half of the newest pack.
func (b *Board) Lists(ctx context.Context) (verifier.Lists, error) {
	b.fresh(ctx)
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.lists, nil
}

// Tokens returns the tokens of a status list as they stand in the newest pack,
// empty ones when there is no such list.
func (b *Board) Tokens(ctx context.Context, list uint16) (status, answers string, err error) {
	b.fresh(ctx)
	b.mu.RLock()
	defer b.mu.RUnlock()
	t := b.tokens[list]
	return t.status, t.answers, nil
}

// Confirmed is when it was last known that nothing newer is published than what
// is up here.
func (b *Board) Confirmed() time.Time {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.confirmed
}

// Envelope seals the epoch keys to the device that acts, for the newest pack.
func (b *Board) Envelope(ctx context.Context, by audit.Actor) (string, error) {
	b.fresh(ctx)
	return b.network.Envelope(ctx, by, b.Number())
}

// Pack returns the newest pack, opened for the service itself.
func (b *Board) Pack(context.Context) (*verifier.Pack, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.pack, nil
}
