package vaulttest

import (
	"bytes"
	"regexp"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"
)

// output is what a server prints, which is read while it goes on.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Seal has the server forget its keys: it refuses everything until Unseal.
func (s *Server) Seal(t testing.TB) {
	t.Helper()
	if err := s.administrator(t).Sys().SealWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// unsealKey is how a development server tells its one share.
var unsealKey = regexp.MustCompile(`Unseal Key: (\S+)`)

// Unseal gives the server its keys back.
func (s *Server) Unseal(t testing.TB) {
	t.Helper()
	key := unsealKey.FindStringSubmatch(s.printed.String())
	if key == nil {
		t.Fatal("the server has not told its unseal key")
	}
	status, err := s.administrator(t).Sys().UnsealWithContext(t.Context(), key[1])
	if err != nil || status.Sealed {
		t.Fatalf("the server stays sealed: %v", err)
	}
}

// AuditRaw has the server write every request and answer into the file at path,
// their values as they are: a test compares them with what it knows.
func (s *Server) AuditRaw(t testing.TB, path string) {
	t.Helper()
	err := s.administrator(t).Sys().EnableAuditWithOptionsWithContext(t.Context(), "file", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": path, "log_raw": "true"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *Server) administrator(t testing.TB) *api.Client {
	t.Helper()
	c, err := s.client()
	if err != nil {
		t.Fatal(err)
	}
	return c
}
