package hcvault_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
)

// server is a real Vault server that the test has started.
type server struct {
	address string
	caCert  string // empty without TLS
	cmd     *exec.Cmd
	output  *bytes.Buffer
}

// start runs the server and waits until it answers.
func start(t testing.TB, s *server, args ...string) {
	t.Helper()
	s.output = &bytes.Buffer{}
	s.cmd = exec.Command(vaulttest.Binary(t), args...)
	s.cmd.Env = []string{"HOME=" + os.TempDir(), "PATH=" + os.Getenv("PATH"), "SKIP_SETCAP=true"}
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := s.client(t, "")
	for range 1200 {
		if _, err := client.Sys().SealStatusWithContext(t.Context()); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	t.Fatalf("the server did not answer within a minute:\n%s", s.output)
}

func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
	s.cmd = nil
}

// client is HashiCorp's own, with a token, for what an operator would do.
func (s *server) client(t testing.TB, token string) *api.Client {
	t.Helper()
	cfg := api.DefaultConfig()
	cfg.Address = s.address
	cfg.MaxRetries = 0
	if s.caCert != "" {
		if _, err := os.Stat(s.caCert); err == nil {
			if err := cfg.ConfigureTLS(&api.TLSConfig{CACert: s.caCert}); err != nil {
				t.Fatal(err)
			}
		} else if err := cfg.ConfigureTLS(&api.TLSConfig{Insecure: true}); err != nil { // not written yet
			t.Fatal(err)
		}
	}
	c, err := api.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.SetToken(token)
	return c
}

// shared is one development server with TLS for all tests here; each has a
// mount of its own. Its keys are in memory and its root token is "root".
var shared struct {
	sync.Once
	server
	ready bool
}

func TestMain(m *testing.M) {
	code := m.Run()
	shared.stop()
	if shared.caCert != "" {
		_ = os.RemoveAll(filepath.Dir(shared.caCert))
	}
	os.Exit(code)
}

func dev(t testing.TB) *server {
	t.Helper()
	vaulttest.Binary(t) // skips outside of the Once
	shared.Do(func() {
		dir, err := os.MkdirTemp("", "hcvault")
		if err != nil {
			t.Fatal(err)
		}
		listen := freePort(t)
		shared.address, shared.caCert = "https://"+listen, filepath.Join(dir, "vault-ca.pem")
		start(t, &shared.server, "server", "-dev", "-dev-root-token-id=root", "-dev-listen-address="+listen,
			"-dev-no-store-token", "-dev-tls", "-dev-tls-cert-dir="+dir)
		shared.ready = true
	})
	if !shared.ready {
		t.Fatal("the server did not start")
	}
	return &shared.server
}

var mounts atomic.Int64

// place is a network's own mount with its policies and AppRole.
type place struct {
	*server
	root  *api.Client
	mount string
}

// newPlace prepares the server for a new network as an operator would.
func newPlace(t testing.TB, s *server, rootToken string) *place {
	t.Helper()
	p := &place{server: s, root: s.client(t, rootToken), mount: "net" + strconv.FormatInt(mounts.Add(1), 10)}
	must(t, p.root.Sys().MountWithContext(t.Context(), p.mount, &api.MountInput{Type: "transit"}))
	auths, err := p.root.Sys().ListAuthWithContext(t.Context())
	must(t, err)
	if auths["approle/"] == nil {
		must(t, p.root.Sys().EnableAuthWithOptionsWithContext(t.Context(), "approle", &api.EnableAuthOptions{Type: "approle"}))
	}
	policies, err := hcvault.Policies(p.mount, p.mount)
	must(t, err)
	for _, policy := range policies {
		must(t, p.root.Sys().PutPolicyWithContext(t.Context(), policy.Name, policy.Text))
	}
	return p
}

// config makes an AppRole with the given duties and says how to log in with it.
func (p *place) config(t testing.TB, role map[string]any, duties ...string) hcvault.Config {
	t.Helper()
	name := fmt.Sprintf("%s-%d", p.mount, mounts.Add(1))
	var policies []string
	for _, d := range duties {
		policies = append(policies, p.mount+"-"+d)
	}
	body := map[string]any{
		"token_policies": policies, "token_no_default_policy": true, "token_ttl": "10m", "token_max_ttl": "1h",
	}
	for k, v := range role {
		body[k] = v
	}
	_, err := p.root.Logical().WriteWithContext(t.Context(), "auth/approle/role/"+name, body)
	must(t, err)
	id, err := p.root.Logical().ReadWithContext(t.Context(), "auth/approle/role/"+name+"/role-id")
	must(t, err)
	secret, err := p.root.Logical().WriteWithContext(t.Context(), "auth/approle/role/"+name+"/secret-id", nil)
	must(t, err)
	return hcvault.Config{
		Address: p.address, CACert: p.caCert, Mount: p.mount, Prefix: p.mount, Origin: "example.org/" + p.mount,
		RoleIDFile:   file(t, id.Data["role_id"].(string)),
		SecretIDFile: file(t, secret.Data["secret_id"].(string)),
		Timeout:      10 * time.Second, // a loaded test machine
	}
}

// all duties of a service that is one process.
var all = []string{"records", "signer", "root", "keys"}

// network makes a new network's keys on the shared server.
func network(t testing.TB) (*hcvault.Vault, hcvault.Config, *place) {
	t.Helper()
	p := newPlace(t, dev(t), "root")
	cfg := p.config(t, nil, all...)
	v, err := hcvault.Create(t.Context(), cfg)
	must(t, err)
	return v, cfg, p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused reports whether the server refused by policy.
func refused(err error) bool {
	var e *api.ResponseError
	return errors.As(err, &e) && e.StatusCode == http.StatusForbidden
}
