// Package caller asks a service as those do who use it: a program with its token, and
// somebody before a browser who joins, signs in and agrees with a passkey made of
// software. It is for demonstrations and tests. It speaks HTTP and knows no rule: what
// to ask is for whoever calls to say, and what is right for the service.
package caller

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// Client asks in the name of a program, or of nobody.
type Client struct {
	URL   string
	Token string // a bearer token; "" is nobody's
	http  *http.Client
	// shown adds what a browser shows beside, and heard reads what it keeps; both
	// are nil for programs.
	shown func(*http.Request)
	heard func(*http.Response)
}

// New returns who asks with a token, or, for "", without one.
func New(url, token string) Client {
	return Client{URL: url, Token: token, http: &http.Client{Timeout: time.Minute}}
}

// Problem is what a service answers when it refuses (RFC 9457).
type Problem struct {
	Status   int    `json:"status"`
	Code     string `json:"code"`
	Title    string `json:"title"`
	Problems []struct {
		Pointer string `json:"pointer"`
		Code    string `json:"code"`
	} `json:"problems"`
}

func (p *Problem) Error() string {
	text := fmt.Sprintf("%d %s", p.Status, p.Code)
	for _, one := range p.Problems {
		text += fmt.Sprintf("; %s %s", one.Pointer, one.Code)
	}
	return text
}

// Refused returns the stable code of a refusal, or "".
func Refused(err error) string {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.Code
	}
	return ""
}

// maxAnswer bounds what is read of one answer.
const maxAnswer = 32 << 20

// Call sends body as JSON, unless it is nil, and decodes the answer into answer,
// unless that is nil. A *[]byte takes the answer as it is.
func (c Client) Call(ctx context.Context, method, path string, body, answer any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = private.RevealJSON(body); err != nil {
			return err
		}
	}
	got, err := c.Send(ctx, method, path, "application/json", data)
	if err != nil || answer == nil {
		return err
	}
	if raw, ok := answer.(*[]byte); ok {
		*raw = got
		return nil
	}
	return json.Unmarshal(got, answer)
}

// Send sends bytes of a media type, and returns the answer. A refusal is a *Problem.
func (c Client) Send(ctx context.Context, method, path, mediaType string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", mediaType)
	}
	if method == http.MethodPost {
		req.Header.Set("Idempotency-Key", randomHex(16))
	}
	if c.shown != nil {
		c.shown(req)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		p := &Problem{Status: resp.StatusCode}
		if err := json.Unmarshal(data, p); err != nil {
			p.Code = "no_problem_document"
		}
		return nil, p
	}
	if c.heard != nil {
		c.heard(resp)
	}
	return data, nil
}

// Get asks for something.
func (c Client) Get(ctx context.Context, path string, answer any) error {
	return c.Call(ctx, http.MethodGet, path, nil, answer)
}

// Post has something done.
func (c Client) Post(ctx context.Context, path string, body, answer any) error {
	return c.Call(ctx, http.MethodPost, path, body, answer)
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never returns an error
	return hex.EncodeToString(b)
}
