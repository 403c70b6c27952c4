package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/recovery"
	"github.com/safeconduct/safeconduct/internal/service"
)

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
	var asJSON bool
	c := &cobra.Command{
		Use:   "keygen FILE",
		Short: "Make a key that opens backups, and print the recipient that belongs to it",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			secret, public, err := backup.NewIdentity()
			if err != nil {
				return err
			}
			text := fmt.Sprintf("# A key that opens backups. Keep it offline, away from them.\n# recipient: %s\n%s\n", public, secret)
			if err := files.Create(args[0], func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(map[string]string{"recipient": public, "file": args[0]})
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), public)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func (f *backupFlags) run(ctx context.Context, out, progress io.Writer, path string) error {
	made, err := recovery.Backup(ctx, recovery.BackupOrder{
		Folder: f.Folder, Recipients: f.to, To: path, KeyringTo: f.keyring, Progress: progress,
	})
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(out).Encode(made)
	}
	_, _ = fmt.Fprintf(out, "Backup of %s: pack %d, %d rows, %d pages\n", made.Made.Format("2006-01-02 15:04:05 MST"), made.Sequence, sum(made.Rows), made.Objects)
	if made.Keyring != "" {
		_, _ = fmt.Fprintf(out, "Keyring: %d key files; destroy it by %s\n", made.KeyFiles, made.Made.Add(recovery.KeyringLife).Format(time.DateOnly))
	}
	return nil
}

func sum(rows map[string]int64) (n int64) {
	for _, one := range rows {
		n += one
	}
	return n
}

// erasuresCommand is about the journal of what was erased.
func erasuresCommand() *cobra.Command {
	var f operateFlags
	c := group("erasures", "The journal of what was erased")
	export := &cobra.Command{
		Use:   "export OUT",
		Short: "Write the journal of what was erased, encrypted, which a restore with keys needs; it holds random ids only",
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
	return f.look(ctx, func(s *service.Service) error {
		j, err := recovery.ExportErasures(ctx, s, path)
		if err != nil {
			return err
		}
		return f.say(out, map[string]any{"pack_sequence": j.Sequence, "made": j.Made, "erasures": len(j.Erasures)},
			fmt.Sprintf("%d erasures, up to pack %d\n", len(j.Erasures), j.Sequence))
	})
}
