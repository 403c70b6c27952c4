package statuslist_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// deflate compresses data with zlib and encodes it as lst.
func deflate(t testing.TB, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

// write writes n zeros and closes w.
func write(t testing.TB, w io.WriteCloser, n int) {
	t.Helper()
	if _, err := w.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSetGet(t *testing.T) {
	for _, bits := range []int{1, 2, 4, 8} {
		t.Run(fmt.Sprint(bits, " bits"), func(t *testing.T) {
			const entries = 1 << 10
			l, err := statuslist.New(bits, entries)
			if err != nil {
				t.Fatal(err)
			}
			if l.Len() != entries || l.Bits() != bits {
				t.Fatalf("got %d entries of %d bits, want %d of %d", l.Len(), l.Bits(), entries, bits)
			}
			// What was set last must be read, and nothing beside it change.
			want := make([]uint8, entries)
			random := rand.New(rand.NewPCG(1, uint64(bits)))
			for range 4 * entries {
				i, status := random.IntN(entries), uint8(random.IntN(1<<bits))
				want[i] = status
				if err := l.Set(i, status); err != nil {
					t.Fatal(err)
				}
			}
			lst, err := l.Encode()
			if err != nil {
				t.Fatal(err)
			}
			again, err := statuslist.Decode(bits, lst, entries)
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				for name, list := range map[string]*statuslist.List{"list": l, "decoded list": again} {
					if got, err := list.Get(i); err != nil || got != want[i] {
						t.Fatalf("%s, entry %d: got %d and %v, want %d", name, i, got, err, want[i])
					}
				}
			}
			if bits < 8 {
				if err := l.Set(0, 1<<bits); !errors.Is(err, statuslist.ErrStatus) {
					t.Errorf("a value of %d bits: got %v, want ErrStatus", bits+1, err)
				}
			}
		})
	}
}

// §8.3: an index beyond the list
// is no answer, and above all not Valid.
func TestIndexOutOfRange(t *testing.T) {
	l, err := statuslist.New(2, 64)
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string]*statuslist.List{"64 entries": l, "zero list": {}} {
		for _, i := range []int{-1, list.Len(), list.Len() + 1, 1 << 31, -1 << 40} {
			status, err := list.Get(i)
			if !errors.Is(err, statuslist.ErrIndex) || status == statuslist.Valid {
				t.Errorf("%s, Get(%d): got %d and %v, want ErrIndex and no status in use", name, i, status, err)
			}
			if err := list.Set(i, 1); !errors.Is(err, statuslist.ErrIndex) {
				t.Errorf("%s, Set(%d): got %v, want ErrIndex", name, i, err)
			}
		}
	}
	if _, err := new(statuslist.List).Encode(); !errors.Is(err, statuslist.ErrShape) {
		t.Errorf("encode the zero list: got %v, want ErrShape", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct{ bits, entries int }{
		{0, 8}, {3, 8}, {5, 8}, {16, 8}, {-1, 8}, {1 << 32, 8},
		{1, 0}, {1, -8}, {1, 7}, {2, 12}, {8, 1<<26 + 8},
	} {
		t.Run(fmt.Sprintf("%d bits, %d entries", c.bits, c.entries), func(t *testing.T) {
			if _, err := statuslist.New(c.bits, c.entries); !errors.Is(err, statuslist.ErrShape) {
				t.Errorf("New(%d, %d): got %v, want ErrShape", c.bits, c.entries, err)
			}
			if _, err := statuslist.Decode(c.bits, "eNrbuRgAAhcBXQ", c.entries); !errors.Is(err, statuslist.ErrShape) {
				t.Errorf("Decode(%d, …, %d): got %v, want ErrShape", c.bits, c.entries, err)
			}
		})
	}
}

// §4.1: the bits of a byte are counted from the lowest.
func TestBitOrder(t *testing.T) {
	l, err := statuslist.New(2, 16)
	if err != nil {
		t.Fatal(err)
	}
	for i, status := range []uint8{1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3} {
		if err := l.Set(i, status); err != nil {
			t.Fatal(err)
		}
	}
	lst, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := inflated(t, lst), []byte{0xc9, 0x44, 0xf9, 0}; !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func inflated(t testing.TB, lst string) []byte {
	t.Helper()
	deflated, err := base64.RawURLEncoding.DecodeString(lst)
	if err != nil {
		t.Fatal(err)
	}
	r, err := zlib.NewReader(bytes.NewReader(deflated))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDecodeRefuses(t *testing.T) {
	const entries = 1 << 10 // 256 bytes at two bits
	good := deflate(t, make([]byte, 256))
	goodBytes, _ := base64.RawURLEncoding.DecodeString(good)
	encode := base64.RawURLEncoding.EncodeToString
	edited := func(i int, x byte) string {
		b := bytes.Clone(goodBytes)
		b[(i+len(b))%len(b)] ^= x
		return encode(b)
	}
	var raw bytes.Buffer
	w, _ := flate.NewWriter(&raw, flate.BestCompression)
	write(t, w, 256)
	var preset bytes.Buffer
	zw, _ := zlib.NewWriterLevelDict(&preset, zlib.BestCompression, make([]byte, 32))
	write(t, zw, 256)

	if l, err := statuslist.Decode(2, good, entries); err != nil || l.Len() != entries {
		t.Fatalf("the list that all others are made from: %v", err)
	}
	if l, err := statuslist.Decode(2, deflate(t, make([]byte, 255)), entries); err != nil || l.Len() != entries-4 {
		t.Fatalf("a shorter list: %v", err)
	}
	for _, c := range []struct {
		name, lst string
		want      error
	}{
		{"empty", "", statuslist.ErrList},
		{"padding", good + "==", statuslist.ErrList},
		{"line break", good[:4] + "\n" + good[4:], statuslist.ErrList},
		{"carriage return", good[:4] + "\r" + good[4:], statuslist.ErrList},
		{"space", good + " ", statuslist.ErrList},
		{"standard alphabet", "+/" + good, statuslist.ErrList},
		{"trailing bits", "eNrbuRgAAhcBXR", statuslist.ErrList}, // ends in Q when canonical
		{"raw deflate", encode(raw.Bytes()), statuslist.ErrList},
		{"preset dictionary", encode(preset.Bytes()), statuslist.ErrList},
		{"gzip header", encode([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}), statuslist.ErrList},
		{"truncated", encode(goodBytes[:len(goodBytes)-5]), statuslist.ErrList},
		{"checksum cut short", encode(goodBytes[:len(goodBytes)-1]), statuslist.ErrList},
		{"checksum wrong", edited(-1, 1), statuslist.ErrList},
		{"method wrong", edited(0, 1), statuslist.ErrList},
		{"bytes after", encode(append(bytes.Clone(goodBytes), 0)), statuslist.ErrList},
		{"another stream after", encode(append(bytes.Clone(goodBytes), goodBytes...)), statuslist.ErrList},
		{"no entries", deflate(t, nil), statuslist.ErrList},
		{"one byte more", deflate(t, make([]byte, 257)), statuslist.ErrTooLarge},
		{"twice as much", deflate(t, make([]byte, 512)), statuslist.ErrTooLarge},
		{"bomb", deflate(t, make([]byte, 256<<10)), statuslist.ErrTooLarge}, // its text is short enough
		{"long text", strings.Repeat("A", 1<<20), statuslist.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := statuslist.Decode(2, c.lst, entries); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// A list that inflates to a gibibyte of zeros is refused one byte above what
// is allowed. It is as small as DEFLATE makes it, a thousandth, so the entries
// allowed here are as many as it takes to let its text pass.
func TestBombIsNotInflated(t *testing.T) {
	// Once the window holds nothing but zeros, every mebibyte of them is
	// compressed to the same bytes, which are then repeated.
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, zlib.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	mebibyte := func() []byte {
		b.Reset()
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(b.Bytes())
	}
	bomb := append(mebibyte(), bytes.Repeat(mebibyte(), 1<<10)...)
	lst := base64.RawURLEncoding.EncodeToString(bomb)
	const entries = 1 << 26 // 8 MiB at one bit
	got := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := statuslist.Decode(1, lst, entries); !errors.Is(err, statuslist.ErrTooLarge) {
				b.Fatalf("got %v, want ErrTooLarge", err)
			}
		}
	})
	if bytes := got.AllocedBytesPerOp(); bytes > 20<<20 {
		t.Errorf("a bomb of %d bytes took %d bytes of memory", len(bomb), bytes)
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	l, err := statuslist.New(2, statuslist.Entries)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		_, _ = l.Get(i)
		_, _ = l.Get(-1)
		_ = l.Set(i, statuslist.Suspended)
		i = (i + 7919) % statuslist.Entries
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(uint8(1), "eNrbuRgAAhcBXQ")
	f.Add(uint8(2), "eNo76fITAAPfAgc")
	f.Add(uint8(8), deflate(f, make([]byte, 1<<12)))
	f.Add(uint8(4), deflate(f, make([]byte, 1<<12+1)))
	f.Add(uint8(3), "")
	f.Fuzz(func(t *testing.T, bits uint8, lst string) {
		const entries = 1 << 12
		l, err := statuslist.Decode(int(bits), lst, entries)
		if err != nil {
			return
		}
		if l.Len() == 0 || l.Len() > entries || l.Bits() != int(bits) {
			t.Fatalf("%d entries of %d bits came out of at most %d of %d", l.Len(), l.Bits(), entries, bits)
		}
		again, err := l.Encode()
		if err != nil {
			t.Fatal(err)
		}
		m, err := statuslist.Decode(int(bits), again, entries)
		if err != nil {
			t.Fatalf("what was decoded does not decode again: %v", err)
		}
		if m.Len() != l.Len() {
			t.Fatalf("got %d entries, want %d", m.Len(), l.Len())
		}
		for i := range l.Len() {
			a, _ := l.Get(i)
			b, err := m.Get(i)
			if err != nil || a != b {
				t.Fatalf("entry %d: got %d and %v, want %d", i, b, err, a)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	l := onePercent(b)
	b.ReportAllocs()
	i, sum := 0, 0
	for b.Loop() {
		status, err := l.Get(i)
		if err != nil {
			b.Fatal(err)
		}
		sum += int(status)
		i = (i + 7919) & (statuslist.Entries - 1)
	}
	_ = sum
}

func BenchmarkEncode(b *testing.B) {
	l := onePercent(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}

// onePercent is a list of full length with every hundredth entry set, at
// random places.
func onePercent(tb testing.TB) *statuslist.List {
	tb.Helper()
	l, err := statuslist.New(2, statuslist.Entries)
	if err != nil {
		tb.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range statuslist.Entries / 100 {
		if err := l.Set(random.IntN(statuslist.Entries), uint8(1+random.IntN(3))); err != nil {
			tb.Fatal(err)
		}
	}
	return l
}
