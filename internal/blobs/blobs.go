// Package blobs keeps encrypted objects, as files under one directory or in a
// bucket of an S3 server: each is either wholly there or not there at all, also
// after a power cut. It never sees a key, a name or a plaintext; what an object
// is, who may have it and what its key means are left to the vault.
package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/vault"
)

var (
	// ErrNotFound says that there is no object under that key.
	ErrNotFound = errors.New("blobs: no such object")

	// ErrExists says that the key is taken. Objects are written once: their
	// digest stands in a log, so that a second version would be damage.
	ErrExists = errors.New("blobs: object exists")

	// ErrKey says that a key is not lower-case hex in parts divided by
	// slashes.
	ErrKey = errors.New("blobs: not a key")

	// ErrFull says that the disk, the bucket or its quota is full. Nothing was
	// kept.
	ErrFull = fmt.Errorf("blobs: the disk is %w", trouble.ErrFull)

	// ErrUnavailable says that the server was not reached, or not in time. It
	// says nothing about any object. It is the vault's own error, because the
	// vault must not take an outage for damage.
	ErrUnavailable = vault.ErrUnavailable

	// ErrDamaged says that an object is not what was put.
	ErrDamaged = errors.New("blobs: the object is not what was kept")

	// ErrOthers says that the objects are another network's.
	ErrOthers = errors.New("blobs: another network keeps its objects there")

	// ErrBucket says that a bucket does not serve: it is not there, these keys
	// may not use it, or it keeps versions.
	ErrBucket = errors.New("blobs: the bucket does not serve")
)

// orphanAge is how long an unfinished upload may lie before CollectTemp takes
// it (docs/threat-model.md, retention: upload temp 24 h).
const orphanAge = 24 * time.Hour

// maxKey bounds a key in bytes; four 128-bit ids and their slashes fit.
const maxKey = 160

// tempDir holds uploads that are not complete. Its name is not hex, so that
// no key can reach into it.
const tempDir = "tmp"

var keyShape = regexp.MustCompile(`^[0-9a-f/]+$`)

// Dir is a directory of objects. It is safe for use by many goroutines and by
// several processes at once.
type Dir struct {
	path string
	root *os.Root
	now  func() time.Time
}

// ofName is the file that says whose objects these are. It is no key.
const ofName = "network"

// Of tells whose objects these are, as Belong noted it. ErrNotFound if nobody did: the
// objects that belong there are somewhere else, or lost.
func (d *Dir) Of(context.Context) (network string, err error) {
	data, err := d.root.ReadFile(ofName)
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("blobs: whose objects: %w", classify(err))
	}
	return string(data), nil
}

// Belong notes whose objects these are, where nobody has. ErrOthers if somebody else has.
func (d *Dir) Belong(ctx context.Context, network string) error {
	if of, err := d.Of(ctx); !errors.Is(err, ErrNotFound) {
		return belongs(of, network, err)
	}
	_, err := d.put(ctx, ofName, strings.NewReader(network))
	return err
}

func belongs(of, network string, err error) error {
	if err == nil && of != network {
		return ErrOthers
	}
	return err
}

// Open opens the directory at path and creates it with mode 0700 when there
// is none. now tells CollectTemp the age of an orphan; nil means time.Now.
func Open(path string, now func() time.Time) (*Dir, error) {
	if now == nil {
		now = time.Now
	}
	if err := os.MkdirAll(filepath.Join(path, tempDir), 0o700); err != nil {
		return nil, fmt.Errorf("blobs: make directory: %w", err)
	}
	// A Root follows no link out of the directory, whatever the key says.
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("blobs: open directory: %w", err)
	}
	return &Dir{path: path, root: root, now: now}, nil
}

// Close releases the directory.
func (d *Dir) Close() error { return d.root.Close() }

// Put stores what r holds under key and returns its length in bytes. Nobody
// sees the object before it is complete and on the disk; when Put returns an
// error nothing is kept.
func (d *Dir) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	return d.put(ctx, filepath.FromSlash(key), r)
}

func (d *Dir) put(ctx context.Context, name string, r io.Reader) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Join(d.path, tempDir), "*")
	if err != nil {
		return 0, fmt.Errorf("blobs: start: %w", classify(err))
	}
	temp := filepath.Join(tempDir, filepath.Base(f.Name()))
	defer func() {
		// After the link below the temporary name is only a second name.
		_ = f.Close()
		_ = d.root.Remove(temp)
		_ = d.blur(tempDir)
	}()

	if n, err = io.Copy(f, reader{ctx, r}); err != nil {
		return 0, fmt.Errorf("blobs: write: %w", classify(err))
	}
	if err := d.blur(temp); err != nil {
		return 0, err
	}
	// The bytes must be on the disk before the name is: a crash between the
	// two would leave a name without its object.
	if err := f.Sync(); err != nil {
		return 0, fmt.Errorf("blobs: write: %w", classify(err))
	}
	if err := f.Close(); err != nil {
		return 0, fmt.Errorf("blobs: write: %w", classify(err))
	}

	if err := d.makeParents(name); err != nil {
		return 0, err
	}
	// Link, unlike rename, refuses a name that is taken.
	if err := d.root.Link(temp, name); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return 0, ErrExists
		}
		return 0, fmt.Errorf("blobs: name: %w", classify(err))
	}
	if err := d.sync(filepath.Dir(name)); err != nil {
		// The name may not survive a power cut, so it must not be used.
		return 0, errors.Join(err, classify(d.root.Remove(name)))
	}
	return n, nil
}

// makeParents makes the folders above name and puts each on the disk.
func (d *Dir) makeParents(name string) error {
	parts := strings.Split(filepath.Dir(name), string(filepath.Separator))
	if parts[0] == "." {
		return nil
	}
	for i := range parts {
		dir := filepath.Join(parts[:i+1]...)
		switch err := d.root.Mkdir(dir, 0o700); {
		case errors.Is(err, fs.ErrExist):
			continue
		case err != nil:
			return fmt.Errorf("blobs: make folder: %w", classify(err))
		}
		if err := d.sync(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// blur leaves of when a file or a folder changed the day alone, so that whoever copies the
// folder does not see at which time of the day somebody was helped. What the file system
// keeps besides, and shows to whoever has the disk itself (when an inode changed, its
// journal), no program can set (docs/threat-model.md, Rows).
func (d *Dir) blur(name string) error {
	day := d.now().UTC().Truncate(24 * time.Hour)
	if err := d.root.Chtimes(name, day, day); err != nil {
		return fmt.Errorf("blobs: set a time: %w", classify(err))
	}
	return nil
}

// sync puts the names inside a folder on the disk.
func (d *Dir) sync(name string) error {
	if err := d.blur(name); err != nil {
		return err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return fmt.Errorf("blobs: sync folder: %w", classify(err))
	}
	err = f.Sync()
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("blobs: sync folder: %w", classify(err))
	}
	return nil
}

// Get opens the object under key. The caller closes it. Its content is
// whatever the disk gives back: the caller checks it.
func (d *Dir) Get(_ context.Context, key string) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	f, err := d.openQuietly(filepath.FromSlash(key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("blobs: open: %w", classify(err))
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("blobs: open: %w", classify(err)), f.Close())
	}
	if !info.Mode().IsRegular() { // a folder is no object
		return nil, errors.Join(ErrNotFound, f.Close())
	}
	return f, nil
}

// Since tells on which day the object under key was put.
func (d *Dir) Since(_ context.Context, key string) (time.Time, error) {
	if err := checkKey(key); err != nil {
		return time.Time{}, err
	}
	info, err := d.root.Lstat(filepath.FromSlash(key))
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.Mode().IsRegular():
		return time.Time{}, ErrNotFound
	case err != nil:
		return time.Time{}, fmt.Errorf("blobs: look up: %w", classify(err))
	}
	return info.ModTime(), nil
}

// Delete removes the object under key. That there is none is no error, so
// that an erasure can be repeated until all of it has worked. The bytes may
// stay on the disk until they are overwritten: erasing is the business of
// whoever destroys the key that opens them.
func (d *Dir) Delete(_ context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	name := filepath.FromSlash(key)
	info, err := d.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("blobs: remove: %w", classify(err))
	case !info.Mode().IsRegular():
		return nil
	}
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("blobs: remove: %w", classify(err))
	}
	return d.sync(filepath.Dir(name))
}

// List yields the keys that start with prefix, in order. The prefix is empty
// or has the shape of a key. After an error nothing more is yielded.
func (d *Dir) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if prefix != "" && (!keyShape.MatchString(prefix) || len(prefix) > maxKey) {
			yield("", ErrKey)
			return
		}
		stop := errors.New("stop")
		err := fs.WalkDir(d.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // removed while we walked
			case err != nil:
				return fmt.Errorf("blobs: list: %w", classify(err))
			case ctx.Err() != nil:
				return ctx.Err()
			case e.IsDir():
				if name != "." && (checkKey(name) != nil || !overlaps(name+"/", prefix)) {
					return fs.SkipDir
				}
				return nil
			case !e.Type().IsRegular() || checkKey(name) != nil || !strings.HasPrefix(name, prefix):
				return nil
			case !yield(name, nil):
				return stop
			}
			return nil
		})
		if err != nil && !errors.Is(err, stop) {
			yield("", err)
		}
	}
}

// overlaps reports whether keys inside folder could start with prefix.
func overlaps(folder, prefix string) bool {
	return strings.HasPrefix(folder, prefix) || strings.HasPrefix(prefix, folder)
}

// CollectTemp removes unfinished uploads older than 24 hours, which a crash
// left behind, and returns how many it removed.
func (d *Dir) CollectTemp(ctx context.Context) (int, error) {
	entries, err := fs.ReadDir(d.root.FS(), tempDir)
	if err != nil {
		return 0, fmt.Errorf("blobs: list orphans: %w", classify(err))
	}
	removed := 0
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // finished meanwhile
		}
		if err != nil {
			return removed, fmt.Errorf("blobs: list orphans: %w", classify(err))
		}
		if d.now().Sub(info.ModTime()) <= orphanAge {
			continue
		}
		if err := d.root.Remove(filepath.Join(tempDir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, fmt.Errorf("blobs: remove orphan: %w", classify(err))
		}
		removed++
	}
	return removed, nil
}

// checkKey refuses everything that is not lower-case hex in parts divided by
// single slashes.
func checkKey(key string) error {
	if len(key) > maxKey || !keyShape.MatchString(key) || slices.Contains(strings.Split(key, "/"), "") {
		return ErrKey
	}
	return nil
}

// classify puts our name on what the system says, without the file's: a key is an
// id.
func classify(err error) error {
	if err = trouble.Disk(err); errors.Is(err, trouble.ErrFull) {
		return ErrFull
	}
	return err
}

// reader stops a copy when its context ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
