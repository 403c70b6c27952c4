package config

import (
	"strings"
	"testing"
)

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
		values, err := parse([]byte(text))
		again, err2 := parse([]byte(text))
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
