package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/copies"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/service"
)

type exportFlags struct {
	operateFlags

	record, to, passphraseFile, language string
}

func exportCommand() *cobra.Command {
	var f exportFlags
	c := &cobra.Command{
		Use:   "export OUT",
		Short: "Write the holder's own copy of all that is kept about her",
		Long: `Write the holder's own copy of all that is kept about her: one encrypted file, which
age opens, with a page in it that says what is what (docs/copy.md).

At a desk she gives her code for it, over the API. This command asks for none: who has
this folder and the passphrase of its keys can read every record. So her history says
that a copy was taken here, before anything is written.

--passphrase-file is what will open the copy. The passphrase of the network's keys is
asked for by --keys-passphrase-file or SAFECONDUCT_PASSPHRASE_FILE.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c.Context(), c.OutOrStdout(), args[0])
		},
	}
	c.Flags().StringVar(&f.Dir, "dir", "", "the folder that init or demo made (required)")
	c.Flags().StringVar(&f.PassphraseFile, "keys-passphrase-file", "", "a file with the passphrase of the network's keys (default: the one that a demo leaves in its folder)")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	c.Flags().StringVar(&f.record, "record", "", "the id of her case, or of any record in it (required)")
	c.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "a file with the passphrase that will open the copy; four words or more")
	c.Flags().StringVar(&f.to, "to", "", "the recipient that she brings, age1… or age1pq…, whose key will open the copy")
	c.Flags().StringVar(&f.language, "language", "en", "the language of the page in it, beside English")
	_ = c.MarkFlagRequired("dir")
	_ = c.MarkFlagRequired("record")
	c.MarkFlagsMutuallyExclusive("passphrase-file", "to")
	c.MarkFlagsOneRequired("passphrase-file", "to")
	return c
}

func (f *exportFlags) run(ctx context.Context, out io.Writer, path string) error {
	to, err := f.recipient()
	if err != nil {
		return err
	}
	return f.work(ctx, func(s *service.Service, _ bool) error {
		var made copies.Made
		err := files.Create(path, func(w io.Writer) (err error) {
			made, err = s.Export(ctx, f.record, to, f.language, w)
			return err
		})
		if err != nil {
			return err
		}
		words := fmt.Sprintf("%d documents with %d pages, %d attestations, %d cards and %d entries of the history\n",
			made.Documents, made.Pages, made.Attestations, made.Cards, made.History)
		if made.Waiting > 0 {
			words += fmt.Sprintf("%d of the entries are not in the public log yet\n", made.Waiting)
		}
		return f.say(out, made, words)
	})
}

// recipient reads what will open the copy. What is wrong with it is told by the flag that
// named it.
func (f *exportFlags) recipient() (copies.Recipient, error) {
	if f.passphraseFile == "" {
		return copies.ParseRecipient("--to", f.to)
	}
	text, err := files.Read(f.passphraseFile, 4<<10)
	if err != nil {
		return copies.Recipient{}, fmt.Errorf("--passphrase-file: %w", err)
	}
	return copies.ForPassphrase("--passphrase-file", private.New(strings.TrimRight(string(text), "\r\n")))
}
