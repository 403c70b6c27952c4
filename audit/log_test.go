package audit

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The files must be those that tlog itself computes, whether a tree was
// published at once or grew there.
func TestPublish(t *testing.T) {
	const largest = 70_000
	ref := newReference(t, largest)
	for _, sizes := range [][]int{
		{0}, {1}, {2}, {255}, {256}, {257}, {largest},
		{0, 1, 255, 256, 257, 300, 511, 512, 513, 65_535, 65_536, 65_537, largest},
	} {
		_, d, k, heads := publishedAt(t, sizes...)
		size := sizes[len(sizes)-1]
		for i, head := range heads {
			if head.Origin != origin || head.Size != int64(sizes[i]) || head.Root != ref.root(t, sizes[i]) {
				t.Errorf("%v: got the head %s, %d, %v, want %s, %d, %v",
					sizes, head.Origin, head.Size, head.Root, origin, sizes[i], ref.root(t, sizes[i]))
			}
		}
		var want []string
		for i, older := range sizes {
			before := 0
			if i > 0 {
				before = sizes[i-1]
			}
			for _, tile := range tlog.NewTiles(tileHeight, int64(before), int64(older)) {
				data, err := tlog.ReadTileData(tile, ref)
				if err != nil {
					t.Fatal(err)
				}
				file := d.files[tilePath(tile)]
				if file == nil || !bytes.Equal(file.Data, data) {
					t.Errorf("%v: tile %s is missing or wrong", sizes, tilePath(tile))
				}
				want = append(want, tilePath(tile))
			}
		}
		want = append(want, "checkpoint")
		slices.Sort(want)
		// Beyond those that are new since the last tree there may be tiles that
		// did not change; NewTiles does not name them, and they were written before.
		if got := d.names(); !slices.Equal(got, slices.Compact(want)) {
			t.Errorf("%v: got %d files, want %d", sizes, len(got), len(slices.Compact(want)))
		}
		report, err := Verify(d, k.vkey)
		if err != nil {
			t.Fatalf("%v: %v", sizes, err)
		}
		if want := (Report{Origin: origin, Size: int64(size), Root: ref.root(t, size)}); report != want {
			t.Errorf("%v: got %+v, want %+v", sizes, report, want)
		}
	}
}

// c2sp.org/tlog-tiles "Partial Tiles" counts the tiles of 70,000 leaves.
func TestTilesOfTheSpecification(t *testing.T) {
	_, d, _, _ := publishedAt(t, 70_000)
	full := make(map[int]int)
	var partial []string
	for _, name := range d.names() {
		if tile, ok := parseTilePath(name); ok && tile.W == tileWidth {
			full[tile.L]++
		} else if ok {
			partial = append(partial, name)
		}
	}
	if full[0] != 273 || full[1] != 1 || len(full) != 2 {
		t.Errorf("got full tiles %v, want 273 of level 0 and one of level 1", full)
	}
	if want := []string{"tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"}; !slices.Equal(partial, want) {
		t.Errorf("got partial tiles %v, want %v", partial, want)
	}
}

func TestPublishNothingNew(t *testing.T) {
	s, d, k, heads := publishedAt(t, 300)
	l := newLog(t, s, d, k)
	first := publish(t, l) // a new process writes the checkpoint again, and only it
	if want := []string{"checkpoint"}; !slices.Equal(d.writes[len(d.writes)-1:], want) {
		t.Errorf("got last write %v, want %v", d.writes[len(d.writes)-1:], want)
	}
	writes := len(d.writes)
	second := publish(t, l)
	if len(d.writes) != writes {
		t.Errorf("nothing was new, and %v were written", d.writes[writes:])
	}
	for _, c := range []Checkpoint{first, second} {
		if !bytes.Equal(c.Signed, heads[0].Signed) {
			t.Errorf("got another checkpoint for the same tree:\n%s", c.Signed)
		}
	}
}

// A log that was cut off at any write, before or after it reached the disk,
// or between numbering and writing, is completed by the next Publish.
func TestPublishCompletesWhatWasCutOff(t *testing.T) {
	cut := errors.New("cut off")
	ref := newReference(t, 900)
	for _, when := range []string{"before", "after"} {
		for n := 0; ; n++ {
			s, d, k, heads := publishedAt(t, 300)
			s.append(600)
			count := 0
			fail := func(string) error {
				if count++; count == n+1 {
					return cut
				}
				return nil
			}
			if when == "before" {
				d.before = fail
			} else {
				d.after = fail
			}
			_, err := newLog(t, s, d, k).Publish(t.Context())
			d.before, d.after = nil, nil
			if err == nil {
				if n < 5 { // 2 full tiles of leaves, 2 partial tiles, the checkpoint
					t.Errorf("%s: only %d writes were cut off", when, n)
				}
				break
			}
			if !errors.Is(err, cut) {
				t.Fatalf("%s write %d: %v", when, n, err)
			}
			// Whatever strangers see at this moment holds.
			report, err := Verify(d, k.vkey)
			if err != nil {
				t.Fatalf("%s write %d: after the cut: %v", when, n, err)
			}
			if report.Size != 300 && report.Size != 900 {
				t.Errorf("%s write %d: got %d leaves in public", when, n, report.Size)
			}
			s.append(1) // life went on before the next time
			if head := publish(t, newLog(t, s, d, k)); head.Size != 900 && report.Size == 300 {
				t.Errorf("%s write %d: got %d leaves, want the 900 of the window that was cut off", when, n, head.Size)
			}
			head := publish(t, newLog(t, s, d, k))
			if head.Size != 901 {
				t.Errorf("%s write %d: got %d leaves, want 901", when, n, head.Size)
			}
			proof, err := ProveConsistency(d, k.vkey, 900)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckConsistency(Checkpoint{Origin: origin, Size: 900, Root: ref.root(t, 900)}, head, proof); err != nil {
				t.Errorf("%s write %d: the leaves changed places: %v", when, n, err)
			}
			if proof, err = ProveConsistency(d, k.vkey, 300); err != nil {
				t.Fatal(err)
			}
			if err := CheckConsistency(heads[0], head, proof); err != nil {
				t.Errorf("%s write %d: %v", when, n, err)
			}
			if _, err := Verify(d, k.vkey); err != nil {
				t.Errorf("%s write %d: %v", when, n, err)
			}
		}
	}

	t.Run("after numbering", func(t *testing.T) {
		s, d, k, _ := publishedAt(t, 300)
		s.append(600)
		s.after = func() error { return cut }
		if _, err := newLog(t, s, d, k).Publish(t.Context()); !errors.Is(err, cut) {
			t.Fatalf("got %v, want the cut", err)
		}
		s.after = nil
		if head := publish(t, newLog(t, s, d, k)); head.Size != 900 || head.Root != ref.root(t, 900) {
			t.Errorf("got %d leaves with the root %v", head.Size, head.Root)
		}
	})
	t.Run("the same process goes on", func(t *testing.T) {
		s, d, k, _ := publishedAt(t, 300)
		l := newLog(t, s, d, k)
		s.append(600)
		d.after = func(name string) error {
			if name == "checkpoint" {
				return cut
			}
			return nil
		}
		if _, err := l.Publish(t.Context()); !errors.Is(err, cut) {
			t.Fatalf("got %v, want the cut", err)
		}
		d.after = nil
		writes := len(d.writes)
		if head := publish(t, l); head.Size != 900 || head.Root != ref.root(t, 900) {
			t.Errorf("got %d leaves with the root %v", head.Size, head.Root)
		}
		// Nobody knows whether the checkpoint had reached the disk.
		if got := d.writes[writes:]; !slices.Equal(got, []string{"checkpoint"}) {
			t.Errorf("got the writes %v, want the checkpoint once more", got)
		}
	})
}

// The checkpoint comes last: nobody can see it without its tiles.
func TestPublishOrder(t *testing.T) {
	s, d, k, _ := publishedAt(t, 300)
	s.append(70_000)
	writes := len(d.writes)
	publish(t, newLog(t, s, d, k))
	if i := slices.Index(d.writes[writes:], "checkpoint"); i != len(d.writes)-writes-1 {
		t.Errorf("the checkpoint was write %d of %d", i+1, len(d.writes)-writes)
	}
}

// damage is one way in which a log of three windows can be spoilt, the third of
// which is not published yet.
type damage struct {
	name  string
	spoil func(t *testing.T, s *memStore, d *memDir, heads []Checkpoint)
	want  error
	file  string // that the error must name
	// forgotten says that only a process can tell which has seen the log before.
	forgotten bool
}

func damages(t *testing.T) []damage {
	other := newKey(t, "another")
	return []damage{
		{"a leaf was rewritten in the store", func(_ *testing.T, s *memStore, _ *memDir, _ []Checkpoint) {
			s.hash[s.order[258]] = content(-1)
		}, ErrFork, "tile/0/001", false},
		{"the newest leaf was rewritten", func(_ *testing.T, s *memStore, _ *memDir, _ []Checkpoint) {
			s.hash[s.order[599]] = content(-1)
		}, ErrFork, "tile/0/002.p/88", false},
		{"two leaves changed places", func(_ *testing.T, s *memStore, _ *memDir, _ []Checkpoint) {
			s.order[3], s.order[4] = s.order[4], s.order[3]
		}, ErrFork, "tile/0/000", false},
		{"the store lost a leaf", func(_ *testing.T, s *memStore, _ *memDir, _ []Checkpoint) {
			s.order = s.order[:599]
		}, ErrFork, "", false},
		{"the store lost all", func(_ *testing.T, s *memStore, _ *memDir, _ []Checkpoint) {
			s.order = nil
		}, ErrFork, "", false},
		{"a leaf tile was changed", func(_ *testing.T, _ *memStore, d *memDir, _ []Checkpoint) {
			d.files["tile/0/000"].Data[77] ^= 1
		}, ErrTampered, "tile/0/000", false},
		{"a leaf tile is gone", func(_ *testing.T, _ *memStore, d *memDir, _ []Checkpoint) {
			delete(d.files, "tile/0/001")
		}, ErrTampered, "tile/0/001", false},
		{"the top was changed", func(_ *testing.T, _ *memStore, d *memDir, _ []Checkpoint) {
			d.files["tile/1/000.p/2"].Data[0] ^= 1
		}, ErrTampered, "tile/1/000.p/2", false},
		{"leaf and tile were changed alike", func(_ *testing.T, s *memStore, d *memDir, _ []Checkpoint) {
			s.hash[s.order[0]] = content(-1)
			c := content(-1)
			h := tlog.RecordHash(c[:])
			copy(d.files["tile/0/000"].Data, h[:])
		}, ErrTampered, "tile/0/000", false},
		{"the checkpoint is another key's", func(t *testing.T, _ *memStore, d *memDir, heads []Checkpoint) {
			signed, err := note.Sign(&note.Note{Text: heads[1].Text()}, other.signer)
			if err != nil {
				t.Fatal(err)
			}
			d.files["checkpoint"].Data = signed
		}, ErrCheckpoint, "", false},
		{"the checkpoint is cut short", func(_ *testing.T, _ *memStore, d *memDir, _ []Checkpoint) {
			d.files["checkpoint"].Data = d.files["checkpoint"].Data[:40]
		}, ErrCheckpoint, "", false},
		{"an older checkpoint was put back", func(_ *testing.T, _ *memStore, d *memDir, heads []Checkpoint) {
			d.files["checkpoint"].Data = heads[0].Signed
		}, ErrFork, "", true},
		{"the checkpoint is gone", func(_ *testing.T, _ *memStore, d *memDir, _ []Checkpoint) {
			delete(d.files, "checkpoint")
		}, ErrFork, "", true},
		{"a tile ahead of the checkpoint holds something else", func(_ *testing.T, _ *memStore, d *memDir, _ []Checkpoint) {
			_ = d.WriteFile("tile/0/002", make([]byte, tileBytes))
		}, ErrFork, "tile/0/002", false},
		{"a tile ahead of the checkpoint is cut short", func(_ *testing.T, _ *memStore, d *memDir, _ []Checkpoint) {
			_ = d.WriteFile("tile/0/002", make([]byte, 100))
		}, ErrTampered, "tile/0/002", false},
	}
}

func TestPublishRefuses(t *testing.T) {
	for _, c := range damages(t) {
		t.Run(c.name, func(t *testing.T) {
			s, d, k := newStore(), newDir(), newKey(t, "log")
			signs := &countingSigner{Signer: k.signer}
			l := newLog(t, s, d, key{signs, k.verifier, k.vkey})
			s.append(300)
			heads := []Checkpoint{publish(t, l)}
			s.append(300)
			heads = append(heads, publish(t, l))
			s.append(300)

			c.spoil(t, s, d, heads)
			before := signs.n
			for range 2 { // refusing once must not make it better
				_, err := l.Publish(t.Context())
				if !errors.Is(err, c.want) {
					t.Fatalf("got %v, want %v", err, c.want)
				}
				if tile := (*TileError)(nil); c.file != "" && (!errors.As(err, &tile) || !slices.Contains(strings.Split(tile.Path, ", "), c.file)) {
					t.Errorf("got %v, want the name of %s", err, c.file)
				}
			}
			if signs.n != before {
				t.Errorf("%d signatures were made", signs.n-before)
			}
		})
	}
}

// A leaf that is numbered but not published yet may still be wrong in the
// store when it is read; then what was written of it before shows it.
func TestPublishSeesAnotherOrder(t *testing.T) {
	s, d, k, _ := publishedAt(t, 300)
	s.append(300)
	d.before = func(name string) error {
		if name == "checkpoint" {
			return errors.New("cut off")
		}
		return nil
	}
	if _, err := newLog(t, s, d, k).Publish(t.Context()); err == nil {
		t.Fatal("nothing was cut off")
	}
	d.before = nil
	s.order[310], s.order[311] = s.order[311], s.order[310]
	if _, err := newLog(t, s, d, k).Publish(t.Context()); !errors.Is(err, ErrFork) {
		t.Errorf("got %v, want ErrFork", err)
	}
}

// brokenStore answers about its leaves in a way that does not fit together.
type brokenStore struct {
	*memStore
	size  int64
	short int // Sequenced leaves out so many
}

func (s *brokenStore) Size(context.Context) (int64, error) { return s.size, nil }

func (s *brokenStore) Sequenced(ctx context.Context, first int64, n int) ([][32]byte, error) {
	hashes, err := s.memStore.Sequenced(ctx, first, n)
	return hashes[:max(0, len(hashes)-s.short)], err
}

// Either sign of a lost leaf is enough, also where the other one is missing.
func TestPublishWithABrokenStore(t *testing.T) {
	s, d, k, _ := publishedAt(t, 300)
	for name, broken := range map[string]*brokenStore{
		"says it has fewer":       {s, 299, 0},
		"reads fewer":             {s, 300, 1},
		"says it has more":        {s, 301, 0},
		"says it has one batch":   {s, 300 + batch, 0},
		"has none and says so":    {newStore(), 0, 0},
		"has none and says other": {newStore(), 301, 0},
	} {
		if _, err := newLog(t, broken, d, k).Publish(t.Context()); !errors.Is(err, ErrFork) {
			t.Errorf("%s: got %v, want ErrFork", name, err)
		}
	}
	if head := publish(t, newLog(t, s, d, k)); head.Size != 300 {
		t.Errorf("afterwards: got %d leaves, want 300", head.Size)
	}
}

// countingSigner counts signatures, and may answer with something else.
type countingSigner struct {
	note.Signer
	n      int
	answer func(sig []byte) []byte
	err    error
}

func (s *countingSigner) Sign(msg []byte) ([]byte, error) {
	s.n++
	if s.err != nil {
		return nil, s.err
	}
	sig, err := s.Signer.Sign(msg)
	if s.answer != nil {
		sig = s.answer(sig)
	}
	return sig, err
}

// A signature that does not verify is not published.
func TestPublishChecksItsSignature(t *testing.T) {
	k := newKey(t, "log")
	for name, answer := range map[string]func([]byte) []byte{
		"garbage":           func([]byte) []byte { return make([]byte, 64) },
		"nothing":           func([]byte) []byte { return nil },
		"another request's": func([]byte) []byte { sig, _ := k.signer.Sign([]byte("another\n")); return sig },
	} {
		s, d := newStore(), newDir()
		s.append(3)
		l := newLog(t, s, d, key{&countingSigner{Signer: k.signer, answer: answer}, k.verifier, k.vkey})
		if _, err := l.Publish(t.Context()); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: got %v, want ErrCheckpoint", name, err)
		}
		if _, err := d.files.Open("checkpoint"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a checkpoint was written", name)
		}
	}
}

// ring are the keys of a log whose key is replaced: the newest first. They sign as long
// as they have a signer.
type ring []key

func (r *ring) Verifiers(context.Context) (all []note.Verifier, err error) {
	for _, k := range *r {
		all = append(all, k.verifier)
	}
	return all, nil
}

func (r *ring) Signers(context.Context) (all []note.Signer, err error) {
	for _, k := range *r {
		if k.signer != nil {
			all = append(all, k.signer)
		}
	}
	return all, nil
}

// TestKeyIsReplaced is hostile case 77: while a log goes on its key is replaced. The new one signs, the one
// before beside it as long as it can; both checkpoints are of one history; and what the
// old one signs alone afterwards is not believed.
func TestKeyIsReplaced(t *testing.T) {
	s, d, old, heads := publishedAt(t, 300)
	next := newKey(t, "next")
	if _, err := newLog(t, s, d, next).Publish(t.Context()); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("a key that never signed here: got %v, want ErrCheckpoint", err)
	}
	keys := &ring{old}
	var kept []byte
	open := func() *Log {
		return anySize(t, Config{Store: s, Dir: d, Keys: keys, Kept: func() ([]byte, error) { return kept, nil }})
	}
	l := open()
	publish(t, l)
	*keys = ring{next, old}
	if err := l.MayAppend(t.Context(), s); err != nil { // a crash may come before the first that it signs
		t.Error(err)
	}
	head := publish(t, l) // with no new leaf
	if head.Size != 300 || head.Root != heads[0].Root || bytes.Equal(head.Signed, heads[0].Signed) {
		t.Errorf("got %d leaves, root %v", head.Size, head.Root)
	}
	s.append(200)
	head = publish(t, l)
	for name, vkey := range map[string]string{"new": next.vkey, "old": old.vkey} {
		if _, err := Verify(d, vkey); err != nil {
			t.Errorf("the %s key: %v", name, err)
		}
		p, err := ProveConsistency(d, vkey, heads[0].Size)
		if err != nil {
			t.Fatal(err)
		}
		newer, err := ParseCheckpoint(head.Signed, vkey)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckConsistency(heads[0], newer, p); err != nil {
			t.Errorf("the %s key: %v", name, err)
		}
	}

	// The old one signs no more.
	refuses := &countingSigner{Signer: old.signer, err: errors.New("no such key")}
	*keys = ring{next, {signer: refuses, verifier: old.verifier}}
	s.append(1)
	kept = publish(t, l).Signed
	if _, err := Verify(d, next.vkey); err != nil {
		t.Error(err)
	}
	if _, err := Verify(d, old.vkey); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("the old key: got %v, want ErrCheckpoint", err)
	}

	// Whoever has the old one writes a head of his own, of this very tree: neither the
	// log that goes on nor one that is opened anew takes it.
	alone, err := note.Sign(&note.Note{Text: head.Text()}, old.signer)
	if err != nil {
		t.Fatal(err)
	}
	same, err := ParseCheckpoint(kept, next.vkey)
	if err != nil {
		t.Fatal(err)
	}
	ofNow, err := note.Sign(&note.Note{Text: same.Text()}, old.signer)
	if err != nil {
		t.Fatal(err)
	}
	for name, stolen := range map[string][]byte{"shorter": alone, "the same tree": ofNow} {
		d.files[checkpointPath].Data = stolen
		for _, l := range []*Log{l, open()} {
			if err := l.MayAppend(t.Context(), s); !errors.Is(err, ErrStopped) || !errors.Is(err, ErrFork) {
				t.Errorf("%s: got %v, want ErrFork", name, err)
			}
			if _, err := l.Publish(t.Context()); !errors.Is(err, ErrFork) {
				t.Errorf("%s: publish: got %v, want ErrFork", name, err)
			}
		}
	}
	d.files[checkpointPath].Data = kept
	if _, err := l.Publish(t.Context()); err != nil {
		t.Error(err)
	}
}

// Signatures that others added to the file are kept while the tree is the
// same.
func TestCosignaturesStay(t *testing.T) {
	s, d, k, heads := publishedAt(t, 3)
	skey, wkey, err := note.GenerateKey(nil, "witness.example")
	if err != nil {
		t.Fatal(err)
	}
	witness, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(heads[0].Signed, note.VerifierList(k.verifier))
	if err != nil {
		t.Fatal(err)
	}
	cosigned, err := note.Sign(n, witness)
	if err != nil {
		t.Fatal(err)
	}
	d.files["checkpoint"].Data = cosigned
	head := publish(t, newLog(t, s, d, k))
	if !bytes.Equal(head.Signed, cosigned) || !bytes.Equal(d.files["checkpoint"].Data, cosigned) {
		t.Errorf("got\n%s\nwant\n%s", head.Signed, cosigned)
	}
	// A witness is not the log.
	if _, err := ParseCheckpoint(cosigned, wkey); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("got %v, want ErrCheckpoint", err)
	}
}

func TestPublishStopsWithItsContext(t *testing.T) {
	s, d, k, _ := publishedAt(t, 300)
	s.append(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newLog(t, s, d, k).Publish(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := New(Config{})
	for _, want := range []string{"a Store is", "a Dir is", "Keys are"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// TestPublishNeedsItsKeys: a keystore that does not answer is no fault of the log, and
// one that gives another key publishes nothing.
func TestPublishNeedsItsKeys(t *testing.T) {
	s, d, k, heads := publishedAt(t, 3)
	s.append(1)
	other := newKey(t, "another")
	for name, keys := range map[string]Keys{
		"none":      &ring{},
		"two keys":  OneKey(other.signer, k.verifier),
		"away":      awayKeys{},
		"no signer": &ring{{verifier: k.verifier}},
	} {
		l := anySize(t, Config{Store: s, Dir: d, Keys: keys})
		if _, err := l.Publish(t.Context()); err == nil {
			t.Errorf("%s: published", name)
		}
		if err := l.MayAppend(t.Context(), s); errors.Is(err, ErrStopped) {
			t.Errorf("%s: stopped: %v", name, err)
		}
		if !bytes.Equal(d.files[checkpointPath].Data, heads[0].Signed) {
			t.Fatalf("%s: another checkpoint", name)
		}
	}
}

type awayKeys struct{}

func (awayKeys) Verifiers(context.Context) ([]note.Verifier, error) { return nil, errAway }
func (awayKeys) Signers(context.Context) ([]note.Signer, error)     { return nil, errAway }

func BenchmarkPublish(b *testing.B) {
	s, d, k, _ := publishedAt(b, 1<<20)
	l := newLog(b, s, d, k)
	for b.Loop() {
		s.append(100)
		publish(b, l)
	}
}
