package signer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/internal/keystore"
)

const (
	// maxConns bounds how many connections are open at once. A service has at
	// most maxInFlight of them, and a network a handful of services.
	maxConns = 512
	// writeTime is how long an answer may take to be taken.
	writeTime = 10 * time.Second
	// longest is how long any question may take, whatever the asker says.
	longest = 2 * time.Minute
	// closing is how long what has begun may take when the signer stops.
	closing = 10 * time.Second
)

// Config says whose questions are answered, and from which keys.
type Config struct {
	Keys keystore.Store
	// Peers are the users that may ask, besides the one that this process runs
	// as. Only Linux tells who asks; elsewhere naming one is an error.
	Peers []int
	Log   *slog.Logger // nil means nowhere
	// Lock is told that the network is locked, by a lock with an id; nil takes no such
	// word.
	Lock func(id string) error
	// Now tells the time; nil means time.Now.
	Now func() time.Time

	shut *shut // in the place of Keys
}

// Listen opens the socket at path, for its owner alone, or for its owner and
// group where others may ask as well: Config.Peers then says who of the group.
// What an ended process left there is replaced; of one that answers it is an
// error.
func Listen(path string, group bool) (*net.UnixListener, error) {
	short, done, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer done()
	if c, err := net.DialTimeout("unix", short, time.Second); err == nil {
		return nil, errors.Join(errors.New("signer: another process answers on this socket"), c.Close())
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("signer: the socket of before: %w", err)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("signer: open the socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // its name may be somebody else's by then
	mode := os.FileMode(0o600)
	if group {
		mode = 0o660
	}
	// Until here others might have connected, and Serve turns them away.
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("signer: open the socket: %w", err), l.Close())
	}
	return l, nil
}

// Serve answers what is asked on the connections of a listener until ctx or the
// listener ends, and finishes what was begun. It closes the listener.
func Serve(ctx context.Context, l net.Listener, cfg Config) error {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := canTellPeers(cfg.Peers); err != nil {
		return errors.Join(err, l.Close())
	}
	s := &server{cfg: cfg, conns: map[net.Conn]bool{}}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	unwatch := context.AfterFunc(ctx, func() {
		_ = l.Close()
		s.leave()
	})
	defer unwatch()
	var calls sync.WaitGroup
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil, errors.Is(err, io.EOF):
			s.leave()
			late := time.AfterFunc(closing, stop)
			defer late.Stop()
			calls.Wait()
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("signer: %w", err)
		case err != nil: // of open files there may be too many for a moment
			cfg.Log.WarnContext(ctx, "a connection could not be taken", "cause", err.Error())
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if !s.may(c) || !s.take(c) {
			_ = c.Close()
			continue
		}
		calls.Go(func() {
			defer s.drop(c)
			s.talk(working, c)
		})
	}
}

type server struct {
	cfg Config

	mu      sync.Mutex
	conns   map[net.Conn]bool // and whether a question of it is being answered
	leaving bool
}

// may looks at the user of whoever connects.
func (s *server) may(c net.Conn) bool {
	local, ok := c.(*net.UnixConn)
	if !ok {
		return false
	}
	uid, err := peer(local)
	if err == nil && (uid == os.Geteuid() || slices.Contains(s.cfg.Peers, uid)) {
		return true
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return true // the socket's own rights have to do
	}
	s.cfg.Log.Warn("another user was turned away") //nolint:noctx // nobody's request
	return false
}

func (s *server) take(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving || len(s.conns) >= maxConns {
		return false
	}
	s.conns[c] = false
	return true
}

func (s *server) drop(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	_ = c.Close()
}

// busy notes whether a question is being answered, and reports whether the
// connection goes on.
func (s *server) busy(c net.Conn, yes bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = yes
	return !s.leaving
}

// leave closes the connections on which nothing is under way.
func (s *server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
	for c, busy := range s.conns {
		if !busy {
			_ = c.Close()
		}
	}
}

// talk answers one question after the other.
func (s *server) talk(ctx context.Context, c net.Conn) {
	for {
		var q question
		var a answer
		switch err := read(c, &q); {
		case errors.Is(err, errFrame):
			// What follows cannot be told apart any more.
			a = troubled(ErrQuestion)
			s.busy(c, true)
		case err != nil:
			return
		case !s.busy(c, true):
			return // nothing was done: the asker sees the connection end
		default:
			a = s.answer(ctx, q)
		}
		_ = c.SetWriteDeadline(time.Now().Add(writeTime))
		err := write(c, a)
		if errors.Is(err, errLong) {
			err = write(c, troubled(errLong))
		}
		if err != nil || !s.busy(c, false) || a.Trouble != 0 && errors.Is(a.err(), ErrQuestion) {
			return
		}
	}
}

// answer does what is asked. A panic ends the question and not the signer.
func (s *server) answer(ctx context.Context, q question) (a answer) {
	ctx, done := context.WithTimeout(approval.With(ctx, q.authority()), min(longest, time.Duration(q.Within)*time.Millisecond))
	defer done()
	defer func() {
		if recover() != nil {
			s.cfg.Log.ErrorContext(ctx, "a question ended in a panic", "op", q.Op)
			a = troubled(errOther)
		}
	}()
	var err error
	switch {
	case q.Op == opLock && s.cfg.Lock != nil:
		err = s.cfg.Lock(q.Label)
	case s.cfg.shut != nil:
		err = s.cfg.shut.answer(ctx, q, &a)
	default:
		if j := judge(s.cfg.Keys); j != nil && j.Locked() != "" {
			err = s.answerLocked(ctx, j, q, &a)
		} else {
			err = reply(ctx, s.cfg.Keys, q, &a)
		}
	}
	if err != nil {
		return troubled(err)
	}
	return a
}

// Readier is a Store that can say whether it works now.
type Readier interface {
	Ready(ctx context.Context) error
}

// Retirer is a Store that can end the use of old versions of keys.
type Retirer interface {
	RetireSigning(ctx context.Context, agency string) error
	RotateWrapping(ctx context.Context, agency string) error
	RetireWrapping(ctx context.Context, agency string) error
}

// retirer is the Store as one, or says that this keystore has no versions.
func retirer(s keystore.Store) (Retirer, error) {
	if r, ok := s.(Retirer); ok {
		return r, nil
	}
	return nil, errors.New("signer: this keystore retires nothing")
}

// reply asks the Store.
func reply(ctx context.Context, s keystore.Store, q question, a *answer) (err error) {
	public := func(p keystore.Public, err error) error {
		a.KeyID, a.DER = p.KeyID, p.DER
		return err
	}
	switch q.Op {
	case opReady:
		if r, ok := s.(Readier); ok {
			return r.Ready(ctx)
		}
	case opPublic:
		return public(s.Public(ctx, keystore.Use(q.Use)))
	case opPublics:
		all, err := s.Publics(ctx, keystore.Use(q.Use))
		for _, p := range all {
			a.Many = append(a.Many, p.DER)
		}
		return err
	case opSign:
		a.Many, err = s.Sign(ctx, keystore.Use(q.Use), q.KeyID, q.messages())
	case opLogKeys:
		vkeys, err := s.LogKeys(ctx)
		for _, vkey := range vkeys {
			a.Many = append(a.Many, []byte(vkey))
		}
		return err
	case opSignLog:
		a.Data, err = s.SignLog(ctx, q.KeyID, q.Data)
	case opSignDerived:
		a.Data, err = s.SignDerived(ctx, q.Label, q.Network, q.Data)
	case opDerivedKey:
		a.Data, err = s.DerivedKey(ctx, q.Label, q.Network)
	case opNewAgency:
		return public(s.NewAgency(ctx, q.Agency))
	case opRotateAgency:
		return public(s.RotateAgency(ctx, q.Agency, q.KeyID))
	case opRotate:
		return public(s.Rotate(ctx, keystore.Use(q.Use), q.KeyID))
	case opWrap:
		a.Data, err = s.Wrap(ctx, q.Agency, q.Record, q.Data)
	case opUnwrap:
		a.Data, err = s.Unwrap(ctx, q.Agency, q.Record, q.Data)
	case opWrapEpoch:
		a.Data, err = s.WrapEpoch(ctx, q.Epoch, q.Data)
	case opUnwrapEpoch:
		a.Data, err = s.UnwrapEpoch(ctx, q.Epoch, q.Data)
	case opMAC:
		a.Data, err = s.MAC(ctx, q.Label, q.Data)
	case opDecoys:
		a.Data, err = s.Decoys(ctx, q.List)
	case opReceipt:
		a.Data, err = s.Receipt(ctx, q.List, q.Index)
	case opSaid:
		var judged bool
		if a.Text, judged, err = s.Said(ctx, q.Label, string(q.Data)); judged {
			a.Number = 1
		}
	case opGeneration:
		a.Number, err = s.Generation(ctx)
	case opRetireSigning, opRotateWrapping, opRetireWrapping:
		r, err := retirer(s)
		if err != nil {
			return err
		}
		return map[op]func(context.Context, string) error{
			opRetireSigning: r.RetireSigning, opRotateWrapping: r.RotateWrapping, opRetireWrapping: r.RetireWrapping,
		}[q.Op](ctx, q.Agency)
	case opRoster, opAdopt:
		at, err := place(ctx, s, q)
		a.Number, a.Data = at.Seq, at.Head
		if r, ok := s.(Adopter); ok && !r.Began().At.IsZero() {
			a.Began, a.First = r.Began().At.Unix(), r.Began().Changes
		}
		return err
	default:
		return ErrQuestion
	}
	return err
}

// Adopter is a Store that has a roster of its own.
type Adopter interface {
	Roster() Place
	Began() Beginning
	Adopt(ctx context.Context, base string, changes [][]byte, more bool) (Place, error)
}

// place says how far the roster goes, after what was handed over.
func place(ctx context.Context, s keystore.Store, q question) (Place, error) {
	r, ok := s.(Adopter)
	switch {
	case !ok:
		return Place{}, errors.New("signer: nobody here has a roster")
	case q.Op == opRoster:
		return r.Roster(), nil
	}
	changes := make([][]byte, len(q.Many))
	for i, m := range q.Many {
		changes[i] = m.Bytes
	}
	return r.Adopt(ctx, q.Label, changes, q.More)
}
