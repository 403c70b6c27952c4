package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/hex"
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

	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people/roster"
)

func keyCommand() *cobra.Command {
	c := group("key", "Keys that sign: ask that one is replaced, or take one off; and policies for a HashiCorp Vault")
	c.AddCommand(policiesCommand(), keyListCommand(), keyRotateCommand(), keyCompromisedCommand(), keyTrustCommand())
	return c
}

func policiesCommand() *cobra.Command {
	var mount, prefix, out string
	var asJSON bool
	policies := &cobra.Command{
		Use:   "policies",
		Short: "Print the least that each duty needs, as Vault policies",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := hcvault.Policies(mount, prefix)
			if err != nil {
				return err
			}
			if out != "" {
				return writePolicies(out, all)
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"policies": all})
			}
			for _, p := range all {
				if _, err := fmt.Fprintf(c.OutOrStdout(), "# policy %s\n\n%s\n", p.Name, p.Text); err != nil {
					return err
				}
			}
			return nil
		},
	}
	policies.Flags().StringVar(&mount, "vault-mount", "transit", "where the network's transit engine is mounted")
	policies.Flags().StringVar(&prefix, "vault-prefix", "safeconduct", "how the names of its keys begin")
	policies.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	policies.Flags().StringVar(&out, "out", "", "write each into a file of its own in this folder, as NAME.hcl")
	return policies
}

// writePolicies writes a file for each policy, as `vault policy write` takes
// them. Files of the same name are replaced: nothing in them is anybody's work.
func writePolicies(dir string, all []hcvault.Policy) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, p := range all {
		if err := os.WriteFile(filepath.Join(dir, p.Name+".hcl"), []byte(p.Text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// listedKey is one line of key list.
type listedKey struct {
	Use    string `json:"use"`
	Agency string `json:"agency,omitempty"`
	Name   string `json:"name,omitempty"`
	KeyID  string `json:"kid"`
	State  string `json:"state"` // signs, old, revoked or compromised
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
}

func keyListCommand() *cobra.Command {
	var r reach
	var agency string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the keys of the network and of the agencies, and which of them signs",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if r.asks() {
				return r.askKeys(c, agency)
			}
			return r.look(c.Context(), func(s *service.Service) error { return r.listKeys(c.Context(), s, agency, c.OutOrStdout()) })
		},
	}
	r.both(c)
	c.Flags().StringVar(&agency, "agency", "", "the id of one agency")
	return c
}

// askKeys lists the keys for trust lists, lists, packs and the log, and those of an agency.
func (r *reach) askKeys(c *cobra.Command, agency string) error {
	query := ""
	if agency != "" {
		query = "?agency=" + url.QueryEscape(agency)
	}
	var answer struct {
		Keys []struct {
			Use    string     `json:"use"`
			Agency string     `json:"agency,omitempty"`
			KeyID  string     `json:"kid"`
			Signs  bool       `json:"signs"`
			Until  *time.Time `json:"until,omitempty"`
		} `json:"keys"`
	}
	if err := r.as(c.Context(), http.MethodGet, "/api/v1/signing-keys"+query, nil, &answer); err != nil {
		return unknown(err, errNoAgency)
	}
	var words strings.Builder
	for _, k := range answer.Keys {
		state := "old"
		switch {
		case k.Signs:
			state = "signs"
		case k.Until != nil:
			state = "until " + k.Until.Format(time.DateOnly)
		}
		fmt.Fprintf(&words, "%-32s  %s  %s\n", cmp.Or(k.Agency, k.Use), k.KeyID, state)
	}
	return r.say(c.OutOrStdout(), map[string]any{"keys": notNil(answer.Keys)}, words.String())
}

func (f *operateFlags) listKeys(ctx context.Context, s *service.Service, agency string, out io.Writer) error {
	agencies, err := s.Network.Agencies(ctx)
	if err != nil {
		return err
	}
	all := []listedKey{}
	if agency == "" {
		if all, err = networkKeys(ctx, s); err != nil {
			return err
		}
	}
	for _, a := range agencies {
		if agency != "" && a.ID != agency {
			continue
		}
		signing, _, err := s.Keys.Signer(ctx, a.ID)
		if err != nil {
			return err
		}
		for _, k := range a.Keys {
			state := "old"
			switch {
			case k.Compromised != nil:
				state = "compromised"
			case k.Revoked:
				state = "revoked"
			case k.KeyID == signing:
				state = "signs"
			}
			all = append(all, listedKey{roster.UseAgency, a.ID, a.Name, k.KeyID, state, k.From.Format(time.DateOnly), k.To.Format(time.DateOnly)})
		}
	}
	if agency != "" && len(all) == 0 {
		return network.ErrNotFound
	}
	if f.json {
		return json.NewEncoder(out).Encode(map[string]any{"keys": all})
	}
	for _, k := range all {
		line := fmt.Sprintf("%-32s  %s  %-11s", cmp.Or(k.Agency, k.Use), k.KeyID, k.State)
		if k.From != "" {
			line += fmt.Sprintf("  %s to %s  %s", k.From, k.To, k.Name)
		} else if k.To != "" {
			line += "  until " + k.To
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

// networkKeys are those for trust lists, lists, packs and the log.
func networkKeys(ctx context.Context, s *service.Service) ([]listedKey, error) {
	keys, err := s.Network.SigningKeys(ctx, "")
	if err != nil {
		return nil, err
	}
	all := make([]listedKey, 0, len(keys))
	for _, k := range keys {
		one := listedKey{Use: k.Use, KeyID: k.KeyID, State: "old"}
		if k.Signs {
			one.State = "signs"
		}
		if !k.Until.IsZero() {
			one.To = k.Until.Format(time.DateOnly)
		}
		all = append(all, one)
	}
	return all, nil
}

// isID tells an id, as the contract writes them, from a name.
func isID(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 32 && s == strings.ToLower(s)
}

// errNotAgreed says who changes keys.
var errNotAgreed = errors.New("two people agree that a key is replaced: ask with --url and --token-file, or on the page /admin; the running service does it then by itself")

func keyRotateCommand() *cobra.Command {
	var r reach
	var agency, use string
	var wrapping bool
	var wait time.Duration
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Ask that a key which signs is replaced",
		Long: `Ask that a key is replaced which signs as an agency (--agency), trust lists (--use
trust), lists (--use status), packs (--use pack) or the log (--use log). Two people
agree. The service then makes the new key, and names and uses it with the next
publication. What an agency's old key signed stays valid; an old one for lists, packs or
the log stands on the trust list for 40 days more, and that of the log signs beside the
new one as long. The old one for trust lists is over at once on each device that has the
root's new statement, and so are the trust lists that it signed; it is not replaced while
the root cannot sign. A device knows the new key from the next
pack that it fetches: do it when nothing is about to be printed.

With --dir, and only after two people agreed for this agency within 30 days, it makes
another new key and ends the old ones in a HashiCorp Vault; with --wrapping also the
key-encryption key. It may be stopped anywhere and run again; it goes on where it was.
While the folder is served it works only where the keys are in a HashiCorp Vault.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case r.asks() && wrapping:
				return errors.New("--wrapping goes with --dir")
			case agency != "" && !isID(agency):
				return fmt.Errorf("--agency takes an id, of 32 letters and figures: %w", errNoAgency)
			case r.asks():
				order := map[string]string{"use": use}
				if agency != "" {
					order["use"], order["agency"] = "agency", agency
				}
				return unknown(r.ask(c, http.MethodPost, "/api/v1/ceremonies", order, nil), errNoAgency)
			case agency == "":
				return errNotAgreed
			}
			return r.work(c.Context(), func(s *service.Service, alone bool) error {
				switch may, err := s.MayRotate(c.Context(), agency); {
				case err != nil:
					return err
				case !may:
					return errNotAgreed
				}
				done, err := s.Rotate(c.Context(), service.Rotation{Agency: agency, Wrapping: wrapping, Alone: alone, Wait: wait})
				if err != nil {
					return fmt.Errorf("not finished; run it again: %w", err)
				}
				return r.say(c.OutOrStdout(), done, rotationWords(done, alone))
			})
		},
	}
	r.both(c)
	c.Flags().StringVar(&agency, "agency", "", "the agency's id (or --use)")
	c.Flags().StringVar(&use, "use", "", "trust, status, pack or log, for a key of the network (or --agency)")
	c.Flags().BoolVar(&wrapping, "wrapping", false, "change the key-encryption key, too, and rewrite the key files of the agency's records (HashiCorp Vault)")
	c.Flags().DurationVar(&wait, "wait", time.Minute, "how long acts that have begun may still use the old key (HashiCorp Vault)")
	c.MarkFlagsOneRequired("agency", "use")
	c.MarkFlagsMutuallyExclusive("agency", "use")
	return c
}

func keyTrustCommand() *cobra.Command {
	var f operateFlags
	c := &cobra.Command{
		Use:   "trust",
		Short: "Have the root name the key that signs trust lists, for another year",
		Long: `Have the root name the key that signs trust lists, for a year from now, and replace
that key first where two people agreed to it. A service whose keystore lets it sign with
the root does so by itself, half way through the year: this is for where the root is
let sign on one day alone (HashiCorp Vault). Devices learn of it with the next pack.
While the folder is served it works only where the keys are in a HashiCorp Vault, or with
a signer of its own.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.work(c.Context(), func(s *service.Service, alone bool) error {
				if !alone && !s.InVault() && !s.Elsewhere() {
					return service.ErrServed // it would go on signing with a key that is replaced here
				}
				if err := s.Network.Renew(c.Context()); err != nil {
					return err
				}
				signed, err := s.Network.NameTrustKey(c.Context())
				if err != nil {
					return err
				}
				kid, until := signed.Named()
				return f.say(c.OutOrStdout(), map[string]any{"kid": kid, "until": until},
					fmt.Sprintf("The root names %s until %s. Packs carry it from the next publication on.\n", kid, until.Format(time.DateOnly)))
			})
		},
	}
	f.add(c)
	return c
}

func rotationWords(done service.Rotated, alone bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The agency signs with %s now; %s stays valid for what it signed.\n", done.KeyID, done.From)
	if done.Resumed {
		b.WriteString("This went on where an earlier run was cut off.\n")
	}
	if done.Renewed > 0 {
		fmt.Fprintf(&b, "%d key files were written anew.\n", done.Renewed)
	}
	if !alone {
		b.WriteString("Packs name it from the service's next window on.\n")
	}
	return b.String()
}

func keyCompromisedCommand() *cobra.Command {
	var f operateFlags
	var agency, kid, since string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "compromised",
		Short: "Take a stolen key off, but for what was logged before a day",
		Long: `Take a stolen key off: what it signed stays valid only if it was logged before
the day of --since, whatever date it carries. All else becomes issuer_unknown on
every device with the next pack. A key that still signs is rotated first.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			day, err := time.Parse(time.DateOnly, since)
			if err != nil {
				return errors.New("--since: a day, as 2026-11-22")
			}
			return f.work(c.Context(), func(s *service.Service, alone bool) error {
				logged, err := s.Compromised(c.Context(), kid, day, service.Rotation{Agency: agency, Alone: alone, Wait: wait})
				if err != nil {
					return fmt.Errorf("not finished; run it again: %w", err)
				}
				words := fmt.Sprintf("Of that key only what was logged before %s is valid: %d of the agency's.\n", since, logged)
				if !alone {
					words += "Packs say so from the service's next window on; POST /api/v1/publications does it now.\n"
				}
				return f.say(c.OutOrStdout(), map[string]any{"agency": agency, "kid": kid, "since": since, "logged": logged, "published": alone}, words)
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&agency, "agency", "", "the agency's id (required)")
	c.Flags().StringVar(&kid, "kid", "", "the key's id, as key list names it (required)")
	c.Flags().StringVar(&since, "since", "", "the first day on which somebody else may have had it (required)")
	c.Flags().DurationVar(&wait, "wait", time.Minute, "as for rotate")
	for _, name := range []string{"agency", "kid", "since"} {
		_ = c.MarkFlagRequired(name)
	}
	return c
}

func epochCommand() *cobra.Command {
	c := group("epoch", "The epochs that cards are sealed to")
	c.Long = `The epochs that cards are sealed to. Time makes them and ends them, so that there is
nothing that people could agree to, and no request. To burn them only takes away:
folder and passphrase are enough.`
	c.AddCommand(epochListCommand(), epochRotateCommand(), epochBurnCommand())
	return c
}

// listedEpoch is one line of epoch list.
type listedEpoch struct {
	ID       uint32             `json:"id"`
	State    network.EpochState `json:"state"`
	SealFrom string             `json:"seal_from"`
	EndsAt   string             `json:"ends_at"`
	BurnedAt string             `json:"burned_at,omitempty"`
}

func (f *operateFlags) listEpochs(ctx context.Context, s *service.Service, out io.Writer) error {
	epochs, err := s.Network.Epochs(ctx, service.Console)
	if err != nil {
		return err
	}
	all := []listedEpoch{}
	var words strings.Builder
	for _, e := range epochs {
		one := listedEpoch{e.ID, e.State(time.Now()), e.SealFrom.Format(time.DateOnly), e.EndsAt.Format(time.DateOnly), ""}
		if !e.BurnedAt.IsZero() {
			one.BurnedAt = e.BurnedAt.Format(time.DateOnly)
		}
		all = append(all, one)
		fmt.Fprintf(&words, "%08x  %-6s  cards from %s on, until %s\n", one.ID, one.State, one.SealFrom, one.EndsAt)
	}
	return f.say(out, map[string]any{"epochs": all}, words.String())
}

func epochListCommand() *cobra.Command {
	var f operateFlags
	c := &cobra.Command{
		Use: "list", Short: "List the epochs and where each stands in its life", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.look(c.Context(), func(s *service.Service) error { return f.listEpochs(c.Context(), s, c.OutOrStdout()) })
		},
	}
	f.add(c)
	return c
}

func epochRotateCommand() *cobra.Command {
	var f operateFlags
	c := &cobra.Command{
		Use: "rotate", Short: "Do what time asks of the epochs, as serve does at each window", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.work(c.Context(), func(s *service.Service, _ bool) error {
				if err := s.Network.Turn(c.Context()); err != nil {
					return err
				}
				return f.listEpochs(c.Context(), s, c.OutOrStdout())
			})
		},
	}
	f.add(c)
	return c
}

// burnPrice is what a burn costs, told before it is done.
const burnPrice = `Burning ends every epoch whose keys a stolen device holds. The price:
  - no card that was printed until now opens without a connection any more; each
    has to be printed again, with a new code;
  - cards that are printed now open only on devices that have fetched a pack since;
  - it cannot be taken back.
`

func epochBurnCommand() *cobra.Command {
	var f operateFlags
	var yes string
	c := &cobra.Command{
		Use:   "burn",
		Short: "End every epoch whose keys were stolen, at the price of all cards printed until now",
		Long: burnPrice + `
It asks for the network's name; --yes NAME answers that.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.work(c.Context(), func(s *service.Service, alone bool) error {
				return f.burn(c.Context(), s, alone, yes, c.InOrStdin(), c.OutOrStdout())
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&yes, "yes", "", "the network's name")
	return c
}

func (f *operateFlags) burn(ctx context.Context, s *service.Service, alone bool, yes string, in io.Reader, out io.Writer) error {
	r, err := s.DB.Network().Network(ctx)
	if err != nil {
		return err
	}
	if yes == "" {
		if _, err := fmt.Fprintf(out, "%s\nType the network's name to burn: ", burnPrice); err != nil {
			return err
		}
		line, err := bufio.NewReader(io.LimitReader(in, 1<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		yes = strings.TrimSpace(line)
	}
	if yes != r.Name {
		return errors.New("that is not the network's name; nothing was changed")
	}
	n, err := s.Network.Burn(ctx, service.Console)
	if err != nil {
		return err
	}
	if alone {
		if _, err := s.Board.Publish(ctx, service.Console, true); err != nil {
			return fmt.Errorf("burned, and not published yet; serve does it when it starts: %w", err)
		}
	}
	words := fmt.Sprintf("%d epochs are burned, and two new ones made. Have every device fetch a pack, then print the cards again.\n", n)
	if !alone {
		words += "The service publishes it with its next window; POST /api/v1/publications does it now.\n"
	}
	return f.say(out, map[string]any{"burned": n, "published": alone}, words)
}
