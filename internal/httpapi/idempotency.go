package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"
)

const headerKey = "Idempotency-Key"

// Idempotency makes a request that is sent twice happen once.
type Idempotency interface {
	// Begin asks whether a request is new. actor and key name it; digest is the
	// SHA-256 of everything in it that matters. A new request gives a Claim, one
	// that was answered gives the answer. ErrKeyMismatch if the key was used for
	// another request, ErrKeyBusy while the first one is worked on.
	Begin(ctx context.Context, actor, key string, digest [32]byte) (Claim, []byte, error)
}

// Claim is a request that one caller works on.
type Claim interface {
	// Finish stores the answer. caseID is the case it tells about, so that
	// erasing the case takes the answer along; "" if none.
	Finish(ctx context.Context, caseID string, answer []byte) error
	// Abandon frees the key, because the request had no effect.
	Abandon(ctx context.Context) error
}

// Answers of Begin.
var (
	ErrKeyMismatch = errors.New("httpapi: the idempotency key belongs to another request")
	ErrKeyBusy     = errors.New("httpapi: the same request is being worked on")
)

// Keys is a store of idempotency keys with claims of its own type. Adapters do
// not know each other, so that Once joins them.
type Keys[C any] interface {
	Begin(ctx context.Context, actor, key string, digest [32]byte) (C, []byte, error)
	Finish(ctx context.Context, claim C, caseID string, answer []byte) error
	Abandon(ctx context.Context, claim C) error
}

// Once makes an Idempotency of a store and the two errors by which it refuses.
func Once[C any](keys Keys[C], mismatch, busy error) Idempotency {
	return once[C]{keys, mismatch, busy}
}

type once[C any] struct {
	keys           Keys[C]
	mismatch, busy error
}

// Begin is the store's own, in the words of this room.
func (o once[C]) Begin(ctx context.Context, actor, key string, digest [32]byte) (Claim, []byte, error) {
	claim, answer, err := o.keys.Begin(ctx, actor, key, digest)
	switch {
	case errors.Is(err, o.mismatch):
		return nil, nil, ErrKeyMismatch
	case errors.Is(err, o.busy):
		return nil, nil, ErrKeyBusy
	case err != nil:
		return nil, nil, err
	case answer != nil:
		return nil, answer, nil
	}
	return claimed[C]{o.keys, claim}, nil, nil
}

type claimed[C any] struct {
	keys  Keys[C]
	claim C
}

func (c claimed[C]) Finish(ctx context.Context, caseID string, answer []byte) error {
	return c.keys.Finish(ctx, c.claim, caseID, answer)
}

func (c claimed[C]) Abandon(ctx context.Context) error { return c.keys.Abandon(ctx, c.claim) }

// storedAnswer is an answer as it is stored.
type storedAnswer struct {
	Status int    `json:"status"`
	ETag   string `json:"etag,omitempty"`
	Body   []byte `json:"body,omitempty"` // none where the answer was shown once
}

// idempotent gives each POST one effect. A request that comes again gets the
// first answer; where that was shown once, it learns that it was.
func (s *Server) idempotent(c *gin.Context) {
	o := op(c)
	if o == nil || o.replay == "" || o.replay == replayNone {
		c.Next()
		return
	}
	ctx, by := acting(c)
	claim, answer, err := s.cfg.Idempotency.Begin(ctx, by.ID, c.GetHeader(headerKey), requestDigest(c))
	switch {
	case err != nil:
		s.refuse(c, err)
	case claim == nil:
		s.answerAgain(c, answer)
	case o.streamed:
		s.answerAsItComes(c, claim)
	default:
		s.answerFirst(c, o, claim)
	}
}

// answerAsItComes runs a request whose answer is shown once and is too long to be held:
// the key is spent before the first of it leaves. A request that was refused has had no
// effect; its key is free again.
func (s *Server) answerAsItComes(c *gin.Context, claim Claim) {
	ctx := context.WithoutCancel(c.Request.Context()) // as in answerFirst
	w := &streamedWriter{ResponseWriter: c.Writer}
	w.begin = func() { s.spend(ctx, c, claim, storedAnswer{Status: http.StatusOK}) }
	c.Writer = w
	defer func() { // also when a handler panics
		c.Writer = w.ResponseWriter
		if !w.began {
			s.free(ctx, c, claim)
		}
	}()
	c.Next()
}

// streamedWriter tells when an answer that is no refusal begins.
type streamedWriter struct {
	gin.ResponseWriter

	begin func()
	began bool
}

// WriteHeader notes what is about to leave.
func (w *streamedWriter) WriteHeader(code int) {
	if code < http.StatusBadRequest && !w.began {
		w.began = true
		w.begin()
	}
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (w *streamedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// answerFirst runs the request and keeps what it answered. A request that was
// refused, or broke, had no effect that the rooms have not undone; its key is
// free again.
func (s *Server) answerFirst(c *gin.Context, o *operation, claim Claim) {
	// The client may have gone; what was done must be remembered all the same.
	ctx := context.WithoutCancel(c.Request.Context())
	done := false
	defer func() { // also when a handler panics
		if !done {
			s.free(ctx, c, claim)
		}
	}()
	w := &bufferedWriter{ResponseWriter: c.Writer}
	c.Writer = w
	defer func() { c.Writer = w.ResponseWriter }()
	c.Next()
	if w.status() >= http.StatusBadRequest {
		w.release()
		return
	}
	answer := storedAnswer{Status: w.status(), ETag: w.Header().Get("ETag")}
	if o.replay == replayBody {
		answer.Body = w.body.Bytes()
	}
	// The effect stands, whether or not it will be remembered: the answer goes
	// out, and a repetition is settled by the rooms' own request keys.
	done = true
	s.spend(ctx, c, claim, answer)
	w.release()
}

// spend keeps an answer for the same request, should it come again.
func (s *Server) spend(ctx context.Context, c *gin.Context, claim Claim, answer storedAnswer) {
	encoded, err := json.Marshal(answer)
	if err == nil {
		err = claim.Finish(ctx, caseTold(c), encoded)
	}
	if err != nil {
		s.report(c, slog.LevelError, "answer was not kept", cause(err))
	}
}

// free gives back the key of a request that had no effect.
func (s *Server) free(ctx context.Context, c *gin.Context, claim Claim) {
	if err := claim.Abandon(ctx); err != nil {
		s.report(c, slog.LevelError, "idempotency key was not freed", cause(err))
	}
}

// keyCase is where a handler leaves the case that its answer tells about.
const keyCase = "case"

// tellsAbout says which case the answer tells about, so that erasing the case
// takes it along. Every POST has to say it whose path does not name the case.
func tellsAbout(ctx context.Context, caseID string) {
	if c, ok := ctx.(*gin.Context); ok {
		c.Set(keyCase, caseID)
	}
}

func caseTold(c *gin.Context) string {
	if told := c.GetString(keyCase); told != "" {
		return told
	}
	return c.Param("case")
}

func (s *Server) answerAgain(c *gin.Context, answer []byte) {
	var first storedAnswer
	switch {
	case json.Unmarshal(answer, &first) != nil:
		s.refuse(c, fail(faultInternal))
	case first.Body == nil:
		s.refuse(c, fail(faultAlreadyDone))
	default:
		if first.ETag != "" {
			c.Header("ETag", first.ETag)
		}
		c.Abort()
		c.Data(first.Status, mediaJSON, first.Body)
	}
}

// requestKey is the rooms' name for a request that is sent twice. They never
// see the client's own key, under which stored answers are encrypted.
func requestKey(ctx context.Context) string {
	c, ok := ctx.(*gin.Context)
	if !ok {
		return ""
	}
	_, by := acting(c)
	sum := digest("request key", []byte(by.ID), []byte(c.GetHeader(headerKey)))
	return hex.EncodeToString(sum[:])
}

// requestDigest is everything that makes two requests differ.
func requestDigest(c *gin.Context) [32]byte {
	body, _ := c.Get(keyBody)
	data, _ := body.([]byte)
	return digest("request", []byte(c.Request.Method), []byte(c.Request.URL.RequestURI()),
		[]byte(c.GetHeader("Content-Type")), data)
}

// digest is SHA-256 over parts, each with its length before it, so that no two
// lists of parts run together.
func digest(label string, parts ...[]byte) [32]byte {
	h := sha256.New()
	for _, p := range append([][]byte{[]byte("safeconduct/http/1/" + label)}, parts...) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}

// bufferedWriter keeps an answer until it has been remembered.
type bufferedWriter struct {
	gin.ResponseWriter
	code int
	body bytes.Buffer
}

func (w *bufferedWriter) status() int {
	if w.code == 0 {
		return http.StatusOK
	}
	return w.code
}

// WriteHeader notes the status.
func (w *bufferedWriter) WriteHeader(code int) { w.code = code }

// WriteHeaderNow does nothing: nothing goes out yet.
func (w *bufferedWriter) WriteHeaderNow() {}

// Write keeps the bytes.
func (w *bufferedWriter) Write(b []byte) (int, error) { return w.body.Write(b) }

// WriteString keeps the text.
func (w *bufferedWriter) WriteString(s string) (int, error) { return w.body.WriteString(s) }

// Status is what will be sent.
func (w *bufferedWriter) Status() int { return w.status() }

// Written reports whether anything was written here.
func (w *bufferedWriter) Written() bool { return w.code != 0 || w.body.Len() > 0 }

// Size is how much was written here.
func (w *bufferedWriter) Size() int { return w.body.Len() }

func (w *bufferedWriter) release() {
	w.ResponseWriter.WriteHeader(w.status())
	_, _ = w.ResponseWriter.Write(w.body.Bytes())
}
