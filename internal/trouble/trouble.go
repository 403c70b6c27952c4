// Package trouble is how adapters say that what they stand on does not work now:
// it is full, busy, unavailable, or its answer cannot be right. Each adapter
// wraps these in words of its own, so that whoever answers a client needs to
// know no adapter. What a client is told, and whether anybody tries again, is
// left to others.
package trouble

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

var (
	// ErrFull says that a disk, a bucket or its quota is full. Nothing was
	// written.
	ErrFull = errors.New("full")

	// ErrBusy says that somebody else held a thing for longer than a call waits.
	// Nothing was done; the call may be repeated.
	ErrBusy = errors.New("busy")

	// ErrUnavailable says that a server cannot be reached, takes no calls now, or
	// was lost before it answered. What was asked may or may not have been done:
	// repeat it with the same key.
	ErrUnavailable = errors.New("not available")

	// ErrDamaged says that what is kept is not what was written: bytes have
	// changed, or a part is gone. Nothing of it is used.
	ErrDamaged = errors.New("damaged")

	// ErrKeystore is the ErrUnavailable of a keystore. Nothing was done that
	// counts.
	ErrKeystore = fmt.Errorf("the keystore is %w", ErrUnavailable)

	// ErrWrongAnswer says that a keystore answered something that cannot be right.
	// Nothing of the answer is used.
	ErrWrongAnswer = errors.New("the keystore gave an answer that cannot be right")
)

// Later is trouble that knows when to ask again. Its text holds nothing that a
// server or a caller said.
type Later struct {
	Err   error         // what it is
	Cause string        // why, in words of the adapter
	After time.Duration // from now; less than a second means a second
}

// Error names the trouble and its cause.
func (e *Later) Error() string { return e.Err.Error() + ": " + e.Cause }

// Unwrap returns what the trouble is.
func (e *Later) Unwrap() error { return e.Err }

// RetryAfter is the time to wait before the call is worth repeating, whole
// seconds, at least one (RFC 9110 §10.2.3).
func (e *Later) RetryAfter() time.Duration {
	return max(time.Second, (e.After + time.Second - 1).Truncate(time.Second))
}

// Disk is what the system says of a file, as ErrFull where the disk or the quota
// is full, and without the file's name: an id may stand in it, and ids stay out
// of logs.
func Disk(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return ErrFull
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
