package service

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
)

const (
	// listsLate is how old lists may be before somebody should look, as the alarm
	// SafeconductListsOld has it.
	listsLate = 3 * time.Hour
	// quotaTold is how long it is told that an agency was at its limit.
	quotaTold = 7 * 24 * time.Hour
	// reopenedTold is how long devices show that founding was opened again.
	reopenedTold = 30 * 24 * time.Hour
)

// Alarms is what whoever runs or audits the network should look at now. It names
// agencies and counts, and nobody; who tries codes at a desk has an id there.
func (s *Service) Alarms(ctx context.Context) ([]httpapi.Alarm, error) {
	var all []httpapi.Alarm
	add := func(a httpapi.Alarm) { all = append(all, a) }
	if keys, ok := s.store.(signer.Readier); ok && keys.Ready(ctx) != nil {
		add(httpapi.Alarm{Code: httpapi.AlarmSignerAway})
	}
	if s.DB.Distrusted() != nil {
		add(httpapi.Alarm{Code: httpapi.AlarmRows})
	}
	if _, err := s.log.Check(ctx); errors.Is(err, audit.ErrStopped) {
		add(httpapi.Alarm{Code: httpapi.AlarmLog})
	}
	if age := s.Board.age(); age > listsLate {
		add(httpapi.Alarm{Code: httpapi.AlarmPublishing, Since: s.cfg.Now().Add(-age)})
	}
	state, err := s.rosterState(ctx)
	if _, wrong := errors.AsType[*RosterError](err); wrong || s.wrongRoster.Load() != nil {
		add(httpapi.Alarm{Code: httpapi.AlarmRoster})
	}
	if err != nil {
		return all, nil // the rest is asked of the roster
	}
	counted, err := s.countedAlarms(ctx, state)
	return append(append(all, counted...), s.rosterAlarms(state)...), err
}

// countedAlarms tells of agencies that were at their limit, of many look-ups, and of many
// wrong codes.
func (s *Service) countedAlarms(ctx context.Context, state roster.State) ([]httpapi.Alarm, error) {
	now := s.cfg.Now()
	refusals, err := s.DB.Credentials().Refusals(ctx, now.Add(-quotaTold))
	if err != nil {
		return nil, err
	}
	var all []httpapi.Alarm
	for _, r := range refusals {
		all = append(all, httpapi.Alarm{Code: httpapi.AlarmQuota, Agency: r.Agency, Since: r.Day})
	}
	lookUps, err := s.lookUpAlarms(ctx, state)
	if err != nil {
		return nil, err
	}
	all = append(all, lookUps...)
	// With so many wrong codes a number's holder is not answered either.
	tried, err := s.DB.Credentials().WrongCodes(ctx, now.Unix()/3600, credentials.WrongPerDay)
	if err != nil {
		return nil, err
	}
	if tried > 0 {
		all = append(all, httpapi.Alarm{Code: httpapi.AlarmWrongCodes, Count: tried})
	}
	atDesk, err := s.wrongAtDesk(ctx, state)
	return append(all, atDesk...), err
}

// wrongAtDesk tells who used up the wrong codes that somebody has at a desk for one card
// number, or which agency those of an agency, and for how many numbers.
func (s *Service) wrongAtDesk(ctx context.Context, state roster.State) (all []httpapi.Alarm, err error) {
	tried, err := s.DB.Credentials().WrongAtDesk(ctx, s.cfg.Now().Unix()/3600, credentials.WrongPerDayAsker)
	if err != nil {
		return nil, err
	}
	for _, w := range tried {
		agency := w.Agency
		if w.Actor != "" {
			agency = agencyOf(state, w.Actor)
		} else if w.Tries < credentials.WrongPerDayAgency {
			continue
		}
		i := slices.IndexFunc(all, func(a httpapi.Alarm) bool { return a.Agency == agency && a.Asker == w.Actor })
		if i < 0 {
			i, all = len(all), append(all, httpapi.Alarm{Code: httpapi.AlarmWrongAtDesk, Agency: agency, Asker: w.Actor})
		}
		all[i].Count++
	}
	return all, nil
}

// lookUpAlarms tells of agencies of which somebody spent a whole day's budget, or which
// spent half of their own: they may be trying numbers one after the other. And of all
// together, who have no budget.
func (s *Service) lookUpAlarms(ctx context.Context, state roster.State) (all []httpapi.Alarm, err error) {
	spent, err := s.DB.Vault().LookUps(ctx, s.cfg.Now(), 1)
	if err != nil {
		return nil, err
	}
	many, total := map[string]int{}, 0
	for _, l := range spent {
		agency, least := l.Agency, vault.LookUpsPerAgency/2
		if l.Actor != "" {
			agency, least = agencyOf(state, l.Actor), vault.LookUpsPerOfficer
		} else {
			total += l.Used
		}
		if l.Used >= least {
			many[agency] = max(many[agency], l.Used)
		}
	}
	for agency, used := range many {
		all = append(all, httpapi.Alarm{Code: httpapi.AlarmLookUps, Agency: agency, Count: used})
	}
	if total >= vault.LookUpsWatched {
		all = append(all, httpapi.Alarm{Code: httpapi.AlarmLookUpsInAll, Count: total})
	}
	return all, nil
}

// agencyOf is the agency of a person or a program; "" for nobody's.
func agencyOf(state roster.State, actor string) string {
	if p, ok := state.People[actor]; ok {
		return p.Agency
	}
	return state.Programs[actor].Agency
}

// rosterAlarms tells of what is unusual about who belongs to the network.
func (s *Service) rosterAlarms(state roster.State) (all []httpapi.Alarm) {
	now := s.cfg.Now()
	if n := len(state.Waiting); n > 0 {
		all = append(all, httpapi.Alarm{Code: httpapi.AlarmChanges, Count: n, Until: time.Unix(state.Waiting[0].Counts, 0)})
	}
	if state.Founding(now.Unix()) {
		all = append(all, httpapi.Alarm{Code: httpapi.AlarmFounding, Until: time.Unix(state.FoundingUntil, 0)})
	}
	if r := time.Unix(state.Reopened, 0); state.Reopened > 0 && now.Before(r.Add(reopenedTold)) {
		all = append(all, httpapi.Alarm{Code: httpapi.AlarmReopened, Since: r, Until: r.Add(reopenedTold)})
	}
	return all
}

// watchRoster holds the roster against the log with every window. What it finds stops
// publishing, as rows do that do not hold.
func (s *Service) watchRoster(ctx context.Context) error {
	err := s.CheckRoster(ctx)
	wrong, ok := errors.AsType[*RosterError](err)
	switch {
	case ok:
		s.wrongRoster.Store(wrong)
	case err == nil:
		s.wrongRoster.Store(nil)
	case errors.Is(err, sqlstore.ErrBusy):
		return nil // others change it: the next window looks again
	}
	return err
}

// believed says why nothing may be published.
func (s *Service) believed() error {
	if wrong := s.wrongRoster.Load(); wrong != nil {
		return wrong
	}
	return s.DB.Distrusted()
}
