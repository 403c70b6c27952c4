//go:build !unix

package signer

import (
	"errors"
	"net"
	"os"
)

// A signer of one's own is for Unix; elsewhere it is started by somebody else, and
// named.

func pair() (*net.UnixConn, *os.File, error) { return nil, nil, errors.ErrUnsupported }

func hand(*net.UnixConn, *os.File) error { return errors.ErrUnsupported }

func taken(*net.UnixConn) (net.Conn, error) { return nil, errors.ErrUnsupported }
