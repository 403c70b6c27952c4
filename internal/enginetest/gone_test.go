package enginetest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/vault"
)

// kept are the values that stand in the databases and the folder of pages, each with what
// it is of.
func (a *attacked) kept() map[string]string {
	a.t.Helper()
	all := map[string]string{}
	for _, name := range []string{config.DatabaseName, config.KeyringName} {
		db := sqlitetest.Open(a.t, filepath.Join(a.cfg.Dir, name))
		of := *a
		of.db = db
		for _, table := range of.tables() {
			rows, err := db.QueryContext(a.t.Context(), "SELECT * FROM "+table.name)
			a.ok(err)
			values, into := make([]any, len(table.columns)), make([]any, len(table.columns))
			for i := range values {
				into[i] = &values[i]
			}
			for rows.Next() {
				a.ok(rows.Scan(into...))
				for _, v := range values {
					switch v := v.(type) {
					case []byte:
						all[string(v)] = name + ": " + table.name
					case string:
						all[v] = name + ": " + table.name
					}
				}
			}
			a.ok(errors.Join(rows.Err(), rows.Close()))
		}
		a.ok(db.Close())
	}
	root := os.DirFS(filepath.Join(a.cfg.Dir, config.ObjectsName))
	a.ok(fs.WalkDir(root, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, path)
		all[string(data)] = config.ObjectsName
		all[filepath.Base(path)] = config.ObjectsName
		return err
	}))
	return all
}

// piece is what is searched for: of anything that is twice as long each place has one.
type piece [16]byte

// pieces are those of values that are random in each of them.
func pieces(values map[string]string) map[piece]string {
	all := map[piece]string{}
	for value, of := range values {
		for i := 0; i+len(piece{}) <= len(value); i += len(piece{}) {
			all[piece([]byte(value[i:]))] = of
		}
	}
	return all
}

// foundIn looks for pieces at each byte of each file of the network, and tells of what they
// are and where they lie.
func (a *attacked) foundIn(gone map[piece]string) map[string]int {
	a.t.Helper()
	found := map[string]int{}
	a.ok(filepath.WalkDir(a.cfg.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if of, ok := gone[piece([]byte(strings.Repeat(filepath.Base(path), 16))[:16])]; ok {
			found[of+", in the name of a file"]++
		}
		data, err := os.ReadFile(path)
		for i := 0; i+len(piece{}) <= len(data); i++ {
			if of, ok := gone[piece(data[i:])]; ok {
				found[of+", in "+filepath.Base(path)]++
			}
		}
		return err
	}))
	return found
}

// TestGone erases a case, and looks at each byte of what is kept for anything that was
// stored of it, at any time: in free pages, indexes, write-ahead logs and files. Then it
// looks with every key that remains at what a backup of before has.
func TestGone(t *testing.T) {
	a := newAttacked(t)
	ctx := t.Context()
	ever := a.kept()
	seen := func() {
		for value, of := range a.kept() {
			ever[value] = of
		}
	}
	a.addPages()
	seen()
	a.answered()
	a.change(a.ngo, a.cardOfTomorrow, "pause")
	seen()
	_, err := a.s.Vault.UpdateDocument(ctx, a.ngo, a.document, 1, vault.Document{Kind: "PASSPORT", IssuingState: "ETH"})
	a.ok(err)
	a.begin()
	seen()
	records, err := a.s.DB.Vault().Records(ctx, a.case_)
	a.ok(err)
	before := filepath.Join(t.TempDir(), "before.db")
	a.ok(a.s.DB.Backup(ctx, before))

	identity := a.get(a.identity)
	if opened, tried := a.openWith(before, records, identity); len(opened) != tried {
		t.Fatalf("with the keys of before only these open, of %d: %v", tried, opened)
	}

	done, err := a.s.Vault.Erase(ctx, a.ngo, a.case_)
	a.ok(err)
	after := a.kept()
	gone, stays := pieces(ever), pieces(after)
	kinds := map[string]int{}
	for p, of := range gone {
		if _, ok := stays[p]; ok || p == (piece{}) || strings.HasPrefix(string(p[:]), "age-encryption") {
			delete(gone, p)
			continue
		}
		kinds[of]++
	}
	t.Logf("erased %+v; pieces that are to be gone: %v", done, kinds)
	for of, least := range map[string]int{
		config.DatabaseName + ": heads": 4 << 10 / 16, config.DatabaseName + ": cells": 10 * 1024 / 16, config.DatabaseName + ": names": 10,
		config.DatabaseName + ": idempotency": 16, config.KeyringName + ": keys": len(records) * 2048 / 16, config.ObjectsName: 3 * 64 << 10 / 16,
	} {
		if kinds[of] < least {
			t.Errorf("%d pieces of %s are gone, want %d: this test proves nothing", kinds[of], of, least)
		}
	}
	for where, n := range a.foundIn(gone) {
		t.Errorf("served: %d pieces of %s", n, where)
	}
	if opened, _ := a.openWith(before, records, identity); len(opened) > 0 {
		t.Errorf("with every key that remains these open from a backup: %v", opened)
	}
	a.ok(a.db.Close())
	a.ok(a.s.Close())
	for where, n := range a.foundIn(gone) {
		t.Errorf("closed: %d pieces of %s", n, where)
	}
}

// openWith tells what opens of the case in a copy of the database, with every key that is
// there now, and how much was tried.
func (a *attacked) openWith(copied string, records []vault.Record, identity credentials.Issued) (opened []string, tried int) {
	a.t.Helper()
	ctx := a.t.Context()
	old, err := sqlstore.Open(ctx, copied)
	a.ok(err)
	defer func() { a.ok(old.Close()) }()
	key, err := service.SealKey(ctx, a.s.Keys, a.s.Network.ID())
	a.ok(err)
	old.Seal(key)
	old.CaseKeys(a.s.Keyring.CaseKey)
	v, c := old.Vault(), old.Credentials()
	all := map[string]func() error{
		"records":        func() error { _, err := v.Records(ctx, a.case_); return err },
		"the case":       func() error { _, err := v.Record(ctx, a.case_); return err },
		"the document":   func() error { _, err := v.Record(ctx, a.document); return err },
		"history":        func() error { _, err := v.History(ctx, a.case_); return err },
		"objects":        func() error { _, err := v.Objects(ctx, a.document); return err },
		"a grant":        func() error { _, err := v.Grant(ctx, a.case_, a.mission.Agency); return err },
		"joins":          func() error { _, err := v.Joins(ctx, a.case_); return err },
		"an attestation": func() error { _, err := c.Get(ctx, a.identity); return err },
		"a card":         func() error { _, err := c.Get(ctx, a.card); return err },
		"a token":        func() error { _, err := c.Token(ctx, identity); return err },
	}
	for _, r := range records {
		all["the key file of "+r.ID] = func() error { _, err := a.s.Keyring.Get(ctx, r.ID); return err }
	}
	for what, open := range all {
		if open() == nil {
			opened = append(opened, what)
		}
	}
	return opened, len(all)
}
