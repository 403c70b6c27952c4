package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

func foundingCommand() *cobra.Command {
	c := group("founding", "The founding of the network, when nobody is left to agree")
	c.AddCommand(foundingReopenCommand())
	return c
}

func foundingReopenCommand() *cobra.Command {
	var f operateFlags
	c := &cobra.Command{
		Use: "reopen", Short: "Open the founding again, with one person, when fewer than two can agree", Args: cobra.NoArgs,
		Long: `Open the founding again for 24 hours: one person is then enough to take others in,
as when the network began. It is for the day on which fewer than two people can
agree to anything, because the others have gone or lost their passkeys, or on which no
operator is left and those who lead are all of one agency; and it works on no other.

Run it once, and it asks. The one person who is left agrees on the page /admin. Run
it again, and it signs with the root key. Every device then shows for 30 days that
this was done, and the log says so for ever.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.work(c.Context(), func(s *service.Service, alone bool) error {
				q, done, err := s.Reopen(c.Context(), alone)
				said := map[string]any{"request": q.Act.ID, "open": done, "published": done && alone}
				switch {
				case errors.Is(err, roster.ErrState), errors.Is(err, people.ErrConflict):
					return errors.New("two people can agree: what needs them is asked for on the page /admin, and nothing was changed")
				case errors.Is(err, roster.ErrNotAgreed):
					return errors.New("nobody has agreed yet: the one person who is left does so on the page /admin, under what waits for her; then run this again")
				case err != nil:
					return err
				case !done:
					said["expires"] = time.Unix(q.Act.Expires, 0).UTC()
					return f.say(c.OutOrStdout(), said, "Asked: "+q.Act.ID+". The one person who is left agrees on the page /admin; then run this again.\n")
				}
				words := "Founding is open for 24 hours: one person is enough.\n"
				if !alone {
					words += "Devices show it for 30 days, from the service's next publication on.\n"
				} else {
					words += "Devices show it for 30 days.\n"
				}
				return f.say(c.OutOrStdout(), said, words)
			})
		},
	}
	f.add(c)
	return c
}
