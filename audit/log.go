package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/time/rate"
)

// batch is how many leaves are read in one call to the Store.
const batch = 4096

// Keys are the keys of a log as they are at a moment: the one that signs may be replaced
// while the log goes on. All have the same name, the log's origin.
type Keys interface {
	// Verifiers are the public halves: that of the key which signs now first, then
	// those that signed before, the newest first. What they signed still binds.
	Verifiers(ctx context.Context) ([]note.Verifier, error)
	// Signers sign each new checkpoint. The first is the key that signs now. Those
	// behind it are former ones that sign beside it for whoever knows no other; one
	// that does not sign any more is left out of a checkpoint.
	Signers(ctx context.Context) ([]note.Signer, error)
}

// OneKey is the Keys of a log whose key is never replaced.
func OneKey(signer note.Signer, verifier note.Verifier) Keys { return oneKey{signer, verifier} }

type oneKey struct {
	signer   note.Signer
	verifier note.Verifier
}

func (k oneKey) Verifiers(context.Context) ([]note.Verifier, error) {
	return []note.Verifier{k.verifier}, nil
}

func (k oneKey) Signers(context.Context) ([]note.Signer, error) { return []note.Signer{k.signer}, nil }

// Config is what a Log is made of. All but Kept is required.
type Config struct {
	Store Store
	Dir   Dir
	Keys  Keys

	// Kept reads the newest checkpoint of this log that was kept outside of Dir
	// and Store; nil when none was. A log that is behind it, or contradicts it, was
	// put back, and has stopped.
	Kept func() ([]byte, error)
}

// Log publishes the entries of a Store. Within one process its calls wait for
// each other. Several processes may publish into one Dir only if it says so
// (ReplaceFile): the slower one then gets ErrOvertaken or ErrSequence.
type Log struct {
	cfg Config

	mu    sync.Mutex
	last  Checkpoint // the newest head this Log knows to be on disk; zero at first
	shown []byte     // the newest head that the Signer was shown

	scrub scrub // has a lock of its own: whoever appends does not wait for a Publish
}

// New checks the configuration and returns a Log. It reads and writes nothing.
func New(cfg Config) (*Log, error) {
	var errs []error
	if cfg.Store == nil {
		errs = append(errs, errors.New("a Store is required"))
	}
	if cfg.Dir == nil {
		errs = append(errs, errors.New("a Dir is required"))
	}
	if cfg.Keys == nil {
		errs = append(errs, errors.New("Keys are required"))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("audit: make the log: %w", errors.Join(errs...))
	}
	return &Log{cfg: cfg, scrub: scrub{window: Window, turns: rate.NewLimiter(turnsASecond, turnsAtOnce)}}, nil
}

// Publish closes a window: it has the next Window leaves given their places, writes the
// tiles of the tree that has them, and last signs and writes the checkpoint. It returns
// the head that is public when it ends.
//
// Before anything is signed, all leaves published so far are read again from
// the Store and from the tiles. Where they differ from each other or from the
// signed root, Publish returns ErrFork or ErrTampered and signs nothing, now
// and until somebody has found out why. This takes time in proportion to the
// log: about half a second for a million leaves, and the time the Store takes
// to read them.
//
// A Publish that was cut off, at whatever point, is completed by the next one, which then
// closes no window of its own: places once given by the Store stay, tiles are written
// before the checkpoint that needs them, and the checkpoint is replaced in one step.
func (l *Log) Publish(ctx context.Context) (Checkpoint, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	head, err := l.head(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	if err := compare(ctx, l.cfg.Dir, head, l.cfg.Store); err != nil {
		l.scrub.suspect(err)
		return Checkpoint{}, err
	}
	if err := l.follows(ctx, head); err != nil {
		return Checkpoint{}, err
	}
	size, err := l.closeWindow(ctx, head)
	if err != nil {
		return Checkpoint{}, err
	}
	grown, err := l.extend(ctx, head, size)
	if err != nil {
		return Checkpoint{}, err
	}
	return l.sign(ctx, grown, head.Signed)
}

// head reads what was promised last. A log that never published has promised
// the empty tree. It cannot be older than what this Log put there, or saw.
func (l *Log) head(ctx context.Context) (Checkpoint, error) {
	if err := l.readKept(ctx); err != nil {
		return Checkpoint{}, err
	}
	l.scrub.mu.Lock()
	defer l.scrub.mu.Unlock()
	return l.scrub.readHead(ctx, l.cfg.Dir, l.verifiers)
}

// follows holds the head against what was kept outside.
func (l *Log) follows(ctx context.Context, head Checkpoint) error {
	l.scrub.mu.Lock()
	defer l.scrub.mu.Unlock()
	return l.scrub.follows(ctx, l.cfg.Dir, head, l.verifiers)
}

// verifiers are the keys whose checkpoints bind this log.
func (l *Log) verifiers(ctx context.Context) ([]note.Verifier, error) {
	keys, err := l.cfg.Keys.Verifiers(ctx)
	if err == nil && len(keys) == 0 {
		err = errors.New("audit: a log without a key")
	}
	if err != nil {
		return nil, fmt.Errorf("find the log's keys: %w", err)
	}
	return keys, nil
}

// closeWindow has the next leaves given their places and returns the new size. It
// comes before the tiles: a place that is only in the tiles would be lost with
// a crash, and given again to another entry.
func (l *Log) closeWindow(ctx context.Context, head Checkpoint) (int64, error) {
	size, err := l.cfg.Store.Size(ctx)
	if err == nil && size == head.Size {
		if err := l.cfg.Store.CloseWindow(ctx, size); err != nil {
			return 0, fmt.Errorf("close a window: %w", err)
		}
		size, err = l.cfg.Store.Size(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("read the size of the log: %w", err)
	}
	if err = l.scrub.grown(head.Size, size); errors.Is(err, errGrown) {
		if now, moved := l.head(ctx); moved == nil && now.Size > head.Size {
			return 0, ErrOvertaken
		}
	}
	return size, err
}

// extend writes the tiles that a tree of size leaves has and the tree of head
// does not, and returns the new head, unsigned.
func (l *Log) extend(ctx context.Context, head Checkpoint, size int64) (Checkpoint, error) {
	if size == head.Size {
		return head, nil
	}
	if size > maxSize {
		return Checkpoint{}, fmt.Errorf("%w: more than %d leaves", ErrSequence, int64(maxSize))
	}
	e, err := readEdge(l.cfg.Dir, head.Size)
	if err != nil {
		return Checkpoint{}, err
	}
	// compare has seen these tiles, but it was another reading of them.
	if e.root() != head.Root {
		return Checkpoint{}, fmt.Errorf("%w: they changed while publishing", ErrTampered)
	}
	for e.size < size {
		if err := ctx.Err(); err != nil {
			return Checkpoint{}, err
		}
		hashes, err := l.cfg.Store.Sequenced(ctx, e.size, int(min(batch, size-e.size)))
		if err != nil {
			return Checkpoint{}, fmt.Errorf("read leaves: %w", err)
		}
		if len(hashes) == 0 {
			return Checkpoint{}, fmt.Errorf("%w: the store has fewer leaves than it says", ErrFork)
		}
		for i := range hashes {
			if err := e.add(tlog.RecordHash(hashes[i][:]), l.write); err != nil {
				return Checkpoint{}, err
			}
		}
	}
	for level := range e.rows {
		if t, data := e.tile(level); t.W > 0 { // empty tiles MUST NOT be served
			if err := l.write(t, data); err != nil {
				return Checkpoint{}, err
			}
		}
	}
	return Checkpoint{Size: size, Root: e.root()}, nil
}

// write writes one tile. A file that is already there was written by a
// Publish that did not come to sign. It must be the same, or else the order in
// the Store has changed since; and it is written again, because nobody knows
// whether it has reached the disk.
func (l *Log) write(t tlog.Tile, data []byte) error {
	old, err := readTile(l.cfg.Dir, t)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !bytes.Equal(old, data):
		return &TileError{tilePath(t), fmt.Errorf("%w: the file holds another tile of the same place", ErrFork)}
	}
	if err := l.cfg.Dir.WriteFile(tilePath(t), data); err != nil {
		return fmt.Errorf("write tile: %w", err)
	}
	return nil
}

// sign signs the head and makes it public. A head that the key which signs now has signed
// already is kept with all its signatures.
func (l *Log) sign(ctx context.Context, head Checkpoint, published []byte) (Checkpoint, error) {
	keys, err := l.verifiers(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	signed := head.Signed
	if _, err := parseCheckpoint(signed, keys[0]); err != nil {
		head.Origin = keys[0].Name()
		if signed, err = l.signAnew(ctx, head, keys); err != nil {
			return Checkpoint{}, fmt.Errorf("sign the checkpoint: %w", err)
		}
	}
	// A keystore can answer with anything; nothing leaves that does not verify.
	c, err := parseCheckpoint(signed, keys[0])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("check the new checkpoint: %w", err)
	}
	if c.Size != head.Size || c.Root != head.Root {
		return Checkpoint{}, fmt.Errorf("%w: it is not the one to be signed", ErrCheckpoint)
	}
	// The first time, the file is written also if it is the same: a process
	// before this one may have been cut off while it reached the disk.
	if bytes.Equal(c.Signed, head.Signed) && bytes.Equal(c.Signed, l.last.Signed) {
		return c, nil
	}
	if err := l.cfg.Dir.ReplaceFile(checkpointPath, published, c.Signed); err != nil {
		return Checkpoint{}, fmt.Errorf("write the checkpoint: %w", err)
	}
	l.last = c
	l.scrub.published(c)
	return c, nil
}

// signAnew signs a checkpoint, one line for each signer (C2SP signed-note,
// "Signatures"): readers pass over those of keys that they do not know.
func (l *Log) signAnew(ctx context.Context, head Checkpoint, keys []note.Verifier) ([]byte, error) {
	signers, err := l.cfg.Keys.Signers(ctx)
	if err != nil {
		return nil, err
	}
	if len(signers) == 0 {
		return nil, errors.New("audit: a log that nobody signs")
	}
	signed, err := l.signWith(signers[0], &note.Note{Text: head.Text()}, head)
	if err != nil {
		return nil, err
	}
	for _, former := range signers[1:] {
		n, err := note.Open(signed, note.VerifierList(keys...))
		if err != nil {
			return nil, err
		}
		if more, err := l.signWith(former, n, head); err == nil {
			signed = more
		}
	}
	return signed, nil
}
