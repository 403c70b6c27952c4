package vault

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// TestQueue: no more memory is lent than there is, everybody is served, and
// whoever gives up leaves nothing taken.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(100, 2)
		small, err := q.take(t.Context(), "one", 1)
		if err != nil {
			t.Fatal(err)
		}
		served := ""
		var wait sync.WaitGroup
		wait.Go(func() {
			giveBack, err := q.take(t.Context(), "one", 100)
			if err != nil {
				t.Error(err)
				return
			}
			served += "large "
			giveBack()
		})
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		wait.Go(func() {
			if _, err := q.take(ctx, "one", 1); !errors.Is(err, context.Canceled) {
				t.Errorf("gave up: %v", err)
			}
		})
		wait.Go(func() {
			giveBack, err := q.take(t.Context(), "one", 1)
			if err != nil {
				t.Error(err)
				return
			}
			served += "small "
			giveBack()
		})
		synctest.Wait()
		if served != "" {
			t.Errorf("%swas served beyond what there is", served)
		}
		cancel()
		synctest.Wait()
		small()
		wait.Wait()
		if served != "large small " {
			t.Errorf("served %s", served)
		}
		if q.free != 2 || len(q.waiting) != 0 {
			t.Errorf("%d shares are free, %d pictures wait", q.free, len(q.waiting))
		}
	})
}

// order is who is served when, one at a time, while sent all wait behind another.
func order(t *testing.T, sent string) string {
	t.Helper()
	q := newQueue(1, 1)
	running := q.enter("other", 1)
	places := map[*place]string{}
	for _, asker := range strings.Split(sent, "") {
		places[q.enter(asker, 1)] = asker
	}
	var served strings.Builder
	for range len(places) {
		q.giveBack(running)
		for p, asker := range places {
			select {
			case <-p.served:
				served.WriteString(asker)
				running = p
				delete(places, p)
			default:
			}
		}
	}
	if len(q.last) > 1 {
		t.Errorf("%d askers are remembered", len(q.last))
	}
	return served.String()
}

// TestQueueIsFair is hostile case 97: a picture of a second asker is drawn next, although
// the first has sent sixty.
func TestQueueIsFair(t *testing.T) {
	sixty := strings.Repeat("a", 60)
	for name, c := range map[string]struct{ sent, want string }{
		"one alone":            {"aaaa", "aaaa"},
		"a second after sixty": {sixty + "b", "ab" + sixty[1:]},
		"sixty after a second": {"b" + sixty, "b" + sixty},
		"three":                {"aaaabbc", "abcabaa"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := order(t, c.sent); got != c.want {
				t.Errorf("served %s, want %s", got, c.want)
			}
		})
	}
}

// TestQueueStarvesNobody: whoever sends one picture after the other is no
// newcomer each time, before whom those who wait would step back.
func TestQueueStarvesNobody(t *testing.T) {
	q := newQueue(1, 1)
	running := q.enter("other", 1)
	waits := q.enter("patient", 1)
	for turn := range 10 {
		single := q.enter("single", 1)
		q.giveBack(running)
		select {
		case <-waits.served:
			if turn > 1 {
				t.Errorf("served after %d others", turn)
			}
			return
		case <-single.served:
			running = single
		default:
			t.Fatal("nobody is served")
		}
	}
	t.Error("was never served")
}

// TestPicturesWaitByAsker: a picture waits under the name of whoever sent it.
func TestPicturesWaitByAsker(t *testing.T) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		v := &Vault{pixels: newQueue(1<<20, 1)}
		running := v.pixels.enter("other", 1)
		for _, asker := range []string{"a", "a", "a", "b"} {
			go func() {
				if _, _, err := v.clean(t.Context(), asker, mediaPNG, bytes.NewReader(picture.Bytes())); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		var rounds []int
		for _, p := range v.pixels.waiting {
			rounds = append(rounds, p.round)
		}
		if want := []int{1, 1, 2, 3}; !slices.Equal(rounds, want) {
			t.Errorf("they wait in rounds %d, want %d", rounds, want)
		}
		v.pixels.giveBack(running)
		synctest.Wait()
	})
}
