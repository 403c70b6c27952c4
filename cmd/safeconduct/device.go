package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/verifier"
)

type deviceFlags struct {
	remote
	agency, label, invitationFile, symbols, deviceKey string
	wait                                              bool
	every                                             time.Duration
	json                                              bool
}

func deviceCommand() *cobra.Command {
	var f deviceFlags
	c := group("device", "Invite, enrol, approve and end devices")
	add := func(use, short, long string, args cobra.PositionalArgs, run func(c *cobra.Command, args []string) error) *cobra.Command {
		sub := &cobra.Command{Use: use, Short: short, Long: long, Args: args, RunE: run}
		sub.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
		c.AddCommand(sub)
		return sub
	}
	invite := add("invite", "Invite one device; somebody else has to approve it", `Invite one device of an agency. The link is for whoever holds the device; it is
good for one enrolment, for two days. Whoever invites cannot approve.`,
		cobra.NoArgs, f.invite)
	f.flags(invite, "your")
	invite.Flags().StringVar(&f.agency, "agency", "", "the agency's id (default: your own)")
	invite.Flags().StringVar(&f.label, "label", "", "names the device and its place, never a person, as checkpoint-2 does (required)")
	invite.Flags().StringVar(&f.invitationFile, "out", "", "write the invitation to a file instead, which device enrol takes")
	_ = invite.MarkFlagRequired("label")

	list := add("list", "List devices, and which of them wait for approval", "", cobra.NoArgs, f.list)
	f.flags(list, "your")
	list.Flags().StringVar(&f.agency, "agency", "", "the agency's id (default: your own; for an operator all)")

	enrol := add("enrol OUT", "Make this machine a device, with an invitation", `Make a device key and take an invitation up with it. The key is written to OUT,
and the device's token to OUT.token, both for their owner alone. The six symbols
are for the person who approves: read them out, or show them.

With OUT called pack.json.key, pack fetch and verify find it by themselves.`,
		cobra.ExactArgs(1), f.enrol)
	f.urlFlag(enrol)
	enrol.Flags().StringVar(&f.invitationFile, "invitation-file", "", "a file with the invitation, or the link (required)")
	enrol.Flags().BoolVar(&f.wait, "wait", false, "wait until somebody approves")
	enrol.Flags().DurationVar(&f.every, "every", 2*time.Second, "how often to ask while waiting")
	_ = enrol.MarkFlagRequired("invitation-file")

	approve := add("approve DEVICE", "Ask that a device is let in, by the six symbols that it shows", `Ask that a device is let in that somebody else invited. Read the six symbols off
the device itself, not off a list: they are how you know that the device before
you is the one that waits. After five wrong ones it has to be invited anew.

A token agrees to nothing: two people do, on the page /admin.`,
		cobra.ExactArgs(1), f.approve)
	f.flags(approve, "your")
	approve.Flags().StringVar(&f.symbols, "symbols", "", "the six symbols (default: asked for)")
	approve.Flags().StringVar(&f.deviceKey, "device-key", "", "a device key of this network; its root key is compared on this machine, too")

	c.AddCommand(deviceRevokeCommand())
	return c
}

func (f *deviceFlags) invite(c *cobra.Command, _ []string) error {
	order := map[string]string{"label": f.label}
	if f.agency != "" {
		order["agency"] = f.agency
	}
	if f.invitationFile != "" { // before there is a secret that could get lost
		if err := reserve(f.invitationFile); err != nil {
			return err
		}
	}
	var made struct {
		ID      string    `json:"id"`
		Agency  string    `json:"agency"`
		Label   string    `json:"label"`
		Secret  string    `json:"secret,omitempty"`
		Link    string    `json:"link,omitempty"`
		Expires time.Time `json:"expires"`
	}
	if err := f.as(c.Context(), http.MethodPost, "/api/v1/invitations", order, &made); err != nil {
		return errors.Join(err, release(f.invitationFile))
	}
	where := made.Link
	if f.invitationFile != "" {
		if err := files.Replace(f.invitationFile, []byte(made.Secret+"\n")); err != nil {
			return err
		}
		where, made.Secret, made.Link = "It is in "+f.invitationFile+".", "", ""
	}
	if f.json {
		return json.NewEncoder(c.OutOrStdout()).Encode(made) //nolint:gosec // shown this once, to whoever asked for it
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "Invited: %s. Good for one enrolment, until %s.\n%s\nSomebody else has to approve the device.\n",
		made.Label, made.Expires.Format("2006-01-02 15:04 MST"), where)
	return err
}

// listed is a device as the service lists it.
type listedDevice struct {
	ID        string `json:"id"`
	Agency    string `json:"agency"`
	Label     string `json:"label"`
	State     string `json:"state"`
	PublicKey []byte `json:"public_key"`
	InvitedBy string `json:"invited_by,omitempty"`
}

func (f *deviceFlags) devices(ctx context.Context) ([]listedDevice, error) {
	path := "/api/v1/devices"
	if f.agency != "" {
		path += "?agency=" + url.QueryEscape(f.agency)
	}
	var answer struct {
		Devices []listedDevice `json:"devices"`
	}
	err := f.as(ctx, http.MethodGet, path, nil, &answer)
	return answer.Devices, err
}

func (f *deviceFlags) list(c *cobra.Command, _ []string) error {
	all, err := f.devices(c.Context())
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"devices": all})
	}
	var b strings.Builder
	for _, d := range all {
		fmt.Fprintf(&b, "%s  %-8s  %s\n", d.ID, d.State, d.Label)
	}
	if len(all) == 0 {
		b.WriteString("There is no device.\n")
	}
	_, err = io.WriteString(c.OutOrStdout(), b.String())
	return err
}

// enrolment is what a device is told when it takes an invitation up.
type enrolment struct {
	Device  string          `json:"device"`
	Agency  string          `json:"agency_name"`
	Label   string          `json:"label"`
	Token   string          `json:"token"`
	Network string          `json:"network"`
	Root    json.RawMessage `json:"root"`
	State   string          `json:"state"`
}

func (f *deviceFlags) enrol(c *cobra.Command, args []string) error {
	key, token := args[0], args[0]+".token"
	invitation, err := readInvitation(f.invitationFile)
	if err != nil {
		return err
	}
	// Both files are there before the invitation is used up: what it gives is
	// given once.
	if err := reserve(key); err != nil {
		return err
	}
	if err := reserve(token); err != nil {
		return errors.Join(err, release(key))
	}
	e, symbols, err := f.takeUp(c.Context(), invitation, key, token)
	if err != nil {
		return errors.Join(err, release(key), release(token))
	}
	// Where the answer is one object at the end, the symbols are needed before.
	tell := c.OutOrStdout()
	if f.json {
		tell = c.ErrOrStderr()
	}
	if _, err := fmt.Fprintf(tell, "%s, at %s\n\n    %s\n\nThese six symbols are for the person who approves this device.\n",
		e.Label, e.Agency, symbols[:3]+" "+symbols[3:]); err != nil {
		return err
	}
	if f.wait {
		if e.State, err = f.await(c.Context(), e.Token); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(tell, "The device is in."); err != nil {
			return err
		}
	}
	if !f.json {
		return nil
	}
	return json.NewEncoder(c.OutOrStdout()).Encode(map[string]string{
		"device": e.Device, "label": e.Label, "network": e.Network, "state": e.State, "symbols": symbols,
		"device_key": key, "token_file": token,
	})
}

// takeUp makes the device key, takes the invitation up, and writes both files.
func (f *deviceFlags) takeUp(ctx context.Context, invitation, key, token string) (e enrolment, symbols string, err error) {
	device, public, err := verifier.NewDevice("", "", nil)
	if err != nil {
		return e, "", err
	}
	if err := f.call(ctx, http.MethodPost, "/api/v1/enrolments", "",
		map[string]any{"invitation": invitation, "public_key": public}, &e); err != nil {
		return e, "", err
	}
	device.Network, device.ID, device.Root = e.Network, e.Device, e.Root
	data, err := verifier.MarshalDevice(device)
	if err != nil {
		return e, "", err
	}
	if symbols, err = verifier.Symbols(e.Network, e.Root, public); err != nil {
		return e, "", err
	}
	return e, symbols, errors.Join(files.Replace(key, data), files.Replace(token, []byte(e.Token+"\n")))
}

// await asks until the device is in. Out for good is an answer, too.
func (f *deviceFlags) await(ctx context.Context, token string) (state string, err error) {
	tick := time.NewTicker(max(f.every, 100*time.Millisecond))
	defer tick.Stop()
	for {
		var self struct {
			State string `json:"state"`
		}
		err := f.call(ctx, http.MethodGet, "/api/v1/devices/self", token, nil, &self)
		var refused *refusal
		switch {
		case err == nil && self.State != "pending":
			return self.State, nil
		case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
			return "", errors.New("the device was not approved, and is out; ask for a new invitation")
		case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError && refused.Status != http.StatusTooManyRequests:
			return "", err
		}
		// Whatever else it is passes: a service that restarts, a line that is down.
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-tick.C:
		}
	}
}

func (f *deviceFlags) approve(c *cobra.Command, args []string) error {
	symbols := f.symbols
	if symbols == "" {
		if _, err := fmt.Fprint(c.ErrOrStderr(), "The six symbols that the device shows: "); err != nil {
			return err
		}
		line, err := bufio.NewReader(io.LimitReader(c.InOrStdin(), 1<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the symbols: %w", err)
		}
		symbols = strings.TrimSpace(line)
	}
	if f.deviceKey != "" {
		if err := f.compareHere(c.Context(), args[0], symbols); err != nil {
			return err
		}
	}
	r := reach{remote: f.remote, operateFlags: operateFlags{json: f.json}}
	return unknown(r.ask(c, http.MethodPost, devicePath(args[0])+"/approval", map[string]string{"symbols": symbols}, map[string]any{"device": args[0]}), errNoDevice)
}

var errSymbols = errors.New("the symbols are not those of the device that waits; nothing was sent")

// compareHere derives the symbols on this machine, from the root key that an
// enrolled device pins and the public key that the service would seal to.
func (f *deviceFlags) compareHere(ctx context.Context, id, symbols string) error {
	data, err := files.Read(f.deviceKey, verifier.MaxDevice)
	if err != nil {
		return err
	}
	pinned, err := verifier.ParseDevice(data)
	if err != nil {
		return err
	}
	all, err := f.devices(ctx)
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.ID != id {
			continue
		}
		want, err := verifier.Symbols(pinned.Network, pinned.Root, d.PublicKey)
		if err != nil {
			return err
		}
		if !strings.EqualFold(want, strings.NewReplacer(" ", "", "-", "").Replace(symbols)) {
			return errSymbols
		}
		return nil
	}
	return errNoDevice
}

func deviceRevokeCommand() *cobra.Command {
	var r reach
	c := &cobra.Command{
		Use: "revoke DEVICE", Short: "End a device; what it holds stays in it until its lease is over", Args: cobra.ExactArgs(1),
		Long: `End a device. One that waits for approval is out at once. For one that was let in,
whoever has folder and passphrase (--dir) does it alone; at the service (--url) it is
a request, to which one person agrees.`,
		RunE: func(c *cobra.Command, args []string) error {
			if !r.asks() {
				return r.look(c.Context(), func(s *service.Service) error {
					if err := s.EndDevice(c.Context(), args[0]); err != nil {
						return unknown(err, errNoDevice)
					}
					return r.say(c.OutOrStdout(), map[string]any{"device": args[0], "state": "revoked"}, "The device is out.\n")
				})
			}
			var a asked
			if err := r.as(c.Context(), http.MethodDelete, devicePath(args[0]), nil, &a); err != nil {
				return unknown(err, errNoDevice)
			}
			if a.Request.ID == "" {
				return r.say(c.OutOrStdout(), map[string]any{"device": args[0], "state": "revoked"}, "The device is out; it was never in.\n")
			}
			return r.tell(c, a, map[string]any{"device": args[0]})
		},
	}
	r.both(c)
	return c
}

func devicePath(id string) string { return "/api/v1/devices/" + url.PathEscape(id) }

// readInvitation takes the secret, or the link that holds it.
func readInvitation(path string) (string, error) {
	data, err := files.Read(path, 4<<10)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(data))
	if _, secret, ok := strings.Cut(text, "#invite="); ok {
		text = secret
	}
	return text, nil
}

// reserve makes an empty file that only its owner can read, and leaves one that
// is there alone: it might be a key.
func reserve(path string) error {
	f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already; nothing was changed", path)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// release removes what reserve made, for nothing came of it.
func release(path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 0 {
		return err // what was written stays
	}
	return os.Remove(path)
}
