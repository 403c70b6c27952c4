package main

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/demo"
	"github.com/safeconduct/safeconduct/verifier"
)

// wantStatus is what the documentation promises, written out once more.
var wantStatus = map[verifier.State]int{
	verifier.Confirmed: 0, verifier.Unconfirmed: 0,
	verifier.StatusOld: 3, verifier.IssuerUnknown: 3, verifier.NotReady: 3, verifier.CodeNotGiven: 3,
	verifier.NotOurs: 4, verifier.Unreadable: 4,
	verifier.NotYetInUse: 2, verifier.Expired: 2, verifier.Paused: 2, verifier.Replaced: 2, verifier.OutOfUse: 2,
	verifier.DoesNotMatch: 2, verifier.WrongCode: 2, verifier.CodeLocked: 2, verifier.NewerVersion: 2,
}

// TestEveryState: each of the seventeen has a status, words, a next step and a
// colour, and the demo promises the same status.
func TestEveryState(t *testing.T) {
	if got := slices.Collect(maps.Keys(wantStatus)); len(got) != len(verifier.States) {
		t.Fatalf("got %d states here, want %d", len(got), len(verifier.States))
	}
	for _, s := range verifier.States {
		if got := exitStatus(s); got != wantStatus[s] {
			t.Errorf("%s: got status %d, want %d", s, got, wantStatus[s])
		}
		if got := demo.ExitStatus(s); got != wantStatus[s] {
			t.Errorf("%s: the demo expects status %d, want %d", s, got, wantStatus[s])
		}
		w := wordsOf(s)
		if w.sign == "" || w.heading == "" || w.next == "" || bands[s] == "" {
			t.Errorf("%s has no sign, heading, next step or band", s)
		}
	}
	if got := exitStatus("something new"); got != exitNo {
		t.Errorf("a state that is not known gives %d, want %d", got, exitNo)
	}
}

// TestTimeIsTakenLast: a pack that was published while somebody typed the code is
// not from the future, so the clock is asked when nothing is waited for any more.
func TestTimeIsTakenLast(t *testing.T) {
	input := filepath.Join(t.TempDir(), "card.txt")
	if err := os.WriteFile(input, []byte(strings.Repeat("5", 667)), 0o600); err != nil {
		t.Fatal(err)
	}
	asked, typed := false, false
	clock := func() time.Time { asked = true; return time.Now() }
	typing := readerFunc(func(p []byte) (int, error) {
		typed = true
		if asked {
			t.Error("the clock was asked before the code was typed")
		}
		return copy(p, "0123456789\n"), io.EOF
	})
	_ = verifyFlags{code: "-"}.run(t.Context(), typing, io.Discard, io.Discard, input, clock) // not ready: there is no pack
	if !asked || !typed {
		t.Errorf("the clock was asked: %v; the code was typed: %v", asked, typed)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
