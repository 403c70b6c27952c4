package credentials

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
)

// entry makes the log entry of an act on d. It names ids, never content.
func (is *Issuer) entry(ctx context.Context, by audit.Actor, act string, d Issued) (audit.Entry, error) {
	return is.note(ctx, d.Case, string(d.Kind)+"."+act, noteBody{
		ID: d.ID, Actor: by.ID, Agency: by.Agency, About: d.About, Replaces: d.Replaces,
		Digest: hex.EncodeToString(d.Digest[:]), Day: day(is.cfg.Now()).Format(time.DateOnly),
	})
}

// noteBody is what the history of a case holds about an act.
type noteBody struct {
	ID       ID     `json:"id"`
	Actor    string `json:"actor"`
	Agency   string `json:"agency"`
	About    ID     `json:"about,omitempty"`
	Replaces ID     `json:"replaces,omitempty"`
	Digest   string `json:"digest,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Day      string `json:"day"`

	// Of a reading.
	Role    string        `json:"role,omitempty"`
	Reader  claims.Reader `json:"reader,omitempty"`
	Purpose string        `json:"purpose,omitempty"`
	At      string        `json:"at,omitempty"`
}

// minute is how the history writes when something was read.
const minute = "2006-01-02T15:04Z"

func (is *Issuer) note(_ context.Context, caseID, kind string, body noteBody) (audit.Entry, error) {
	note, err := audit.NewNote(kind, body)
	if err != nil {
		return audit.Entry{}, fmt.Errorf("write log entry: %w", err)
	}
	return audit.NewEntry(caseID, note, is.cfg.Now())
}

// openNote logs an act that belongs to no case, or to one that is gone. It holds
// no personal data.
func openNote(kind string, body any, now time.Time) (audit.Entry, error) {
	note, err := audit.NewNote(kind, body)
	if err != nil {
		return audit.Entry{}, fmt.Errorf("write log entry: %w", err)
	}
	return audit.NewEntry("", note, now)
}
