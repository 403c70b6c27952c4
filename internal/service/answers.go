package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
)

// judgedBy is the rule by which it is decided whose answer confirms: 3 is that of decision
// 0058, by which a contest is ended by the desk alone. What was judged by another one is judged anew, once.
const judgedBy = 3

// judged is what an agency was when its answers were judged, as far as that decides what
// they confirm.
type judged struct {
	Rule      int
	By        claims.Answerer
	Suspended bool
	Since     int64 // since when it is not believed
}

// followAnswers judges anew what agencies confirm that are something else by now than when
// that was done last: suspended, let in again, named for a state or no more, whether at
// once or by a change that has waited. The folder remembers as what each was judged; a
// new one, or a version that judges otherwise, judges them all.
func (s *Service) followAnswers(ctx context.Context) error {
	state, err := s.People.State(ctx)
	if err != nil {
		return err
	}
	mark := filepath.Join(s.cfg.Dir, config.JudgedName)
	last := map[string]string{}
	switch data, err := files.Read(mark, 1<<20); {
	case err == nil:
		_ = json.Unmarshal(data, &last) // what cannot be read was judged as nothing
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	now := map[string]string{}
	for id, a := range state.Agencies {
		is, err := json.Marshal(judged{judgedBy, claims.Answerer{Class: a.Class, Country: a.Country, Confirms: a.Confirms}, a.Suspended, a.Compromised})
		if err != nil {
			return err
		}
		sum := sha256.Sum256(is)
		now[id] = hex.EncodeToString(sum[:8])
	}
	if maps.Equal(last, now) {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if last[id] == now[id] {
			continue
		}
		if _, err := s.Issuer.Reconsider(ctx, Console, id); err != nil {
			return err
		}
	}
	data, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return files.Replace(mark, data)
}
