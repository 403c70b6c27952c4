package service

import (
	"errors"
	"syscall"
)

// disableCoreDumps keeps this process's memory, which holds keys, out of core files
// and from other processes of the same user.
func disableCoreDumps() error {
	err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	if _, _, no := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0); no != 0 {
		err = errors.Join(err, no)
	}
	return err
}
