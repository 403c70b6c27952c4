package vault

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/audit"
)

const (
	// scrubBatch is how many rows are read at a time. Fields lie in them, at
	// most 64 KiB and what the encryption adds.
	scrubBatch = 100

	// scrubReaders is how many ciphertexts are read side by side.
	scrubReaders = 4

	// orphanAge is how old a ciphertext without a row must be to count as an
	// orphan: a page is put first and named after (docs/threat-model.md,
	// Retention). Of when it was put a disk tells the day alone.
	orphanAge = 48 * time.Hour

	// collectAge is how old an orphan must be to be removed.
	collectAge = 30 * 24 * time.Hour
)

// Harm is what can be wrong with an object.
type Harm string

// The kinds of harm.
const (
	HarmMissing    Harm = "missing"    // the row names a ciphertext that is not there
	HarmUnreadable Harm = "unreadable" // it is there, and the medium does not give it back
	HarmChanged    Harm = "changed"    // it is not the ciphertext whose digest the row holds
	HarmUnlogged   Harm = "unlogged"   // the row is not what the log commits to
	HarmGap        Harm = "gap"        // an earlier version or page has no row
)

// Damage is one object that is not as it was kept. It holds ids only.
type Damage struct {
	Record  string `json:"record"`
	Page    int    `json:"page"` // 0 for the document's fields
	Version int    `json:"version"`
	Blob    string `json:"blob,omitempty"`
	Harm    Harm   `json:"harm"`
}

// Scrubbed is what a scrub saw. It holds counts and ids, nothing about anybody.
type Scrubbed struct {
	Objects int      `json:"objects"` // rows: versions of fields and pages
	Blobs   int      `json:"blobs"`   // ciphertexts that a row names and that were read to the end
	Bytes   int64    `json:"bytes"`   // of these
	Damaged []Damage `json:"damaged"` // in the order of record, page and version
	Orphans []string `json:"orphans"` // keys of ciphertexts that no row names, older than 48 hours
	Fresh   int      `json:"fresh"`   // such keys that are younger, and may be pages on their way
}

// Scrub reads every object back and holds it against its row, and the row
// against the log. It needs no key and opens nothing, so that it finds what a
// disk, a server or somebody with the database in hand has changed, before the
// holder's embassy does. Damage and orphans are in the report and are no
// error; an error (ErrUnavailable, a context that ended) says that the scrub
// is not complete, and comes with what was seen until then.
//
// What it cannot see is a row that was removed from the end: the log's entries
// do not tell without a key which of them commit to an object.
func (v *Vault) Scrub(ctx context.Context) (Scrubbed, error) {
	s := Scrubbed{Damaged: []Damage{}, Orphans: []string{}}
	named := keySet{}
	err := v.walk(ctx, func(before Object, batch []Object) error {
		return v.scrubBatch(ctx, &s, named, before, batch)
	})
	if err != nil {
		return s, fmt.Errorf("vault: scrub: %w", err)
	}
	orphans, fresh, err := v.findOrphans(ctx, named, orphanAge)
	if err != nil {
		return s, fmt.Errorf("vault: scrub for orphans: %w", err)
	}
	slices.SortFunc(s.Damaged, func(a, b Damage) int {
		return cmp.Or(cmp.Compare(a.Record, b.Record), cmp.Compare(a.Page, b.Page), cmp.Compare(a.Version, b.Version))
	})
	s.Orphans, s.Fresh = append(s.Orphans, orphans...), fresh
	return s, nil
}

// CollectOrphans removes ciphertexts that no row has named for collectAge, and
// returns how many. It reads names alone. So long they stay because an
// administrator may have put the database back by hand: pages that came after
// that copy are orphans, too, until the right one is found.
func (v *Vault) CollectOrphans(ctx context.Context) (removed int, err error) {
	named := keySet{}
	err = v.walk(ctx, func(_ Object, batch []Object) error {
		for _, o := range batch {
			named.add(o.Blob)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("vault: collect orphans: %w", err)
	}
	orphans, _, err := v.findOrphans(ctx, named, collectAge)
	if err != nil {
		return 0, fmt.Errorf("vault: collect orphans: %w", err)
	}
	for _, key := range orphans {
		if err := v.blobs.Delete(ctx, key); err != nil {
			return removed, fmt.Errorf("vault: collect orphans: %w", err)
		}
		removed++
	}
	return removed, nil
}

// Named tells whether a row names a ciphertext. It looks at all of them.
func (v *Vault) Named(ctx context.Context, key string) (named bool, err error) {
	err = v.walk(ctx, func(_ Object, batch []Object) error {
		named = named || slices.ContainsFunc(batch, func(o Object) bool { return o.Blob == key })
		return nil
	})
	return named, err
}

// walk shows all rows to look, in batches, each with the row before it.
func (v *Vault) walk(ctx context.Context, look func(before Object, batch []Object) error) error {
	var last Object
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		batch, err := v.store.AllObjects(ctx, last, scrubBatch)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			return nil
		}
		if err := look(last, batch); err != nil {
			return err
		}
		last = batch[len(batch)-1]
	}
}

// scrubBatch checks some rows, a few at a time.
func (v *Vault) scrubBatch(ctx context.Context, s *Scrubbed, named keySet, before Object, batch []Object) error {
	type finding struct {
		bytes int64
		harm  Harm
		err   error
	}
	findings := make([]finding, len(batch))
	free := make(chan struct{}, scrubReaders)
	var wg sync.WaitGroup
	for i, o := range batch {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			f := &findings[i]
			f.bytes, f.harm, f.err = v.examine(ctx, o)
		})
	}
	wg.Wait()

	for i, o := range batch {
		f := findings[i]
		if f.err != nil {
			return f.err
		}
		s.Objects++
		if o.Blob != "" {
			named.add(o.Blob)
			if f.harm != HarmMissing && f.harm != HarmUnreadable {
				s.Blobs++
				s.Bytes += f.bytes
			}
		}
		if f.harm == "" && !follows(before, o) {
			f.harm = HarmGap
		}
		before = o
		if f.harm == "" {
			continue
		}
		gone, err := v.leaving(ctx, o)
		if err != nil {
			return err
		}
		if !gone {
			s.Damaged = append(s.Damaged, Damage{o.Record, o.Page, o.Version, o.Blob, f.harm})
		}
	}
	return nil
}

// examine reads one object. An error says that nothing can be said about it.
func (v *Vault) examine(ctx context.Context, o Object) (n int64, harm Harm, err error) {
	digest := sha256.Sum256(o.Sealed)
	if o.Blob != "" {
		if n, digest, err = v.digestOf(ctx, o.Blob); err != nil {
			return v.unread(ctx, o, err)
		}
	}
	if digest != o.SHA256 {
		return n, HarmChanged, nil
	}
	note, err := audit.NewNote(commitmentKind, commitmentOf(o))
	if err != nil {
		return n, "", err
	}
	if note.Salt = o.Salt; note.Hash() != o.Logged {
		return n, HarmUnlogged, nil
	}
	return n, "", nil
}

// digestOf reads a ciphertext without keeping it.
func (v *Vault) digestOf(ctx context.Context, key string) (n int64, digest [32]byte, err error) {
	f, err := v.blobs.Get(ctx, key)
	if err != nil {
		return 0, digest, err
	}
	h := sha256.New()
	// Past its bound its digest differs anyway.
	n, err = io.Copy(h, io.LimitReader(f, maxCiphertext+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return n, digest, err
	}
	return n, [32]byte(h.Sum(nil)), nil
}

// unread says what it means that an object could not be read.
func (v *Vault) unread(ctx context.Context, o Object, cause error) (int64, Harm, error) {
	if ctx.Err() != nil {
		return 0, "", ctx.Err()
	}
	if errors.Is(cause, ErrUnavailable) {
		return 0, "", cause
	}
	for key, err := range v.blobs.List(ctx, o.Blob) {
		switch {
		case ctx.Err() != nil:
			return 0, "", ctx.Err()
		case errors.Is(err, ErrUnavailable):
			return 0, "", err
		case err == nil && key == o.Blob:
			return 0, HarmUnreadable, nil
		}
	}
	return 0, HarmMissing, nil
}

// follows reports whether o is the row that must come after the one before:
// versions and pages have no gaps, and a document begins with its fields.
func follows(before, o Object) bool {
	if before.Record != o.Record {
		return o.Page == 0 && o.Version == 1
	}
	return o.Page == before.Page && o.Version == before.Version+1 ||
		o.Page == before.Page+1 && o.Version == 1
}

// leaving reports whether an object's case is being erased or was meanwhile,
// so that what is gone is gone on purpose.
func (v *Vault) leaving(ctx context.Context, o Object) (bool, error) {
	again, err := v.store.AllObjects(ctx, Object{Record: o.Record, Page: o.Page, Version: o.Version - 1}, 1)
	if err != nil {
		return false, err
	}
	if len(again) == 0 || again[0].Record != o.Record || again[0].Page != o.Page || again[0].Version != o.Version {
		return true, nil
	}
	r, err := v.store.Record(ctx, o.Record)
	if errors.Is(err, ErrNotFound) {
		return false, nil // a row without its record is harm enough
	}
	if err != nil {
		return false, err
	}
	journal, err := v.store.Erasures(ctx)
	return slices.ContainsFunc(journal, func(e Erasure) bool { return e.Case == r.Case }), err
}

// findOrphans looks for ciphertexts that no row names: those that are older than
// age, and how many are younger and may be pages on their way. The rows were
// walked first, so that a page which comes while we look is young.
func (v *Vault) findOrphans(ctx context.Context, named keySet, age time.Duration) (orphans []string, fresh int, err error) {
	for key, err := range v.blobs.List(ctx, "") {
		if err != nil {
			return nil, 0, err
		}
		if named.has(key) {
			continue
		}
		since, err := v.blobs.Since(ctx, key)
		switch {
		case err != nil && (ctx.Err() != nil || errors.Is(err, ErrUnavailable)):
			return nil, 0, err
		case err != nil:
			continue // erased while we looked
		case v.now().Sub(since) > age:
			orphans = append(orphans, key)
		default:
			fresh++
		}
	}
	return orphans, fresh, nil
}

// keySet is the keys that rows name, at 16 bytes each: a million pages must
// not need much memory.
type keySet map[[16]byte]struct{}

func (k keySet) add(key string) {
	sum := sha256.Sum256([]byte(key))
	k[[16]byte(sum[:])] = struct{}{}
}

func (k keySet) has(key string) bool {
	sum := sha256.Sum256([]byte(key))
	_, ok := k[[16]byte(sum[:])]
	return ok
}
