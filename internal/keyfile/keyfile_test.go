package keyfile_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/verifier"
)

const origin = "example.org/log"

func config(t *testing.T) keyfile.Config {
	t.Helper()
	return keyfile.Config{
		Path: filepath.Join(t.TempDir(), "keys.age"), Passphrase: "made up for a test",
		WorkFactor: 4, // nobody depends on these keys
	}
}

func create(t *testing.T) (*keyfile.File, keyfile.Config) {
	t.Helper()
	cfg := config(t)
	f, err := keyfile.Create(t.Context(), cfg, origin)
	if err != nil {
		t.Fatal(err)
	}
	return f, cfg
}

func open(t *testing.T, cfg keyfile.Config) *keyfile.File {
	t.Helper()
	f, err := keyfile.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// must is for values that a test needs before it can start.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestCreateAndOpen(t *testing.T) {
	f, cfg := create(t)
	kid, pub, err := keystore.New(f).NewAgency(t.Context(), "aa01")
	if err != nil {
		t.Fatal(err)
	}
	if want := jws.KeyID(pub); kid != want {
		t.Errorf("kid %s, want %s", kid, want)
	}
	again := open(t, cfg)
	for _, c := range []struct {
		name string
		get  func(*keyfile.File) (verifier.Signer, error)
	}{
		{"root", func(f *keyfile.File) (verifier.Signer, error) { return keystore.New(f).Root(t.Context()) }},
		{"status", func(f *keyfile.File) (verifier.Signer, error) { return keystore.New(f).Status(t.Context()) }},
		{"pack", func(f *keyfile.File) (verifier.Signer, error) { return keystore.New(f).Pack(t.Context()) }},
		{"agency", func(f *keyfile.File) (verifier.Signer, error) {
			kid, key, err := keystore.New(f).Signer(t.Context(), "aa01")
			return verifier.Signer{KeyID: kid, Key: key}, err
		}},
	} {
		before, after := must(c.get(f)), must(c.get(again))
		if before.KeyID != after.KeyID || before.KeyID == "" {
			t.Errorf("%s: kid %q after opening again, want %q", c.name, after.KeyID, before.KeyID)
		}
		if _, leaks := after.Key.(*ecdsa.PrivateKey); leaks {
			t.Errorf("%s: the private key itself was handed out", c.name)
		}
		message := []byte("text")
		digest := sha256.Sum256(message)
		sig := must(crypto.SignMessage(after.Key, rand.Reader, message, crypto.SHA256))
		if !ecdsa.VerifyASN1(before.Key.Public().(*ecdsa.PublicKey), digest[:], sig) {
			t.Errorf("%s: the signature does not verify", c.name)
		}
	}
	vkey := must(keystore.New(again).LogKey(t.Context()))
	signer := must(keystore.New(again).LogSigner(t.Context(), vkey))
	signed := must(note.Sign(&note.Note{Text: "text\n"}, signer))
	if _, err := note.Open(signed, note.VerifierList(must(note.NewVerifier(vkey)))); err != nil {
		t.Errorf("checkpoint under %s: %v", signer.Name(), err)
	}
	if signer.Name() != origin {
		t.Errorf("log name %q, want %q", signer.Name(), origin)
	}

	if _, err := keyfile.Create(t.Context(), cfg, origin); !errors.Is(err, keyfile.ErrExists) {
		t.Errorf("create over a file: %v, want ErrExists", err)
	}
	if got, want := must(again.Generation(t.Context())), uint64(1); got != want {
		t.Errorf("generation %d, want %d", got, want)
	}
	left := must(filepath.Glob(filepath.Join(filepath.Dir(cfg.Path), ".keys.age.*")))
	if len(left) != 0 {
		t.Errorf("temporary files are left: %d", len(left))
	}
	if runtime.GOOS != "windows" {
		if got := must(os.Stat(cfg.Path)).Mode().Perm(); got != 0o600 {
			t.Errorf("mode %o, want 600", got)
		}
	}
}

// TestRefuses is hostile case 73: nothing of a file that is not
// exactly what was written is used.
func TestRefuses(t *testing.T) {
	f, good := create(t)
	if _, _, err := keystore.New(f).NewAgency(t.Context(), "aa01"); err != nil {
		t.Fatal(err)
	}
	data := must(os.ReadFile(good.Path))
	header, _, _ := bytes.Cut(data, []byte("\n---"))
	for _, c := range []struct {
		name string
		edit func(t *testing.T, cfg *keyfile.Config)
		want error
	}{
		{"readable by the group", func(t *testing.T, cfg *keyfile.Config) { chmod(t, cfg.Path, 0o640) }, keyfile.ErrMode},
		{"readable by all", func(t *testing.T, cfg *keyfile.Config) { chmod(t, cfg.Path, 0o604) }, keyfile.ErrMode},
		{"executable", func(t *testing.T, cfg *keyfile.Config) { chmod(t, cfg.Path, 0o700) }, keyfile.ErrMode},
		{"a folder", func(t *testing.T, cfg *keyfile.Config) { cfg.Path = filepath.Dir(cfg.Path) }, keyfile.ErrMode},
		{"a link", func(t *testing.T, cfg *keyfile.Config) {
			if err := os.Symlink(cfg.Path, cfg.Path+"2"); err != nil {
				t.Fatal(err)
			}
			cfg.Path += "2"
		}, keyfile.ErrMode},
		{"no file", func(_ *testing.T, cfg *keyfile.Config) { cfg.Path += ".gone" }, keyfile.ErrNotFound},
		{"wrong passphrase", func(_ *testing.T, cfg *keyfile.Config) { cfg.Passphrase += "x" }, keyfile.ErrPassphrase},
		{"empty", func(t *testing.T, cfg *keyfile.Config) { write(t, cfg.Path, nil) }, keyfile.ErrDamaged},
		{"header only", func(t *testing.T, cfg *keyfile.Config) { write(t, cfg.Path, header) }, keyfile.ErrDamaged},
		{"last byte missing", func(t *testing.T, cfg *keyfile.Config) { write(t, cfg.Path, data[:len(data)-1]) }, keyfile.ErrDamaged},
		{"last half missing", func(t *testing.T, cfg *keyfile.Config) { write(t, cfg.Path, data[:len(data)/2]) }, keyfile.ErrDamaged},
		{"a byte more", func(t *testing.T, cfg *keyfile.Config) { write(t, cfg.Path, append(slices.Clone(data), 0)) }, keyfile.ErrDamaged},
		{"a bit flipped", func(t *testing.T, cfg *keyfile.Config) {
			b := slices.Clone(data)
			b[len(b)-40] ^= 1
			write(t, cfg.Path, b)
		}, keyfile.ErrDamaged},
		{"another work factor", func(t *testing.T, cfg *keyfile.Config) {
			write(t, cfg.Path, bytes.Replace(data, []byte(" 4\n"), []byte(" 3\n"), 1))
		}, keyfile.ErrPassphrase},
		{"an absurd work factor", func(t *testing.T, cfg *keyfile.Config) {
			write(t, cfg.Path, bytes.Replace(data, []byte(" 4\n"), []byte(" 60\n"), 1))
		}, keyfile.ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(t)
			write(t, cfg.Path, data)
			c.edit(t, &cfg)
			if _, err := keyfile.Open(cfg); !errors.Is(err, c.want) {
				t.Errorf("open: %v, want %v", err, c.want)
			}
		})
	}
	cfg := config(t)
	write(t, cfg.Path, data)
	if _, err := keyfile.Open(cfg); err != nil {
		t.Errorf("the untouched copy: %v", err)
	}
	if _, err := keyfile.Open(keyfile.Config{}); err == nil {
		t.Error("an empty config was taken")
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no such modes on Windows")
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOlderCopy(t *testing.T) {
	f, cfg := create(t)
	old := must(os.ReadFile(cfg.Path))
	if _, _, err := keystore.New(f).NewAgency(t.Context(), "aa01"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(cfg.Path); err != nil {
		t.Fatal(err)
	}
	write(t, cfg.Path, old)
	if _, _, err := keystore.New(f).NewAgency(t.Context(), "aa02"); !errors.Is(err, keyfile.ErrOlder) {
		t.Errorf("update over an older copy: %v, want ErrOlder", err)
	}
	if got := must(os.ReadFile(cfg.Path)); !bytes.Equal(got, old) {
		t.Error("a refused update changed the file")
	}
}

func TestWrap(t *testing.T) {
	f, _ := create(t)
	for _, id := range []string{"aa01", "aa02"} {
		if _, _, err := keystore.New(f).NewAgency(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	key := []byte("sixteen bytes...")
	wrapped := must(f.Wrap(t.Context(), "aa01", "rec1", key))
	if again := must(f.Wrap(t.Context(), "aa01", "rec1", key)); bytes.Equal(again, wrapped) {
		t.Error("wrapping twice gave the same bytes")
	}
	flip := func(i int) []byte {
		b := slices.Clone(wrapped)
		b[i] ^= 1
		return b
	}
	for _, c := range []struct {
		name           string
		agency, record string
		wrapped        []byte
		want           error
	}{
		{"as wrapped", "aa01", "rec1", wrapped, nil},
		{"another agency", "aa02", "rec1", wrapped, keyfile.ErrWrapped},
		{"another record", "aa01", "rec2", wrapped, keyfile.ErrWrapped},
		{"the border moved", "aa01", "rec1a", wrapped, keyfile.ErrWrapped},
		{"an agency without keys", "aa03", "rec1", wrapped, keyfile.ErrNoKey},
		{"another key number", "aa01", "rec1", flip(3), keyfile.ErrWrapped},
		{"a huge key number", "aa01", "rec1", flip(0), keyfile.ErrWrapped},
		{"a bit flipped", "aa01", "rec1", flip(len(wrapped) - 1), keyfile.ErrWrapped},
		{"cut", "aa01", "rec1", wrapped[:10], keyfile.ErrWrapped},
		{"empty", "aa01", "rec1", nil, keyfile.ErrWrapped},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := f.Unwrap(t.Context(), c.agency, c.record, c.wrapped)
			if !errors.Is(err, c.want) {
				t.Fatalf("unwrap: %v, want %v", err, c.want)
			}
			if c.want == nil && !bytes.Equal(got, key) {
				t.Error("other bytes came back")
			}
			if c.want != nil && got != nil {
				t.Error("bytes came back beside an error")
			}
		})
	}
	if _, err := f.Wrap(t.Context(), "aa03", "rec1", key); !errors.Is(err, keyfile.ErrNoKey) {
		t.Errorf("wrap to an agency without keys: %v, want ErrNoKey", err)
	}
}

func TestEpochs(t *testing.T) {
	f, cfg := create(t)
	plain := []byte("keys of an epoch")
	wrapped := must(f.WrapEpoch(t.Context(), 7, plain))
	if got := must(open(t, cfg).UnwrapEpoch(t.Context(), 7, wrapped)); !bytes.Equal(got, plain) {
		t.Error("other bytes came back")
	}
	if _, err := f.UnwrapEpoch(t.Context(), 8, wrapped); !errors.Is(err, keyfile.ErrWrapped) {
		t.Errorf("for another epoch: %v, want ErrWrapped", err)
	}
	other, _ := create(t)
	if _, err := other.UnwrapEpoch(t.Context(), 7, wrapped); !errors.Is(err, keyfile.ErrWrapped) {
		t.Errorf("with another network's keys: %v, want ErrWrapped", err)
	}
}

func TestMAC(t *testing.T) {
	f, cfg := create(t)
	a := must(f.MAC(t.Context(), "card number", []byte("1")))
	if len(a) != sha256.Size {
		t.Errorf("%d bytes, want %d", len(a), sha256.Size)
	}
	if b := must(open(t, cfg).MAC(t.Context(), "card number", []byte("1"))); !bytes.Equal(a, b) {
		t.Error("the same value changed when the file was opened again")
	}
	other, _ := create(t)
	for name, b := range map[string][]byte{
		"other data":    must(f.MAC(t.Context(), "card number", []byte("2"))),
		"other label":   must(f.MAC(t.Context(), "card numbe", []byte("r1"))),
		"other network": must(other.MAC(t.Context(), "card number", []byte("1"))),
	} {
		if bytes.Equal(a, b) {
			t.Errorf("%s: the same value", name)
		}
	}
}

func TestAgencies(t *testing.T) {
	f, cfg := create(t)
	first, _, err := keystore.New(f).NewAgency(t.Context(), "aa01")
	if err != nil {
		t.Fatal(err)
	}
	if again, _, err := keystore.New(f).NewAgency(t.Context(), "aa01"); err != nil || again != first {
		t.Errorf("repeated: %s, %v, want %s", again, err, first)
	}
	wrapped := must(f.Wrap(t.Context(), "aa01", "rec1", []byte("file key")))
	second, _, err := keystore.New(f).RotateAgency(t.Context(), "aa01", first)
	if err != nil {
		t.Fatal(err)
	}
	if kid, _, err := keystore.New(f).Signer(t.Context(), "aa01"); err != nil || kid != second || kid == first {
		t.Errorf("after rotation %s signs, %v, want %s", kid, err, second)
	}
	if got := must(open(t, cfg).Unwrap(t.Context(), "aa01", "rec1", wrapped)); string(got) != "file key" {
		t.Error("rotation lost what was wrapped before")
	}
	if _, _, err := keystore.New(f).RotateAgency(t.Context(), "aa02", first); !errors.Is(err, keyfile.ErrNoKey) {
		t.Errorf("rotate an unknown agency: %v, want ErrNoKey", err)
	}
	if _, _, err := keystore.New(f).Signer(t.Context(), ""); !errors.Is(err, keyfile.ErrNoKey) {
		t.Errorf("signer of no agency: %v, want ErrNoKey", err)
	}
	if _, _, err := keystore.New(f).NewAgency(t.Context(), ""); err == nil {
		t.Error("an agency without an id was taken")
	}
}

// TestTwoProcesses has two open files change the same one on the disk, as a
// server and a command beside it do: no change is lost, and each sees the
// other's.
func TestTwoProcesses(t *testing.T) {
	a, cfg := create(t)
	b := open(t, cfg)
	var wg sync.WaitGroup
	for i := range 8 {
		f := a
		if i%2 == 1 {
			f = b
		}
		wg.Go(func() {
			if _, _, err := keystore.New(f).NewAgency(context.Background(), fmt.Sprintf("aa%02d", i)); err != nil {
				t.Errorf("agency %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		id := fmt.Sprintf("aa%02d", i)
		kidA, _, errA := keystore.New(a).Signer(t.Context(), id)
		kidB, _, errB := keystore.New(b).Signer(t.Context(), id)
		if errA != nil || errB != nil || kidA != kidB {
			t.Errorf("agency %d: %s, %v and %s, %v", i, kidA, errA, kidB, errB)
		}
	}
	// The log is read by whoever changes nothing, and replaced once.
	before := must(keystore.New(a).Notes(t.Context()))[0]
	for _, f := range []*keyfile.File{a, b} {
		if err := keystore.New(f).RotateOwn(t.Context(), verifier.UseLog, before.KeyID); err != nil {
			t.Error(err)
		}
		for _, reads := range []*keyfile.File{a, b} {
			if got := must(reads.LogKeys(t.Context())); len(got) != 2 || got[1] != before.Note {
				t.Errorf("the log has the keys %q", got)
			}
		}
	}
	if got, want := must(open(t, cfg).Generation(t.Context())), uint64(9); got != want {
		t.Errorf("generation %d, want %d", got, want)
	}
}

func TestLockGivesUp(t *testing.T) {
	f, cfg := create(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	unlock, err := keyfile.Lock(t.Context(), cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, _, err := keystore.New(f).NewAgency(ctx, "aa01"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("update under another's lock: %v, want DeadlineExceeded", err)
	}
}

func TestErrorsNameNoPath(t *testing.T) {
	cfg := config(t)
	cfg.Path = filepath.Join(t.TempDir(), "somewhere", "keys.age")
	_, err := keyfile.Create(t.Context(), cfg, origin)
	if err == nil || strings.Contains(err.Error(), "somewhere") {
		t.Errorf("error %v, want one without the path", err)
	}
	if _, err := keyfile.Create(t.Context(), config(t), "two words"); err == nil {
		t.Error("a log name with a space was taken")
	}
}

func ExampleCreate() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	keys, err := keyfile.Create(ctx, keyfile.Config{
		Path:       filepath.Join(dir, "keys.age"),
		Passphrase: "an example only",
		WorkFactor: 4, // an example's keys protect nobody
	}, "example.org/log")
	if err != nil {
		fmt.Println(err)
		return
	}
	kid, _, err := keystore.New(keys).NewAgency(ctx, "5eed")
	fmt.Println(len(kid), err)
	// Output: 16 <nil>
}
