package verifier

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
	try(wrongCode, at(10), CodeLocked, ReasonTriesHour, 0, at(120))
	try(rightCode, at(10), CodeLocked, ReasonTriesHour, 0, at(120)) // the right one as well
	try("12345", at(10), WrongCode, ReasonCodeFormat, 0, never)
	// A clock that is set back opens nothing.
	try(rightCode, noon.Add(-30*time.Minute), CodeLocked, ReasonTriesHour, 0, at(120))
	// A second before the end, and at it.
	try(rightCode, at(120).Add(-time.Second), CodeLocked, ReasonTriesHour, 0, at(120))
	try(rightCode, at(120), Unconfirmed, ReasonNone, 0, never)
	// What was right does not forget what was wrong.
	for n := range 5 {
		try(wrongCode, at(120+n), WrongCode, ReasonCodeWrong, 4-n, never)
	}
	// Ten in a day: locked until the first five count no longer.
	try(rightCode, at(125), CodeLocked, ReasonTriesDay, 0, at(25*60))
	try(rightCode, at(25*60).Add(-time.Second), CodeLocked, ReasonTriesDay, 0, at(25*60))
	try(rightCode, at(25*60), Unconfirmed, ReasonNone, 0, never)

	// Another card has tries of its own, and so has another device.
	c, err := card.Parse(i.digits)
	if err != nil {
		t.Fatal(err)
	}
	epoch := p.keys.Live[0]
	tries.count(p.handle(c, epoch), at(25*60))
	other := c
	other[0] ^= 1
	for what, handle := range map[string]string{"another card": p.handle(other, epoch), "another device": (&Pack{triesKey: []byte("another")}).handle(c, epoch)} {
		if left := tries.left(handle, at(25*60)); left != TriesPerHour {
			t.Errorf("%s has %d tries left, want %d", what, left, TriesPerHour)
		}
	}
}

// TestTriesHold: by hours of the clock as by seconds, there are never more than five wrong
// codes within an hour, nor ten within a day. And nobody is shut out for longer than an
// hour beyond that.
func TestTriesHold(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var tries Tries
		var tried []time.Time
		within := func(now time.Time, span time.Duration) (n int) {
			for _, at := range tried {
				if at.After(now.Add(-span)) {
					n++
				}
			}
			return n
		}
		now := noon.Add(time.Duration(chance.IntN(3600)) * time.Second)
		for range 60 {
			now = now.Add(time.Duration(chance.IntN(1+chance.IntN(2*3600))) * time.Second)
			_, reason := tries.locked("x", now)
			if reason != ReasonNone {
				if within(now, 2*time.Hour) < TriesPerHour && within(now, 25*time.Hour) < TriesPerDay {
					t.Fatalf("%s at %v after %v", reason, now, tried)
				}
				continue
			}
			tries.count("x", now)
			tried = append(tried, now)
			if hour, day := within(now, time.Hour), within(now, 24*time.Hour); hour > TriesPerHour || day > TriesPerDay {
				t.Fatalf("%d within an hour and %d within a day: %v", hour, day, tried)
			}
		}
	}
}

// TestTriesTellNothing: what is kept holds neither a minute nor anything that the digits of
// a card lead to without a key of the device.
func TestTriesTellNothing(t *testing.T) {
	i := newIssued(t)
	p := i.open(noon)
	c, err := card.Parse(i.digits)
	if err != nil {
		t.Fatal(err)
	}
	kept := func(p *Pack, at time.Time) string {
		t.Helper()
		var tries Tries
		code := wrongCode
		if v := p.verifyOnce(Presentation{Text: i.digits, Code: &code, Tries: &tries}, at); v.State != WrongCode {
			t.Fatalf("got %v", v)
		}
		text, err := json.Marshal(tries)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	text := kept(p, noon.Add(7*time.Minute))
	if text != kept(p, noon.Add(59*time.Minute)) {
		t.Error("two minutes of one hour are told from one another")
	}
	if !regexp.MustCompile(`^\{"hours":\{"[0-9a-f]{32}":\[` + strconv.FormatInt(noon.Unix()/3600, 10) + `\]\}\}$`).MatchString(text) {
		t.Errorf("kept %s", text)
	}
	// What somebody computes who has the digits and reads this program.
	for _, label := range []string{"", "safeconduct/tries/1", "safeconduct/tries/2"} {
		for _, of := range [][]byte{c[:], []byte(i.digits)} {
			sum := sha256.Sum256(append([]byte(label), of...))
			mac := hmac.New(sha256.New, triesKey(nil))
			_, _ = mac.Write(of)
			for _, name := range [][]byte{sum[:4], mac.Sum(nil)[:4]} {
				if strings.Contains(text, hex.EncodeToString(name)) {
					t.Error("the digits of the card lead to what is kept")
				}
			}
		}
	}
	// The service has no key of a device, and that of the epoch instead.
	own := *p
	own.triesKey = nil
	mac := hmac.New(sha256.New, triesKey(p.keys.Live[0].NetKey))
	_, _ = mac.Write(c[:])
	if service := kept(&own, noon); service == text || !strings.Contains(service, hex.EncodeToString(mac.Sum(nil)[:16])) {
		t.Errorf("the service keeps %s", service)
	}
}

// TestTriesForget: what is older than a day goes, with any check.
func TestTriesForget(t *testing.T) {
	tries := &Tries{}
	tries.count("a", noon)
	tries.count("b", noon.Add(time.Hour))
	tries.forget(noon.Add(25 * time.Hour))
	if _, there := tries.Hours["a"]; there || len(tries.Hours) != 1 {
		t.Errorf("kept %v, want b", tries.Hours)
	}
}

// TestTriesUnordered: a clock that went back and forth leaves hours out of order; the lock
// ends when the last counted try is old enough.
func TestTriesUnordered(t *testing.T) {
	at := func(h int64) int64 { return hourOf(noon) + h }
	tries := &Tries{Hours: map[string][]int64{"x": {at(5), at(4), at(1), at(3), at(2)}}}
	until, reason := tries.locked("x", noon.Add(time.Minute))
	if want := noon.Add(3 * time.Hour); reason != ReasonTriesHour || !until.Equal(want) {
		t.Errorf("got %v until %v, want %s until %v", reason, until, ReasonTriesHour, want)
	}
	if !slices.Equal(tries.Hours["x"], []int64{at(5), at(4), at(1), at(3), at(2)}) {
		t.Error("looking changed what was kept")
	}
}

// TestTriesMerge: what two have counted is counted once, and what is older than a
// day by nobody.
func TestTriesMerge(t *testing.T) {
	at := func(h int64) int64 { return hourOf(noon) - 9 + h }
	old := at(9 - countsADay)
	one := Tries{Hours: map[string][]int64{"a": {at(1), at(2), at(2)}, "b": {old}, "c": {old, at(9), at(3)}}}
	two := Tries{Hours: map[string][]int64{"a": {at(2), at(5)}, "d": {at(4)}}}
	want := Tries{Hours: map[string][]int64{"a": {at(1), at(2), at(2), at(5)}, "c": {at(3), at(9)}, "d": {at(4)}}}
	now := noon.Add(time.Minute)
	for _, got := range []Tries{one.Merge(two, now), two.Merge(one, now), one.Merge(two, now).Merge(one, now)} {
		if !got.Equal(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if len(one.Hours) != 3 || len(two.Hours["a"]) != 2 {
		t.Error("merging changed what was merged")
	}
	if got := (Tries{}).Merge(Tries{}, now); !got.Equal(Tries{}) || !got.Equal(Tries{Hours: map[string][]int64{}}) {
		t.Errorf("nothing and nothing are %v", got)
	}
	if one.Equal(two) || one.Equal(Tries{}) {
		t.Error("what differs is equal")
	}
	got := one.Merge(Tries{}, now)
	got.count("c", now)
	if len(one.Hours["c"]) != 3 {
		t.Error("a copy shares what it copied")
	}
}
