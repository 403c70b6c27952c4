package caller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/safeconduct/safeconduct/internal/passkey/software"
)

// Person is somebody before a browser, with a passkey made of software. She is not
// for concurrent use.
type Person struct {
	Client

	Me      Me
	Passkey *software.Authenticator
	origin  string
	cookie  *http.Cookie
}

// Me is what the service says of somebody who is signed in.
type Me struct {
	ID         string   `json:"id"`
	Agency     string   `json:"agency"` // "" for the network's own
	AgencyName string   `json:"agency_name"`
	Roles      []string `json:"roles"`
	Handle     string   `json:"handle"`
}

// NewPerson returns somebody who has joined nothing yet. The service answers at url; its
// pages are at origin, as browsers write that. key is new, or of somebody who joined
// before.
func NewPerson(url, origin string, key *software.Authenticator) *Person {
	p := &Person{Client: New(url, ""), Passkey: key, origin: origin}
	p.shown, p.heard = p.show, p.hear
	return p
}

// show adds what a browser does: where the page is from, and the cookie.
func (p *Person) show(r *http.Request) {
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Origin", p.origin)
	if p.cookie != nil {
		r.AddCookie(&http.Cookie{Name: p.cookie.Name, Value: p.cookie.Value}) //nolint:gosec // of a request: the flags are for answers
	}
}

// hear keeps the cookie. The service has one alone.
func (p *Person) hear(r *http.Response) {
	for _, c := range r.Cookies() {
		p.cookie = c
	}
}

// Cookie is what the browser keeps of her session; nil before there is one.
func (p *Person) Cookie() *http.Cookie { return p.cookie }

// answered has the passkey answer, and sends that with the rest of a body.
func (p *Person) answered(ctx context.Context, path string, respond func([]byte, string) ([]byte, error), options json.RawMessage, body map[string]any, answer any) error {
	response, err := respond(options, p.origin)
	if err != nil {
		return err
	}
	body["response"] = json.RawMessage(response)
	return p.Post(ctx, path, body, answer)
}

type options struct {
	Options json.RawMessage `json:"options"`
}

// SignIn begins a session.
func (p *Person) SignIn(ctx context.Context) error {
	p.Me = Me{}
	var asked options
	if err := p.Post(ctx, "/api/v1/sessions/options", nil, &asked); err != nil {
		return err
	}
	return p.answered(ctx, "/api/v1/sessions", p.Passkey.Get, asked.Options, map[string]any{}, &p.Me)
}

// Join takes a link up, or its secret alone, and signs in.
func (p *Person) Join(ctx context.Context, link string) error {
	secret := link
	if _, after, ok := strings.Cut(link, "#join="); ok {
		secret = after
	}
	var asked options
	if err := p.Post(ctx, "/api/v1/joins/options", map[string]any{"secret": secret}, &asked); err != nil {
		return err
	}
	var act struct {
		Act     string          `json:"act"`
		Options json.RawMessage `json:"options"`
	}
	if err := p.answered(ctx, "/api/v1/joins/passkey", p.Passkey.Create, asked.Options, map[string]any{"secret": secret}, &act); err != nil {
		return err
	}
	return p.answered(ctx, "/api/v1/joins", p.Passkey.Get, act.Options, map[string]any{"secret": secret, "act": act.Act}, &p.Me)
}

// Asked is the answer to what waits until people agree.
type Asked struct {
	Request Request `json:"request"`
	ID      string  `json:"id"`    // of what is to be there
	Token   string  `json:"token"` // of a program
	Link    string  `json:"link"`  // with which somebody joins
}

// Request is what waits.
type Request struct {
	ID      string          `json:"id"`
	State   string          `json:"state"`
	Agreed  []string        `json:"agreed"` // people
	Options json.RawMessage `json:"options"`
	// What it became: the id of an attestation, or a card, which is shown once.
	Attestation string          `json:"attestation"`
	Card        json.RawMessage `json:"card"`
}

// Done is the state of what everybody has agreed to who has to.
const Done = "done"

// Agree agrees to a request, which is read first.
func (p *Person) Agree(ctx context.Context, id string) (Request, error) {
	var q Request
	if err := p.Get(ctx, "/api/v1/requests/"+id, &q); err != nil {
		return q, err
	}
	if len(q.Options) == 0 {
		return q, errors.New("the request is not hers to agree to")
	}
	err := p.answered(ctx, "/api/v1/requests/"+id+"/approvals", p.Passkey.Get, q.Options, map[string]any{}, &q)
	return q, err
}

// Touch asks for something in the name of her agency, and agrees to it, which is enough
// for it.
func (p *Person) Touch(ctx context.Context, path string, body any) (Request, error) {
	var asked Asked
	if err := p.Post(ctx, path, body, &asked); err != nil {
		return asked.Request, err
	}
	q, err := p.Agree(ctx, asked.Request.ID)
	if err == nil && q.State != Done {
		err = fmt.Errorf("after %s has agreed, the request is %s", p.Me.Handle, q.State)
	}
	return q, err
}

// Agreed has people agree to a request, one after the other. It wants it done with the
// last of them, and not before.
func Agreed(ctx context.Context, q Request, by ...*Person) error {
	for i, p := range by {
		now, err := p.Agree(ctx, q.ID)
		if err != nil {
			return fmt.Errorf("%s agrees: %w", p.Me.Handle, err)
		}
		if last := i == len(by)-1; (now.State == Done) != last || !slices.Contains(now.Agreed, p.Me.ID) {
			return fmt.Errorf("after %d of %d have agreed, the request is %s", i+1, len(by), now.State)
		}
	}
	return nil
}
