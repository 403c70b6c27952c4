package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
)

type operateFlags struct {
	dir, passphraseFile string
	json                bool
}

func logCommand() *cobra.Command {
	var f operateFlags
	var key string
	c := group("log", "The tamper-evident log")
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Check every tile and the signed checkpoint of a log, as a stranger would",
		Long: `Check every tile and the signed checkpoint of a log, as a stranger would.

The exit status is 0 when the log holds together, and 2 when it does not.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.verifyLog(c.Context(), c.OutOrStdout(), key)
		},
	}
	f.add(verify)
	verify.Flags().StringVar(&key, "key", "", "the log's public key; without it, the one in the folder's key file")
	c.AddCommand(verify)
	return c
}

func fsckCommand() *cobra.Command {
	var f operateFlags
	c := &cobra.Command{
		Use:   "fsck",
		Short: "Settle what a crash left behind and check that everything is whole",
		Long: `Settle what a crash left behind and check that everything is whole: rows, log,
status places and pages. While another process serves the network nothing is
settled, and the drafts that it is about to sign are nothing wrong.

The exit status is 0 when everything fits, and 2 when something does not.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.fsck(c.Context(), c.OutOrStdout())
		},
	}
	f.add(c)
	return c
}

func (f *operateFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.dir, "dir", "", "the folder that init or demo made (required)")
	c.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "a file with the passphrase of the keys (default: the one that a demo leaves in its folder)")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	isSetting(c, "passphrase-file")
	_ = c.MarkFlagRequired("dir")
}

// passphrase finds a demo's passphrase by itself; a real network has none in
// its folder.
func (f *operateFlags) passphrase() (string, error) {
	left := filepath.Join(f.dir, passphraseName)
	if _, err := os.Stat(left); f.passphraseFile == "" && err == nil {
		return readPassphrase(left)
	}
	e, err := readEngines(f.dir)
	if err != nil {
		return "", err
	}
	return passphraseFor(e, f.passphraseFile)
}

func (f *operateFlags) verifyLog(ctx context.Context, out io.Writer, key string) (err error) {
	if key == "" {
		if key, err = f.logKey(ctx); err != nil {
			return err
		}
	}
	files, done, err := f.logFiles(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	report, err := audit.Verify(files, key)
	var former audit.Checkpoint
	if err == nil {
		former, err = follows(files, key)
	}
	if p := problemOfLog(err); p != "" {
		return f.report(out, func() { _, _ = fmt.Fprintln(out, "The log does not hold together.") },
			map[string]any{"problems": []string{p}}, []string{p})
	}
	if err != nil {
		return err
	}
	return f.report(out, func() {
		_, _ = fmt.Fprintf(out, "The log holds together: %d leaves, root %s\n", report.Size, report.Root)
		if former.Size > 0 {
			_, _ = fmt.Fprintf(out, "It began anew after a restore, and follows %s at %d leaves, root %s\n", former.Origin, former.Size, former.Root)
		}
	}, map[string]any{"follows": former.Origin, "origin": report.Origin, "size": report.Size, "root": report.Root.String(), "problems": []string{}}, nil)
}

// logFiles are the log's public files: in the folder, or in the database that
// several processes share.
func (f *operateFlags) logFiles(ctx context.Context) (fs.FS, func() error, error) {
	e, err := readEngines(f.dir)
	if err != nil {
		return nil, nil, err
	}
	if e.Database == "" {
		return os.DirFS(filepath.Join(f.dir, logName)), func() error { return nil }, nil
	}
	db, err := sqlstore.Open(ctx, e.Database)
	if err != nil {
		return nil, nil, err
	}
	return db.LogFiles(), db.Close, nil
}

// logKey reads the public key from the key file, and nothing else of the
// folder: checking a log must not depend on what else is broken, nor mend it.
func (f *operateFlags) logKey(ctx context.Context) (string, error) {
	if err := isHouse(f.dir); err != nil {
		return "", err
	}
	passphrase, err := f.passphrase()
	if err != nil {
		return "", err
	}
	e, err := readEngines(f.dir)
	if err != nil {
		return "", err
	}
	if e.Vault != "" {
		h, err := openQuietly(ctx, houseConfig{dir: f.dir, now: time.Now, log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return "", err
		}
		key, err := h.keys.LogKey(ctx) // by its present name
		return key, errors.Join(err, h.Close())
	}
	keys, err := keyfile.Open(houseConfig{dir: f.dir, passphrase: passphrase}.keyfile())
	if err != nil {
		return "", err
	}
	vkey, err := keys.LogKey(ctx)
	if err != nil {
		return "", err
	}
	files, done, err := f.logFiles(ctx)
	if err != nil {
		return "", err
	}
	checkpoint, err := fs.ReadFile(files, "checkpoint")
	if closing := done(); closing != nil {
		return "", closing
	}
	if err != nil || len(checkpoint) > 64<<10 {
		return vkey, nil //nolint:nilerr // the check says what is wrong with it
	}
	return keyForCheckpoint(vkey, checkpoint)
}

// problemOfLog tells what was found wrong from what kept us from looking.
func problemOfLog(err error) string {
	if errors.Is(err, audit.ErrTampered) || errors.Is(err, audit.ErrCheckpoint) || errors.Is(err, audit.ErrFork) ||
		errors.Is(err, errUnlinked) || errors.Is(err, fs.ErrNotExist) {
		return err.Error()
	}
	return ""
}

// report prints what was found, in words or as one object, and turns problems
// into the exit status.
func (f *operateFlags) report(out io.Writer, words func(), object any, problems []string) error {
	if f.json {
		if err := json.NewEncoder(out).Encode(object); err != nil {
			return err
		}
	} else {
		words()
		for _, p := range problems {
			_, _ = fmt.Fprintln(out, "  ✕", p)
		}
	}
	if len(problems) > 0 {
		return exitError(exitNo)
	}
	return nil
}

// health is what fsck found.
type health struct {
	sqlstore.Health
	Pages  int   `json:"pages"`  // ciphertexts that were read, of pages and of fields
	Leaves int64 `json:"leaves"` // of the published log
	Served bool  `json:"served"` // by another process, so that nothing was settled
}

func (f *operateFlags) fsck(ctx context.Context, out io.Writer) (err error) {
	if err := isHouse(f.dir); err != nil {
		return err
	}
	passphrase, err := f.passphrase()
	if err != nil {
		return err
	}
	unlock, err := lockFolder(f.dir)
	served := errors.Is(err, errInUse)
	switch {
	case served:
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, unlock()) }()
	}
	h, err := openQuietly(ctx, houseConfig{dir: f.dir, passphrase: passphrase, now: time.Now, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	others, err := h.db.Others(ctx)
	if err != nil {
		return err
	}
	served = served || others > 0
	found, err := h.check(ctx, served)
	if err != nil {
		return err
	}
	return f.report(out, func() {
		_, _ = fmt.Fprintf(out, "%d records, %d status entries, %d log entries, %d of them published, %d pages and fields; %d drafts settled now\n",
			found.Issued, found.Entries, found.Logged, found.Leaves, found.Pages, found.Settled)
		if found.Served {
			_, _ = fmt.Fprintln(out, "Another process serves this network: nothing was settled.")
		}
	}, found, found.Problems)
}

// check settles what may be settled and asks every room whether it is whole.
func (h *house) check(ctx context.Context, served bool) (health, error) {
	var settling error
	if !served {
		settling = h.settle(ctx)
	}
	rows, err := h.db.Check(ctx)
	if err != nil {
		return health{}, err
	}
	found := health{Health: rows, Served: served}
	found.Settled = h.settled
	if settling != nil {
		found.Problems = append(found.Problems, "not everything could be settled: "+settling.Error())
	}
	if rows.Drafts > 0 && !served {
		found.Problems = append(found.Problems, fmt.Sprintf("%d drafts that nobody settled", rows.Drafts))
	}
	if err := h.checkLog(ctx, &found); err != nil {
		return health{}, err
	}
	return found, h.checkPages(ctx, &found)
}

// checkLog holds the published log against its checkpoint, and the store
// against both.
func (h *house) checkLog(ctx context.Context, found *health) error {
	key, err := h.keys.LogKey(ctx)
	if err != nil {
		return err
	}
	// Before the first window there is nothing to look at.
	if size, err := h.db.Log().Size(ctx); err != nil || size == 0 {
		return err
	}
	report, err := audit.Verify(h.logDir, key)
	if err == nil {
		found.Leaves = report.Size
		err = audit.Compare(ctx, h.logDir, key, h.db.Log())
	}
	if p := problemOfLog(err); p != "" {
		found.Problems = append(found.Problems, p)
		return nil
	}
	return err
}

// checkPages reads every version of every page, and of every document's fields,
// and holds it against its row and the log.
func (h *house) checkPages(ctx context.Context, found *health) error {
	s, err := h.vault.Scrub(ctx)
	found.Pages = s.Objects
	for _, d := range s.Damaged {
		// Ids are for whoever has to restore it; they say nothing else.
		found.Problems = append(found.Problems, fmt.Sprintf("page %d of record %s is missing or damaged", d.Page, d.Record))
	}
	return err
}
