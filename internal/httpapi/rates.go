package httpapi

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"
)

// Nobody's requests are counted by where they come from: behind a proxy all come from one
// address, many offices share one, and an address that a header names is whatever somebody
// wrote into it. Who is let in has a rate of her own, in which heavy work weighs more;
// strangers have one at each door (docs/decisions/0059).

// door is where strangers come in. What floods one leaves the others open, and takes
// nothing from those who are let in.
type door struct {
	share rate.Limit // of the rate that strangers have
	seats int        // at work at the same time; 0 is as many as come
}

// doors are all there are. Those of requests with a body have seats, which are taken once
// the body was read. Files have none: an answer that is read slowly would keep one, and
// what is read is in memory or small.
var doors = map[string]door{
	"enrolments": {share: 1, seats: 4},
	"joins":      {share: 1, seats: 4},
	"papers":     {share: 1, seats: max(1, runtime.GOMAXPROCS(0)/2)}, // a code is stretched: some cores are left
	"sign_in":    {share: 1, seats: 4},
	"unlock":     {share: 1, seats: 4},
	doorHealth:   {share: 10},
	doorFiles:    {share: 100},
	doorUnknown:  {share: 20, seats: 4},
}

// The doors that the contract does not name.
const (
	doorFiles   = "files"  // whatever may be read without a token
	doorHealth  = "health" // and whether the service works
	doorUnknown = "unknown"
)

// doorway is a door that is open.
type doorway struct {
	rate  *rate.Limiter
	seats chan struct{}
}

func openDoors(strangers rate.Limit) map[string]*doorway {
	open := make(map[string]*doorway)
	for name, d := range doors {
		w := &doorway{rate: limiter(d.share * strangers)}
		if d.seats > 0 {
			w.seats = make(chan struct{}, d.seats)
		}
		open[name] = w
	}
	return open
}

// limiter lets twice as much through at once as it does in a second.
func limiter(l rate.Limit) *rate.Limiter { return rate.NewLimiter(l, 2*int(l)+1) }

// spend takes a weight out of a rate, all of it at the most, and says in how many seconds
// there is enough where there is not.
func spend(l *rate.Limiter, now time.Time, weight int) error {
	r := l.ReserveN(now, min(weight, l.Burst()))
	wait := r.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	r.CancelAt(now)
	return &failure{fault: faultTooMany, retryAfter: seconds(min(wait, time.Hour))}
}

// seconds are whole ones, at least one.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int((d+time.Second-1)/time.Second)))
}

// seatPatience is how long somebody waits for a seat.
const seatPatience = 5 * time.Second

// sit takes a seat of each, in order, or of none. A missing one need not be taken.
func sit(ctx context.Context, seats ...chan struct{}) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, seatPatience)
	defer cancel()
	var taken []chan struct{}
	leave = func() {
		for _, one := range taken {
			<-one
		}
	}
	for _, one := range seats {
		if one == nil {
			continue
		}
		select {
		case one <- struct{}{}:
			taken = append(taken, one)
		case <-ctx.Done():
			leave()
			return nil, fail(faultBusy)
		}
	}
	return leave, nil
}

// What one asker may have.
const (
	atOnce    = 16     // requests at work
	maxAskers = 10_000 // that are remembered
)

// askers remembers what each has left of her rate, and who is at work. Only those who were
// let in are here.
type askers struct {
	rate rate.Limit

	mu    sync.Mutex
	of    map[string]*asker
	other *asker // all for whom there is no room
}

type asker struct {
	rate    *rate.Limiter
	seats   chan struct{}
	stretch chan struct{} // one code at a time
	touched time.Time
}

func newAskers(each rate.Limit) *askers {
	a := &askers{rate: each, of: make(map[string]*asker)}
	a.other = a.one()
	return a
}

func (a *askers) one() *asker {
	return &asker{rate: limiter(a.rate), seats: make(chan struct{}, atOnce), stretch: make(chan struct{}, 1)}
}

// find returns an asker. To make room it forgets those who do nothing now and have all of
// their rate again, which is as if they had never been here.
func (a *askers) find(id string, now time.Time) *asker {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one := a.of[id]; one != nil {
		one.touched = now
		return one
	}
	if len(a.of) >= maxAskers {
		for id, one := range a.of {
			if one.idle(now) {
				delete(a.of, id)
			}
		}
	}
	if len(a.of) >= maxAskers {
		return a.other
	}
	one := a.one()
	one.touched = now
	a.of[id] = one
	return one
}

// idle tells of somebody who was quiet for longer than a request takes, and lacks nothing.
func (a *asker) idle(now time.Time) bool {
	return now.Sub(a.touched) > time.Minute && len(a.seats) == 0 && len(a.stretch) == 0 && a.rate.TokensAt(now) >= float64(a.rate.Burst())
}

// knock holds those who need no token to the rate of the door at which they come.
func (s *Server) knock(c *gin.Context) {
	if o := op(c); o != nil && o.public {
		if err := spend(s.doors[o.door].rate, s.cfg.Now(), 1); err != nil {
			s.refuse(c, err)
			return
		}
	}
	c.Next()
}

// weigh holds everybody who was let in to a rate of her own.
func (s *Server) weigh(c *gin.Context) {
	if o := op(c); o != nil && !o.public {
		_, by := acting(c)
		if err := spend(s.askers.find(by.ID, s.cfg.Now()).rate, s.cfg.Now(), o.weight); err != nil {
			s.refuse(c, err)
			return
		}
	}
	c.Next()
}

// seat has a request wait until whoever sends it, or the door at which a stranger sends
// it, has a seat: the work that follows is bounded, however many come. What came in before
// took a connection and a body, which are bounded elsewhere.
func (s *Server) seat(c *gin.Context) {
	o := op(c)
	if o == nil {
		c.Next()
		return
	}
	var seats chan struct{}
	if o.public {
		seats = s.doors[o.door].seats
	} else {
		_, by := acting(c)
		seats = s.askers.find(by.ID, s.cfg.Now()).seats
	}
	leave, err := sit(c.Request.Context(), seats)
	if err != nil {
		s.refuse(c, err)
		return
	}
	defer leave()
	c.Next()
}

// unknownToken is the door of tokens that were not let in here lately and that the roster
// does not have: made-up ones, and those of devices that wait. It is judged before anything
// is asked of the database. Whoever was let in by another process comes by no door.
func (s *Server) unknownToken(ctx context.Context, token string) (leave func(), err error) {
	if _, known := s.actors.recall(token, s.cfg.Now()); known || s.cfg.People.Knows(token) {
		return func() {}, nil
	}
	if err := s.madeUp(); err != nil {
		return nil, err
	}
	return sit(ctx, s.doors[doorUnknown].seats)
}

// unknownSession has a session that was not let in here lately wait for a seat, no more:
// another process may have let it in, which only its row says. One read by key is what it
// costs, and how many are read at once is bounded; whoever waits has her turn.
func (s *Server) unknownSession(ctx context.Context, key string) (known bool, leave func(), err error) {
	if _, known := s.actors.recall(key, s.cfg.Now()); known {
		return true, func() {}, nil
	}
	leave, err = sit(ctx, s.doors[doorUnknown].seats)
	return false, leave, err
}

// madeUp takes one from the rate of what is made up.
func (s *Server) madeUp() error { return spend(s.doors[doorUnknown].rate, s.cfg.Now(), 1) }

// stretchLimiter lets each actor stretch one code at a time, and all of them as many as
// this machine has cores: a code costs 64 MiB and a seventh of a second. Strangers have
// seats at their door.
type stretchLimiter struct {
	askers *askers
	all    chan struct{} // one for each core
}

func newStretchLimiter(askers *askers, cores int) *stretchLimiter {
	return &stretchLimiter{askers: askers, all: make(chan struct{}, max(1, cores))}
}

// take waits for an actor's turn and returns how to end it. The actor's own seat comes
// first, so that one actor's queue takes no core from the others.
func (s *stretchLimiter) take(ctx context.Context, actor string, now time.Time) (leave func(), err error) {
	return sit(ctx, s.askers.find(actor, now).stretch, s.all)
}
