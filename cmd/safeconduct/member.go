package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/service"
)

// memberCommand is for the day on which somebody's passkey or token is in strange
// hands. Two people take others in, on the page /admin.
func memberCommand() *cobra.Command {
	c := group("member", "People and programs who may act, and the end of that")
	c.AddCommand(memberListCommand(), memberEndCommand())
	return c
}

// listedMember is one line of member list.
type listedMember struct {
	ID    string   `json:"id"`
	Roles []string `json:"roles"`
	Name  string   `json:"name"` // a person's handle, or a program's label
	Kind  string   `json:"kind"` // person or program
	State string   `json:"state"`
}

func memberListCommand() *cobra.Command {
	var f operateFlags
	var agency string
	c := &cobra.Command{
		Use: "list", Short: "List an agency's people and programs, or the network's", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.look(c.Context(), func(s *service.Service) error {
				all, err := membersOf(c.Context(), s, agency)
				if err != nil {
					return err
				}
				var words strings.Builder
				for _, m := range all {
					fmt.Fprintf(&words, "%s  %-7s  %-8s  %-21s  %s\n", m.ID, m.Kind, m.State, strings.Join(m.Roles, ", "), m.Name)
				}
				return f.say(c.OutOrStdout(), map[string]any{"members": all}, words.String())
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&agency, "agency", "", "the agency's id (default: the network's own)")
	return c
}

func membersOf(ctx context.Context, s *service.Service, agency string) ([]listedMember, error) {
	state, err := s.People.State(ctx)
	if err != nil {
		return nil, err
	}
	all := []listedMember{}
	for _, p := range state.Of(agency) {
		m := listedMember{ID: p.ID, Name: p.Handle, Kind: "person", State: "active"}
		for _, r := range p.Roles {
			m.Roles = append(m.Roles, string(r))
		}
		switch {
		case p.Removed:
			m.State = "ended"
		case len(p.Credentials) == 0:
			m.State = "invited"
		}
		all = append(all, m)
	}
	for _, p := range state.ProgramsOf(agency) {
		m := listedMember{ID: p.ID, Roles: []string{string(p.Role)}, Name: p.Label, Kind: "program", State: "active"}
		if p.Removed || time.Now().Unix() >= p.Expires {
			m.State = "ended"
		}
		all = append(all, m)
	}
	return all, nil
}

func memberEndCommand() *cobra.Command {
	var f operateFlags
	c := &cobra.Command{
		Use: "end MEMBER", Short: "End a person's or a program's access for good, at once, also while the folder is served", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.look(c.Context(), func(s *service.Service) error {
				if err := s.EndMember(c.Context(), args[0]); err != nil {
					return err
				}
				return f.say(c.OutOrStdout(), map[string]any{"member": args[0], "ended": true}, "Neither passkey nor token lets them in any more.\n")
			})
		},
	}
	f.add(c)
	return c
}
