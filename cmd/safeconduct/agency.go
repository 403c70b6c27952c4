package main

import (
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
	c.AddCommand(agencyListCommand(), agencySuspendCommand())
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
