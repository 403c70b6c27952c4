package sqlstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/verifier"
)

// TestAfterBackup goes through everything that can meet: what the backup
// wanted, what it had published, and what is public.
func TestAfterBackup(t *testing.T) {
	for wanted := range uint8(4) {
		for before := range uint8(4) {
			for public := range uint8(4) {
				got := afterBackup(wanted, before, public)
				if public != 0 && got != public && wanted != 1 && wanted != 3 {
					t.Errorf("%d, %d, public %d: %d takes a public word back", wanted, before, public, got)
				}
				if (wanted == 1 || wanted == 3) && got != 1 && got != 3 {
					t.Errorf("%d, %d, public %d: %d brings back what has ended", wanted, before, public, got)
				}
				if public == 0 && wanted != before && got != wanted {
					t.Errorf("%d, %d, public %d: %d forgets what waited", wanted, before, public, got)
				}
				if public == 0 && wanted == before && wanted == 2 && got != 0 {
					t.Errorf("a pause that was lifted in public came back")
				}
			}
		}
	}
}

// TestAdopt brings an old database up to a newer pack.
func TestAdopt(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		ctx := t.Context()
		db := on.db(t)
		exec := func(query string, args ...any) {
			t.Helper()
			if _, err := db.write.ExecContext(ctx, query, args...); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		}
		exec("INSERT INTO status_lists (number, used, closed, status, answers) VALUES (4, 3, $1, 'old', 'old')", false)
		exec(`INSERT INTO network (one, id, name, base_url, desk, demo, generation, pack_sequence, trust_sequence, trust_stored, trust_list)
			VALUES (1, 'n', '', '', '', $1, 1, 10, 3, 3, 'x')`, false)
		exec("INSERT INTO epochs (id, created_day, seal_day, end_day, reduced) VALUES (1, 1, 2, 3, $1)", false)
		exec("INSERT INTO agencies (id, version) VALUES ('a', 1)")
		for i, kid := range []string{"k0", "k1", "k2"} {
			exec("INSERT INTO agency_keys (agency_id, kid, place, jwk, from_day, to_day, revoked) VALUES ('a', $1, $2, $3, 1, 2, $4)", kid, i, []byte("{}"), false)
		}
		exec("INSERT INTO log_entries (id, hash, day, position) VALUES ('old', $1, 1, 0)", make([]byte, 32))
		status, answers := lists(t), lists(t)
		for i, row := range []struct {
			state          credentials.State
			wanted, public uint8
			answer         uint8
		}{
			{credentials.Active, 0, 1, 0}, {credentials.Active, 0, 2, 1}, {credentials.Paused, 2, 0, 0}, {credentials.Draft, 0, 1, 0}, {credentials.Active, 0, 0, 0},
		} {
			exec(`INSERT INTO issued (id, kind, case_id, agency_id, about, replaces, state, list, list_index, digest, issued_day, until_day, review_day, matched)
				VALUES ($1, 'card', 'c', 'a', '', '', $2, 4, $3, $4, 1, 1, 0, $5)`, fmt.Sprint("i", i), row.state, i, make([]byte, 32), false)
			exec(`INSERT INTO status_entries (list, list_index, decoy, wanted_status, published_status, wanted_answer, published_answer, waiting)
				VALUES (4, $1, $2, $3, $3, 0, 0, 0)`, i, false, row.wanted)
			set(t, status, i, row.public)
			set(t, answers, i, row.answer)
		}
		exec(`INSERT INTO status_entries (list, list_index, decoy, wanted_status, published_status, wanted_answer, published_answer, waiting)
			VALUES (4, 100, $1, 0, 0, 0, 0, 0)`, true)
		set(t, status, 100, 3)  // a decoy went on
		set(t, status, 200, 2)  // of a record that is lost, or a decoy
		set(t, answers, 201, 1) // the same

		note, err := audit.NewNote("network.restored", map[string]string{})
		if err != nil {
			t.Fatal(err)
		}
		after := Aftermath{
			Lists: []PublishedList{
				{Number: 4, Status: status, Answers: answers, StatusToken: "s4", AnswersToken: "a4"},
				{Number: 5, Status: lists(t), Answers: lists(t), StatusToken: "s5", AnswersToken: "a5"}, // opened after the backup
			},
			Burned: []uint32{1, 77}, NewList: 9, Sequence: 5000, Day: 20000,
			Agencies: []verifier.Agency{
				{ID: "a", Suspended: true, Keys: []verifier.AgencyKey{
					{KeyID: "k0"}, {KeyID: "k1", Revoked: true}, {KeyID: "k2", Compromised: &verifier.Compromise{At: 5, Logged: []string{}}},
				}},
				{ID: "b", Name: "Later NGO"},
			},
			Restart: LogRestart{Origin: "o/2", Former: "f", Note: "n"},
			Entry:   audit.NewEntry("", note, nil, time.Unix(0, 0)),
		}
		done, err := db.Adopt(ctx, after)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%+v", done); got != "{Changed:4 Held:2 Burned:1 Ended:2}" {
			t.Errorf("the report: %s", got)
		}
		ask := func(want, query string) {
			t.Helper()
			rows, err := list(ctx, db.read, func(row scanner) (s string, err error) { return s, row.Scan(&s) }, query)
			if err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			if got := fmt.Sprint(rows); got != want {
				t.Errorf("%s\n got %s\nwant %s", query, got, want)
			}
		}
		ask("[withdrawn paused active draft active]", "SELECT state FROM issued ORDER BY id")
		ask("[0:1:1 1:2:2 2:0:0 3:1:1 4:0:0 100:3:3 200:2:2 201:0:0]",
			"SELECT list_index || ':' || wanted_status || ':' || published_status FROM status_entries WHERE list = 4 ORDER BY list_index")
		ask("[200 201]", "SELECT list_index FROM status_entries WHERE held AND NOT decoy ORDER BY list_index")
		ask("[4:s4 5:s5]", "SELECT number || ':' || status FROM status_lists WHERE closed AND frozen ORDER BY number")
		ask("[5000:5000]", "SELECT pack_sequence || ':' || trust_sequence FROM network WHERE trust_list IS NULL")
		ask("[20000]", "SELECT burned_day FROM epochs")
		ask("[k1]", "SELECT kid FROM agency_keys WHERE revoked")
		ask("[k2]", "SELECT kid FROM agency_keys WHERE compromised IS NOT NULL")
		ask("["+after.Entry.ID+"]", "SELECT id FROM log_entries WHERE position = 0")
		if open, err := db.Credentials().OpenList(ctx); err != nil || open != 9 {
			t.Errorf("new entries go to list %d, %v", open, err)
		}
		if frozen, err := db.Credentials().Frozen(ctx, 9); err != nil || frozen {
			t.Errorf("the new list is frozen: %v, %v", frozen, err)
		}
		if r, err := db.Log().Restarts(ctx); err != nil || len(r) != 1 || r[0] != after.Restart {
			t.Errorf("restarts: %+v, %v", r, err)
		}
		// Whatever is closed takes nothing, although its capacity is not used up.
		err = db.Credentials().Reserve(context.WithoutCancel(ctx), credentials.Issued{ID: "new", List: 4, Index: 5000}, nil)
		if err == nil {
			t.Error("a place of an old list was given out")
		}
	})
}

func lists(t *testing.T) *statuslist.List {
	t.Helper()
	l, err := statuslist.New(2, statuslist.Entries)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func set(t *testing.T, l *statuslist.List, i int, v uint8) {
	t.Helper()
	if err := l.Set(i, v); err != nil {
		t.Fatal(err)
	}
}
