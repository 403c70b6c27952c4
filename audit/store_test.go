package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// memStore is a Store in memory.
type memStore struct {
	hash    map[string][32]byte
	order   []string // ids by leaf number
	waiting []string

	// after runs when CloseWindow has done its work, as a crash might.
	after func() error
}

func newStore() *memStore { return &memStore{hash: make(map[string][32]byte)} }

// append adds n entries whose content follows from their number.
func (s *memStore) append(n int) {
	for range n {
		i := len(s.order) + len(s.waiting)
		id := hex.EncodeToString(binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i)))
		s.hash[id] = content(i)
		s.waiting = append(s.waiting, id)
	}
}

// content is the i-th leaf's content in every test.
func content(i int) [32]byte {
	return Note{Kind: "test", Body: binary.BigEndian.AppendUint64(nil, uint64(i))}.Hash()
}

func (s *memStore) Size(context.Context) (int64, error) { return int64(len(s.order)), nil }

func (s *memStore) Sequenced(_ context.Context, first int64, n int) ([][32]byte, error) {
	var hashes [][32]byte
	for i := first; i < int64(len(s.order)) && len(hashes) < n; i++ {
		hashes = append(hashes, s.hash[s.order[i]])
	}
	return hashes, nil
}

func (s *memStore) Waiting(context.Context) (int64, error) { return int64(len(s.waiting)), nil }

// CloseWindow gives all that wait their places, in order, and fills nothing: trees of any
// size come of it.
func (s *memStore) CloseWindow(_ context.Context, first int64) error {
	if first != int64(len(s.order)) {
		return ErrSequence
	}
	s.order = append(s.order, s.waiting...)
	s.waiting = nil
	if s.after != nil {
		return s.after()
	}
	return nil
}

// memDir is a Dir in memory. Its files can be listed.
type memDir struct {
	files  fstest.MapFS
	writes []string

	before, after func(name string) error // may refuse a write, or report one that was made as failed
}

func newDir() *memDir { return &memDir{files: make(fstest.MapFS)} }

func (d *memDir) Open(name string) (fs.File, error) { return d.files.Open(name) }

func (d *memDir) WriteFile(name string, data []byte) error {
	if d.before != nil {
		if err := d.before(name); err != nil {
			return err
		}
	}
	d.files[name] = &fstest.MapFile{Data: bytes.Clone(data), Mode: 0o600}
	d.writes = append(d.writes, name)
	if d.after != nil {
		return d.after(name)
	}
	return nil
}

func (d *memDir) ReplaceFile(name string, old, data []byte) error {
	var stands []byte
	if f := d.files[name]; f != nil {
		stands = f.Data
	}
	if !bytes.Equal(stands, old) {
		return ErrOvertaken
	}
	return d.WriteFile(name, data)
}

// clone copies the files, so that a test may spoil them.
func (d *memDir) clone() *memDir {
	c := newDir()
	for name, file := range d.files {
		c.files[name] = &fstest.MapFile{Data: bytes.Clone(file.Data), Mode: file.Mode}
	}
	return c
}

func (d *memDir) names() []string { return slices.Sorted(maps.Keys(d.files)) }

// key is a signing key that is the same each time for one seed.
type key struct {
	signer   note.Signer
	verifier note.Verifier
	vkey     string
}

const origin = "log.network.example"

func newKey(tb testing.TB, seed string) key {
	tb.Helper()
	random := bytes.NewReader(append([]byte(seed), make([]byte, 64)...))
	skey, vkey, err := note.GenerateKey(io.LimitReader(random, 64), origin)
	if err != nil {
		tb.Fatal(err)
	}
	k := key{vkey: vkey}
	if k.signer, err = note.NewSigner(skey); err != nil {
		tb.Fatal(err)
	}
	if k.verifier, err = note.NewVerifier(vkey); err != nil {
		tb.Fatal(err)
	}
	return k
}

func newLog(tb testing.TB, s Store, d Dir, k key) *Log {
	tb.Helper()
	return anySize(tb, Config{Store: s, Dir: d, Keys: OneKey(k.signer, k.verifier)})
}

// anySize is a log that grows by what its store has.
func anySize(tb testing.TB, cfg Config) *Log {
	tb.Helper()
	l, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	l.scrub.window = 0
	return l
}

func publish(tb testing.TB, l *Log) Checkpoint {
	tb.Helper()
	c, err := l.Publish(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// published makes a log that was published at each of the sizes.
func publishedAt(tb testing.TB, sizes ...int) (*memStore, *memDir, key, []Checkpoint) {
	tb.Helper()
	s, d, k := newStore(), newDir(), newKey(tb, "log")
	l := newLog(tb, s, d, k)
	var heads []Checkpoint
	for _, size := range sizes {
		s.append(size - len(s.order))
		heads = append(heads, publish(tb, l))
	}
	return s, d, k, heads
}

// reference builds the same tree with tlog alone, from the rules of RFC 6962.
type reference []tlog.Hash

func newReference(tb testing.TB, size int) reference {
	tb.Helper()
	var r reference
	for i := range size {
		c := content(i)
		hashes, err := tlog.StoredHashes(int64(i), c[:], r)
		if err != nil {
			tb.Fatal(err)
		}
		r = append(r, hashes...)
	}
	return r
}

func (r reference) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(r)) {
			return nil, errors.New("beyond the tree")
		}
		hashes[i] = r[index]
	}
	return hashes, nil
}

func (r reference) root(tb testing.TB, size int) tlog.Hash {
	tb.Helper()
	root, err := tlog.TreeHash(int64(size), r)
	if err != nil {
		tb.Fatal(err)
	}
	return root
}
