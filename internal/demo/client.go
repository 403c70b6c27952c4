package demo

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

// client is one actor at the API: a program with a bearer token, as any
// agency's own would be.
type client struct {
	base  string
	token string
	http  *http.Client
}

// problem is what the API answers when it refuses (RFC 9457).
type problem struct {
	Status   int    `json:"status"`
	Code     string `json:"code"`
	Title    string `json:"title"`
	Problems []struct {
		Pointer string `json:"pointer"`
		Code    string `json:"code"`
	} `json:"problems"`
}

func (p *problem) Error() string {
	text := fmt.Sprintf("%d %s", p.Status, p.Code)
	for _, one := range p.Problems {
		text += fmt.Sprintf("; %s %s", one.Pointer, one.Code)
	}
	return text
}

// refused returns the stable code of a refusal, or "".
func refused(err error) string {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.Code
	}
	return ""
}

// maxAnswer bounds what the demo reads from one answer.
const maxAnswer = 32 << 20

// call sends body as JSON, unless it is nil, and decodes the answer into
// answer, unless that is nil.
func (c client) call(ctx context.Context, method, path string, body, answer any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = private.RevealJSON(body); err != nil {
			return err
		}
	}
	got, err := c.send(ctx, method, path, "application/json", data)
	if err != nil || answer == nil {
		return err
	}
	if raw, ok := answer.(*[]byte); ok {
		*raw = got
		return nil
	}
	return json.Unmarshal(got, answer)
}

func (c client) send(ctx context.Context, method, path, mediaType string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", mediaType)
	}
	if method == http.MethodPost {
		req.Header.Set("Idempotency-Key", randomHex(16))
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
	if resp.StatusCode >= 400 {
		p := &problem{Status: resp.StatusCode}
		if err := json.Unmarshal(data, p); err != nil {
			p.Code = "no_problem_document"
		}
		return nil, p
	}
	return data, nil
}

func (c client) get(ctx context.Context, path string, answer any) error {
	return c.call(ctx, http.MethodGet, path, nil, answer)
}

func (c client) post(ctx context.Context, path string, body, answer any) error {
	return c.call(ctx, http.MethodPost, path, body, answer)
}

func newClient(base, token string) client {
	return client{base: base, token: token, http: &http.Client{Timeout: 30 * time.Second}}
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never returns an error
	return hex.EncodeToString(b)
}
