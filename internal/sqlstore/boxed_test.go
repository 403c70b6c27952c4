package sqlstore

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/vault"
)

// smallThings fills every boxed table, and returns texts that stand in none of them.
func smallThings(t *testing.T, db *DB) (secrets []string) {
	t.Helper()
	ctx := t.Context()
	id := func() string {
		made := storetest.NewID()
		secrets = append(secrets, made)
		return made
	}
	random := func() (b [32]byte) {
		_, _ = rand.Read(b[:])
		secrets = append(secrets, string(b[:]))
		return b
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	agency, person, day := id(), id(), storetest.Day(3)
	for _, do := range []string{"credential.issue", "agency.admit"} {
		secrets = append(secrets, do)
		act, err := approval.New(id(), do, agency, person, map[string]string{"case": id()}, day, time.Hour)
		ok(err)
		sealed := []byte(nil)
		if do == "credential.issue" {
			sealed = make([]byte, 3000)
		}
		ok(db.People().AddRequest(ctx, people.Request{Act: act, State: people.Waits, Sealed: sealed}, false, nil))
	}
	ok(db.Sessions().Add(ctx, signin.Row{Hash: random(), Person: person, Made: day, Seen: day, Verified: day, Seal: []byte("seal")}))
	challenge, passkey := random(), random()
	_, err := db.Sessions().Spend(ctx, challenge, day)
	ok(err)
	_, err = db.Sessions().Used(ctx, passkey, signin.Use{SignCount: 77})
	ok(err)
	invitation := network.Invitation{ID: id(), Agency: agency, Label: "the gate at the border", Secret: random(), InvitedBy: person, Expires: storetest.Day(9)}
	secrets = append(secrets, invitation.Label)
	ok(db.Network().AddInvitation(ctx, invitation))
	ok(db.Network().EnrolDevice(ctx, invitation.ID, day, network.Device{ID: id(), Agency: agency, Label: invitation.Label, Recipient: make([]byte, 1300), Token: random(), InvitedBy: person, Pending: true}))
	ok(db.Credentials().Refused(ctx, agency, day))
	ok(db.Vault().Spend(ctx, day, vault.Budget{Who: "actor:" + person, Limit: 3}, vault.Budget{Who: "agency:" + agency, Limit: 3}))
	ok(db.Vault().AddNonce(ctx, vault.Nonce{Nonce: id(), Actor: person, Agency: agency, About: "what it is about", Expires: day}, day))
	gone := id()
	ok(db.Vault().BeginErasure(ctx, vault.Erasure{Case: gone, Agency: agency, Records: []string{gone, id()}, Day: day, MAC: make([]byte, 32)}))
	claim, _, err := db.Idempotency(nil).Begin(ctx, person, id(), digest("r"))
	ok(err)
	ok(db.Idempotency(nil).Finish(ctx, claim, id(), []byte("what was answered")))
	ok(db.BindKeyring(ctx, Bond{ID: "0123", Changes: 1}, []string{id()}))
	return append(secrets, "what was answered", "what it is about", "actor:", "agency:")
}

// TestBoxedTellNothing: no id, no kind and no role stands in the files.
func TestBoxedTellNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		db := on.db(t)
		for _, text := range smallThings(t, db) {
			if on.holds(t, db.base, text) {
				t.Errorf("%q is on the disk", text)
			}
		}
		if problems, err := db.CheckSeals(t.Context()); err != nil || len(problems) > 0 {
			t.Errorf("%q, %v", problems, err)
		}
	})
}

// TestBoxedSizes: rows of a table have one size, also those of which one says more.
func TestBoxedSizes(t *testing.T) {
	db := openDB(t)
	for range 3 {
		smallThings(t, db)
	}
	ok := db.Credentials().Refused(t.Context(), "an agency with a longer name than an id has", storetest.Day(4))
	if ok != nil {
		t.Fatal(ok)
	}
	for _, table := range []string{"requests", "sessions", "passkey_uses", "invitations", "enrolments", "card_counts", "lookup_budgets", "nonces", "erasures", "idempotency"} {
		sizes, err := list(t.Context(), db.read, func(row scanner) (n int, err error) { return n, row.Scan(&n) }, "SELECT DISTINCT length(box) FROM "+table)
		if err != nil || len(sizes) != 1 {
			t.Errorf("%s has rows of %v bytes, %v", table, sizes, err)
		}
	}
	fronts, err := list(t.Context(), db.read, func(row scanner) (n int, err error) { return n, row.Scan(&n) }, "SELECT DISTINCT length(front) FROM requests")
	if err != nil || len(fronts) != 1 {
		t.Errorf("fronts of %v bytes, %v", fronts, err)
	}
}

// TestAnswersAreNotLinked: answers about one case stand under many names, and erasing it
// finds all of them.
func TestAnswersAreNotLinked(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		db := on.db(t)
		i := db.Idempotency(nil)
		const some = 40
		for n := range some {
			claim := begin(t, i, "a", fmt.Sprint("a made-up key, the ", n), "r")
			if err := i.Finish(t.Context(), claim, "5eed", []byte("answer")); err != nil {
				t.Fatal(err)
			}
		}
		tags, err := list(t.Context(), db.read, scanBytes, "SELECT DISTINCT tag FROM idempotency")
		if err != nil || len(tags) < some/2 {
			t.Errorf("%d answers under %d names, %v", some, len(tags), err)
		}
		if err := i.Forget(t.Context(), "5eed"); err != nil {
			t.Fatal(err)
		}
		left, err := list(t.Context(), db.read, scanBytes, "SELECT id FROM idempotency")
		if err != nil || len(left) > 0 {
			t.Errorf("%d answers are left, %v", len(left), err)
		}
	})
}

// TestBoxedMissing: a row that was taken away is missed where all are wanted, and one
// that was changed, swapped or put back is none.
func TestBoxedMissing(t *testing.T) {
	on := sqlitePlace
	for what, attack := range map[string]string{
		"removed":  "DELETE FROM enrolments WHERE name = (SELECT MIN(name) FROM enrolments)",
		"swapped":  "UPDATE enrolments SET box = (SELECT MAX(box) FROM enrolments) WHERE box = (SELECT MIN(box) FROM enrolments)",
		"of a bit": "UPDATE enrolments SET box = X'00' || substr(box, 2) WHERE name = (SELECT MIN(name) FROM enrolments) AND hex(substr(box, 1, 1)) <> '00'",
	} {
		t.Run(what, func(t *testing.T) {
			db := on.db(t)
			smallThings(t, db)
			smallThings(t, db)
			if all, err := db.Network().Devices(t.Context(), ""); err != nil || len(all) != 2 {
				t.Fatalf("%d devices, %v", len(all), err)
			}
			res, err := db.write.ExecContext(t.Context(), attack)
			if err != nil {
				t.Fatal(err)
			}
			if n, _ := res.RowsAffected(); n == 0 {
				t.Skip("the first byte was 0")
			}
			_, err = db.Network().Devices(t.Context(), "")
			if untrue, ok := errors.AsType[*SealError](err); !ok || !strings.Contains(untrue.Table+untrue.ID, "enrolments") {
				t.Errorf("devices: %v", err)
			}
			problems, err := db.CheckSeals(t.Context())
			if err != nil || !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "enrolments") }) {
				t.Errorf("%q, %v", problems, err)
			}
		})
	}
}

// TestCounts: one row of an agency holds all its days, forgets old ones, and keeps its
// size.
func TestCounts(t *testing.T) {
	db := openDB(t)
	limits := []credentials.Limit{{Days: 1, Cards: 2}, {Days: 30, Cards: 1000}}
	count := func(day int) error {
		return db.sealed(t.Context(), func(tx *sql.Tx, h *heads) error {
			return countCard(t.Context(), tx, h, "an agency", storetest.Day(day), limits)
		})
	}
	var sizes []int
	for day := range 100 {
		if err := errors.Join(count(day), count(day)); err != nil {
			t.Fatal(err)
		}
		if err := count(day); !errors.Is(err, credentials.ErrQuota) {
			t.Fatalf("day %d, one too many: %v", day, err)
		}
		rows, err := cardCountRows.rows(t.Context(), db.read)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		sizes = append(sizes, len(rows[0].box))
		var made cardsMade
		if err := cardCountRows.read(db.seals, rows[0], &made); err != nil || len(made.Days) != min(day, keptCounts)+1 {
			t.Fatalf("%d days are kept, %v", len(made.Days), err)
		}
	}
	if len(slices.Compact(sizes)) != 1 {
		t.Errorf("%v bytes", sizes)
	}
}
