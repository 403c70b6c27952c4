// Package vaulttest starts a real HashiCorp Vault server for tests and prepares
// it for a network as an operator would: a transit mount, the policies that the
// product ships, and an AppRole. The server keeps its keys in memory. What is to
// be tested is left to the tests.
package vaulttest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/safeconduct/safeconduct/internal/hcvault"
)

// Binary finds the real server: where SAFECONDUCT_VAULT_SERVER says, or in the cache
// that scripts/vault.sh fills. Without either the test is skipped, but not in
// CI, which builds it.
func Binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("SAFECONDUCT_VAULT_SERVER"); path != "" {
		return path
	}
	// Asked of go, for a build with -trimpath does not know where its files are.
	mod, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(filepath.Dir(strings.TrimSpace(string(mod))), "scripts", "vault.sh")
	if out, err := exec.CommandContext(t.Context(), script, "--cached").Output(); err == nil { //nolint:gosec // our own script
		return strings.TrimSpace(string(out))
	}
	if os.Getenv("CI") != "true" {
		t.Skip("needs the real Vault server: run scripts/vault.sh once (minutes), or set SAFECONDUCT_VAULT_SERVER")
	}
	out, err := exec.CommandContext(t.Context(), script).Output() //nolint:gosec // our own script
	if err != nil {
		t.Fatalf("build the real Vault server: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// Server is a real server that a test started. Its root token is "root".
type Server struct {
	Address, CACert string
	Version         string
	mounts          atomic.Int64
	printed         *output
	mu              sync.Mutex // held while what all networks share is made
}

// Start runs a development server with TLS until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	dir := t.TempDir()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := listener.Addr().String()
	_ = listener.Close()
	s := &Server{Address: "https://" + listen, CACert: filepath.Join(dir, "vault-ca.pem"), printed: &output{}}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), Binary(t), "server", "-dev", "-dev-root-token-id=root", //nolint:gosec // a test's own server
		"-dev-listen-address="+listen, "-dev-no-store-token", "-dev-tls", "-dev-tls-cert-dir="+dir)
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "SKIP_SETCAP=true"}
	cmd.Stdout, cmd.Stderr = s.printed, s.printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	for range 400 {
		if s.Version, err = s.version(t.Context()); err == nil {
			return s
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the server does not answer: %v\n%s", err, s.printed)
	return nil
}

// version asks a server that has written its certificate which one it is.
func (s *Server) version(ctx context.Context) (string, error) {
	if _, err := os.Stat(s.CACert); err != nil {
		return "", err
	}
	c, err := s.client()
	if err != nil {
		return "", err
	}
	status, err := c.Sys().SealStatusWithContext(ctx)
	if err != nil {
		return "", err
	}
	if status.Sealed {
		return "", errors.New("sealed")
	}
	return status.Version, nil
}

func (s *Server) client() (*api.Client, error) {
	cfg := api.DefaultConfig()
	cfg.Address = s.Address
	if err := cfg.ConfigureTLS(&api.TLSConfig{CACert: s.CACert}); err != nil {
		return nil, err
	}
	c, err := api.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	c.SetToken("root")
	return c, nil
}

// Audit turns the server's own audit log on, as it is by default, and returns
// its file.
func (s *Server) Audit(t testing.TB) string {
	t.Helper()
	c, err := s.client()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "audit.log")
	err = c.Sys().EnableAuditWithOptionsWithContext(t.Context(), "file", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": path},
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// duties are the policies of a service that is one process.
var duties = []string{"records", "signer", "root", "keys"}

// Network prepares the server for one more network, and returns how to log in.
func (s *Server) Network(t testing.TB) hcvault.Config {
	t.Helper()
	c, err := s.client()
	if err != nil {
		t.Fatal(err)
	}
	ctx, dir := t.Context(), t.TempDir()
	name := "net" + strconv.FormatInt(s.mounts.Add(1), 10)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Sys().MountWithContext(ctx, name, &api.MountInput{Type: "transit"}))
	must(s.enableAppRole(ctx, c))
	policies, err := hcvault.Policies(name, name)
	must(err)
	for _, p := range policies {
		must(c.Sys().PutPolicyWithContext(ctx, p.Name, p.Text))
	}
	granted := make([]string, len(duties))
	for i, d := range duties {
		granted[i] = name + "-" + d
	}
	_, err = c.Logical().WriteWithContext(ctx, "auth/approle/role/"+name, map[string]any{
		"token_policies": granted, "token_no_default_policy": true, "token_ttl": "10m", "token_max_ttl": "1h",
	})
	must(err)
	id, err := c.Logical().ReadWithContext(ctx, "auth/approle/role/"+name+"/role-id")
	must(err)
	secret, err := c.Logical().WriteWithContext(ctx, "auth/approle/role/"+name+"/secret-id", nil)
	must(err)
	file := func(base string, v any) string {
		path := filepath.Join(dir, base)
		must(os.WriteFile(path, []byte(fmt.Sprint(v)), 0o600))
		return path
	}
	return hcvault.Config{
		Address: s.Address, CACert: s.CACert, Mount: name, Prefix: name,
		RoleIDFile: file("role-id", id.Data["role_id"]), SecretIDFile: file("secret-id", secret.Data["secret_id"]),
	}
}

// enableAppRole is done once for all networks.
func (s *Server) enableAppRole(ctx context.Context, c *api.Client) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	auths, err := c.Sys().ListAuthWithContext(ctx)
	if err != nil || auths["approle/"] != nil {
		return err
	}
	return c.Sys().EnableAuthWithOptionsWithContext(ctx, "approle", &api.EnableAuthOptions{Type: "approle"})
}

// PutPolicy writes a policy, as a careless operator might.
func (s *Server) PutPolicy(t testing.TB, name, text string) {
	t.Helper()
	c, err := s.client()
	if err == nil {
		err = c.Sys().PutPolicyWithContext(t.Context(), name, text)
	}
	if err != nil {
		t.Fatal(err)
	}
}
