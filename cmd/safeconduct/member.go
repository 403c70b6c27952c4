package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/service"
)

// memberCommand is for the day on which somebody's token is in strange hands.
// People are taken in over the API, by whoever answers for them.
func memberCommand() *cobra.Command {
	c := group("member", "People who may act, and the end of that")
	c.AddCommand(memberListCommand(), memberEndCommand())
	return c
}

// listedMember is one line of member list.
type listedMember struct {
	ID    string `json:"id"`
	Role  string `json:"role"`
	Ended bool   `json:"ended"`
}

func memberListCommand() *cobra.Command {
	var f operateFlags
	var agency string
	c := &cobra.Command{
		Use: "list", Short: "List an agency's members, or the operators", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.look(c.Context(), func(s *service.Service) error {
				members, err := s.People.Members(c.Context(), service.Console, agency)
				if err != nil {
					return err
				}
				all := []listedMember{}
				var words strings.Builder
				for _, m := range members {
					state := "may act"
					if m.Revoked {
						state = "ended"
					}
					all = append(all, listedMember{m.ID, string(m.Role), m.Revoked})
					fmt.Fprintf(&words, "%s  %-10s  %s\n", m.ID, m.Role, state)
				}
				if f.json {
					return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"members": all})
				}
				_, err = fmt.Fprint(c.OutOrStdout(), words.String())
				return err
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&agency, "agency", "", "the agency's id (default: the operators)")
	return c
}

func memberEndCommand() *cobra.Command {
	var f operateFlags
	c := &cobra.Command{
		Use: "end MEMBER", Short: "End a member's access for good, at once, also while the folder is served", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.look(c.Context(), func(s *service.Service) error {
				if err := s.People.RevokeMember(c.Context(), service.Console, args[0]); err != nil {
					return err
				}
				return f.say(c.OutOrStdout(), map[string]any{"member": args[0], "ended": true}, "That token lets nobody in any more.\n")
			})
		},
	}
	f.add(c)
	return c
}
