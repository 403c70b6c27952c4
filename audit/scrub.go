package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/time/rate"
)

// How many full tiles are looked at each time, so that whoever appends waits for
// a moment, and whoever asks how the log is for a few. A damaged file far from the
// edge is found when its turn comes: in a log of a million leaves with the 64th
// question at the latest, and at once in one of sixteen thousand. Nobody who
// appends waits for more than a part of a question.
const (
	scrubOnAppend = 1
	scrubOnCheck  = 8 // eight times over
	scrubParts    = 8

	// Where hundreds append in a second, tile after tile would cost as much as all else,
	// and say nothing that those of a moment ago have not: so many a second have their
	// turn, once so many have had it one behind the other.
	turnsASecond = 50
	turnsAtOnce  = 64
)

// scrub remembers what was looked at. It holds no verdict: a tile that was found
// damaged is looked at again the next time, until it is mended.
type scrub struct {
	window int64 // by how much the log grows each time; 0 in tests of trees of any size

	mu    sync.Mutex
	head  Checkpoint // the newest one that was read, its signature checked
	ahead []byte     // the signed form of the head whose tiles ahead were looked at
	next  int64      // the full tile of level 0 whose turn it is
	wrong bool       // it was not as it should be the last time
	turns *rate.Limiter

	asked bool       // whether Kept was read
	read  []byte     // what it gave the last time
	kept  Checkpoint // the newest one that it gave
	under []byte     // the signed form of the head that was found to follow kept
}

// MayAppend looks whether an entry can be appended now: what was published and
// what the Store has as published hold together. leaves are the Store's, as the
// transaction sees them that is about to append. Nothing that has to be logged
// may be done after an error.
//
// Each time, the newest checkpoint is read, the Store must have its leaves, the
// tiles of the right edge must give its root, and the Store's newest leaves those
// tiles. One of the full tiles follows, in turn, held against the
// tiles above it and against the Store, fifty a second of them where more append; with a
// head that is new to this process, the newest one, too. What was kept outside (Config.Kept) is
// read by the first call, by Check and by Publish, and held against the head by
// all of them.
//
// Narrower tiles of earlier trees are left to Verify: the signed tree needs none of
// them, and what nobody needs must not stop a log.
//
// The error is ErrStopped around its cause, or the Store's own.
func (l *Log) MayAppend(ctx context.Context, leaves Leaves) error {
	_, err := l.inspect(ctx, leaves, scrubOnAppend)
	return err
}

// Check looks as MayAppend does, at more tiles, and returns the newest head.
func (l *Log) Check(ctx context.Context) (head Checkpoint, err error) {
	if err := l.readKept(ctx); err != nil {
		return Checkpoint{}, stopped(err)
	}
	for part := range scrubParts {
		if part > 0 && int64(part*scrubOnCheck) >= rowLen(head.Size, 1) {
			break // all of them have had their turn
		}
		if head, err = l.inspect(ctx, l.cfg.Store, scrubOnCheck); err != nil {
			return Checkpoint{}, err
		}
	}
	return head, nil
}

func (l *Log) inspect(ctx context.Context, leaves Leaves, tiles int) (Checkpoint, error) {
	l.scrub.mu.Lock()
	asked := l.scrub.asked
	l.scrub.mu.Unlock()
	if !asked {
		if err := l.readKept(ctx); err != nil {
			return Checkpoint{}, stopped(err)
		}
	}
	l.scrub.mu.Lock()
	defer l.scrub.mu.Unlock()
	head, err := l.scrub.readHead(ctx, l.cfg.Dir, l.verifiers)
	for err == nil {
		if err = l.scrub.look(ctx, l.cfg.Dir, leaves, head, tiles); !errors.Is(err, errGrown) {
			break
		}
		now, moved := l.scrub.readHead(ctx, l.cfg.Dir, l.verifiers)
		if moved != nil || now.Size == head.Size {
			break
		}
		head, err = now, nil
	}
	if err == nil {
		err = l.scrub.follows(ctx, l.cfg.Dir, head, l.verifiers)
	}
	return head, stopped(err)
}

// readKept reads what was kept outside. It comes before the head is read: another
// process may publish between the two, and keeps what it has published. One that
// was seen stays seen when its file has gone.
func (l *Log) readKept(ctx context.Context) error {
	if l.cfg.Kept == nil {
		return nil
	}
	signed, err := l.cfg.Kept()
	if err != nil {
		return fmt.Errorf("%w: %w", errReadKept, err)
	}
	l.scrub.mu.Lock()
	defer l.scrub.mu.Unlock()
	if len(signed) == 0 || bytes.Equal(signed, l.scrub.read) {
		l.scrub.asked = true
		return nil
	}
	keys, err := l.verifiers(ctx)
	if err != nil {
		return err
	}
	kept, err := parseCheckpoint(signed, keys...)
	if err != nil {
		return fmt.Errorf("%w: %w", errReadKept, err)
	}
	l.scrub.asked, l.scrub.read = true, signed
	if kept.Size >= l.scrub.kept.Size {
		l.scrub.kept, l.scrub.under = kept, nil
	}
	return nil
}

// find finds the keys whose checkpoints bind a log.
type find func(ctx context.Context) ([]note.Verifier, error)

// follows holds the head against what was kept outside: the log has all of those
// leaves, and they gave that root.
func (s *scrub) follows(ctx context.Context, dir fs.FS, head Checkpoint, find find) error {
	if s.kept.Size == 0 || s.under != nil && bytes.Equal(s.under, head.Signed) {
		return nil
	}
	if head.Size < s.kept.Size {
		return fmt.Errorf("%w: %d leaves are published here, and a checkpoint of %d was kept outside", ErrFork, head.Size, s.kept.Size)
	}
	root := head.Root
	if head.Size > s.kept.Size {
		var err error
		if root, err = tlog.TreeHash(s.kept.Size, hashesOf(dir, head)); err != nil {
			return tampered(err)
		}
	}
	if root != s.kept.Root {
		return fmt.Errorf("%w: the checkpoint that was kept outside is of another tree", ErrFork)
	}
	keys, err := find(ctx)
	if err != nil {
		return err
	}
	if replaced(head, s.kept, keys) {
		return fmt.Errorf("%w: it is signed with a key that was replaced before the one was signed which was kept outside", ErrFork)
	}
	s.under = head.Signed
	return nil
}

// stopped marks what is wrong with the log.
func stopped(err error) error {
	if unsound(err) {
		return fmt.Errorf("%w: %w", ErrStopped, err)
	}
	return err
}

// unsound tells what is wrong with the log from what keeps a store from saying.
func unsound(err error) bool {
	tile, _ := errors.AsType[*TileError](err)
	return tile != nil || errors.Is(err, ErrFork) || errors.Is(err, ErrTampered) || errors.Is(err, ErrCheckpoint) || errors.Is(err, errReadHead) || errors.Is(err, errReadKept)
}

// Why a checkpoint's file says nothing.
var (
	errReadHead = errors.New("audit: the checkpoint cannot be read")
	errReadKept = errors.New("audit: the checkpoint that was kept outside says nothing of this log")
)

// readHead reads the newest checkpoint. Its signature is checked when it is
// another one than the last time.
func (s *scrub) readHead(ctx context.Context, dir fs.FS, find find) (Checkpoint, error) {
	signed, err := readFile(dir, checkpointPath, maxCheckpoint)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.head.Signed == nil:
		return Checkpoint{Root: emptyRoot}, nil // nothing was published yet
	case errors.Is(err, fs.ErrNotExist):
		return Checkpoint{}, fmt.Errorf("%w: the checkpoint is gone", ErrFork)
	case err != nil:
		return Checkpoint{}, fmt.Errorf("%w: %w", errReadHead, err)
	case bytes.Equal(signed, s.head.Signed):
		return s.head, nil
	}
	keys, err := find(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	head, err := parseCheckpoint(signed, keys...)
	if err != nil {
		return Checkpoint{}, err
	}
	if s.head.Signed != nil && replaced(head, s.head, keys) {
		return Checkpoint{}, fmt.Errorf("%w: the checkpoint file is signed with a key that was replaced before", ErrFork)
	}
	if head.Size < s.head.Size || head.Size == s.head.Size && s.head.Signed != nil && head.Root != s.head.Root {
		return Checkpoint{}, fmt.Errorf("%w: the checkpoint file went back behind one that was there", ErrFork)
	}
	s.head = head
	return head, nil
}

// published tells of a head that is public now.
func (s *scrub) published(c Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head = c
}

// look holds files and leaves against each other. The files are read first: what
// they say has had its place in the Store before.
func (s *scrub) look(ctx context.Context, dir fs.FS, leaves Leaves, head Checkpoint, tiles int) error {
	e, err := readEdge(dir, head.Size)
	if err != nil {
		return err
	}
	if e.root() != head.Root {
		return e.tampered()
	}
	var ahead []aheadTile
	again := s.ahead == nil || !bytes.Equal(s.ahead, head.Signed)
	if again {
		if ahead, err = readAhead(dir, head.Size); err != nil {
			return err
		}
	}
	size, err := leaves.Size(ctx)
	if err != nil {
		return fmt.Errorf("read the size of the log: %w", err)
	}
	if err := s.grown(head.Size, size); err != nil {
		return err
	}
	if newest := rowLen(head.Size, 1) - 1; again && newest >= 0 {
		if err := s.one(ctx, dir, e, leaves, newest); err != nil {
			return err
		}
	}
	if len(e.rows) > 0 {
		t, data := e.tile(0)
		if err := compareTile(ctx, t, data, leaves); err != nil {
			return err
		}
	}
	for _, a := range ahead {
		if err := compareTile(ctx, a.tile, a.data, leaves); err != nil {
			return err
		}
	}
	s.ahead = append(make([]byte, 0, len(head.Signed)), head.Signed...)
	if tiles == scrubOnAppend && !s.wrong && !s.turns.Allow() {
		return nil
	}
	err = s.inTurn(ctx, dir, e, leaves, tiles)
	s.wrong = err != nil
	return err
}

// inTurn looks at the full tiles whose turn it is. One that is wrong keeps its
// turn.
func (s *scrub) inTurn(ctx context.Context, dir fs.FS, e *edge, leaves Leaves, tiles int) error {
	full := rowLen(e.size, 1)
	for range min(int64(tiles), full) {
		if s.next >= full {
			s.next = 0
		}
		if err := s.one(ctx, dir, e, leaves, s.next); err != nil {
			return err
		}
		s.next++
	}
	return nil
}

// one looks at full tile n of level 0.
func (s *scrub) one(ctx context.Context, dir fs.FS, e *edge, leaves Leaves, n int64) error {
	data, err := readUnder(dir, e, n)
	if err != nil {
		return err
	}
	return compareTile(ctx, tlog.Tile{H: tileHeight, N: n, W: tileWidth}, data, leaves)
}

// errGrown is the ErrFork of a store that has more leaves than a head allows. Where another
// process has published since that head was read, it is none.
var errGrown = fmt.Errorf("%w: the store has more leaves than are published", ErrFork)

// grown tells whether a store can have so many leaves where a head is published: at most
// one window is closed before it is published. A log that begins anew brings those of
// before.
func (s *scrub) grown(published, size int64) error {
	switch more := size - published; {
	case more < 0:
		return fmt.Errorf("%w: %d leaves are published, the store has %d", ErrFork, published, size)
	case s.window > 0 && more != 0 && more != s.window && (published > 0 || more%s.window != 0):
		return fmt.Errorf("%w: %d, and a window has %d", errGrown, more, s.window)
	}
	return nil
}

// suspect gives the tile that an error is about the next turn.
func (s *scrub) suspect(err error) {
	damage, ok := errors.AsType[*TileError](err)
	if !ok {
		return
	}
	if t, ok := parseTilePath(damage.Path); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.next, s.wrong = t.N<<(tileHeight*t.L), true
	}
}

// readUnder reads full tile n of level 0 and holds it against the tiles above it,
// from the right edge down, which is known to be as signed.
func readUnder(dir fs.FS, e *edge, n int64) ([]byte, error) {
	way := []tlog.Tile{{H: tileHeight, N: n, W: tileWidth}}
	for {
		above := tlog.Tile{H: tileHeight, L: way[0].L + 1, N: way[0].N >> tileHeight, W: tileWidth}
		if edge, _ := e.tile(above.L); above.N == edge.N {
			break
		}
		way = append([]tlog.Tile{above}, way...)
	}
	_, above := e.tile(way[0].L + 1)
	for _, t := range way {
		data, err := readTile(dir, t)
		if err != nil {
			return nil, err
		}
		if subtree(data) != hashAt(above, int(t.N%tileWidth)) {
			return nil, &TileError{tilePath(t), fmt.Errorf("%w: it is not what the tile above was made from", ErrTampered)}
		}
		above = data
	}
	return above, nil
}

// Remembers is a Leaves that does not read everything anew each time.
type Remembers interface {
	// Forget has it read everything anew.
	Forget()
}

// compareTile holds the leaves of a tile of level 0 against the Store's.
func compareTile(ctx context.Context, t tlog.Tile, data []byte, leaves Leaves) error {
	err := compareLeaves(ctx, t, data, leaves)
	if r, ok := leaves.(Remembers); ok && unsound(err) {
		r.Forget()
		err = compareLeaves(ctx, t, data, leaves)
	}
	return err
}

func compareLeaves(ctx context.Context, t tlog.Tile, data []byte, leaves Leaves) error {
	if t.W == 0 {
		return nil
	}
	first := t.N << tileHeight
	hashes, err := leaves.Sequenced(ctx, first, t.W)
	switch {
	case errors.Is(err, ErrFork):
		return &TileError{tilePath(t), err}
	case err != nil:
		return fmt.Errorf("read leaves: %w", err)
	case len(hashes) != t.W:
		return &TileError{tilePath(t), fmt.Errorf("%w: the store has lost some of its leaves", ErrFork)}
	}
	for i := range hashes {
		if tlog.RecordHash(hashes[i][:]) != hashAt(data, i) {
			return &TileError{tilePath(t), fmt.Errorf("%w: leaf %d was rewritten in the store", ErrFork, first+int64(i))}
		}
	}
	return nil
}

// aheadTile is a tile of level 0 that a publication wrote which did not come to
// its checkpoint.
type aheadTile struct {
	tile tlog.Tile
	data []byte
}

// readAhead reads the tiles of level 0 that reach beyond a tree of size leaves.
// The next publication will want to write them as they are; where it could not,
// entries that had their places are gone.
func readAhead(dir fs.FS, size int64) ([]aheadTile, error) {
	var found []aheadTile
	for n := rowLen(size, 1); ; n++ {
		widths, err := widthsOf(dir, n)
		if err != nil || len(widths) == 0 {
			return found, err
		}
		for _, w := range widths {
			if n == rowLen(size, 1) && int64(w) <= size%tileWidth {
				continue // of an earlier tree
			}
			t := tlog.Tile{H: tileHeight, N: n, W: w}
			data, err := readTile(dir, t)
			if err != nil {
				return nil, err
			}
			found = append(found, aheadTile{t, data})
		}
	}
}

// widthsOf lists the widths in which tile n of level 0 lies in the folder.
func widthsOf(dir fs.FS, n int64) ([]int, error) {
	var widths []int
	narrow := path.Dir(tilePath(tlog.Tile{H: tileHeight, N: n, W: 1}))
	entries, err := fs.ReadDir(dir, narrow)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &TileError{narrow, err}
	}
	for _, e := range entries {
		if w, err := strconv.Atoi(e.Name()); err == nil && w > 0 && w < tileWidth {
			widths = append(widths, w)
		}
	}
	full := tilePath(tlog.Tile{H: tileHeight, N: n, W: tileWidth})
	switch _, err := fs.Stat(dir, full); {
	case err == nil:
		widths = append(widths, tileWidth)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, &TileError{full, err}
	}
	return widths, nil
}
