package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
)

// reach is how a command gets at a network. In its folder it may look, and take away at
// once; at the service that runs it may ask, and people agree on the page /admin.
type reach struct {
	operateFlags
	remote
}

// both adds the flags of a command that works in either way.
func (r *reach) both(c *cobra.Command) {
	c.Flags().StringVar(&r.Dir, "dir", "", "the folder that init or demo made (or --url)")
	c.Flags().StringVar(&r.PassphraseFile, "passphrase-file", "", "a file with the passphrase of the keys (default: the one that a demo leaves in its folder)")
	c.Flags().StringVar(&r.url, "url", "", "where the service answers (or --dir)")
	c.Flags().StringVar(&r.tokenFile, "token-file", "", "a file with your bearer token, for --url")
	c.Flags().BoolVar(&r.json, "json", false, "print one JSON object")
	isSetting(c, "passphrase-file")
	c.MarkFlagsOneRequired("dir", "url")
	c.MarkFlagsMutuallyExclusive("dir", "url")
	c.MarkFlagsRequiredTogether("url", "token-file")
}

// service adds those of a command that asks the service.
func (r *reach) service(c *cobra.Command) {
	r.flags(c, "your")
	c.Flags().BoolVar(&r.json, "json", false, "print one JSON object")
}

// asks tells whether the service is asked.
func (r *reach) asks() bool { return r.url != "" }

// request is what the service says of a request.
type request struct {
	ID      string     `json:"id"`
	Do      string     `json:"do"`
	State   string     `json:"state"`
	Lines   []line     `json:"lines"`
	Expires time.Time  `json:"expires"`
	People  int        `json:"people"`
	Apart   bool       `json:"apart"`
	Delayed bool       `json:"delayed"`
	Root    bool       `json:"root"`
	Agreed  []string   `json:"agreed"`
	Who     []agreeing `json:"who"`
	Others  int        `json:"others"`
	Counts  *time.Time `json:"counts,omitempty"`
}

// line is one thing that an act says.
type line struct {
	At    string `json:"at"`
	Value string `json:"value"`
}

// agreeing is somebody whose agreement counts.
type agreeing struct {
	ID     string `json:"id"`
	Agency string `json:"agency"`
	Handle string `json:"handle,omitempty"`
	Agreed bool   `json:"agreed"`
}

// asked is the answer to what becomes a request. Link and token are shown this once.
type asked struct {
	Request request `json:"request"`
	ID      string  `json:"id"`
	Link    string  `json:"link"`
	Token   string  `json:"token"`
}

// ask has something asked for, and says who has to agree and who has. about names what
// it is about, for programs.
func (r *reach) ask(c *cobra.Command, method, path string, order any, about map[string]any) error {
	var a asked
	if err := r.as(c.Context(), method, path, order, &a); err != nil {
		return err
	}
	return r.tell(c, a, about)
}

func (r *reach) tell(c *cobra.Command, a asked, about map[string]any) error {
	object := map[string]any{"state": "asked"}
	for name, value := range about {
		object[name] = value
	}
	q := a.Request
	for name, value := range map[string]any{
		"request": q.ID, "do": q.Do, "people": q.People, "apart": q.Apart, "delayed": q.Delayed, "agreed": q.Agreed, "who": q.Who, "others": q.Others, "expires": q.Expires,
	} {
		object[name] = value
	}
	var words strings.Builder
	fmt.Fprintf(&words, "Asked: %s. %s\n", q.ID, sentence(q))
	needed(&words, q)
	fmt.Fprintf(&words, "They do so at %s/admin, until %s.\n", r.address(c.Context()), q.Expires.Format("2006-01-02 15:04 MST"))
	for _, once := range []struct{ name, value, words string }{
		{"id", a.ID, ""}, {"link", a.Link, "The link, shown this once; it works when it was agreed to:\n%s\n"},
		{"token", a.Token, "The token, shown this once; it works when it was agreed to:\n%s\n"},
	} {
		if once.value == "" {
			continue
		}
		object[once.name] = once.value
		if once.words != "" {
			fmt.Fprintf(&words, once.words, once.value)
		}
	}
	return r.say(c.OutOrStdout(), object, words.String())
}

// sentence is what a request asks for, in the words of the page.
func sentence(q request) string {
	at := func(places ...string) string {
		for _, place := range places {
			for _, l := range q.Lines {
				if l.At == place && l.Value != "" {
					return l.Value
				}
			}
		}
		return "the network"
	}
	id := "admin.do." + q.Do
	if q.Do == "agency.partner" && at("what.partner") == "the network" {
		id += ".end"
	}
	if q.Do == "signing.change" {
		id += "." + at("what.use")
	}
	words := english(id, "agency", at("what.name", "what.id", "what.agency", "agency"), "person", at("what.handle", "what.person", "what.id"),
		"program", at("what.label", "what.id"), "device", at("what.label", "what.id"), "partner", at("what.partner"))
	if words == "" {
		words = q.Do
	}
	return words + "."
}

// needed says how many have to agree, who has, and who else may.
func needed(b *strings.Builder, q request) {
	many := "One person has to agree"
	if q.People > 1 {
		many = fmt.Sprintf("%d people have to agree", q.People)
	}
	b.WriteString(many)
	if q.Apart {
		b.WriteString(", not all of one agency")
	}
	if q.Root {
		b.WriteString(", and whoever has folder and passphrase signs it, too")
	}
	b.WriteString(".")
	if q.Delayed {
		b.WriteString(" It counts a day after the last; until then it can be stopped.")
	}
	b.WriteString("\n")
	for _, w := range q.Who {
		state := "may   "
		if w.Agreed {
			state = "agreed"
		}
		fmt.Fprintf(b, "  %s  %s  %s\n", state, w.ID, where(w))
	}
	if q.Others > 0 {
		fmt.Fprintf(b, "  and %d more may\n", q.Others)
	}
}

// anew says why a request has to be asked for again, where it does.
func anew(q request) string {
	if q.State != "ask_again" {
		return ""
	}
	return "  " + english("admin.request.ask_again") + "\n  safeconduct requests withdraw takes it back.\n"
}

// where tells somebody's handle, and of which agency she is.
func where(w agreeing) string {
	of := "of the network"
	if w.Agency != "" {
		of = "of " + w.Agency
	}
	return strings.TrimSpace(w.Handle + " " + of)
}

// These say what is not known, and which command lists it.
var (
	errNoAgency = errors.New("no agency has this id; safeconduct agency list shows them")
	errNoMember = errors.New("nobody and no program has this id; safeconduct member list shows them, with --agency those of an agency")
	errNoPerson = errors.New("no person has this id; safeconduct member list shows them, with --agency those of an agency")
	errNoDevice = errors.New("no device has this id; safeconduct device list, with --url, shows them")
	errNoAsked  = errors.New("no request has this id; safeconduct requests list shows them")
	errNoChange = errors.New("no change that waits has this number; safeconduct requests list shows them")
)

// unknown says what to do about an id that nothing has, in the folder or at the service.
func unknown(err, what error) error {
	if isNotFound(err) || errors.Is(err, network.ErrNotFound) || errors.Is(err, people.ErrNotFound) {
		return fmt.Errorf("%w (%w)", what, err)
	}
	return err
}

func requestsCommand() *cobra.Command {
	var r reach
	c := group("requests", "What waits for people to agree, and what was agreed to and does not count yet")
	add := func(use, short string, args cobra.PositionalArgs, run func(c *cobra.Command, args []string) error) *cobra.Command {
		sub := &cobra.Command{Use: use, Short: short, Args: args, RunE: run}
		r.service(sub)
		c.AddCommand(sub)
		return sub
	}
	add("list", "List what waits", cobra.NoArgs, func(c *cobra.Command, _ []string) error { return r.listRequests(c) })
	add("show REQUEST", "Show all that a request says, and who has agreed", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error { return r.showRequest(c, args[0]) })
	add("withdraw REQUEST", "Take back what was asked with this token", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		if err := r.as(c.Context(), http.MethodDelete, "/api/v1/requests/"+pathOf(args[0]), nil, nil); err != nil {
			return unknown(err, errNoAsked)
		}
		return r.say(c.OutOrStdout(), map[string]any{"request": args[0], "state": "withdrawn"}, "Nobody can agree to it any more.\n")
	})
	stop := add("stop CHANGE", "Ask that a change is stopped that does not count yet", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		return unknown(r.ask(c, http.MethodPost, "/api/v1/changes/"+pathOf(args[0])+"/stop", nil, map[string]any{"change": args[0]}), errNoChange)
	})
	stop.Long = `Ask that a change is stopped that was agreed to and does not count yet. One person
agrees: an operator, or anybody who could have agreed to the change itself.`
	return c
}

// waitingChange was agreed to, and does not count yet.
type waitingChange struct {
	Change int64      `json:"change"`
	Do     string     `json:"do"`
	Lines  []line     `json:"lines"`
	Counts time.Time  `json:"counts"`
	Agreed []string   `json:"agreed"`
	Who    []agreeing `json:"who"`
}

func (r *reach) listRequests(c *cobra.Command) error {
	var open struct {
		Requests []request `json:"requests"`
	}
	var waiting struct {
		Changes []waitingChange `json:"changes"`
	}
	ctx := c.Context()
	if err := r.as(ctx, http.MethodGet, "/api/v1/requests", nil, &open); err != nil {
		return err
	}
	if err := r.as(ctx, http.MethodGet, "/api/v1/changes", nil, &waiting); err != nil {
		return err
	}
	var words strings.Builder
	for _, q := range open.Requests {
		fmt.Fprintf(&words, "%s  %d of %d agreed  until %s  %s\n", q.ID, len(q.Agreed), q.People, q.Expires.Format("2006-01-02 15:04"), sentence(q))
		words.WriteString(anew(q))
	}
	for _, w := range waiting.Changes {
		fmt.Fprintf(&words, "change %-6d  counts from %s  %s\n", w.Change, w.Counts.Format("2006-01-02 15:04"), sentence(request{Do: w.Do, Lines: w.Lines}))
		for _, one := range w.Who {
			state := "asked "
			if one.Agreed {
				state = "agreed"
			}
			fmt.Fprintf(&words, "  %s  %s  %s\n", state, one.ID, where(one))
		}
	}
	if words.Len() == 0 {
		words.WriteString("Nothing waits.\n")
	}
	return r.say(c.OutOrStdout(), map[string]any{"requests": notNil(open.Requests), "changes": notNil(waiting.Changes)}, words.String())
}

func (r *reach) showRequest(c *cobra.Command, id string) error {
	var q request
	if err := r.as(c.Context(), http.MethodGet, "/api/v1/requests/"+pathOf(id), nil, &q); err != nil {
		return unknown(err, errNoAsked)
	}
	var words strings.Builder
	fmt.Fprintf(&words, "%s: %s\n%s", q.State, sentence(q), anew(q))
	needed(&words, q)
	for _, l := range q.Lines {
		fmt.Fprintf(&words, "  %-28s %s\n", l.At, l.Value)
	}
	return r.say(c.OutOrStdout(), q, words.String())
}

// notNil keeps an empty list from being written as null.
func notNil[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// pathOf is an id as part of an address.
func pathOf(id string) string { return url.PathEscape(id) }
