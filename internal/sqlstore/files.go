package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
)

// LogFiles is the folder of the log's public files, in the database: every
// process serves them, and none can publish another history than the others.
// It is the audit.Dir. Its files can be listed, as audit.Verify needs it.
type LogFiles struct{ db *DB }

var _ audit.Dir = (*LogFiles)(nil)

// LogFiles returns the folder.
func (db *DB) LogFiles() *LogFiles { return &LogFiles{db} }

// fileTimeout bounds one file: fs.FS knows no contexts.
const fileTimeout = 5 * time.Second

// WriteFile writes a file that is to stay as it is. ErrFork if there is another
// one of that name.
func (l *LogFiles) WriteFile(name string, data []byte) error {
	return l.change(name, func(ctx context.Context, tx *sql.Tx, stands []byte) error {
		switch {
		case stands == nil:
			_, err := tx.ExecContext(ctx, "INSERT INTO log_files (name, data) VALUES ($1, $2)", name, data)
			return err
		case !bytes.Equal(stands, data):
			return audit.ErrFork
		default:
			return nil
		}
	})
}

// ReplaceFile puts data where old is; nil is no file. ErrOvertaken if something
// else is there.
func (l *LogFiles) ReplaceFile(name string, old, data []byte) error {
	return l.change(name, func(ctx context.Context, tx *sql.Tx, stands []byte) error {
		if !bytes.Equal(stands, old) || (stands == nil) != (old == nil) {
			return audit.ErrOvertaken
		}
		_, err := tx.ExecContext(ctx,
			"INSERT INTO log_files (name, data) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET data = excluded.data", name, data)
		return err
	})
}

func (l *LogFiles) change(name string, do func(ctx context.Context, tx *sql.Tx, stands []byte) error) error {
	if !fs.ValidPath(name) || name == "." {
		return &fs.PathError{Op: "write", Path: name, Err: fs.ErrInvalid}
	}
	ctx, cancel := context.WithTimeout(context.Background(), fileTimeout)
	defer cancel()
	err := l.db.tx(ctx, func(tx *sql.Tx) error {
		var stands []byte
		err := tx.QueryRowContext(ctx, "SELECT data FROM log_files WHERE name = $1", name).Scan(&stands)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return do(ctx, tx, stands)
	})
	if err != nil {
		return fileError("write a log file", err)
	}
	return nil
}

// Open opens a file, or a folder of files, for reading.
func (l *LogFiles) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	ctx, cancel := context.WithTimeout(context.Background(), fileTimeout)
	defer cancel()
	var data []byte
	err := l.db.read.QueryRowContext(ctx, "SELECT data FROM log_files WHERE name = $1", name).Scan(&data)
	if err == nil {
		return &logFile{logEntry{name: name, size: int64(len(data))}, bytes.NewReader(data)}, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return nil, fileError("read a log file", err)
	}
	entries, err := l.below(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 && name != "." {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &logFolder{logEntry{name: name, dir: true}, entries}, nil
}

// fileError is an error of the database as one of a file. Where the server's
// socket is not there, the file may well be: whoever reads the log must not take
// it for one that has published nothing.
func fileError(what string, err error) error {
	if err = classify(err); errors.Is(err, fs.ErrNotExist) {
		err = ErrUnavailable
	}
	return fmt.Errorf("sqlstore: %s: %w", what, err)
}

// below lists what is directly in a folder, in order.
func (l *LogFiles) below(ctx context.Context, dir string) ([]fs.DirEntry, error) {
	prefix := dir + "/"
	if dir == "." {
		prefix = ""
	}
	// Text is compared byte by byte, and 0 follows /.
	rows, err := l.db.read.QueryContext(ctx, "SELECT name, LENGTH(data) FROM log_files WHERE name >= $1 AND ($1 = '' OR name < $2) ORDER BY name",
		prefix, dir+"0")
	if err != nil {
		return nil, fileError("list log files", err)
	}
	var entries []fs.DirEntry
	err = each(rows, func() error {
		var name string
		var size int64
		if err := rows.Scan(&name, &size); err != nil {
			return err
		}
		first, _, deeper := strings.Cut(strings.TrimPrefix(name, prefix), "/")
		if deeper {
			size = 0 // the row is that of a file further in
		}
		if n := len(entries); n == 0 || entries[n-1].Name() != first {
			entries = append(entries, logEntry{name: first, dir: deeper, size: size})
		}
		return nil
	})
	if err != nil {
		return nil, fileError("list log files", err)
	}
	// A name sorts before another that goes on with less than a slash.
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return slices.CompactFunc(entries, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() }), nil
}

// logEntry is what a file or a folder tells of itself.
type logEntry struct {
	name string
	dir  bool
	size int64
}

func (e logEntry) Name() string               { return e.name[strings.LastIndexByte(e.name, '/')+1:] }
func (e logEntry) IsDir() bool                { return e.dir }
func (e logEntry) Type() fs.FileMode          { return e.Mode().Type() }
func (e logEntry) Info() (fs.FileInfo, error) { return e, nil }
func (e logEntry) Stat() (fs.FileInfo, error) { return e, nil }
func (e logEntry) Size() int64                { return e.size }
func (e logEntry) ModTime() time.Time         { return time.Time{} }
func (e logEntry) Sys() any                   { return nil }
func (e logEntry) Close() error               { return nil }

// Mode is that of something to be read only.
func (e logEntry) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir | 0o500
	}
	return 0o400
}

type logFile struct {
	logEntry
	*bytes.Reader
}

// Size is the file's, not what is left to read.
func (f *logFile) Size() int64 { return f.size }

type logFolder struct {
	logEntry
	left []fs.DirEntry
}

func (f *logFolder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.name, Err: errors.New("is a folder")}
}

// ReadDir hands out the next n entries, or all.
func (f *logFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 || n > len(f.left) {
		if n > 0 && len(f.left) == 0 {
			return nil, io.EOF
		}
		n = len(f.left)
	}
	next := f.left[:n]
	f.left = f.left[n:]
	return next, nil
}
