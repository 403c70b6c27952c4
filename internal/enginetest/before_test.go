package enginetest_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/verifier"
)

// beforeDir holds what the version before this one wrote; its README says how.
var beforeDir = filepath.Join("..", "..", "testdata", "before")

// beforeNow is the time in which it is opened: what runs out has not yet.
func beforeNow() time.Time { return time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC) }

// knownBefore is what was done, as far as it can still be read.
type knownBefore struct {
	Agency string
	Card   struct{ ID, Number, Code, Digits string }
}

// TestBefore: a network of the version before has no roster, so that every command that
// opens it refuses, says why and what to do, and changes nothing. What devices and papers
// have of it is read as ever: stored data outlives the program that wrote it.
func TestBefore(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	var known knownBefore
	data, err := os.ReadFile(filepath.Join(beforeDir, "known.json"))
	if err := errors.Join(err, json.Unmarshal(data, &known)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpack(t, filepath.Join(beforeDir, "network.tar.gz"), dir)
	network := filepath.Join(dir, "network")

	t.Run("device", func(t *testing.T) {
		pack := openBefore(t, filepath.Join(dir, "device", config.PackName))
		v := pack.Verify(verifier.Presentation{Text: known.Card.Digits, Code: &known.Card.Code}, beforeNow())
		if v.State != verifier.Unconfirmed || v.Card == nil || v.Card.Name.Reveal() != "PHIRI, GRACE" {
			t.Errorf("the newest card is %s", v.State)
		}
		listed := readManifest(t, network)
		pack = openBefore(t, filepath.Join(network, listed.Pack))
		for _, c := range listed.Cards {
			if v := pack.Verify(verifier.Presentation{Text: c.Digits, Code: &c.Code}, beforeNow()); string(v.State) != c.Expect {
				t.Errorf("%s is %s, want %s", c.PNG, v.State, c.Expect)
			}
		}
	})

	identity, empty := filepath.Join(beforeDir, "identity"), filepath.Join(dir, "empty")
	recipients := filepath.Join(dir, "recipients")
	run := func(args ...string) (string, error) {
		c := exec.CommandContext(t.Context(), program(t, ""), args...)
		c.Env = append(os.Environ(), "SAFECONDUCT_PASSPHRASE_FILE="+filepath.Join(network, config.PassphraseName))
		out, err := c.CombinedOutput()
		return string(out), err
	}
	list, err := run("backup", "keygen", filepath.Join(dir, "key1"))
	other, err2 := run("backup", "keygen", filepath.Join(dir, "key2"))
	if err := errors.Join(err, err2, os.WriteFile(recipients, []byte(list+other), 0o600)); err != nil {
		t.Fatal(err)
	}
	before := digestOf(t, network)
	// Whatever opens its keyring: the migrations would begin anew in it.
	if _, err := sqlstore.OpenKeyring(t.Context(), filepath.Join(network, config.KeyringName)); !errors.Is(err, sqlstore.ErrOldStores) {
		t.Errorf("its keyring: %v", err)
	}
	for _, args := range [][]string{
		{"serve", "--listen", "127.0.0.1:0"},
		{"fsck"}, {"doctor"},
		{"key", "list"}, {"key", "rotate", "--agency", known.Agency},
		{"key", "compromised", "--agency", known.Agency, "--kid", "0000000000000000", "--since", "2026-11-30"},
		{"epoch", "list"}, {"epoch", "rotate"}, {"epoch", "burn", "--yes", "Demo network (made-up people)"},
		{"agency", "list"}, {"agency", "suspend", known.Agency},
		{"member", "list"}, {"member", "end", known.Agency},
		{"backup", "--to", recipients, "--keyring-file", filepath.Join(dir, "keyring.age"), filepath.Join(dir, "data.age")},
		{"erasures", "export", filepath.Join(dir, "erasures.json")},
		{"restore", "keyring", "--identity", identity, filepath.Join(beforeDir, "late-keyring.age")},
	} {
		out, err := run(append(args, "--dir", network)...)
		why := "before people signed in"
		if args[0] == "doctor" {
			why = "not taken over"
		}
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || !strings.Contains(out, why) || !strings.Contains(out, "From the version before") {
			t.Errorf("%q: %v, and it says\n%s", args, err, out)
		}
		if after := digestOf(t, network); after != before {
			t.Fatalf("%q changed something", args)
		}
	}
	for _, name := range []string{"early", "late"} {
		out, err := run("restore", "--dir", empty, "--identity", identity, "--from", filepath.Join(network, config.AsideName),
			"--keyring-file", filepath.Join(beforeDir, name+"-keyring.age"), filepath.Join(beforeDir, name+"-data.age"))
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || !strings.Contains(out, sqlstore.ErrOldStores.Error()) {
			t.Errorf("the %s backup: %v, and it says\n%s", name, err, out)
		}
		if _, err := os.Stat(empty); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the %s backup: something was written: %v", name, err)
		}
	}
	// What strangers check needs no roster, and what was not looked at is not said to hold.
	out, err := run("log", "verify", "--dir", network)
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(out, "The log holds together") || digestOf(t, network) != before {
		t.Errorf("log verify: %v\n%s", err, out)
	}
	for _, made := range []string{"data.age", "keyring.age", "erasures.json"} {
		if _, err := os.Stat(filepath.Join(dir, made)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was left: %v", made, err)
		}
	}
}

// digestOf is one over everything in a folder: names, modes and contents.
func digestOf(t *testing.T, dir string) [32]byte {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %s\n", path, info.Mode())
		if d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(h, "%x\n", sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(h.Sum(nil))
}

// openBefore opens a pack with the device key beside it.
func openBefore(t *testing.T, path string) *verifier.Pack {
	t.Helper()
	key, err := os.ReadFile(path + ".key")
	file, err2 := os.ReadFile(path)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	device, err := verifier.ParseDevice(key)
	if err != nil {
		t.Fatal(err)
	}
	pack, err := verifier.OpenPack(file, device, beforeNow())
	if err != nil {
		t.Fatal(err)
	}
	return pack
}

// unpack puts an archive of ours into a folder.
func unpack(t *testing.T, path, dir string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(plain)
	for {
		f, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil || !filepath.IsLocal(f.Name) {
			t.Fatalf("%s: %v", f.Name, err)
		}
		at := filepath.Join(dir, f.Name)
		if f.Typeflag == tar.TypeDir {
			err = os.MkdirAll(at, 0o700)
		} else {
			var content []byte
			if content, err = io.ReadAll(io.LimitReader(files, 8<<20)); err == nil {
				err = os.WriteFile(at, content, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
