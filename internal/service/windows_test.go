package service

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
)

// outsider follows a log from its public files alone, and counts by how much it grows.
type outsider struct {
	dir  fs.FS
	vkey string
	last audit.Checkpoint
}

func (o *outsider) follow(t *testing.T) (grown int64) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	report, err := audit.Verify(o.dir, o.vkey)
	must(err)
	signed, err := fs.ReadFile(o.dir, CheckpointName)
	must(err)
	now, err := audit.ParseCheckpoint(signed, o.vkey)
	must(err)
	if o.last.Size > 0 {
		p, err := audit.ProveConsistency(o.dir, o.vkey, o.last.Size)
		must(err)
		must(audit.CheckConsistency(o.last, now, p))
	}
	if report.Size != now.Size || report.Ahead > 0 {
		t.Errorf("%d leaves under a checkpoint of %d, %d tiles ahead", report.Size, now.Size, report.Ahead)
	}
	grown, o.last = now.Size-o.last.Size, now
	return grown
}

// TestWindows is hostile case 88: whatever was done between two publications, the public
// log grows by one and the same number of leaves. What does not fit waits, the oldest
// first, and is all there in the end. A copy of the database that is laid beside the public
// files does not tell which leaves stand for something.
func TestWindows(t *testing.T) {
	t.Parallel()
	cfg, _, _, _, _ := withPeople(t, config.Engines{})
	opened(t, cfg, func(s *Service) {
		key, err := s.Keys.LogKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		outside := &outsider{dir: os.DirFS(filepath.Join(cfg.Dir, config.LogName)), vkey: key}
		outside.follow(t)
		waits, err := s.DB.Log().Waiting(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var hashes [][32]byte
		logs := func(load int) {
			t.Helper()
			entries := make([]audit.Entry, load)
			for i := range entries {
				entries[i] = someEntry()
				hashes = append(hashes, entries[i].Hash)
			}
			if err := s.DB.Log().Append(t.Context(), entries...); err != nil {
				t.Fatal(err)
			}
			waits += int64(load)
		}
		publish := func() {
			t.Helper()
			if _, err := s.log.Publish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if grown := outside.follow(t); grown != audit.Window {
				t.Errorf("the log grew by %d leaves", grown)
			}
			waits = max(0, waits-audit.Window)
			if n, err := s.DB.Log().Waiting(t.Context()); n != waits || err != nil {
				t.Errorf("%d entries wait, %v, want %d", n, err, waits)
			}
		}
		loads := []int{0, 1, 0, 3000, 2, 255, 256, 257}
		for range 6 {
			loads = append(loads, rand.IntN(300))
		}
		for _, load := range loads {
			logs(load)
			publish()
		}
		for waits > 0 {
			publish()
		}
		for range 6 { // of which none fills its window
			logs(100)
			publish()
		}

		at := s.places(t, outside.last.Size)
		taken := map[int64]bool{}
		for _, hash := range hashes {
			i, ok := at[hash]
			if !ok || taken[i] {
				t.Fatal("an entry has no leaf, or shares it")
			}
			taken[i] = true
		}
		placesAreDrawn(t, taken, outside.last.Size)
		s.leavesAreNotInRows(t, at)
	})
}

// places are the numbers of all leaves by their contents.
func (s *Service) places(t *testing.T, size int64) map[[32]byte]int64 {
	t.Helper()
	contents, err := s.DB.Log().Sequenced(t.Context(), 0, int(size))
	if err != nil {
		t.Fatal(err)
	}
	at := make(map[[32]byte]int64, len(contents))
	for i, content := range contents {
		at[content] = int64(i)
	}
	if int64(len(at)) != size {
		t.Errorf("%d leaves differ of %d", len(at), size)
	}
	return at
}

// placesAreDrawn: where in a window something stands tells nothing. Over all windows that
// are not full, entries are spread over the places.
func placesAreDrawn(t *testing.T, taken map[int64]bool, size int64) {
	t.Helper()
	var front, all int
	for first := int64(0); first < size; first += audit.Window {
		var at []int64
		for i := range int64(audit.Window) {
			if taken[first+i] {
				at = append(at, i)
			}
		}
		if len(at) > audit.Window*3/4 {
			continue
		}
		for _, i := range at {
			if all++; i < audit.Window/2 {
				front++
			}
		}
	}
	// Of six hundred a fair coin is off by a fifth less than once in 10^20.
	if all < 600 || front < all*3/10 || front > all*7/10 {
		t.Errorf("%d of %d entries stand in the first half of their window", front, all)
	}
}

// leavesAreNotInRows looks for contents of leaves, and for the leaves that are public of
// them, in all that a copy of the database has.
func (s *Service) leavesAreNotInRows(t *testing.T, contents map[[32]byte]int64) {
	t.Helper()
	var rows bytes.Buffer
	if _, err := s.DB.Dump(t.Context(), func(part []byte) error { rows.Write(part); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.DB.Truncate(t.Context()); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(s.cfg.Dir, config.DatabaseName))
	if err != nil {
		t.Fatal(err)
	}
	const part = 12 // bytes, which base64 spells by themselves
	in := map[string]bool{}
	for content := range contents {
		leaf := sha256.Sum256(append([]byte{0}, content[:]...)) // RFC 6962 §2.1
		for _, public := range [][]byte{content[:], leaf[:]} {
			in[string(public[:part])] = true
			in[hex.EncodeToString(public)[:part]] = true
			in[base64.StdEncoding.EncodeToString(public)[:part]] = true
		}
	}
	for _, where := range [][]byte{file, rows.Bytes()} {
		for i := 0; i+part <= len(where); i++ {
			if in[string(where[i:i+part])] {
				t.Fatal("a leaf stands in a row")
			}
		}
	}
}
