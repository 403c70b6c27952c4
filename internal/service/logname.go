package service

import (
	"bytes"
	"context"
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

// LogKeys are the texts by which strangers check the log.
func (k namedLog) LogKeys(ctx context.Context) ([]string, error) {
	vkeys, err := k.Store.LogKeys(ctx)
	if err != nil {
		return nil, err
	}
	return renamedKeys(vkeys, k.origin)
}

// renamedKeys are note verifier keys under another name.
func renamedKeys(vkeys []string, origin string) ([]string, error) {
	all := make([]string, len(vkeys))
	for i, vkey := range vkeys {
		public, err := keystore.LogPublic(vkey)
		if err != nil {
			return nil, err
		}
		if all[i], err = note.NewEd25519VerifierKey(origin, public); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// logKeys are the log's keys as they are now: those that the keystore has, of which those
// sign that stand on the trust list.
type logKeys struct {
	keys   keystore.Keys
	listed func(ctx context.Context) ([]string, error)
}

// Verifiers are the public halves, the newest first.
func (k logKeys) Verifiers(ctx context.Context) ([]note.Verifier, error) {
	vkeys, err := k.keys.LogKeys(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]note.Verifier, len(vkeys))
	for i, vkey := range vkeys {
		if all[i], err = note.NewVerifier(vkey); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Signers are the key that signs now, and those beside it that it replaced.
func (k logKeys) Signers(ctx context.Context) ([]note.Signer, error) {
	vkeys, err := k.listed(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]note.Signer, len(vkeys))
	for i, vkey := range vkeys {
		if all[i], err = k.keys.LogSigner(ctx, vkey); err != nil {
			return nil, err
		}
	}
	return all, nil
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
// public files and the log's public keys, of which vkey signed its checkpoint: the note
// in restart.json is the first leaf, names this log, and holds a checkpoint that one of
// the keys signed under the former name. The zero Checkpoint is that of a log which is
// the first.
func Follows(dir fs.FS, vkey string, vkeys []string) (former audit.Checkpoint, err error) {
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
	first, err := renamedKeys(append([]string{vkey}, vkeys...), origin[:at])
	if err != nil {
		return audit.Checkpoint{}, err
	}
	former, err = ParseHead(first, []byte(body.Former))
	if err != nil {
		return audit.Checkpoint{}, errors.Join(ErrUnlinked, err)
	}
	return former, nil
}

// KeyForCheckpoint is the key that has signed a checkpoint of this network's log, of those
// that sign now or signed before, the newest first: the newest of them where none has. The
// name in its first line may be that of a log that began anew.
func KeyForCheckpoint(vkeys []string, checkpoint []byte) (string, error) {
	if len(vkeys) == 0 {
		return "", errors.New("no key of the log was given")
	}
	origin, _, _ := strings.Cut(string(checkpoint), "\n")
	if first, _, _ := strings.Cut(vkeys[0], "+"); isRestarted(origin, first) {
		var err error
		if vkeys, err = renamedKeys(vkeys, origin); err != nil {
			return "", err
		}
	}
	for _, vkey := range vkeys {
		if _, err := audit.ParseCheckpoint(checkpoint, vkey); err == nil {
			return vkey, nil
		}
	}
	return vkeys[0], nil
}

// ParseHead reads a checkpoint of the network's log, by whatever name it has, that one of
// its keys has signed.
func ParseHead(vkeys []string, data []byte) (audit.Checkpoint, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return audit.Checkpoint{}, nil
	}
	key, err := KeyForCheckpoint(vkeys, data)
	if err != nil {
		return audit.Checkpoint{}, err
	}
	return audit.ParseCheckpoint(data, key)
}
