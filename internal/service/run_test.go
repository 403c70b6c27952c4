package service

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/config"
)

// TestOrphansAreCollected: a ciphertext that a crash left without a row is removed
// after a month by the housekeeping, and counted; a younger one stays.
func TestOrphansAreCollected(t *testing.T) {
	h, _ := openTestHouse(t)
	put := func(days int) string {
		t.Helper()
		key := randomHex(16) + "/" + randomHex(16)
		if _, err := h.Objects.Put(t.Context(), key, bytes.NewReader([]byte("ciphertext of nobody's"))); err != nil {
			t.Fatal(err)
		}
		then := time.Now().AddDate(0, 0, -days)
		if err := os.Chtimes(filepath.Join(h.cfg.Dir, config.ObjectsName, filepath.FromSlash(key)), then, then); err != nil {
			t.Fatal(err)
		}
		return key
	}
	old, young := put(31), put(29)
	all := h.chores(time.Hour)
	i := slices.IndexFunc(all, func(c chore) bool { return c.name == "collect orphans" })
	if i < 0 {
		t.Fatal("there is no such chore")
	}
	if err := all[i].do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Objects.Get(t.Context(), old); err == nil {
		t.Error("an old orphan is still there")
	}
	r, err := h.Objects.Get(t.Context(), young)
	if err != nil {
		t.Fatalf("a young orphan: %v", err)
	}
	_ = r.Close()
	if text := scrape(t, h.cfg.Metrics); !strings.Contains(text, "\nsafeconduct_orphans_removed_total 1\n") {
		t.Error("it is not counted")
	}
	// Not with every window: it lists everything that is there.
	again := put(31)
	if err := all[i].do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, err := h.Objects.Get(t.Context(), again); err != nil {
		t.Errorf("looked twice in a day: %v", err)
	} else {
		_ = r.Close()
	}
}
