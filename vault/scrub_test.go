package vault_test

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/blobs"
	"github.com/safeconduct/safeconduct/internal/s3test"
	"github.com/safeconduct/safeconduct/vault"
)

// tampered is the real store with rows changed on their way to the scrubber,
// as somebody with the database in hand could.
type tampered struct {
	vault.Store
	row func(*vault.Object) bool // false leaves the row out
}

func (s *tampered) AllObjects(ctx context.Context, after vault.Object, limit int) ([]vault.Object, error) {
	all, err := s.Store.AllObjects(ctx, after, limit)
	kept := all[:0]
	for _, o := range all {
		if s.row != nil && !s.row(&o) {
			continue
		}
		kept = append(kept, o)
	}
	return kept, err
}

// stock is a world with pages in it, in a store whose files a test can reach.
type stock struct {
	*world
	rows   *tampered
	blobs  vault.Blobs
	folder string
	server *s3test.Server // nil if the store is a directory
	docs   []vault.Kept
	pages  []vault.Object // in the order of the rows
}

// eachStore runs a test on a directory and on an S3 server.
func eachStore(t *testing.T, documents, pages int, test func(h *stock)) {
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		h := &stock{world: w, blobs: w.blobs, folder: filepath.Join(w.dir, "blobs")}
		h.fill(documents, pages)
		test(h)
	})
	t.Run("S3", func(t *testing.T) {
		t.Parallel()
		server := s3test.Run(t)
		cfg := server.Config
		cfg.Prefix = "vault"
		s3, err := blobs.OpenS3(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s3.Close(); err != nil {
				t.Error(err)
			}
		})
		h := &stock{world: newWorld(t), blobs: s3, folder: filepath.Join(server.Folder, "vault"), server: server}
		h.fill(documents, pages)
		test(h)
	})
}

// fill opens the vault on the stock's store and keeps pages in it, some of
// them in two versions.
func (h *stock) fill(documents, pages int) {
	h.Helper()
	h.rows = &tampered{Store: h.store}
	var err error
	h.Vault, err = vault.New(vault.Config{
		Store: h.rows, Keyring: h.keyring, Blobs: h.blobs, Keys: h.keeper, Network: "test network",
		Directory: h.directory,
		Now:       func() time.Time { return h.now },
	})
	h.ok(err)
	for i := range documents {
		d := h.newDocument(h.newCase().ID)
		h.docs = append(h.docs, d)
		for p := range pages {
			meta := vault.PageMeta{Role: vault.RoleVisa, MediaType: "image/png"}
			if p == pages-1 && p > 0 {
				meta.Page = 1 // the last one replaces the first
			}
			_, err := h.AddPage(h.Context(), h.worker, d.ID, meta, strings.NewReader(string(pngOf(40+i, 30+p))))
			h.ok(err)
		}
	}
	all, err := h.store.AllObjects(h.Context(), vault.Object{}, 10_000)
	h.ok(err)
	for _, o := range all {
		if o.Blob != "" {
			h.pages = append(h.pages, o)
		}
	}
	if len(h.pages) != documents*pages {
		h.Fatalf("%d pages, want %d", len(h.pages), documents*pages)
	}
}

func (h *stock) scrub() vault.Scrubbed {
	h.Helper()
	s, err := h.Scrub(h.Context())
	h.ok(err)
	return s
}

// file is where a page lies.
func (h *stock) file(o vault.Object) string { return filepath.Join(h.folder, o.Blob) }

// overwrite changes a page where it lies, and returns how to heal it. The file
// stays the same one, with what a server keeps beside it.
func (h *stock) overwrite(o vault.Object, change func([]byte) []byte) (heal func()) {
	h.Helper()
	old, err := os.ReadFile(h.file(o))
	h.ok(err)
	h.ok(os.WriteFile(h.file(o), change(slices.Clone(old)), 0o600))
	return func() {
		h.Helper()
		h.ok(os.WriteFile(h.file(o), old, 0o600))
	}
}

// harmed checks that exactly these pages are reported, each with one of the
// harms.
func (h *stock) harmed(got []vault.Damage, want []vault.Object, harms ...vault.Harm) {
	h.Helper()
	slices.SortFunc(want, byRow)
	if len(got) != len(want) {
		h.Errorf("%d of %d damaged objects were found", len(got), len(want))
		return
	}
	for i, d := range got {
		o := want[i]
		if d.Record != o.Record || d.Page != o.Page || d.Version != o.Version || d.Blob != o.Blob || !slices.Contains(harms, d.Harm) {
			h.Errorf("found %+v, want page %d version %d as one of %v", d, o.Page, o.Version, harms)
		}
	}
}

func byRow(a, b vault.Object) int {
	return cmp.Or(cmp.Compare(a.Record, b.Record), cmp.Compare(a.Page, b.Page), cmp.Compare(a.Version, b.Version))
}

// A server that checks for itself refuses to give a changed object out.
var changed = []vault.Harm{vault.HarmChanged, vault.HarmUnreadable}

// TestScrubFlips flips one bit at 500 random places (50 unless
// SAFECONDUCT_SCRUB_FLIPS says otherwise), 25 objects at a time.
func TestScrubFlips(t *testing.T) {
	t.Parallel()
	flips := 50
	if text := os.Getenv("SAFECONDUCT_SCRUB_FLIPS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		flips = n
	}
	eachStore(t, 6, 7, func(h *stock) {
		if s := h.scrub(); len(s.Damaged) != 0 {
			h.Fatalf("damage before anything was damaged: %+v", s.Damaged)
		}
		seed := rand.Uint64()
		h.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		done := 0
		for done < flips {
			var chosen []vault.Object
			var healing []func()
			for _, i := range random.Perm(len(h.pages))[:min(25, flips-done)] {
				chosen = append(chosen, h.pages[i])
				healing = append(healing, h.overwrite(h.pages[i], func(b []byte) []byte {
					place := random.IntN(len(b) * 8)
					b[place/8] ^= 1 << (place % 8)
					return b
				}))
			}
			h.harmed(h.scrub().Damaged, chosen, changed...)
			for _, heal := range healing {
				heal()
			}
			done += len(chosen)
		}
		if s := h.scrub(); len(s.Damaged) != 0 {
			h.Errorf("damage after everything was healed: %+v", s.Damaged)
		}
		h.Logf("%d bits flipped", done)
	})
}

func TestScrub(t *testing.T) {
	t.Parallel()
	eachStore(t, 3, 4, func(h *stock) {
		var bytes int64
		for _, o := range h.pages {
			info, err := os.Stat(h.file(o))
			h.ok(err)
			bytes += info.Size()
		}
		s := h.scrub()
		if s.Objects != 15 || s.Blobs != 12 || s.Bytes != bytes || len(s.Damaged) != 0 || len(s.Orphans) != 0 || s.Fresh != 0 {
			h.Errorf("scrubbed %+v, want 15 rows, 12 blobs, %d bytes and no harm", s, bytes)
		}

		for name, change := range map[string]func([]byte) []byte{
			"cut by a byte": func(b []byte) []byte { return b[:len(b)-1] },
			"cut to half":   func(b []byte) []byte { return b[:len(b)/2] },
			"emptied":       func([]byte) []byte { return nil },
			"longer":        func(b []byte) []byte { return append(b, 0) },
			"another text":  func([]byte) []byte { return []byte("age-encryption.org/v1\n") },
		} {
			heal := h.overwrite(h.pages[5], change)
			h.Logf("%s", name)
			h.harmed(h.scrub().Damaged, h.pages[5:6], changed...)
			heal()
		}

		// Two objects change places: of one document, and of two people.
		for _, pair := range [][2]int{{0, 1}, {0, 11}} {
			a, b := h.pages[pair[0]], h.pages[pair[1]]
			of := func(o vault.Object) []byte {
				data, err := os.ReadFile(h.file(o))
				h.ok(err)
				return data
			}
			inA, inB := of(a), of(b)
			healA := h.overwrite(a, func([]byte) []byte { return inB })
			healB := h.overwrite(b, func([]byte) []byte { return inA })
			h.harmed(h.scrub().Damaged, []vault.Object{a, b}, changed...)
			healA()
			healB()
		}

		// Objects that are gone, as the store and as the medium would lose them.
		h.ok(h.blobs.Delete(h.Context(), h.pages[3].Blob))
		h.ok(os.Remove(h.file(h.pages[7])))
		h.harmed(h.scrub().Damaged, []vault.Object{h.pages[3], h.pages[7]}, vault.HarmMissing)
	})
}

// TestScrubRows has somebody change the database.
func TestScrubRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &stock{world: w, blobs: w.blobs, folder: filepath.Join(w.dir, "blobs")}
	h.fill(3, 4)
	all, err := h.store.AllObjects(t.Context(), vault.Object{}, 100)
	h.ok(err)
	fields, first := all[0], h.pages[0] // the fields of the first document, and its first page in its first version
	if first.Page != 1 || first.Version != 1 || fields.Page != 0 {
		t.Fatalf("the rows are not in the order that this test thinks: %d/%d", first.Page, first.Version)
	}
	same := func(a, b vault.Object) bool { return byRow(a, b) == 0 }
	for _, c := range []struct {
		name string
		at   vault.Object
		edit func(*vault.Object)
		want vault.Harm
	}{
		{"a bit of the fields", fields, func(o *vault.Object) { o.Sealed[len(o.Sealed)/2] ^= 1 }, vault.HarmChanged},
		{"fields of nobody", fields, func(o *vault.Object) { o.Sealed = nil }, vault.HarmChanged},
		{"another digest", first, func(o *vault.Object) { o.SHA256[0] ^= 1 }, vault.HarmChanged},
		{"another length", first, func(o *vault.Object) { o.Length++ }, vault.HarmUnlogged},
		{"another media type", first, func(o *vault.Object) { o.MediaType = "image/jpeg" }, vault.HarmUnlogged},
		{"another role", first, func(o *vault.Object) { o.Role = vault.RolePortrait }, vault.HarmUnlogged},
		{"seen by nobody", first, func(o *vault.Object) { o.SeenOriginal = true }, vault.HarmUnlogged},
		{"another salt", first, func(o *vault.Object) { o.Salt[31] ^= 1 }, vault.HarmUnlogged},
		{"another entry", first, func(o *vault.Object) { o.Logged = h.pages[1].Logged }, vault.HarmUnlogged},
		{"no entry", first, func(o *vault.Object) { o.Logged = [32]byte{} }, vault.HarmUnlogged},
		{"another's ciphertext, with its digest", first, func(o *vault.Object) { o.Blob, o.SHA256 = h.pages[1].Blob, h.pages[1].SHA256 }, vault.HarmUnlogged},
		{"a ciphertext that never was", first, func(o *vault.Object) { o.Blob = first.Record + "/00" }, vault.HarmMissing},
		{"a ciphertext outside the store", first, func(o *vault.Object) { o.Blob = "../../keyring.db" }, vault.HarmMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.rows.row = func(o *vault.Object) bool {
				if same(*o, c.at) {
					c.edit(o)
				}
				return true
			}
			s := h.scrub()
			if len(s.Damaged) != 1 || s.Damaged[0].Harm != c.want || s.Damaged[0].Record != c.at.Record || s.Damaged[0].Page != c.at.Page {
				t.Errorf("%+v, want %s", s.Damaged, c.want)
			}
		})
	}

	// A row that is gone leaves a gap before the next one.
	for name, gone := range map[string]vault.Object{"fields": fields, "first version": first} {
		h.rows.row = func(o *vault.Object) bool { return !same(*o, gone) }
		s := h.scrub()
		if len(s.Damaged) != 1 || s.Damaged[0].Harm != vault.HarmGap {
			t.Errorf("%s are gone: %+v, want a gap", name, s.Damaged)
		}
	}
}

// TestScrubErasure: what is erased, or being erased, is not damage.
func TestScrubErasure(t *testing.T) {
	t.Parallel()
	eachStore(t, 2, 2, func(h *stock) {
		leaving := h.docs[0].Case
		h.ok(h.store.BeginErasure(h.Context(), vault.Erasure{Case: leaving, Agency: h.worker.Agency, Records: []string{leaving, h.docs[0].ID}, Day: h.now, MAC: make([]byte, 32)}))
		for _, o := range h.pages {
			if o.Record == h.docs[0].ID {
				h.ok(h.blobs.Delete(h.Context(), o.Blob))
			}
		}
		if s := h.scrub(); len(s.Damaged) != 0 || s.Objects != 6 {
			h.Errorf("while a case is erased: %+v, want 6 objects and no harm", s)
		}
		_, err := h.Erase(h.Context(), h.worker, leaving)
		h.ok(err)
		if s := h.scrub(); len(s.Damaged) != 0 || s.Objects != 3 || s.Blobs != 2 || s.Fresh != 0 {
			h.Errorf("after a case was erased: %+v, want 3 objects and no harm", s)
		}

		// A case that is erased just after its row was read.
		read := false
		h.rows.row = func(o *vault.Object) bool {
			if !read && o.Blob != "" {
				read = true
				_, err := h.Erase(h.Context(), h.worker, h.docs[1].Case)
				h.ok(err)
			}
			return true
		}
		if s := h.scrub(); len(s.Damaged) != 0 || !read {
			h.Errorf("erased meanwhile: %+v, want no harm", s.Damaged)
		}
	})
}

func TestScrubOrphans(t *testing.T) {
	t.Parallel()
	eachStore(t, 1, 2, func(h *stock) {
		ctx := h.Context()
		h.now = time.Now()
		orphans := []string{id(), id()}
		for _, key := range orphans {
			_, err := h.blobs.Put(ctx, key, strings.NewReader("nobody's"))
			h.ok(err)
		}
		slices.Sort(orphans)
		if s := h.scrub(); len(s.Orphans) != 0 || s.Fresh != 2 {
			h.Errorf("at once: %d orphans, %d fresh, want 0 and 2", len(s.Orphans), s.Fresh)
		}
		h.now = h.now.Add(49 * time.Hour)
		s := h.scrub()
		if !slices.Equal(s.Orphans, orphans) || s.Fresh != 0 || len(s.Damaged) != 0 {
			h.Errorf("two days later: %+v, want 2 orphans", s)
		}
		// They stay for a month, in which somebody may put the right database
		// back; then they go, and nothing that a row names.
		if n, err := h.CollectOrphans(ctx); err != nil || n != 0 {
			h.Errorf("two days later: collected %d, %v, want none", n, err)
		}
		h.now = h.now.Add(30 * 24 * time.Hour)
		if n, err := h.CollectOrphans(ctx); err != nil || n != 2 {
			h.Errorf("a month later: collected %d, %v, want 2", n, err)
		}
		if s := h.scrub(); len(s.Orphans) != 0 || s.Blobs != 2 || len(s.Damaged) != 0 {
			h.Errorf("after collecting: %+v, want 2 blobs and nothing else", s)
		}
	})
}

// TestOutage: a server that is away has not lost anything.
func TestOutage(t *testing.T) {
	t.Parallel()
	eachStore(t, 1, 2, func(h *stock) {
		if h.server == nil {
			ended, end := context.WithCancel(h.Context())
			end()
			if _, err := h.Scrub(ended); !errors.Is(err, context.Canceled) {
				h.Errorf("scrub for nobody: %v, want Canceled", err)
			}
			return
		}
		h.server.Stop()
		s, err := h.Scrub(h.Context())
		if !errors.Is(err, vault.ErrUnavailable) || len(s.Damaged) != 0 {
			h.Errorf("scrub: %v with %d damaged, want ErrUnavailable and none", err, len(s.Damaged))
		}
		_, err = h.ReadPage(h.Context(), h.worker, h.docs[0].ID, 1)
		if !errors.Is(err, vault.ErrUnavailable) || errors.Is(err, vault.ErrIntegrity) {
			h.Errorf("read: %v, want ErrUnavailable and no alarm", err)
		}
		_, err = h.AddPage(h.Context(), h.worker, h.docs[0].ID, vault.PageMeta{Role: vault.RoleVisa, MediaType: "image/png"}, strings.NewReader(string(pngOf(9, 9))))
		if !errors.Is(err, vault.ErrUnavailable) {
			h.Errorf("add: %v, want ErrUnavailable", err)
		}
		h.server.Restart()
		if s := h.scrub(); len(s.Damaged) != 0 || s.Blobs != 2 {
			h.Errorf("after the server came back: %+v, want 2 blobs and no harm", s)
		}
		_, err = h.ReadPage(h.Context(), h.worker, h.docs[0].ID, 1)
		h.ok(err)
	})
}
