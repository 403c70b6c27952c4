//go:build unix

package main

import (
	"os"
	"syscall"
)

// restart puts a new process into the place of this one, under the same number: the
// kernel takes all its memory away, and every file and socket that is open. Where it
// cannot, this process ends, and whoever watches it starts another.
func restart() {
	if self, err := os.Executable(); err == nil {
		_ = syscall.Exec(self, os.Args, os.Environ()) //nolint:gosec // this very program, as it was called
	}
	os.Exit(exitNo)
}
