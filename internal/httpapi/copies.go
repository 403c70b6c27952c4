package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/safeconduct/safeconduct/internal/copies"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
)

// CopyCase gives a holder her own copy of all that is kept about her, for number and code
// of her card. It is made as it is sent, and kept nowhere.
func (s *Server) CopyCase(c context.Context, r api.CopyCaseRequestObject) (api.CopyCaseResponseObject, error) {
	ctx, by := acting(c)
	to, err := copyTo(*r.Body)
	if err != nil {
		return nil, err
	}
	leave, err := s.seats.take(ctx, by.ID, s.cfg.Now()) // a code is stretched
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, copyTime)
	made, err := s.copies.AtDesk(ctx, by, copies.Order{Case: r.Case, To: to, Language: r.Body.Language}, r.Body.Number, r.Body.Code)
	if err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(ctx, made.Close) // also if nobody comes to write it
	return sentCopy{func(w io.Writer) {
		defer cancel()
		if _, err := made.Write(ctx, w); err != nil {
			s.report(c, slog.LevelError, "a copy was cut off", cause(err))
			panic(http.ErrAbortHandler) // the status is sent: nothing else tells that this is not all
		}
	}}, nil
}

// copyTo reads what opens a copy.
func copyTo(o api.CopyOrder) (copies.Recipient, error) {
	switch {
	case o.Passphrase.IsZero() == o.Recipient.IsZero():
		return copies.Recipient{}, inconsistent("/passphrase", "either passphrase or recipient is given")
	case o.Recipient.IsZero():
		return copies.ForPassphrase("/passphrase", o.Passphrase)
	default:
		return copies.ParseRecipient("/recipient", o.Recipient.Reveal())
	}
}

// How long a copy may take in all, and each part of it: longer than any other answer.
const (
	copyTime     = 15 * time.Minute
	copyPartTime = time.Minute
)

// sentCopy is an answer that is written as it is made.
type sentCopy struct{ write func(w io.Writer) }

// VisitCopyCaseResponse writes the answer.
func (r sentCopy) VisitCopyCaseResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", mediaBytes)
	w.Header().Set("Content-Disposition", `attachment; filename="copy.age"`)
	w.WriteHeader(http.StatusOK)
	r.write(patientWriter{w, http.NewResponseController(w)})
	return nil
}

// patientWriter gives each part of a long answer the time that other answers have in all.
type patientWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (p patientWriter) Write(b []byte) (int, error) {
	// Where that is not possible the server's own limit stands.
	_ = p.control.SetWriteDeadline(time.Now().Add(copyPartTime))
	return p.w.Write(b)
}
