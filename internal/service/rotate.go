package service

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// Console is whoever may run commands in the folder. The log says so.
var Console = audit.Actor{ID: "console", Role: string(people.Operator)}

// Rotation says whose key is to be changed.
type Rotation struct {
	Agency   string
	Wrapping bool          // the key-encryption key as well, and the key files of the agency's records
	Alone    bool          // nobody serves the folder
	Inside   bool          // the service does it itself: its keys are the ones that sign
	Wait     time.Duration // how long acts that have begun may still use the old key
}

// ErrServed says that a change has to wait until nobody serves the folder.
var ErrServed = errors.New("the folder is served, and its key file is read when the service starts: stop the service, do this, start it again")

// Rotate gives an agency a new signing key, has it named in trust list and pack,
// and ends the old one in the keystore. It may be killed anywhere and called
// again. While another process serves the folder it works only where the keys
// are in a HashiCorp Vault, else ErrServed.
func (s *Service) Rotate(ctx context.Context, r Rotation) (Rotated, error) {
	one, err := s.rotation(r)
	if err != nil {
		return Rotated{}, err
	}
	return one.run(ctx)
}

func (s *Service) rotation(r Rotation) (*rotation, error) {
	if !r.Alone && !r.Inside && s.remote == nil {
		return nil, ErrServed
	}
	return &rotation{Agency: r.Agency, Wrapping: r.Wrapping, s: s, alone: r.Alone, inside: r.Inside, wait: r.Wait}, nil
}

// MayRotate tells whether two people agreed within 30 days that an agency's key is
// replaced, or a rotation of it was begun: then a command may finish it.
func (s *Service) MayRotate(ctx context.Context, agency string) (bool, error) {
	if _, err := os.Stat(filepath.Join(s.cfg.Dir, config.RotationName)); err == nil {
		return true, nil
	}
	state, err := s.People.State(ctx)
	if err != nil {
		return false, err
	}
	if _, ok := state.Agencies[agency]; !ok {
		return false, network.ErrNotFound
	}
	since := s.cfg.Now().Add(-30 * 24 * time.Hour).Unix()
	return slices.ContainsFunc(state.Ceremonies, func(c roster.Ceremony) bool {
		return c.Use == roster.UseAgency && c.Agency == agency && c.At >= since
	}), nil
}

// rotation is a Rotation on its way. It is written down before
// anything is done and removed when all is, so that one that was cut off goes
// on where it was and makes no second key.
type rotation struct {
	Agency string `json:"agency"`
	From   string `json:"from"` // the key that signs when it begins
	// Wrapping says that the key-encryption key is to be changed as well.
	Wrapping bool `json:"wrapping,omitempty"`
	// Wrapped is set when the new key-encryption key is there.
	Wrapped bool `json:"wrapped,omitempty"`

	s      *Service
	alone  bool // nobody serves the folder
	inside bool // the service does it, and waits for nobody's acts that have begun
	wait   time.Duration
	// at is called behind each step; a test ends the process there.
	at func(step string) error
}

// Rotated is what came of it.
type Rotated struct {
	Agency  string `json:"agency"`
	From    string `json:"from"`
	KeyID   string `json:"kid"`
	Resumed bool   `json:"resumed"`
	// Published says that packs name the new key. Otherwise the service will,
	// with its next window.
	Published bool `json:"published"`
	Retired   bool `json:"retired"` // the keystore refuses the old versions
	Renewed   int  `json:"renewed"` // key files, where the key-encryption key was changed
}

// errOtherRotation says that another agency's has to be ended first.
var errOtherRotation = errors.New("a rotation of another agency was cut off; run it again first: its agency stands in " + config.RotationName)

func (r *rotation) path() string { return filepath.Join(r.s.cfg.Dir, config.RotationName) }

func (r *rotation) step(name string) error {
	if r.at == nil {
		return nil
	}
	return r.at(name)
}

func (r *rotation) write() error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return files.Replace(r.path(), append(data, '\n'))
}

// begin writes the rotation down, or finds the one that was cut off.
func (r *rotation) begin(ctx context.Context) (resumed bool, err error) {
	data, err := files.Read(r.path(), 4<<10)
	if err == nil {
		var begun rotation
		if err := json.Unmarshal(data, &begun); err != nil {
			return false, fmt.Errorf("%s is damaged; remove it when key list shows the key that you want", config.RotationName)
		}
		if begun.Agency != r.Agency {
			return false, errOtherRotation
		}
		r.From, r.Wrapping, r.Wrapped = begun.From, begun.Wrapping || r.Wrapping, begun.Wrapped
		return true, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	if r.From, err = r.signing(ctx); err != nil {
		return false, err
	}
	return false, r.write()
}

// signing is the key that the agency signs with now.
func (r *rotation) signing(ctx context.Context) (string, error) {
	if _, err := r.s.Network.Agency(ctx, r.Agency); err != nil {
		return "", err
	}
	kid, _, err := r.s.Keys.Signer(ctx, r.Agency)
	return kid, err
}

// run makes a new signing key, has it named in trust list and pack, and ends
// the old one in the keystore. It may be killed anywhere and run again.
func (r *rotation) run(ctx context.Context) (done Rotated, err error) {
	if r.Wrapping && r.s.remote == nil {
		return done, errors.New("--wrapping: key-encryption keys are changed in a HashiCorp Vault only")
	}
	done.Agency = r.Agency
	if done.Resumed, err = r.begin(ctx); err != nil {
		return done, err
	}
	done.From = r.From
	if err := r.step("begun"); err != nil {
		return done, err
	}
	// A key that the keystore has and the database lacks is what a rotation
	// left that was killed between the two: Check writes it down.
	if err := r.s.Network.Check(ctx); err != nil {
		return done, err
	}
	if done.KeyID, err = r.signing(ctx); err != nil {
		return done, err
	}
	if done.KeyID == r.From {
		key, err := r.s.Network.RotateKey(ctx, Console, r.Agency)
		if err != nil {
			return done, err
		}
		done.KeyID = key.KeyID
	}
	if err := r.step("rotated"); err != nil {
		return done, err
	}
	if r.alone {
		if _, err := r.s.Board.Publish(ctx, Console, false); err != nil {
			return done, err
		}
		done.Published = true
	}
	if err := r.step("published"); err != nil {
		return done, err
	}
	if r.s.remote != nil && !r.inside {
		if err := r.retire(ctx, &done); err != nil {
			return done, err
		}
	}
	if err := os.Remove(r.path()); err != nil {
		return done, err
	}
	return done, nil
}

// retire has Vault refuse what is old, once nothing is under way with it.
func (r *rotation) retire(ctx context.Context, done *Rotated) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(r.wait):
	}
	if err := r.s.remote.RetireSigning(ctx, r.Agency); err != nil {
		return err
	}
	done.Retired = true
	if err := r.step("retired"); err != nil {
		return err
	}
	if !r.Wrapping {
		return nil
	}
	if !r.Wrapped {
		if err := r.s.remote.RotateWrapping(ctx, r.Agency); err != nil {
			return err
		}
		if err := r.step("wrapping made"); err != nil {
			return err
		}
		r.Wrapped = true
		if err := r.write(); err != nil {
			return err
		}
	}
	// Other processes know the new version within a second; what they wrapped
	// just before would be left behind.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(r.wait):
	}
	var err error
	if done.Renewed, err = r.s.Vault.Renew(ctx, r.Agency); err != nil {
		return err
	}
	if err := r.step("renewed"); err != nil {
		return err
	}
	return r.s.remote.RetireWrapping(ctx, r.Agency)
}

// Compromised takes a key off that was stolen, but for what it had signed and
// what was logged before a day. A key that still signs is rotated first, as order
// says. It returns how much was logged.
func (s *Service) Compromised(ctx context.Context, kid string, since time.Time, order Rotation) (logged int, err error) {
	r, err := s.rotation(order)
	if err != nil {
		return 0, err
	}
	agency := order.Agency
	a, err := s.Network.Agency(ctx, agency)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(a.Keys, func(k network.Key) bool { return k.KeyID == kid })
	if i < 0 {
		return 0, fmt.Errorf("the agency has no such key; key list names them: %w", network.ErrNotFound)
	}
	now, err := r.signing(ctx)
	if err != nil {
		return 0, err
	}
	if now == kid {
		if _, err := r.run(ctx); err != nil {
			return 0, err
		}
	}
	from, before := a.SignedWith(kid)
	if since.Before(before) {
		before = since
	}
	digests, err := s.DB.Credentials().LoggedBetween(ctx, agency, from, before)
	if err != nil {
		return 0, err
	}
	c := &verifier.Compromise{At: since.Unix(), Logged: []string{}}
	for _, d := range digests {
		c.Logged = append(c.Logged, hex.EncodeToString(d[:8]))
	}
	slices.Sort(c.Logged)
	c.Logged = slices.Compact(c.Logged)
	if was := a.Keys[i].Compromised; was != nil {
		c.Logged = c.Both(*was).Logged
	}
	if err := s.Network.RevokeKey(ctx, Console, agency, kid, c); err != nil {
		return 0, err
	}
	if r.alone {
		_, err = s.Board.Publish(ctx, Console, false)
	}
	return len(c.Logged), err
}
