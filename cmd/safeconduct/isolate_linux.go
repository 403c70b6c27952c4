package main

import (
	"os"
	"syscall"
)

// withoutNetwork puts a child process into a network namespace of its own,
// which holds no route and not even a loopback that is up.
func withoutNetwork() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		a.Cloneflags |= syscall.CLONE_NEWUSER
	}
	return a
}
