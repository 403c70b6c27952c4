package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
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

// refusal is what the service answers when it does not do what was asked.
type refusal struct {
	Path   string `json:"-"`
	Status int    `json:"-"`
	Code   string `json:"code"`
	Title  string `json:"title"`
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("%s: the service answers %d", r.Path, r.Status)
	if r.Code != "" {
		text += " " + r.Code + ": " + r.Title
	}
	return text
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
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	limited := io.LimitReader(resp.Body, verifier.MaxPack)
	if resp.StatusCode >= 300 {
		r := &refusal{}
		_ = json.NewDecoder(limited).Decode(r) // without a code the status says enough
		r.Path, r.Status = path, resp.StatusCode
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
