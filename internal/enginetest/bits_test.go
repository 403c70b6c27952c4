package enginetest_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
	"github.com/safeconduct/safeconduct/vault"
)

// atRest is a network that was closed, as a folder that can be copied.
type atRest struct {
	t      *testing.T
	dir    string
	phrase string
}

// newAtRest makes a network with something of everything in it, and closes it.
func newAtRest(t *testing.T, also ...func(a *attacked)) (*atRest, *attacked) {
	t.Helper()
	a := newAttacked(t)
	a.addPages()
	a.answered()
	for _, do := range also {
		do(a)
	}
	a.begin()
	a.ok(errors.Join(a.db.Close(), a.s.Close()))
	r := &atRest{t, a.cfg.Dir, filepath.Join(t.TempDir(), "passphrase")}
	a.ok(os.WriteFile(r.phrase, []byte(a.cfg.Passphrase), 0o600))
	return r, a
}

// addPages keeps pages of the document, one of them in two versions.
func (a *attacked) addPages() {
	a.t.Helper()
	for i := range 3 {
		var picture bytes.Buffer
		a.ok(png.Encode(&picture, image.NewGray(image.Rect(0, 0, 30+i, 40))))
		meta := vault.PageMeta{Role: vault.RoleVisa, MediaType: "image/png"}
		if i == 2 {
			meta.Page = 1
		}
		_, err := a.s.Vault.AddPage(a.t.Context(), a.ngo, a.document, meta, &picture)
		a.ok(err)
	}
}

// answered has what comes and goes with requests and with signing in.
func (a *attacked) answered() {
	a.t.Helper()
	ctx := a.t.Context()
	once := a.s.DB.Idempotency(rowsNow)
	for range 2 {
		claim, _, err := once.Begin(ctx, a.ngo.ID, randomHex(16), [32]byte{1})
		a.ok(err)
		a.ok(once.Finish(ctx, claim, a.case_, []byte("an answer")))
		_, err = a.s.DB.Sessions().Spend(ctx, sha256.Sum256([]byte(randomHex(16))), rowsNow())
		a.ok(err)
		_, err = a.s.DB.Sessions().Used(ctx, sha256.Sum256([]byte(randomHex(16))), signin.Use{SignCount: 7})
		a.ok(err)
	}
}

// copied is a copy of the folder.
func (r *atRest) copied(to string) config.Folder {
	r.t.Helper()
	err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(r.dir)))
	if err == nil {
		err = errors.Join(os.Chmod(to, 0o700), os.Chmod(filepath.Join(to, config.KeysName), 0o600))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return config.Folder{Dir: to, PassphraseFile: r.phrase}
}

// leftOut are tables that nobody relies on, and why.
var leftOut = map[string]string{
	"goose_db_version": "when each migration was applied; which ones were is looked at when the file is opened",
	"sqlite_sequence":  "the library's number for the next of these",
	"leases":           "which process publishes, for some seconds",
	"instances":        "which processes run",
}

// span is some bytes of a file in the folder.
type span struct {
	file string
	sqlitetest.Span
}

// stored are the bytes of the folder, by what they are of.
func (r *atRest) stored() map[string][]span {
	all := map[string][]span{}
	err := filepath.WalkDir(r.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, _ := filepath.Rel(r.dir, path)
		if strings.HasSuffix(name, ".db") {
			for of, spans := range sqlitetest.Stored(r.t, path) {
				if leftOut[of] != "" {
					continue
				}
				for _, s := range spans {
					all[name+": "+of] = append(all[name+": "+of], span{name, s})
				}
			}
			return nil
		}
		info, err := e.Info()
		of := name
		if strings.HasPrefix(name, config.LogName+"/tile") || strings.HasPrefix(name, config.ObjectsName+"/") && !strings.HasSuffix(name, "network") {
			of, _, _ = strings.Cut(name, "/")
		}
		all[of] = append(all[of], span{name, sqlitetest.Span{To: info.Size()}})
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// aBit is one bit of the folder.
type aBit struct {
	of, file string
	at       int64
	bit      int
}

func (b aBit) String() string {
	return fmt.Sprintf("%s: bit %d of byte %d of %s", b.of, b.bit, b.at, b.file)
}

// draw draws bits, of each kind of thing as many as of any other.
func draw(random *rand.Rand, all map[string][]span, n int) (bits []aBit) {
	sizes := map[string]int64{}
	for of, spans := range all {
		for _, s := range spans {
			sizes[of] += s.To - s.From
		}
		if sizes[of] == 0 {
			delete(sizes, of) // a file that only locks
		}
	}
	kinds := slices.Sorted(maps.Keys(sizes))
	random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for i := range n {
		of := kinds[i%len(kinds)]
		at := random.Int64N(sizes[of])
		for _, s := range all[of] {
			if at < s.To-s.From {
				bits = append(bits, aBit{of, s.file, s.From + at, random.IntN(8)})
				break
			}
			at -= s.To - s.From
		}
	}
	return bits
}

// TestBits flips single bits of everything that a network keeps, 40 of them, or as many as
// SAFECONDUCT_BITS says: databases, pages, log, keys, and what lies aside. Each of them
// fsck finds. SAFECONDUCT_BITS_SEED draws those of another run again.
func TestBits(t *testing.T) {
	t.Parallel() // it works on a folder of its own, and waits for a disk
	n, seed := number(t, "SAFECONDUCT_BITS", 40), number(t, "SAFECONDUCT_BITS_SEED", rand.Uint64())
	r, _ := newAtRest(t)
	to := filepath.Join(t.TempDir(), "copy")
	if found, err := doctor.Fsck(t.Context(), r.copied(to)); err != nil || len(found.Problems) > 0 {
		t.Fatalf("before any bit: %v, %q", err, found.Problems)
	}
	all := r.stored()
	t.Logf("seed %d, %d kinds of things", seed, len(all))
	bits := draw(rand.New(rand.NewPCG(seed, 0)), all, int(n))
	if len(bits) != int(n) {
		t.Fatalf("%d of %d bits were drawn", len(bits), n)
	}
	found := 0
	for _, b := range bits {
		folder := r.copied(to)
		data, err := os.ReadFile(folder.Path(b.file))
		if err != nil {
			t.Fatal(err)
		}
		data[b.at] ^= 1 << b.bit
		if err := os.WriteFile(folder.Path(b.file), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if health, err := doctor.Fsck(t.Context(), folder); err == nil && len(health.Problems) == 0 {
			t.Errorf("not found: %s", b)
			continue
		}
		found++
	}
	t.Logf("%d of %d single bits found", found, n)
}

// number is what a variable says, or else what it is without it.
func number(t *testing.T, name string, without uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return without
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
