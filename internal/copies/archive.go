package copies

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"filippo.io/age"
)

// File is one file of a copy, as contents.json lists it. The digest tells damage; nobody
// signs it.
type File struct {
	Name   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hex
}

// maxFiles bounds what one copy holds.
const maxFiles = 100_000

// archive is a ZIP inside of an age file, written from its beginning to its end. ZIP,
// because telephones and computers open it with nothing installed.
type archive struct {
	sealed io.WriteCloser
	zip    *zip.Writer
	day    time.Time // of every file: a finer time would tell when she was there
	files  []File
}

func newArchive(w io.Writer, to Recipient, made time.Time) (*archive, error) {
	if to.age == nil {
		return nil, errors.New("copies: no recipient")
	}
	sealed, err := age.Encrypt(w, to.age)
	if err != nil {
		return nil, fmt.Errorf("copies: encrypt: %w", err)
	}
	return &archive{sealed: sealed, zip: zip.NewWriter(sealed), day: made.Truncate(24 * time.Hour)}, nil
}

// add writes a file with what write gives it, and returns it as it is listed.
func (a *archive) add(name string, write func(w io.Writer) error) (File, error) {
	return a.addBy(zip.Deflate, name, write)
}

// addPicture writes a picture, which no compression makes smaller.
func (a *archive) addPicture(name string, content []byte) (File, error) {
	return a.addBy(zip.Store, name, func(w io.Writer) error { _, err := w.Write(content); return err })
}

func (a *archive) addBy(method uint16, name string, write func(w io.Writer) error) (File, error) {
	if len(a.files) == maxFiles {
		return File{}, errors.New("copies: too many files")
	}
	w, err := a.zip.CreateHeader(&zip.FileHeader{Name: name, Method: method, Modified: a.day})
	if err != nil {
		return File{}, err
	}
	counted := &counter{w: w, sum: sha256.New()}
	if err := write(counted); err != nil {
		return File{}, err
	}
	f := File{name, counted.n, hex.EncodeToString(counted.sum.Sum(nil))}
	a.files = append(a.files, f)
	return f, nil
}

// addText writes a text.
func (a *archive) addText(name, text string) (File, error) {
	return a.add(name, func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
}

// addJSON writes an object for people to read, too.
func (a *archive) addJSON(name string, object any) (File, error) {
	return a.add(name, func(w io.Writer) error { return encode(w, object) })
}

func encode(w io.Writer, object any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(object)
}

// close ends the copy. It is none before this has returned nil.
func (a *archive) close() error {
	if err := a.zip.Close(); err != nil {
		return err
	}
	return a.sealed.Close()
}

// counter counts and digests what goes through it.
type counter struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	_, _ = c.sum.Write(b[:n]) // a hash never returns an error
	return n, err
}
