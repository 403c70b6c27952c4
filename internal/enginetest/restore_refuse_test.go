package enginetest_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/recovery"
	"github.com/safeconduct/safeconduct/internal/service"
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
	copyFile(t, filepath.Join(d.aside, offsite.PackName), oldPack)
	d.serve() // which makes another pack
	d.published()
	third := filepath.Join(d.temp, "3.age")
	d.must("backup", "--dir", d.at.dir, "--to", d.recipients, third)
	d.kill()

	target := filepath.Join(d.temp, "target")
	try := func(path string, change func(*recovery.RestoreOrder)) error {
		f := recovery.RestoreOrder{
			Backup: path, Identity: d.identity, From: d.aside, Progress: io.Discard,
			Folder: config.Folder{Dir: target, PassphraseFile: d.phrase},
		}
		if change != nil {
			change(&f)
		}
		_, err := recovery.Restore(t.Context(), f)
		return err
	}
	refused := func(what, path string, change func(*recovery.RestoreOrder), want error) {
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
	refused("another identity", first, func(f *recovery.RestoreOrder) { f.Identity = stranger }, backup.ErrWrongIdentity)
	wrong := filepath.Join(d.temp, "wrong")
	if err := os.WriteFile(wrong, []byte("another passphrase\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("another passphrase", first, func(f *recovery.RestoreOrder) { f.Folder.PassphraseFile = wrong }, keyfile.ErrPassphrase)
	refused("a keyring's backup", firstKeys, nil, nil)
	refused("data as a keyring", first, func(f *recovery.RestoreOrder) { f.Keyring = second }, nil)
	refused("a pack from before the backup", third, func(f *recovery.RestoreOrder) { f.Lists = oldPack }, nil)
	refused("no pack at all", first, func(f *recovery.RestoreOrder) { f.From = "" }, nil)
	refused("keys without a journal", first, func(f *recovery.RestoreOrder) {
		f.From, f.Lists, f.Keyring = "", filepath.Join(d.aside, offsite.PackName), firstKeys
	}, recovery.ErrJournalOld)
	refused("keys after 36 days", first, func(f *recovery.RestoreOrder) {
		f.Keyring, f.Now = firstKeys, func() time.Time { return time.Now().Add(recovery.KeyringLife + 24*time.Hour) }
	}, nil)

	// And what is refused there is taken when it is right.
	if err := try(first, func(f *recovery.RestoreOrder) { f.Keyring = firstKeys }); err != nil {
		t.Fatal(err)
	}
	if err := try(first, nil); err == nil {
		t.Error("a folder that is not empty was taken")
	}

	// One that was cut off is of no use to anybody.
	if err := files.Replace(filepath.Join(target, config.UnfinishedName), nil); err != nil {
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
	list, err := os.ReadFile(recipients)
	if err != nil {
		t.Fatal(err)
	}
	to, err := backup.ParseRecipients(bytes.NewReader(list))
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
	if d.erase(p.caseID) == nil {
		t.Error("a case was erased without a journal outside of the database")
	}
	if !bytes.Equal(d.page(p.document), p.page) {
		t.Error("what was refused has happened")
	}
	if err := os.Rename(away, d.aside); err != nil {
		t.Fatal(err)
	}
	d.mustErase(p.caseID)
	d.kill()
	d.goneForGood(p)

	if err := errors.Join(os.RemoveAll(d.at.dir), os.CopyFS(d.at.dir, os.DirFS(saved))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(d.at.dir, config.KeysName), 0o600); err != nil {
		t.Fatal(err)
	}
	// What lies outside says that log and database are old ones, and nothing would be
	// served: the administrator takes that away, too.
	for _, name := range []string{offsite.CheckpointName, offsite.RowsName} {
		if err := os.Remove(filepath.Join(d.aside, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	d.look(func(h *service.Service) {
		if _, err := h.Keyring.Get(t.Context(), p.document); err != nil {
			t.Error("the key did not come back: this test proves nothing")
		}
	})
	d.serve()
	d.kill()
	d.goneForGood(p)
}
