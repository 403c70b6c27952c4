package vault

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/invalid"
)

// MaxSealed bounds what Seal takes, in bytes.
const MaxSealed = 1 << 20

// smallestBox is the least length of what is encrypted, in bytes. Longer things are
// padded to a multiple of it. The store puts what is sealed into boxes of few sizes, which
// is what keeps the size of a row from telling what it says; to double it here as well had
// a token of 6 kB lie in 16.
const smallestBox = 1 << 10

// Seal encrypts to a case's record. It needs no key: only the public half,
// which lies beside the case. Open reverses it. Whether the caller may write
// to this case has been decided by whoever calls.
//
// plain has at most MaxSealed bytes.
func (v *Vault) Seal(ctx context.Context, caseID string, plain []byte) ([]byte, error) {
	if !isID(caseID) {
		return nil, ErrNotFound
	}
	r, err := v.store.Record(ctx, caseID)
	if err != nil {
		return nil, err
	}
	if r.ID != r.Case {
		return nil, ErrNotFound
	}
	return sealBox(r.Recipient, plain)
}

// Open decrypts what Seal encrypted. The actor's agency must own the case, or
// hold a grant of the case's record and an opening of its attestations by the
// holder. Of a damaged or foreign ciphertext nothing is released
// (ErrIntegrity).
//
// It writes no history: it is the caller who knows what was read.
func (v *Vault) Open(ctx context.Context, by audit.Actor, caseID string, sealed []byte) ([]byte, error) {
	r, _, err := v.readable(ctx, by, caseID, PartAttestations)
	if err != nil {
		return nil, err
	}
	if r.ID != r.Case {
		return nil, ErrNotFound
	}
	id, err := v.identity(ctx, r, by.Agency)
	if err != nil {
		return nil, err
	}
	return openBox(id, sealed)
}

// sealTo encrypts what belongs to no case to an agency: a name for the box, and an age
// file whose key is wrapped for that agency and that name.
func (v *Vault) sealTo(ctx context.Context, agency string, plain []byte) ([]byte, error) {
	name := newID()
	file := bytes.NewBufferString(name)
	w, err := age.Encrypt(file, agencyRecipient{ctx, v.keys, agency, name})
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt to an agency: %w", err)
	}
	return file.Bytes(), nil
}

// openTo reverses sealTo.
func (v *Vault) openTo(ctx context.Context, agency string, sealed []byte) ([]byte, error) {
	const n = 32 // of a name
	if len(sealed) < n {
		return nil, ErrIntegrity
	}
	identity := &agencyIdentity{ctx: ctx, keys: v.keys, agency: agency, record: string(sealed[:n])}
	plain, err := decrypt(identity, sealed[n:], MaxSealed)
	if err != nil && identity.refused != nil {
		return nil, identity.refused
	}
	return plain, err
}

// sealBox encrypts length ‖ plain ‖ zeros to a recipient.
func sealBox(recipient string, plain []byte) ([]byte, error) {
	if len(plain) > MaxSealed {
		return nil, invalid.One("", "too_large", "is at most 1 MiB")
	}
	box := binary.BigEndian.AppendUint32(make([]byte, 0, boxSize(len(plain)+4)), uint32(len(plain))) //nolint:gosec // bounded above
	box = append(box, plain...)
	return encrypt(recipient, box[:cap(box)])
}

// boxSize is the least multiple of smallestBox that holds n bytes.
func boxSize(n int) int {
	return max(1, (n+smallestBox-1)/smallestBox) * smallestBox
}

// openBox reverses sealBox.
func openBox(id age.Identity, sealed []byte) ([]byte, error) {
	box, err := decrypt(id, sealed, 4*MaxSealed)
	if err != nil {
		return nil, err
	}
	if len(box) < 4 {
		return nil, ErrIntegrity
	}
	n := int64(binary.BigEndian.Uint32(box))
	if n > int64(len(box)-4) || !allZero(box[4+n:]) {
		return nil, ErrIntegrity
	}
	return box[4 : 4+n], nil
}

// recipients are public keys that were read lately. To read one takes as long as to
// encrypt to it, and what belongs to a case comes several at a time.
var recipients publicKeys

// maxPublicKeys is how many are remembered, and as many of before them: some megabytes.
const maxPublicKeys = 1024

type publicKeys struct {
	mu            sync.Mutex
	known, before map[string]*age.HybridRecipient
}

func (p *publicKeys) parsed(recipient string) (*age.HybridRecipient, error) {
	p.mu.Lock()
	r := p.known[recipient]
	if r == nil {
		r = p.before[recipient]
	}
	p.mu.Unlock()
	if r != nil {
		return r, nil
	}
	r, err := age.ParseHybridRecipient(recipient)
	if err != nil {
		return nil, err
	}
	p.remember(recipient, r)
	return r, nil
}

func (p *publicKeys) remember(recipient string, r *age.HybridRecipient) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) == maxPublicKeys {
		p.known, p.before = make(map[string]*age.HybridRecipient, maxPublicKeys), p.known
	}
	p.known[recipient] = r
}

// encrypt writes an age file for one recipient.
func encrypt(recipient string, plain []byte) ([]byte, error) {
	r, err := recipients.parsed(recipient)
	if err != nil {
		return nil, fmt.Errorf("%w: a record's public key", ErrIntegrity)
	}
	file := bytes.NewBuffer(make([]byte, 0, len(plain)+4<<10))
	w, err := age.Encrypt(file, r)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("vault: encrypt: %w", err)
	}
	return file.Bytes(), nil
}

// room is how much memory is to be in front of what is encrypted where it is: for age's
// header for one recipient, and what each chunk grows by.
func room(size int) int { return 4<<10 + (size/ageChunk+1)*chacha20poly1305.Overhead }

const ageChunk = 64 << 10

// encryptHere writes an age file for one recipient over what it encrypts, which begins
// behind its room in memory and is lost. To have two mebibytes more of memory takes half as
// long as to encrypt as many.
func encryptHere(recipient string, memory []byte, at int) ([]byte, error) {
	r, err := recipients.parsed(recipient)
	if err != nil {
		return nil, fmt.Errorf("%w: a record's public key", ErrIntegrity)
	}
	plain := memory[at:]
	file := bytes.NewBuffer(memory[:0])
	w, err := age.Encrypt(file, r)
	// age has read a chunk before it writes it: what it writes stays behind what it reads,
	// as long as the header and all that chunks grow by fit in front.
	if err == nil && file.Len()+(len(plain)/ageChunk+1)*chacha20poly1305.Overhead > at {
		err = errors.New("a header is longer than its room")
	}
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("vault: encrypt: %w", err)
	}
	return file.Bytes(), nil
}

// decrypt reads a whole age file, so that nothing is released before its last
// chunk has been checked. age's own error is left out: it is the same fault to
// whoever stored the bytes, and its text may tell lengths.
func decrypt(id age.Identity, file []byte, limit int64) ([]byte, error) {
	return decryptInto(nil, id, file, limit)
}

// decryptHere is decrypt that writes over the file.
func decryptHere(id age.Identity, file []byte, limit int64) ([]byte, error) {
	return decryptInto(file, id, file, limit)
}

// decryptInto decrypts into memory; nil is some of its own. It may be the file: of each
// chunk age has its own copy, and what comes out is shorter than what was read.
func decryptInto(memory []byte, id age.Identity, file []byte, limit int64) ([]byte, error) {
	// What is whole in memory is read chunk by chunk into its place, over one chunk of
	// memory; as a stream each of them would have two more copies and memory of its own.
	r, size, err := age.DecryptReaderAt(bytes.NewReader(file), int64(len(file)), id)
	if err != nil {
		return nil, fmt.Errorf("%w: it does not open", ErrIntegrity)
	}
	if size > limit {
		return nil, fmt.Errorf("%w: it is too long", ErrIntegrity)
	}
	if memory == nil {
		memory = make([]byte, size)
	}
	plain := memory[:size]
	if n, err := r.ReadAt(plain, 0); int64(n) != size || err != nil && err != io.EOF {
		return nil, fmt.Errorf("%w: it does not decrypt", ErrIntegrity)
	}
	return plain, nil
}

// allZero reports whether b is nothing but padding.
func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
