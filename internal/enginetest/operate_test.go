package enginetest_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// TestFsckWhileServing: looking at a folder takes no draft away from the
// service that is about to sign it.
func TestFsckWhileServing(t *testing.T) {
	s := newCrashService(t) // it waits 30 ms between reserving and signing
	s.begin()
	s.start()
	defer s.stop()
	var stop atomic.Bool
	var asked atomic.Int64
	var clients sync.WaitGroup
	for client := range 2 {
		clients.Go(func() {
			for n := 0; !stop.Load(); n++ {
				asked.Add(1)
				s.issue(t.Context(), fmt.Sprintf("fsck-%02d-%06d-%08d", client, n, 0))
			}
		})
	}
	for range 2 {
		s.fsck()
	}
	stop.Store(true)
	clients.Wait()
	if s.settled != 0 {
		t.Errorf("%d drafts were taken away", s.settled)
	}
	if got := int64(len(s.acknowledged)); got != asked.Load() || got == 0 {
		t.Errorf("%d of %d requests were answered well", got, asked.Load())
	}
	t.Logf("%d attestations, 2 looks", len(s.acknowledged))
}
