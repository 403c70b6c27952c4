//go:build unix

package signer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// pair is two connected sockets without a name: ours, and a file to pass on.
func pair() (ours *net.UnixConn, theirs *os.File, err error) {
	syscall.ForkLock.RLock() // no other child gets them
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("signer: make a connection: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "pair")
	if ours, err = unixConn(fds[0]); err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return ours, theirs, nil
}

// unixConn takes a socket over.
func unixConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "pair")
	defer func() { _ = f.Close() }() // FileConn has its own
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("signer: take a connection: %w", err)
	}
	local, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("signer: what was handed over is no connection"), conn.Close())
	}
	return local, nil
}

// hand passes a file on (SCM_RIGHTS), with one byte to carry it.
func hand(control *net.UnixConn, f *os.File) error {
	if err := control.SetWriteDeadline(time.Now().Add(handing)); err != nil {
		return err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	err2 := raw.Control(func(fd uintptr) {
		_, _, err = control.WriteMsgUnix([]byte{0}, syscall.UnixRights(int(fd)), nil)
	})
	return errors.Join(err, err2)
}

// taken is the next connection that was handed over.
func taken(control *net.UnixConn) (net.Conn, error) {
	b, oob := make([]byte, 1), make([]byte, syscall.CmsgSpace(4))
	n, oobn, _, _, err := control.ReadMsgUnix(b, oob)
	switch {
	case err != nil:
		return nil, err
	case n == 0:
		return nil, io.EOF
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		return nil, errors.New("signer: what was handed over is no connection")
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("signer: what was handed over is no connection")
	}
	syscall.CloseOnExec(fds[0])
	return unixConn(fds[0])
}
