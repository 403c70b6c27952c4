package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// names reports whether err is about the file name.
func names(err error, name string) bool {
	tile := (*TileError)(nil)
	return errors.As(err, &tile) && strings.Contains(", "+tile.Path+", ", ", "+name+", ")
}

// TestVerifySeesTampering is of hostile case 76: whatever is done to a file, Verify
// fails, and names it.
func TestVerifySeesTampering(t *testing.T) {
	_, good, k, _ := publishedAt(t, 5, 300, 600)
	if report, err := Verify(good, k.vkey); err != nil || report.Ahead != 0 {
		t.Fatalf("the log that all others are made from: %+v, %v", report, err)
	}
	cases := 0
	check := func(what, name string, data []byte) {
		t.Helper()
		cases++
		d := good.clone()
		if data == nil {
			delete(d.files, name)
		} else {
			d.files[name].Data = data
		}
		_, err := Verify(d, k.vkey)
		if err == nil {
			t.Errorf("%s in %s: not seen", what, name)
			return
		}
		if strings.HasPrefix(name, "tile/") && (!errors.Is(err, ErrTampered) || !names(err, name)) {
			t.Errorf("%s in %s: got %v, want ErrTampered and its name", what, name, err)
		}
		if name == "checkpoint" && data != nil && !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s in %s: got %v, want ErrCheckpoint", what, name, err)
		}
	}
	for _, name := range good.names() {
		data := good.files[name].Data
		step := 1
		if len(data) > 512 {
			step = 97 // a prime, so that every place in a hash has its turn
		}
		for i := 0; i < len(data); i += step {
			for bit := range 8 {
				if step > 1 && bit != i%8 {
					continue
				}
				changed := bytes.Clone(data)
				changed[i] ^= 1 << bit
				check(fmt.Sprintf("bit %d of byte %d flipped", bit, i), name, changed)
			}
		}
		check("last byte cut off", name, data[:len(data)-1])
		check("half cut off", name, data[:len(data)/2])
		check("everything cut off", name, []byte{})
		check("a byte appended", name, append(bytes.Clone(data), 0))
		check("itself appended", name, append(bytes.Clone(data), data...))
		if _, tile := parseTilePath(name); !tile || !strings.Contains(name, ".p/") || inTree(name, 600) {
			check("removed", name, nil)
		}
	}
	check("another full tile's content", "tile/0/000", good.files["tile/0/001"].Data)
	check("another log's empty file", "checkpoint", []byte("\n\n"))
	t.Logf("%d cases", cases)
	if cases < 3000 {
		t.Errorf("got %d cases, want more than 3000", cases)
	}
}

// inTree reports whether a tree of size leaves has this very tile. Narrower
// ones of earlier trees may be deleted (c2sp.org/tlog-tiles).
func inTree(name string, size int64) bool {
	t, ok := parseTilePath(name)
	return ok && int64(t.W) == min(rowLen(size, t.L)-t.N<<tileHeight, tileWidth)
}

func TestVerifySeesTamperingInALargeLog(t *testing.T) {
	_, good, k, _ := publishedAt(t, 70_000)
	for _, name := range []string{
		"tile/0/000", "tile/0/128", "tile/0/255", "tile/0/256", "tile/0/272", "tile/0/273.p/112",
		"tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1",
	} {
		t.Run(name, func(t *testing.T) {
			d := good.clone()
			d.files[name].Data[0] ^= 0x80
			if _, err := Verify(d, k.vkey); !errors.Is(err, ErrTampered) || !names(err, name) {
				t.Errorf("got %v, want ErrTampered and its name", err)
			}
		})
	}
}

// Names that no tile has are not ours, and tiles ahead of the checkpoint are
// counted.
func TestVerifyOtherFiles(t *testing.T) {
	_, good, k, _ := publishedAt(t, 300)
	for _, name := range []string{
		"tile/0/0", "tile/0/00", "tile/0/x000/001", "tile/00/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/007",
		"tile/8/0/000", "tile/data/000", "tile/entries/000", "tile/-1/000", "tile/64/000", "tile/0/000.tmp", "tile/readme",
		"tile/0/x999/x999/x999/x999/x999/x999/999",
	} {
		t.Run(name, func(t *testing.T) {
			d := good.clone()
			d.files[name] = &fstest.MapFile{Data: make([]byte, tileBytes)}
			if _, err := Verify(d, k.vkey); !errors.Is(err, ErrTampered) || !names(err, name) {
				t.Errorf("got %v, want ErrTampered and its name", err)
			}
		})
	}
	ref := newReference(t, 600)
	ahead := 0
	d := good.clone()
	for _, tile := range tlog.NewTiles(tileHeight, 300, 600) {
		data, err := tlog.ReadTileData(tile, ref)
		if err != nil {
			t.Fatal(err)
		}
		d.files[tilePath(tile)] = &fstest.MapFile{Data: data}
		ahead++
	}
	report, err := Verify(d, k.vkey)
	if err != nil || report.Ahead != ahead || report.Size != 300 {
		t.Errorf("got %+v and %v, want %d tiles ahead of 300 leaves", report, err, ahead)
	}
	d.files["tile/0/001"].Data[5] ^= 1 // within the first 44 hashes, which are signed
	if _, err := Verify(d, k.vkey); !errors.Is(err, ErrTampered) || !names(err, "tile/0/001") {
		t.Errorf("got %v, want ErrTampered and its name", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	_, d, k, _ := publishedAt(t, 3)
	if _, err := Verify(d, newKey(t, "another").vkey); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("another key: got %v, want ErrCheckpoint", err)
	}
	if _, err := Verify(d, "log.network.example+00000000+AAAA"); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("no key: got %v, want ErrCheckpoint", err)
	}
	if _, err := Verify(newDir(), k.vkey); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no files: got %v, want fs.ErrNotExist", err)
	}
}

// A checkpoint that is signed but not in its one form is refused.
func TestParseCheckpointRefuses(t *testing.T) {
	_, _, k, heads := publishedAt(t, 3)
	root := heads[0].Root.String()
	zero := tlog.Hash{}.String()
	for _, c := range []struct{ name, text string }{
		{"another origin", "elsewhere.example\n3\n" + root + "\n"},
		{"no origin", "\n3\n" + root + "\n"},
		{"extension line", origin + "\n3\n" + root + "\nmore\n"},
		{"two lines", origin + "\n3\n"},
		{"empty line", origin + "\n3\n" + root + "\n\n"},
		{"size with zero", origin + "\n03\n" + root + "\n"},
		{"size with sign", origin + "\n+3\n" + root + "\n"},
		{"size negative", origin + "\n-3\n" + root + "\n"},
		{"size in hex", origin + "\n0x3\n" + root + "\n"},
		{"size with space", origin + "\n3 \n" + root + "\n"},
		{"size too large", origin + "\n9223372036854775807\n" + root + "\n"},
		{"size larger", origin + "\n9223372036854775808\n" + root + "\n"},
		{"no leaves, but a root", origin + "\n0\n" + root + "\n"},
		{"root cut short", origin + "\n3\n" + root[:40] + "\n"},
		{"root without padding", origin + "\n3\n" + strings.TrimRight(root, "=") + "\n"},
		{"root with unused bits", origin + "\n3\n" + zero[:42] + "B=\n"},
		{"root in base64url", origin + "\n3\n" + strings.Repeat("_", 42) + "8=\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			signed, err := note.Sign(&note.Note{Text: c.text}, k.signer)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseCheckpoint(signed, k.vkey); !errors.Is(err, ErrCheckpoint) {
				t.Errorf("got %v, want ErrCheckpoint", err)
			}
		})
	}
	long := append(bytes.Clone(heads[0].Signed), bytes.Repeat([]byte("— witness.example AAAAAAAA\n"), 4000)...)
	if _, err := ParseCheckpoint(long, k.vkey); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("long file: got %v, want ErrCheckpoint", err)
	}
	if c, err := ParseCheckpoint(heads[0].Signed, k.vkey); err != nil || c.Root != heads[0].Root || c.Size != 3 {
		t.Errorf("the checkpoint itself: got %+v, %v", c, err)
	}
}

func TestCompare(t *testing.T) {
	s, d, k, _ := publishedAt(t, 300)
	s.append(5) // waiting entries are not the log's yet
	if err := Compare(t.Context(), d, k.vkey, s); err != nil {
		t.Error(err)
	}
	if err := Compare(t.Context(), d, newKey(t, "another").vkey, s); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("another key: got %v, want ErrCheckpoint", err)
	}
	s.hash[s.order[299]] = content(-1)
	if err := Compare(t.Context(), d, k.vkey, s); !errors.Is(err, ErrFork) || !names(err, "tile/0/001.p/44") {
		t.Errorf("a rewritten leaf: got %v, want ErrFork and its tile", err)
	}
}

func TestTilePath(t *testing.T) {
	for _, c := range []struct {
		tile tlog.Tile
		want string
	}{
		{tlog.Tile{H: 8, L: 0, N: 0, W: 256}, "tile/0/000"},
		{tlog.Tile{H: 8, L: 0, N: 0, W: 1}, "tile/0/000.p/1"},
		{tlog.Tile{H: 8, L: 1, N: 999, W: 255}, "tile/1/999.p/255"},
		{tlog.Tile{H: 8, L: 0, N: 1000, W: 256}, "tile/0/x001/000"},
		{tlog.Tile{H: 8, L: 3, N: 1234067, W: 8}, "tile/3/x001/x234/067.p/8"}, // the specification's own
		{tlog.Tile{H: 8, L: 63, N: maxSize, W: 256}, "tile/63/x001/x099/x511/x627/776"},
	} {
		if got := tilePath(c.tile); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.tile, got, c.want)
		}
		if got, ok := parseTilePath(c.want); !ok || got != c.tile {
			t.Errorf("%s: got %+v and %v, want %+v", c.want, got, ok, c.tile)
		}
	}
}

func FuzzVerify(f *testing.F) {
	s, good, k, _ := publishedAt(f, 5, 300)
	all := good.names()
	for i, name := range all {
		f.Add(uint8(i), good.files[name].Data)
		f.Add(uint8(i), []byte{})
	}
	f.Fuzz(func(t *testing.T, i uint8, data []byte) {
		name := all[int(i)%len(all)]
		d := good.clone()
		same := bytes.Equal(d.files[name].Data, data)
		d.files[name].Data = data
		_, err := Verify(d, k.vkey)
		// The one change that may pass is a line by a witness, below the log's.
		if cosigned := name == "checkpoint" && bytes.HasPrefix(data, good.files[name].Data); (err == nil) != same && !cosigned {
			t.Fatalf("%s: same is %v, and Verify says %v", name, same, err)
		}
		// With one full tile every look sees all that is signed. What it does not
		// see are tiles of earlier trees.
		earlier := name == "tile/0/000.p/5"
		if stops := newLog(t, s, d, k).MayAppend(t.Context(), s); (stops == nil) != (err == nil) && !earlier || stops != nil && !errors.Is(stops, ErrStopped) {
			t.Fatalf("%s: Verify says %v, and MayAppend %v", name, err, stops)
		}
	})
}

func FuzzParseCheckpoint(f *testing.F) {
	_, _, k, heads := publishedAt(f, 3)
	f.Add(string(heads[0].Signed))
	f.Add(heads[0].Text())
	f.Add(origin + "\n0\n" + emptyRoot.String() + "\n")
	f.Add("\n\n— \n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseCheckpoint([]byte(text), k.vkey); err == nil && c.Text() != heads[0].Text() {
			t.Fatalf("a checkpoint that was never signed: %q", c.Text())
		}
		signed, err := note.Sign(&note.Note{Text: text}, k.signer)
		if err != nil {
			return
		}
		if c, err := ParseCheckpoint(signed, k.vkey); err == nil && c.Text() != text {
			t.Fatalf("got %q from %q", c.Text(), text)
		}
	})
}

// TestTiles: the names of a log's tiles are those that were published for it.
func TestTiles(t *testing.T) {
	for _, size := range []int{1, 255, 256, 257, 600, 70_000} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			_, d, _, heads := publishedAt(t, size)
			var want, got []string
			for name := range d.files {
				if inTree(name, int64(size)) {
					want = append(want, name)
				}
			}
			got = slices.Collect(Tiles(int64(size)))
			if len(got) > 1 && got[len(got)-1] != "tile/0/000" {
				t.Errorf("the last is %s", got[len(got)-1])
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got %d tiles, want %d", len(got), len(want))
			}
			if n, err := CheckpointSize(heads[0].Signed); err != nil || n != int64(size) {
				t.Errorf("the checkpoint is of %d leaves, %v", n, err)
			}
		})
	}
	if got := slices.Collect(Tiles(0)); len(got) != 0 {
		t.Errorf("an empty log has %q", got)
	}
	for _, signed := range []string{"", "log\n", "log\n-1\n", "log\n01\n", "log\n1", "log\n1\n"} {
		if n, err := CheckpointSize([]byte(signed)); (err == nil) != (n == 1) || err != nil && !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%q: got %d, %v", signed, n, err)
		}
	}
}

func FuzzTilePath(f *testing.F) {
	f.Add("tile/0/000")
	f.Add("tile/3/x001/x234/067.p/8")
	f.Add("tile/data/000")
	f.Fuzz(func(t *testing.T, path string) {
		if tile, ok := parseTilePath(path); ok && tilePath(tile) != path {
			t.Fatalf("got %s from %s", tilePath(tile), path)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	_, d, k, _ := publishedAt(b, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(d, k.vkey); err != nil {
			b.Fatal(err)
		}
	}
}
