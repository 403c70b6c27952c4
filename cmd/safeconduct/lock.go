package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/service"
)

func lockCommand() *cobra.Command {
	var f operateFlags
	c := &cobra.Command{
		Use:   "lock",
		Short: "Lock the network, at once: keys and sessions end, and what is public is served",
		Long: `Lock the network, at once: keys and sessions end, and what is public is served.

Without a passphrase it locks the process that serves this folder, within seconds, or
the next one; no database is needed. With the passphrase it locks the network itself,
on every replica. Two people open it again with their passkeys, on the page that
unlock names.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.lock(c.Context(), c.OutOrStdout()) },
	}
	f.add(c)
	return c
}

// locked is what lock and unlock print as one object.
type locked struct {
	Locked bool   `json:"locked"`
	All    bool   `json:"all"`           // every replica, and not this folder alone
	URL    string `json:"url,omitempty"` // of the page on which two people open it
}

func (f *operateFlags) lock(ctx context.Context, out io.Writer) error {
	l, err := service.LockFolder(ctx, f.Dir) // first: it needs nothing
	if err != nil {
		return err
	}
	var all error
	if f.PassphraseName() != "" {
		all = f.look(ctx, func(s *service.Service) error { return s.LockByRoot(ctx) })
	}
	l.Roster = l.Roster || f.PassphraseName() != "" && all == nil
	words := "Locked. The process that serves this folder drops its keys and sessions within seconds.\n"
	if l.Roster {
		words += "So does every replica.\n"
	} else {
		words += "Replicas that serve other folders do not know: lock there, too, or give --passphrase-file here.\n"
	}
	words += "Two people open it again: safeconduct unlock says where.\n"
	return errors.Join(f.say(out, locked{Locked: true, All: l.Roster, URL: pageOf(l)}, words), all)
}

// pageOf is where two people open a locked network; "" where nobody knows its address.
func pageOf(l service.Lock) string {
	if l.URL == "" {
		return ""
	}
	return l.URL + "/unlock"
}

func unlockCommand() *cobra.Command {
	var f operateFlags
	var link string
	c := &cobra.Command{
		Use:   "unlock",
		Short: "Say where two people open a locked network",
		Long: `Say where two people open a locked network.

Where fewer than two people could agree, one of them agrees on that page and hands on
the link that it shows. With --link and the passphrase, the root key is the second.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.unlock(c.Context(), c.OutOrStdout(), link) },
	}
	f.add(c)
	c.Flags().StringVar(&link, "link", "", "what the page shows after one person has agreed")
	return c
}

func (f *operateFlags) unlock(ctx context.Context, out io.Writer, link string) error {
	if err := f.Check(); err != nil {
		return err
	}
	l, is, err := service.ReadLock(f.Dir)
	switch {
	case err != nil:
		return err
	case !is:
		return f.say(out, locked{}, "This folder is not locked.\n")
	case link == "" && pageOf(l) == "":
		return f.say(out, locked{Locked: true, All: l.Roster}, "Locked. Two people open it at /unlock, where the network is served.\n")
	case link == "":
		return f.say(out, locked{Locked: true, All: l.Roster, URL: pageOf(l)}, fmt.Sprintf("Locked. Two people open it here, each with a passkey:\n\n%s\n", pageOf(l)))
	}
	signed, err := readUnlockLink(link)
	if err != nil {
		return err
	}
	if err := f.look(ctx, func(s *service.Service) error { return s.UnlockByRoot(ctx, []byte(signed.Act), signed.Response) }); err != nil {
		return err
	}
	return f.say(out, locked{}, "Opened. The process that serves this folder opens its keys within seconds.\n")
}

// unlockLink is what one person has signed, as the page hands it on.
type unlockLink struct {
	Act      string          `json:"act"`
	Response json.RawMessage `json:"response"`
}

var errUnlockLink = errors.New("--link: not what the page shows after one person has agreed")

func readUnlockLink(link string) (l unlockLink, err error) {
	u, err := url.Parse(link)
	if err != nil {
		return l, errUnlockLink
	}
	data, err := base64.RawURLEncoding.DecodeString(u.Fragment)
	if err != nil || json.Unmarshal(data, &l) != nil || l.Act == "" || len(l.Response) == 0 {
		return l, errUnlockLink
	}
	return l, nil
}
