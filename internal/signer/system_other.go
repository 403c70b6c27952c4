//go:build !linux

package signer

import (
	"errors"
	"net"
	"os/exec"
)

// canTellPeers: the socket's own rights are all that there is here.
func canTellPeers(peers []int) error {
	if len(peers) > 0 {
		return errors.New("signer: another user may ask on Linux only")
	}
	return nil
}

// peer is not known here.
func peer(*net.UnixConn) (int, error) { return 0, errors.ErrUnsupported }

// shortPath is the path itself: the system refuses one that is too long.
func shortPath(path string) (string, func(), error) { return path, func() {}, nil }

// dieWithParent: the child sees its pair of sockets closed.
func dieWithParent(*exec.Cmd) {}
