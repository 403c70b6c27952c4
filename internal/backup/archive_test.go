package backup

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// keys are two people who can open backups, and one who cannot.
type keys struct {
	to            []Recipient
	first, second []Identity
	stranger      []Identity
}

func newKeys(t testing.TB) keys {
	t.Helper()
	var list []string
	var ids [3][]Identity
	for i := range ids {
		secret, public, err := NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		if ids[i], err = ParseIdentities(strings.NewReader("# made up\n" + secret + "\n")); err != nil {
			t.Fatal(err)
		}
		list = append(list, public)
	}
	to, err := ParseRecipients(strings.NewReader("# a safe\n" + list[0] + "\n\n# another country\n" + list[1] + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return keys{to, ids[0], ids[1], ids[2]}
}

var signing = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func sign(manifest []byte) ([]byte, error) { return ed25519.Sign(signing, manifest), nil }

func verified(s Signed) bool {
	return ed25519.Verify(signing.Public().(ed25519.PublicKey), s.Raw, s.Signature)
}

// written is a small backup.
func written(t testing.TB, to []Recipient, sequence uint64, parts ...File) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if err := w.Add(p.Name, p.Data); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.Close(Manifest{Kind: Data, Network: strings.Repeat("0", 32), Made: time.Unix(1_800_000_000, 0).UTC(), Sequence: sequence}, sign)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	k := newKeys(t)
	parts := []File{{"rows/000001", random(100_000)}, {"rows/000002", nil}, {"objects/000001.tar", random(300_000)}}
	data := written(t, k.to, 5, parts...)
	for _, ids := range [][]Identity{k.first, k.second} {
		var got []File
		s, err := Read(bytes.NewReader(data), ids, func(name string, data []byte) error {
			got = append(got, File{name, bytes.Clone(data)})
			return nil
		})
		if err != nil || !verified(s) || s.Sequence != 5 || len(got) != len(parts) {
			t.Fatalf("read: %v, %d parts", err, len(got))
		}
		for i := range parts {
			if got[i].Name != parts[i].Name || !bytes.Equal(got[i].Data, parts[i].Data) {
				t.Errorf("part %d differs", i)
			}
		}
	}
	if _, err := Read(bytes.NewReader(data), k.stranger, nothing); !errors.Is(err, ErrWrongIdentity) {
		t.Errorf("a stranger: %v", err)
	}
}

func nothing(string, []byte) error { return nil }

// TestDamaged flips a bit at a hundred places, and cuts at a hundred.
func TestDamaged(t *testing.T) {
	k := newKeys(t)
	data := written(t, k.to, 5, File{"rows/000001", random(150_000)}, File{"objects/000001.tar", random(90_000)})
	refused := func(what string, damaged []byte) {
		t.Helper()
		s, err := Read(bytes.NewReader(damaged), k.first, nothing)
		if err == nil {
			t.Errorf("%s: taken (signature holds: %v)", what, verified(s))
		} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrWrongIdentity) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range 100 {
		at := (len(data) - 1) * i / 99
		flipped := bytes.Clone(data)
		flipped[at] ^= 1 << rand.IntN(8)
		refused(fmt.Sprintf("bit at %d of %d", at, len(data)), flipped)
		refused(fmt.Sprintf("cut at %d of %d", at, len(data)), data[:at])
	}
	refused("a byte more", append(bytes.Clone(data), 0))
	refused("twice", append(bytes.Clone(data), data...))
}

// TestSwapped puts archives together anew, as somebody could who knows the
// recipients and has old backups decrypted, but not the signing key.
func TestSwapped(t *testing.T) {
	k := newKeys(t)
	old := opened(t, k, written(t, k.to, 4, File{"rows/000001", []byte("old")}, File{"rows/000002", []byte("two")}))
	now := opened(t, k, written(t, k.to, 5, File{"rows/000001", []byte("new")}, File{"rows/000002", []byte("two")}))
	for what, files := range map[string][]File{
		"parts in another order":   {now[1], now[0], now[2], now[3]},
		"a part of an older one":   {old[0], now[1], now[2], now[3]},
		"the manifest of an older": {now[0], now[1], old[2], old[3]},
		"a part is missing":        {now[0], now[2], now[3]},
		"a part twice":             {now[0], now[0], now[1], now[2], now[3]},
		"a part more":              {now[0], now[1], {"rows/000003", []byte("three")}, now[2], now[3]},
		"a part after the end":     {now[0], now[1], now[2], now[3], {"rows/000003", nil}},
		"no manifest":              {now[0], now[1]},
		"no signature":             {now[0], now[1], now[2]},
		"two manifests":            {now[0], now[1], old[2], now[2], now[3]},
		"a name that climbs":       {{"../../etc/passwd", nil}, now[0], now[1], now[2], now[3]},
	} {
		t.Run(what, func(t *testing.T) {
			if _, err := Read(bytes.NewReader(sealed(t, k.to, files)), k.first, nothing); !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
		})
	}
	// An older signature under the newer manifest is the caller's to see.
	s, err := Read(bytes.NewReader(sealed(t, k.to, []File{now[0], now[1], now[2], old[3]})), k.first, nothing)
	if err != nil || verified(s) {
		t.Errorf("an older signature: %v, holds: %v", err, verified(s))
	}
	s, err = Read(bytes.NewReader(sealed(t, k.to, now)), k.first, nothing)
	if err != nil || !verified(s) {
		t.Errorf("put together as it was: %v", err)
	}
}

// opened is every file of a backup, the manifest and its signature included.
func opened(t *testing.T, k keys, data []byte) []File {
	t.Helper()
	plain, err := age.Decrypt(bytes.NewReader(data), k.first...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	var files []File
	if err := Files(all, func(f File) error { files = append(files, f); return nil }); err != nil {
		t.Fatal(err)
	}
	return files
}

func sealed(t *testing.T, to []Recipient, files []File) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(tarOf(t, files)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarOf(t testing.TB, files []File) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.Name, Size: int64(len(f.Data)), Mode: 0o600, Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRecipients(t *testing.T) {
	_, one, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	_, two, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		text string
		ok   bool
	}{
		"two":                 {one + "\n" + two, true},
		"one":                 {one, false},
		"one, twice":          {one + "\n" + one, false},
		"none":                {"# nobody\n", false},
		"one is not hybrid":   {one + "\n" + two + "\n" + classic.Recipient().String(), false},
		"a plugin":            {one + "\n" + two + "\nage1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", false},
		"an ssh key":          {one + "\n" + two + "\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ", false},
		"a line without end":  {one + "\n" + two + "\n" + strings.Repeat("a", 1<<20), false},
		"a secret by mistake": {one + "\n" + two + "\n" + identityPrefix, false},
	} {
		t.Run(what, func(t *testing.T) {
			got, err := ParseRecipients(strings.NewReader(c.text))
			if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrRecipients) {
				t.Errorf("%d, %v", len(got), err)
			}
		})
	}
	if _, err := ParseIdentities(strings.NewReader(classic.String())); !errors.Is(err, ErrIdentity) {
		t.Errorf("an identity that is not hybrid: %v", err)
	}
}

// TestBundle puts in more than one part holds.
func TestBundle(t *testing.T) {
	var parts [][]byte
	b := Bundle{Emit: func(data []byte) error { parts = append(parts, bytes.Clone(data)); return nil }}
	want := map[string][]byte{}
	for i := range 50 {
		name, data := fmt.Sprintf("%0100d", i), random(rand.IntN(400_000))
		want[name] = data
		if err := b.Add(name, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	if len(parts) < 2 {
		t.Errorf("%d parts: nothing was divided", len(parts))
	}
	for _, p := range parts {
		if err := Files(p, func(f File) error {
			if !bytes.Equal(want[f.Name], f.Data) {
				t.Errorf("%s differs", f.Name)
			}
			delete(want, f.Name)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(want) > 0 {
		t.Errorf("%d files were lost", len(want))
	}
}

// FuzzArchive reads what somebody could put inside the encryption.
func FuzzArchive(f *testing.F) {
	manifest := []byte(`{"version":1,"kind":"data","network":"00","made":"2026-01-01T00:00:00Z","pack_sequence":1,"schema":1,"rows":{},"objects":0,"parts":[]}`)
	f.Add(tarOf(f, []File{{manifestName, manifest}, {signatureName, []byte("x")}}))
	f.Add(tarOf(f, []File{{"rows/000001", []byte("x")}, {manifestName, manifest}, {signatureName, []byte("x")}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		seen := 0
		s, err := readArchive(bytes.NewReader(data), func(name string, part []byte) error {
			if !partName.MatchString(name) || len(part) > len(data) {
				t.Errorf("part %q of %d bytes from %d", name, len(part), len(data))
			}
			seen++
			return nil
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("an error of another kind: %v", err)
		}
		if err == nil && len(s.Parts) != seen {
			t.Errorf("%d parts named, %d shown", len(s.Parts), seen)
		}
	})
}

// FuzzFiles reads a bundle.
func FuzzFiles(f *testing.F) {
	f.Add(tarOf(f, []File{{"aa/bb", []byte("x")}, {"cc", nil}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		total := 0
		err := Files(data, func(file File) error { total += len(file.Data); return nil })
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("an error of another kind: %v", err)
		}
		if total > len(data) {
			t.Errorf("%d bytes from %d", total, len(data))
		}
	})
}

// TestFewSizes: two backups of nearly the same have one size, and the size of a large one
// is at most an eighth more than what is in it.
func TestFewSizes(t *testing.T) {
	k := newKeys(t)
	if one, other := written(t, k.to, 5, File{"rows/000001", random(150_000)}), written(t, k.to, 6, File{"rows/000001", random(160_000)}); len(one) != len(other) {
		t.Errorf("%d and %d bytes", len(one), len(other))
	}
	sizes := map[int64]bool{}
	for n := int64(1); n < 1<<32; n += 1 + n/100 {
		size := few(n)
		if size < n || n > 16*smallest && size > n+n/8 || few(size) != size {
			t.Fatalf("%d bytes become %d", n, size)
		}
		if n > 1<<31 {
			sizes[size] = true
		}
	}
	if len(sizes) > 9 {
		t.Errorf("%d sizes between one and its double", len(sizes))
	}
}
