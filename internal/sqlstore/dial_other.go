//go:build !linux

package sqlstore

import (
	"syscall"
	"time"
)

// unansweredFor has no counterpart here; TCP's own patience applies.
func unansweredFor(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
