// Package offsite keeps what must outlive the databases: which cases were erased,
// and what was published last. It lies in a folder that belongs on another disk
// or machine than they do; the setting that names it is called aside. The journal is
// encrypted, to a key that the keystore derives, and of few sizes; all else in the folder
// is public, or counts. When it is written is for the service, and what is made of it for
// a restore.
package offsite

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// Keys signs and shows the public half of the key for a label and a network, and derives
// secret ones: a keystore.
type Keys interface {
	MAC(ctx context.Context, label string, data []byte) ([]byte, error)
	SignDerived(ctx context.Context, label, network string, data []byte) ([]byte, error)
	DerivedKey(ctx context.Context, label, network string) (ed25519.PublicKey, error)
}

// Config is what a folder needs.
type Config struct {
	Dir     string
	Network string // its id
	Keys    Keys
	// State reads what the database says now: the number of the last pack, and
	// then the erasures.
	State func(ctx context.Context) (sequence uint64, erasures []vault.Erasure, err error)
	Now   func() time.Time // nil means time.Now
}

// Folder is the off-site folder of one network.
//
// An erasure is not begun, and a pack is not shown to anybody, before it is
// written here. So the newest journal in it is complete, and a journal that is
// older than a pack that somebody holds is known for an old one:
// docs/decisions/0022-erasures-after-restore.md.
type Folder struct {
	cfg Config
	mu  sync.Mutex
}

// New returns the folder of a network. It touches nothing.
func New(cfg Config) *Folder {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Folder{cfg: cfg}
}

// Names in the folder.
const (
	JournalName    = "erasures.sealed"
	PackName       = "pack.json"
	CheckpointName = "checkpoint"
	RowsName       = "rows.json"
)

// What the keys are derived for that seal or sign what lies outside of the databases.
// Each has one use.
const (
	labelJournal = "safeconduct/erasure-journal/2" // encrypts

	LabelBackup = "safeconduct/backup-manifest/1"
	LabelRows   = "safeconduct/rows-count/1"
)

// Journal is the erasure journal as it leaves the service. It holds ids only.
type Journal struct {
	Network string `json:"network"`
	// Sequence is the number of the newest pack when it was written: it holds
	// every erasure from before that pack was shown.
	Sequence uint64    `json:"pack_sequence"`
	Made     time.Time `json:"made"`
	Erasures []Entry   `json:"erasures"`
}

// Entry is one erasure, as the journal tells it to a restore.
type Entry struct {
	Case    string   `json:"case"`
	Agency  string   `json:"agency"`
	Records []string `json:"records"`
	Day     string   `json:"day"`
	MAC     []byte   `json:"mac"`
}

// MaxJournal bounds a journal in bytes, some hundred thousand erasures.
const MaxJournal = 128 << 20

// ErrJournal says that a journal cannot be believed.
var ErrJournal = errors.New("the erasure journal (" + JournalName + ") is damaged, or not of this network: docs/operate.md, When the aside folder is lost")

// ErrRows says that what was written down of how far the database had come cannot be believed.
var ErrRows = errors.New(RowsName + ", how far the database had come, is damaged, or not of this network. Put back its newest copy. " +
	"Without one see that the database is the newest there is, and take the file away: docs/operate.md, When the aside folder is lost")

// Marshal encrypts a journal: a line that says what it is, a nonce, and the journal.
func (j Journal) Marshal(ctx context.Context, keys Keys) ([]byte, error) {
	data, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	key, err := keys.MAC(ctx, labelJournal, []byte(j.Network))
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	sealed := append([]byte(journalHead), make([]byte, aead.NonceSize())...)
	nonce := sealed[len(journalHead):]
	_, _ = rand.Read(nonce) // never returns an error
	return aead.Seal(sealed, nonce, padded(data), []byte(journalHead)), nil
}

// journalHead is the first line of a journal.
const journalHead = labelJournal + "\n"

// smallest is the size of a journal with few entries; larger ones have the double of it,
// and so on, so that how large one is does not tell how much was erased since yesterday.
const smallest = 16 << 10

// padded is data behind its length, with zeros up to one of few sizes.
func padded(data []byte) []byte {
	size := smallest
	for size < 4+len(data) {
		size *= 2
	}
	whole := make([]byte, size)
	binary.BigEndian.PutUint32(whole, uint32(len(data))) //nolint:gosec // far below 4 GiB
	copy(whole[4:], data)
	return whole
}

func sign(ctx context.Context, keys Keys, label, network string, v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	signature, err := keys.SignDerived(ctx, label, network, data)
	if err != nil {
		return nil, err
	}
	line := base64.StdEncoding.EncodeToString(signature)
	return append([]byte(line+"\n"), append(data, '\n')...), nil
}

// ParseJournal reads what Marshal wrote. The error is ErrJournal for what was not written
// with this network's keys, for this network.
func ParseJournal(ctx context.Context, keys Keys, network string, data []byte) (Journal, error) {
	key, err := keys.MAC(ctx, labelJournal, []byte(network))
	if err != nil {
		return Journal{}, err
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return Journal{}, err
	}
	sealed, ok := bytes.CutPrefix(data, []byte(journalHead))
	if !ok || len(sealed) < aead.NonceSize() || len(data) > MaxJournal {
		return Journal{}, ErrJournal
	}
	whole, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(journalHead))
	if err != nil || len(whole) < 4 || uint64(binary.BigEndian.Uint32(whole)) > uint64(len(whole)-4) { //nolint:gosec // it is 4 at the least
		return Journal{}, ErrJournal
	}
	var j Journal
	says := whole[4 : 4+binary.BigEndian.Uint32(whole)]
	if strictjson.Unmarshal(says, strictjson.Limits{Size: MaxJournal}, &j) != nil || j.Network != network {
		return Journal{}, ErrJournal
	}
	return j, nil
}

// parse reads what sign wrote: a line with the signature, and JSON. The error is
// ErrJournal for what was not signed here.
func parse(ctx context.Context, keys Keys, label, network string, data []byte, limit int, v any) error {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	signature, err := base64.StdEncoding.Strict().DecodeString(string(line))
	if !ok || err != nil || len(data) > limit || !bytes.HasSuffix(rest, []byte("\n")) {
		return ErrJournal
	}
	rest = bytes.TrimSuffix(rest, []byte("\n"))
	key, err := keys.DerivedKey(ctx, label, network)
	if err != nil {
		return err
	}
	if !ed25519.Verify(key, keystore.Labelled(label, rest), signature) || strictjson.Unmarshal(rest, strictjson.Limits{Size: limit}, v) != nil {
		return ErrJournal
	}
	return nil
}

// All are the journal's entries as the vault knows them.
func (j Journal) All() ([]vault.Erasure, error) {
	all := make([]vault.Erasure, len(j.Erasures))
	for i, e := range j.Erasures {
		day, err := time.Parse(time.DateOnly, e.Day)
		if err != nil {
			return nil, ErrJournal
		}
		all[i] = vault.Erasure{Case: e.Case, Agency: e.Agency, Records: e.Records, Day: day, MAC: e.MAC}
	}
	return all, nil
}

// Journal reads the database.
func (f *Folder) Journal(ctx context.Context) (Journal, error) {
	sequence, erasures, err := f.cfg.State(ctx)
	if err != nil {
		return Journal{}, err
	}
	j := Journal{Network: f.cfg.Network, Sequence: sequence, Made: f.cfg.Now().UTC().Truncate(time.Second), Erasures: []Entry{}}
	for _, e := range erasures {
		j.Erasures = append(j.Erasures, Entry{e.Case, e.Agency, e.Records, e.Day.UTC().Format(time.DateOnly), e.MAC})
	}
	return j, nil
}

// KeepJournal writes the journal as the database has it. It only grows: what it
// knows and the database does not, because that is an older copy, stays in it.
func (f *Folder) KeepJournal(ctx context.Context) error {
	_, err := f.keepJournal(ctx)
	return err
}

// keepJournal is KeepJournal. It reports whether the folder knows of a newer pack
// than the database does, which then was put back.
func (f *Folder) keepJournal(ctx context.Context) (behind bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	unlock, err := files.WaitLock(ctx, f.cfg.Dir)
	if err != nil {
		return false, err
	}
	defer func() { _ = unlock() }()
	j, err := f.Journal(ctx)
	if err != nil {
		return false, err
	}
	before, err := f.Read(ctx)
	if err != nil {
		return false, err
	}
	known := make(map[string]bool, len(j.Erasures))
	for _, e := range j.Erasures {
		known[e.Case] = true
	}
	for _, e := range before.Erasures {
		if !known[e.Case] {
			j.Erasures = append(j.Erasures, e)
		}
	}
	behind = before.Sequence > j.Sequence
	j.Sequence = max(j.Sequence, before.Sequence)
	data, err := j.Marshal(ctx, f.cfg.Keys)
	if err != nil {
		return false, err
	}
	return behind, f.put(JournalName, data)
}

// HasJournal reports whether there is a journal in the folder.
func (f *Folder) HasJournal() bool {
	_, err := os.Stat(filepath.Join(f.cfg.Dir, JournalName))
	return err == nil
}

// Missing names what is not in the folder of what is there once something was published.
func (f *Folder) Missing() (names []string, err error) {
	for _, name := range []string{JournalName, PackName, CheckpointName, RowsName} {
		switch _, err := os.Stat(filepath.Join(f.cfg.Dir, name)); {
		case errors.Is(err, os.ErrNotExist):
			names = append(names, name)
		case err != nil:
			return nil, err
		}
	}
	return names, nil
}

// Read returns the journal in the folder, an empty one if there is none.
func (f *Folder) Read(ctx context.Context) (Journal, error) {
	data, err := files.Read(filepath.Join(f.cfg.Dir, JournalName), MaxJournal)
	if errors.Is(err, os.ErrNotExist) {
		return Journal{}, nil
	}
	if err != nil {
		return Journal{}, err
	}
	return ParseJournal(ctx, f.cfg.Keys, f.cfg.Network, data)
}

// KeepPack writes what is about to be published. The journal comes first, so
// that it is never older than a pack. A database that was put back behind the
// folder does not take the newer pack from it: a restore needs that one.
func (f *Folder) KeepPack(ctx context.Context, lists verifier.Lists) error {
	behind, err := f.keepJournal(ctx)
	if err != nil {
		return fmt.Errorf("keep the erasure journal: %w", err)
	}
	if behind {
		return nil
	}
	data, err := json.Marshal(lists)
	if err != nil {
		return err
	}
	return f.put(PackName, data)
}

// Pack returns what KeepPack wrote last, as it lies there; nil if it never did.
func (f *Folder) Pack() ([]byte, error) {
	data, err := files.Read(filepath.Join(f.cfg.Dir, PackName), maxPack)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// maxPack bounds a pack in bytes.
const maxPack = 64 << 20

// Rows is how far the database had come: it counts its changes, and never back. A
// database that has come less far was put back.
type Rows struct {
	Network string `json:"network"`
	Log     string `json:"log"` // the name that the log had: a restore begins another one
	Number  int64  `json:"number"`
	Opened  int64  `json:"opened"` // how far it had come when it was last opened
	// Untrue says that somebody has found rows which are not what was written. It
	// stands until RowsHold.
	Untrue bool `json:"untrue,omitempty"`
}

// maxRows bounds the file in bytes.
const maxRows = 4 << 10

// KeepRows writes how far the database has come, and never back.
func (f *Folder) KeepRows(ctx context.Context, r Rows) error {
	return f.changeRows(ctx, func(before Rows) Rows {
		r.Network = f.cfg.Network
		if before.Log == r.Log {
			r.Number, r.Opened = max(r.Number, before.Number), max(r.Opened, before.Opened)
			r.Untrue = r.Untrue || before.Untrue
		}
		return r
	})
}

// RowsHold notes that every row was looked at, and is what was written.
func (f *Folder) RowsHold(ctx context.Context) error {
	return f.changeRows(ctx, func(r Rows) Rows {
		r.Untrue = false
		return r
	})
}

// changeRows writes what follows from what stands there; several processes may.
func (f *Folder) changeRows(ctx context.Context, next func(before Rows) Rows) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	unlock, err := files.WaitLock(ctx, f.cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }()
	before, err := f.Rows(ctx)
	if err != nil {
		return err
	}
	r := next(before)
	if r == before {
		return nil
	}
	data, err := sign(ctx, f.cfg.Keys, LabelRows, r.Network, r)
	if err != nil {
		return err
	}
	return f.put(RowsName, data)
}

// Rows returns what KeepRows wrote last; the zero Rows if it never did.
func (f *Folder) Rows(ctx context.Context) (r Rows, err error) {
	data, err := files.Read(filepath.Join(f.cfg.Dir, RowsName), maxRows)
	if errors.Is(err, os.ErrNotExist) {
		return Rows{}, nil
	}
	if err != nil {
		return Rows{}, err
	}
	err = parse(ctx, f.cfg.Keys, LabelRows, f.cfg.Network, data, maxRows, &r)
	if err == nil && r.Network != f.cfg.Network {
		err = ErrJournal
	}
	if errors.Is(err, ErrJournal) {
		return Rows{}, ErrRows
	}
	return r, err
}

// KeepCheckpoint writes the log's newest checkpoint.
func (f *Folder) KeepCheckpoint(checkpoint []byte) error { return f.put(CheckpointName, checkpoint) }

// Checkpoint returns the log's newest checkpoint that was kept, nil if none was.
// Whoever signed it is for the caller to check.
func (f *Folder) Checkpoint() ([]byte, error) {
	data, err := files.Read(filepath.Join(f.cfg.Dir, CheckpointName), maxCheckpoint)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// maxCheckpoint bounds a checkpoint in bytes: three lines and some signatures.
const maxCheckpoint = 64 << 10

func (f *Folder) put(name string, data []byte) error {
	if err := files.Replace(filepath.Join(f.cfg.Dir, name), data); err != nil {
		return err
	}
	d, err := os.Open(f.cfg.Dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Check reports why the folder cannot be used.
func (f *Folder) Check() error {
	if info, err := os.Stat(f.cfg.Dir); err != nil || !info.IsDir() {
		return errors.Join(errors.New("the off-site folder (aside) is not there; is its disk mounted?"), err)
	}
	return nil
}
