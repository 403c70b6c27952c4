package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/service"
)

// operateFlags are those of every command that works in a network's folder.
type operateFlags struct {
	config.Folder

	json bool
}

func logCommand() *cobra.Command {
	var f operateFlags
	var keys []string
	c := group("log", "The tamper-evident log")
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Check every tile and the signed checkpoint of a log, as a stranger would",
		Long: `Check every tile and the signed checkpoint of a log, as a stranger would.

A key that signed before is needed only for a checkpoint from then, and for what a log
follows that began anew after a restore.

Where the folder has the database too, the roster is replayed from its beginning,
and every change of it is held against the log.

The exit status is 0 when all of it holds together, 2 when it does not, and 3 when the
log does and what the folder's database says could not be held against it.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.verifyLog(c.Context(), c.OutOrStdout(), keys)
		},
	}
	f.add(verify)
	verify.Flags().StringArrayVar(&keys, "key", nil, "a public key of the log, as a trust list names it; may be given several times, the newest first (default: those in the folder's key file)")
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
	c.Flags().StringVar(&f.Dir, "dir", "", "the folder that init or demo made (required)")
	c.Flags().StringVar(&f.PassphraseFile, "passphrase-file", "", "a file with the passphrase of the keys (default: the one that a demo leaves in its folder)")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	isSetting(c, "passphrase-file")
	_ = c.MarkFlagRequired("dir")
}

func (f *operateFlags) verifyLog(ctx context.Context, out io.Writer, keys []string) error {
	found, err := doctor.VerifyLog(ctx, f.Folder, keys...)
	if err != nil {
		return err
	}
	problems := slices.Concat(found.Problems, found.RosterProblems, found.RowProblems)
	if len(found.Problems) > 0 {
		return f.report(out, func() { _, _ = fmt.Fprintln(out, "The log does not hold together.") }, map[string]any{"problems": problems}, problems)
	}
	words := func() {
		_, _ = fmt.Fprintf(out, "The log holds together: %d leaves, root %s\n", found.Size, found.Root)
		if former := found.Follows; former.Size > 0 {
			_, _ = fmt.Fprintf(out, "It began anew after a restore, and follows %s at %d leaves, root %s\n", former.Origin, former.Size, former.Root)
		}
		if found.Waiting > 0 {
			_, _ = fmt.Fprintf(out, "Entries that wait for their leaf: %d; windows that takes: %d\n", found.Waiting, found.Windows)
		}
		switch {
		case len(found.RosterProblems) > 0:
			_, _ = fmt.Fprintln(out, "The roster does not hold.")
		case found.Roster:
			_, _ = fmt.Fprintln(out, "The roster holds, and every change of it is in the log.")
		default:
			_, _ = fmt.Fprintln(out, "The roster was not looked at: its database is not here, or cannot be read.")
		}
		if len(found.RowProblems) > 0 {
			_, _ = fmt.Fprintln(out, "What the log tells about does not all hold, or could not be looked at.")
		}
	}
	err = f.report(out, words, map[string]any{
		"waiting": found.Waiting, "windows": found.Windows,
		"follows": found.Follows.Origin, "origin": found.Origin, "size": found.Size, "root": found.Root.String(), "key": found.Key, "keys": found.Keys,
		"roster": found.Roster, "problems": append([]string{}, problems...),
	}, problems)
	if err == nil && len(keys) == 0 && !found.Roster {
		return exitError(exitUnchecked) // of our own network, and half of it could not be looked at
	}
	return err
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

func (f *operateFlags) fsck(ctx context.Context, out io.Writer) error {
	found, err := doctor.Fsck(ctx, f.Folder)
	if err != nil {
		return err
	}
	return f.report(out, func() {
		if found.Logged == 0 {
			return // nothing was opened: noughts would read as if all were gone
		}
		_, _ = fmt.Fprintf(out, "%d records, %d status entries, %d log entries, %d of them not published yet, %d public leaves, %d pages and fields; %d drafts settled now\n",
			found.Issued, found.Entries, found.Logged, found.Waiting, found.Leaves, found.Pages, found.Settled)
		if found.Served {
			_, _ = fmt.Fprintln(out, "Another process serves this network: nothing was settled.")
		}
		if len(found.Problems) == 0 {
			_, _ = fmt.Fprintln(out, "All of it is what was written.")
		}
	}, found, found.Problems)
}

// work opens a folder for an operator's act, and closes it. alone says that
// nobody serves it. Where keys are in a Vault, an act may run beside a service.
func (f *operateFlags) work(ctx context.Context, do func(s *service.Service, alone bool) error) (err error) {
	if err := f.Check(); err != nil {
		return err
	}
	cfg, err := service.ConfigFor(f.Folder)
	if err != nil {
		return err
	}
	alone := true
	s, err := service.Open(ctx, cfg)
	if errors.Is(err, files.ErrInUse) {
		alone = false
		s, err = service.Look(ctx, cfg)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(s, alone)
}

// look opens a folder to read from it, served or not.
func (f *operateFlags) look(ctx context.Context, do func(s *service.Service) error) (err error) {
	if err := f.Check(); err != nil {
		return err
	}
	cfg, err := service.ConfigFor(f.Folder)
	if err != nil {
		return err
	}
	s, err := service.Look(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(s)
}

// say prints an object or words.
func (f *operateFlags) say(out io.Writer, object any, words string) error {
	if f.json {
		return json.NewEncoder(out).Encode(object)
	}
	_, err := io.WriteString(out, words)
	return err
}
