package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/recovery"
)

type restoreFlags struct {
	operateFlags

	order recovery.RestoreOrder
}

func restoreCommand() *cobra.Command {
	var f restoreFlags
	c := &cobra.Command{
		Use:   "restore BACKUP",
		Short: "Bring a network back from a backup, into an empty folder and empty engines",
		Long: `Bring a network back from a backup, into an empty folder and empty engines.

The whole backup is checked before anything is written. What the network said in
public after the backup stays said: --from names a copy of its aside folder, or
--lists the newest pack that anybody has. With --keyring-file the keys of records come
back as well; then the erasure journal must be as new as that pack, or what was
erased since would come back with them. Without it records stay shut, and
everything else works.

In the end it says what is lost.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), args[0])
		},
	}
	f.add(c)
	c.Flags().Lookup("dir").Usage = "an empty folder (required)"
	c.Flags().Lookup("passphrase-file").Usage = "a file with the passphrase of the keys in the backup"
	c.Flags().StringVar(&f.order.Identity, "identity", "", "a file with a key that opens the backup (required)")
	c.Flags().StringVar(&f.order.Keyring, "keyring-file", "", "the keyring's own backup")
	c.Flags().StringVar(&f.order.From, "from", "", "a copy of the network's aside folder: stands for the next three")
	c.Flags().StringVar(&f.order.Lists, "lists", "", "file or https address of the newest public pack")
	c.Flags().StringVar(&f.order.Erasures, "erasures", "", "file of the newest erasure journal")
	c.Flags().StringVar(&f.order.Checkpoint, "checkpoint", "", "file of the log's newest checkpoint")
	enginesFlags(c, &f.order.Engines)
	_ = c.MarkFlagRequired("identity")
	c.AddCommand(restoreKeyringCommand())
	return c
}

// restoreKeyringCommand is for the day on which the keyring alone is lost.
func restoreKeyringCommand() *cobra.Command {
	var f operateFlags
	var order recovery.KeyringOrder
	c := &cobra.Command{
		Use:   "keyring [KEYRING-BACKUP]",
		Short: "Give a network whose database is whole its keyring back",
		Long: `Give a network whose database is whole its keyring back: the keys of records.

With KEYRING-BACKUP they come from the keyring's own backup, into a place where
no keyring lies. Without it the keyring that lies there is taken as it is, if it
is this network's and not damaged, or an empty one is made.

Records whose keys do not come back stay shut for good. It says how many, and
does nothing unless --yes gives the network's name. Stop the service first.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				order.Backup = args[0]
			}
			order.Folder, order.Progress = f.Folder, c.ErrOrStderr()
			done, err := recovery.RestoreKeyring(c.Context(), order)
			if err != nil {
				return err
			}
			return f.report(c.OutOrStdout(), func() {
				_, _ = fmt.Fprintf(c.OutOrStdout(), "%d key files came back; %d were written anew for who may read now; %d records stay shut.\n",
					done.KeyFiles, done.Mended, done.Shut)
			}, done, done.Problems)
		},
	}
	f.add(c)
	c.Flags().StringVar(&order.Identity, "identity", "", "a file with a key that opens the backup")
	c.Flags().StringVar(&order.Yes, "yes", "", "the network's name: records may stay shut")
	return c
}

func (f *restoreFlags) run(ctx context.Context, out, progress io.Writer, path string) error {
	f.order.Backup, f.order.Folder, f.order.Progress = path, f.Folder, progress
	done, err := recovery.Restore(ctx, f.order)
	if err != nil {
		return err
	}
	return f.report(out, func() { tellRestored(out, done) }, done, done.Problems)
}

// tellRestored says in words what came back and what is lost.
func tellRestored(out io.Writer, d recovery.Restored) {
	lines := []string{
		fmt.Sprintf("Restored: the network as it was on %s.", d.Backup.Format("2006-01-02 15:04:05 MST")),
		fmt.Sprintf("Lost: what was done from then until the end; the last pack is of %s.", d.LastPack.Format("2006-01-02 15:04:05 MST")),
		fmt.Sprintf("  %d windows of the log were published after the backup. Acts in them are lost; how many of each window were acts nobody can tell", d.LostWindows),
		fmt.Sprintf("  %d places in the status lists stay as they were published, without a record: decoys, and what was changed since", d.Adopted.Held),
		fmt.Sprintf("  %d drafts were never finished", d.Drafts),
	}
	if len(d.Agencies) > 0 {
		lines = append(lines, "  agencies to admit again: "+strings.Join(d.Agencies, "; "))
	}
	lines = append(lines,
		"Kept, although it came after the backup:",
		fmt.Sprintf("  %d erasures, %d changes of status, %d burned epochs, %d ended keys, %d suspended agencies",
			d.Erasures, d.Adopted.Changed, d.Adopted.Burned, d.Adopted.Ended, d.Suspended),
		fmt.Sprintf("Back: %d rows, %d pages, %d key files. New status list: %d. Pack: %d. Log: %s", sum(d.Rows), d.Pages, d.KeyFiles, d.NewList, d.Sequence, d.Log),
	)
	if d.Shut > 0 {
		lines = append(lines, fmt.Sprintf("%d records stay shut: their keys did not come back. What was erased is among them.", d.Shut))
	}
	if d.Stopped > 0 {
		lines = append(lines, fmt.Sprintf("%d changes of the roster waited in the backup and were stopped: whoever agreed to them agrees anew.", d.Stopped))
	}
	lines = append(lines, "People, programs and devices that were ended after the backup are back: look through them before you serve.")
	for _, l := range lines {
		_, _ = fmt.Fprintln(out, l)
	}
}
