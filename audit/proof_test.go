package audit

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func TestInclusion(t *testing.T) {
	for _, size := range []int{1, 2, 255, 256, 257, 600, 66_000} {
		_, d, k, heads := publishedAt(t, size)
		ref := newReference(t, size)
		for i := 0; i < size; i += 1 + size/40 {
			p, err := Prove(d, k.vkey, int64(i))
			if err != nil {
				t.Fatalf("leaf %d of %d: %v", i, size, err)
			}
			want, err := tlog.ProveRecord(int64(size), int64(i), ref)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(p.Path, want) {
				t.Errorf("leaf %d of %d: got %v, want %v", i, size, p.Path, want)
			}
			p, err = ParseProof(p.Encode())
			if err != nil {
				t.Fatal(err)
			}
			head, err := CheckInclusion(k.vkey, content(i), p)
			if err != nil || head.Size != int64(size) || head.Root != heads[0].Root {
				t.Errorf("leaf %d of %d: got %+v, %v", i, size, head, err)
			}
			if _, err := CheckInclusion(k.vkey, content(i+1), p); !errors.Is(err, ErrProof) {
				t.Errorf("leaf %d of %d: another note: got %v, want ErrProof", i, size, err)
			}
		}
		for _, i := range []int64{-1, int64(size), 1 << 60} {
			if _, err := Prove(d, k.vkey, i); !errors.Is(err, ErrNotPublished) {
				t.Errorf("leaf %d of %d: got %v, want ErrNotPublished", i, size, err)
			}
		}
	}
}

func TestCheckInclusionRefuses(t *testing.T) {
	_, d, k, _ := publishedAt(t, 300)
	_, other, _, _ := publishedAt(t, 301)
	good, err := Prove(d, k.vkey, 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		edit func(*Proof)
		want error
	}{
		{"another index", func(p *Proof) { p.Index = 8 }, ErrProof},
		{"negative index", func(p *Proof) { p.Index = -1 }, ErrProof},
		{"index beyond", func(p *Proof) { p.Index = 300 }, ErrProof},
		{"a hash changed", func(p *Proof) { p.Path[2][0] ^= 1 }, ErrProof},
		{"a hash missing", func(p *Proof) { p.Path = p.Path[1:] }, ErrProof},
		{"a hash too many", func(p *Proof) { p.Path = append(p.Path, tlog.Hash{}) }, ErrProof},
		{"no path", func(p *Proof) { p.Path = nil }, ErrProof},
		{"another tree's head", func(p *Proof) { p.Checkpoint = other.files["checkpoint"].Data }, ErrProof},
		{"no head", func(p *Proof) { p.Checkpoint = nil }, ErrCheckpoint},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Proof{Index: good.Index, Path: slices.Clone(good.Path), Checkpoint: bytes.Clone(good.Checkpoint)}
			c.edit(&p)
			if _, err := CheckInclusion(k.vkey, content(7), p); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if _, err := CheckInclusion(newKey(t, "another").vkey, content(7), good); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("another key: got %v, want ErrCheckpoint", err)
	}
}

func TestConsistency(t *testing.T) {
	sizes := []int{0, 1, 2, 255, 256, 257, 300, 512, 700}
	var dirs []*memDir
	s, d, k := newStore(), newDir(), newKey(t, "log")
	l := newLog(t, s, d, k)
	var heads []Checkpoint
	for _, size := range sizes {
		s.append(size - len(s.order))
		heads = append(heads, publish(t, l))
		dirs = append(dirs, d.clone())
	}
	for i, newer := range heads {
		for j, older := range heads {
			p, err := ProveConsistency(dirs[i], k.vkey, older.Size)
			if j > i {
				if !errors.Is(err, ErrNotPublished) {
					t.Errorf("%d in %d: got %v, want ErrNotPublished", older.Size, newer.Size, err)
				}
				if err := CheckConsistency(older, newer, nil); !errors.Is(err, ErrFork) {
					t.Errorf("%d in %d: got %v, want ErrFork", older.Size, newer.Size, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%d in %d: %v", older.Size, newer.Size, err)
			}
			if err := CheckConsistency(older, newer, p); err != nil {
				t.Errorf("%d in %d: %v", older.Size, newer.Size, err)
			}
			if err := CheckConsistency(older, newer, append(slices.Clone(p), tlog.Hash{})); !errors.Is(err, ErrProof) {
				t.Errorf("%d in %d, a hash too many: got %v, want ErrProof", older.Size, newer.Size, err)
			}
			if older.Size > 0 && older.Size < newer.Size {
				forked := older
				forked.Root[0] ^= 1
				if err := CheckConsistency(forked, newer, p); !errors.Is(err, ErrProof) {
					t.Errorf("%d in %d, another root: got %v, want ErrProof", older.Size, newer.Size, err)
				}
			}
		}
	}
	// A split view: one size, two trees, both signed.
	other := newStore()
	other.hash[strings.Repeat("0", 32)] = content(-1)
	other.waiting = []string{strings.Repeat("0", 32)}
	split := publish(t, newLog(t, other, newDir(), k))
	if err := CheckConsistency(heads[1], split, nil); !errors.Is(err, ErrFork) {
		t.Errorf("split view: got %v, want ErrFork", err)
	}
	elsewhere := heads[1]
	elsewhere.Origin = "elsewhere.example"
	if err := CheckConsistency(elsewhere, heads[2], nil); !errors.Is(err, ErrProof) {
		t.Errorf("another log: got %v, want ErrProof", err)
	}
}

// Proofs are not made from tiles that do not give the signed root.
func TestProveSeesTampering(t *testing.T) {
	_, good, k, _ := publishedAt(t, 600)
	for _, name := range []string{"tile/0/000", "tile/1/000.p/2", "tile/0/002.p/88"} {
		d := good.clone()
		if _, err := Prove(d, k.vkey, 7); err != nil {
			t.Fatal(err)
		}
		d.files[name].Data[33] ^= 1
		if _, err := Prove(d, k.vkey, 7); !errors.Is(err, ErrTampered) {
			t.Errorf("%s: got %v, want ErrTampered", name, err)
		}
		delete(d.files, name)
		if _, err := Prove(d, k.vkey, 7); !errors.Is(err, ErrTampered) || !names(err, name) {
			t.Errorf("%s gone: got %v, want ErrTampered and its name", name, err)
		}
	}
	if _, err := ProveConsistency(newDir(), k.vkey, 1); err == nil {
		t.Error("a proof was made from nothing")
	}
}

func TestParseProofRefuses(t *testing.T) {
	hash := tlog.Hash{}.String()
	for _, c := range []struct{ name, text string }{
		{"empty", ""},
		{"another format", "c2sp.org/tlog-proof@v2\nindex 1\n\n"},
		{"no blank line", proofHeader + "\nindex 1\n"},
		{"no index", proofHeader + "\n" + hash + "\n\n"},
		{"extra data", proofHeader + "\nextra AAAA\nindex 1\n\n"},
		{"leading zero", proofHeader + "\nindex 01\n\n"},
		{"negative", proofHeader + "\nindex -1\n\n"},
		{"too large", proofHeader + "\nindex 9223372036854775808\n\n"},
		{"short hash", proofHeader + "\nindex 1\n" + hash[4:] + "\n\n"},
		{"carriage return", proofHeader + "\nindex 1\n" + hash + "\r\n\n"},
		{"large", proofHeader + "\nindex 1\n\n" + strings.Repeat("a", maxProof)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseProof([]byte(c.text)); !errors.Is(err, ErrProof) {
				t.Errorf("got %v, want ErrProof", err)
			}
		})
	}
}

func FuzzParseProof(f *testing.F) {
	_, d, k, _ := publishedAt(f, 300)
	p, err := Prove(d, k.vkey, 7)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Encode())
	f.Add([]byte(proofHeader + "\nindex 0\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProof(data)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), data) {
			t.Fatalf("got %q from %q", p.Encode(), data)
		}
		if _, err := CheckInclusion(k.vkey, content(7), p); err == nil && p.Index != 7 {
			t.Fatal("a proof for another place")
		}
	})
}
