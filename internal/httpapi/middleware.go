package httpapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/people"
)

// What middleware leaves for those further in.
const (
	keyRequest   = "request"
	keyCode      = "code"
	keyActor     = "actor"
	keyOperation = "operation"
	keyCame      = "came"
)

// nameRequest gives the request an id. What a client sends as an id is not
// looked at: it would stand in our logs.
func (s *Server) nameRequest(c *gin.Context) {
	c.Set(keyCame, time.Now())
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand
	c.Set(keyRequest, hex.EncodeToString(id[:]))
	c.Header("X-Request-Id", requestID(c))
	method := c.Request.Method
	if method == http.MethodHead {
		method = http.MethodGet // to everybody further in, and to the contract
	}
	o := s.ops[method+" "+c.FullPath()]
	c.Set(keyOperation, o)
	if o != nil && o.check {
		c.Request = markCheck(c.Request)
	}
	c.Next()
}

func requestID(c *gin.Context) string { return c.GetString(keyRequest) }

// op is the operation of the request, or nil when no route matched.
func op(c *gin.Context) *operation {
	o, _ := c.Get(keyOperation)
	known, _ := o.(*operation)
	return known
}

// logAccess writes one line for each request: docs/operate.md, Logs. Nothing in
// it was chosen by a client: no path, query, address, header or id of a record. A
// request about a check or a case has none (hour.go).
func (s *Server) logAccess(c *gin.Context) {
	if o := op(c); o != nil && (o.check || o.cases) {
		c.Next()
		if !o.check {
			s.seeCase(c)
		}
		return
	}
	start := s.cfg.Now()
	c.Next()
	method, route, role := described(c)
	s.cfg.Log.LogAttrs(context.WithoutCancel(c.Request.Context()), slog.LevelInfo, "request",
		slog.String("request", requestID(c)),
		slog.String("method", method),
		slog.String("route", route),
		slog.Int("status", c.Writer.Status()),
		slog.String("took", bucket(s.cfg.Now().Sub(start))),
		slog.String("code", c.GetString(keyCode)),
		slog.String("role", role),
		slog.String("build", s.cfg.Build),
	)
}

// bucket rounds a latency, because exact times tell requests apart.
func bucket(d time.Duration) string {
	if limit := upTo(d); limit < time.Minute {
		return "<=" + limit.String()
	}
	return ">10s"
}

// recover turns a panic into an answer. The value of a panic may hold what
// somebody sent, so only its type and where it arose are logged.
func (s *Server) recover(c *gin.Context) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v) // net/http's own way to drop a connection
		}
		s.report(c, slog.LevelError, "panic", slog.String("type", fmt.Sprintf("%T", v)), slog.String("stack", callers()))
		c.Abort()
		if !c.Writer.Written() {
			s.refuse(c, &failure{fault: faultInternal})
		}
	}()
	c.Next()
}

// callers lists functions and lines without arguments: debug.Stack prints
// argument words, and small values can be read off them.
func callers() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	var b strings.Builder
	for {
		f, more := frames.Next()
		b.WriteString(f.Function + " " + path.Base(f.File) + ":" + strconv.Itoa(f.Line) + "; ")
		if !more {
			return b.String()
		}
	}
}

// setHeaders says how browsers have to treat every answer. Answers that may be
// cached overwrite Cache-Control themselves.
func (s *Server) setHeaders(c *gin.Context) {
	for name, value := range map[string]string{
		"Cache-Control":                "no-store",
		"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
	} {
		c.Header(name, value)
	}
	if o := op(c); o != nil && o.published {
		c.Header(headerAnyOrigin, "*")
		c.Header("Access-Control-Expose-Headers", "Age, ETag")
		c.Header("Cross-Origin-Resource-Policy", "cross-origin")
	}
	c.Next()
}

// refusePaths knows one spelling of each path. Escapes, doubled slashes and
// dots would be read differently by a proxy in front and by us.
func (s *Server) refusePaths(c *gin.Context) {
	u := c.Request.URL
	if p := u.Path; u.RawPath != "" || u.EscapedPath() != p || path.Clean(p) != p || strings.ContainsAny(p, `\;`) {
		s.refuse(c, fail(faultNotFound))
		return
	}
	c.Next()
}

// refuseOrigin refuses requests that another site made a browser send. Beside
// sameSite it refuses the media types that a form can send without asking: this
// API takes none of them, and an old browser says nothing of where it stands.
func (s *Server) refuseOrigin(c *gin.Context) {
	if s.sameSite(c.Request) != nil || formLike(c.Request) {
		s.refuse(c, fail(faultCrossOrigin))
		return
	}
	c.Next()
}

// sameSite is the standard library's check (Sec-Fetch-Site, Origin), without any
// pattern that would pass it by. That check lets a request through that has neither
// header, because programs send none. A browser that brings a session does: one
// that does not say where it stands changes nothing with it.
func (s *Server) sameSite(r *http.Request) error {
	if err := s.origin.Check(r); err != nil {
		return err
	}
	if changes(r.Method) && bringsSession(r) && r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return errNowhere
	}
	return nil
}

// errNowhere is a request with a session that does not say which page sent it.
var errNowhere = errors.New("httpapi: a session, and no word of where the request comes from")

// bringsSession reports whether a request has a cookie of ours, whatever it is
// worth.
func bringsSession(r *http.Request) bool {
	return len(r.CookiesNamed(signin.CookieName)) > 0 || len(r.CookiesNamed(signin.LoopbackCookieName)) > 0
}

// changes reports whether a method is not one of those that change nothing (RFC
// 9110 §9.2.1).
func changes(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	default:
		return true
	}
}

func formLike(r *http.Request) bool {
	if !changes(r.Method) {
		return false
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch mediaType {
	case "text/plain", "application/x-www-form-urlencoded", "multipart/form-data":
		return true
	default:
		return false
	}
}

// maxToken bounds a bearer token in bytes.
const maxToken = 256

// identify lets in nobody on the public routes, and elsewhere one actor whose
// role may do what the operation is. Everything that is not said is refused.
func (s *Server) identify(c *gin.Context) {
	o := op(c)
	switch {
	case o == nil:
		c.Next() // NoRoute answers
		return
	case o.public:
		c.Next()
		return
	}
	by, err := s.actor(c, o)
	if err != nil {
		if f := diagnose(err); f.status < http.StatusInternalServerError && f.fault != faultTooMany {
			err = fail(faultUnauthenticated) // why nobody is let in is not said
		}
		s.refuse(c, err)
		return
	}
	c.Set(keyActor, by)
	if !slices.ContainsFunc(o.actions, func(do people.Action) bool { return people.May(by, do) == nil }) {
		s.refuse(c, people.ErrForbidden)
		return
	}
	c.Next()
}

// actor finds who sent a request: a program or a device by its token, or somebody who
// is signed in by the cookie. A request with both is the token's: no browser sends
// one by itself.
func (s *Server) actor(c *gin.Context, o *operation) (audit.Actor, error) {
	if len(c.Request.Header.Values("Authorization")) == 0 {
		by, err := s.signedIn(c)
		by.At = placeOf("session", session(c).ID)
		return by, err
	}
	token, ok := bearer(c.Request.Header)
	if !ok || o.person {
		return audit.Actor{}, people.ErrUnauthenticated
	}
	// Whoever has the keys wants to see it when something is signed.
	ctx := approval.With(c.Request.Context(), approval.Authority{Token: private.New(token)})
	c.Request = c.Request.WithContext(ctx)
	by, err := s.authenticate(ctx, o, token)
	by.At = placeOf("token", by.ID) // each of these has one token, as long as it is there
	return by, err
}

// placeOf names where somebody acts, so that nobody reads an id of a session out of what
// is kept.
func placeOf(kind, id string) string {
	sum := sha256.Sum256([]byte("safeconduct/at/" + kind + "/" + id))
	return hex.EncodeToString(sum[:16])
}

// byPerson tells whether somebody asks who is signed in, and no program with its token.
func byPerson(ctx context.Context) bool { return approval.Of(ctx).Token.IsZero() }

// bearer reads RFC 6750 §2.1, exactly one header of it.
func bearer(h http.Header) (string, bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxToken {
		return "", false
	}
	for _, b := range []byte(token) {
		if b <= ' ' || b >= 0x7f {
			return "", false
		}
	}
	return token, true
}

// acting returns the actor of an authenticated request and the context that
// goes on into the domain rooms. The generated code hands the handlers gin's
// own context, which stops here.
func acting(ctx context.Context) (context.Context, audit.Actor) {
	c, ok := ctx.(*gin.Context)
	if !ok {
		return ctx, audit.Actor{}
	}
	by, _ := c.Get(keyActor)
	actor, _ := by.(audit.Actor)
	return c.Request.Context(), actor
}
