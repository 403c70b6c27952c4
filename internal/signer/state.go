package signer

import (
	"context"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/verifier"
)

// StateName is the file, in the signer's folder, with what was signed last.
const StateName = "state.json"

// stateLabel begins the labels of the keyed hashes that a guard keeps to itself.
const stateLabel = "safeconduct/signer/"

// ErrState says that what the signer knew was altered, or is of other keys. Nothing
// is signed until the file is put back.
var ErrState = fmt.Errorf("signer: a file of its folder is %w, or of other keys: put it back as it was", trouble.ErrDamaged)

// maxState bounds a file: what it holds most of is the lists of the last pack, or years
// of changes.
const maxState = 128 << 20

// state is what a guard knows of what was signed: it goes forward alone.
type state struct {
	Network  string            `json:"network,omitempty"`
	Base     string            `json:"base,omitempty"`   // where the network is served
	Named    naming            `json:"named,omitzero"`   // what the root said last
	Trust    uint64            `json:"trust"`            // the highest number of a trust list
	Sequence uint64            `json:"sequence"`         // and of a pack
	Lists    map[string]string `json:"lists"`            // the tokens in that pack, by their addresses
	Logs     map[string]head   `json:"logs"`             // the longest checkpoint of each name
	Log      string            `json:"log,omitempty"`    // what trust lists call the log
	Latest   int64             `json:"latest,omitempty"` // the latest date of a trust list or a pack, in Unix seconds
	// Keys are agencies with keys that stood on trust lists, each whole: of ids there are
	// few enough for somebody to make a key that has one of many.
	Keys map[string]bool `json:"keys"`
	// Listed is what trust lists said of each key of an agency, by its id, and Burned are
	// the epochs that packs said to be burned: neither is taken back.
	Listed map[string]listed `json:"listed,omitempty"`
	Burned []uint32          `json:"burned,omitempty"`
	// Resumed are the acts by which something paused is in use again, with its place,
	// and until when they would be good, in Unix seconds.
	Resumed map[string]int64 `json:"resumed,omitempty"`
}

// listed is how a key stood on trust lists, by the agency and the key's id.
type listed struct {
	From    int64 `json:"from"`
	To      int64 `json:"to"`
	Revoked bool  `json:"revoked,omitempty"`
	// Compromised is what is left of a stolen key; nil is of none.
	Compromised *verifier.Compromise `json:"compromised,omitempty"`
}

// logged tells whether something is left of what a stolen key has signed.
func (l listed) logged(token string) bool {
	jwt, _, _ := strings.Cut(token, "~")
	sum := inputOf(jwt)
	_, ok := slices.BinarySearch(l.Compromised.Logged, hex.EncodeToString(sum[:8]))
	return ok
}

// noteKey notes what a trust list says of a key. A key that is revoked or stolen stays so,
// nothing is good again that was signed with a stolen one, and the time of a key begins
// when it was first said to, and ends no later.
func (s *state) noteKey(agency string, k verifier.AgencyKey) error {
	name := listedAs(agency, k.KeyID)
	is := listed{k.From, k.To, k.Revoked, k.Compromised}
	was, known := s.Listed[name]
	switch {
	case is.Compromised != nil && !slices.IsSorted(is.Compromised.Logged):
		return refuse("what was logged is not sorted")
	case !known:
	case was.Revoked && !is.Revoked:
		return refuse("a key that was revoked stays so")
	case was.Compromised != nil && is.Compromised == nil:
		return refuse("a key that was stolen stays so")
	case was.Compromised != nil && !is.Compromised.Within(*was.Compromised):
		return refuse("a key that was stolen is believed for more than before")
	case is.From != was.From || is.To > was.To:
		return refuse("a key is good for another time than it was")
	}
	s.Listed[name] = is
	return nil
}

// noteTrustList notes what a trust list says that is published: its number, and its keys. It is
// no older one than the newest that is known, and not far ahead.
func (s *state) noteTrustList(l verifier.TrustList) error {
	switch {
	case l.Sequence < s.Trust:
		return refuse("a trust list of before")
	case far(l.Sequence, max(s.Trust, s.Sequence)): // a restore goes on behind both
		return refuse("a trust list with a number far ahead")
	}
	s.Trust = l.Sequence
	if name := nameOfLog(l); name != "" {
		s.Log = name // a restore gives it another one, and publishes that itself
	}
	for _, a := range l.Agencies {
		for _, k := range a.Keys {
			if !k.Revoked {
				s.Keys[keyOf(a.ID, k)] = true
			}
			if err := s.noteKey(a.ID, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// callsLog sees that a trust list that is about to be signed calls the log what the ones
// before did, in this life of the network: the first says it.
func (s *state) callsLog(l verifier.TrustList) error {
	name := nameOfLog(l)
	for _, k := range l.Keys {
		if k.Use == verifier.UseLog && !strings.HasPrefix(k.Note, name+"+") {
			return refuse("a log with two names")
		}
	}
	life, ok := strings.CutPrefix(name, logName+l.Network)
	if !ok || !anew.MatchString(life) || s.Log != "" && name != s.Log {
		return refuse("the log under another name")
	}
	return nil
}

// anew is what ends the name of a log: nothing, or what was drawn when it began anew
// after a restore (docs/restore.md).
var anew = regexp.MustCompile(`^(/[0-9a-f]{8})?$`)

// nameOfLog is what a trust list calls the log; "" where it names no key of it.
func nameOfLog(l verifier.TrustList) string {
	for _, k := range l.Keys {
		if k.Use == verifier.UseLog {
			name, _, _ := strings.Cut(k.Note, "+") // C2SP signed-note, "Signed Note Verifier Keys"
			return name
		}
	}
	return ""
}

// keyOf names a key of an agency in Keys, and listedAs in Listed.
func keyOf(agency string, k verifier.AgencyKey) string { return agency + " " + string(k.JWK) }
func listedAs(agency, kid string) string               { return agency + " " + kid }

// burn notes which epochs a pack says to be burned. They stay so.
func (s *state) burn(epochs []uint32) error {
	for _, e := range s.Burned {
		if !slices.Contains(epochs, e) {
			return refuse("an epoch that was burned stays so")
		}
	}
	s.Burned = slices.Clone(epochs)
	return nil
}

// naming is the key for trust lists that the root named, and when.
type naming struct {
	KeyID    string `json:"kid"`
	IssuedAt int64  `json:"iat"`
}

type head struct {
	Size uint64 `json:"size"`
	Root string `json:"root"`
}

func (s state) clone() state {
	s.Lists, s.Logs, s.Keys, s.Resumed = maps.Clone(s.Lists), maps.Clone(s.Logs), maps.Clone(s.Keys), maps.Clone(s.Resumed)
	if s.Listed = maps.Clone(s.Listed); s.Listed == nil {
		s.Listed = map[string]listed{}
	}
	if s.Resumed == nil {
		s.Resumed = map[string]int64{}
	}
	return s
}

// sealed is a file of a guard's.
type sealed struct {
	State json.RawMessage `json:"state"`
	MAC   []byte          `json:"mac"`
}

func readState(ctx context.Context, keys keystore.Store, dir string) (state, error) {
	s := state{Lists: map[string]string{}, Logs: map[string]head{}, Keys: map[string]bool{}}
	err := unseal(ctx, keys, dir, StateName, stateLabel+"1", &s)
	if err == nil && (s.Lists == nil || s.Logs == nil || s.Keys == nil) {
		err = ErrState
	}
	return s, err
}

// Check looks whether what a signer keeps in its folder opens: the error is ErrState, with
// the names of files that do not. It changes nothing, and may be asked beside a signer.
func Check(ctx context.Context, keys keystore.Store, dir string) error {
	_, state := readState(ctx, keys, dir)
	_, roster := NewJudge(ctx, JudgeConfig{Keys: keys, Dir: dir})
	return errors.Join(state, roster)
}

// unseal reads a file that seal wrote; one that is not there leaves v as it is.
func unseal(ctx context.Context, keys keystore.Store, dir, name, label string, v any) error {
	data, err := files.Read(filepath.Join(dir, name), maxState)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var f sealed
	if err := strictjson.Unmarshal(data, strictjson.Limits{Size: maxState}, &f); err != nil {
		return damaged(name)
	}
	want, err := keys.MAC(ctx, label, f.State)
	if err != nil {
		return err
	}
	if !hmac.Equal(want, f.MAC) || strictjson.Unmarshal(f.State, strictjson.Limits{Size: maxState}, v) != nil {
		return damaged(name)
	}
	return nil
}

// damaged is ErrState, and says which file it is.
func damaged(name string) error { return fmt.Errorf("%s: %w", name, ErrState) }

// seal writes a file down, whole or not at all, under a keyed hash that nobody is given.
func seal(ctx context.Context, keys keystore.Store, dir, name, label string, v any) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return err
	}
	mac, err := keys.MAC(ctx, label, plain)
	if err != nil {
		return err
	}
	data, err := json.Marshal(sealed{plain, mac})
	if err != nil {
		return err
	}
	if len(data) > maxState {
		return errLong
	}
	if err := files.Replace(filepath.Join(dir, name), data); err != nil {
		return fmt.Errorf("signer: write what was signed: %w", trouble.Disk(err))
	}
	return nil
}

// smallest is the size of a file that tells little; a longer one has the double, and so on.
const smallest = 16 << 10

// conceal writes a file down like seal, encrypted to a key that nobody is given.
func conceal(ctx context.Context, keys keystore.Store, dir, name, label string, v any) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return err
	}
	size := smallest
	for size < 4+len(plain) {
		size *= 2
	}
	if size > maxState/2 {
		return errLong
	}
	text := make([]byte, size)
	binary.BigEndian.PutUint32(text, uint32(len(plain))) //nolint:gosec // far below 4 GiB
	copy(text[4:], plain)
	aead, err := concealing(ctx, keys, label)
	if err != nil {
		return err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+size+aead.Overhead())
	_, _ = rand.Read(nonce) // never returns an error
	if err := files.Replace(filepath.Join(dir, name), aead.Seal(nonce, nonce, text, nil)); err != nil {
		return fmt.Errorf("signer: write what was signed: %w", trouble.Disk(err))
	}
	return nil
}

// reveal reads a file that conceal wrote; one that is not there leaves v as it is.
func reveal(ctx context.Context, keys keystore.Store, dir, name, label string, v any) error {
	data, err := files.Read(filepath.Join(dir, name), maxState)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	aead, err := concealing(ctx, keys, label)
	if err != nil {
		return err
	}
	if len(data) < aead.NonceSize() {
		return damaged(name)
	}
	text, err := aead.Open(nil, data[:aead.NonceSize()], data[aead.NonceSize():], nil)
	if err != nil || len(text) < 4 || uint64(binary.BigEndian.Uint32(text)) > uint64(len(text)-4) { //nolint:gosec // it is 4 at the least
		return damaged(name)
	}
	plain := text[4 : 4+binary.BigEndian.Uint32(text)]
	if strictjson.Unmarshal(plain, strictjson.Limits{Size: maxState}, v) != nil {
		return damaged(name)
	}
	return nil
}

func concealing(ctx context.Context, keys keystore.Store, label string) (cipher.AEAD, error) {
	key, err := keys.MAC(ctx, label, []byte("encrypts"))
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.NewX(key)
}

// keep writes a state down before anything that follows from it is signed. The
// caller has the lock.
func (g *Guard) keep(ctx context.Context, next state) error {
	if err := seal(ctx, g.Store, g.cfg.Dir, StateName, stateLabel+"1", next); err != nil {
		return err
	}
	g.state = next
	return nil
}
