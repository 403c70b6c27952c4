package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/service"
)

// memberCommand asks for what the page /admin asks for, and ends at once where somebody
// has folder and passphrase.
func memberCommand() *cobra.Command {
	c := group("member", "People and programs who may act: ask for changes, or end somebody's access")
	c.AddCommand(memberListCommand(), memberAddCommand(), memberAddProgramCommand(), memberChangeCommand(), memberSignOutCommand(), memberEndCommand())
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
	var r reach
	var agency string
	c := &cobra.Command{
		Use: "list", Short: "List an agency's people and programs, or the network's", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			var all []listedMember
			if r.asks() {
				all, err = r.members(c.Context(), agency)
			} else {
				err = r.look(c.Context(), func(s *service.Service) (err error) { all, err = membersOf(c.Context(), s, agency); return err })
			}
			if err != nil {
				return err
			}
			var words strings.Builder
			for _, m := range all {
				fmt.Fprintf(&words, "%s  %-7s  %-8s  %-21s  %s\n", m.ID, m.Kind, m.State, strings.Join(m.Roles, ", "), m.Name)
			}
			return r.say(c.OutOrStdout(), map[string]any{"members": notNil(all)}, words.String())
		},
	}
	r.both(c)
	c.Flags().StringVar(&agency, "agency", "", "the agency's id (default: the network's own; for a token, your own)")
	return c
}

// members are those that the service lists.
func (r *reach) members(ctx context.Context, agency string) (all []listedMember, err error) {
	query := ""
	if agency != "" {
		query = "?agency=" + url.QueryEscape(agency)
	}
	var people struct {
		People []struct {
			ID, Handle, State string
			Roles             []string
		} `json:"people"`
	}
	var programs struct {
		Programs []struct{ ID, Label, Role, State string } `json:"programs"`
	}
	if err := r.as(ctx, http.MethodGet, "/api/v1/people"+query, nil, &people); err != nil {
		return nil, unknown(err, errNoAgency)
	}
	if err := r.as(ctx, http.MethodGet, "/api/v1/programs"+query, nil, &programs); err != nil {
		return nil, err
	}
	ended := map[string]string{"removed": "ended", "over": "ended"}
	for _, p := range people.People {
		all = append(all, listedMember{p.ID, p.Roles, p.Handle, "person", cmp.Or(ended[p.State], p.State)})
	}
	for _, p := range programs.Programs {
		all = append(all, listedMember{p.ID, []string{p.Role}, p.Label, "program", cmp.Or(ended[p.State], p.State)})
	}
	return all, nil
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

// personOrder is what somebody is to be.
type personOrder struct {
	Agency string   `json:"agency,omitempty"`
	Roles  []string `json:"roles"`
	Handle string   `json:"handle"`
}

func (o *personOrder) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.Handle, "handle", "", "what colleagues call this person here, as desk-2, and no name (required)")
	c.Flags().StringSliceVar(&o.Roles, "role", nil, "the role; several with commas (required)")
	_ = c.MarkFlagRequired("handle")
	_ = c.MarkFlagRequired("role")
}

func memberAddCommand() *cobra.Command {
	var r reach
	var o personOrder
	c := &cobra.Command{
		Use: "add", Short: "Ask that a person is taken in; the link is for her", Args: cobra.NoArgs,
		Long: `Ask that a person is taken in; the link is for her. Two people who answer for the agency
agree; where it has one alone, an operator is the other. For the network's own people
two operators do; an operator is asked for on the page /admin, and by no program.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return unknown(r.ask(c, http.MethodPost, "/api/v1/people", o, nil), errNoAgency)
		},
	}
	r.service(c)
	o.flags(c)
	c.Flags().StringVar(&o.Agency, "agency", "", "the agency's id (default: your own)")
	return c
}

func memberAddProgramCommand() *cobra.Command {
	var r reach
	var o struct {
		Agency string `json:"agency,omitempty"`
		Role   string `json:"role"`
		Label  string `json:"label"`
		Days   int    `json:"days"`
	}
	c := &cobra.Command{
		Use: "add-program", Short: "Ask that a program is let in; the token is for it", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return unknown(r.ask(c, http.MethodPost, "/api/v1/programs", o, nil), errNoAgency)
		},
	}
	r.service(c)
	c.Flags().StringVar(&o.Label, "label", "", "names the program, as case-system (required)")
	c.Flags().StringVar(&o.Role, "role", "", "whose operations it may do, less what people agree to (required)")
	c.Flags().IntVar(&o.Days, "days", 90, "how long its token is good")
	c.Flags().StringVar(&o.Agency, "agency", "", "the agency's id (default: your own)")
	_ = c.MarkFlagRequired("label")
	_ = c.MarkFlagRequired("role")
	return c
}

func memberChangeCommand() *cobra.Command {
	var r reach
	var o personOrder
	c := &cobra.Command{
		Use: "change PERSON", Short: "Ask that somebody has other roles", Args: cobra.ExactArgs(1),
		Long: `Ask that somebody has other roles. Two people who answer for her agency
agree; where it has one alone, an operator is the other. For the network's own people
two operators do; who becomes an operator is asked for on the page /admin. Nobody agrees to what is about herself.
Who lost her passkeys is helped on the page /admin: a program cannot ask for that.`,
		RunE: func(c *cobra.Command, args []string) error {
			return r.askPerson(c, http.MethodPost, args[0], "/roles", o)
		},
	}
	r.service(c)
	o.flags(c)
	return c
}

func memberSignOutCommand() *cobra.Command {
	var r reach
	c := &cobra.Command{
		Use: "sign-out PERSON", Short: "Ask that all sessions of somebody end", Args: cobra.ExactArgs(1),
		Long: `Ask that all sessions of somebody end. She herself agrees, or one person who answers
for her agency, or an operator.`,
		RunE: func(c *cobra.Command, args []string) error {
			return r.askPerson(c, http.MethodPost, args[0], "/sign-out", nil)
		},
	}
	r.service(c)
	return c
}

// askPerson asks for something about a person.
func (r *reach) askPerson(c *cobra.Command, method, person, what string, order any) error {
	return unknown(r.ask(c, method, "/api/v1/people/"+pathOf(person)+what, order, map[string]any{"member": person}), errNoPerson)
}

func memberEndCommand() *cobra.Command {
	var r reach
	c := &cobra.Command{
		Use: "end MEMBER", Short: "End a person's or a program's access for good: at once in the folder, or ask the service", Args: cobra.ExactArgs(1),
		Long: `End a person's or a program's access for good. Whoever has folder and passphrase
(--dir) does it alone; at the service (--url) it is a request, to which one other
person agrees, who answers for the same agency or is an operator.`,
		RunE: func(c *cobra.Command, args []string) error {
			if r.asks() {
				return r.askEnd(c, args[0])
			}
			return r.look(c.Context(), func(s *service.Service) error {
				if err := s.EndMember(c.Context(), args[0]); err != nil {
					return unknown(err, errNoMember)
				}
				return r.say(c.OutOrStdout(), map[string]any{"member": args[0], "ended": true}, "Neither passkey nor token lets them in any more.\n")
			})
		},
	}
	r.both(c)
	return c
}

// askEnd asks that a person is removed or, where the id is none of a person, a program.
func (r *reach) askEnd(c *cobra.Command, id string) error {
	err := r.askPerson(c, http.MethodDelete, id, "", nil)
	if isNotFound(err) {
		return unknown(r.ask(c, http.MethodDelete, "/api/v1/programs/"+pathOf(id), nil, map[string]any{"member": id}), errNoMember)
	}
	return err
}
