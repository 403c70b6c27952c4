package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/audit"
)

// The media types of what is sealed.
const (
	mediaJSON = "application/json"
	mediaJPEG = "image/jpeg"
	mediaPNG  = "image/png"
)

// maxCiphertext bounds what is read back from the blobs, in bytes: the largest size of a
// page, and what the encryption adds.
const maxCiphertext = maxCleaned + 2<<20

// headerLabel begins everything that is sealed for a document. It is the
// version of the header, too.
const headerLabel = "safeconduct/object/1"

// headerSize is the length of a header in bytes: label, record id, page,
// version, media type, length.
const headerSize = len(headerLabel) + 16 + 4 + 4 + 1 + 8

// header stands inside the encryption, in front of the content, so that a
// ciphertext cannot be taken for another one of the same record.
type header struct {
	record  [16]byte
	page    uint32
	version uint32
	media   byte // 0 JSON, 1 JPEG, 2 PNG
	length  uint64
}

var mediaCodes = [...]string{mediaJSON, mediaJPEG, mediaPNG}

// headerOf is the header that belongs to a row.
func headerOf(o Object) (header, error) {
	id, err := hex.DecodeString(o.Record)
	if err != nil || len(id) != 16 || o.Page < 0 || o.Page > maxPages || o.Version < 1 || o.Version > 1<<30 || o.Length < 0 || o.Length > maxCleaned {
		return header{}, ErrIntegrity
	}
	h := header{record: [16]byte(id), page: uint32(o.Page), version: uint32(o.Version), length: uint64(o.Length)}
	for code, media := range mediaCodes {
		if media == o.MediaType {
			h.media = byte(code)
			return h, nil
		}
	}
	return header{}, ErrIntegrity
}

// append writes the header.
func (h header) append(b []byte) []byte {
	b = append(b, headerLabel...)
	b = append(b, h.record[:]...)
	b = binary.BigEndian.AppendUint32(b, h.page)
	b = binary.BigEndian.AppendUint32(b, h.version)
	b = append(b, h.media)
	return binary.BigEndian.AppendUint64(b, h.length)
}

// parseHeader reads a header from the start of b and returns what follows it.
func parseHeader(b []byte) (h header, rest []byte, err error) {
	if len(b) < headerSize || string(b[:len(headerLabel)]) != headerLabel {
		return header{}, nil, ErrIntegrity
	}
	b, rest = b[len(headerLabel):headerSize], b[headerSize:]
	h.record = [16]byte(b)
	h.page = binary.BigEndian.Uint32(b[16:])
	h.version = binary.BigEndian.Uint32(b[20:])
	h.media = b[24]
	h.length = binary.BigEndian.Uint64(b[25:])
	if int(h.media) >= len(mediaCodes) {
		return header{}, nil, ErrIntegrity
	}
	return h, rest, nil
}

// commitment is what the log commits to about one object. Its note is not
// kept: it can be made again from the row and the ciphertext, and what comes
// out must be what was logged (docs/overview.md, Keys).
type commitment struct {
	Record       string   `json:"record"`
	Page         int      `json:"page"`
	Version      int      `json:"version"`
	MediaType    string   `json:"media_type"`
	Length       int64    `json:"length"`
	SHA256       string   `json:"sha256"`
	Role         PageRole `json:"role,omitempty"`
	SeenOriginal bool     `json:"seen_original"`
}

const commitmentKind = "object.committed"

func commitmentOf(o Object) commitment {
	return commitment{o.Record, o.Page, o.Version, o.MediaType, o.Length, hex.EncodeToString(o.SHA256[:]), o.Role, o.SeenOriginal}
}

// size is how long what is encrypted for a row is, with the header and what pads it.
func (o Object) size() int {
	n := headerSize + int(o.Length)
	if o.Page == 0 {
		return boxSize(n)
	}
	return pageSize(n)
}

// The sizes of pages, in bytes.
const (
	smallPage  = 64 << 10
	middlePage = 256 << 10
	largePage  = 1 << 20
	pageStep   = 64 << 10 // a chunk of age's; the sizes above largePage are whole ones
)

// pageSize is the least size of a page that holds n bytes: 64 KiB, 256 KiB, 1 MiB, and
// from there on a quarter more each time, less what is no whole pageStep. That is sixteen
// sizes up to the largest page, and at most a quarter of it is zeros where it has more than
// a mebibyte: a page of 2 MiB lies in 2,432 KiB. Whoever sees the ciphertexts sees one of
// nineteen sizes, and nothing of the length.
func pageSize(n int) int {
	for _, size := range []int{smallPage, middlePage} {
		if n <= size {
			return size
		}
	}
	size := largePage
	for size < n {
		size = size * 5 / 4 / pageStep * pageStep
	}
	return size
}

// sealObject encrypts content for a row, fills the row's digest, length and
// commitment, and returns the ciphertext with the commitment's log entry.
func (v *Vault) sealObject(r Record, o *Object, content []byte) ([]byte, audit.Entry, error) {
	o.Length = int64(len(content))
	h, err := headerOf(*o)
	if err != nil {
		return nil, audit.Entry{}, err
	}
	size, at := o.size(), room(o.size())
	memory := make([]byte, at+size)
	copy(memory[at+len(h.append(memory[at:at])):], content)
	sealed, err := encryptHere(r.Recipient, memory, at)
	if err != nil {
		return nil, audit.Entry{}, err
	}
	o.SHA256 = sha256.Sum256(sealed)
	note, err := audit.NewNote(commitmentKind, commitmentOf(*o))
	if err != nil {
		return nil, audit.Entry{}, err
	}
	entry, err := audit.NewEntry(r.Case, note, v.now())
	if err != nil {
		return nil, audit.Entry{}, err
	}
	o.Salt, o.Entry = note.Salt, entry.Name()
	return sealed, entry, nil
}

// openObject gives the content of a row back, after it has been held against
// the row, the log and the header. Until all three agree nothing is released.
func (v *Vault) openObject(ctx context.Context, id age.Identity, o Object) ([]byte, error) {
	sealed, open := o.Sealed, decrypt
	if o.Blob != "" {
		var err error
		open = decryptHere // nobody else has what was read
		if sealed, err = v.fetch(ctx, o.Blob, o.size()+room(o.size())); err != nil {
			return nil, err
		}
	}
	digest := sha256.Sum256(sealed)
	if subtle.ConstantTimeCompare(digest[:], o.SHA256[:]) != 1 {
		return nil, fmt.Errorf("%w: its digest differs", ErrIntegrity)
	}
	note, err := audit.NewNote(commitmentKind, commitmentOf(o))
	if err != nil {
		return nil, err
	}
	note.Salt = o.Salt
	if note.Hash() != o.Logged {
		return nil, fmt.Errorf("%w: the log has another digest", ErrIntegrity)
	}
	want, err := headerOf(o)
	if err != nil {
		return nil, err
	}
	plain, err := open(id, sealed, maxCiphertext)
	if err != nil {
		return nil, err
	}
	got, rest, err := parseHeader(plain)
	if err != nil || got != want {
		return nil, fmt.Errorf("%w: it belongs elsewhere", ErrIntegrity)
	}
	if len(plain) != o.size() || !allZero(rest[o.Length:]) {
		return nil, fmt.Errorf("%w: its length differs", ErrIntegrity)
	}
	return rest[:o.Length], nil
}

// fetch reads a whole ciphertext, of about so many bytes. It is not decrypted on the way:
// whoever can change the file could change it between two readings.
func (v *Vault) fetch(ctx context.Context, key string, about int) ([]byte, error) {
	f, err := v.blobs.Get(ctx, key)
	if err != nil {
		return nil, classifyReadError(ctx, err)
	}
	read := bytes.NewBuffer(make([]byte, 0, min(about, maxCiphertext)+bytes.MinRead))
	_, err = read.ReadFrom(io.LimitReader(f, maxCiphertext+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, classifyReadError(ctx, err)
	}
	data := read.Bytes()
	if len(data) > maxCiphertext {
		return nil, fmt.Errorf("%w: it is too long", ErrIntegrity)
	}
	return data, nil
}

// classifyReadError is the error for an object that a row promises and that cannot be
// had: unless the caller gave up or nothing can be reached, that is damage.
func classifyReadError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: it cannot be read: %w", ErrIntegrity, err)
}
