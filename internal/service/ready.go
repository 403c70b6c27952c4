package service

import (
	"context"
	"errors"
	"time"

	"github.com/safeconduct/safeconduct/internal/signer"
)

// errDraining says that this process finishes what it began, and takes no more.
var errDraining = errors.New("the service is about to stop")

const (
	// readyTime bounds the answer to whether the service can work: whoever asks
	// wants to know it now.
	readyTime = 3 * time.Second
	// readyFor is how long an answer stands: anybody may ask, and to find it out
	// costs a few questions to other servers.
	readyFor = 250 * time.Millisecond
	// listsAge is how old lists may become beyond a window, before whoever reads
	// them should look elsewhere: the ttl of their tokens.
	listsAge = 6 * time.Hour
)

// ready says why the service cannot work now: the database takes no changes, a
// key cannot be used, the log contradicts itself, or the pack that is served
// here is old, or older than another process's.
func (s *Service) ready(ctx context.Context) error {
	if s.draining.Load() {
		return errDraining // at once
	}
	s.asking.Lock()
	defer s.asking.Unlock()
	if time.Since(s.answered) > readyFor {
		// Also for those who ask next, so that it is nobody's own context.
		s.answer, s.answered = s.lookAround(context.WithoutCancel(ctx)), time.Now()
	}
	return s.answer
}

func (s *Service) lookAround(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	errs := []error{s.keyring.ready(ctx), s.Offsite.Check(), s.DB.Distrusted()}
	if s.beating.Load() && s.cfg.Engines.Database != "" {
		// Heartbeats are changes, and wait behind nobody: a replica with much to
		// write is ready.
		errs = append(errs, s.DB.Alive())
	} else {
		errs = append(errs, s.DB.Ping(ctx))
	}
	if keys, ok := s.store.(signer.Readier); ok {
		errs = append(errs, keys.Ready(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var oldest time.Duration
	if s.window > 0 {
		oldest = s.window + listsAge
	}
	return s.Board.ready(ctx, oldest)
}
