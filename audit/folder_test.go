package audit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	s, k := newStore(), newKey(t, "log")
	for _, size := range []int{0, 5, 300, 600} {
		s.append(size - len(s.order))
		f, err := OpenFolder(path)
		if err != nil {
			t.Fatal(err)
		}
		head := publish(t, newLog(t, s, f, k))
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		// A stranger has a copy of the files and no code of ours to read them.
		report, err := Verify(os.DirFS(path), k.vkey)
		if err != nil || report.Size != int64(size) || report.Root != head.Root {
			t.Errorf("%d leaves: got %+v, %v", size, report, err)
		}
		// What a crash may leave does not matter to anybody.
		if err := os.WriteFile(filepath.Join(path, scratch, "next"), []byte("half a ti"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFolderWriteFile(t *testing.T) {
	path := t.TempDir()
	f, err := OpenFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"", ".", "..", "../out", "/etc/out", "a/../b", "a//b"} {
		if err := f.WriteFile(name, []byte("x")); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: got %v, want fs.ErrInvalid", name, err)
		}
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(path, "tile")); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteFile("tile/0/000", []byte("x")); err == nil {
		t.Error("a link led out of the folder")
	}
	for _, text := range []string{"first", "second, longer", ""} {
		if err := f.WriteFile("x/y/z", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := fs.ReadFile(f, "x/y/z"); err != nil || string(got) != text {
			t.Errorf("got %q and %v, want %q", got, err, text)
		}
	}
	// A name that is a folder stays one, and the write says so.
	if err := f.WriteFile("x/y", []byte("x")); err == nil {
		t.Error("a folder was replaced by a file")
	}
}
