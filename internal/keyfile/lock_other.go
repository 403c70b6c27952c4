//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package keyfile

import (
	"context"
	"sync"
)

var oneWriter sync.Mutex

// lock keeps other goroutines from changing the file at the same time. On
// these systems one process at a time may hold the file.
func lock(context.Context, string) (unlock func(), err error) {
	oneWriter.Lock()
	return oneWriter.Unlock, nil
}
