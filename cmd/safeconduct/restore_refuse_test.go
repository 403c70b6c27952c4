package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/vault"
)

// TestRestoreRefuses gives restore what is damaged, too old, somebody else's or
// put together anew. Each is refused, and nothing is written.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	d := newDrill(t, func() site { return site{passphrase: true} })
	d.found()
	d.takeIn()
	first, firstKeys := filepath.Join(d.temp, "1.age"), filepath.Join(d.temp, "1.keys")
	d.must("backup", "--dir", d.at.dir, "--to", d.recipients, "--keyring-file", firstKeys, first)
	d.published()
	second := filepath.Join(d.temp, "2.age")
	d.must("backup", "--dir", d.at.dir, "--to", d.recipients, second)
	d.kill()
	oldPack := filepath.Join(d.temp, "old-pack.json")
	copyFile(t, filepath.Join(d.aside, publicPackName), oldPack)
	d.serve() // which makes another pack
	d.published()
	third := filepath.Join(d.temp, "3.age")
	d.must("backup", "--dir", d.at.dir, "--to", d.recipients, third)
	d.kill()

	target := filepath.Join(d.temp, "target")
	try := func(path string, change func(*restoreFlags)) error {
		f := restoreFlags{identity: d.identity, from: d.aside, now: time.Now}
		f.dir, f.passphraseFile = target, d.phrase
		if change != nil {
			change(&f)
		}
		return f.run(t.Context(), io.Discard, io.Discard, path)
	}
	refused := func(what, path string, change func(*restoreFlags), want error) {
		t.Helper()
		err := try(path, change)
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
		if entries, err := os.ReadDir(target); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("%s: %d files were left, %v", what, len(entries), err)
		}
	}

	whole, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(d.temp, "damaged.age")
	with := func(data []byte) string {
		if err := os.WriteFile(damaged, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return damaged
	}
	for i := range 100 {
		at := (len(whole) - 1) * i / 99
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1 << rand.IntN(8)
		refused(fmt.Sprintf("a bit at %d of %d", at, len(whole)), with(flipped), nil, nil)
		refused(fmt.Sprintf("cut at %d", at), with(whole[:at]), nil, nil)
	}

	// Put together anew by somebody who can open and seal, and cannot sign.
	old, newer := partsOf(t, first, d.identity), partsOf(t, second, d.identity)
	resealed := func(parts []backup.File, m backup.Manifest, signature []byte) string {
		t.Helper()
		return with(reseal(t, d.recipients, parts, m, signature))
	}
	refused("nobody's signature", resealed(newer.files, newer.Manifest, make([]byte, ed25519.SignatureSize)), nil, backup.ErrDamaged)
	refused("an older signature", resealed(newer.files, newer.Manifest, old.Signature), nil, backup.ErrDamaged)
	refused("older rows", resealed(append(old.files[:1:1], newer.files[1:]...), newer.Manifest, newer.Signature), nil, backup.ErrDamaged)
	swapped := append([]backup.File{newer.files[1], newer.files[0]}, newer.files[2:]...)
	refused("parts in another order", resealed(swapped, newer.Manifest, newer.Signature), nil, backup.ErrDamaged)
	if s := partsOf(t, resealed(newer.files, newer.Manifest, newer.Signature), d.identity); !bytes.Equal(s.Raw, newer.Raw) {
		t.Error("put together as it was it differs: the four cases above prove nothing")
	}

	stranger := filepath.Join(d.temp, "stranger")
	d.must("backup", "keygen", stranger)
	refused("another identity", first, func(f *restoreFlags) { f.identity = stranger }, backup.ErrWrongIdentity)
	wrong := filepath.Join(d.temp, "wrong")
	if err := os.WriteFile(wrong, []byte("another passphrase\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("another passphrase", first, func(f *restoreFlags) { f.passphraseFile = wrong }, keyfile.ErrPassphrase)
	refused("a keyring's backup", firstKeys, nil, nil)
	refused("data as a keyring", first, func(f *restoreFlags) { f.keyring = second }, nil)
	refused("a pack from before the backup", third, func(f *restoreFlags) { f.lists = oldPack }, nil)
	refused("no pack at all", first, func(f *restoreFlags) { f.from = "" }, nil)
	refused("keys without a journal", first, func(f *restoreFlags) {
		f.from, f.lists, f.keyring = "", filepath.Join(d.aside, publicPackName), firstKeys
	}, errJournalOld)
	refused("keys after 36 days", first, func(f *restoreFlags) {
		f.keyring, f.now = firstKeys, func() time.Time { return time.Now().Add(keyringLife + 24*time.Hour) }
	}, nil)

	// And what is refused there is taken when it is right.
	if err := try(first, func(f *restoreFlags) { f.keyring = firstKeys }); err != nil {
		t.Fatal(err)
	}
	if err := try(first, nil); err == nil {
		t.Error("a folder that is not empty was taken")
	}

	// One that was cut off is of no use to anybody.
	if err := writeFile(filepath.Join(target, unfinishedName), nil); err != nil {
		t.Fatal(err)
	}
	d.at.dir = target
	for _, args := range [][]string{{"serve"}, {"fsck"}, {"log", "verify"}, {"erasures", "export", damaged + "2"}, {"backup", "--to", d.recipients, damaged + "3"}} {
		if why := d.mustNot(append(args, "--dir", target)...); !strings.Contains(why, "cut off") {
			t.Errorf("%q in a folder that a restore did not finish: %s", args, why)
		}
	}
}

// opened is a backup in parts.
type openedBackup struct {
	backup.Signed

	files []backup.File
}

func partsOf(t *testing.T, path, identity string) (o openedBackup) {
	t.Helper()
	o.Signed = read(t, path, identity, func(name string, data []byte) {
		o.files = append(o.files, backup.File{Name: name, Data: bytes.Clone(data)})
	})
	return o
}

// reseal writes parts with a signature that somebody found elsewhere.
func reseal(t *testing.T, recipients string, parts []backup.File, m backup.Manifest, signature []byte) []byte {
	t.Helper()
	to, err := readRecipients(recipients)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if err := w.Add(p.Name, p.Data); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(m, func([]byte) ([]byte, error) { return signature, nil }); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err := errors.Join(err, os.WriteFile(to, data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestErasedStaysErased puts databases back by hand, keyring and all, as an
// administrator might: the next start erases again, before it serves.
func TestErasedStaysErased(t *testing.T) {
	t.Parallel()
	d := newDrill(t, func() site { return site{passphrase: true} })
	d.found()
	p := d.takeIn()
	d.kill()
	saved := t.TempDir()
	if err := os.CopyFS(saved, os.DirFS(d.at.dir)); err != nil {
		t.Fatal(err)
	}
	d.serve()

	// Where the journal cannot be written, nothing is erased.
	away := d.aside + "-away"
	if err := os.Rename(d.aside, away); err != nil {
		t.Fatal(err)
	}
	if d.supervisor.call(t.Context(), "DELETE", "/api/v1/cases/"+p.caseID, "", "", nil) == nil {
		t.Error("a case was erased without a journal outside of the database")
	}
	if !bytes.Equal(d.page(p.document), p.page) {
		t.Error("what was refused has happened")
	}
	if err := os.Rename(away, d.aside); err != nil {
		t.Fatal(err)
	}
	d.supervisor.must("DELETE", "/api/v1/cases/"+p.caseID, "", nil)
	d.kill()
	d.goneForGood(p)

	if err := errors.Join(os.RemoveAll(d.at.dir), os.CopyFS(d.at.dir, os.DirFS(saved))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(d.at.dir, keysName), 0o600); err != nil {
		t.Fatal(err)
	}
	d.look(func(h *house) {
		if _, err := h.keyring.Get(t.Context(), p.document); err != nil {
			t.Error("the key did not come back: this test proves nothing")
		}
	})
	d.serve()
	d.kill()
	d.goneForGood(p)
}

// someKeys is a keystore that can do a keyed hash.
func someKeys(t testing.TB) keystore {
	t.Helper()
	keys, err := keyfile.Create(context.Background(), keyfile.Config{
		Path: filepath.Join(t.TempDir(), keysName), Passphrase: "a passphrase for a test", WorkFactor: 1,
	}, "safeconduct/test")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestJournal: only this network's keystore signs, for this network.
func TestJournal(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	keys, others := someKeys(t), someKeys(t)
	id := strings.Repeat("a", 32)
	j := journal{Network: id, Sequence: 7, Made: time.Now().UTC().Truncate(time.Second), Erasures: []journalEntry{
		{Case: strings.Repeat("1", 32), Agency: "x", Records: []string{strings.Repeat("1", 32)}, Day: "2026-01-02", MAC: []byte("mac")},
	}}
	data, err := j.marshal(ctx, keys)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseJournal(ctx, keys, id, data)
	if err != nil || got.Sequence != 7 || len(got.Erasures) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := parseJournal(ctx, others, id, data); !errors.Is(err, errJournal) {
		t.Errorf("another keystore: %v", err)
	}
	if _, err := parseJournal(ctx, keys, strings.Repeat("b", 32), data); !errors.Is(err, errJournal) {
		t.Errorf("another network: %v", err)
	}
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		if _, err := parseJournal(ctx, keys, id, changed); !errors.Is(err, errJournal) {
			t.Fatalf("a bit at %d: %v", i, err)
		}
		if _, err := parseJournal(ctx, keys, id, data[:i]); !errors.Is(err, errJournal) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

// TestJournalGrows: a database that is an older copy takes nothing out of the
// journal, and does not make it look older.
func TestJournalGrows(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var sequence uint64
	var erasures []vault.Erasure
	a := &aside{
		dir: t.TempDir(), network: strings.Repeat("a", 32), keys: someKeys(t), now: time.Now,
		state: func(context.Context) (uint64, []vault.Erasure, error) { return sequence, erasures, nil },
	}
	one := vault.Erasure{Case: strings.Repeat("1", 32), Agency: "x", Records: []string{strings.Repeat("1", 32)}, Day: time.Now(), MAC: []byte("m")}
	two := vault.Erasure{Case: strings.Repeat("2", 32), Agency: "x", Records: []string{strings.Repeat("2", 32)}, Day: time.Now(), MAC: []byte("m")}
	for _, step := range []struct {
		sequence uint64
		erasures []vault.Erasure
		want     int
		number   uint64
	}{{3, nil, 0, 3}, {4, []vault.Erasure{one}, 1, 4}, {2, nil, 1, 4}, {2, []vault.Erasure{two}, 2, 4}} {
		sequence, erasures = step.sequence, step.erasures
		if err := a.keepJournal(ctx); err != nil {
			t.Fatal(err)
		}
		j, err := a.read(ctx)
		if err != nil || len(j.Erasures) != step.want || j.Sequence != step.number {
			t.Fatalf("%+v: %d erasures, number %d, %v", step, len(j.Erasures), j.Sequence, err)
		}
	}
}

// FuzzJournal reads what is no journal.
func FuzzJournal(f *testing.F) {
	keys := someKeys(f)
	id := strings.Repeat("a", 32)
	good, err := journal{Network: id, Erasures: []journalEntry{}}.marshal(context.Background(), keys)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("AAAA\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := parseJournal(context.Background(), keys, id, data)
		if err == nil != bytes.Equal(data, good) || err != nil && !errors.Is(err, errJournal) {
			t.Errorf("%q: %v", data, err)
		}
	})
}

// TestOriginNames: a checkpoint's first line chooses among the names of this
// network's log, and no others.
func TestOriginNames(t *testing.T) {
	t.Parallel()
	keys := someKeys(t)
	vkey, err := keys.LogKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for line, renamed := range map[string]bool{
		"safeconduct/test": false, "safeconduct/test/0123abcd": true, "safeconduct/test/0123ABCD": false,
		"safeconduct/test/": false, "safeconduct/other/0123abcd": false, "safeconduct/test/0123abcd/0123abcd": false, "": false,
	} {
		got, err := keyForCheckpoint(vkey, []byte(line+"\n5\n"))
		if err != nil || (got != vkey) != renamed || renamed && !strings.HasPrefix(got, line+"+") {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
}
