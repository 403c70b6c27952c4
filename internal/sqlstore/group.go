package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A commit takes as long as the disk, or a standby, takes; a change itself takes a tenth
// of that. So changes share commits: those that come while one is under way wait, and
// share the next transaction. Each runs in the goroutine of its caller, one behind the
// other, on a savepoint of its own, and hears how it went when the one COMMIT behind all
// of them has been answered. Whoever comes alone has a transaction alone, and no
// savepoint (docs/decisions/0067-one-commit-for-many.md).

// groupMost is how many changes share a transaction at most. Behind 64 savepoints
// PostgreSQL has to look into a file for what else runs
// (src/include/storage/proc.h, PGPROC_MAX_CACHED_SUBXIDS).
const groupMost = 32

// group is a transaction that changes share.
type group struct {
	tx   *sql.Tx
	conn *sql.Conn

	of     *sealer // whose heads those in it read; nil until one does
	kept   []*caller
	failed []*caller // their work is undone; why may come from what is not committed yet
	mark   mark

	heads  *heads // as the changes that are kept have made them
	mine   *heads // of the change that is being made
	looked bool   // whether the log has been looked at
}

// mark is where the savepoint of a group stands.
type mark int

const (
	noMark    mark = iota
	oldMark        // in front of a change that is kept
	freshMark      // behind all that is kept
)

// caller is a change that waits for its turn, and then for its answer.
type caller struct {
	of     *sealer // whose heads it reads; nil if it reads none
	alone  bool    // shares with nobody
	turn   chan *group
	worked chan outcome
	answer chan answer
}

// outcome is how a change went.
type outcome struct {
	err  error // nil: it is to be kept
	over bool  // its caller waits for nothing but that it is undone
}

// answer is what became of a change: what it returned itself, unless there is an error.
type answer struct {
	again bool // nothing was written, and another try may succeed
	err   error
}

var (
	// errBrokeOff stands for a change that did not return.
	errBrokeOff = errors.New("sqlstore: a change broke off")
	// errTaken says that another change took the transaction along. Nobody hears it:
	// whoever tries again is alone.
	errTaken = fmt.Errorf("sqlstore: undone with another change: %w", ErrBusy)
)

// turns are the changes that wait for theirs.
type turns struct {
	mu      sync.Mutex
	waiting []*caller
	serving bool
	waits   int64
	waited  time.Duration
}

// join has a change wait. begin says that nobody serves those who wait.
func (t *turns) join(c *caller) (begin bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, c)
	begin, t.serving = !t.serving, true
	return begin
}

// leave takes a change out again, unless its turn has come.
func (t *turns) leave(c *caller) (left bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, c)
	if i < 0 {
		return false
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	return true
}

// more reports whether anybody waits. If not, nobody serves any more.
func (t *turns) more() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.serving = len(t.waiting) > 0
	return t.serving
}

// present are those who wait now.
func (t *turns) present() []*caller {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.waiting)
}

// next is who has the next turn in a group: nil if it is nobody's who may share it.
func (t *turns) next(g *group) *caller {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		return nil
	}
	c := t.waiting[0]
	switch begun := len(g.kept) > 0; {
	case begun && (c.alone || g.kept[0].alone):
		return nil
	case g.of != nil && c.of != nil && g.of != c.of:
		return nil
	case c.of != nil:
		g.of = c.of
	}
	t.waiting = slices.Delete(t.waiting, 0, 1)
	return c
}

// turnAway gives an answer to those of some who still wait.
func (t *turns) turnAway(some []*caller, a answer) {
	for _, c := range some {
		if t.leave(c) {
			c.answer <- a
		}
	}
}

// measured adds up how long a change has waited since a moment. It is counted, and
// decides nothing.
func (t *turns) measured(since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waits++
	t.waited += time.Since(since)
}

// try runs one change in a transaction. again says that nothing of it was written and
// that another try may succeed.
func (b *base) try(ctx context.Context, c *caller, do func(g *group) error) (again bool, err error) {
	if err := b.there(); err != nil {
		return false, err
	}
	c.turn, c.worked, c.answer = make(chan *group, 1), make(chan outcome, 1), make(chan answer, 1)
	if b.turns.join(c) {
		go b.serve()
	}
	g, a := b.await(ctx, c)
	if g != nil {
		a, err = c.work(ctx, g, do)
	}
	if a.err != nil {
		err = a.err
	}
	return a.again, err
}

// await waits for a change's turn: its group, or why there is none.
func (b *base) await(ctx context.Context, c *caller) (*group, answer) {
	defer b.turns.measured(time.Now())
	var enough <-chan time.Time
	if b.patience != 0 {
		timer := time.NewTimer(b.patience)
		defer timer.Stop()
		enough = timer.C
	}
	var why error
	select {
	case g := <-c.turn:
		return g, answer{}
	case a := <-c.answer:
		return nil, a
	case <-ctx.Done():
		why = ctx.Err()
	case <-enough:
		why = ErrBusy
	}
	if b.turns.leave(c) {
		return nil, answer{err: fmt.Errorf("sqlstore: begin: %w", why)}
	}
	select { // it came at the same moment
	case g := <-c.turn:
		return g, answer{}
	case a := <-c.answer:
		return nil, a
	}
}

// work runs a change in its group, and waits for what becomes of it. It is undone unless
// it ends well and in time, also when it panics.
func (c *caller) work(ctx context.Context, g *group, do func(g *group) error) (a answer, err error) {
	went := outcome{errBrokeOff, true}
	defer func() {
		c.worked <- went
		a = <-c.answer
	}()
	if err = ctx.Err(); err == nil {
		err = do(g)
	}
	if err == nil {
		err = ctx.Err()
	}
	went = outcome{err, err != nil && ctx.Err() != nil}
	return answer{}, err
}

// serve gives everybody who waits a turn, until nobody does.
func (b *base) serve() {
	for b.turns.more() {
		b.together()
	}
}

// together runs one transaction with those who wait when it has begun.
func (b *base) together() {
	early := b.turns.present()
	g, a := b.begun()
	if g == nil {
		b.turns.turnAway(early, a)
		return
	}
	for range min(len(b.turns.present()), groupMost) {
		if err := b.savepoint(g); err != nil {
			g.lose(err)
			return
		}
		c := b.turns.next(g)
		if c == nil {
			break
		}
		c.turn <- g
		if on := b.settle(g, c, <-c.worked); !on {
			return
		}
	}
	b.commit(g)
}

// limited is how long a step may take that is nobody's own.
func (b *base) limited() (context.Context, context.CancelFunc) {
	if b.patience == 0 {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), b.patience)
}

// begun waits for the connection that writes, and begins a transaction.
func (b *base) begun() (*group, answer) {
	ctx, cancel := b.limited()
	defer cancel()
	conn, err := b.write.Conn(ctx)
	if errors.Is(err, context.DeadlineExceeded) && classifyPostgres(err) == nil {
		err = ErrBusy
	}
	if err != nil {
		return nil, answer{err: fmt.Errorf("sqlstore: begin: %w", err)}
	}
	tx, err := b.begin(ctx, conn)
	if err != nil {
		_ = conn.Close()
		return nil, answer{undone(err), fmt.Errorf("sqlstore: begin: %w", err)}
	}
	return &group{tx: tx, conn: conn}, answer{}
}

// undone reports whether an error says that nothing of a transaction was written, and
// that another one may succeed.
func undone(err error) bool { return conflicted(err) || disconnected(err) }

// savepoint has a group's savepoint stand behind all that is kept. Where nothing is, the
// whole transaction is undone instead.
func (b *base) savepoint(g *group) error {
	if len(g.kept) == 0 || g.mark == freshMark {
		return nil
	}
	move := "SAVEPOINT one"
	if g.mark == oldMark {
		move = "RELEASE SAVEPOINT one; SAVEPOINT one"
	}
	if err := b.exec(g, move); err != nil {
		return err
	}
	g.mark = freshMark
	return nil
}

func (b *base) exec(g *group, statement string) error {
	ctx, cancel := b.limited()
	defer cancel()
	_, err := g.tx.ExecContext(ctx, statement)
	return err
}

// settle keeps a change that went well, and undoes another. on says that the transaction
// goes on.
func (b *base) settle(g *group, c *caller, went outcome) (on bool) {
	mine := g.mine
	g.mine = nil
	if went.err == nil {
		g.kept = append(g.kept, c)
		if g.mark == freshMark {
			g.mark = oldMark
		}
		if mine != nil {
			g.heads = mine.keptIn(g.heads)
		}
		return true
	}
	its := answer{again: !went.over && undone(went.err)}
	if len(g.kept) == 0 {
		g.rollback()
		c.answer <- its
		return false
	}
	// An engine may have undone everything.
	if undone(went.err) || b.exec(g, "ROLLBACK TO SAVEPOINT one") != nil {
		g.lose(errTaken)
		c.answer <- its
		return false
	}
	if went.over {
		c.answer <- its
	} else {
		g.failed = append(g.failed, c)
	}
	return true
}

func (g *group) rollback() {
	_ = g.tx.Rollback()
	_ = g.conn.Close()
}

// lose undoes everything. Each of them tries again.
func (g *group) lose(err error) {
	g.rollback()
	g.tell(answer{true, err})
}

// tell gives everybody the same answer.
func (g *group) tell(a answer) {
	for _, c := range g.kept {
		c.answer <- a
	}
	for _, c := range g.failed {
		c.answer <- a
	}
}

// commit ends a transaction with all that is kept in it, and tells everybody.
func (b *base) commit(g *group) {
	if len(g.kept) == 0 {
		g.rollback() // whoever waited has lost patience
		return
	}
	if g.heads != nil {
		ctx, cancel := b.limited()
		defer cancel()
		if _, err := g.heads.write(ctx, g.tx); err != nil {
			g.rollback()
			g.tell(answer{undone(err), err})
			return
		}
	}
	if err := b.wait(g); err != nil {
		// Whether a commit whose answer was lost has happened, nobody can
		// tell: it must not be tried again here.
		g.tell(answer{conflicted(err), fmt.Errorf("sqlstore: commit: %w", err)})
		return
	}
	if g.heads != nil {
		g.heads.written()
	}
	g.tell(answer{err: b.there()}) // the file may have gone meanwhile, and this commit with it
}

// wait ends a transaction and gives its connection back. Nobody's context ends it: a
// commit that waits for a standby and is cancelled has
// happened, and others see it, without being safe (docs/decisions/0008-postgresql.md).
// Whoever loses patience leaves it to run to its end.
func (b *base) wait(g *group) error {
	ended := make(chan error, 1)
	go func() {
		err := g.tx.Commit()
		_ = g.conn.Close()
		ended <- err
	}()
	var enough <-chan time.Time
	if b.patience != 0 {
		timer := time.NewTimer(b.patience)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case err := <-ended:
		return err
	case <-enough:
		return ErrUnavailable
	}
}

// sharing is work of which one run at a time is enough for everybody who has asked when
// it begins.
type sharing struct {
	mu   sync.Mutex
	next *run       // that has not begun
	one  sync.Mutex // is held while one is under way
}

type run struct {
	ended chan struct{}
	err   error
}

// share returns what came of a run that began after it was called.
func (s *sharing) share(do func() error) error {
	s.mu.Lock()
	mine, first := s.next, s.next == nil
	if first {
		mine = &run{ended: make(chan struct{})}
		s.next = mine
	}
	s.mu.Unlock()
	if !first {
		<-mine.ended
		return mine.err
	}
	s.one.Lock()
	defer s.one.Unlock()
	s.mu.Lock()
	s.next = nil
	s.mu.Unlock()
	defer close(mine.ended)
	mine.err = errBrokeOff
	mine.err = do()
	return mine.err
}
