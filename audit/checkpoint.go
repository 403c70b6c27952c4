package audit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// checkpointPath is the file of the signed head, c2sp.org/tlog-tiles.
const checkpointPath = "checkpoint"

// maxCheckpoint bounds the file: three lines and a hundred signatures.
const maxCheckpoint = 64 << 10

// Checkpoint is the head of the log at one moment, with its signature checked.
type Checkpoint struct {
	Origin string    // the log: the name of the key that signed
	Size   int64     // number of leaves
	Root   tlog.Hash // RFC 6962 §2.1 Merkle tree hash
	Signed []byte    // the signed note, as it lies in the file
}

// ParseCheckpoint reads a signed checkpoint (c2sp.org/tlog-checkpoint) and
// checks that the key vkey, in the form of golang.org/x/mod/sumdb/note, signed
// it. Signatures of other keys are ignored. The error is ErrCheckpoint.
func ParseCheckpoint(signed []byte, vkey string) (Checkpoint, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: read the key: %w", ErrCheckpoint, err)
	}
	return parseCheckpoint(signed, verifier)
}

// CheckpointSize is the number of leaves that a checkpoint speaks of. It checks
// no signature. The error is ErrCheckpoint.
func CheckpointSize(signed []byte) (int64, error) {
	_, rest, _ := bytes.Cut(signed, []byte("\n"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	size, err := parseNumber(string(line))
	if err != nil {
		return 0, fmt.Errorf("%w: size", ErrCheckpoint)
	}
	return size, nil
}

// parseCheckpoint takes a checkpoint that one of the keys signed.
func parseCheckpoint(signed []byte, keys ...note.Verifier) (Checkpoint, error) {
	if len(signed) > maxCheckpoint {
		return Checkpoint{}, fmt.Errorf("%w: it is larger than %d bytes", ErrCheckpoint, maxCheckpoint)
	}
	n, err := note.Open(signed, note.VerifierList(keys...))
	if err != nil {
		// The cause may repeat a name from the file, so it stays here.
		return Checkpoint{}, fmt.Errorf("%w: no valid signature of the log's key", ErrCheckpoint)
	}
	if !canonicalSignatures(signed) {
		return Checkpoint{}, fmt.Errorf("%w: a signature is not in its one form", ErrCheckpoint)
	}

	c, err := ParseText(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != n.Sigs[0].Name {
		return Checkpoint{}, fmt.Errorf("%w: its origin is not the name of the key", ErrCheckpoint)
	}
	c.Signed = bytes.Clone(signed)
	return c, nil
}

// ParseText reads what is signed of a checkpoint, without any signature. The error is
// ErrCheckpoint.
func ParseText(text string) (c Checkpoint, err error) {
	// c2sp.org/tlog-checkpoint "Note text": origin, size, root. This log never
	// writes extension lines, so that the three lines are all that is signed.
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, fmt.Errorf("%w: it must have three lines", ErrCheckpoint)
	}
	c.Origin = lines[0]
	if c.Size, err = parseNumber(lines[1]); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: size", ErrCheckpoint)
	}
	if c.Root, err = parseHash(lines[2]); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: root hash", ErrCheckpoint)
	}
	if c.Size == 0 && c.Root != emptyRoot {
		return Checkpoint{}, fmt.Errorf("%w: no leaves, but a root", ErrCheckpoint)
	}
	return c, nil
}

// replaced tells whether a checkpoint has no signature but those of keys that were
// replaced when the one before it was signed. keys are the log's, the newest first.
func replaced(c, before Checkpoint, keys []note.Verifier) bool {
	return newest(c, keys) > newest(before, keys)
}

// newest is the place among keys of the newest one that signed a checkpoint. One that is
// not among them any more was older than all.
func newest(c Checkpoint, keys []note.Verifier) int {
	for i, k := range keys {
		if _, err := note.Open(c.Signed, note.VerifierList(k)); err == nil {
			return i
		}
	}
	return len(keys)
}

// Text is what is signed.
func (c Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// readCheckpoint reads the published head; fs.ErrNotExist says that there is
// none.
func readCheckpoint(dir fs.FS, keys ...note.Verifier) (Checkpoint, error) {
	signed, err := readFile(dir, checkpointPath, maxCheckpoint)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read the checkpoint: %w", err)
	}
	return parseCheckpoint(signed, keys...)
}

// canonicalSignatures refuses base64 that note.Open lets pass although its
// unused last bits are not zero: two files would carry one signature. The
// signatures of others are held to the same form.
func canonicalSignatures(signed []byte) bool {
	block := signed[bytes.LastIndex(signed, []byte("\n\n"))+2:]
	for line := range strings.Lines(string(block)) {
		sig := strings.TrimSuffix(line[strings.LastIndexByte(line, ' ')+1:], "\n")
		if _, err := base64.StdEncoding.Strict().DecodeString(sig); err != nil {
			return false
		}
	}
	return true
}

var errForm = errors.New("audit: not in its one form")

// parseNumber reads a decimal number below maxSize without leading zeros.
func parseNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > maxSize || strconv.FormatInt(n, 10) != s {
		return 0, errForm
	}
	return n, nil
}

// parseHash reads a hash in base64.
func parseHash(s string) (tlog.Hash, error) {
	data, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(data) != tlog.HashSize || strings.ContainsAny(s, "\r\n") {
		return tlog.Hash{}, errForm
	}
	return tlog.Hash(data), nil
}
