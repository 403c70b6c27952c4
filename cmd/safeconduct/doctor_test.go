package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/s3test"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
)

// elsewhere is a file with a passphrase on another disk than the test's
// folders.
func elsewhere(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "safeconduct-test-")
	if err != nil {
		t.Skip("no second disk: ", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "passphrase")
	if err := os.WriteFile(path, []byte("a passphrase for a test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if same, err := sameDisk(path, t.TempDir()); err != nil || same {
		t.Skip("no second disk")
	}
	return path
}

// command runs the program in this process and returns what it printed.
func command(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// examined is what the doctor says about a folder: the state of each check.
func examined(t *testing.T, dir string, more ...string) (states map[string]string, all []finding) {
	t.Helper()
	status, out, errs := command(append([]string{"doctor", "--json", "--dir", dir}, more...)...)
	var report struct {
		Healthy  bool
		Findings []finding
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%d %s %s: %v", status, out, errs, err)
	}
	states = map[string]string{}
	healthy := true
	for _, f := range report.Findings {
		if states[f.Check] == "" || f.State != stateOK {
			states[f.Check] = f.State
		}
		healthy = healthy && f.State == stateOK
		if f.State != stateOK && f.Do == "" {
			t.Errorf("%s: nothing to do is said", f.Check)
		}
		if f.State == stateUnchecked && !strings.HasPrefix(f.Found, "could not check") {
			t.Errorf("%s: %s", f.Check, f.Found)
		}
	}
	if healthy != report.Healthy || healthy != (status == 0) || !healthy && status != exitNo {
		t.Errorf("status %d, healthy %v", status, report.Healthy)
	}
	return states, report.Findings
}

// want compares states; what is not named has to be ok.
func want(t *testing.T, states map[string]string, not map[string]string) {
	t.Helper()
	for check, state := range states {
		if expected := not[check]; state != expected && (state != stateOK || expected != "") {
			t.Errorf("%s: %s, want %q", check, state, expected)
		}
	}
	for check := range not {
		if states[check] == "" {
			t.Errorf("%s was not looked at", check)
		}
	}
}

// atRest makes a network in a folder, publishes once, and closes it.
func atRest(t *testing.T, passphrase string, e engines) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "net")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if e.Aside == "" {
		e.Aside = filepath.Join(filepath.Dir(elsewhere(t)), "aside")
		if err := os.Mkdir(e.Aside, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cfg := houseConfig{dir: dir, engines: e, workFactor: demoWork, now: time.Now, log: slog.New(slog.DiscardHandler)}
	if passphrase != "" {
		var err error
		if cfg.passphrase, err = readPassphrase(passphrase); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := found(t.Context(), cfg, founding{id: randomHex(16), name: "Test", baseURL: "https://net.example", desk: "+00 00"}); err != nil {
		t.Fatal(err)
	}
	h, err := openHouse(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDoctorAllAtOnce: a network that is well is well, and of one that is not
// everything is said in one go.
func TestDoctorAllAtOnce(t *testing.T) {
	passphrase := elsewhere(t)
	dir := atRest(t, passphrase, engines{})
	states, all := examined(t, dir, "--passphrase-file", passphrase)
	want(t, states, nil)
	if len(all) < 15 {
		t.Errorf("only %d things were looked at", len(all))
	}
	beside := filepath.Join(t.TempDir(), "beside")
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.Chmod(filepath.Join(dir, databaseName), 0o644),
		os.WriteFile(beside, []byte("a passphrase for a test\n"), 0o600), os.Chmod(beside, 0o644),
		os.WriteFile(filepath.Join(dir, logName, "checkpoint"), []byte("nobody's\n"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	states, _ = examined(t, dir, "--passphrase-file", beside)
	want(t, states, map[string]string{
		"folder": stateFault, "files": stateFault, "passphrase": stateFault, "passphrase place": stateFault, "log": stateFault,
	})
	status, out, _ := command("doctor", "--dir", dir, "--passphrase-file", beside)
	if status != exitNo || strings.Count(out, "✕") != 5 || strings.Count(out, "→") != 5 || !strings.Contains(out, "5 of ") {
		t.Errorf("in words: %d %s", status, out)
	}

	// What is in the way of looking is no yes.
	if err := os.Remove(filepath.Join(dir, keyringName)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(beside, []byte("another passphrase\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	states, _ = examined(t, dir, "--passphrase-file", beside)
	if states["keyring"] != stateFault || states["keyring apart"] != stateUnchecked || states["keys"] != stateFault || states["network"] != stateUnchecked {
		t.Errorf("got %v", states)
	}
	if _, err := os.Stat(filepath.Join(dir, keyringName)); err == nil {
		t.Error("looking made a keyring")
	}
	if states, _ := examined(t, t.TempDir()); states["folder"] != stateFault {
		t.Errorf("a folder of nobody's: %v", states)
	}
}

// TestDoctorTime: what was not published in time, and epochs that nobody turned,
// are found by the clock.
func TestDoctorTime(t *testing.T) {
	passphrase := elsewhere(t)
	dir := atRest(t, passphrase, engines{})
	for later, faults := range map[time.Duration]map[string]string{
		2 * time.Hour:        nil,
		4 * time.Hour:        {"lists": stateFault},
		25 * 24 * time.Hour:  {"lists": stateFault, "trust list": stateFault},
		40 * 24 * time.Hour:  {"lists": stateFault, "trust list": stateFault, "epochs": stateFault},
		400 * 24 * time.Hour: {"lists": stateFault, "trust list": stateFault, "epochs": stateFault},
	} {
		d := newDoctor(operateFlags{dir: dir, passphraseFile: passphrase})
		d.now = func() time.Time { return time.Now().Add(later) }
		d.examine(t.Context())
		states := map[string]string{}
		for _, f := range d.found {
			states[f.Check] = f.State
		}
		want(t, states, faults)
	}
}

// TestDoctorEngines looks at a network on real engines, and at what an operator
// may have done wrong with each of them.
func TestDoctorEngines(t *testing.T) {
	server := vaulttest.Start(t)
	postgres := pgtest.New(t)
	bucket := s3test.Run(t, "--versioning-dir", t.TempDir())
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(bucket.Config.SecretKey.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SAFECONDUCT_S3_ACCESS_KEY", bucket.Config.AccessKey)
	t.Setenv("SAFECONDUCT_S3_SECRET_KEY_FILE", secret)
	v := server.Network(t)
	e := engines{
		Database: postgres.Database(t), Keyring: postgres.Database(t),
		Objects: "s3://" + bucket.Config.Bucket + "/p?endpoint=" + bucket.Config.Endpoint + "&region=" + bucket.Config.Region + "&path-style=true",
		Vault:   v.Address, VaultCA: v.CACert, VaultMount: v.Mount, VaultPrefix: v.Prefix, VaultRoleID: v.RoleIDFile, VaultSecretID: v.SecretIDFile,
	}
	dir := atRest(t, "", e)

	// A server as it comes repeats statements in its log.
	states, all := examined(t, dir)
	want(t, states, map[string]string{"database settings": stateFault, "keyring settings": stateFault})
	postgres.Administer(t, e.Database, `ALTER ROLE app SET log_min_error_statement = panic; ALTER ROLE app SET log_error_verbosity = terse;`)
	states, again := examined(t, dir)
	want(t, states, nil)
	for _, f := range slices.Concat(all, again) {
		for _, private := range []string{e.Database, e.Keyring, bucket.Config.SecretKey.Reveal(), bucket.Config.AccessKey, v.RoleIDFile} {
			if strings.Contains(f.Found+f.Do, private) {
				t.Errorf("%s repeats an address or a secret", f.Check)
			}
		}
	}

	// A policy that lets keys out.
	policies, err := hcvault.Policies(v.Mount, v.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	signer := policies[slices.IndexFunc(policies, func(p hcvault.Policy) bool { return strings.HasSuffix(p.Name, "-signer") })]
	server.PutPolicy(t, signer.Name, signer.Text+"\npath \""+v.Mount+"/export/*\" { capabilities = [\"read\"] }\n")
	states, _ = examined(t, dir)
	want(t, states, map[string]string{"vault rights": stateFault})
	server.PutPolicy(t, signer.Name, signer.Text)

	// Versions in the bucket, and the server gone; a keyring that is no other
	// database than the data.
	bucket.SetVersioning("Enabled")
	one := e
	one.Keyring, one.Aside = e.Database, dir
	if err := one.write(dir); err != nil {
		t.Fatal(err)
	}
	states, _ = examined(t, dir)
	if states["pages"] != stateFault || states["keyring apart"] != stateFault || states["aside"] != stateFault {
		t.Errorf("versions and one database: %v", states)
	}
	bucket.Stop()
	postgres.Kill(t)
	server.Seal(t)
	e.Aside = filepath.Join(dir, "nowhere")
	if err := e.write(dir); err != nil {
		t.Fatal(err)
	}
	states, _ = examined(t, dir)
	want(t, states, map[string]string{
		"aside": stateFault, "database": stateFault, "keyring": stateFault, "keyring apart": stateUnchecked, "pages": stateFault, "vault": stateFault, "network": stateUnchecked,
	})
}
