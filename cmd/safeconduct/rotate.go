package main

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
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/verifier"
)

// console is whoever may run commands in the folder. The log says so.
var console = audit.Actor{ID: "console", Role: string(people.Operator)}

// rotationName is where a rotation that has begun is written down.
const rotationName = "rotation.json"

// rotation is one rotation of an agency's keys. It is written down before
// anything is done and removed when all is, so that one that was cut off goes
// on where it was and makes no second key.
type rotation struct {
	Agency string `json:"agency"`
	From   string `json:"from"` // the key that signs when it begins
	// Wrapping says that the key-encryption key is to be changed as well.
	Wrapping bool `json:"wrapping,omitempty"`
	// Wrapped is set when the new key-encryption key is there.
	Wrapped bool `json:"wrapped,omitempty"`

	h     *house
	alone bool // nobody serves the folder
	wait  time.Duration
	// at is called behind each step; a test ends the process there.
	at func(step string) error
}

// rotated is what came of it.
type rotated struct {
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
var errOtherRotation = errors.New("a rotation of another agency was cut off; run it again first: its agency stands in " + rotationName)

func (r *rotation) path() string { return filepath.Join(r.h.cfg.dir, rotationName) }

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
	return writeFile(r.path(), append(data, '\n'))
}

// begin writes the rotation down, or finds the one that was cut off.
func (r *rotation) begin(ctx context.Context) (resumed bool, err error) {
	data, err := readBounded(r.path(), 4<<10)
	if err == nil {
		var begun rotation
		if err := json.Unmarshal(data, &begun); err != nil {
			return false, fmt.Errorf("%s is damaged; remove it when key list shows the key that you want", rotationName)
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
	if _, err := r.h.network.Agency(ctx, r.Agency); err != nil {
		return "", err
	}
	kid, _, err := r.h.keys.Signer(ctx, r.Agency)
	return kid, err
}

// run makes a new signing key, has it named in trust list and pack, and ends
// the old one in the keystore. It may be killed anywhere and run again.
func (r *rotation) run(ctx context.Context) (done rotated, err error) {
	if r.Wrapping && r.h.remote == nil {
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
	if err := r.h.network.Check(ctx); err != nil {
		return done, err
	}
	if done.KeyID, err = r.signing(ctx); err != nil {
		return done, err
	}
	if done.KeyID == r.From {
		key, err := r.h.network.RotateKey(ctx, console, r.Agency)
		if err != nil {
			return done, err
		}
		done.KeyID = key.KeyID
	}
	if err := r.step("rotated"); err != nil {
		return done, err
	}
	if r.alone {
		if _, err := r.h.board.Publish(ctx, console, false); err != nil {
			return done, err
		}
		done.Published = true
	}
	if err := r.step("published"); err != nil {
		return done, err
	}
	if r.h.remote != nil {
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
func (r *rotation) retire(ctx context.Context, done *rotated) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(r.wait):
	}
	if err := r.h.remote.RetireSigning(ctx, r.Agency); err != nil {
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
		if err := r.h.remote.RotateWrapping(ctx, r.Agency); err != nil {
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
	if done.Renewed, err = r.h.vault.Renew(ctx, r.Agency); err != nil {
		return err
	}
	if err := r.step("renewed"); err != nil {
		return err
	}
	return r.h.remote.RetireWrapping(ctx, r.Agency)
}

// compromised takes a key off that was stolen, but for what it had signed and
// what was logged before a day. A key that still signs is rotated first.
func (h *house) compromised(ctx context.Context, agency, kid string, since time.Time, r *rotation) (logged int, err error) {
	a, err := h.network.Agency(ctx, agency)
	if err != nil {
		return 0, err
	}
	if !slices.ContainsFunc(a.Keys, func(k network.Key) bool { return k.KeyID == kid }) {
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
	digests, err := h.db.Credentials().LoggedBefore(ctx, agency, since)
	if err != nil {
		return 0, err
	}
	c := &verifier.Compromise{At: since.Unix(), Logged: []string{}}
	for _, d := range digests {
		c.Logged = append(c.Logged, hex.EncodeToString(d[:8]))
	}
	slices.Sort(c.Logged)
	c.Logged = slices.Compact(c.Logged)
	if err := h.network.RevokeKey(ctx, console, agency, kid, c); err != nil {
		return 0, err
	}
	if r.alone {
		_, err = h.board.Publish(ctx, console, false)
	}
	return len(c.Logged), err
}
