package sqlstore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/safeconduct/safeconduct/internal/pgtest"
)

// turnAround is a step for tests: it turns a mark in every body around, so that one that
// was done twice, or not at all, is seen.
func turnAround(at func(batch int)) step {
	const slotsEach = slots / 16
	done := 0
	return step{9001, func(ctx context.Context, _ *sql.Tx, h *heads, place []byte) ([]byte, float64, error) {
		var first uint64
		if place != nil {
			first = binary.BigEndian.Uint64(place)
		}
		found, err := h.between(ctx, int64(first), slotsEach)
		if err != nil {
			return nil, 0, err
		}
		all, err := h.bodiesOf(ctx, found, nil)
		if err != nil {
			return nil, 0, err
		}
		for _, b := range all {
			b.Findable = !b.Findable
			b.change()
		}
		done++
		at(done)
		if first += slotsEach; first == slots {
			return nil, 1, nil
		}
		return binary.BigEndian.AppendUint64(nil, first), float64(first) / slots, nil
	}}
}

// openAhead opens a database with a program that brings a step.
func openAhead(t *testing.T, where string, s step) *DB {
	t.Helper()
	db, err := openMain(t.Context(), where, []step{s})
	ok(t, err)
	t.Cleanup(func() { ok(t, db.Close()) })
	return sealing(t, db)
}

func turned(t *testing.T, db *DB) (yes, no int) {
	t.Helper()
	all, err := walk(t.Context(), db, func(_ *heads, b *body) ([]bool, error) { return []bool{b.Findable}, nil })
	ok(t, err)
	for _, is := range all {
		if is {
			yes++
		} else {
			no++
		}
	}
	return yes, no
}

// TestStep: a process that does a step is killed in the middle of a batch and behind
// another. The next one goes on where it was, says how far it is, and does each batch
// once; from the first one on no program that does not know the step opens the database.
func TestStep(t *testing.T) {
	const cases = 48
	for name, where := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "safeconduct.db") },
		"postgres": func(t *testing.T) string { return pgtest.Start(t) },
	} {
		t.Run(name, func(t *testing.T) {
			at := where(t)
			before, err := Open(t.Context(), at)
			ok(t, err)
			sealing(t, before)
			for range cases {
				aCase(t, before)
			}
			ok(t, before.Finished(t.Context()))
			ok(t, before.Close())

			for _, killed := range []int{1, 4, 3} { // in its first batch, in its fourth, in its third
				c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStepOfAnother$")
				c.Env = append(os.Environ(), "STEP_AT="+at, "STEP_KILLED="+strconv.Itoa(killed))
				out, err := c.CombinedOutput()
				if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL { //nolint:forcetypeassert // of this system
					t.Fatalf("the process was not killed: %v\n%s", err, out)
				}
				if _, err := Open(t.Context(), at); !errors.Is(err, ErrNewerStores) {
					t.Errorf("an older program opens it in the middle: %v", err)
				}
			}
			var parts []float64
			after := openAhead(t, at, turnAround(func(int) {}))
			if err := after.Finished(t.Context()); !errors.Is(err, ErrUnfinished) {
				t.Errorf("in the middle: %v", err)
			}
			if yes, no := turned(t, after); yes == 0 || no == 0 {
				t.Errorf("%d and %d are done: none of the batches before is", yes, no)
			}
			ok(t, after.Finish(t.Context(), func(_ int64, part float64) { parts = append(parts, part) }))
			if len(parts) != 16-3-2 || !slices.IsSorted(parts) || parts[0] != 6./16 || parts[len(parts)-1] != 1 {
				t.Errorf("it was told %v", parts)
			}
			ok(t, after.Finish(t.Context(), func(int64, float64) { t.Error("something was done again") }))
			ok(t, after.Finished(t.Context()))
			if yes, no := turned(t, after); yes != cases || no != 0 {
				t.Errorf("of %d bodies %d were done and %d not", cases, yes, no)
			}
			problems, err := after.CheckSeals(t.Context())
			if ok(t, err); len(problems) > 0 {
				t.Errorf("behind it: %q", problems)
			}
			if _, err := Open(t.Context(), at); !errors.Is(err, ErrNewerStores) {
				t.Errorf("an older program opens it: %v", err)
			}
		})
	}
}

// TestStepOfAnother is the process that is killed.
func TestStepOfAnother(t *testing.T) {
	at, killed := os.Getenv("STEP_AT"), os.Getenv("STEP_KILLED")
	if at == "" {
		t.Skip("of TestStep")
	}
	db := openAhead(t, at, turnAround(func(batch int) {
		if strconv.Itoa(batch) == killed {
			ok(t, syscall.Kill(os.Getpid(), syscall.SIGKILL))
		}
	}))
	ok(t, db.Finish(t.Context(), func(int64, float64) {}))
}

// TestStepAlone: nothing is begun beside a process that may be of a version before, and
// that one goes on.
func TestStepAlone(t *testing.T) {
	at := pgtest.Start(t)
	before := openAt(t, at)
	aCase(t, before)
	ok(t, before.Heartbeat(t.Context()))
	after := openAhead(t, at, turnAround(func(int) { t.Error("a batch was done") }))
	if err := after.Finish(t.Context(), func(int64, float64) {}); !errors.Is(err, ErrNotAlone) {
		t.Errorf("beside another process: %v", err)
	}
	ok(t, before.Finished(t.Context()))
	ok(t, before.Leave(t.Context()))

	both := []*DB{openAhead(t, at, turnAround(func(int) {})), openAhead(t, at, turnAround(func(int) {}))}
	errs := make(chan error, len(both))
	for _, db := range both {
		go func() { errs <- db.Finish(context.Background(), func(int64, float64) {}) }()
	}
	ok(t, errors.Join(<-errs, <-errs))
	if yes, no := turned(t, both[0]); yes != 1 || no != 0 {
		t.Errorf("%d are so and %d not", yes, no)
	}
}
