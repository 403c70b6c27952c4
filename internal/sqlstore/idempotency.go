package sqlstore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

var (
	// ErrMismatch says that an idempotency key was used before for another
	// request.
	ErrMismatch = errors.New("sqlstore: the idempotency key belongs to another request")

	// ErrInFlight says that the same request is still being worked on. It may
	// be asked again a little later.
	ErrInFlight = errors.New("sqlstore: the same request is being worked on")

	// ErrClaim says that a request is no longer the caller's to finish: it
	// took too long, and was begun anew or forgotten.
	ErrClaim = errors.New("sqlstore: the request is no longer this caller's")
)

const (
	// keepAnswers is how long a repeated request gets the first one's answer.
	keepAnswers = 24 * time.Hour
	// maxWork is how long a request may take before whoever began it counts
	// as lost, and a repeated one begins anew.
	maxWork = 2 * time.Minute
)

// Idempotency makes a request that is sent twice happen once. What it answered
// is kept encrypted under the caller's own idempotency key, which is kept
// nowhere: the stored answer opens only for whoever repeats the key.
type Idempotency struct {
	db  *DB
	now func() time.Time
}

// Idempotency returns the store of idempotency keys; now nil means time.Now.
func (db *DB) Idempotency(now func() time.Time) *Idempotency {
	if now == nil {
		now = time.Now
	}
	return &Idempotency{db, now}
}

// Claim is a request that its holder alone works on, until Finish or Abandon.
type Claim struct {
	id, mine []byte
	seal     cipher.AEAD
}

// Begin asks whether a request is new. actor and key name it; digest is the
// SHA-256 of everything in it that matters. A new request gives a Claim; one
// that was answered gives the answer and no Claim. ErrMismatch if the key was
// used for another request, ErrInFlight while the first one is worked on.
//
// Keys must be hard to guess, because the answer is encrypted under them:
// callers refuse short ones.
func (i *Idempotency) Begin(ctx context.Context, actor, key string, digest [32]byte) (*Claim, []byte, error) {
	names, err := i.names(actor, key, digest)
	if err != nil {
		return nil, nil, err
	}
	claim := &Claim{id: names.id, mine: make([]byte, 16), seal: names.seal}
	_, _ = rand.Read(claim.mine) // never returns an error

	var answer []byte
	var begun bool
	expired := "FALSE"
	if i.db.mayExpireOthers() {
		expired = i.db.expired("owner")
	}
	err = i.db.tx(ctx, func(tx *sql.Tx) error {
		begun = false
		now := i.now().Unix()
		var request []byte
		var done, orphan bool
		var expires int64
		// Nobody works any more on what an expired process began.
		err := tx.QueryRowContext(ctx, `SELECT request, done, response, expires, NOT done AND owner IS NOT NULL AND owner <> $2 AND `+
			expired+" FROM idempotency WHERE id = $1", names.id, i.db.me.id).
			Scan(&request, &done, &answer, &expires, &orphan)
		switch {
		case err == nil && orphan && subtle.ConstantTimeCompare(request, names.request) == 1,
			errors.Is(err, sql.ErrNoRows) || err == nil && now >= expires:
			begun = true
			return i.claim(ctx, tx, claim, names.request)
		case err != nil:
			return fmt.Errorf("sqlstore: read idempotency key: %w", err)
		case subtle.ConstantTimeCompare(request, names.request) != 1:
			return ErrMismatch
		case !done:
			return ErrInFlight
		}
		return nil
	})
	if err != nil {
		if errors.Is(err, ErrUnavailable) {
			i.lose(claim) // it may be there, and nobody has it
		}
		return nil, nil, err
	}
	if begun {
		return claim, nil, nil
	}
	if answer, err = names.seal.Open(nil, nil, answer, names.id); err != nil {
		return nil, nil, errors.New("sqlstore: a stored answer is damaged")
	}
	return nil, answer, nil
}

// claim writes a request that is being worked on, over one that expired.
func (i *Idempotency) claim(ctx context.Context, tx *sql.Tx, c *Claim, request []byte) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO idempotency (id, request, done, claim, expires, owner) VALUES ($1, $2, FALSE, $3, $4, $5)
		ON CONFLICT (id) DO UPDATE
		SET request = excluded.request, done = FALSE, response = NULL, claim = excluded.claim, case_id = NULL, expires = excluded.expires, owner = excluded.owner`,
		c.id, request, c.mine, i.now().Add(maxWork).Unix(), i.db.me.id)
	if err != nil {
		return fmt.Errorf("sqlstore: write idempotency key: %w", err)
	}
	return nil
}

// Finish stores the answer of a request for a day. caseID is the case that the
// answer tells about, so that erasing the case takes the answer along; "" if
// none. ErrClaim if the request is not the caller's any more.
func (i *Idempotency) Finish(ctx context.Context, c *Claim, caseID string, answer []byte) error {
	sealed := c.seal.Seal(nil, nil, answer, c.id) //nolint:gosec // NewGCMWithRandomNonce draws the nonce
	err := i.db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx,
			"UPDATE idempotency SET done = TRUE, response = $1, case_id = $2, expires = $3 WHERE id = $4 AND claim = $5 AND NOT done",
			sealed, optional(caseID), i.now().Add(keepAnswers).Unix(), c.id, c.mine)
		if err := mustChange(res, err, ErrClaim); err != nil {
			return fmt.Errorf("sqlstore: store answer: %w", err)
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrClaim) {
		i.lose(c)
	}
	return err
}

// Abandon lets the same key be used again, because the request changed
// nothing. It does nothing after Finish.
func (i *Idempotency) Abandon(ctx context.Context, c *Claim) error {
	err := i.abandon(ctx, c)
	if err != nil {
		i.lose(c)
	}
	return err
}

func (i *Idempotency) abandon(ctx context.Context, claims ...*Claim) error {
	return i.db.tx(ctx, func(tx *sql.Tx) error {
		for _, c := range claims {
			_, err := tx.ExecContext(ctx, "DELETE FROM idempotency WHERE id = $1 AND claim = $2 AND NOT done", c.id, c.mine)
			if err != nil {
				return fmt.Errorf("sqlstore: abandon idempotency key: %w", err)
			}
		}
		return nil
	})
}

// maxLost bounds how many requests are kept for later, while the database is
// away. What is beyond it ends by its own time.
const maxLost = 10_000

// lose notes a request that could be neither finished nor abandoned, because
// the database was away. Settle does it later: its key would stay taken.
func (i *Idempotency) lose(c *Claim) {
	i.db.me.mu.Lock()
	defer i.db.me.mu.Unlock()
	if len(i.db.me.lost) < maxLost {
		i.db.me.lost[string(c.mine)] = c
	}
}

// Settle abandons what could not be ended when it should have been. Call it
// from time to time.
func (i *Idempotency) Settle(ctx context.Context) error {
	i.db.me.mu.Lock()
	lost := slices.Collect(maps.Values(i.db.me.lost))
	i.db.me.mu.Unlock()
	for some := range slices.Chunk(lost, 500) {
		if err := i.abandon(ctx, some...); err != nil {
			return err
		}
		i.db.me.mu.Lock()
		for _, c := range some {
			delete(i.db.me.lost, string(c.mine))
		}
		i.db.me.mu.Unlock()
	}
	return nil
}

// Forget removes all answers that tell about a case.
func (i *Idempotency) Forget(ctx context.Context, caseID string) error {
	return i.db.tx(ctx, func(tx *sql.Tx) error { return forgetAnswers(ctx, tx, caseID) })
}

func forgetAnswers(ctx context.Context, tx *sql.Tx, caseID string) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM idempotency WHERE case_id = $1", caseID); err != nil {
		return fmt.Errorf("sqlstore: forget answers: %w", err)
	}
	return nil
}

// Sweep removes what has expired and returns how much it was.
func (i *Idempotency) Sweep(ctx context.Context) (n int64, err error) {
	err = i.db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "DELETE FROM idempotency WHERE expires <= $1", i.now().Unix())
		if err != nil {
			return fmt.Errorf("sqlstore: sweep idempotency keys: %w", err)
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

// names are what a request is stored under, all derived from the caller's key.
type names struct {
	id, request []byte
	seal        cipher.AEAD
}

func (i *Idempotency) names(actor, key string, digest [32]byte) (names, error) {
	// RFC 5869: the actor is the salt, so that two actors who choose one key
	// share nothing; info separates the uses.
	derive := func(use string) ([]byte, error) {
		return hkdf.Key(sha256.New, []byte(key), []byte(actor), "safeconduct/idempotency/1/"+use, 32)
	}
	id, err1 := derive("id")
	request, err2 := derive("request")
	response, err3 := derive("response")
	if err := errors.Join(err1, err2, err3); err != nil {
		return names{}, fmt.Errorf("sqlstore: derive: %w", err)
	}
	// A plain digest of a request with few possible values could be guessed.
	mac := hmac.New(sha256.New, request)
	mac.Write(digest[:])
	block, err := aes.NewCipher(response)
	if err != nil {
		return names{}, fmt.Errorf("sqlstore: cipher: %w", err)
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return names{}, fmt.Errorf("sqlstore: cipher: %w", err)
	}
	return names{id, mac.Sum(nil), seal}, nil
}
