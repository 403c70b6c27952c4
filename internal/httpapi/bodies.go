package httpapi

import (
	"sync"

	"github.com/gin-gonic/gin"
)

// maxBodies is for how many bytes of bodies there is room at the same time: sixteen of
// the largest pictures, eight of one asker.
const maxBodies = 16 * maxBodyLimit

// admit has a body wait outside until there is room for it in memory: of its size, and of
// whoever sends it. What does not say how long it is counts as the longest.
func (s *Server) admit(c *gin.Context) {
	o := op(c)
	if o == nil || c.Request.ContentLength == 0 {
		c.Next()
		return
	}
	n := o.limit
	if said := c.Request.ContentLength; said > 0 {
		n = min(n, said)
	}
	_, by := acting(c)
	asker := by.ID
	if o.public {
		asker = o.door // all strangers at one door
	}
	leave, ok := s.bodies.enter(asker, n)
	if !ok {
		s.refuse(c, fail(faultBusy))
		return
	}
	defer leave()
	c.Next()
}

// room counts the bytes that are in memory.
type room struct {
	mu   sync.Mutex
	free int64
	of   map[string]int64 // by asker
}

func newRoom(total int64) *room { return &room{free: total, of: make(map[string]int64)} }

// enter lets n bytes in and returns how they leave, or reports that there is no
// room for them. Nobody takes more than is left for others.
func (r *room) enter(asker string, n int64) (leave func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of[asker]+n > r.free {
		return nil, false
	}
	r.free -= n
	r.of[asker] += n
	return func() { r.leave(asker, n) }, true
}

func (r *room) leave(asker string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free += n
	if r.of[asker] -= n; r.of[asker] == 0 {
		delete(r.of, asker)
	}
}
