package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/verifier"
)

// remote is another process that serves a network, as the commands that speak
// to it know it.
type remote struct{ url, tokenFile string }

// flags adds how to reach the service, and as whom.
func (s *remote) flags(c *cobra.Command, whose string) {
	s.urlFlag(c)
	c.Flags().StringVar(&s.tokenFile, "token-file", "", "a file with "+whose+" bearer token (required)")
	_ = c.MarkFlagRequired("token-file")
}

func (s *remote) urlFlag(c *cobra.Command) {
	c.Flags().StringVar(&s.url, "url", "", "where the service answers (required)")
	_ = c.MarkFlagRequired("url")
}

// token reads the bearer token.
func (s *remote) token() (string, error) {
	token, err := files.Read(s.tokenFile, 1<<10)
	return strings.TrimSpace(string(token)), err
}

// codeLocked is the code of what a locked network refuses.
const codeLocked = "locked"

// refusal is what the service answers when it does not do what was asked.
type refusal struct {
	URL      string    `json:"-"` // where people open the network's pages, of a locked one
	Path     string    `json:"-"`
	Status   int       `json:"-"`
	Code     string    `json:"code"`
	Title    string    `json:"title"`
	Problems []problem `json:"problems"`
}

// problem is one thing that is wrong with what was asked (RFC 9457 §3.2).
type problem struct {
	Pointer string `json:"pointer"`
	Rule    string `json:"rule"`
}

// Error says all that is wrong, a line for each.
func (r *refusal) Error() string {
	text := fmt.Sprintf("%s: the service answers %d", r.Path, r.Status)
	if r.Code != "" {
		text += " " + r.Code + ": " + r.Title
	}
	for i, p := range r.Problems {
		where := strings.TrimPrefix(p.Pointer, "/")
		text += fmt.Sprintf("\n  %s: %s", cmp.Or(where, "what was asked"), p.Rule)
		if i+1 == len(r.Problems) || r.Problems[i+1].Pointer != p.Pointer { // once for each place
			text += listOf(where)
		}
	}
	if r.Code == codeLocked {
		text += fmt.Sprintf(".\nTwo people open it again, each with a passkey, on the page %s/unlock. In its folder member end, agency suspend and device revoke work meanwhile, with --dir", r.URL)
	}
	return text
}

// listOf says what may stand at a place of an order, where people get it wrong.
func listOf(where string) string {
	parts := strings.Split(where, "/")
	switch parts[0] {
	case "role", "roles":
		return " (" + rolesToGive() + ")"
	case "class":
		return " (" + joined(network.Classes) + ")"
	case "country":
		return " (three capital letters as in the last lines of a passport: KHM, THA; Germany is DEU)"
	case "desk":
		return " (a telephone number, as +855 00 000 000)"
	case "use":
		return " (trust, status, pack or log)"
	case "signs":
		return " (docs/vocabulary.md, Who signs what)"
	}
	return ""
}

// rolesToGive says which roles there are, and where.
func rolesToGive() string {
	words := "the network has " + joined(people.RolesOf(""))
	for _, class := range []network.Class{network.NGO, network.ImmigrationService, network.DiplomaticMission} {
		words += fmt.Sprintf("; an agency as %s has %s", class, joined(people.RolesOf(string(class))))
	}
	return words
}

// joined is a list of words.
func joined[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, one := range all {
		words[i] = string(one)
	}
	return strings.Join(words, ", ")
}

// isNotFound tells whether the service says that there is no such thing.
func isNotFound(err error) bool {
	refused, ok := errors.AsType[*refusal](err)
	return ok && refused.Status == http.StatusNotFound
}

// call asks the service. body is nil for none; answer is nil when none is
// awaited. The token is "" for nobody.
func (s *remote) call(ctx context.Context, method, path, token string, body, answer any) error {
	if err := config.CheckURL(s.url); err != nil {
		return err
	}
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(s.url, "/")+path, content)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost {
		req.Header.Set("Idempotency-Key", randomHex(16))
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return unreachable(s.url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	limited := io.LimitReader(resp.Body, verifier.MaxPack)
	if resp.StatusCode >= 300 {
		r := &refusal{}
		_ = json.NewDecoder(limited).Decode(r) // without a code the status says enough
		r.Path, r.Status = path, resp.StatusCode
		if r.Code == codeLocked {
			r.URL = s.address(ctx)
		}
		return r
	}
	if answer == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	return json.NewDecoder(limited).Decode(answer)
}

// as is call with the token of the token file.
func (s *remote) as(ctx context.Context, method, path string, body, answer any) error {
	token, err := s.token()
	if err != nil {
		return err
	}
	return s.call(ctx, method, path, token, body, answer)
}

// unreachable says what to do where nobody answers. What was meant to reach it and why
// it did not is all that the error has to say; an address of one call is none of it.
func unreachable(url string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if inner, ok := errors.AsType[*neturl.Error](err); ok {
		err = inner.Err
	}
	return fmt.Errorf("nobody answers at %s: is the service running there, and --url its address? (%w)", url, err)
}

// address is where people open the network's pages: its own name, which passkeys are
// for. --url may be another way to the same service. It is on the trust list, which is
// there for everybody, also while the network is locked, once something was published.
// It is shown to people and nothing goes there, so that no signature is looked at.
func (s *remote) address(ctx context.Context) string {
	own := strings.TrimRight(s.url, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, own+"/trust-list", nil)
	if err != nil {
		return own
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return own
	}
	defer func() { _ = resp.Body.Close() }()
	list, err := io.ReadAll(io.LimitReader(resp.Body, verifier.MaxPack))
	if err != nil || resp.StatusCode != http.StatusOK {
		return own
	}
	parts := strings.Split(string(list), ".") // a JWS (RFC 7515 §3.1)
	if len(parts) != 3 {
		return own
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var said struct {
		StatusLists string `json:"status_lists"`
	}
	if err != nil || json.Unmarshal(payload, &said) != nil {
		return own
	}
	at, found := strings.CutSuffix(said.StatusLists, "/status-lists/")
	if !found || config.CheckURL(at) != nil {
		return own
	}
	return at
}
