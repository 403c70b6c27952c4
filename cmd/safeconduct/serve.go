package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/service"
)

type initFlags struct {
	dir, passphraseFile, name, url, desk string
	engines                              config.Engines
	json                                 bool
}

func initCommand() *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use:   "init",
		Short: "Make the keys and the database of a new network",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c.Context(), c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&f.dir, "dir", "", "an empty folder (required)")
	c.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "a file with the passphrase of the keys; keep it on another disk")
	isSetting(c, "passphrase-file")
	c.Flags().StringVar(&f.name, "name", "", "the network's name (required)")
	c.Flags().StringVar(&f.url, "url", "", "where it will be served, https (required)")
	c.Flags().StringVar(&f.desk, "desk", "", "the telephone number of the network's desk (required)")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	enginesFlags(c, &f.engines)
	for _, name := range []string{"dir", "name", "url", "desk"} {
		_ = c.MarkFlagRequired(name)
	}
	return c
}

// errAddress says which addresses a network can have, before anything is made.
var errAddress = errors.New("--url: a network is at https and a name in small letters, as https://net.example: passkeys belong to that name, " +
	"and work nowhere else. To try it on this machine there is safeconduct demo, which needs no name. Nothing was made")

// checkAddress refuses what passkeys could not be made for (Web Authentication Level 3
// §5.1.2: the id of a relying party is a domain).
func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Hostname() == "localhost" || u.Hostname() != strings.ToLower(u.Hostname()) || net.ParseIP(u.Hostname()) != nil {
		return errAddress
	}
	return nil
}

func (f initFlags) run(ctx context.Context, out io.Writer) error {
	if err := checkAddress(f.url); err != nil {
		return err
	}
	passphrase, err := f.engines.Passphrase(f.passphraseFile)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	unlock, err := files.Lock(f.dir)
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }()
	// What lies there might be somebody's, or what is left of another network.
	if entries, err := os.ReadDir(f.dir); err != nil || len(entries) > 0 {
		return errors.Join(fmt.Errorf("%s is not empty; nothing was changed", f.dir), err)
	}
	cfg := service.Config{Dir: f.dir, Engines: f.engines, Passphrase: passphrase}
	id := randomHex(16)
	address := strings.TrimRight(f.url, "/")
	access, err := service.Found(ctx, cfg, service.Founding{ID: id, Name: f.name, BaseURL: address, Desk: f.desk})
	if err != nil {
		return err
	}
	link := access.Link(address)
	if f.json {
		return json.NewEncoder(out).Encode(map[string]string{"network": id, "role": "operator", "token": access.Token, "link": link})
	}
	picture, err := linkPicture(link)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "The network is made. Serve it, and within 24 hours open this link where you want to\n"+
		"be its first operator; it is good once, and shown this once:\n\n%s\n\n%s\n"+
		"A program can act as operator with this token, shown this once:\n\n%s\n\n"+
		"Whoever holds folder and passphrase adds nobody with them: these commands then only\nend, suspend, burn and lock, and for the rest two people agree. But the keys themselves\nlie there, the root's with the others: docs/operate.md says how to keep them apart.\n", link, picture, access.Token)
	return err
}

type serveFlags struct {
	dir, passphraseFile string
	securityContact     string
	signerSocket        string
	at                  service.Serving
}

func serveCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve a network",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c.Context(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&f.dir, "dir", "", "the folder that init made (required)")
	c.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "a file with the passphrase of the keys")
	c.Flags().StringVar(&f.at.Listen, "listen", "127.0.0.1:8443", "address to serve on, behind something that speaks TLS")
	c.Flags().DurationVar(&f.at.Window, "window", time.Hour, "how often lists and packs are published")
	c.Flags().StringVar(&f.at.Metrics, "metrics", "", "address to answer Prometheus on, as 127.0.0.1:9090 (default: nowhere)")
	c.Flags().BoolVar(&f.at.MetricsOpen, "metrics-open", false, "let --metrics be an address that other machines reach")
	c.Flags().DurationVar(&f.at.DrainDelay, "drain-delay", 0, "how long /readyz says no before the service stops taking requests (as long as what stands before it takes to notice)")
	c.Flags().StringVar(&f.securityContact, "security-contact", "", "where to report a weakness, for /.well-known/security.txt: a mailto:, https: or tel: address (default: none)")
	c.Flags().StringVar(&f.signerSocket, "signer-socket", "", "socket of a signer that is already running (default: it starts one for itself)")
	isSetting(c, "signer-socket", "passphrase-file", "listen", "window", "metrics", "metrics-open", "drain-delay", "security-contact")
	_ = c.MarkFlagRequired("dir")
	return c
}

func (f serveFlags) run(ctx context.Context, logTo io.Writer) error {
	if err := f.at.Check(); err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(logTo, nil))
	keys := service.SignerAt(f.signerSocket)
	if f.signerSocket == "" {
		var err error
		if keys, err = signerBeside(config.Folder{Dir: f.dir, PassphraseFile: f.passphraseFile}, log); err != nil {
			return err
		}
	}
	err := service.Serve(ctx, service.Config{Dir: f.dir, Keys: keys, SecurityContact: f.securityContact, Log: log, Socket: f.signerSocket, Restart: restart}, f.at)
	if errors.Is(err, service.ErrLocked) {
		restart()
	}
	return err
}
