package doctor

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/s3test"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
	"github.com/safeconduct/safeconduct/web"
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
	if same, err := files.SameDisk(path, t.TempDir()); err != nil || same {
		t.Skip("no second disk")
	}
	return path
}

// examined is what the doctor says about a folder: the state of each check.
func examined(t *testing.T, dir, passphrase string, later ...time.Duration) (states map[string]string, all []Finding) {
	t.Helper()
	now := time.Now
	if len(later) > 0 {
		now = func() time.Time { return time.Now().Add(later[0]) }
	}
	all = Examine(t.Context(), config.Folder{Dir: dir, PassphraseFile: passphrase}, now)
	states = map[string]string{}
	for _, f := range all {
		if f.Check == "web pages" && web.Built() != nil {
			continue // a tree in which nobody has built them: TestDoctorPages
		}
		if states[f.Check] == "" || f.State != OK {
			states[f.Check] = f.State
		}
		if f.State != OK && f.Do == "" {
			t.Errorf("%s: nothing to do is said", f.Check)
		}
		if f.State == Unchecked && !strings.HasPrefix(f.Found, "could not check") {
			t.Errorf("%s: %s", f.Check, f.Found)
		}
	}
	return states, all
}

// want compares states; what is not named has to be ok.
func want(t *testing.T, states map[string]string, not map[string]string) {
	t.Helper()
	for check, state := range states {
		if expected := not[check]; state != expected && (state != OK || expected != "") {
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
func atRest(t *testing.T, passphrase string, e config.Engines) string {
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
	cfg := service.Config{Dir: dir, Engines: e, WorkFactor: service.DemoWork, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if passphrase != "" {
		var err error
		if cfg.Passphrase, err = config.ReadPassphrase(passphrase); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := service.Found(t.Context(), cfg, service.Founding{ID: strings.Repeat("d0", 16), Name: "Test", BaseURL: "https://net.example", Desk: "+00 00"}); err != nil {
		t.Fatal(err)
	}
	h, err := service.Open(t.Context(), cfg)
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
	dir := atRest(t, passphrase, config.Engines{})
	states, all := examined(t, dir, passphrase)
	want(t, states, nil)
	if len(all) < 15 {
		t.Errorf("only %d things were looked at", len(all))
	}
	beside := filepath.Join(t.TempDir(), "beside")
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.Chmod(filepath.Join(dir, config.DatabaseName), 0o644),
		os.WriteFile(beside, []byte("a passphrase for a test\n"), 0o600), os.Chmod(beside, 0o644),
		os.WriteFile(filepath.Join(dir, config.LogName, "checkpoint"), []byte("nobody's\n"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	states, _ = examined(t, dir, beside)
	want(t, states, map[string]string{
		"folder": Fault, "files": Fault, "passphrase": Fault, "passphrase place": Fault, "log": Fault,
	})

	// What is in the way of looking is no yes.
	if err := os.Remove(filepath.Join(dir, config.KeyringName)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(beside, []byte("another passphrase\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	states, _ = examined(t, dir, beside)
	if states["keyring"] != Fault || states["keyring apart"] != Unchecked || states["keys"] != Fault || states["network"] != Unchecked {
		t.Errorf("got %v", states)
	}
	if _, err := os.Stat(filepath.Join(dir, config.KeyringName)); err == nil {
		t.Error("looking made a keyring")
	}
	if states, _ := examined(t, t.TempDir(), ""); states["folder"] != Fault {
		t.Errorf("a folder of nobody's: %v", states)
	}
}

// TestDoctorPages: a binary without its pages needs somebody, who is told how to
// build it.
func TestDoctorPages(t *testing.T) {
	for missing, state := range map[error]string{nil: OK, web.ErrNotBuilt: Fault} {
		d := &doctor{}
		d.pages(missing)
		if f := d.found[0]; f.Check != "web pages" || f.State != state || (f.Do == "") != (missing == nil) || (missing != nil && !strings.Contains(f.Do, "make build")) {
			t.Errorf("%v: %+v", missing, f)
		}
	}
}

// TestDoctorAtFirst: right after init nothing is missing that a service would
// make.
func TestDoctorAtFirst(t *testing.T) {
	passphrase := elsewhere(t)
	cfg := service.Config{Dir: filepath.Join(t.TempDir(), "net"), WorkFactor: service.DemoWork}
	var err error
	if cfg.Passphrase, err = config.ReadPassphrase(passphrase); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := service.Found(t.Context(), cfg, service.Founding{ID: strings.Repeat("d0", 16), Name: "Test", BaseURL: "https://net.example", Desk: "+00 00"}); err != nil {
		t.Fatal(err)
	}
	_, all := examined(t, cfg.Dir, passphrase)
	for _, f := range all {
		// The one thing that init cannot know better: --aside names another disk.
		if f.State != OK && (f.Check != "aside" || !strings.Contains(f.Found, "same disk")) {
			t.Errorf("%s: %s", f.Check, f.Found)
		}
	}
}

// TestDoctorOwners: a folder that root made for a service that is another user, and a file
// that a command of root's left in it, are found, and what is one user's is well.
func TestDoctorOwners(t *testing.T) {
	const root, serves = 0, 4_000_000_001 // nobody on any machine
	house := t.TempDir()
	dir := filepath.Join(house, "net")
	left := filepath.Join(dir, "log", "checkpoint")
	if err := errors.Join(os.MkdirAll(filepath.Dir(left), 0o700), os.WriteFile(left, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name              string
		above, all, there int
		state             string
		number            string
	}{
		{"the service's", root, serves, serves, OK, ""},
		{"the service's, in a folder of its own", serves, serves, serves, OK, ""},
		{"all of it root's", root, root, root, OK, ""},
		{"root ran init", serves, root, root, Fault, "3 files"},
		{"root ran a command", root, serves, root, Fault, "1 files"},
		{"somebody else's file", root, root, serves, Fault, "1 files"},
	} {
		d := &doctor{folder: config.Folder{Dir: dir}}
		d.owners(func(path string) (int, error) {
			switch path {
			case house:
				return c.above, nil
			case left:
				return c.there, nil
			default:
				return c.all, nil
			}
		})
		f := d.found[0]
		if len(d.found) != 1 || f.State != c.state || !strings.HasPrefix(f.Found, c.number) {
			t.Errorf("%s: %+v", c.name, d.found)
		}
		if c.state == Fault && c.all != root && !strings.Contains(f.Do, "chown -R 4000000001: "+dir) {
			t.Errorf("%s: what to do: %s", c.name, f.Do)
		}
	}
	// What the network is made of belongs to whoever made it.
	d := &doctor{folder: config.Folder{Dir: dir}}
	if d.owners(files.Owner); d.found[0].State != OK {
		t.Errorf("really: %+v", d.found)
	}
}

// TestDoctorTime: what was not published in time, and epochs that nobody turned,
// are found by the clock.
func TestDoctorTime(t *testing.T) {
	passphrase := elsewhere(t)
	dir := atRest(t, passphrase, config.Engines{})
	for later, faults := range map[time.Duration]map[string]string{
		2 * time.Hour:        nil,
		4 * time.Hour:        {"lists": Fault},
		25 * 24 * time.Hour:  {"lists": Fault, "trust list": Fault},
		40 * 24 * time.Hour:  {"lists": Fault, "trust list": Fault, "epochs": Fault},
		400 * 24 * time.Hour: {"lists": Fault, "trust list": Fault, "epochs": Fault, "trust key": Fault},
	} {
		states, _ := examined(t, dir, passphrase, later)
		want(t, states, faults)
	}
}

// TestDoctorSigner: a signer of its own that is locked is not one that is away, and what
// it took in when it began is said.
func TestDoctorSigner(t *testing.T) {
	passphrase := elsewhere(t)
	dir, keys := atRest(t, passphrase, config.Engines{}), t.TempDir()
	e, err := config.ReadEngines(dir)
	if err != nil {
		t.Fatal(err)
	}
	e.Signer = filepath.Join(keys, config.SocketName)
	if err := errors.Join(e.Write(dir), os.Rename(filepath.Join(dir, config.KeysName), filepath.Join(keys, config.KeysName))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	serve := func() (end func() error) {
		ended := make(chan error, 1)
		go func() {
			ended <- service.Sign(ctx, config.Folder{Dir: keys, PassphraseFile: passphrase}, slog.New(slog.DiscardHandler), service.Signing{Socket: e.Signer})
		}()
		for {
			_, done, err := service.SignerAt(e.Signer)(ctx, "")
			if err == nil {
				_ = done()
				break
			}
			select {
			case err := <-ended:
				t.Fatal("the signer ended: ", err)
			case <-time.After(10 * time.Millisecond):
			}
		}
		return func() error { return <-ended }
	}
	said := func(check string) (state, found string) {
		_, all := examined(t, dir, "")
		for _, f := range all {
			if f.Check == check {
				return f.State, f.Found
			}
		}
		return "", ""
	}

	end := serve()
	if state, found := said("keys"); state != OK {
		t.Errorf("keys: %s: %s", state, found)
	}
	if state, found := said("signer's roster"); state != OK || strings.Contains(found, "began") {
		t.Errorf("a signer as old as its network: %s: %s", state, found)
	}
	if err := os.WriteFile(filepath.Join(keys, config.LockedName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := end(); !errors.Is(err, service.ErrLocked) { // by itself
		t.Fatal(err)
	}
	end = serve()
	if state, found := said("keys"); state != Fault || !strings.Contains(found, "locked") {
		t.Errorf("a signer that is locked: %s: %s", state, found)
	}
	cancel()
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestLate: what is said of a signer that began with an empty folder.
func TestLate(t *testing.T) {
	founded := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Time{}, ""},
		{founded.Add(time.Hour), ""},
		{founded.AddDate(0, 0, 30), "on 2026-03-31, when the network was 30 days old, and believed the first 312 as"},
	} {
		if got := late(service.SignerBegan{At: c.at, Changes: 312, Founding: founded}); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%v: %q", c.at, got)
		}
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
	e := config.Engines{
		Database: postgres.Database(t), Keyring: postgres.Database(t),
		Objects: "s3://" + bucket.Config.Bucket + "/p?endpoint=" + bucket.Config.Endpoint + "&region=" + bucket.Config.Region + "&path-style=true",
		Vault:   v.Address, VaultCA: v.CACert, VaultMount: v.Mount, VaultPrefix: v.Prefix, VaultRoleID: v.RoleIDFile, VaultSecretID: v.SecretIDFile,
	}
	dir := atRest(t, "", e)

	// A server as it comes repeats statements in its log.
	states, all := examined(t, dir, "")
	want(t, states, map[string]string{"database settings": Fault, "keyring settings": Fault})
	postgres.Administer(t, e.Database, `ALTER ROLE app SET log_min_error_statement = panic; ALTER ROLE app SET log_error_verbosity = terse;`)
	states, again := examined(t, dir, "")
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
	states, _ = examined(t, dir, "")
	want(t, states, map[string]string{"vault rights": Fault})
	server.PutPolicy(t, signer.Name, signer.Text)

	// Versions in the bucket, and the server gone; a keyring that is no other
	// database than the data.
	bucket.SetVersioning("Enabled")
	one := e
	one.Keyring, one.Aside = e.Database, dir
	if err := one.Write(dir); err != nil {
		t.Fatal(err)
	}
	states, _ = examined(t, dir, "")
	if states["pages"] != Fault || states["keyring apart"] != Fault || states["aside"] != Fault {
		t.Errorf("versions and one database: %v", states)
	}
	bucket.Stop()
	postgres.Kill(t)
	server.Seal(t)
	e.Aside = filepath.Join(dir, "nowhere")
	if err := e.Write(dir); err != nil {
		t.Fatal(err)
	}
	states, _ = examined(t, dir, "")
	want(t, states, map[string]string{
		"aside": Fault, "database": Fault, "keyring": Fault, "keyring apart": Unchecked, "pages": Fault, "vault": Fault, "network": Unchecked,
	})
}
