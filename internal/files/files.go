// Package files reads and writes files whole or not at all, takes a folder for
// one process, and tells how much room a disk has. What stands in a file is for
// the rooms that use it.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// ErrTooLarge says that a file is longer than its reader takes.
var ErrTooLarge = errors.New("file is too large")

// Read returns a file that may be at most limit bytes long. An error names the
// file without its folders, and never what stands in it.
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(path), ErrTooLarge)
	}
	return data, nil
}

// Replace puts a new file in the place of an old one, whole or not at all. Only
// its owner can read it.
func Replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Own tells whether there is a folder, made now if there was none, to which nobody but
// this user has access. Elsewhere than on Unix nobody can tell, and it says no.
func Own(dir string) bool {
	if os.MkdirAll(dir, 0o700) != nil {
		return false
	}
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return false
	}
	uid, err := Owner(dir)
	return err == nil && uid == os.Geteuid()
}

// Create writes a file that is not there yet. It has its name only when it is
// whole and on the disk.
func Create(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s is there already; nothing was changed", path), err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if err := write(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	// A link does not replace a file that came meanwhile.
	return os.Link(f.Name(), path)
}

// ErrInUse says that another process has taken the folder.
var ErrInUse = errors.New("the folder is in use by another process")

// WaitLock takes a folder as Lock does, and waits up to ten seconds for it.
func WaitLock(ctx context.Context, dir string) (unlock func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		unlock, err = Lock(dir)
		if !errors.Is(err, ErrInUse) {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(10 * time.Millisecond):
		}
	}
}
