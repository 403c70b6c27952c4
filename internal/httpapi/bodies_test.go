package httpapi

import "testing"

// TestRoomIsShared: nobody takes more room than is left for others.
func TestRoomIsShared(t *testing.T) {
	r := newRoom(16)
	var leave []func()
	for i, want := range []int64{8, 4, 2, 1, 1} {
		asker := string(rune('a' + i))
		for range 60 {
			if l, ok := r.enter(asker, 1); ok {
				leave = append(leave, l)
			}
		}
		if r.of[asker] != want {
			t.Errorf("%s has %d, want %d", asker, r.of[asker], want)
		}
	}
	for _, l := range leave {
		l()
	}
	if r.free != 16 || len(r.of) != 0 {
		t.Errorf("%d are free and %d askers remembered when all have left", r.free, len(r.of))
	}
	if _, ok := r.enter("a", 17); ok {
		t.Error("more came in than there is room for")
	}
}
