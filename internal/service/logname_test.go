package service

import (
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/verifier"
)

// TestOriginNames: a checkpoint's first line chooses among the names of this
// network's log, and no others.
func TestOriginNames(t *testing.T) {
	t.Parallel()
	keys := testKeys(t)
	vkeys, err := keys.LogKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	vkey := vkeys[0]
	for line, renamed := range map[string]bool{
		"safeconduct/test": false, "safeconduct/test/0123abcd": true, "safeconduct/test/0123ABCD": false,
		"safeconduct/test/": false, "safeconduct/other/0123abcd": false, "safeconduct/test/0123abcd/0123abcd": false, "": false,
	} {
		got, err := KeyForCheckpoint(vkeys, []byte(line+"\n5\n"))
		if err != nil || (got != vkey) != renamed || renamed && !strings.HasPrefix(got, line+"+") {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
}

// TestFollowsAcrossKeys: a log that began anew shows what it follows also when the key was
// replaced that signed it, to whoever has both. A checkpoint is of the key that signed it,
// under the name that it has.
func TestFollowsAcrossKeys(t *testing.T) {
	t.Parallel()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, file := t.Context(), testKeys(t)
	keys := keystore.New(file)
	old, err := keys.Notes(ctx)
	check(err)
	signer, err := keys.LogSigner(ctx, old[0].Note)
	check(err)
	before, err := note.Sign(&note.Note{Text: "safeconduct/test\n5\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"}, signer)
	check(err)
	check(keys.RotateOwn(ctx, verifier.UseLog, old[0].KeyID))

	renamed := namedLog{file, NewOrigin("test")}
	entry, err := audit.NewNote("network.restored", map[string]string{"log": renamed.origin, "former": string(before)})
	check(err)
	plain, err := entry.MarshalJSON()
	check(err)
	begins, err := audit.NewEntry("", entry, time.Now())
	check(err)
	db, err := sqlstore.Open(ctx, filepath.Join(t.TempDir(), "safeconduct.db"))
	check(err)
	defer func() { check(db.Close()) }()
	check(storetest.Seal(ctx, db))
	_, err = db.Adopt(ctx, sqlstore.Aftermath{NewList: 1, Restart: sqlstore.LogRestart{Origin: renamed.origin, Former: string(before), Note: string(plain)}, Entry: begins})
	check(err)
	folder, err := audit.OpenFolder(t.TempDir())
	check(err)
	defer func() { check(folder.Close()) }()
	log, err := audit.New(audit.Config{Store: db.Log(), Dir: folder, Keys: logKeys{keystore.New(renamed), renamed.LogKeys}})
	check(err)
	head, err := log.Publish(ctx)
	check(err)
	check(folder.WriteFile(RestartName, plain))

	now, err := renamed.LogKeys(ctx)
	check(err)
	if former, err := Follows(folder, now[0], now); err != nil || former.Size != 5 || former.Origin != "safeconduct/test" {
		t.Errorf("with both keys: %q, %d leaves, %v", former.Origin, former.Size, err)
	}
	if _, err := Follows(folder, now[0], nil); !errors.Is(err, ErrUnlinked) {
		t.Errorf("with the new key alone: %v, want ErrUnlinked", err)
	}
	both, err := keys.LogKeys(ctx)
	check(err)
	for _, c := range []struct {
		name, want string
		signed     []byte
	}{{"of before", old[0].Note, before}, {"of now", now[0], head.Signed}} {
		if got, err := KeyForCheckpoint(both, c.signed); err != nil || got != c.want {
			t.Errorf("the checkpoint %s is of %s, %v", c.name, got, err)
		}
		if _, err := ParseHead(both, c.signed); err != nil {
			t.Errorf("the checkpoint %s: %v", c.name, err)
		}
	}
	if _, err := ParseHead(both[:1], before); !errors.Is(err, audit.ErrCheckpoint) {
		t.Errorf("one of a key that is not ours: %v", err)
	}
}

// testKeys is the key file of a log called safeconduct/test.
func testKeys(t *testing.T) *keyfile.File {
	t.Helper()
	keys, err := keyfile.Create(t.Context(), keyfile.Config{
		Path: filepath.Join(t.TempDir(), config.KeysName), Passphrase: "a passphrase for a test", WorkFactor: 1,
	}, "safeconduct/test")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
