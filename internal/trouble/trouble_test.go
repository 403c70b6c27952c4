package trouble_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/trouble"
)

func TestDisk(t *testing.T) {
	for name, c := range map[string]struct{ err, want error }{
		"a full disk":   {&fs.PathError{Op: "write", Path: "/made/up", Err: syscall.ENOSPC}, trouble.ErrFull},
		"a spent quota": {fmt.Errorf("keep: %w", syscall.EDQUOT), trouble.ErrFull},
		"not there":     {&fs.PathError{Op: "open", Path: "/made/up", Err: fs.ErrNotExist}, fs.ErrNotExist},
		"a rename":      {&os.LinkError{Op: "rename", Old: "/made/up", New: "/made/up2", Err: syscall.EACCES}, fs.ErrPermission},
		"nothing":       {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := trouble.Disk(c.err)
			if !errors.Is(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if got != nil && strings.Contains(got.Error(), "/made/up") {
				t.Errorf("%v names the file", got)
			}
		})
	}
}

func TestLater(t *testing.T) {
	for after, want := range map[time.Duration]time.Duration{
		0: time.Second, time.Millisecond: time.Second, time.Second: time.Second,
		1001 * time.Millisecond: 2 * time.Second, time.Minute: time.Minute,
	} {
		t.Run(after.String(), func(t *testing.T) {
			err := &trouble.Later{Err: trouble.ErrKeystore, Cause: "it is sealed", After: after}
			if got := err.RetryAfter(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if !errors.Is(err, trouble.ErrKeystore) || !errors.Is(err, trouble.ErrUnavailable) || errors.Is(err, trouble.ErrBusy) {
				t.Errorf("%v is not what it was made of", err)
			}
		})
	}
}
