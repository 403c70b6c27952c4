package enginetest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
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
	var held atomic.Int64
	t.Run("on", func(t *testing.T) { // which is over when all of them are
		for _, database := range databases {
			for _, keys := range keystores {
				for _, objects := range stores {
					t.Run(database.name+" × "+keys.name+" × "+objects.name, func(t *testing.T) {
						t.Parallel()
						var args, env []string
						for _, e := range []engine{database, keys, objects} {
							a, v := e.args(t)
							args, env = append(args, a...), append(env, v...)
						}
						t.Logf("the story held; fsck: %s", playedOn(t, binary, args, env))
						held.Add(1)
					})
				}
			}
		}
	})
	if held.Load() != 8 {
		t.Errorf("the story was played on %d combinations, want 8", held.Load())
	}
}

// playedOn plays the story on engines, and says what fsck found behind it.
func playedOn(t *testing.T, binary string, args, env []string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "demo")
	story := exec.CommandContext(t.Context(), binary, append([]string{"demo", "--once", "--dir", dir}, args...)...)
	fsck := exec.CommandContext(t.Context(), binary, "fsck", "--json", "--dir", dir)
	story.Env = append(os.Environ(), env...)
	fsck.Env = story.Env
	if out, err := story.CombinedOutput(); err != nil {
		t.Fatalf("demo: %v\n%s", err, out)
	}
	out, err := fsck.Output()
	var found doctor.Health
	if err != nil || json.Unmarshal(out, &found) != nil || len(found.Problems) > 0 || found.Issued == 0 {
		t.Fatalf("fsck: %v\n%s", err, out)
	}
	return fmt.Sprintf("%d records, %d leaves", found.Issued, found.Leaves)
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
