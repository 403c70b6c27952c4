package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
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
		old := [32]byte{1, 2, 3}
		ok(t, db.tx(ctx, func(tx *sql.Tx) error { return db.leaves(tx).add(ctx, tx, old) }))
		ok(t, db.Log().CloseWindow(ctx, 0))
		before, err := db.Log().Sequenced(ctx, 0, 1000)
		ok(t, err)
		status, answers := lists(t), lists(t)
		c, caseID := db.Credentials(), begun(t, db)
		for i, row := range []struct {
			state          credentials.State
			wanted, public uint8
			answer         uint8
		}{
			{credentials.Active, 0, 1, 0}, {credentials.Active, 0, 2, 1}, {credentials.Paused, 2, 0, 0}, {credentials.Draft, 0, 1, 0}, {credentials.Active, 0, 0, 0},
		} {
			d := draftAt(4, uint32(i))
			d.ID, d.Case = credentials.ID(fmt.Sprint("i", i)), caseID
			ok(t, c.Reserve(ctx, d, nil))
			if row.state != credentials.Draft {
				ok(t, c.Complete(ctx, credentials.Completion{ID: d.ID}))
			}
			if row.state == credentials.Paused {
				ok(t, c.Apply(ctx, nil, []credentials.Change{{ID: d.ID, From: []credentials.State{credentials.Active}, To: row.state}}, nil))
			}
			ok(t, db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
				return changePlace(ctx, tx, h, 4, d.Index, func(p *placeRow) error {
					if p.WantedStatus != row.wanted {
						t.Errorf("place %d: wanted %d", i, p.WantedStatus)
					}
					p.PublishedStatus = p.WantedStatus
					return nil
				})
			}))
			set(t, status, i, row.public)
			set(t, answers, i, row.answer)
		}
		ok(t, db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
			return addPlace(ctx, tx, h, placeRow{list: 4, Entry: credentials.Entry{Index: 100, Decoy: true}})
		}))
		set(t, status, 100, 3)  // a decoy went on
		set(t, status, 200, 2)  // of a record that is lost, or a decoy
		set(t, answers, 201, 1) // the same

		note, err := audit.NewNote("network.restored", map[string]string{})
		if err != nil {
			t.Fatal(err)
		}
		began, err := audit.NewEntry("", note, time.Unix(0, 0))
		ok(t, err)
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
			Entry:   began,
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
		var states []credentials.State
		for i := range 5 {
			d, err := c.Get(ctx, credentials.ID(fmt.Sprint("i", i)))
			ok(t, err)
			states = append(states, d.State)
		}
		if got := fmt.Sprint(states); got != "[withdrawn paused active draft active]" {
			t.Errorf("states: %s", got)
		}
		var places []placeRow
		ok(t, db.believed(ctx, func(h *heads) (err error) {
			places, err = placesOf(ctx, h, 4)
			return err
		}))
		slices.SortFunc(places, func(a, b placeRow) int { return int(a.Index) - int(b.Index) })
		var stand, held []string
		for _, p := range places {
			stand = append(stand, fmt.Sprintf("%d:%d:%d", p.Index, p.WantedStatus, p.PublishedStatus))
			if p.held && !p.Decoy {
				held = append(held, fmt.Sprint(p.Index))
			}
		}
		if got := fmt.Sprint(stand); got != "[0:1:1 1:2:2 2:0:0 3:1:1 4:0:0 100:3:3 200:2:2 201:0:0]" {
			t.Errorf("places: %s", got)
		}
		if got := fmt.Sprint(held); got != "[200 201]" {
			t.Errorf("held: %s", got)
		}
		ask("[4:s4 5:s5]", "SELECT number || ':' || status FROM status_lists WHERE closed AND frozen ORDER BY number")
		ask("[5000:5000]", "SELECT pack_sequence || ':' || trust_sequence FROM network WHERE trust_list IS NULL")
		ask("[20000]", "SELECT burned_day FROM epochs")
		ask("[k1]", "SELECT kid FROM agency_keys WHERE revoked")
		ask("[k2]", "SELECT kid FROM agency_keys WHERE compromised IS NOT NULL")
		leaves, err := db.Log().Sequenced(ctx, 0, 1000)
		if err != nil || len(leaves) != 2*audit.Window || leaves[0] != after.Entry.Hash || !slices.Equal(leaves[audit.Window:], before) || !slices.Contains(before, old) {
			t.Errorf("the log begins with %x of %d leaves, %v", leaves[0], len(leaves), err)
		}
		if open, err := db.Credentials().OpenList(ctx); err != nil || open != 9 {
			t.Errorf("new entries go to list %d, %v", open, err)
		}
		if frozen, err := db.Credentials().Frozen(ctx, 9); err != nil || frozen {
			t.Errorf("the new list is frozen: %v, %v", frozen, err)
		}
		if r, err := db.Log().Restarts(ctx); err != nil || len(r) != 1 || r[0].Origin != "o/2" || r[0].Former != "f" || r[0].Note != "n" || r[0].carried != audit.Window {
			t.Errorf("restarts: %+v, %v", r, err)
		}
		// Whatever is closed takes nothing, although its capacity is not used up.
		err = db.Credentials().Reserve(context.WithoutCancel(ctx), credentials.Issued{ID: "new", Case: caseID, List: 4, Index: 5000}, nil)
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
