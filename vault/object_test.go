package vault

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"filippo.io/age"
)

// FuzzHeader: what is read writes the same bytes, and what follows is left.
func FuzzHeader(f *testing.F) {
	f.Add(header{record: [16]byte{1, 2}, page: 3, version: 4, media: 2, length: 5}.append(nil))
	f.Add([]byte(headerLabel))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, rest, err := parseHeader(data)
		if err != nil {
			return
		}
		if again := append(h.append(nil), rest...); !bytes.Equal(again, data) {
			t.Fatalf("%x became %x", data, again)
		}
	})
}

func TestHeader(t *testing.T) {
	h := header{record: [16]byte{15: 9}, page: 1, version: 2, media: 1, length: 3}
	whole := h.append(nil)
	if len(whole) != headerSize {
		t.Fatalf("%d bytes, want %d", len(whole), headerSize)
	}
	for n := range whole {
		if _, _, err := parseHeader(whole[:n]); err == nil {
			t.Errorf("%d bytes were enough", n)
		}
	}
	bad := slices.Clone(whole)
	bad[len(headerLabel)+24] = byte(len(mediaCodes))
	if _, _, err := parseHeader(bad); err == nil {
		t.Error("an unknown media type was read")
	}
	for name, o := range map[string]Object{
		"record":  {Record: "x", Page: 1, Version: 1, MediaType: mediaPNG},
		"page":    {Record: newID(), Page: maxPages + 1, Version: 1, MediaType: mediaPNG},
		"version": {Record: newID(), Page: 1, MediaType: mediaPNG},
		"media":   {Record: newID(), Page: 1, Version: 1, MediaType: "image/gif"},
		"length":  {Record: newID(), Page: 1, Version: 1, MediaType: mediaPNG, Length: -1},
		"size":    {Record: newID(), Page: 1, Version: 1, MediaType: mediaPNG, Length: 1 << 62},
	} {
		if _, err := headerOf(o); err == nil {
			t.Errorf("a row with a bad %s has a header", name)
		}
	}
}

func TestBoxSizes(t *testing.T) {
	for n, want := range map[int]int{0: 1024, 4: 1024, 1024: 1024, 1025: 2048, 2048: 2048, 2049: 3072, 6000: 6144, 1<<20 + 4: 1<<20 + 1024} {
		if got := boxSize(n); got != want {
			t.Errorf("%d bytes are padded to %d, want %d", n, got, want)
		}
	}
}

// TestPageSizes: pages are of few sizes, and above a mebibyte at most a quarter is added.
func TestPageSizes(t *testing.T) {
	sizes := map[int]bool{}
	for n := 1; n <= maxCleaned+headerSize; n += 1 + n/97 {
		size := pageSize(n)
		sizes[size] = true
		if size < n || size > maxCiphertext || n > largePage && size > n*5/4 {
			t.Errorf("%d bytes are padded to %d", n, size)
		}
	}
	largest := pageSize(maxCleaned + headerSize)
	if sizes[largest] = true; len(sizes) != 19 || largest != 33984<<10 {
		t.Errorf("%d sizes up to %d KiB", len(sizes), largest>>10)
	}
	for n, want := range map[int]int{1: 64, 64 << 10: 64, 64<<10 + 1: 256, 256<<10 + 1: 1024, 1 << 20: 1024, 1<<20 + 1: 1280, 2 << 20: 2432} {
		if got := pageSize(n) >> 10; got != want {
			t.Errorf("%d bytes are padded to %d KiB, want %d", n, got, want)
		}
	}
}

// TestBox: what is not exactly length, text and zeros is refused.
func TestBox(t *testing.T) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	box := func(length uint32, rest ...byte) []byte {
		sealed, err := encrypt(id.Recipient().String(), append(binary.BigEndian.AppendUint32(nil, length), rest...))
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	if got, err := openBox(id, box(2, 'h', 'i', 0)); err != nil || string(got) != "hi" {
		t.Errorf("got %q, %v", got, err)
	}
	short, err := encrypt(id.Recipient().String(), []byte{0, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	for name, sealed := range map[string][]byte{
		"more than is there": box(3, 'h', 'i'), "far more": box(1<<32-1, 'h', 'i'), "no padding": box(1, 'h', 'i'), "no length": short,
	} {
		if got, err := openBox(id, sealed); !errors.Is(err, ErrIntegrity) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestRecipient holds the stanza to docs/overview.md, Keys, and to age's
// contracts.
func TestRecipient(t *testing.T) {
	keys := turned{}
	r := agencyRecipient{t.Context(), keys, "agency-a", "record"}
	fileKey := bytes.Repeat([]byte{7}, fileKeyLen)
	stanzas, labels, err := r.WrapWithLabels(fileKey)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(labels, []string{"postquantum"}) {
		t.Errorf("labels %q", labels)
	}
	if len(stanzas) != 1 || stanzas[0].Type != "safeconduct.org/transit" || !slices.Equal(stanzas[0].Args, []string{"agency-a"}) {
		t.Errorf("stanzas %+v", stanzas)
	}
	got, err := (&agencyIdentity{ctx: t.Context(), keys: keys, agency: "agency-a", record: "record"}).Unwrap(stanzas)
	if err != nil || !bytes.Equal(got, fileKey) {
		t.Errorf("unwrapped %x, %v", got, err)
	}
	for _, agency := range []string{"agency-b", ""} {
		i := &agencyIdentity{ctx: t.Context(), keys: keys, agency: agency, record: "record"}
		if _, err := i.Unwrap(stanzas); !errors.Is(err, age.ErrIncorrectIdentity) {
			t.Errorf("%q: %v", agency, err)
		}
	}
	// It stands beside a hybrid recipient, and beside nothing weaker.
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	weak, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := age.Encrypt(io.Discard, r, hybrid.Recipient()); err != nil {
		t.Error(err)
	}
	if _, err := age.Encrypt(io.Discard, r, weak.Recipient()); err == nil {
		t.Error("stands beside a recipient that is not post-quantum")
	}
}

// turned is the least key keeper that the recipient accepts: it turns every
// bit. The real ones are tested from outside.
type turned struct{}

func (turned) Wrap(_ context.Context, _, _ string, key []byte) ([]byte, error) {
	out := slices.Clone(key)
	for i := range out {
		out[i] ^= 0xff
	}
	return out, nil
}

func (k turned) Unwrap(ctx context.Context, agency, record string, wrapped []byte) ([]byte, error) {
	return k.Wrap(ctx, agency, record, wrapped)
}

func (turned) MAC(context.Context, string, []byte) ([]byte, error) { return nil, errors.ErrUnsupported }
