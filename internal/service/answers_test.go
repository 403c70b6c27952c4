package service

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestAnswersAreFollowed: the folder remembers as what agencies were judged, and that of
// one changes with what it is, at once or with the day on which it counts.
func TestAnswersAreFollowed(t *testing.T) {
	u := newUnit(t, false)
	mark := filepath.Join(u.cfg.Dir, config.JudgedName)
	follow := func() string {
		t.Helper()
		u.ok(u.followAnswers(t.Context()))
		data, err := os.ReadFile(mark)
		u.ok(err)
		return string(data)
	}
	first := follow()
	if again := follow(); again != first {
		t.Error("nothing is another one, and it is judged anew")
	}
	u.house.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: u.by.Agency}, u.house.First, u.others[0])
	suspended := follow()
	if suspended == first {
		t.Error("an agency is suspended, and is judged as it was")
	}
	u.house.Do(roster.DoResumeAgency, "", &roster.ResumeAgency{ID: u.by.Agency}, u.house.First, u.others[0])
	if follow() != suspended {
		t.Error("that it is let in counts before its day")
	}
	u.clock = u.clock.Add(roster.Delay)
	if follow() != first {
		t.Error("it was let in, and is judged as it was")
	}
	u.ok(os.WriteFile(mark, []byte("not what was written there"), 0o600))
	if follow() != first {
		t.Error("a mark that nobody can read is not written anew")
	}
}
