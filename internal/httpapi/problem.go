package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/mask"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/copies"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/web"
)

// fault is a problem as the table states it. Its code is stable and is what
// programs go by; the title is for people and may change.
type fault struct {
	status int
	code   string
	title  string
}

// Faults that arise at the edge itself.
var (
	faultUnauthenticated = fault{http.StatusUnauthorized, "unauthenticated", "Sign in to do this"}
	faultForbidden       = fault{http.StatusForbidden, "forbidden", "Your role does not allow this"}
	faultCrossOrigin     = fault{http.StatusForbidden, "cross_origin", "The request came from another site"}
	faultInvitation      = fault{http.StatusForbidden, "invitation_refused", "Ask for a new invitation"}
	faultApproval        = fault{http.StatusForbidden, "approval_invalid", "This approval does not count"}
	faultNotFound        = fault{http.StatusNotFound, "not_found", "No such record"}
	faultMethod          = fault{http.StatusMethodNotAllowed, "method_not_allowed", "This cannot be done here; Allow says what can"}
	faultNoHistory       = fault{http.StatusNotImplemented, "history_not_supported", "A past state is not told to anybody"}
	faultTooLarge        = fault{http.StatusRequestEntityTooLarge, "too_large", "Too large"}
	faultMediaType       = fault{http.StatusUnsupportedMediaType, "media_type_refused", "This media type is not accepted here"}
	faultBodyMissing     = fault{http.StatusBadRequest, "body_missing", "The request has no body"}
	faultBodyUnexpected  = fault{http.StatusBadRequest, "body_unexpected", "The request has a body, and none is asked for"}
	faultInvalid         = fault{http.StatusBadRequest, "invalid_request", "The request is not as the contract asks; once it is, more may be found"}
	faultUnknownField    = fault{http.StatusBadRequest, "unknown_field", "The request has a member that the contract does not know; without it, more may be found"}
	faultKeyMissing      = fault{http.StatusBadRequest, "idempotency_key_required", "An Idempotency-Key of 16 to 128 letters, digits, - or _ is required"}
	faultKeyMismatch     = fault{http.StatusUnprocessableEntity, "idempotency_mismatch", "This Idempotency-Key was used for another request"}
	faultKeyBusy         = fault{http.StatusConflict, "in_progress", "The same request is still being worked on"}
	faultAlreadyDone     = fault{http.StatusConflict, "already_done", "This was done, and its answer was shown once"}
	faultChanged         = fault{http.StatusPreconditionFailed, "changed_meanwhile", "Somebody else changed this meanwhile"}
	faultTooMany         = fault{http.StatusTooManyRequests, "rate_limited", "Too many requests; try again shortly"}
	faultBudget          = fault{http.StatusTooManyRequests, "budget_exceeded", "The budget for this is spent"}
	faultBusy            = fault{http.StatusServiceUnavailable, "busy", "Busy; try again shortly"}
	faultDatabaseDown    = fault{http.StatusServiceUnavailable, "database_unavailable", "The database cannot be reached now; try again shortly"}
	faultRefused         = fault{http.StatusUnprocessableEntity, "input_refused", "Some of the values cannot be accepted"}
	faultConflict        = fault{http.StatusConflict, "state_conflict", "The state of the record does not allow this"}
	faultKeystore        = fault{http.StatusServiceUnavailable, "keystore_bad_response", "The keystore gave an answer that cannot be right"}
	faultKeystoreDown    = fault{http.StatusServiceUnavailable, "keystore_unavailable", "The keystore cannot be reached now; try again shortly"}
	faultNoPages         = fault{http.StatusNotImplemented, "pages_missing", "This service was built without its pages; whoever runs it builds it with make build"}
	faultNotReady        = fault{http.StatusServiceUnavailable, "not_ready", "The service cannot do this yet"}
	faultLocked          = fault{http.StatusServiceUnavailable, "locked", "The network is locked; call its desk"}
	faultLog             = fault{http.StatusServiceUnavailable, "audit_unavailable", "The log cannot be written, so nothing is done"}
	faultFull            = fault{http.StatusInsufficientStorage, "storage_full", "There is no room to keep more"}
	faultDamaged         = fault{http.StatusInternalServerError, "integrity_failure", "What was kept is damaged, and nothing of it was released"}
	faultInternal        = fault{http.StatusInternalServerError, "internal", "Something went wrong on our side"}
)

// soon are the faults after which the same request may succeed within seconds.
var soon = []fault{faultBusy, faultDatabaseDown, faultKeyBusy, faultKeystore, faultKeystoreDown}

// faults turns what a room or an adapter says into what a client reads; the
// first row that fits is the answer. Every exported error of theirs has a row;
// TestEveryErrorHasARow sees to it.
var faults = []struct {
	err error
	fault
}{
	// Before the rooms' own: what a room makes of a keystore that is away must
	// not read as damage.
	{trouble.ErrKeystore, faultKeystoreDown},
	{trouble.ErrWrongAnswer, faultKeystore},

	{strictjson.ErrDuplicateKey, fault{http.StatusBadRequest, "json_duplicate_key", "A member is named twice"}},
	{strictjson.ErrTooLarge, faultTooLarge},
	{strictjson.ErrUnknownField, faultUnknownField},
	{strictjson.ErrInvalid, fault{http.StatusBadRequest, "json_invalid", "The body is not valid JSON"}},

	{invalid.ErrInput, faultRefused},
	{claims.ErrUnknownKind, faultInvalid},

	{ErrKeyMismatch, faultKeyMismatch},
	{ErrKeyBusy, faultKeyBusy},
	{ErrContact, faultInternal}, // said at the start, never to a client

	{credentials.ErrNotFound, faultNotFound},
	{credentials.ErrNotAllowed, faultForbidden},
	{credentials.ErrConflict, faultConflict},
	{credentials.ErrNotAgreed, faultApproval},
	{credentials.ErrInFlight, faultKeyBusy},
	{credentials.ErrCodeShown, faultAlreadyDone},
	{credentials.ErrIndexTaken, faultBusy}, // the issuer draws again; seen only when many draws miss
	{credentials.ErrListFull, faultBusy},
	{credentials.ErrKeyUsed, faultKeyBusy},
	{credentials.ErrSettled, faultBusy}, // nothing was released; the next try is a new one
	{credentials.ErrChanged, faultBusy}, // worked out anew many times already
	{credentials.ErrUnknownAction, faultInvalid},
	{credentials.ErrKind, fault{http.StatusForbidden, "kind_not_signed", "Your agency does not sign this kind of attestation or card"}},
	{credentials.ErrSupervisor, fault{http.StatusForbidden, "supervisor_required", "Another name for the same person, or a third card in a month: a supervisor has to make it"}},
	{credentials.ErrQuota, fault{http.StatusTooManyRequests, "quota_exceeded", "Your agency has made as many cards as it may for now; two other agencies can raise that for an event"}},
	{credentials.ErrLevel, fault{http.StatusForbidden, "level_not_signed", "Your agency does not sign decisions of this level"}},

	{credentials.ErrCode, fault{http.StatusForbidden, "code_refused", "These are not number and code of a card of hers that is in use"}},

	{copies.ErrBusy, faultBusy},

	{card.ErrTooLong, fault{http.StatusUnprocessableEntity, "name_too_long", "The name does not fit on a card, even shortened"}},
	{card.ErrNotOurs, faultInternal}, // the rest of this room's errors become verdicts before they get here
	{card.ErrCode, faultInternal},
	{card.ErrWrongCode, faultInternal},
	{card.ErrContent, faultInternal},
	{card.ErrKeys, faultInternal},
	{card.ErrSigner, faultKeystore},

	{vault.ErrNotFound, faultNotFound},
	{vault.ErrNotOpened, fault{http.StatusForbidden, "not_opened", "The holder has to open this record first"}},
	{vault.ErrActor, faultForbidden}, // an operator has no agency, and no record
	{vault.ErrAttends, fault{http.StatusForbidden, "attends_only", "Who is on a case for some hours does not change who works on it"}},
	{vault.ErrConsent, fault{http.StatusUnprocessableEntity, "consent_missing", "The holder has not agreed to this"}},
	{vault.ErrText, fault{http.StatusConflict, "text_changed", "What the holder was read is not what is asked now; read her the new text"}},
	{vault.ErrConflict, faultChanged},
	{vault.ErrNonce, fault{http.StatusConflict, "nonce_refused", "Ask for a new nonce and sign again"}},
	{vault.ErrSignature, fault{http.StatusForbidden, "opening.refused", "The opening is not signed with this card and its code"}},
	{vault.ErrDevice, fault{http.StatusForbidden, "opening.device", "The device is not one of your agency's, or not any more"}},
	{vault.ErrBeyond, fault{http.StatusForbidden, "opening.beyond_grant", "The record was shared for another purpose, or less of it"}},
	{vault.ErrSpent, fault{http.StatusForbidden, "readings_spent", "None is left of the readings that the holder left for your agency"}},
	{vault.ErrAgain, fault{http.StatusForbidden, "read_again", "The record was opened often enough today; ask the agency that keeps it to let it be opened once more"}},
	{vault.ErrMayOpen, faultConflict},
	{vault.ErrBudget, faultBudget},
	{vault.ErrMediaType, faultMediaType},
	{vault.ErrUnreadable, fault{http.StatusUnprocessableEntity, "image_unreadable", "The picture cannot be read; take or save it again"}},
	{vault.ErrImageTooLarge, fault{http.StatusUnprocessableEntity, "image_too_large", "The picture has too many bytes or pixels"}},
	{vault.ErrTooMany, fault{http.StatusConflict, "too_many_pages", "The document has all the pages that it may have"}},
	{vault.ErrIntegrity, faultDamaged},
	{vault.ErrUnavailable, fault{http.StatusServiceUnavailable, "storage_unavailable", "What is kept cannot be reached now; try again shortly"}},
	{vault.ErrKeeper, faultKeystore},

	{people.ErrNotFound, faultNotFound},
	{people.ErrExists, faultConflict},
	{people.ErrUnauthenticated, faultUnauthenticated},
	{people.ErrForbidden, faultForbidden},
	{people.ErrConflict, faultConflict},
	{people.ErrDamaged, faultDamaged},

	{approval.ErrRefused, faultApproval},
	{approval.ErrOver, fault{http.StatusConflict, "approval_stale", "The time to approve this is over; ask for it anew"}},
	{approval.ErrAct, faultInvalid},
	{roster.ErrState, faultConflict},
	{roster.ErrProof, faultApproval},
	{roster.ErrLocked, faultLocked},
	{roster.ErrNotAgreed, faultApproval},
	{roster.ErrChange, faultDamaged}, // of what was kept: what a client sends is no change
	{roster.ErrPlace, faultBusy},     // another change came between, many times

	{passkey.ErrRefused, faultApproval},
	{passkey.ErrConfig, faultInternal},
	{signin.ErrNoSession, faultUnauthenticated},
	{signin.ErrChallenge, faultApproval},
	{signin.ErrCopied, faultUnauthenticated},
	{signin.ErrNotFound, faultInternal}, // of Stores, and answered inside

	{network.ErrNotFound, faultNotFound},
	{network.ErrExists, faultConflict},
	{network.ErrForbidden, faultForbidden},
	{network.ErrConflict, faultConflict},
	{network.ErrInvitation, faultInvitation},
	{network.ErrApproval, faultApproval},
	{network.ErrSymbols, fault{http.StatusUnprocessableEntity, "symbols_differ", "The symbols are not those that the device shows"}},
	{network.ErrOldKeys, faultNotReady},
	{network.ErrNoEpoch, faultNotReady},

	{audit.ErrNote, faultInternal},
	{audit.ErrStopped, faultLog},
	{audit.ErrCheckpoint, faultLog},
	{audit.ErrTampered, faultLog},
	{audit.ErrFork, faultLog},
	{audit.ErrSequence, faultLog},
	{audit.ErrOvertaken, faultBusy},
	{audit.ErrProof, faultInternal},
	{audit.ErrNotPublished, fault{http.StatusConflict, "not_published", "This is not in the published log yet"}},

	{mask.ErrKey, faultInternal},
	{private.ErrReveal, faultInternal},

	{web.ErrNotBuilt, faultNoPages},

	// After the rooms' own, which say more.
	{trouble.ErrDamaged, faultDamaged},
	{trouble.ErrFull, faultFull},
	{trouble.ErrBusy, faultBusy},
	{trouble.ErrUnavailable, faultDatabaseDown},
	{context.Canceled, faultBusy},
	{context.DeadlineExceeded, faultBusy},
}

// failure is an error that already knows its fault.
type failure struct {
	fault
	problems   []api.InputProblem
	retryAfter string // seconds; empty leaves it to the fault
}

// again is after how many seconds the request is worth repeating; empty means
// that nobody can tell.
func (f *failure) again() string {
	if f.retryAfter == "" && slices.Contains(soon, f.fault) {
		return "2"
	}
	return f.retryAfter
}

// Error names the code, which holds nothing that anybody sent.
func (f *failure) Error() string { return "httpapi: " + f.code }

func fail(f fault) error { return &failure{fault: f} }

// inconsistent refuses a request whose members do not go together; rule says how they do.
func inconsistent(pointer, rule string) error {
	return &failure{fault: faultInvalid, problems: []api.InputProblem{{Pointer: pointer, Code: invalid.CodeInconsistent, Rule: rule}}}
}

// diagnose finds what to tell about err. What no row knows is our fault.
func diagnose(err error) *failure {
	var known *failure
	if errors.As(err, &known) {
		return known
	}
	if input := inputOf(err); len(input) > 0 {
		return &failure{fault: faultRefused, problems: input}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &failure{fault: faultTooLarge}
	}
	for _, row := range faults {
		if errors.Is(err, row.err) {
			return &failure{fault: row.fault, problems: boundOf(err), retryAfter: retryAfter(err)}
		}
	}
	return &failure{fault: faultInternal}
}

// retryAfter is when a call is worth repeating, in seconds, if the error says
// that (RFC 9110 §10.2.3).
func retryAfter(err error) string {
	if later, ok := errors.AsType[*trouble.Later](err); ok {
		return strconv.Itoa(int(later.RetryAfter() / time.Second))
	}
	return ""
}

// inputOf lists what a room found wrong with the input, all of it at once. What
// the card's format finds has become that in package credentials.
func inputOf(err error) (problems []api.InputProblem) {
	e, ok := errors.AsType[*invalid.Error](err)
	if !ok {
		return nil
	}
	for _, p := range e.Problems[:min(len(e.Problems), maxProblems)] {
		problems = append(problems, api.InputProblem{Pointer: p.Pointer, Code: p.Code, Rule: p.Rule})
	}
	return problems
}

// boundOf says with a figure which bound a picture is beyond.
func boundOf(err error) []api.InputProblem {
	if e, ok := errors.AsType[*vault.PictureError](err); ok {
		return []api.InputProblem{{Pointer: "", Code: e.Code, Rule: e.Rule}}
	}
	return nil
}

// refuse answers with a problem document and ends the request. Two answers to
// "not found" are equal byte by byte, whatever the reason: only an answer that
// is our fault carries the request id.
func (s *Server) refuse(c *gin.Context, err error) {
	f := diagnose(err)
	if f.fault == faultLocked && s.cfg.Desk != "" {
		f.title += ": " + s.cfg.Desk // public, and the one way on
	}
	p := api.Problem{Type: "/problems/" + f.code, Title: f.title, Status: f.status, Code: f.code, Problems: f.problems}
	if f.status >= http.StatusInternalServerError && f.code != faultNoHistory.code && f.code != faultLocked.code {
		p.Request = requestID(c)
		_, route, _ := described(c)
		s.report(c, slog.LevelError, "request failed", slog.String("route", route), cause(err))
	}
	if f.status == http.StatusUnauthorized {
		c.Header("WWW-Authenticate", "Bearer")
	}
	if now := s.cfg.Now().UTC(); f.fault == faultBudget { // of a day
		f.retryAfter = seconds(now.Truncate(24*time.Hour).AddDate(0, 0, 1).Sub(now))
	}
	if after := f.again(); after != "" {
		c.Header("Retry-After", after)
	}
	if f.fault == faultNotFound {
		s.even(c)
	}
	c.Set(keyCode, f.code)
	body, err := json.Marshal(p)
	if err != nil {
		body = nil // a Problem always encodes; the status says enough
	}
	c.Abort()
	c.Data(f.status, "application/problem+json", body)
}

// even has an answer wait that something is not there, so that its time does not tell what
// there is: the work is the same, but a row that is read and not shown takes some
// millionths of a second more than none. A timer is rounded from when it was set, so that
// a little chance is added to it. What is public tells everybody.
func (s *Server) even(c *gin.Context) {
	if o := op(c); o == nil || o.public {
		return
	}
	rest := s.cfg.Even - time.Since(c.GetTime(keyCame))%s.cfg.Even
	wait := time.NewTimer(rest + rand.N(s.cfg.Even/8+1)) //nolint:gosec // no secret: it hides how a timer was rounded
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-c.Request.Context().Done():
	}
}
