package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/vault"
)

// keyringLife is how long a backup of the keyring may be used: when it is over,
// what was erased before is gone for good (docs/threat-model.md, Retention).
const keyringLife = 35 * 24 * time.Hour

type backupFlags struct {
	operateFlags

	to, keyring string
}

func backupCommand() *cobra.Command {
	var f backupFlags
	c := &cobra.Command{
		Use:   "backup OUT",
		Short: "Copy a network into one encrypted file, while it is being served",
		Long: `Copy a network into one encrypted file, while it is being served: rows, pages,
the log and the key file as it is, under its passphrase.

The keys of records are not in it. With --keyring-file they go into a file of their
own, which must be destroyed after 35 days and is not taken back after that: what
was erased has to end. Keep the two in different places.

Only the people named in --to can open the files, two at least, with keys that
"backup keygen" makes. Neither key belongs on this machine.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), args[0])
		},
	}
	f.add(c)
	c.Flags().StringVar(&f.to, "to", "", "a file of recipients, one a line (required)")
	c.Flags().StringVar(&f.keyring, "keyring-file", "", "also write the keys of records, into this file")
	_ = c.MarkFlagRequired("to")
	c.AddCommand(keygenCommand())
	return c
}

func keygenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "keygen FILE",
		Short: "Make a key that opens backups, and print the recipient that belongs to it",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			secret, public, err := backup.NewIdentity()
			if err != nil {
				return err
			}
			text := fmt.Sprintf("# A key that opens backups. Keep it offline, away from them.\n# recipient: %s\n%s\n", public, secret)
			if err := writeNew(args[0], func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), public)
			return err
		},
	}
}

// backedUp is what a backup tells.
type backedUp struct {
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

func (f *backupFlags) run(ctx context.Context, out, progress io.Writer, path string) (err error) {
	if err := isHouse(f.dir); err != nil {
		return err
	}
	if f.keyring != "" && filepath.Clean(f.keyring) == filepath.Clean(path) {
		return errors.New("--keyring-file: another file than the backup itself")
	}
	to, err := readRecipients(f.to)
	if err != nil {
		return err
	}
	passphrase, err := f.passphrase()
	if err != nil {
		return err
	}
	h, err := openQuietly(ctx, houseConfig{dir: f.dir, passphrase: passphrase, now: time.Now, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()

	key, err := signingKey(ctx, h.keys, labelBackup, h.network.ID())
	if err != nil {
		return err
	}
	sign := func(m []byte) ([]byte, error) { return ed25519.Sign(key, signed(labelBackup, m)), nil }
	made := backedUp{File: path, PublicKey: publicHalf(key)}
	err = writeNew(path, func(w io.Writer) error {
		c := copying{house: h, say: newProgress(progress)}
		m, err := c.data(ctx, w, to, sign)
		made.Made, made.Sequence, made.Rows, made.Objects, made.Bytes = m.Made, m.Sequence, m.Rows, m.Objects, c.say.done
		return err
	})
	if err != nil {
		return err
	}
	// After the rows: every record in them has its key in it, unless it was
	// erased meanwhile.
	if f.keyring != "" {
		made.Keyring = f.keyring
		err := writeNew(f.keyring, func(w io.Writer) error {
			c := copying{house: h, say: newProgress(progress)}
			made.KeyFiles, err = c.keyring(ctx, w, to, sign)
			return err
		})
		if err != nil {
			return err
		}
	}
	if f.json {
		return json.NewEncoder(out).Encode(made)
	}
	_, _ = fmt.Fprintf(out, "Backup of %s: pack %d, %d rows, %d pages\n", made.Made.Format("2006-01-02 15:04:05 MST"), made.Sequence, sum(made.Rows), made.Objects)
	if made.Keyring != "" {
		_, _ = fmt.Fprintf(out, "Keyring: %d key files; destroy it by %s\n", made.KeyFiles, made.Made.Add(keyringLife).Format(time.DateOnly))
	}
	return nil
}

func sum(rows map[string]int64) (n int64) {
	for _, one := range rows {
		n += one
	}
	return n
}

func readRecipients(path string) ([]backup.Recipient, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return backup.ParseRecipients(file)
}

// writeNew writes a file that is not there yet, and under its name only when it
// is whole and on the disk.
func writeNew(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s is there already; nothing was changed", path), err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if err := write(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	// A link does not replace a file that came meanwhile.
	return os.Link(f.Name(), path)
}

// copying is one backup on its way.
type copying struct {
	*house

	say *progress
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
	m := backup.Manifest{Kind: backup.Data, Network: c.network.ID(), Made: time.Now().UTC().Truncate(time.Second)}
	var err error
	if c.out, err = backup.NewWriter(w, to); err != nil {
		return m, err
	}
	if m.Sequence, err = c.db.Network().PackSequence(ctx); err != nil {
		return m, err
	}
	if m.Checkpoint, err = c.copyLog(); err != nil {
		return m, fmt.Errorf("copy the log: %w", err)
	}
	rows, err := c.db.Dump(ctx, c.part("rows", ""))
	if err != nil {
		return m, fmt.Errorf("copy rows: %w", err)
	}
	m.Schema, m.Rows = rows.Schema, rows.Rows
	if m.Objects, err = c.copyObjects(ctx); err != nil {
		return m, fmt.Errorf("copy pages: %w", err)
	}
	if c.remote == nil {
		data, err := readBounded(filepath.Join(c.cfg.dir, keysName), backup.MaxPart)
		if err != nil {
			return m, fmt.Errorf("copy the key file: %w", err)
		}
		if err := c.out.Add(keysPart, data); err != nil {
			return m, err
		}
	}
	m, err = c.out.Close(m, sign)
	c.say.end()
	return m, err
}

// keysPart is the network's key file, sealed with its passphrase as it lies in
// the folder. It opens no record.
const keysPart = "keys/keys.age"

// copyLog copies the public files. The checkpoint is read first: whatever is
// published meanwhile adds tiles that it does not need.
func (c *copying) copyLog() (checkpoint string, err error) {
	head, err := fs.ReadFile(c.logDir, headName)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // nothing was published yet
	}
	if err != nil {
		return "", err
	}
	b := backup.Bundle{Emit: c.part("log", ".tar")}
	if err := b.Add(headName, head); err != nil {
		return "", err
	}
	for _, top := range []string{"tile", restartName, formerName} {
		err = fs.WalkDir(c.logDir, top, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(c.logDir, name)
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
// erased, if its case is gone, too.
func (c *copying) copyObjects(ctx context.Context) (count int64, err error) {
	b := backup.Bundle{Emit: c.part("objects", ".tar")}
	for key, err := range c.blobs.List(ctx, "") {
		if err != nil {
			return count, err
		}
		data, err := c.object(ctx, key)
		if err != nil {
			gone, lookErr := c.erased(ctx, key)
			if lookErr != nil || !gone {
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
	r, err := c.blobs.Get(ctx, key)
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

// erased tells whether the case that an object belonged to is gone.
func (c *copying) erased(ctx context.Context, key string) (bool, error) {
	caseID, _, _ := strings.Cut(key, "/")
	_, err := c.db.Vault().Record(ctx, caseID)
	if errors.Is(err, vault.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// keyring copies the key files, into a file of their own.
func (c *copying) keyring(ctx context.Context, w io.Writer, to []backup.Recipient, sign func([]byte) ([]byte, error)) (count int, err error) {
	m := backup.Manifest{Kind: backup.Keyring, Network: c.network.ID(), Made: time.Now().UTC().Truncate(time.Second)}
	if c.out, err = backup.NewWriter(w, to); err != nil {
		return 0, err
	}
	if m.Sequence, err = c.db.Network().PackSequence(ctx); err != nil {
		return 0, err
	}
	b := backup.Bundle{Emit: c.part("keyfiles", ".tar")}
	for after := ""; ; {
		files, err := c.house.keyring.All(ctx, after, 500)
		if err != nil {
			return count, fmt.Errorf("copy key files: %w", err)
		}
		if len(files) == 0 {
			break
		}
		for _, f := range files {
			if err := b.Add(f.Record, f.File); err != nil {
				return count, err
			}
			count++
		}
		after = files[len(files)-1].Record
	}
	if err := b.Flush(); err != nil {
		return count, err
	}
	_, err = c.out.Close(m, sign)
	c.say.end()
	return count, err
}

// erasuresCommand is about the journal of what was erased.
func erasuresCommand() *cobra.Command {
	var f operateFlags
	c := group("erasures", "The journal of what was erased")
	export := &cobra.Command{
		Use:   "export OUT",
		Short: "Write the signed journal, which a restore with keys needs; it holds random ids only",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.exportErasures(c.Context(), c.OutOrStdout(), args[0])
		},
	}
	f.add(export)
	c.AddCommand(export)
	return c
}

func (f *operateFlags) exportErasures(ctx context.Context, out io.Writer, path string) error {
	return f.look(ctx, func(h *house) error {
		j, err := h.aside.journal(ctx)
		if err != nil {
			return err
		}
		data, err := j.marshal(ctx, h.keys)
		if err != nil {
			return err
		}
		if err := writeFile(path, data); err != nil {
			return err
		}
		if f.json {
			return json.NewEncoder(out).Encode(map[string]any{"pack_sequence": j.Sequence, "made": j.Made, "erasures": len(j.Erasures)})
		}
		_, err = fmt.Fprintf(out, "%d erasures, up to pack %d\n", len(j.Erasures), j.Sequence)
		return err
	})
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

func (p *progress) end() { _, _ = fmt.Fprintf(p.to, "%d KiB\n", (p.done+1023)>>10) }

// headOf reads a checkpoint of the network's log, by whatever name it has.
func headOf(vkey string, data []byte) (audit.Checkpoint, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return audit.Checkpoint{}, nil
	}
	key, err := keyForCheckpoint(vkey, data)
	if err != nil {
		return audit.Checkpoint{}, err
	}
	return audit.ParseCheckpoint(data, key)
}
