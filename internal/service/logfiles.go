package service

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/audit"
)

// logFiles is the folder of the log's public files as requests see it, where the
// folder itself is in a database. The newest checkpoint and its tiles are held in
// memory, so that they can be read while the database is away; what is not held
// comes from there. The log itself never reads them here: it must not go on from
// what is old.
type logFiles struct {
	dir fs.FS

	updating sync.Mutex

	mu   sync.RWMutex
	held map[string][]byte
}

// maxHeld bounds the tiles in memory, in bytes. They are those of two million
// leaves; of a longer log the oldest ones are not held.
const maxHeld = 64 << 20

// Open opens a file that is held, or one of the folder.
func (l *logFiles) Open(name string) (fs.File, error) {
	l.mu.RLock()
	data, ok := l.held[name]
	l.mu.RUnlock()
	if !ok {
		return l.dir.Open(name)
	}
	return heldFile{bytes.NewReader(data), name}, nil
}

// update takes over the newest checkpoint and what belongs to it. A nil receiver
// holds nothing: the folder lies beside the service.
func (l *logFiles) update() error {
	if l == nil {
		return nil
	}
	l.updating.Lock()
	defer l.updating.Unlock()
	signed, err := fs.ReadFile(l.dir, CheckpointName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was published yet
	}
	if err != nil {
		return err
	}
	l.mu.RLock()
	before := l.held
	l.mu.RUnlock()
	if bytes.Equal(before[CheckpointName], signed) {
		return nil
	}
	held, err := l.read(signed, before)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
	return nil
}

// read collects the files of a checkpoint. A tile never changes, so that those
// that were held before are not read again.
func (l *logFiles) read(signed []byte, before map[string][]byte) (map[string][]byte, error) {
	size, err := audit.CheckpointSize(signed)
	if err != nil {
		return nil, err
	}
	held := map[string][]byte{CheckpointName: signed}
	restart, err := fs.ReadFile(l.dir, RestartName)
	switch {
	case err == nil:
		held[RestartName] = restart
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	length := 0
	for name := range audit.Tiles(size) {
		data, ok := before[name]
		if !ok {
			if data, err = fs.ReadFile(l.dir, name); err != nil {
				return nil, err
			}
		}
		if length += len(data); length > maxHeld {
			break
		}
		held[name] = data
	}
	return held, nil
}

// heldFile is one of the files in memory.
type heldFile struct {
	*bytes.Reader

	name string
}

func (f heldFile) Name() string               { return path.Base(f.name) }
func (f heldFile) Mode() fs.FileMode          { return 0o400 }
func (f heldFile) ModTime() time.Time         { return time.Time{} }
func (f heldFile) IsDir() bool                { return false }
func (f heldFile) Sys() any                   { return nil }
func (f heldFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f heldFile) Close() error               { return nil }
