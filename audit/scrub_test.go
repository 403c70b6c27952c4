package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/time/rate"
)

// TestMayAppendRefuses is hostile case 95: as long as the log is spoilt nothing is appended, by
// whoever has seen it before or has not, and when it is mended all goes on.
func TestMayAppendRefuses(t *testing.T) {
	for _, c := range damages(t) {
		t.Run(c.name, func(t *testing.T) {
			s, d, k := newStore(), newDir(), newKey(t, "log")
			l := newLog(t, s, d, k)
			s.append(300)
			heads := []Checkpoint{publish(t, l)}
			s.append(300)
			heads = append(heads, publish(t, l))
			s.append(300)
			hash, order, files := maps.Clone(s.hash), slices.Clone(s.order), d.clone().files
			if err := l.MayAppend(t.Context(), s); err != nil {
				t.Fatal(err)
			}

			c.spoil(t, s, d, heads)
			fresh := newLog(t, s, d, k)
			look := func(name string, l *Log) {
				t.Helper()
				for range 2 { // it may be the last one's turn
					_ = l.MayAppend(t.Context(), s)
				}
				for range 3 { // refusing once must not make it better
					err := l.MayAppend(t.Context(), s)
					if !errors.Is(err, ErrStopped) || !errors.Is(err, c.want) && !errors.Is(err, ErrFork) && !errors.Is(err, ErrTampered) {
						t.Fatalf("%s: got %v, want %v", name, err, c.want)
					}
					if _, err := l.Check(t.Context()); !errors.Is(err, ErrStopped) {
						t.Errorf("%s, asked how it is: got %v, want ErrStopped", name, err)
					}
				}
			}
			if c.name != "a tile ahead of the checkpoint holds something else" && c.name != "a tile ahead of the checkpoint is cut short" {
				look("who has seen it", l) // a process that publishes wrote what lies ahead by itself
			}
			if !c.forgotten {
				look("a new process", fresh)
			}

			s.hash, s.order, d.files = hash, order, files
			for name, l := range map[string]*Log{"who has seen it": l, "a new process": fresh} {
				if err := l.MayAppend(t.Context(), s); err != nil {
					t.Errorf("%s, mended: %v", name, err)
				}
			}
			if head := publish(t, l); head.Size != 900 {
				t.Errorf("mended: %d leaves are published, want 900", head.Size)
			}
		})
	}
}

// TestMayAppendAfterACut: a publication that was cut off, wherever that was, is
// no damage.
func TestMayAppendAfterACut(t *testing.T) {
	cut := errors.New("cut off")
	for n := 1; ; n++ {
		s, d, k, _ := publishedAt(t, 300)
		s.append(600)
		count := 0
		d.before = func(string) error {
			if count++; count == n {
				return cut
			}
			return nil
		}
		l := newLog(t, s, d, k)
		_, err := l.Publish(t.Context())
		d.before = nil
		for name, l := range map[string]*Log{"the same process": l, "another": newLog(t, s, d, k)} {
			if err := l.MayAppend(t.Context(), s); err != nil {
				t.Errorf("write %d, %s: %v", n, name, err)
			}
		}
		if err == nil {
			return
		}
		// What was numbered is lost, and its tiles are there.
		if lost := slices.Clone(s.order[:300]); n > 2 {
			s.order = lost
			if err := newLog(t, s, d, k).MayAppend(t.Context(), s); !errors.Is(err, ErrStopped) {
				t.Errorf("write %d, places lost: got %v, want ErrStopped", n, err)
			}
		}
	}
}

// TestMayAppendBeforeTheFirstWindow: a log that has published nothing takes
// entries.
func TestMayAppendBeforeTheFirstWindow(t *testing.T) {
	s, d, k := newStore(), newDir(), newKey(t, "log")
	l := newLog(t, s, d, k)
	for _, n := range []int{0, 5} {
		s.append(n)
		if err := l.MayAppend(t.Context(), s); err != nil {
			t.Errorf("%d waiting: %v", n, err)
		}
	}
}

// TestScrubInTurn: damage anywhere in a large log is found after as many looks as
// it takes to go round, and from then on each time; a Publish that comes across it
// sooner tells where it is.
func TestScrubInTurn(t *testing.T) {
	const size = 70_000 // 273 full tiles below one full tile and an edge
	s, d, k, _ := publishedAt(t, size)
	const rounds = 273/scrubOnAppend + 1
	for _, c := range []struct {
		name  string
		spoil func(*memStore, *memDir)
		path  string
	}{
		{"a tile", func(_ *memStore, d *memDir) { d.files["tile/0/200"].Data[5] ^= 1 }, "tile/0/200"},
		{"a tile above", func(_ *memStore, d *memDir) { d.files["tile/1/000"].Data[5] ^= 1 }, "tile/1/000"},
		{"a tile is gone", func(_ *memStore, d *memDir) { delete(d.files, "tile/0/271") }, "tile/0/271"},
		{"a tile cannot be read", func(_ *memStore, d *memDir) { d.files["tile/0/100"] = &fstest.MapFile{Mode: fs.ModeDir} }, "tile/0/100"},
		{"an entry", func(s *memStore, _ *memDir) { s.hash[s.order[60_000]] = content(-1) }, "tile/0/234"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &memStore{hash: maps.Clone(s.hash), order: slices.Clone(s.order)}
			d := d.clone()
			l, publisher := newLog(t, s, d, k), newLog(t, s, d, k)
			if err := l.MayAppend(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			c.spoil(s, d)
			l.scrub.turns.SetLimit(rate.Inf) // nobody waits here
			looks := 0
			for ; looks <= rounds; looks++ {
				if err := l.MayAppend(t.Context(), s); err != nil {
					break
				}
			}
			if looks > rounds {
				t.Fatalf("not found in %d looks", looks)
			}
			if _, err := publisher.Publish(t.Context()); err == nil {
				t.Error("it was published")
			}
			for name, l := range map[string]*Log{"who found it": l, "who published": publisher} {
				for range 2 {
					err := l.MayAppend(t.Context(), s)
					damage, ok := errors.AsType[*TileError](err)
					if !errors.Is(err, ErrStopped) || !ok || damage.Path != c.path {
						t.Errorf("%s: got %v, want ErrStopped with %s", name, err, c.path)
					}
				}
			}
		})
	}
}

// unreadable is a store that does not answer.
type unreadable struct{ *memStore }

var errAway = errors.New("the database is away")

func (unreadable) Size(context.Context) (int64, error) { return 0, errAway }

// TestMayAppendStoreAway: a store that does not answer says nothing about the log.
func TestMayAppendStoreAway(t *testing.T) {
	s, d, k, _ := publishedAt(t, 300)
	err := newLog(t, s, d, k).MayAppend(t.Context(), unreadable{s})
	if !errors.Is(err, errAway) || errors.Is(err, ErrStopped) {
		t.Errorf("got %v, want the store's own error", err)
	}
}

// TestMayAppendDuringPublish: whoever appends does not wait for a publication,
// and whatever it sees of one is no damage.
func TestMayAppendDuringPublish(t *testing.T) {
	s, d, k, _ := publishedAt(t, 300)
	s.append(700)
	l := newLog(t, s, d, k)
	looks := 0
	d.after = func(name string) error {
		looks++
		if err := l.MayAppend(t.Context(), s); err != nil {
			return fmt.Errorf("after %s: %w", name, err)
		}
		return nil
	}
	head := publish(t, l)
	if looks < 5 || head.Size != 1000 || !bytes.Equal(head.Signed, d.files["checkpoint"].Data) {
		t.Errorf("%d looks while %d leaves were published", looks, head.Size)
	}
}

// BenchmarkMayAppend is what every appended entry costs, without the store.
func BenchmarkMayAppend(b *testing.B) {
	s, d, k, _ := publishedAt(b, 70_000)
	l := newLog(b, s, d, k)
	for b.Loop() {
		if err := l.MayAppend(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
}

// TestKept: a log goes on only from what was kept outside of it.
func TestKept(t *testing.T) {
	s, d, k, heads := publishedAt(t, 300, 600, 900)
	signed, err := note.Sign(&note.Note{Text: Checkpoint{Origin: heads[0].Origin, Size: 600, Root: heads[0].Root}.Text()}, k.signer)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		kept []byte
		err  error
		upTo int // how much of the log is there
		want error
	}{
		{"nothing", nil, nil, 2, nil},
		{"the newest", heads[2].Signed, nil, 2, nil},
		{"an older one", heads[0].Signed, nil, 2, nil},
		{"one of another tree", signed, nil, 2, ErrFork},
		{"one of another tree and as large", signed, nil, 1, ErrFork},
		{"a newer one", heads[2].Signed, nil, 1, ErrFork},
		{"a newer one than nothing", heads[0].Signed, nil, -1, ErrFork},
		{"one that nobody signed", []byte("log.network.example\n5\n"), nil, 2, ErrCheckpoint},
		{"one that nobody can read", nil, fs.ErrPermission, 2, fs.ErrPermission},
	} {
		t.Run(c.name, func(t *testing.T) {
			here := d.clone()
			delete(here.files, checkpointPath)
			if c.upTo >= 0 {
				here.files[checkpointPath] = &fstest.MapFile{Data: heads[c.upTo].Signed}
			}
			before := here.clone()
			kept := func() ([]byte, error) { return c.kept, c.err }
			l := anySize(t, Config{Store: s, Dir: here, Keys: OneKey(k.signer, k.verifier), Kept: kept})
			for range 2 { // refusing once must not make it better
				appending := l.MayAppend(t.Context(), s)
				_, checking := l.Check(t.Context())
				for _, err := range []error{appending, checking} {
					if c.want == nil && err != nil || c.want != nil && (!errors.Is(err, ErrStopped) || !errors.Is(err, c.want)) {
						t.Errorf("got %v, want %v", err, c.want)
					}
				}
				if _, err := l.Publish(t.Context()); c.want == nil && err != nil || !errors.Is(err, c.want) {
					t.Errorf("publish: got %v, want %v", err, c.want)
				}
			}
			same := func(a, b *fstest.MapFile) bool { return bytes.Equal(a.Data, b.Data) }
			if c.want != nil && !maps.EqualFunc(here.files, before.files, same) {
				t.Error("something was published")
			}
		})
	}
}

// TestScrubHasLimits: where very many append, not each of them has a tile looked at; but
// what was found stops everybody.
func TestScrubHasLimits(t *testing.T) {
	s, d, k, _ := publishedAt(t, 3*tileWidth)
	l := newLog(t, s, d, k)
	l.scrub.turns = rate.NewLimiter(0, 2)
	for range 4 {
		if err := l.MayAppend(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if l.scrub.next != 2 {
		t.Errorf("%d tiles had their turn, want 2", l.scrub.next)
	}
	l.scrub.turns = rate.NewLimiter(0, 1)
	s.hash[s.order[2*tileWidth]] = content(-1)
	for range 3 {
		if err := l.MayAppend(t.Context(), s); !errors.Is(err, ErrStopped) {
			t.Errorf("got %v, want ErrStopped", err)
		}
	}
}
