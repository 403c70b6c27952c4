//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFolder takes a folder for this process: two services over one folder
// would publish two logs, and settling drafts takes them away from a service
// that is just signing them. The lock lies on the folder itself, so that it
// leaves no file behind; the kernel releases it when the process ends, however
// it ends. errInUse when another process has it.
func lockFolder(dir string) (unlock func() error, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errors.Join(errInUse, f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock the folder: %w", err), f.Close())
	}
	return f.Close, nil
}
