package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
)

// TestSettingsStrength: a flag wins over the environment, that over the file,
// and that over the default.
func TestSettingsStrength(t *testing.T) {
	dir := t.TempDir()
	if err := files.Replace(dir+"/"+config.EnginesName, []byte(`{"window": "3h", "listen": "127.0.0.1:3", "metrics": "127.0.0.1:33", "metrics_open": true}`)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SAFECONDUCT_LISTEN", "127.0.0.1:2")
	t.Setenv("SAFECONDUCT_METRICS", "127.0.0.1:22")
	c := serveCommand()
	if err := c.ParseFlags([]string{"--dir", dir, "--metrics", "127.0.0.1:11"}); err != nil {
		t.Fatal(err)
	}
	if err := configure(c, nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"metrics": "127.0.0.1:11", "listen": "127.0.0.1:2", "window": "3h0m0s", "metrics-open": "true", "passphrase-file": "",
	} {
		if got := c.Flags().Lookup(name).Value.String(); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	status, out, errs := command("config", "show", "--json", "--dir", dir, "--metrics", "127.0.0.1:11")
	var all struct{ Settings []shown }
	if status != 0 || json.Unmarshal([]byte(out), &all) != nil || len(all.Settings) != len(config.Settings) {
		t.Fatalf("%d %s %s", status, out, errs)
	}
	origins := map[string]string{}
	for _, s := range all.Settings {
		origins[s.Name] = s.Value + " " + s.Origin
	}
	for name, want := range map[string]string{
		"metrics": "127.0.0.1:11 flag --metrics", "listen": "127.0.0.1:2 environment SAFECONDUCT_LISTEN",
		"window": "3h file engines.json", "vault_mount": " default",
	} {
		if origins[name] != want {
			t.Errorf("%s: got %q, want %q", name, origins[name], want)
		}
	}
}

// command runs the program in this process and returns what it printed.
func command(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}
