package signer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// A process can start its own signer. The two are bound by a pair of sockets
// without a name, so that nobody else can even try to ask: over it the signer says
// that it has the keys, and gets each connection handed. When one of the two ends,
// the other sees the pair closed. What a signer was handed before it ended is
// closed by the kernel.

const (
	// controlFile is the number of the child's end of the pair.
	controlFile = 3
	// handing is how long a connection may take to be handed over.
	handing = 2 * time.Second
	// shortPause and longPause bound how long the parent waits before it starts a
	// signer anew.
	shortPause, longPause = 100 * time.Millisecond, 15 * time.Second
	// steady is how long a signer has to live for the pause to be short again.
	steady = time.Minute
)

// ChildConfig says how a signer is started.
type ChildConfig struct {
	// Command makes the command, anew for each start: a program that calls
	// [Parent]. The files that it passes on begin behind the first.
	Command func() (*exec.Cmd, error)
	Log     *slog.Logger
}

// Child is a signer that this process has started, and starts anew when it ends.
type Child struct {
	cfg  ChildConfig
	keys *Client

	closing chan struct{}
	ended   chan struct{}

	mu      sync.Mutex
	process *os.Process
	control *net.UnixConn // nil while there is no signer
}

// Start starts a signer and returns when it has the keys. That the first start
// fails is an error; afterwards it is tried again until Close.
func Start(ctx context.Context, cfg ChildConfig) (*Child, error) {
	c := &Child{cfg: cfg, closing: make(chan struct{}), ended: make(chan struct{})}
	c.keys = newClient(c.connect)
	first := make(chan error, 1)
	go c.supervise(first)
	select {
	case err := <-first:
		if err != nil {
			<-c.ended
			return nil, err
		}
		return c, nil
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), c.Close())
	}
}

// Keys are the keys that the signer has.
func (c *Child) Keys() *Client { return c.keys }

// Close ends the signer, which finishes what it has begun.
func (c *Child) Close() error {
	_ = c.keys.Close()
	c.mu.Lock()
	select {
	case <-c.closing:
	default:
		close(c.closing)
	}
	if c.control != nil {
		_ = c.control.Close()
	}
	c.mu.Unlock()
	late := time.AfterFunc(closing+time.Second, c.kill)
	defer late.Stop()
	<-c.ended
	return nil
}

func (c *Child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process != nil {
		_ = c.process.Kill()
	}
}

// supervise keeps one signer running. The kernel ends a child with the thread
// that started it, so this one is kept for it.
func (c *Child) supervise(first chan<- error) {
	defer close(c.ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pause := shortPause
	for {
		began := time.Now()
		err := c.run(first)
		if first != nil && err != nil {
			first <- err
			return
		}
		first = nil
		select {
		case <-c.closing:
			return
		default:
		}
		if time.Since(began) > steady {
			pause = shortPause
		}
		said := "it ended"
		if err != nil {
			said = err.Error()
		}
		c.cfg.Log.Error("the signer is started anew; nothing is signed meanwhile", "cause", said, "in", pause.String()) //nolint:noctx // nobody's request
		select {
		case <-c.closing:
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longPause)
	}
}

// run is one life of a signer. That it ended is no error, that it did not begin is.
func (c *Child) run(first chan<- error) error {
	ours, theirs, err := pair()
	if err != nil {
		return err
	}
	cmd, err := c.cfg.Command()
	if err != nil {
		return errors.Join(err, ours.Close(), theirs.Close())
	}
	cmd.ExtraFiles = append([]*os.File{theirs}, cmd.ExtraFiles...)
	dieWithParent(cmd)
	err = cmd.Start()
	_ = theirs.Close()
	for _, f := range cmd.ExtraFiles[1:] {
		_ = f.Close()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("start the signer: %w", err), ours.Close())
	}
	c.mu.Lock()
	c.process, c.control = cmd.Process, nil
	c.mu.Unlock()
	defer func() {
		_ = ours.Close()
		_ = cmd.Wait()
		c.mu.Lock()
		c.process, c.control = nil, nil
		c.mu.Unlock()
	}()
	if err := c.begun(ours); err != nil {
		return err
	}
	if first != nil {
		first <- nil
	}
	_, _ = ours.Read(make([]byte, 1)) // says nothing more: this is its end, or ours
	return nil
}

// begun waits until the signer has the keys, and then hands it connections.
func (c *Child) begun(control *net.UnixConn) error {
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-c.closing:
			_ = control.Close()
		case <-stop:
		}
	}()
	var a answer
	switch err := read(control, &a); {
	case err != nil:
		return errors.New("the signer ended before it had the keys")
	case a.Trouble != 0:
		return fmt.Errorf("the signer: %s", a.Cause)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closing:
		_ = control.Close()
	default:
		c.control = control
	}
	return nil
}

// connect hands the signer one end of a new connection.
func (c *Child) connect(context.Context) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.control == nil {
		return nil, ErrAway
	}
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	if err := hand(c.control, theirs); err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	return ours, nil
}

// A Handed is a listener of the connections that a parent hands to this process.
type Handed struct{ control *net.UnixConn }

var _ net.Listener = (*Handed)(nil)

// Parent is the parent that started this process as its signer.
func Parent() (*Handed, error) {
	f := os.NewFile(controlFile, "control")
	if f == nil {
		return nil, errors.New("signer: not started by a service")
	}
	defer func() { _ = f.Close() }()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, errors.New("signer: not started by a service")
	}
	control, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("signer: not started by a service"), conn.Close())
	}
	return &Handed{control}, nil
}

// Tell says whether this process has the keys, or why not.
func (h *Handed) Tell(err error) error {
	var a answer
	if err != nil {
		a = troubled(err)
	}
	return write(h.control, a)
}

// Accept waits for the next connection. io.EOF says that the parent has gone.
func (h *Handed) Accept() (net.Conn, error) {
	conn, err := taken(h.control)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return nil, errors.Join(io.EOF, err) // after half a message nothing can follow
	}
	return conn, err
}

// Close ends the listener.
func (h *Handed) Close() error { return h.control.Close() }

// Addr is that of the pair, which has none.
func (h *Handed) Addr() net.Addr { return h.control.LocalAddr() }
