package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/service"
)

type signerFlags struct {
	config.Folder

	at    service.Signing
	peers []string
}

func signerCommand() *cobra.Command {
	var f signerFlags
	c := &cobra.Command{
		Use:   "signer",
		Short: "Have the keys of a network, and sign for the process that serves it",
		Long: `Have the keys of a network, and sign for the process that serves it.

serve starts a signer for itself. This one is for a user of its own: it alone
reads the passphrase, or logs in to a Vault, and answers on a socket. serve and
every other command ask there when --signer-socket says so, or
SAFECONDUCT_SIGNER_SOCKET. docs/operate.md, The signer, says how the keys are
moved into a folder that only this user reads.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c.Context(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&f.Dir, "dir", "", "the folder with the keys (required)")
	c.Flags().StringVar(&f.PassphraseFile, "passphrase-file", "", "a file with the passphrase of the keys")
	isSetting(c, "passphrase-file")
	c.Flags().StringVar(&f.at.Socket, "socket", "", "where it is asked (default: "+config.SocketName+" in the folder)")
	c.Flags().StringSliceVar(&f.peers, "peer", nil, "a user that may ask, by name or number, besides the one that runs this")
	c.Flags().StringVar(&f.at.Network, "network", "", "the network's id (required where the keys are in a HashiCorp Vault)")
	c.Flags().BoolVar(&f.at.Child, "child", false, "")
	_ = c.Flags().MarkHidden("child") // serve alone starts it so
	_ = c.MarkFlagRequired("dir")
	return c
}

func (f signerFlags) run(ctx context.Context, logTo io.Writer) error {
	if f.at.Socket == "" {
		f.at.Socket = filepath.Join(f.Dir, config.SocketName)
	}
	var wrong []error
	for _, name := range f.peers {
		uid, err := userID(name)
		f.at.Peers, wrong = append(f.at.Peers, uid), append(wrong, err)
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	f.at.Restart = restart
	err := service.Sign(ctx, f.Folder, slog.New(slog.NewJSONHandler(logTo, nil)), f.at)
	if errors.Is(err, service.ErrLocked) {
		restart()
	}
	if err != nil && f.at.Child {
		return exitError(1) // its parent was told, and says it
	}
	return err
}

// userID is the number of a user.
func userID(name string) (int, error) {
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return 0, fmt.Errorf("--peer: there is no such user")
	}
	return strconv.Atoi(u.Uid)
}

// signerBeside has this program's own signer open the keys.
func signerBeside(f config.Folder, log *slog.Logger) (service.KeyOpener, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return service.SignerBeside(self, f, log), nil
}
