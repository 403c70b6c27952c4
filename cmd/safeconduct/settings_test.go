package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSettingsStrength: a flag wins over the environment, that over the file,
// and that over the default.
func TestSettingsStrength(t *testing.T) {
	dir := t.TempDir()
	if err := writeFile(dir+"/"+enginesName, []byte(`{"window": "3h", "listen": "127.0.0.1:3", "metrics": "127.0.0.1:33", "metrics_open": true}`)); err != nil {
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
	if status != 0 || json.Unmarshal([]byte(out), &all) != nil || len(all.Settings) != len(settings) {
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

// TestSettingsMasked: no secret, and nobody who logs in, is shown.
func TestSettingsMasked(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://app:hunter2@db.example/data?sslmode=verify-full": "postgres://…@db.example/data?sslmode=verify-full",
		"postgres://db.example/data?user=app&password=hunter2":       "postgres://db.example/data?password=…&user=…",
		"postgres://app:hunter2@db.example:bad/data":                 "…",
		"postgres:///data?sslpassword=hunter2&passfile=%2Fp":         "postgres:///data?passfile=%2Fp&sslpassword=…",
		"host=db user=app password=hunter2":                          "host=db%20user=app%20password=hunter2",
		"https://vault.example:8200":                                 "https://vault.example:8200",
	} {
		got := maskAddress(address)
		if strings.HasPrefix(address, "host=") {
			if strings.Contains(got, "hunter2") {
				t.Errorf("shows a password: %s", got)
			}
			continue
		}
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// FuzzSettings: whatever the file holds, no mistake in it is repeated, and it is
// read the same way twice.
func FuzzSettings(f *testing.F) {
	for _, seed := range []string{`{"databse":"x"}`, `{"metrics_open":true}`, `{"window":7}`, `{}`, `[]`, `{"vault":null}`, `{"a":"b","a":"c"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, err := parseSettings([]byte(text))
		again, err2 := parseSettings([]byte(text))
		if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() || len(values) != len(again) {
			t.Fatal("two answers to one file")
		}
		for key := range values {
			if nearest(key) != key {
				t.Fatalf("%q is no setting", key)
			}
		}
		_ = maskAddress(text)
	})
}
