package hcvault_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/hcvault"
)

// TestInspectRights: what the policies of the product give is neither too much
// nor too little, whatever duties a role has; and what is more than that is
// found by its path.
func TestInspectRights(t *testing.T) {
	_, cfg, p := network(t)
	look := func(cfg hcvault.Config) hcvault.Inspection {
		t.Helper()
		i, err := hcvault.Inspect(t.Context(), cfg)
		must(t, err)
		if i.Sealed || !i.Initialized || i.Login != nil || i.Rights != nil || i.Version == "" || i.Ahead.Abs() > 2*time.Second {
			t.Fatalf("%+v", i)
		}
		return i
	}
	i := look(cfg)
	if len(i.Excess) > 0 || len(i.Lacking) > 0 || i.Keys != nil || i.TokenLife != 10*time.Minute {
		t.Errorf("as it should be: %+v", i)
	}
	i = look(p.config(t, nil, "records", "signer"))
	if len(i.Excess) > 0 || len(i.Lacking) > 0 {
		t.Errorf("without root, which is for one day a year: %+v", i)
	}
	i = look(p.config(t, nil, "records", "root"))
	if len(i.Excess) > 0 || !slices.Equal(i.Lacking, []string{"the policy " + p.mount + "-signer"}) {
		t.Errorf("without signer: %+v", i)
	}

	for path, capability := range map[string]string{
		p.mount + "/export/+/*": "read", p.mount + "/keys/+/rotate": "sudo", p.mount + "/keys/" + p.mount + "-sign-doctor": "delete",
		"sys/policies/acl/*": "update", "sys/seal": "update", p.mount + "/backup/*": "read",
	} {
		name := p.mount + "-signer"
		policies, err := hcvault.Policies(p.mount, p.mount)
		must(t, err)
		at := slices.IndexFunc(policies, func(one hcvault.Policy) bool { return one.Name == name })
		wider := policies[at].Text + "\npath \"" + path + "\" {\n  capabilities = [\"" + capability + "\"]\n}\n"
		must(t, p.root.Sys().PutPolicyWithContext(t.Context(), name, wider))
		i := look(cfg)
		if !slices.ContainsFunc(i.Excess, func(s string) bool { return strings.HasPrefix(s, capability+" ") }) {
			t.Errorf("%s at %s is not found: %v", capability, path, i.Excess)
		}
		must(t, p.root.Sys().PutPolicyWithContext(t.Context(), name, policies[at].Text))
	}

	// A policy of somebody else's, and one of ours that was narrowed.
	i = look(p.config(t, map[string]any{"token_policies": []string{p.mount + "-records", p.mount + "-signer", p.mount + "-root", "operators"}}))
	if len(i.Excess) != 1 {
		t.Errorf("a policy of somebody else's: %v", i.Excess)
	}
	must(t, p.root.Sys().PutPolicyWithContext(t.Context(), p.mount+"-root", `path "sys/capabilities-self" { capabilities = ["update"] }`))
	if i = look(cfg); !slices.Equal(i.Lacking, []string{"update " + p.mount + "/sign/" + p.mount + "-root"}) {
		t.Errorf("narrowed: %v", i.Lacking)
	}
}

// TestInspectInTheWay: what keeps us from looking is said, and is no yes.
func TestInspectInTheWay(t *testing.T) {
	_, cfg, p := network(t)
	policies, err := hcvault.Policies(p.mount, p.mount)
	must(t, err)
	for _, one := range policies { // as an older version printed them
		must(t, p.root.Sys().PutPolicyWithContext(t.Context(), one.Name,
			strings.ReplaceAll(one.Text, "sys/capabilities-self", "sys/nothing")))
	}
	i, err := hcvault.Inspect(t.Context(), cfg)
	if err != nil || i.Rights == nil {
		t.Errorf("rights that cannot be asked: %+v %v", i, err)
	}
	wrong := cfg
	wrong.SecretIDFile = file(t, "00000000-0000-0000-0000-000000000000")
	if i, err := hcvault.Inspect(t.Context(), wrong); err != nil || !errors.Is(i.Login, hcvault.ErrDenied) {
		t.Errorf("a wrong secret id: %+v %v", i, err)
	}
	wrong = cfg
	wrong.Address = "https://" + freePort(t)
	if _, err := hcvault.Inspect(t.Context(), wrong); !errors.Is(err, hcvault.ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
	wrong = cfg
	wrong.Prefix = "nobody"
	if i, err := hcvault.Inspect(t.Context(), wrong); err != nil || !errors.Is(i.Keys, hcvault.ErrNoKey) {
		t.Errorf("no keys: %+v %v", i, err)
	}
}
