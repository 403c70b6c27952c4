package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/people/roster"
)

// Signing says where a signer is asked, and by whom.
type Signing struct {
	Network string // the network's id; needed where its keys are in a HashiCorp Vault
	Child   bool   // asked by the process that started it alone
	Socket  string // asked there otherwise
	Peers   []int  // users that may ask, besides our own
	// Restart is that of Config, for a signer that is nobody's child.
	Restart func()
}

// Sign is the process that has the keys of the network in a folder. It opens no
// database, and answers until ctx ends, or, as a child, until its parent does. It
// alone reads the passphrase.
func Sign(ctx context.Context, f config.Folder, log *slog.Logger, at Signing) error {
	if !at.Child {
		opened, err := waitSigner(ctx, f, log, at)
		if err != nil || ctx.Err() != nil {
			return err
		}
		return sign(ctx, f, log, at, opened, func() (net.Listener, error) { return signer.Listen(at.Socket, len(at.Peers) > 0) })
	}
	parent, err := signer.Parent()
	if err != nil {
		return err
	}
	// Signals that are for both, as from a terminal, are for the parent to judge: it
	// still has requests to answer.
	err = sign(context.WithoutCancel(ctx), f, log, at, "", func() (net.Listener, error) { return parent, parent.Tell(nil) })
	if err != nil {
		_ = parent.Tell(err) // too late for one that had begun
	}
	return err
}

// sign opens the keys, and then answers.
func sign(ctx context.Context, f config.Folder, log *slog.Logger, at Signing, opened string, listen func() (net.Listener, error)) (err error) {
	keys, done, err := openSigner(ctx, f, at.Network)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	judge, err := signer.NewJudge(ctx, signer.JudgeConfig{Keys: keys, Dir: f.Path(config.SignerName), Log: log, Opened: opened})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, judge.Close(context.WithoutCancel(ctx))) }()
	guard, err := signer.NewGuard(ctx, signer.GuardConfig{
		Keys: keys, Dir: f.Path(config.SignerName), Permits: judge, Derived: []string{offsite.LabelBackup, offsite.LabelRows},
	})
	if err != nil {
		return err
	}
	l, err := listen()
	if err != nil {
		return err
	}
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if v, ok := keys.(*hcvault.Vault); ok {
		go func() { _ = v.Run(working) }() // renews the login; never ends with an error
	}
	if !at.Child { // else its parent says it
		log.InfoContext(ctx, "the keys can be asked")
		defer log.InfoContext(ctx, "the signer stopped")
	}
	if at.Child { // its parent ends it
		return signer.Serve(ctx, l, signer.Config{Keys: guard, Peers: at.Peers, Log: log})
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go watchSigner(working, f, judge, func() {
		if at.Restart != nil {
			time.AfterFunc(dropTime, at.Restart)
		}
		stop(ErrLocked)
	})
	err = signer.Serve(ctx, l, signer.Config{Keys: guard, Peers: at.Peers, Log: log, Lock: func(string) error {
		if _, is, err := ReadLock(f.Dir); is || err != nil {
			return err
		}
		return pinSigner(f, judge, Lock{})
	}})
	if errors.Is(context.Cause(ctx), ErrLocked) {
		return ErrLocked
	}
	return err
}

// openSigner opens the keys for this process alone.
func openSigner(ctx context.Context, f config.Folder, network string) (_ keystore.Store, done func() error, err error) {
	if err := disableCoreDumps(); err != nil {
		return nil, nil, fmt.Errorf("keep keys out of core files: %w", err)
	}
	if err := f.Check(); err != nil {
		return nil, nil, err
	}
	cfg, err := ConfigFor(f)
	if err != nil {
		return nil, nil, err
	}
	if cfg.Engines, err = config.ReadEngines(cfg.Dir); err != nil {
		return nil, nil, err
	}
	if cfg.Engines.Signer != "" {
		return nil, nil, errors.New("signer_socket is for whoever asks; take it out of this folder's " + config.EnginesName)
	}
	if cfg.Engines.Vault != "" && network == "" {
		return nil, nil, errors.New("which network? Give --network: its id is in every pack, and key list says it")
	}
	state := f.Path(config.SignerName)
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, nil, err
	}
	// The one before may still be on its way out.
	unlock, err := files.WaitLock(ctx, state)
	if err != nil {
		return nil, nil, fmt.Errorf("another signer has these keys: %w", err)
	}
	keys, closeKeys, err := OpenKeys(ctx, cfg.withDefaults(), network)
	if err != nil {
		return nil, nil, errors.Join(err, unlock())
	}
	return keys, func() error { return errors.Join(closeKeys(), unlock()) }, nil
}

// informed is a keystore that knows by itself who belongs to the network, and has to be
// told what changes.
type informed interface {
	Follow(r signer.Roster)
	HandOver(ctx context.Context) (told int, err error)
}

// inform hands a signer what it lacks of the roster. What it does not take now is no
// reason to serve nothing: packs and lists need none of it.
// To serve by a roster of before the signer's is one: somebody may have been removed.
func (s *Service) inform(ctx context.Context, serve bool) error {
	keys, ok := s.store.(informed)
	if !ok {
		return nil
	}
	keys.Follow(signer.Roster{Base: s.Network.BaseURL(), Changes: s.DB.People().Changes})
	_, err := keys.HandOver(ctx)
	if serve && errors.Is(err, ErrSignerAhead) {
		return &PutBackError{"has an older roster than its signer, or another one", doSigner, false}
	}
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "the signer has another roster, and signs by its own", "cause", err.Error())
	}
	return nil
}

const doSigner = "Put its newest state back. After a restore the signer begins anew: docs/operate.md, What the signer believes. Until then nothing is served and nothing was changed."

// TellSigner hands the signer what it lacks of the roster. ok is whether there is one
// that judges by a roster of its own. An error is ErrSignerAhead, or what it did not take.
func (s *Service) TellSigner(ctx context.Context) (ok bool, err error) {
	keys, ok := s.store.(informed)
	if ok {
		_, err = keys.HandOver(ctx)
	}
	return ok, err
}

// SignerBegan is when a signer that judges by a roster of its own began with an empty
// folder, and what it took in then as it was handed over.
type SignerBegan struct {
	At       time.Time // zero where it is not known
	Changes  uint64
	Founding time.Time // of the network
}

// SignerBegan asks the signer.
func (s *Service) SignerBegan(ctx context.Context) (began SignerBegan, err error) {
	keys, ok := s.store.(*signer.Client)
	if !ok {
		return began, nil
	}
	is, err := keys.Began(ctx)
	if err != nil {
		return began, err
	}
	first, err := s.DB.People().Changes(ctx, 1, 1)
	if err != nil || len(first) == 0 {
		return began, err
	}
	founding, err := roster.Parse(first[0])
	return SignerBegan{is.At, is.Changes, time.Unix(founding.At, 0)}, err
}

// ErrSignerShut says that the signer has put its keys away, because the network is locked.
var ErrSignerShut = signer.ErrShut

// ErrSignerAhead says that the signer has adopted another roster than the database has,
// or a later one.
var ErrSignerAhead = signer.ErrOtherRoster

const (
	// informEvery is how soon a signer is told of a change, also one that another
	// process made; informAgain is when it is told again what it did not take.
	informEvery = 2 * time.Second
	informAgain = time.Minute
)

// keepInformed tells the signer of every change.
func (s *Service) keepInformed(ctx context.Context) {
	keys, ok := s.store.(informed)
	if !ok {
		return
	}
	var told uint64
	var next time.Time
	again(ctx, informEvery, func() {
		state, err := s.People.State(ctx)
		if err != nil || state.Seq == told || time.Now().Before(next) {
			return // who cannot be let in says so elsewhere
		}
		if _, err := keys.HandOver(ctx); err != nil {
			next = time.Now().Add(informAgain)
			s.cfg.Log.WarnContext(ctx, "the signer was not told of a change of the roster", "cause", err.Error())
			return
		}
		told = state.Seq
	})
}

// A KeyOpener opens the keys of the network with an id. The caller calls done in
// the end.
type KeyOpener func(ctx context.Context, network string) (keys keystore.Store, done func() error, err error)

// SignerAt asks the signer that answers on a socket.
func SignerAt(socket string) KeyOpener {
	return func(ctx context.Context, _ string) (keystore.Store, func() error, error) {
		c, err := signer.Dial(ctx, socket)
		if err != nil && !errors.Is(err, signer.ErrShut) { // one that is shut says so to whoever asks
			return nil, nil, errors.Join(fmt.Errorf("the signer at --signer-socket: %w", err), c.Close())
		}
		return c, c.Close, nil
	}
}

// SignerBeside starts program as a signer of this process's own: it alone reads
// the passphrase, or logs in to a Vault. It is program that gets the words of
// docs/operate.md, The signer.
func SignerBeside(program string, folder config.Folder, log *slog.Logger) KeyOpener {
	return func(ctx context.Context, network string) (keystore.Store, func() error, error) {
		child, err := signer.Start(ctx, signer.ChildConfig{Log: log, Command: func() (*exec.Cmd, error) {
			args := []string{"signer", "--child", "--dir", folder.Dir, "--network", network}
			var passed []*os.File
			name := folder.PassphraseFile // what the environment names, it is told there
			// What can be read once, as the end of a pipe, is passed on unread.
			if info, err := os.Stat(folder.PassphraseName()); err == nil && !info.Mode().IsRegular() {
				f, err := os.Open(folder.PassphraseName())
				if err != nil {
					return nil, err
				}
				passed, name = append(passed, f), "/dev/fd/4" //nolint:gosec // where the file is that was passed on
			}
			if name != "" {
				args = append(args, "--passphrase-file", name)
			}
			cmd := exec.Command(program, args...) //nolint:noctx,gosec // this very program; it ends with the child's Close
			cmd.Stderr, cmd.ExtraFiles = os.Stderr, passed
			return cmd, nil
		}})
		if err != nil {
			return nil, nil, err
		}
		return child.Keys(), child.Close, nil
	}
}

// ErrSignerState says which file of the signer's folder does not open.
var ErrSignerState = signer.ErrState

// CheckSigner looks whether what the signer keeps opens: ErrSignerState, with the files that
// do not. What a signer of another user keeps only that one reads.
func (s *Service) CheckSigner(ctx context.Context) error {
	if s.cfg.Engines.Signer != "" {
		return nil
	}
	return signer.Check(ctx, s.store, config.Folder{Dir: s.cfg.Dir}.Path(config.SignerName))
}
