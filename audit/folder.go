package audit

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"
)

// scratch is where files are written before they get their name. It lies in
// the folder itself, because a rename is one step only within a file system,
// and begins with a dot, so that whoever serves the folder leaves it out.
const scratch = ".tmp"

// Folder is a Dir on a disk: after a crash every file in it is whole, and the
// newest checkpoint finds its tiles.
type Folder struct {
	root *os.Root

	mu     sync.Mutex
	synced map[string]bool // folders whose own name is known to be on disk
}

// OpenFolder opens the folder at path for publishing, and makes it if it is
// not there. Files and folders in it are readable for their owner only; the
// program that owns them serves them. Close it when done.
func OpenFolder(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the log's folder: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open the log's folder: %w", err)
	}
	return &Folder{root: root, synced: map[string]bool{".": true}}, nil
}

// Close releases the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Open opens a file for reading, as in fs.FS.
func (f *Folder) Open(name string) (fs.File, error) { return f.root.FS().Open(name) }

// WriteFile writes a file under another name, syncs it, gives it its name in
// one step, and syncs the folder. After an error the file is as it was before,
// or new; writing it again is safe, because it is a new file each time.
func (f *Folder) WriteFile(name string, data []byte) error {
	if !fs.ValidPath(name) || name == "." {
		return &fs.PathError{Op: "write", Path: name, Err: fs.ErrInvalid}
	}
	f.mu.Lock()
	defer f.mu.Unlock()

	if err := f.makeDir(scratch); err != nil {
		return err
	}
	if err := f.makeDir(path.Dir(name)); err != nil {
		return err
	}
	next := path.Join(scratch, "next")
	if err := f.writeSynced(next, data); err != nil {
		return err
	}
	if err := f.root.Rename(next, name); err != nil {
		return err
	}
	return f.sync(path.Dir(name))
}

// ReplaceFile is WriteFile: there is only one process that publishes into a
// folder on a disk.
func (f *Folder) ReplaceFile(name string, _, data []byte) error { return f.WriteFile(name, data) }

// writeSynced writes a file that nobody reads yet, and waits for the disk.
func (f *Folder) writeSynced(name string, data []byte) error {
	// A file left by a crash is removed, not overwritten: pages of it that the
	// disk refused would count as written.
	if err := f.root.RemoveAll(name); err != nil {
		return err
	}
	w, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err == nil {
		err = w.Sync()
	}
	if closed := w.Close(); err == nil {
		err = closed
	}
	return err
}

// makeDir makes a folder and those above it. Each is synced into the one above
// the first time it is seen, also if it was there: whoever made it may have
// crashed before that.
func (f *Folder) makeDir(dir string) error {
	if f.synced[dir] {
		return nil
	}
	parent := path.Dir(dir)
	if err := f.makeDir(parent); err != nil {
		return err
	}
	if err := f.root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := f.sync(parent); err != nil {
		return err
	}
	f.synced[dir] = true
	return nil
}

// sync waits until the names in a folder are on disk.
func (f *Folder) sync(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closed := d.Close(); err == nil {
		err = closed
	}
	return err
}
