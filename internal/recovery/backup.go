// Package recovery copies a network into files that only the right people can
// open, and brings it back from them: the data in one file, the keys of records
// in another, and what was said and erased in public since. The form of those
// files is for internal/backup; flags and words are for the commands.
package recovery

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/signer"
)

// KeyringLife is how long a backup of the keyring may be used: when it is over,
// what was erased before is gone for good (docs/threat-model.md, Retention).
const KeyringLife = 35 * 24 * time.Hour

// BackupOrder says what is to be copied, for whom, and where to.
type BackupOrder struct {
	Folder     config.Folder
	Recipients string           // a file of recipients, one a line
	To         string           // the file to write
	KeyringTo  string           // the file for the keys of records, "" for none
	Progress   io.Writer        // gets a line from time to time
	Now        func() time.Time // nil means time.Now
}

// BackedUp is what a backup tells.
type BackedUp struct {
	File     string           `json:"file"`
	Made     time.Time        `json:"made"`
	Sequence uint64           `json:"pack_sequence"`
	Rows     map[string]int64 `json:"rows"`
	Objects  int64            `json:"objects"`
	Bytes    int64            `json:"bytes"`
	Keyring  string           `json:"keyring,omitempty"`
	KeyFiles int              `json:"key_files,omitempty"`
	// PublicKey is what the manifests are signed with, in hex.
	PublicKey string `json:"manifest_key"`
}

// Backup copies a network, while it is being served or not.
func Backup(ctx context.Context, order BackupOrder) (made BackedUp, err error) {
	if err := order.Folder.Check(); err != nil {
		return made, err
	}
	if order.KeyringTo != "" && filepath.Clean(order.KeyringTo) == filepath.Clean(order.To) {
		return made, errors.New("--keyring-file: another file than the backup itself")
	}
	to, err := readRecipients(order.Recipients)
	if err != nil {
		return made, err
	}
	cfg, err := service.ConfigFor(order.Folder)
	if err != nil {
		return made, err
	}
	if cfg.Now = order.Now; cfg.Now == nil {
		cfg.Now = time.Now
	}
	s, err := service.Look(ctx, cfg)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	key, err := s.Keys.DerivedKey(ctx, offsite.LabelBackup, s.Network.ID())
	if err != nil {
		return made, err
	}
	sign := func(m []byte) ([]byte, error) { return s.Keys.SignDerived(ctx, offsite.LabelBackup, s.Network.ID(), m) }
	made = BackedUp{File: order.To, PublicKey: hex.EncodeToString(key)}
	err = files.Create(order.To, func(w io.Writer) error {
		c := copying{Service: s, dir: order.Folder, say: newProgress(order.Progress), now: cfg.Now}
		m, err := c.data(ctx, w, to, sign)
		made.Made, made.Sequence, made.Rows, made.Objects, made.Bytes = m.Made, m.Sequence, m.Rows, m.Objects, c.say.done
		return err
	})
	if err != nil {
		return made, err
	}
	// After the rows: every record in them has its key in it, unless it was
	// erased meanwhile.
	if order.KeyringTo != "" {
		made.Keyring = order.KeyringTo
		err = files.Create(order.KeyringTo, func(w io.Writer) error {
			c := copying{Service: s, dir: order.Folder, say: newProgress(order.Progress), now: cfg.Now}
			made.KeyFiles, err = c.keyring(ctx, w, to, sign)
			return err
		})
	}
	return made, err
}

func readRecipients(path string) ([]backup.Recipient, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return backup.ParseRecipients(file)
}

// copying is one backup on its way.
type copying struct {
	*service.Service

	dir config.Folder
	say *progress
	now func() time.Time
	out *backup.Writer
}

// part writes parts of one kind, numbered.
func (c *copying) part(kind, ext string) func(data []byte) error {
	n := 0
	return func(data []byte) error {
		n++
		c.say.add(kind, len(data))
		return c.out.Add(fmt.Sprintf("%s/%06d%s", kind, n, ext), data)
	}
}

// data copies everything but the keys of records. The order makes it right while
// others write: the log before the rows, so that the rows know every leaf of it;
// pages after the rows, so that every row has its page; the key file last, so
// that it is never older than what the rows say of it.
func (c *copying) data(ctx context.Context, w io.Writer, to []backup.Recipient, sign func([]byte) ([]byte, error)) (backup.Manifest, error) {
	m := backup.Manifest{Kind: backup.Data, Network: c.Network.ID(), Made: c.now().UTC().Truncate(time.Second)}
	var err error
	if c.out, err = backup.NewWriter(w, to); err != nil {
		return m, err
	}
	if m.Sequence, err = c.DB.Network().PackSequence(ctx); err != nil {
		return m, err
	}
	if m.Checkpoint, err = c.copyLog(); err != nil {
		return m, fmt.Errorf("copy the log: %w", err)
	}
	rows, err := c.DB.Dump(ctx, c.part("rows", ""))
	if err != nil {
		return m, fmt.Errorf("copy rows: %w", err)
	}
	m.Schema, m.Rows = rows.Schema, rows.Rows
	if m.Objects, err = c.copyObjects(ctx); err != nil {
		return m, fmt.Errorf("copy pages: %w", err)
	}
	if !c.InVault() && !c.Elsewhere() {
		data, err := files.Read(c.dir.Path(config.KeysName), backup.MaxPart)
		if err != nil {
			return m, fmt.Errorf("copy the key file: %w", err)
		}
		if err := c.out.Add(keysPart, data); err != nil {
			return m, err
		}
	}
	if err := c.copySigned(); err != nil {
		return m, fmt.Errorf("copy what the signer knows: %w", err)
	}
	m, err = c.out.Close(m, sign)
	c.say.end()
	return m, err
}

// signedPart is what the signer signed last, sealed under a key of the network: one
// that begins with it signs nothing that goes back behind.
const signedPart = "signer/" + signer.StateName

// copySigned copies it, behind the rows, so that it is never older than they are.
// Where another process has the keys it is there.
func (c *copying) copySigned() error {
	data, err := files.Read(c.dir.Path(filepath.Join(config.SignerName, signer.StateName)), backup.MaxPart)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.out.Add(signedPart, data)
}

// keysPart is the network's key file, sealed with its passphrase as it lies in
// the folder. It opens no record.
const keysPart = "keys/keys.age"

// copyLog copies the public files. The checkpoint is read first: whatever is
// published meanwhile adds tiles that it does not need.
func (c *copying) copyLog() (checkpoint string, err error) {
	head, err := fs.ReadFile(c.LogDir, service.CheckpointName)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // nothing was published yet
	}
	if err != nil {
		return "", err
	}
	b := backup.Bundle{Emit: c.part("log", ".tar")}
	if err := b.Add(service.CheckpointName, head); err != nil {
		return "", err
	}
	for _, top := range []string{"tile", service.RestartName, service.FormerName} {
		err = fs.WalkDir(c.LogDir, top, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(c.LogDir, name)
			if err != nil {
				return err
			}
			return b.Add(name, data)
		})
		if err != nil {
			return "", err
		}
	}
	return string(head), b.Flush()
}

// copyObjects copies every page that is there. One that goes away meanwhile was
// erased, if no row names it any more.
func (c *copying) copyObjects(ctx context.Context) (count int64, err error) {
	b := backup.Bundle{Emit: c.part("objects", ".tar")}
	for key, err := range c.Objects.List(ctx, "") {
		if err != nil {
			return count, err
		}
		data, err := c.object(ctx, key)
		if err != nil {
			named, lookErr := c.Vault.Named(ctx, key)
			if lookErr != nil || named {
				return count, errors.Join(err, lookErr)
			}
			continue
		}
		if err := b.Add(key, data); err != nil {
			return count, err
		}
		count++
	}
	return count, b.Flush()
}

func (c *copying) object(ctx context.Context, key string) (data []byte, err error) {
	r, err := c.Objects.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	data, err = io.ReadAll(io.LimitReader(r, backup.MaxPart+1))
	if err == nil && len(data) > backup.MaxPart {
		err = backup.ErrTooLarge
	}
	return data, err
}

// keyring copies the key files, into a file of their own.
func (c *copying) keyring(ctx context.Context, w io.Writer, to []backup.Recipient, sign func([]byte) ([]byte, error)) (count int, err error) {
	m := backup.Manifest{Kind: backup.Keyring, Network: c.Network.ID(), Made: c.now().UTC().Truncate(time.Second)}
	if c.out, err = backup.NewWriter(w, to); err != nil {
		return 0, err
	}
	if m.Sequence, err = c.DB.Network().PackSequence(ctx); err != nil {
		return 0, err
	}
	b := backup.Bundle{Emit: c.part("keyfiles", ".tar")}
	for row, err := range c.Keyring.Rows(ctx) {
		if err != nil {
			return count, fmt.Errorf("copy key files: %w", err)
		}
		if err := b.Add(row.Name, row.Box); err != nil {
			return count, err
		}
		count++
	}
	if err := b.Flush(); err != nil {
		return count, err
	}
	_, err = c.out.Close(m, sign)
	c.say.end()
	return count, err
}

// progress says from time to time how far a copy is. It names kinds and sizes,
// nothing else.
type progress struct {
	to   io.Writer
	done int64
	last time.Time
}

func newProgress(to io.Writer) *progress { return &progress{to: to, last: time.Now()} }

// often is how often a line is due.
const often = 2 * time.Second

func (p *progress) add(kind string, n int) {
	p.done += int64(n)
	if now := time.Now(); now.Sub(p.last) >= often {
		p.last = now
		_, _ = fmt.Fprintf(p.to, "%s … %d MiB\n", kind, p.done>>20)
	}
}

// part says what part of something is done.
func (p *progress) part(kind string, part float64) {
	if now := time.Now(); now.Sub(p.last) >= often || part == 1 {
		p.last = now
		_, _ = fmt.Fprintf(p.to, "%s … %.0f %%\n", kind, 100*part)
	}
}

func (p *progress) end() { _, _ = fmt.Fprintf(p.to, "%d KiB\n", (p.done+1023)>>10) }

// ExportErasures writes the journal of what was erased to a file, as encrypted as it is in the aside folder.
func ExportErasures(ctx context.Context, s *service.Service, path string) (offsite.Journal, error) {
	j, err := s.Offsite.Journal(ctx)
	if err != nil {
		return j, err
	}
	data, err := j.Marshal(ctx, s.Keys)
	if err != nil {
		return j, err
	}
	return j, files.Replace(path, data)
}
