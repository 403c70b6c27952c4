//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package files

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Lock takes a folder for this process by an advisory lock (flock). Two
// services over one folder would publish two logs, and settling drafts takes
// them away from a service that is just signing them. The lock lies on the
// folder itself, so that it leaves no file behind. The kernel releases it when
// the process ends, however it ends. ErrInUse when another process has it.
func Lock(dir string) (unlock func() error, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errors.Join(ErrInUse, f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock the folder: %w", err), f.Close())
	}
	return f.Close, nil
}
