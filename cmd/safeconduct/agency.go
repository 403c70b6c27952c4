package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/verifier"
)

// agencyCommand is for the day on which an agency is not what it was. Two people admit
// agencies and let them in again, on the page /admin.
func agencyCommand() *cobra.Command {
	c := group("agency", "The agencies of the network, and who of them is shut out")
	c.AddCommand(agencyListCommand(), agencySuspendCommand(), agencyWithdrawCommand(), agencyCompromisedCommand())
	return c
}

// listedAgency is one line of agency list.
type listedAgency struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Class   string `json:"class"`
	Country string `json:"country"`
	Since   string `json:"since"`
	Symbols string `json:"symbols"`
	State   string `json:"state"` // active or suspended
}

func agencyListCommand() *cobra.Command {
	var f operateFlags
	c := &cobra.Command{
		Use: "list", Short: "List the agencies of the network", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.look(c.Context(), func(s *service.Service) error {
				agencies, err := s.Network.Agencies(c.Context())
				if err != nil {
					return err
				}
				all := []listedAgency{}
				var words strings.Builder
				for _, a := range agencies {
					state := "active"
					if a.Suspended {
						state = "suspended"
					}
					since, symbols := a.Since().Format(time.DateOnly), verifier.AgencySymbols(s.Network.ID(), a.ID)
					all = append(all, listedAgency{a.ID, a.Name, string(a.Class), a.Country, since, symbols, state})
					fmt.Fprintf(&words, "%s  %-9s  %s  %s  since %s  %s, %s\n", a.ID, state, a.Country, symbols, since, a.Name, a.Class)
				}
				return f.say(c.OutOrStdout(), map[string]any{"agencies": all}, words.String())
			})
		},
	}
	f.add(c)
	return c
}

func agencySuspendCommand() *cobra.Command {
	var f operateFlags
	c := &cobra.Command{
		Use: "suspend AGENCY", Short: "Shut an agency out, at once, also while the folder is served", Args: cobra.ExactArgs(1),
		Long: `Shut an agency out: its people and devices are let in no more, from the next
call on. Devices know from the next publication on, and then cannot tell who
issued what the agency has signed. Nothing is withdrawn.

Whoever has folder and passphrase can take away, and nothing else: to let the
agency in again takes two people, on the page /admin.`,
		RunE: func(c *cobra.Command, args []string) error {
			return f.work(c.Context(), func(s *service.Service, alone bool) error {
				if err := s.Suspend(c.Context(), args[0], alone); err != nil {
					return err
				}
				words := "None of its people and devices is let in any more.\n"
				if !alone {
					words += "Whoever checks knows it from the next publication on.\n"
				}
				return f.say(c.OutOrStdout(), map[string]any{"agency": args[0], "suspended": true, "published": alone}, words)
			})
		},
	}
	f.add(c)
	return c
}

// agencyWithdrawCommand takes back what an agency signed, as a whole.
func agencyWithdrawCommand() *cobra.Command {
	var f operateFlags
	var since string
	var emergency bool
	c := &cobra.Command{
		Use: "withdraw AGENCY", Short: "Withdraw everything that an agency signed since a day", Args: cobra.ExactArgs(1),
		Long: `Withdraw everything in use that an agency signed on the day of --since or later:
attestations and cards. It cannot be taken back; what holds all the same is signed
anew. Suspend the agency first, so that it signs no more meanwhile.

It may be stopped anywhere and run again; it goes on where it was.`,
		RunE: func(c *cobra.Command, args []string) error {
			day, err := time.Parse(time.DateOnly, since)
			if err != nil {
				return errors.New("--since: a day, as 2026-11-22")
			}
			return f.work(c.Context(), func(s *service.Service, alone bool) error {
				done, err := s.Withdraw(c.Context(), args[0], day, alone, emergency)
				if err != nil {
					return fmt.Errorf("not finished, after %d attestations and %d cards; run it again: %w", done.Attestations, done.Cards, err)
				}
				words := fmt.Sprintf("Withdrawn: %d attestations and %d cards, of %d cases.\n", done.Attestations, done.Cards, done.Cases)
				if !alone {
					words += "Whoever checks knows it from the next publications on; POST /api/v1/publications as an emergency says all at once.\n"
				}
				return f.say(c.OutOrStdout(), map[string]any{"agency": args[0], "since": since, "withdrawn": done, "published": alone}, words)
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&since, "since", "", "the first day on which what it signed is not relied on (required)")
	c.Flags().BoolVar(&emergency, "emergency", false, "publish all of it at once, which shows how much it is")
	_ = c.MarkFlagRequired("since")
	return c
}

// agencyCompromisedCommand is key compromised for all keys of an agency.
func agencyCompromisedCommand() *cobra.Command {
	var f operateFlags
	var since string
	var wait time.Duration
	c := &cobra.Command{
		Use: "compromised AGENCY", Short: "Take all keys of an agency off, but for what was logged before a day", Args: cobra.ExactArgs(1),
		Long: `Take every key off with which an agency signed on the day of --since or later. What
these signed stays valid only if it was logged before that day, whatever date it
carries. The agency signs with a new key from then on; agency suspend shuts it out.

It may be stopped anywhere and run again; it goes on where it was.`,
		RunE: func(c *cobra.Command, args []string) error {
			day, err := time.Parse(time.DateOnly, since)
			if err != nil {
				return errors.New("--since: a day, as 2026-11-22")
			}
			return f.work(c.Context(), func(s *service.Service, alone bool) error {
				keys, err := s.AgencyCompromised(c.Context(), day, service.Rotation{Agency: args[0], Alone: alone, Wait: wait})
				if err != nil {
					return fmt.Errorf("not finished; run it again: %w", err)
				}
				words := fmt.Sprintf("Keys taken off: %d. Of what they signed, only what was logged before %s is valid.\n", keys, since)
				return f.say(c.OutOrStdout(), map[string]any{"agency": args[0], "since": since, "keys": keys, "published": alone}, words)
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&since, "since", "", "the first day on which somebody else may have had them (required)")
	c.Flags().DurationVar(&wait, "wait", time.Minute, "as for key rotate")
	_ = c.MarkFlagRequired("since")
	return c
}
