package service

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/keystore"
)

// Names of the log's public files, besides its tiles.
const (
	// CheckpointName is the newest signed head.
	CheckpointName = "checkpoint"
	// RestartName says what a log follows.
	RestartName = "restart.json"
	// FormerName is where a log that begins anew keeps the one before.
	FormerName = "former"
)

// LogOrigin is the name that a network's log signs under.
func LogOrigin(id string) string { return "safeconduct/" + id }

// A log begins anew after a restore, because nobody can be sure what it had
// published last. It gets another name, drawn at random, so that nothing it
// signs can be taken for a word of the one before, nor of another restore from
// the same backup. Its key is the same: what is signed begins with the name.

// NewOrigin draws the name of a log that begins anew.
func NewOrigin(network string) string { return LogOrigin(network) + "/" + randomHex(4) }

// isRestarted reports whether origin is a name that NewOrigin could have drawn.
func isRestarted(origin, first string) bool {
	drawn, ok := strings.CutPrefix(origin, first+"/")
	return ok && len(drawn) == 8 && strings.Trim(drawn, "0123456789abcdef") == ""
}

// namedLog is a keystore whose log has another name than the one that the
// keystore was made with. An Ed25519 signature covers the text alone (C2SP
// signed-note); the name stands beside it.
type namedLog struct {
	keystore.Store

	origin string
}

// LogKey is the text by which strangers check the log.
func (k namedLog) LogKey(ctx context.Context) (string, error) {
	vkey, err := k.Store.LogKey(ctx)
	if err != nil {
		return "", err
	}
	return renamedKey(vkey, k.origin)
}

// renamedKey is a note verifier key under another name.
func renamedKey(vkey, origin string) (string, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return "", errors.New("the log's key has another form")
	}
	data, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(data) != 1+ed25519.PublicKeySize {
		return "", errors.New("the log's key has another form")
	}
	return note.NewEd25519VerifierKey(origin, ed25519.PublicKey(data[1:]))
}

// nameLog gives the log the name that it has had since the last restore.
func (s *Service) nameLog(ctx context.Context, network string, keys keystore.Store) (keystore.Store, error) {
	now, former, err := logNames(ctx, s.DB, network)
	if err != nil || len(former) == 0 {
		return keys, err
	}
	s.former = former
	return namedLog{keys, now}, nil
}

// ErrUnlinked says that a log which began anew does not prove what it follows.
var ErrUnlinked = errors.New("the log began anew and does not show what it follows")

// Follows checks what a log says about the one before it, with nothing but the
// public files and the log's public key: the note in restart.json is the first
// leaf, names this log, and holds a checkpoint that the same key signed under
// the former name. The zero Checkpoint is that of a log which is the first.
func Follows(dir fs.FS, vkey string) (former audit.Checkpoint, err error) {
	origin, _, _ := strings.Cut(vkey, "+")
	at := strings.LastIndexByte(origin, '/')
	if at < 0 || !isRestarted(origin, origin[:at]) {
		return audit.Checkpoint{}, nil
	}
	data, err := fs.ReadFile(dir, RestartName)
	if err != nil {
		return audit.Checkpoint{}, errors.Join(ErrUnlinked, err)
	}
	n, err := audit.ParseNote(data)
	if err != nil {
		return audit.Checkpoint{}, errors.Join(ErrUnlinked, err)
	}
	var body struct{ Log, Former string }
	if err := json.Unmarshal(n.Body, &body); err != nil || body.Log != origin {
		return audit.Checkpoint{}, ErrUnlinked
	}
	proof, err := audit.Prove(dir, vkey, 0)
	if err != nil {
		return audit.Checkpoint{}, err
	}
	if _, err := audit.CheckInclusion(vkey, n.Hash(), proof); err != nil {
		return audit.Checkpoint{}, errors.Join(ErrUnlinked, err)
	}
	first, err := renamedKey(vkey, origin[:at])
	if err != nil {
		return audit.Checkpoint{}, err
	}
	former, err = ParseHead(first, []byte(body.Former))
	if err != nil {
		return audit.Checkpoint{}, errors.Join(ErrUnlinked, err)
	}
	return former, nil
}

// KeyForCheckpoint is the key that a checkpoint of this network's log has to be
// signed with: the name in its first line may be that of a log that began anew.
func KeyForCheckpoint(vkey string, checkpoint []byte) (string, error) {
	origin, _, _ := strings.Cut(string(checkpoint), "\n")
	if first, _, _ := strings.Cut(vkey, "+"); isRestarted(origin, first) {
		return renamedKey(vkey, origin)
	}
	return vkey, nil
}

// ParseHead reads a checkpoint of the network's log, by whatever name it has.
func ParseHead(vkey string, data []byte) (audit.Checkpoint, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return audit.Checkpoint{}, nil
	}
	key, err := KeyForCheckpoint(vkey, data)
	if err != nil {
		return audit.Checkpoint{}, err
	}
	return audit.ParseCheckpoint(data, key)
}
