package verifier

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
)

// TestTries plays a device on which somebody guesses.
func TestTries(t *testing.T) {
	i := newIssued(t)
	i.envelope.LeaseUntil = noon.AddDate(0, 0, 20).Unix()
	p := i.open(noon)
	tries := &Tries{}
	try := func(code string, at time.Time, state State, reason Reason, left int, until time.Time) {
		t.Helper()
		v := p.verifyOnce(Presentation{Text: i.digits, Code: &code, Tries: tries}, at)
		if v.State != state || v.Reason != reason || v.TriesLeft != left || !v.LockedUntil.Equal(until) {
			t.Errorf("got %v, %d left, until %v; want %s (%s), %d left, until %v", v, v.TriesLeft, v.LockedUntil, state, reason, left, until)
		}
		// What a caller keeps is what counts next time.
		b, err := json.Marshal(tries)
		if err != nil {
			t.Fatal(err)
		}
		tries = &Tries{}
		if err := json.Unmarshal(b, tries); err != nil {
			t.Fatal(err)
		}
	}
	never := time.Time{}
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

	try("12345", at(0), WrongCode, ReasonCodeFormat, 5, never) // of another form: not a try
	for n := range TriesPerHour {
		try(wrongCode, at(n), WrongCode, ReasonCodeWrong, 4-n, never)
		try("", at(n), WrongCode, ReasonCodeFormat, 4-n, never)
	}
	try(wrongCode, at(10), CodeLocked, ReasonTriesHour, 0, at(60))
	try(rightCode, at(10), CodeLocked, ReasonTriesHour, 0, at(60)) // the right one as well
	try("12345", at(10), WrongCode, ReasonCodeFormat, 0, never)
	// A clock that is set back opens nothing.
	try(rightCode, noon.Add(-30*time.Minute), CodeLocked, ReasonTriesHour, 0, at(60))
	// A second before the end, and at it.
	try(rightCode, at(60).Add(-time.Second), CodeLocked, ReasonTriesHour, 0, at(60))
	try(rightCode, at(60), Unconfirmed, ReasonNone, 0, never)
	// What was right does not forget what was wrong.
	try(wrongCode, at(60), WrongCode, ReasonCodeWrong, 0, never)
	try(wrongCode, at(60), CodeLocked, ReasonTriesHour, 0, at(61))
	for n := range 4 {
		try(wrongCode, at(200+n), WrongCode, ReasonCodeWrong, 3-n, never)
	}
	// Ten in a day: locked until a day after the first of them.
	try(rightCode, at(500), CodeLocked, ReasonTriesDay, 0, at(24*60))
	try(rightCode, at(24*60).Add(-time.Second), CodeLocked, ReasonTriesDay, 0, at(24*60))
	try(rightCode, at(24*60), Unconfirmed, ReasonNone, 0, never)

	// Another card has tries of its own.
	c, err := card.Parse(i.digits)
	if err != nil {
		t.Fatal(err)
	}
	c[0] ^= 1
	if left := tries.left(TryHandle(c), at(500)); left != TriesPerHour {
		t.Errorf("another card has %d tries left, want %d", left, TriesPerHour)
	}
}

// TestTriesForget: what is older than a day goes, on the next wrong code.
func TestTriesForget(t *testing.T) {
	tries := &Tries{}
	tries.count("a", noon)
	tries.count("b", noon.Add(time.Hour))
	tries.count("c", noon.Add(24*time.Hour))
	if _, there := tries.Wrong["a"]; there || len(tries.Wrong) != 2 {
		t.Errorf("kept %v, want b and c", tries.Wrong)
	}
}

// TestTriesUnordered: a clock that went back and forth leaves times out of
// order; the lock ends when the last counted try is old enough.
func TestTriesUnordered(t *testing.T) {
	at := func(s int64) int64 { return noon.Unix() + s }
	tries := &Tries{Wrong: map[string][]int64{"x": {at(50), at(40), at(10), at(30), at(20)}}}
	until, reason := tries.locked("x", noon.Add(time.Minute))
	if want := noon.Add(10*time.Second + time.Hour); reason != ReasonTriesHour || !until.Equal(want) {
		t.Errorf("got %v until %v, want %s until %v", reason, until, ReasonTriesHour, want)
	}
	if !slices.Equal(tries.Wrong["x"], []int64{at(50), at(40), at(10), at(30), at(20)}) {
		t.Error("looking changed what was kept")
	}
}

// TestTriesMerge: what two have counted is counted once, and what is older than a
// day by nobody.
func TestTriesMerge(t *testing.T) {
	at := func(s int64) int64 { return noon.Unix() + s }
	old := noon.Add(-25 * time.Hour).Unix()
	one := Tries{Wrong: map[string][]int64{"a": {at(1), at(2), at(2)}, "b": {old}, "c": {old, at(9), at(3)}}}
	two := Tries{Wrong: map[string][]int64{"a": {at(2), at(5)}, "d": {at(4)}}}
	want := Tries{Wrong: map[string][]int64{"a": {at(1), at(2), at(2), at(5)}, "c": {at(3), at(9)}, "d": {at(4)}}}
	now := noon.Add(time.Minute)
	for _, got := range []Tries{one.Merge(two, now), two.Merge(one, now), one.Merge(two, now).Merge(one, now)} {
		if !got.Equal(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if len(one.Wrong) != 3 || len(two.Wrong["a"]) != 2 {
		t.Error("merging changed what was merged")
	}
	if got := (Tries{}).Merge(Tries{}, now); !got.Equal(Tries{}) || !got.Equal(Tries{Wrong: map[string][]int64{}}) {
		t.Errorf("nothing and nothing are %v", got)
	}
	if one.Equal(two) || one.Equal(Tries{}) {
		t.Error("what differs is equal")
	}
	got := one.Merge(Tries{}, now)
	got.count("c", now)
	if len(one.Wrong["c"]) != 3 {
		t.Error("a copy shares what it copied")
	}
}
