package mask_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/safeconduct/safeconduct/credentials/mask"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

func key(first byte) []byte {
	k := make([]byte, mask.KeySize)
	for i := range k {
		k[i] = first + byte(i)
	}
	return k
}

// TestDecoys compares with the key stream of another implementation: openssl enc
// -chacha20 with the same key, and a counter and nonce of zeros.
func TestDecoys(t *testing.T) {
	d, err := mask.New(key(0))
	if err != nil {
		t.Fatal(err)
	}
	all := d.All()
	if got, want := all[:8], []uint32{3, 11, 22, 27, 34, 41, 42, 43}; !slices.Equal(got, want) {
		t.Errorf("it begins with %d, want %d", got, want)
	}
	sum := sha256.New()
	for _, i := range all {
		sum.Write(binary.BigEndian.AppendUint32(nil, i))
	}
	if got := hex.EncodeToString(sum.Sum(nil)); len(all) != 261700 || got != "73aa65e69b2dd111f87c76342ad2ae2f8f606c5a802ee911185ae56760392eaa" {
		t.Errorf("%d places with the hash %s", len(all), got)
	}
	// One by one they are the same.
	next := 0
	for i := range uint32(statuslist.Entries) {
		is := next < len(all) && all[next] == i
		if is {
			next++
		}
		if i%61 == 0 && d.Has(i) != is {
			t.Fatalf("place %d: %v", i, !is)
		}
	}
	for _, i := range []uint32{statuslist.Entries, math.MaxUint32} {
		if !d.Has(i) {
			t.Errorf("something real could stand at %d", i)
		}
	}
	other, err := mask.New(key(1))
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(other.All(), all) {
		t.Error("another key gives the same places")
	}
}

func TestKey(t *testing.T) {
	for _, k := range [][]byte{nil, key(1)[1:], append(key(1), 0), make([]byte, mask.KeySize)} {
		if _, err := mask.New(k); !errors.Is(err, mask.ErrKey) {
			t.Errorf("a key of %d bytes: %v, want ErrKey", len(k), err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("what New has not made tells decoys")
		}
	}()
	new(mask.Decoys).Has(0)
}
