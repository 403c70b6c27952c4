package enginetest_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/s3test"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
)

// TestMatrix plays the whole story on every combination of the engines, each a
// real server: {SQLite, PostgreSQL} × {key file, HashiCorp Vault} × {folder,
// S3}. It prints one line for each with the engines' own versions, and fails
// when there are fewer than eight.
func TestMatrix(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	server := vaulttest.Start(t)
	bucket := s3test.Run(t)
	type engine struct {
		name string
		args func(t *testing.T) (args, env []string)
	}
	nothing := func(*testing.T) ([]string, []string) { return nil, nil }
	databases := []engine{
		{"SQLite " + versionOf(t, "modernc.org/sqlite"), nothing},
		{pgtest.Version(t), func(t *testing.T) ([]string, []string) {
			return []string{"--database", pgtest.Start(t), "--keyring", pgtest.Start(t)}, nil
		}},
	}
	keystores := []engine{
		{"key file (age " + versionOf(t, "filippo.io/age") + ")", nothing},
		{"HashiCorp Vault " + server.Version, func(t *testing.T) ([]string, []string) {
			v := server.Network(t)
			return []string{
				"--vault", v.Address, "--vault-ca-file", v.CACert, "--vault-mount", v.Mount, "--vault-prefix", v.Prefix,
				"--vault-role-id-file", v.RoleIDFile, "--vault-secret-id-file", v.SecretIDFile,
			}, nil
		}},
	}
	stores := []engine{
		{"folder", nothing},
		{"S3 (versitygw " + s3test.Version + ")", func(t *testing.T) ([]string, []string) {
			secret := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(secret, []byte(bucket.Config.SecretKey.Reveal()), 0o600); err != nil {
				t.Fatal(err)
			}
			address := "s3://" + bucket.Config.Bucket + "/" + strings.ToLower(randomHex(4)) + "?endpoint=" + bucket.Config.Endpoint +
				"&region=" + bucket.Config.Region + "&path-style=true"
			return []string{"--objects", address}, []string{
				"SAFECONDUCT_S3_ACCESS_KEY=" + bucket.Config.AccessKey, "SAFECONDUCT_S3_SECRET_KEY_FILE=" + secret,
			}
		}},
	}

	binary := demoProgram(t, "")
	lines := 0
	for _, database := range databases {
		for _, keys := range keystores {
			for _, objects := range stores {
				name := database.name + " × " + keys.name + " × " + objects.name
				t.Run(name, func(t *testing.T) {
					dir := filepath.Join(t.TempDir(), "demo")
					command := exec.CommandContext(t.Context(), binary, "demo", "--once", "--dir", dir)
					command.Env = os.Environ()
					for _, e := range []engine{database, keys, objects} {
						args, env := e.args(t)
						command.Args = append(command.Args, args...)
						command.Env = append(command.Env, env...)
					}
					if out, err := command.CombinedOutput(); err != nil {
						t.Fatalf("demo: %v\n%s", err, out)
					}
					fsck := exec.CommandContext(t.Context(), binary, "fsck", "--json", "--dir", dir)
					fsck.Env = command.Env
					out, err := fsck.Output()
					var found doctor.Health
					if err != nil || json.Unmarshal(out, &found) != nil || len(found.Problems) > 0 || found.Issued == 0 {
						t.Fatalf("fsck: %v\n%s", err, out)
					}
					lines++
					t.Logf("%s: the story held; fsck: %d records, %d leaves", name, found.Issued, found.Leaves)
				})
			}
		}
	}
	if lines != 8 {
		t.Errorf("the story was played on %d combinations, want 8", lines)
	}
}

// versionOf is the version of a module that is built in.
func versionOf(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
