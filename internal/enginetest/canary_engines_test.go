package enginetest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/s3test"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
)

// TestCanaryEngines is TestCanary where the larger engines keep everything. It
// looks through what PostgreSQL's own tool dumps, through every file of its
// cluster with the write-ahead log, the S3 server's folder, Vault's audit log,
// and through backups, sealed and opened. A build that leaks on purpose has to
// be caught in them.
func TestCanaryEngines(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	c := newCanary(t)
	for _, leak := range c.runEngines("") {
		t.Errorf("%s holds %s", leak.where, leak.what)
	}
	t.Logf("%d values in %d encodings each, over %d bytes", len(c.needles), encodings, c.searched)

	found := map[string]bool{}
	for _, leak := range c.runEngines("leaking") {
		where, _, _ := strings.Cut(leak.where, ":")
		found[where] = true
	}
	for _, where := range []string{"pg_dump", "pg_wal", "S3", "the backup's rows", "the backup's objects", "output of serve"} {
		if !found[where] {
			t.Errorf("the search does not catch a leak into %s", where)
		}
	}
	if found["the sealed backup"] || found["Vault's audit log"] {
		t.Error("the search finds what cannot be there")
	}
}

// runEngines is run with PostgreSQL, S3 and Vault of this test's own.
func (c *canary) runEngines(tags string) []leak {
	t := c.t
	t.Helper()
	database := pgtest.New(t)
	dsn, keys := database.Database(t), database.Database(t)
	vault, bucket := vaulttest.Start(t), s3test.Run(t)
	audit := vault.Audit(t)
	v := vault.Network(t)
	temp := t.TempDir()
	secret := filepath.Join(temp, "secret")
	if err := os.WriteFile(secret, []byte(bucket.Config.SecretKey.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	binary, dir := demoProgram(t, tags), filepath.Join(temp, "demo")
	c.env = []string{
		"SAFECONDUCT_DATABASE=" + dsn, "SAFECONDUCT_KEYRING=" + keys,
		"SAFECONDUCT_OBJECTS=s3://" + bucket.Config.Bucket + "/canary?endpoint=" + bucket.Config.Endpoint + "&region=" + bucket.Config.Region + "&path-style=true",
		"SAFECONDUCT_S3_ACCESS_KEY=" + bucket.Config.AccessKey, "SAFECONDUCT_S3_SECRET_KEY_FILE=" + secret,
		"SAFECONDUCT_VAULT=" + v.Address, "SAFECONDUCT_VAULT_CA_FILE=" + v.CACert, "SAFECONDUCT_VAULT_MOUNT=" + v.Mount,
		"SAFECONDUCT_VAULT_PREFIX=" + v.Prefix, "SAFECONDUCT_VAULT_ROLE_ID_FILE=" + v.RoleIDFile, "SAFECONDUCT_VAULT_SECRET_ID_FILE=" + v.SecretIDFile,
	}
	run := func(name string, args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), name, args...)
		command.Env = append(os.Environ(), c.env...)
		var told bytes.Buffer
		command.Stderr = &told
		out, err := command.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", args[0], err, out, told.Bytes())
		}
		return string(out)
	}
	run(binary, "demo", "--once", "--dir", dir)
	c.learn(dir)
	leaks := c.search("output of serve", c.serve(binary, dir))

	identity, recipients := filepath.Join(temp, "key1"), filepath.Join(temp, "recipients")
	list := run(binary, "backup", "keygen", identity) + run(binary, "backup", "keygen", filepath.Join(temp, "key2"))
	if err := os.WriteFile(recipients, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	data, keyring := filepath.Join(temp, "data.age"), filepath.Join(temp, "keyring.age")
	run(binary, "backup", "--dir", dir, "--to", recipients, "--keyring-file", keyring, data)

	for _, one := range []string{dsn, keys} {
		dump := database.Dump(t, one)
		leaks = append(leaks, c.search("pg_dump", dump)...)
		leaks = append(leaks, c.search("pg_dump: bytes", hexValues(dump))...)
	}
	leaks = append(leaks, c.searchTree("pg_wal", filepath.Join(database.Data(), "pg_wal"), nil)...)
	leaks = append(leaks, c.searchTree("cluster", database.Data(), []string{"pg_wal"})...)
	leaks = append(leaks, c.search("cluster: its log", []byte(database.Log(t)))...)
	leaks = append(leaks, c.searchTree("S3", bucket.Folder, nil)...)
	leaks = append(leaks, c.searchTree("Vault's audit log", audit, nil)...)
	leaks = append(leaks, c.searchFolder(dir)...)
	return append(leaks, c.searchBackups(identity, data, keyring)...)
}

// searchTree looks through every file below a folder, and through their names.
// What goes away meanwhile is passed over.
func (c *canary) searchTree(what, dir string, without []string) []leak {
	var leaks []leak
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			for _, w := range without {
				if d.Name() == w {
					return fs.SkipDir
				}
			}
			return nil
		}
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		files++
		leaks = append(leaks, c.search(what+": "+filepath.Base(path), data)...)
		leaks = append(leaks, c.search(what+": a name", []byte(path))...)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	if files == 0 {
		c.t.Errorf("%s: nothing was looked at", what)
	}
	return leaks
}

// searchBackups looks through backups as they lie, and as somebody with a key
// sees them.
func (c *canary) searchBackups(identity string, paths ...string) []leak {
	t := c.t
	t.Helper()
	ids := identities(t, identity)
	var leaks []leak
	for _, path := range paths {
		sealed, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		leaks = append(leaks, c.search("the sealed backup", sealed)...)
		if _, err := backup.Read(bytes.NewReader(sealed), ids, func(name string, data []byte) error {
			kind, _, _ := strings.Cut(name, "/")
			leaks = append(leaks, c.search("the backup's "+kind, data)...)
			if kind == "rows" {
				leaks = append(leaks, c.search("the backup's rows: bytes", base64Values(data))...)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		// Once more as any other program sees it: manifest, padding and all.
		plain, err := age.Decrypt(bytes.NewReader(sealed), ids...)
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(plain)
		if err != nil {
			t.Fatal(err)
		}
		leaks = append(leaks, c.search("the opened backup", all)...)
	}
	return leaks
}

// hexValues are the bytes that a dump writes in hexadecimal.
func hexValues(dump []byte) []byte {
	var all []byte
	for _, run := range regexp.MustCompile(`\\x[0-9a-f]{2,}`).FindAll(dump, -1) {
		part := make([]byte, hex.DecodedLen(len(run)-2))
		if _, err := hex.Decode(part, run[2:]); err == nil {
			all = append(append(all, part...), 0)
		}
	}
	return all
}

// base64Values are the bytes that rows hold in base64.
func base64Values(rows []byte) []byte {
	var all []byte
	for line := range bytes.Lines(rows) {
		var values []any
		if json.Unmarshal(line, &values) != nil {
			continue // the head
		}
		for _, v := range values {
			text, ok := v.(string)
			if !ok {
				continue
			}
			if part, err := base64.StdEncoding.DecodeString(text); err == nil {
				all = append(append(all, part...), 0)
			}
		}
	}
	return all
}
