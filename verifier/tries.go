package verifier

import (
	"crypto/hkdf"
	"crypto/hmac"
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

// How long a wrong code counts, in hours of the clock: the one in which it was tried and
// the next, and that one and 24 more. Which minute of it is kept nowhere, so that none
// counts for less than an hour, or for less than a day.
const (
	countsAnHour = 2
	countsADay   = 25
)

// Tries remembers wrong codes. It is plain data, so that a caller can keep it
// between checks; the zero value is ready for use. It holds hours under keyed hashes, so
// that neither a card nor a minute can be found in it by whoever has no key of the
// device. It is not safe for concurrent use: two checks at once could each spend the last
// try.
type Tries struct {
	// Hours are those in which a wrong code was tried, since 1970, by card: once for
	// each, in order.
	Hours map[string][]int64 `json:"hours"`
}

// Merge returns what either has counted within the day before now; of tries with one
// card in one hour, as many as the one that has more. Neither is changed.
func (t Tries) Merge(other Tries, now time.Time) Tries {
	var all Tries
	for _, part := range []Tries{t, other} {
		for handle := range part.Hours {
			if recent := part.within(handle, countsADay, now); len(recent) > 0 {
				all.add(handle, recent)
			}
		}
	}
	return all
}

// add takes up tries with one card. Two in one hour are two, and the same two seen twice
// are still two.
func (t *Tries) add(handle string, hours []int64) {
	if t.Hours == nil {
		t.Hours = map[string][]int64{}
	}
	has := t.Hours[handle]
	for _, hour := range slices.Compact(slices.Clone(hours)) {
		for range count(hours, hour) - count(has, hour) {
			t.Hours[handle] = append(t.Hours[handle], hour)
		}
	}
	slices.Sort(t.Hours[handle])
}

func count(hours []int64, hour int64) (n int) {
	for _, one := range hours {
		if one == hour {
			n++
		}
	}
	return n
}

// Equal reports whether both have counted the same.
func (t Tries) Equal(other Tries) bool {
	return maps.EqualFunc(t.Hours, other.Hours, slices.Equal)
}

// handle names a card for counting. Whoever has the card's digits and what was counted,
// and no key of the device, does not find the one by the other. The service is no device:
// what it counts is for all its processes, and goes by a key of the card's epoch, which
// the keystore has and no database.
func (p *Pack) handle(c card.Card, of Epoch) string {
	key := p.triesKey
	if key == nil {
		key = triesKey(of.NetKey)
	}
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(c[:]) // never fails: hash.Hash
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func triesKey(secret []byte) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "safeconduct/tries/2", sha256.Size)
	if err != nil {
		panic(err) // only of a length that HKDF does not have
	}
	return key
}

// locked tells until when a card is locked, and why; ReasonNone if it is not.
// A nil receiver locks nothing.
func (t *Tries) locked(handle string, now time.Time) (time.Time, Reason) {
	if t == nil {
		return time.Time{}, ReasonNone
	}
	until := func(tries []int64, limit int, counts int64) time.Time {
		return time.Unix((tries[len(tries)-limit]+counts)*secondsAnHour, 0).UTC()
	}
	if day := t.within(handle, countsADay, now); len(day) >= TriesPerDay {
		return until(day, TriesPerDay, countsADay), ReasonTriesDay
	}
	if hour := t.within(handle, countsAnHour, now); len(hour) >= TriesPerHour {
		return until(hour, TriesPerHour, countsAnHour), ReasonTriesHour
	}
	return time.Time{}, ReasonNone
}

// left is how many codes may still be tried now. A nil receiver counts
// nothing, so that all are left.
func (t *Tries) left(handle string, now time.Time) int {
	if t == nil {
		return TriesPerHour
	}
	hour := TriesPerHour - len(t.within(handle, countsAnHour, now))
	day := TriesPerDay - len(t.within(handle, countsADay, now))
	return max(0, min(hour, day))
}

// count notes a wrong code.
func (t *Tries) count(handle string, now time.Time) {
	if t == nil {
		return
	}
	if t.Hours == nil {
		t.Hours = map[string][]int64{}
	}
	t.Hours[handle] = append(t.Hours[handle], hourOf(now))
	slices.Sort(t.Hours[handle])
}

// forget drops what counts no longer, with every check.
func (t *Tries) forget(now time.Time) {
	if t == nil {
		return
	}
	for h := range t.Hours {
		if kept := t.within(h, countsADay, now); len(kept) > 0 {
			t.Hours[h] = kept
		} else {
			delete(t.Hours, h)
		}
	}
}

// within returns the tries that count, in order, of which each does for so many hours. A
// try of an hour to come, after a clock was set back, still counts.
func (t *Tries) within(handle string, counts int64, now time.Time) []int64 {
	var recent []int64
	for _, hour := range t.Hours[handle] {
		if hour > hourOf(now)-counts {
			recent = append(recent, hour)
		}
	}
	slices.Sort(recent)
	return recent
}

const secondsAnHour = 3600

// hourOf counts the hours since 1970.
func hourOf(t time.Time) int64 { return t.Unix() / secondsAnHour }
