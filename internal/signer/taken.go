package signer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/safeconduct/safeconduct/internal/trouble"
)

// TakenName is the file, in the signer's folder, with the places at which something was
// signed. It only grows, 14 bytes for each.
const TakenName = "places"

// takenSize is a line of it: list and index, and the first bytes of the hash of what was
// signed.
const takenSize = 2 + 4 + 8

// takenPlaces are those at which this signer has signed something. At each it signs one
// thing, so that a receipt for a place is for what stands there.
type takenPlaces struct {
	mu   sync.Mutex
	file *os.File
	what map[listPlace][8]byte
}

func openTaken(dir string) (*takenPlaces, error) {
	t := &takenPlaces{what: map[listPlace][8]byte{}}
	var err error
	if t.file, err = os.OpenFile(filepath.Join(dir, TakenName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("signer: open what was signed: %w", trouble.Disk(err))
	}
	data, err := io.ReadAll(t.file)
	whole := len(data) - len(data)%takenSize // half a line is one that nothing was signed after
	if err == nil {
		_, err = t.file.Seek(int64(whole), io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("signer: read what was signed: %w", err), t.file.Close())
	}
	for line := data[:whole]; len(line) > 0; line = line[takenSize:] {
		t.what[listPlace{binary.BigEndian.Uint16(line), binary.BigEndian.Uint32(line[2:])}] = [8]byte(line[6:takenSize])
	}
	return t, nil
}

// take notes what is about to be signed at a place. The same may be signed again: an
// answer may have been lost.
func (t *takenPlaces) take(at listPlace, digest []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	is := [8]byte(digest)
	switch was, ok := t.what[at]; {
	case ok && was != is:
		return refuse("something else was signed at this place")
	case ok:
		return nil
	}
	line := binary.BigEndian.AppendUint16(nil, at.list)
	line = binary.BigEndian.AppendUint32(line, at.index)
	before, err := t.file.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = t.file.Write(append(line, is[:]...))
	}
	if err != nil {
		_, back := t.file.Seek(before, io.SeekStart)
		return errors.Join(fmt.Errorf("signer: write what was signed: %w", trouble.Disk(err)), back)
	}
	t.what[at] = is
	return nil
}
