package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// proofHeader is the first line of a proof, c2sp.org/tlog-proof "Format".
const proofHeader = "c2sp.org/tlog-proof@v1"

// maxProof bounds an encoded proof: a path of at most 40 hashes and a
// checkpoint.
const maxProof = maxCheckpoint + 4<<10

// Proof says that a leaf is in the tree of a signed checkpoint. It is checked
// without asking anybody.
type Proof struct {
	Index      int64            // the leaf's number
	Path       tlog.RecordProof // RFC 6962 §2.1.1, the leaf's sibling first
	Checkpoint []byte           // the signed head
}

// Prove makes the proof for the leaf numbered index from the published files,
// whose checkpoint must be signed by vkey. Errors are ErrNotPublished,
// ErrCheckpoint, ErrTampered, or what kept a file from being read.
func Prove(dir fs.FS, vkey string, index int64) (Proof, error) {
	p, err := NewProver(dir, vkey)
	if err != nil {
		return Proof{}, err
	}
	return p.Prove(index)
}

// Prover makes proofs for many leaves of one published tree.
type Prover struct {
	head   Checkpoint
	hashes tlog.HashReader
}

// NewProver reads the head that lies in dir now and must be signed by vkey. Errors are
// those of Prove.
func NewProver(dir fs.FS, vkey string) (*Prover, error) {
	c, hashes, err := published(dir, vkey)
	if err != nil {
		return nil, err
	}
	return &Prover{c, hashes}, nil
}

// Head is the head that every proof leads to.
func (p *Prover) Head() Checkpoint { return p.head }

// Prove is as the function Prove.
func (p *Prover) Prove(index int64) (Proof, error) {
	if index < 0 || index >= p.head.Size {
		return Proof{}, ErrNotPublished
	}
	path, err := tlog.ProveRecord(p.head.Size, index, p.hashes)
	if err != nil {
		return Proof{}, fmt.Errorf("prove a leaf: %w", tampered(err))
	}
	return Proof{Index: index, Path: path, Checkpoint: p.head.Signed}, nil
}

// CheckInclusion checks that the note with this hash is in the log whose key
// is vkey, and returns the head that it is in. Errors are ErrCheckpoint and
// ErrProof.
func CheckInclusion(vkey string, hash [32]byte, p Proof) (Checkpoint, error) {
	c, err := ParseCheckpoint(p.Checkpoint, vkey)
	if err != nil {
		return Checkpoint{}, err
	}
	if p.Index < 0 || p.Index >= c.Size {
		return Checkpoint{}, fmt.Errorf("%w: its leaf is not in the tree", ErrProof)
	}
	if err := tlog.CheckRecord(p.Path, c.Size, c.Root, p.Index, tlog.RecordHash(hash[:])); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: it does not lead to the signed root", ErrProof)
	}
	return c, nil
}

// ProveConsistency makes the proof (RFC 6962 §2.1.2) that the published tree,
// whose checkpoint must be signed by vkey, contains the tree of the first
// older leaves. It is empty where there is nothing to prove. Errors are those
// of Prove.
func ProveConsistency(dir fs.FS, vkey string, older int64) (tlog.TreeProof, error) {
	c, _, err := published(dir, vkey)
	if err != nil {
		return nil, err
	}
	return proveTree(dir, c, older)
}

// proveTree proves that the tree of a head, whose tiles are there, contains that of the
// first older leaves.
func proveTree(dir fs.FS, c Checkpoint, older int64) (tlog.TreeProof, error) {
	if older < 0 || older > c.Size {
		return nil, ErrNotPublished
	}
	if older == 0 || older == c.Size {
		return tlog.TreeProof{}, nil
	}
	p, err := tlog.ProveTree(c.Size, older, hashesOf(dir, c))
	if err != nil {
		return nil, fmt.Errorf("prove a tree: %w", tampered(err))
	}
	return p, nil
}

// CheckConsistency checks that the log which signed older has signed newer
// without forgetting or changing anything. ErrFork says that the two cannot be
// of one history, whatever the proof: it is what a log is reported for.
// ErrProof says that the proof does not show it.
func CheckConsistency(older, newer Checkpoint, p tlog.TreeProof) error {
	switch {
	case older.Origin != newer.Origin:
		return fmt.Errorf("%w: the checkpoints are of different logs", ErrProof)
	case newer.Size < older.Size:
		return fmt.Errorf("%w: the newer tree has fewer leaves", ErrFork)
	case newer.Size == older.Size && newer.Root != older.Root:
		return fmt.Errorf("%w: two roots for one size", ErrFork)
	case newer.Size == older.Size || older.Size == 0:
		if len(p) > 0 {
			return fmt.Errorf("%w: there is nothing to prove", ErrProof)
		}
		return nil
	}
	if err := tlog.CheckTree(p, newer.Size, newer.Root, older.Size, older.Root); err != nil {
		return fmt.Errorf("%w: it does not lead to the signed roots", ErrProof)
	}
	return nil
}

// tampered sorts an error of tlog's proofs. A TileError says itself what is
// wrong; anything else means that the tiles read do not give the signed root.
func tampered(err error) error {
	if tile := (*TileError)(nil); errors.As(err, &tile) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrTampered, err)
}

// published opens the head and a reader of hashes that are in its tree.
func published(dir fs.FS, vkey string) (Checkpoint, tlog.HashReader, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("%w: read the key: %w", ErrCheckpoint, err)
	}
	c, err := readCheckpoint(dir, verifier)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	return c, hashesOf(dir, c), nil
}

// hashesOf reads the hashes of a head's tree.
func hashesOf(dir fs.FS, c Checkpoint) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, tileReader{dir})
}

// Encode gives the text that c2sp.org/tlog-proof describes, without extra
// data. Its files end in .tlog-proof.
func (p Proof) Encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nindex %d\n", proofHeader, p.Index)
	for _, h := range p.Path {
		fmt.Fprintf(&b, "%s\n", h)
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return []byte(b.String())
}

// ParseProof reads what Encode wrote, without checking what it proves. Extra
// data is refused: it would not be covered by anything. The error is ErrProof.
func ParseProof(data []byte) (Proof, error) {
	if len(data) > maxProof {
		return Proof{}, fmt.Errorf("%w: it is larger than %d bytes", ErrProof, maxProof)
	}
	head, checkpoint, ok := strings.Cut(string(data), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 2 || lines[0] != proofHeader {
		return Proof{}, fmt.Errorf("%w: it is not a %s", ErrProof, proofHeader)
	}
	number, ok := strings.CutPrefix(lines[1], "index ")
	index, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || index < 0 || strconv.FormatInt(index, 10) != number {
		return Proof{}, fmt.Errorf("%w: index", ErrProof)
	}
	p := Proof{Index: index, Path: tlog.RecordProof{}, Checkpoint: []byte(checkpoint)}
	for _, line := range lines[2:] {
		h, err := parseHash(line)
		if err != nil {
			return Proof{}, fmt.Errorf("%w: a hash of its path", ErrProof)
		}
		p.Path = append(p.Path, h)
	}
	return p, nil
}
