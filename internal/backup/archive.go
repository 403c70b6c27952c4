package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// Limits of the format. They bound memory before anything is believed.
const (
	// MaxPart is the largest part, in bytes: one encrypted page fits.
	MaxPart = 40 << 20
	// maxParts bounds the manifest: at some megabytes to a part it is some
	// terabytes.
	maxParts    = 1 << 20
	maxManifest = 192 << 20
	version     = 1
	// smallest is the size of a small archive, and the least by which one is padded.
	smallest = 64 << 10
)

// The kinds of backup. They live for different times, so that they are never
// one file: docs/decisions/0021-backup.md.
const (
	Data    = "data"
	Keyring = "keyring"
)

// Names of the last two parts, which the manifest cannot name.
const (
	manifestName  = "manifest.json"
	signatureName = "manifest.sig"
)

// Part is one file of the archive.
type Part struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hex
}

// Is reports whether these are the bytes of the part.
func (p Part) Is(name string, data []byte) bool {
	sum := sha256.Sum256(data)
	return p == Part{name, int64(len(data)), hex.EncodeToString(sum[:])}
}

// Manifest says what a backup holds. It holds no personal data.
type Manifest struct {
	Version int       `json:"version"`
	Kind    string    `json:"kind"`
	Network string    `json:"network"`
	Made    time.Time `json:"made"` // when it was begun, UTC
	// Sequence is the number of the newest pack then, Schema that of the
	// newest migration, and Checkpoint the log's signed head.
	Sequence   uint64           `json:"pack_sequence"`
	Schema     int64            `json:"schema"`
	Checkpoint string           `json:"checkpoint,omitempty"`
	Rows       map[string]int64 `json:"rows"` // by table
	Objects    int64            `json:"objects"`
	Parts      []Part           `json:"parts"`
}

// Writer writes a backup. It holds one part at a time in memory.
type Writer struct {
	sealed io.WriteCloser
	plain  *counted
	tar    *tar.Writer
	parts  []Part
	err    error
}

// counted counts what is written.
type counted struct {
	io.Writer

	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}

// few is the size to which an archive of n bytes is padded: eight sizes between one and
// its double, so that what two nights differ by tells little of the day between. Padding
// costs an eighth at most.
func few(n int64) int64 {
	step := int64(smallest)
	for n > 16*step {
		step *= 2
	}
	return (n + step - 1) / step * step
}

// pad writes zeros up to a size of few. Whoever reads a tar archive stops at its end mark.
func (c *counted) pad() error {
	zeros := make([]byte, smallest)
	for left := few(c.n) - c.n; left > 0; left = few(c.n) - c.n {
		if _, err := c.Write(zeros[:min(left, smallest)]); err != nil {
			return err
		}
	}
	return nil
}

// NewWriter begins a backup for the given recipients, as ParseRecipients found
// them.
func NewWriter(w io.Writer, to []Recipient) (*Writer, error) {
	if len(to) < minRecipients {
		return nil, ErrRecipients
	}
	sealed, err := age.Encrypt(w, to...)
	if err != nil {
		return nil, fmt.Errorf("backup: begin: %w", err)
	}
	plain := &counted{Writer: sealed}
	return &Writer{sealed: sealed, plain: plain, tar: tar.NewWriter(plain)}, nil
}

// Add writes one part.
func (w *Writer) Add(name string, data []byte) error {
	if w.err != nil {
		return w.err
	}
	if !partName.MatchString(name) || len(data) > MaxPart || len(w.parts) == maxParts {
		w.err = ErrTooLarge
		return w.err
	}
	sum := sha256.Sum256(data)
	w.parts = append(w.parts, Part{name, int64(len(data)), hex.EncodeToString(sum[:])})
	return w.write(name, data)
}

func (w *Writer) write(name string, data []byte) error {
	err := w.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600, Format: tar.FormatUSTAR,
	})
	if err == nil {
		_, err = w.tar.Write(data)
	}
	if err != nil {
		w.err = fmt.Errorf("backup: write: %w", err)
	}
	return w.err
}

// Close ends the backup with the manifest, whose version and parts it fills in,
// and with its signature. The file is no backup before it has returned nil.
func (w *Writer) Close(m Manifest, sign func(manifest []byte) ([]byte, error)) (Manifest, error) {
	if w.err != nil {
		return Manifest{}, w.err
	}
	m.Version, m.Parts = version, w.parts
	if m.Rows == nil {
		m.Rows = map[string]int64{}
	}
	data, err := json.Marshal(m)
	if err != nil {
		return Manifest{}, fmt.Errorf("backup: encode the manifest: %w", err)
	}
	signature, err := sign(data)
	if err != nil {
		return Manifest{}, fmt.Errorf("backup: sign the manifest: %w", err)
	}
	if err := errors.Join(w.write(manifestName, data), w.write(signatureName, signature)); err != nil {
		return Manifest{}, err
	}
	if err := cmp.Or(w.tar.Close(), w.plain.pad(), w.sealed.Close()); err != nil {
		return Manifest{}, fmt.Errorf("backup: end: %w", err)
	}
	return m, nil
}

// Signed is a manifest with the bytes that were signed.
type Signed struct {
	Manifest
	Raw       []byte
	Signature []byte
}

// Read opens a backup and shows every part to each, in order. Only when it
// returns nil were the parts those that the manifest names and nothing else;
// until then, and until the manifest's signature was checked, what each has
// seen means nothing. The errors of each come back as they are.
func Read(r io.Reader, ids []Identity, each func(name string, data []byte) error) (Signed, error) {
	plain, err := age.Decrypt(r, ids...)
	if err != nil {
		var nobody *age.NoIdentityMatchError
		if errors.As(err, &nobody) {
			return Signed{}, ErrWrongIdentity
		}
		return Signed{}, ErrDamaged
	}
	return readArchive(plain, each)
}

// partName keeps names to a form that is safe as a path, and that tar writes
// without extensions.
var partName = regexp.MustCompile(`^[a-z]{1,16}/[a-z0-9]{1,32}(?:\.[a-z]{1,8})?$`)

// readArchive reads what is inside the encryption.
func readArchive(plain io.Reader, each func(name string, data []byte) error) (Signed, error) {
	in := &taken{Reader: bufio.NewReader(plain)}
	t := tar.NewReader(in)
	var seen []Part
	var s Signed
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || !plainFile(h) || s.Signature != nil {
			return Signed{}, ErrDamaged
		}
		limit := int64(MaxPart)
		switch h.Name {
		case manifestName:
			limit = maxManifest
		case signatureName:
			limit = 1 << 10
		}
		data, err := readPart(t, h.Size, limit)
		switch {
		case err != nil:
			return Signed{}, err
		case h.Name == manifestName && s.Raw == nil:
			s.Raw = data
		case h.Name == signatureName && s.Raw != nil:
			s.Signature = data
		case s.Raw != nil || !partName.MatchString(h.Name) || len(seen) == maxParts:
			return Signed{}, ErrDamaged
		default:
			sum := sha256.Sum256(data)
			seen = append(seen, Part{h.Name, h.Size, hex.EncodeToString(sum[:])})
			if err := each(h.Name, data); err != nil {
				return Signed{}, err
			}
		}
	}
	// tar stops at its end mark; age says only at the last byte that nothing
	// was cut off.
	if err := onlyZeros(in, few(in.n)+smallest); err != nil || s.Signature == nil {
		return Signed{}, ErrDamaged
	}
	var err error
	if s.Manifest, err = parseManifest(s.Raw); err != nil {
		return Signed{}, err
	}
	if len(seen) != len(s.Parts) {
		return Signed{}, ErrDamaged
	}
	for i := range seen {
		if seen[i] != s.Parts[i] {
			return Signed{}, ErrDamaged
		}
	}
	return s, nil
}

// plainFile refuses links, sparse files, extended headers and whatever else tar
// can say.
func plainFile(h *tar.Header) bool {
	return h.Typeflag == tar.TypeReg && h.Format == tar.FormatUSTAR && len(h.PAXRecords) == 0 && h.Linkname == "" && h.Size >= 0
}

func readPart(r io.Reader, size, limit int64) ([]byte, error) {
	if size > limit {
		return nil, ErrDamaged
	}
	// The size is a stranger's word until the bytes have come.
	var b bytes.Buffer
	if n, err := io.Copy(&b, io.LimitReader(r, size)); err != nil || n != size {
		return nil, ErrDamaged
	}
	return b.Bytes(), nil
}

// taken counts what is read.
type taken struct {
	io.Reader

	n int64
}

func (t *taken) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	t.n += int64(n)
	return n, err
}

// onlyZeros reads to the end, and takes so many zeros at most: tar fills its last block
// with them, and a backup is padded.
func onlyZeros(r io.Reader, most int64) error {
	some := make([]byte, smallest)
	for {
		n, err := r.Read(some)
		most -= int64(n)
		if most < 0 || len(bytes.Trim(some[:n], "\x00")) > 0 {
			return ErrDamaged
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return ErrDamaged
		}
	}
}

func parseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if err := strictjson.Unmarshal(data, strictjson.Limits{Size: maxManifest}, &m); err != nil {
		return Manifest{}, ErrDamaged
	}
	if m.Version != version || m.Kind != Data && m.Kind != Keyring || m.Made.IsZero() {
		return Manifest{}, ErrDamaged
	}
	return m, nil
}

// File is one of several that share a part.
type File struct {
	Name string
	Data []byte
}

// Bundle collects files into parts: a million pages must not make a manifest of
// a million lines. Inside is a tar archive again.
type Bundle struct {
	// Emit takes a full part.
	Emit func(data []byte) error

	buf bytes.Buffer
	tar *tar.Writer
}

// bundleSize is where a part counts as full.
const bundleSize = 4 << 20

// Add puts one file in. Its name may be long.
func (b *Bundle) Add(name string, data []byte) error {
	if b.tar != nil && b.buf.Len()+len(data) > bundleSize {
		if err := b.Flush(); err != nil {
			return err
		}
	}
	if b.tar == nil {
		b.buf.Reset()
		b.tar = tar.NewWriter(&b.buf)
	}
	err := b.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600, Format: tar.FormatUSTAR,
	})
	if err == nil {
		_, err = b.tar.Write(data)
	}
	if err != nil {
		return fmt.Errorf("backup: bundle: %w", err)
	}
	return nil
}

// Flush hands over what there is.
func (b *Bundle) Flush() error {
	if b.tar == nil {
		return nil
	}
	if err := b.tar.Close(); err != nil {
		return fmt.Errorf("backup: bundle: %w", err)
	}
	b.tar = nil
	return b.Emit(b.buf.Bytes())
}

// Files shows the files of a bundle.
func Files(part []byte, each func(File) error) error {
	in := bytes.NewReader(part)
	t := tar.NewReader(in)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return onlyZeros(in, smallest)
		}
		if err != nil || !plainFile(h) {
			return ErrDamaged
		}
		data, err := readPart(t, h.Size, MaxPart)
		if err != nil {
			return err
		}
		if err := each(File{h.Name, data}); err != nil {
			return err
		}
	}
}
