package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/verifier"
)

// agencyCommand asks for what the page /admin asks for, and takes away at once where
// somebody has folder and passphrase.
func agencyCommand() *cobra.Command {
	c := group("agency", "The agencies of the network: ask for changes, or shut one out")
	c.AddCommand(agencyListCommand(), agencyAdmitCommand(), agencyChangeCommand(), agencySuspendCommand(), agencyResumeCommand(),
		agencyPartnerCommand(), agencyQuotaCommand(), agencyWithdrawCommand(), agencyCompromisedCommand())
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
	var r reach
	c := &cobra.Command{
		Use: "list", Short: "List the agencies of the network", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := r.agencies(c.Context())
			if err != nil {
				return err
			}
			var words strings.Builder
			for _, a := range all {
				fmt.Fprintf(&words, "%s  %-9s  %s  %s  since %s  %s, %s\n", a.ID, a.State, a.Country, a.Symbols, a.Since, a.Name, a.Class)
			}
			return r.say(c.OutOrStdout(), map[string]any{"agencies": notNil(all)}, words.String())
		},
	}
	r.both(c)
	return c
}

// agencies are those of a folder, or of the network of a service.
func (r *reach) agencies(ctx context.Context) (all []listedAgency, err error) {
	if r.asks() {
		var answer struct {
			Agencies []listedAgency `json:"agencies"`
		}
		err = r.as(ctx, http.MethodGet, "/api/v1/agencies", nil, &answer)
		return answer.Agencies, err
	}
	err = r.look(ctx, func(s *service.Service) error {
		agencies, err := s.Network.Agencies(ctx)
		for _, a := range agencies {
			state := "active"
			if a.Suspended {
				state = "suspended"
			}
			all = append(all, listedAgency{
				a.ID, a.Name, string(a.Class), a.Country, a.Since().Format(time.DateOnly), verifier.AgencySymbols(s.Network.ID(), a.ID), state,
			})
		}
		return err
	})
	return all, err
}

// agencyOrder is what an agency is, as AgencyOrder of the contract.
type agencyOrder struct {
	Name    string       `json:"name"`
	Class   string       `json:"class"`
	Country string       `json:"country"`
	Desk    string       `json:"desk"`
	Signs   *agencySigns `json:"signs,omitempty"`
	// Confirms are the states, beside its own, in whose name it answers.
	Confirms []string `json:"confirms,omitempty"`
}

type agencySigns struct {
	Kinds []string `json:"kinds"`
	Level string   `json:"level,omitempty"`
}

// flags adds a flag for each part of it.
func (o *agencyOrder) flags(c *cobra.Command, signs *agencySigns) {
	c.Flags().StringVar(&o.Name, "name", "", "as officers read it")
	c.Flags().StringVar(&o.Class, "class", "", "what kind of organisation it is: docs/vocabulary.md, as NGO or ImmigrationService")
	c.Flags().StringVar(&o.Country, "country", "", "three letters, as in the last lines of a passport")
	c.Flags().StringVar(&o.Desk, "desk", "", "the telephone number that officers call")
	c.Flags().StringSliceVar(&signs.Kinds, "kinds", nil, "the kinds of attestations that it may sign, with commas (default: as agencies of its class)")
	c.Flags().StringVar(&signs.Level, "level", "", "the highest decision level that it may sign")
	c.Flags().StringSliceVar(&o.Confirms, "confirms", nil, "the states beside its own in whose name it answers who is theirs, with commas; it then has to sign replies")
}

func agencyAdmitCommand() *cobra.Command {
	var r reach
	var o agencyOrder
	var signs agencySigns
	c := &cobra.Command{
		Use: "admit", Short: "Ask that an organisation is taken in", Args: cobra.NoArgs,
		Long: `Ask that an organisation is taken in. An operator and somebody who answers for an
agency agree; in a network of no other agency two operators do.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("kinds") || c.Flags().Changed("level") {
				o.Signs = &agencySigns{notNil(signs.Kinds), signs.Level}
			}
			return r.ask(c, http.MethodPost, "/api/v1/agencies", o, nil)
		},
	}
	r.service(c)
	o.flags(c, &signs)
	for _, name := range []string{"name", "class", "country", "desk"} {
		_ = c.MarkFlagRequired(name)
	}
	return c
}

func agencyChangeCommand() *cobra.Command {
	var r reach
	var o agencyOrder
	var signs agencySigns
	c := &cobra.Command{
		Use: "change AGENCY", Short: "Ask that an agency is called, reached or may sign otherwise; what no flag names stays", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			now, err := r.agencyNow(c.Context(), args[0])
			if err != nil {
				return err
			}
			for name, part := range map[string]struct{ to, from *string }{
				"name": {&now.Name, &o.Name}, "class": {&now.Class, &o.Class}, "country": {&now.Country, &o.Country}, "desk": {&now.Desk, &o.Desk}, "level": {&now.Signs.Level, &signs.Level},
			} {
				if c.Flags().Changed(name) {
					*part.to = *part.from
				}
			}
			if c.Flags().Changed("kinds") {
				now.Signs.Kinds = notNil(signs.Kinds)
			}
			if c.Flags().Changed("confirms") {
				now.Confirms = o.Confirms
			}
			return r.ask(c, http.MethodPost, "/api/v1/agencies/"+pathOf(args[0])+"/description", now, map[string]any{"agency": args[0]})
		},
	}
	r.service(c)
	o.flags(c, &signs)
	c.MarkFlagsOneRequired("name", "class", "country", "desk", "kinds", "level", "confirms")
	return c
}

// agencyNow is an agency as it is, in the form in which it is said anew.
func (r *reach) agencyNow(ctx context.Context, id string) (agencyOrder, error) {
	var answer struct {
		Agencies []struct {
			agencyOrder
			ID string `json:"id"`
		} `json:"agencies"`
	}
	if err := r.as(ctx, http.MethodGet, "/api/v1/agencies", nil, &answer); err != nil {
		return agencyOrder{}, err
	}
	for _, a := range answer.Agencies {
		if a.ID == id {
			if a.Signs == nil {
				a.Signs = &agencySigns{Kinds: []string{}}
			}
			return a.agencyOrder, nil
		}
	}
	return agencyOrder{}, errNoAgency
}

func agencySuspendCommand() *cobra.Command {
	var r reach
	c := &cobra.Command{
		Use: "suspend AGENCY", Short: "Shut an agency out: at once in the folder, or ask the service", Args: cobra.ExactArgs(1),
		Long: `Shut an agency out: its people and devices are let in no more, from the next
call on. Devices know from the next publication on, and then cannot tell who
issued what the agency has signed. Nothing is withdrawn.

Whoever has folder and passphrase (--dir) does it alone, also while the folder is
served. At the service (--url) it is a request, to which two people agree. To let
the agency in again always takes two: agency resume.`,
		RunE: func(c *cobra.Command, args []string) error {
			if r.asks() {
				return r.changeAgency(c, args[0], "suspend")
			}
			return r.work(c.Context(), func(s *service.Service, alone bool) error {
				if err := s.Suspend(c.Context(), args[0], alone); err != nil {
					return unknown(err, errNoAgency)
				}
				words := "None of its people and devices is let in any more.\n"
				if !alone {
					words += "Whoever checks knows it from the next publication on.\n"
				}
				return r.say(c.OutOrStdout(), map[string]any{"agency": args[0], "suspended": true, "published": alone}, words)
			})
		},
	}
	r.both(c)
	return c
}

func agencyResumeCommand() *cobra.Command {
	var r reach
	c := &cobra.Command{
		Use: "resume AGENCY", Short: "Ask that a suspended agency is let in again", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return r.changeAgency(c, args[0], "resume") },
	}
	r.service(c)
	return c
}

// changeAgency asks to suspend an agency, or to let it in again.
func (r *reach) changeAgency(c *cobra.Command, id, action string) error {
	return unknown(r.ask(c, http.MethodPost, "/api/v1/agencies/"+pathOf(id)+"/status", map[string]string{"action": action}, map[string]any{"agency": id}), errNoAgency)
}

func agencyPartnerCommand() *cobra.Command {
	var r reach
	var partner string
	var end bool
	c := &cobra.Command{
		Use: "partner AGENCY", Short: "Ask that another agency's people are the second person of one that has one person alone", Args: cobra.ExactArgs(1),
		Long: `Ask that another agency's people are the second person of one that has one person
alone. Somebody who answers for each of the two agrees; to end it one person is enough.`,
		RunE: func(c *cobra.Command, args []string) error {
			order := map[string]string{}
			if !end {
				order["partner"] = partner
			}
			return unknown(r.ask(c, http.MethodPost, "/api/v1/agencies/"+pathOf(args[0])+"/partner", order, map[string]any{"agency": args[0]}), errNoAgency)
		},
	}
	r.service(c)
	c.Flags().StringVar(&partner, "partner", "", "the other agency's id (or --end)")
	c.Flags().BoolVar(&end, "end", false, "end the partnership")
	c.MarkFlagsOneRequired("partner", "end")
	c.MarkFlagsMutuallyExclusive("partner", "end")
	return c
}

func agencyQuotaCommand() *cobra.Command {
	var r reach
	var event, until string
	var cards int
	c := &cobra.Command{
		Use: "quota AGENCY", Short: "Ask that an agency may make more cards, for one event", Args: cobra.ExactArgs(1),
		Long: `Ask that an agency may make more cards, for one event, for 90 days at most. Two people
agree who answer for two other agencies.`,
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := time.Parse(time.DateOnly, until); err != nil {
				return errors.New("--until: a day, as 2026-11-22")
			}
			return unknown(r.ask(c, http.MethodPost, "/api/v1/agencies/"+pathOf(args[0])+"/quota",
				map[string]any{"event": event, "cards": cards, "until": until}, map[string]any{"agency": args[0]}), errNoAgency)
		},
	}
	r.service(c)
	c.Flags().StringVar(&event, "event", "", "a name for people, as \"buses of 3 March\" (required)")
	c.Flags().IntVar(&cards, "cards", 0, "how many beyond the usual (required)")
	c.Flags().StringVar(&until, "until", "", "the last day (required)")
	for _, name := range []string{"event", "cards", "until"} {
		_ = c.MarkFlagRequired(name)
	}
	return c
}

// agencyWithdrawCommand takes back what an agency signed, as a whole.
func agencyWithdrawCommand() *cobra.Command {
	var f operateFlags
	var since, yes string
	var emergency bool
	c := &cobra.Command{
		Use: "withdraw AGENCY", Short: "Withdraw everything that an agency signed since a day", Args: cobra.ExactArgs(1),
		Long: `Withdraw everything in use that an agency signed on the day of --since or later:
attestations and cards. It cannot be taken back; what holds all the same is signed
anew. Suspend the agency first, so that it signs no more meanwhile.

It asks for the agency's name or id; --yes NAME answers that.

It may be stopped anywhere and run again; it goes on where it was. With --emergency
all of it is published at once, also where an earlier run has withdrawn it. While the
folder is served nothing is published here: stop the service, or have an operator do
it by POST /api/v1/publications.`,
		RunE: func(c *cobra.Command, args []string) error {
			day, err := time.Parse(time.DateOnly, since)
			if err != nil {
				return errors.New("--since: a day, as 2026-11-22")
			}
			return f.work(c.Context(), func(s *service.Service, alone bool) error {
				a, err := s.Network.Agency(c.Context(), args[0])
				if err != nil {
					return unknown(err, errNoAgency)
				}
				if err := meant(c, a, since, yes); err != nil {
					return err
				}
				done, err := s.Withdraw(c.Context(), a.ID, day, alone, emergency)
				if err != nil {
					return fmt.Errorf("not finished, after %d attestations and %d cards; run it again: %w", done.Attestations, done.Cards, err)
				}
				words := fmt.Sprintf("Withdrawn: %d attestations and %d cards, of %d cases.\n", done.Attestations, done.Cards, done.Cases)
				switch {
				case alone && emergency:
					words += "The lists say all of it now, also of what was withdrawn before.\n"
				case emergency:
					words += "Not published yet: the folder is served. POST /api/v1/publications as an emergency says all at once, or this command once more when the service has stopped.\n"
				case !alone:
					words += "Whoever checks knows it from the next publications on; POST /api/v1/publications as an emergency says all at once.\n"
				}
				return f.say(c.OutOrStdout(), map[string]any{"agency": a.ID, "since": since, "withdrawn": done, "published": alone, "emergency": alone && emergency}, words)
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&since, "since", "", "the first day on which what it signed is not relied on (required)")
	c.Flags().StringVar(&yes, "yes", "", "the agency's name or id")
	c.Flags().BoolVar(&emergency, "emergency", false, "publish all of it at once, which shows how much it is")
	_ = c.MarkFlagRequired("since")
	return c
}

// meant asks whether this agency is meant, by its name or id: what follows cannot be
// taken back.
func meant(c *cobra.Command, a network.Agency, since, yes string) error {
	if yes == "" {
		if _, err := fmt.Fprintf(c.ErrOrStderr(), "All that %s signed on %s or later is withdrawn. It cannot be taken back.\nType the agency's name or id to withdraw it: ", a.Name, since); err != nil {
			return err
		}
		line, err := bufio.NewReader(io.LimitReader(c.InOrStdin(), 1<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		yes = strings.TrimSpace(line)
	}
	if yes != a.Name && yes != a.ID {
		return errors.New("that is neither the agency's name nor its id; nothing was changed")
	}
	return nil
}

// agencyCompromisedCommand is key compromised for all keys of an agency.
func agencyCompromisedCommand() *cobra.Command {
	var r reach
	var since string
	var wait time.Duration
	c := &cobra.Command{
		Use: "compromised AGENCY", Short: "Take all keys of an agency off, but for what was logged before a day", Args: cobra.ExactArgs(1),
		Long: `Take every key off with which an agency signed on the day of --since or later. What
these signed stays valid only if it was logged before that day, whatever date it
carries. The agency signs with a new key from then on; agency suspend shuts it out.

Whoever has folder and passphrase (--dir) does it alone; it may be stopped anywhere
and run again, and goes on where it was. At the service (--url) it is a request, to
which two people agree.`,
		RunE: func(c *cobra.Command, args []string) error {
			day, err := time.Parse(time.DateOnly, since)
			if err != nil {
				return errors.New("--since: a day, as 2026-11-22")
			}
			if r.asks() {
				return unknown(r.ask(c, http.MethodPost, "/api/v1/agencies/"+pathOf(args[0])+"/compromise", map[string]string{"since": since}, map[string]any{"agency": args[0]}), errNoAgency)
			}
			return r.work(c.Context(), func(s *service.Service, alone bool) error {
				keys, err := s.AgencyCompromised(c.Context(), day, service.Rotation{Agency: args[0], Alone: alone, Wait: wait})
				if errors.Is(err, network.ErrNotFound) {
					return unknown(err, errNoAgency)
				}
				if err != nil {
					return fmt.Errorf("not finished; run it again: %w", err)
				}
				words := fmt.Sprintf("Keys taken off: %d. Of what they signed, only what was logged before %s is valid.\n", keys, since)
				return r.say(c.OutOrStdout(), map[string]any{"agency": args[0], "since": since, "keys": keys, "published": alone}, words)
			})
		},
	}
	r.both(c)
	c.Flags().StringVar(&since, "since", "", "the first day on which somebody else may have had them (required)")
	c.Flags().DurationVar(&wait, "wait", time.Minute, "as for key rotate")
	_ = c.MarkFlagRequired("since")
	return c
}
