// Package httpapi is the HTTP face of Safeconduct: it knows who is asking,
// bounds and checks what comes in against docs/api/openapi.yaml, makes one call
// into a domain room, and writes down the answer. No rule about people, records
// or cards lives here: those are left to people, credentials, vault, network and
// verifier, which do not know HTTP.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/copies"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/web"
)

// Config is everything the server needs. What has no default is required.
type Config struct {
	People      *people.Roster
	Passkeys    *passkey.RelyingParty
	Sessions    *signin.Sessions
	Network     *network.Network
	Issuer      *credentials.Issuer
	Vault       *vault.Vault
	Board       Board
	Idempotency Idempotency
	Tries       Tries
	LogFiles    fs.FS // the published log: checkpoint and tiles
	Log         *slog.Logger

	// Pages are what people open in a browser; nil serves none. Desk is the
	// telephone number that they show.
	Pages []web.Page
	Desk  string

	// Ready says why the service cannot work now, nil when it can; a nil func
	// is always ready.
	Ready func(ctx context.Context) error
	// SecurityContact is where to report a weakness, a mailto:, https: or tel:
	// address for security.txt (RFC 9116); empty means that there is no such file.
	SecurityContact string
	// Alarms is what whoever runs or audits the network should look at; nil is nothing.
	Alarms func(ctx context.Context) ([]Alarm, error)
	// TakeKeysOff takes the keys of an agency off that the roster says were in strange
	// hands; nil leaves it to whoever publishes.
	TakeKeysOff func(ctx context.Context, agency string) error
	// CardPage is what somebody reads who found a card, and CardStyle the
	// SHA-256 of its one style element, in base64. Without a page none is served.
	CardPage  []byte
	CardStyle string
	// Observe is called when a request begins, and what it returns when that
	// request has ended; nil means that nobody counts.
	Observe func() func(Observed)
	// Build is a version for the access log.
	Build string
	// Rate is how much a second the API takes of everybody who was let in, by the
	// weights of the contract; zero means 200.
	Rate rate.Limit
	// StrangerRate is how many requests a second it takes at each door at which
	// strangers change something, and by its share at others; zero means 10.
	StrangerRate rate.Limit
	// Even is of what an answer waits for a whole multiple, from when its request came,
	// that says that something is not there; zero means 20 ms.
	Even time.Duration
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Lock makes it the server of a network that is locked, which has no rooms: of all
	// that is required it needs Board, LogFiles and Log alone.
	Lock Lock
}

// complete says what is missing.
func (c Config) complete() error {
	if c.Board == nil || c.LogFiles == nil || c.Log == nil {
		return errors.New("httpapi: server needs Board, LogFiles and Log")
	}
	if c.Lock == nil && (c.People == nil || c.Passkeys == nil || c.Sessions == nil || c.Network == nil || c.Issuer == nil || c.Vault == nil ||
		c.Idempotency == nil || c.Tries == nil) {
		return errors.New("httpapi: server needs People, Passkeys, Sessions, Network, Issuer, Vault, Idempotency and Tries")
	}
	return nil
}

// Server answers HTTP requests. New makes one; it is safe for concurrent use.
type Server struct {
	cfg    Config
	ops    map[string]*operation
	engine *gin.Engine
	doors  map[string]*doorway
	askers *askers
	origin *http.CrossOriginProtection
	seats  *stretchLimiter
	bodies *room
	actors *actors
	tries  *counter
	copies *copies.Maker
	hourly hourly
}

// New checks the configuration and builds the routes. It starts nothing.
func New(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.TakeKeysOff == nil {
		cfg.TakeKeysOff = func(context.Context, string) error { return nil }
	}
	if cfg.Rate == 0 {
		cfg.Rate = 200
	}
	if cfg.Even == 0 {
		cfg.Even = 20 * time.Millisecond
	}
	if cfg.StrangerRate == 0 {
		cfg.StrangerRate = 10
	}
	if err := CheckSecurityContact(cfg.SecurityContact); err != nil {
		return nil, err
	}
	ops, err := operations()
	if err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	s := &Server{
		cfg: cfg, ops: ops,
		doors:  openDoors(cfg.StrangerRate),
		askers: newAskers(cfg.Rate),
		origin: http.NewCrossOriginProtection(),
		bodies: newRoom(maxBodies),
		actors: newActors(),
		tries:  newCounter(cfg.Tries),
	}
	s.seats = newStretchLimiter(s.askers, runtime.GOMAXPROCS(0))
	if cfg.Lock == nil {
		if s.copies, err = copies.New(copies.Config{
			Vault: cfg.Vault, Issuer: cfg.Issuer, Network: cfg.Network, Board: cfg.Board, Log: cfg.LogFiles, Now: cfg.Now,
		}); err != nil {
			return nil, fmt.Errorf("httpapi: %w", err)
		}
	}
	if s.engine, err = s.routes(); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// tileRoute is mounted by hand: a tile's path holds slashes.
const tileRoute = "/log/tile/*tile"

// routes is the whole surface. Every route is in the contract, and every
// request passes the same doors, outermost first.
func (s *Server) routes() (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	// No proxy is believed about where a request comes from, and no path is
	// mended but a page's: what is not written as the contract writes it does not
	// exist.
	if err := r.SetTrustedProxies(nil); err != nil {
		return nil, err
	}
	r.ForwardedByClientIP = false
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false
	r.HandleMethodNotAllowed = true

	r.Use(
		s.nameRequest,  // an id of our own
		s.observe,      // counted, by the same words as logged
		s.logAccess,    // route template, status and code, nothing else
		s.recover,      // a panic is an answer too
		s.setHeaders,   // nothing is cached, sniffed or framed
		s.leadToPage,   // a page is where people look for it
		s.refusePaths,  // one spelling for every path
		s.refuseOrigin, // no other site acts for a signed-in browser
		s.refuseLocked, // nothing but what is public, while the network is locked
		s.knock,        // a rate for strangers, at each door
		s.identify,     // nobody, or one actor whose role may do this
		s.weigh,        // a rate for each actor
		s.admit,        // no more in memory than there is room for
		s.validate,     // bounded, one reading, as the contract says
		s.seat,         // no more at work than there are seats
		s.idempotent,   // one key, one effect
	)
	api.RegisterHandlersWithOptions(r, api.NewStrictHandlerWithOptions(s, nil, api.StrictGinServerOptions{
		// What the generated code finds wrong was found by validate before;
		// its own texts repeat the value.
		RequestErrorHandlerFunc:  func(c *gin.Context, _ error) { s.refuse(c, fail(faultInvalid)) },
		HandlerErrorFunc:         s.refuse,
		ResponseErrorHandlerFunc: s.refuse,
	}), api.GinServerOptions{
		ErrorHandler: func(c *gin.Context, _ error, _ int) { s.refuse(c, fail(faultInvalid)) },
	})
	s.mountPublic(r)
	s.mountPages(r)
	s.mountMethods(r)
	r.NoRoute(func(c *gin.Context) { s.refuse(c, fail(faultNotFound)) })
	r.NoMethod(func(c *gin.Context) { s.refuse(c, fail(faultMethod)) }) // gin has said what is allowed
	return r, nil
}

// mountMethods answers HEAD wherever GET is (RFC 9110 §9.1), with the same
// handler: net/http sends the headers of what it writes and drops the rest. And
// it answers OPTIONS on every route.
func (s *Server) mountMethods(r *gin.Engine) {
	seen := make(map[string]bool)
	for _, route := range r.Routes() {
		if route.Method == http.MethodGet {
			r.HEAD(route.Path, route.HandlerFunc)
		}
		if seen[route.Path] {
			continue
		}
		seen[route.Path] = true
		allow := methodsOf(s.ops, route.Path)
		get := s.ops[http.MethodGet+" "+route.Path]
		r.OPTIONS(route.Path, func(c *gin.Context) {
			c.Header("Allow", allow)
			if get != nil && get.published {
				c.Header(headerAnyOrigin, "*")
				// The one header of a conditional request that a script may not send
				// unasked (Fetch, CORS-safelisted request-header).
				c.Header("Access-Control-Allow-Headers", "If-None-Match")
				c.Header("Access-Control-Max-Age", "86400")
			}
			c.Status(http.StatusNoContent)
		})
	}
}

// headerAnyOrigin lets scripts of another site read an answer. The contract has
// it where that is wanted.
const headerAnyOrigin = "Access-Control-Allow-Origin"

// Limits of a connection.
const (
	headerTimeout  = 10 * time.Second
	readTimeout    = 60 * time.Second
	writeTimeout   = 60 * time.Second
	idleTimeout    = 120 * time.Second
	maxHeaderBytes = 32 << 10
)

// Listener makes the HTTP server that a process runs: slow, endless and
// oversized requests end here. Its own messages name addresses of clients, so
// they are dropped.
func (s *Server) Listener(addr string) *http.Server {
	return &http.Server{
		Addr: addr, Handler: s,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
}
