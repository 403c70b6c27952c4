package signer

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// canTellPeers is nil: the kernel tells who connects.
func canTellPeers([]int) error { return nil }

// peer is the user of whoever connects, as the kernel knows it (SO_PEERCRED).
func peer(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var is *syscall.Ucred
	err2 := raw.Control(func(fd uintptr) {
		is, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err2 != nil || err != nil {
		return 0, fmt.Errorf("signer: who connects: %w", err)
	}
	return int(is.Uid), nil
}

// longest name of a socket, with its end.
const maxName = 108

// shortPath is a name for a socket whose own is too long for the kernel, through
// the folder that it is in. It holds until done is called.
func shortPath(path string) (short string, done func(), err error) {
	if len(path) < maxName {
		return path, func() {}, nil
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, fmt.Errorf("signer: the folder of the socket: %w", err)
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(folder.Fd())), filepath.Base(path)), func() { _ = folder.Close() }, nil
}

// dieWithParent has the kernel end a child when the thread that started it ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
