package verifier

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
)

// Limits on wrong codes, per card and device: docs/card.md, The code.
const (
	TriesPerHour = 5
	TriesPerDay  = 10
)

// Tries remembers wrong codes. It is plain data, so that a caller can keep it
// between checks; the zero value is ready for use. It holds times under hashes,
// nothing about who showed a card. It is not safe for concurrent use: two
// checks at once could each spend the last try.
type Tries struct {
	// Wrong holds the times of wrong codes, Unix seconds, by TryHandle.
	Wrong map[string][]int64 `json:"wrong"`
}

// Merge returns what either has counted within the day before now, each try once.
// Neither is changed.
func (t Tries) Merge(other Tries, now time.Time) Tries {
	var all Tries
	for _, part := range []Tries{t, other} {
		for handle := range part.Wrong {
			if recent := part.since(handle, now.Add(-24*time.Hour)); len(recent) > 0 {
				all.add(handle, recent)
			}
		}
	}
	return all
}

// add takes up tries with one card. Two in one second are two, and the same two
// seen twice are still two.
func (t *Tries) add(handle string, times []int64) {
	if t.Wrong == nil {
		t.Wrong = map[string][]int64{}
	}
	has := t.Wrong[handle]
	for _, at := range slices.Compact(slices.Clone(times)) {
		for range count(times, at) - count(has, at) {
			t.Wrong[handle] = append(t.Wrong[handle], at)
		}
	}
	slices.Sort(t.Wrong[handle])
}

func count(times []int64, at int64) (n int) {
	for _, one := range times {
		if one == at {
			n++
		}
	}
	return n
}

// Equal reports whether both have counted the same.
func (t Tries) Equal(other Tries) bool {
	return maps.EqualFunc(t.Wrong, other.Wrong, slices.Equal)
}

// TryHandle names a card for counting, without saying anything about it.
func TryHandle(c card.Card) string {
	sum := sha256.Sum256(append([]byte("safeconduct/tries/1"), c[:]...))
	return hex.EncodeToString(sum[:16])
}

// locked tells until when a card is locked, and why; ReasonNone if it is not.
// A nil receiver locks nothing.
func (t *Tries) locked(handle string, now time.Time) (time.Time, Reason) {
	if t == nil {
		return time.Time{}, ReasonNone
	}
	day := t.since(handle, now.Add(-24*time.Hour))
	if n := len(day); n >= TriesPerDay {
		return time.Unix(day[n-TriesPerDay], 0).Add(24 * time.Hour).UTC(), ReasonTriesDay
	}
	hour := t.since(handle, now.Add(-time.Hour))
	if n := len(hour); n >= TriesPerHour {
		return time.Unix(hour[n-TriesPerHour], 0).Add(time.Hour).UTC(), ReasonTriesHour
	}
	return time.Time{}, ReasonNone
}

// left is how many codes may still be tried now. A nil receiver counts
// nothing, so that all are left.
func (t *Tries) left(handle string, now time.Time) int {
	if t == nil {
		return TriesPerHour
	}
	hour := TriesPerHour - len(t.since(handle, now.Add(-time.Hour)))
	day := TriesPerDay - len(t.since(handle, now.Add(-24*time.Hour)))
	return max(0, min(hour, day))
}

// count notes a wrong code and forgets what is older than a day.
func (t *Tries) count(handle string, now time.Time) {
	if t == nil {
		return
	}
	for h := range t.Wrong {
		if kept := t.since(h, now.Add(-24*time.Hour)); len(kept) > 0 {
			t.Wrong[h] = kept
		} else {
			delete(t.Wrong, h)
		}
	}
	if t.Wrong == nil {
		t.Wrong = map[string][]int64{}
	}
	t.Wrong[handle] = append(t.Wrong[handle], now.Unix())
}

// since returns the tries after a time, oldest first. A try dated later than
// now, after a clock was set back, still counts.
func (t *Tries) since(handle string, from time.Time) []int64 {
	var recent []int64
	for _, at := range t.Wrong[handle] {
		if at > from.Unix() {
			recent = append(recent, at)
		}
	}
	slices.Sort(recent)
	return recent
}
