package httpapi

import (
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/people"
)

// Observed is what one request was, in words of our own: nothing in it was
// chosen by a client, so that whoever counts by it counts few things.
type Observed struct {
	Method string // of the contract, HEAD, or "-"
	Route  string // the template in the contract, as gin writes it, or "-"; "cases" for all about cases
	Status int
	Role   string // of who asked, or "-"
	Took   time.Duration
	Times  int // how many there were alike: of checks all of an hour at once, else one
}

// observe tells Config.Observe that a request began, and what it was when it
// has ended. Of one about a check it tells when the hour is over.
func (s *Server) observe(c *gin.Context) {
	start := s.cfg.Now()
	if o := op(c); o != nil && o.check {
		defer func() { s.seeCheck(c, s.cfg.Now().Sub(start)) }()
		c.Next()
		return
	}
	if s.cfg.Observe == nil {
		c.Next()
		return
	}
	done := s.cfg.Observe()
	// Also when net/http's own panic goes by: a request that began has to end.
	defer func() {
		method, route, role := described(c)
		done(Observed{Method: method, Route: route, Status: c.Writer.Status(), Role: role, Took: s.cfg.Now().Sub(start), Times: 1})
	}()
	c.Next()
}

// aboutCases is the route of every request about a case. Which it was tells what was done,
// and to a case that was changed at that time a copy of the database leads
// (docs/decisions/0073-numbers-that-are-drawn.md).
const aboutCases = "cases"

// described is what may be told of a request: the contract's words for it, and
// the role of who asked.
func described(c *gin.Context) (method, route, role string) {
	method, route, role = "-", "-", "-"
	if o := op(c); o != nil {
		if o.cases {
			return method, aboutCases, role
		}
		method, route = c.Request.Method, o.route
	}
	if by, ok := c.Get(keyActor); ok {
		if role = by.(audit.Actor).Role; !slices.Contains(people.Roles, people.Role(role)) {
			role = "several" // which of them a person has is no label
		}
	}
	return method, route, role
}
