package sqlstore

import (
	"bytes"
	"errors"
	"testing"
)

func testBoxes(t testing.TB) *boxes {
	t.Helper()
	b, err := newBoxes(derived([]byte(testSealKey), "test"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBox: a box opens where it was put and nowhere else, and its length says of what is
// in it only which class that is of.
func TestBox(t *testing.T) {
	b := testBoxes(t)
	sizes := map[int]bool{}
	for _, n := range []int{0, 1, 95, 96} {
		plain := bytes.Repeat([]byte{7}, n)
		box := b.box(96, plain, "names", "a name", 3)
		sizes[len(box)] = true
		if got, err := b.open(box, "names", "a name", 3); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %v", n, err)
		}
		for _, where := range []struct {
			table, of string
			number    int64
		}{{"cells", "a name", 3}, {"names", "another", 3}, {"names", "a name", 4}, {"namesa", " name", 3}} {
			if _, err := b.open(box, where.table, where.of, where.number); !errors.Is(err, errBox) {
				t.Errorf("it opens at %v", where)
			}
		}
		for i := range box {
			wrong := bytes.Clone(box)
			wrong[i] ^= 1 << (i % 8)
			if _, err := b.open(wrong, "names", "a name", 3); !errors.Is(err, errBox) {
				t.Fatalf("with a wrong bit in byte %d it opens", i)
			}
		}
	}
	if len(sizes) != 1 {
		t.Errorf("one class has %d lengths", len(sizes))
	}
	for n, want := range map[int]int{0: 100, 96: 100, 97: 196, 192: 196, 193: 388, 385: 772} {
		if got := padded(n, 96); got != want {
			t.Errorf("%d bytes become %d, want %d", n, got, want)
		}
	}
}

// FuzzOpenBox: whatever is in a row, opening it is an error or what was put there.
func FuzzOpenBox(f *testing.F) {
	b := testBoxes(f)
	f.Add([]byte("plain"), 0, byte(0))
	f.Add([]byte{}, 30, byte(1))
	f.Fuzz(func(t *testing.T, plain []byte, at int, flip byte) {
		if len(plain) > 1<<16 {
			t.Skip()
		}
		if _, err := b.open(plain, "t", "n", 0); !errors.Is(err, errBox) {
			t.Fatal("what nobody sealed opens")
		}
		box := b.box(64, plain, "t", "n", 0)
		if at >= 0 {
			box[at%len(box)] ^= flip
		}
		got, err := b.open(box, "t", "n", 0)
		if whole := at < 0 || flip == 0; whole != (err == nil) || whole && !bytes.Equal(got, plain) {
			t.Fatalf("at %d by %x: %v", at, flip, err)
		}
	})
}

// FuzzBody: whatever was in a body, reading it is an error or a body.
func FuzzBody(f *testing.F) {
	plain, err := bodyEncoding.Marshal(&body{Case: "a case", Seals: make([]byte, sealSize)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, plain []byte) {
		b, err := decodeBody(plain)
		if err != nil {
			return
		}
		again, err := bodyEncoding.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeBody(again); err != nil {
			t.Fatal(err)
		}
	})
}

// TestNames: no two lists of texts have the same name, and a key of its own.
func TestNames(t *testing.T) {
	k := newSealer([]byte(testSealKey), &caseKeys{})
	seen := map[name]bool{}
	for _, n := range []name{
		k.name("a"), k.name("a", ""), k.name("a", "b"), k.name("ab"), k.name("", "ab"), k.name("a", "b", ""), k.name("a", "", "b"),
		k.item(k.name("a"), "b"), newSealer([]byte("another key of thirty-two bytes!"), &caseKeys{}).name("a"),
	} {
		if seen[n] {
			t.Error("two have one name")
		}
		seen[n] = true
	}
}
