package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runs runs the program in this process and returns what it printed.
func runs(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(args, strings.NewReader(""), &out, &errs); got != want {
		t.Fatalf("%s: status %d, want %d\n%s%s", args[0], got, want, out.String(), errs.String())
	}
	return out.String()
}

// TestEnrolWaits: a device that waits prints its symbols first, and ends when two
// people have let it in, or when it was ended.
func TestEnrolWaits(t *testing.T) {
	d := servingDemo(t)
	dir := t.TempDir()
	var operators []string
	for _, a := range d.list.Actors {
		if a.Role == "operator" {
			path := filepath.Join(dir, "operator-"+string('0'+byte(len(operators))))
			if err := os.WriteFile(path, []byte(a.Token), 0o600); err != nil {
				t.Fatal(err)
			}
			operators = append(operators, path)
		}
	}
	if len(operators) != 2 {
		t.Fatalf("the demo has %d operators, want 2", len(operators))
	}
	as := func(operator int, args ...string) []string {
		return append(args, "--url", d.list.URL, "--token-file", operators[operator])
	}
	for _, c := range []struct {
		name   string
		status int
		end    func(device, symbols string)
		says   string
	}{
		{"approved", 0, func(device, symbols string) {
			var asked struct{ Request string }
			if err := json.Unmarshal([]byte(runs(t, 0, as(1, "device", "approve", "--json", device, "--symbols", symbols)...)), &asked); err != nil {
				t.Fatal(err)
			}
			if err := d.agree(t.Context(), asked.Request, officersAgency(t, d)+"/admin-1", "operator-1"); err != nil {
				t.Fatal(err)
			}
		}, "The device is in."},
		{"ended", 1, func(device, _ string) { runs(t, 0, as(1, "device", "revoke", device)...) }, "was not approved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			invitation, key := filepath.Join(dir, c.name+".invitation"), filepath.Join(dir, c.name+".key")
			runs(t, 0, as(0, "device", "invite", "--agency", officersAgency(t, d), "--label", c.name, "--out", invitation)...)
			out, in := io.Pipe()
			ended := make(chan int, 1)
			go func() {
				ended <- run([]string{
					"device", "enrol", "--wait", "--every", "100ms", "--url", d.list.URL, "--invitation-file", invitation, key,
				}, strings.NewReader(""), in, in)
				_ = in.Close()
			}()
			lines := bufio.NewScanner(out)
			symbols := ""
			for lines.Scan() && symbols == "" {
				if shown, ok := strings.CutPrefix(lines.Text(), "    "); ok {
					symbols = shown
				}
			}
			device := ""
			for line := range strings.Lines(runs(t, 0, as(1, "device", "list")...)) {
				if f := strings.Fields(line); f[2] == c.name && f[1] == "pending" {
					device = f[0]
				}
			}
			if device == "" || symbols == "" {
				t.Fatalf("device %q shows %q", device, symbols)
			}
			c.end(device, symbols)
			rest, err := io.ReadAll(out)
			if err != nil {
				t.Fatal(err)
			}
			if status := <-ended; status != c.status || !strings.Contains(string(rest), c.says) {
				t.Errorf("ended with %d and said %q", status, rest)
			}
			for _, path := range []string{key, key + ".token", invitation} {
				info, err := os.Stat(path)
				if err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v, %v", filepath.Base(path), info.Mode(), err)
				}
			}
		})
	}
}

func officersAgency(t *testing.T, d *played) string {
	t.Helper()
	for _, a := range d.list.Actors {
		if a.Role == "officer" {
			return a.Agency
		}
	}
	t.Fatal("nobody is an officer")
	return ""
}
