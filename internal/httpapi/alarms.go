package httpapi

import (
	"context"
	"time"

	"github.com/safeconduct/safeconduct/internal/httpapi/api"
)

// Alarm is something that whoever runs or audits the network should look at. It says
// nothing about a holder.
type Alarm struct {
	Code   AlarmCode
	Agency string    // whom it is about; "" is the network
	Asker  string    // the person or program, where somebody tries codes at a desk
	Since  time.Time // zero where nobody knows
	Until  time.Time // zero where it does not end by itself
	Count  int
}

// AlarmCode says what it is about.
type AlarmCode = api.AlarmCode

// The alarms.
const (
	AlarmRoster       = api.RosterMismatch
	AlarmRows         = api.RowsMismatch
	AlarmLog          = api.LogStopped
	AlarmPublishing   = api.PublishingStopped
	AlarmSignerAway   = api.SignerAway
	AlarmQuota        = api.QuotaExceeded
	AlarmLookUps      = api.LookUps
	AlarmLookUpsInAll = api.LookUpsInAll
	AlarmWrongCodes   = api.WrongCodes
	AlarmWrongAtDesk  = api.WrongCodesAtDesk
	AlarmChanges      = api.ChangesWaiting
	AlarmFounding     = api.FoundingOpen
	AlarmReopened     = api.FoundingReopened
)

// ListAlarms lists what somebody should look at now.
func (s *Server) ListAlarms(ctx context.Context, _ api.ListAlarmsRequestObject) (api.ListAlarmsResponseObject, error) {
	ctx, _ = acting(ctx)
	list := api.AlarmList{Alarms: []api.Alarm{}}
	if s.cfg.Alarms == nil {
		return api.ListAlarms200JSONResponse(list), nil
	}
	all, err := s.cfg.Alarms(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		list.Alarms = append(list.Alarms, api.Alarm{Code: a.Code, Agency: a.Agency, Asker: a.Asker, Since: utc(a.Since), Until: utc(a.Until), Count: a.Count})
	}
	return api.ListAlarms200JSONResponse(list), nil
}

// utc is a time for an answer. The zero time stays zero, and is left out.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}
