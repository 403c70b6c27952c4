package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// A request about a check has no line of its own and moves no number while it is answered:
// when, where and by whom a card was checked stands nowhere. What was seen of such
// requests is gathered here, and told together once an hour, without an order, an id or a
// role (docs/decisions/0066-no-moment-of-a-check.md). Requests about cases have no line
// either, and are told with them, all as one; they are counted at once.

// aboutCheck marks the context of a request about a check.
type aboutCheck struct{}

// AboutCheck reports whether a call is made for a request about a check, of which nothing
// may be told before the hour is over.
func AboutCheck(ctx context.Context) bool {
	about, _ := ctx.Value(aboutCheck{}).(bool)
	return about
}

// hourly is what was seen of checks since it was told last. Nothing of it is written down
// before that. The zero value is ready for use.
type hourly struct {
	mu   sync.Mutex
	seen map[seen]int
	said map[said]int
}

// seen is what is told of a request: all of it comes from closed lists.
type seen struct {
	method, route string
	status        int
	code          string
	took          time.Duration // the upper bound of its bucket
	counted       bool          // whoever counts requests was told of it at once
}

// said is what went wrong with one, in words for whoever runs the service.
type said struct {
	level            slog.Level
	message, details string
}

// maxSaid bounds how many different things are kept that went wrong within an hour.
const maxSaid = 100

func (h *hourly) see(what seen) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen == nil {
		h.seen = map[seen]int{}
	}
	h.seen[what]++
}

func (h *hourly) say(what said) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.said == nil {
		h.said = map[said]int{}
	}
	if _, known := h.said[what]; known || len(h.said) < maxSaid {
		h.said[what]++
	}
}

func (h *hourly) take() (map[seen]int, map[said]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all, wrong := h.seen, h.said
	h.seen, h.said = nil, nil
	return all, wrong
}

// seeCheck gathers what a request about a check was.
func (s *Server) seeCheck(c *gin.Context, took time.Duration) {
	method, route, _ := described(c)
	s.hourly.see(seen{method: method, route: route, status: answered(c), code: c.GetString(keyCode), took: upTo(took)})
}

// seeCase gathers what a request about a case was.
func (s *Server) seeCase(c *gin.Context) {
	method, route, _ := described(c)
	s.hourly.see(seen{method: method, route: route, status: answered(c), code: c.GetString(keyCode), counted: true})
}

// answered is the status of an answer. Of what was done about a case nothing is told by it:
// to share one with her state's mission waits for a second person, which is 202.
func answered(c *gin.Context) int {
	if o := op(c); o != nil && o.cases && c.Writer.Status() < http.StatusBadRequest {
		return http.StatusOK
	}
	return c.Writer.Status()
}

// report logs something about a request, with its id: at once, or, of a request about a
// check, without the id when the hour is over.
//
// ctx is gin's own: whatever has no request is about none.
func (s *Server) report(ctx context.Context, level slog.Level, message string, details ...slog.Attr) {
	c, ok := ctx.(*gin.Context)
	if !ok {
		s.cfg.Log.LogAttrs(ctx, level, message, details...)
		return
	}
	if o := op(c); o != nil && o.check {
		s.hourly.say(said{level, message, strings.Trim(fmt.Sprint(details), "[]")})
		return
	}
	s.cfg.Log.LogAttrs(c.Request.Context(), level, message, append([]slog.Attr{slog.String("request", requestID(c))}, details...)...)
}

// cause is an error for the log.
func cause(err error) slog.Attr { return slog.String("cause", err.Error()) }

// Hour tells what was seen of checks since it was called last: counts by route, status and
// error code in the log, the same to whoever counts requests, and what went wrong. Whoever
// runs a server calls it when an hour is over, and at no other time: two calls within an
// hour would tell more than the hour. What was not told when the process ends is not told.
func (s *Server) Hour(ctx context.Context) {
	all, wrong := s.hourly.take()
	lines := map[seen]int{}
	for what, times := range all {
		if s.cfg.Observe != nil && !what.counted {
			s.cfg.Observe()(Observed{Method: what.method, Route: what.route, Status: what.status, Role: "-", Took: what.took, Times: times})
		}
		what.took, what.counted = 0, false
		lines[what] += times
	}
	for _, what := range sorted(lines, func(a, b seen) int {
		return cmp.Or(cmp.Compare(a.route, b.route), cmp.Compare(a.method, b.method), cmp.Compare(a.status, b.status), cmp.Compare(a.code, b.code))
	}) {
		s.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "requests in an hour",
			slog.String("method", what.method),
			slog.String("route", what.route),
			slog.Int("status", what.status),
			slog.String("code", what.code),
			slog.Int("times", lines[what]),
			slog.String("build", s.cfg.Build),
		)
	}
	for _, what := range sorted(wrong, func(a, b said) int {
		return cmp.Or(cmp.Compare(a.message, b.message), cmp.Compare(a.details, b.details))
	}) {
		s.cfg.Log.LogAttrs(ctx, what.level, what.message, slog.String("details", what.details), slog.Int("times", wrong[what]))
	}
}

func sorted[K comparable](of map[K]int, by func(a, b K) int) []K {
	keys := make([]K, 0, len(of))
	for k := range of {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, by)
	return keys
}

// buckets are the bounds that latencies are rounded to, because exact times tell requests
// apart.
var buckets = []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second, 10 * time.Second}

// upTo is the upper bound of a latency's bucket.
func upTo(took time.Duration) time.Duration {
	for _, limit := range buckets {
		if took <= limit {
			return limit
		}
	}
	return time.Minute
}

// markCheck marks the context of a request about a check, for those further in.
func markCheck(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), aboutCheck{}, true))
}
