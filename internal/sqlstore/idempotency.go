package sqlstore

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
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
// nowhere: the stored answer opens only for whoever repeats the key. Around it is a box
// under our own, of few sizes, and beside that the day in which all of it is forgotten.
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

	k := i.db.seals
	if k == nil {
		return nil, nil, ErrNoSealKey
	}
	var answer []byte
	var begun bool
	err = i.db.tx(ctx, func(tx *sql.Tx) error {
		begun, answer = false, nil
		kept, found, err := i.read(ctx, tx, names.id)
		if err != nil {
			return err
		}
		same := subtle.ConstantTimeCompare(kept.Request, names.request) == 1
		switch {
		case !found, i.now().Unix() >= kept.Expires:
			begun = true
		case !same:
			return ErrMismatch
		case kept.Done:
			answer = kept.Answer
		default:
			if begun, err = i.orphan(ctx, tx, kept.Owner); err != nil {
				return err
			}
			if !begun {
				return ErrInFlight
			}
		}
		if begun {
			return i.write(ctx, tx, names.id, nil, answered{Request: names.request, Claim: claim.mine, Expires: i.now().Add(maxWork).Unix(), Owner: i.db.me.id})
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

// answered is what the box of a request holds that is worked on, or was answered.
type answered struct {
	Request []byte `cbor:"1,keyasint"`
	Claim   []byte `cbor:"2,keyasint"`
	Expires int64  `cbor:"3,keyasint"` // seconds
	Owner   string `cbor:"4,keyasint"`
	Done    bool   `cbor:"5,keyasint,omitempty"`
	Answer  []byte `cbor:"6,keyasint,omitempty"` // to the caller's own key
}

const (
	// workLeast and answerLeast are the smallest sizes of a request that is worked on,
	// and of one that was answered.
	workLeast   = 256
	answerLeast = 4 << 10
)

// read reads the row of a request.
func (i *Idempotency) read(ctx context.Context, tx *sql.Tx, id []byte) (kept answered, found bool, err error) {
	var box []byte
	err = tx.QueryRowContext(ctx, "SELECT box FROM idempotency WHERE id = $1", id).Scan(&box)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return kept, false, nil
	case err != nil:
		return kept, false, fmt.Errorf("sqlstore: read idempotency key: %w", err)
	}
	plain, err := i.db.seals.boxes.open(box, "idempotency", string(id), 0)
	if err != nil || bodyDecoding.Unmarshal(plain, &kept) != nil {
		return kept, false, &SealError{"idempotency", fmt.Sprintf("%.8x", id)}
	}
	return kept, true, nil
}

// write writes it, over one that is there. tag is by what the answers about a case are
// found when it is erased; nil is none.
func (i *Idempotency) write(ctx context.Context, tx *sql.Tx, id, tag []byte, kept answered) error {
	plain, err := bodyEncoding.Marshal(kept)
	if err != nil {
		return fmt.Errorf("sqlstore: encode an answer: %w", err)
	}
	least := workLeast
	if kept.Done {
		least = answerLeast
	}
	if tag == nil { // as one that is nobody's
		tag = make([]byte, len(name{}))
		_, _ = rand.Read(tag) // never returns an error
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO idempotency (id, tag, day, box) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET tag = excluded.tag, day = excluded.day, box = excluded.box`,
		id, tag, dayBehind(kept.Expires), i.db.seals.boxes.box(least, plain, "idempotency", string(id), 0))
	if err != nil {
		return fmt.Errorf("sqlstore: write idempotency key: %w", err)
	}
	return nil
}

// orphan reports whether nobody works any more on what a process began: it has expired,
// and is not this one.
func (i *Idempotency) orphan(ctx context.Context, tx *sql.Tx, owner string) (gone bool, err error) {
	if owner == i.db.me.id || !i.db.mayExpireOthers() {
		return false, nil
	}
	err = tx.QueryRowContext(ctx, "SELECT "+i.db.expired("began.id")+" FROM (SELECT CAST($1 AS TEXT) AS id) AS began", owner).Scan(&gone)
	if err != nil {
		return false, fmt.Errorf("sqlstore: look for a process: %w", err)
	}
	return gone, nil
}

// Finish stores the answer of a request for a day. caseID is the case that the
// answer tells about, so that erasing the case takes the answer along; "" if
// none. ErrClaim if the request is not the caller's any more.
func (i *Idempotency) Finish(ctx context.Context, c *Claim, caseID string, answer []byte) error {
	sealed := c.seal.Seal(nil, nil, answer, c.id) //nolint:gosec // NewGCMWithRandomNonce draws the nonce
	err := i.db.tx(ctx, func(tx *sql.Tx) error {
		kept, found, err := i.read(ctx, tx, c.id)
		switch {
		case err != nil:
			return err
		case !found, kept.Done, !bytes.Equal(kept.Claim, c.mine):
			return ErrClaim
		}
		kept.Done, kept.Answer, kept.Expires = true, sealed, i.now().Add(keepAnswers).Unix()
		return i.write(ctx, tx, c.id, i.db.seals.answerTag(caseID), kept)
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
			kept, found, err := i.read(ctx, tx, c.id)
			if err != nil {
				return err
			}
			if !found || kept.Done || !bytes.Equal(kept.Claim, c.mine) {
				continue
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM idempotency WHERE id = $1", c.id); err != nil {
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

// tagsOfCase is under how many names the answers about a case may stand. Each takes one
// of them by chance: two answers of one day have the same so seldom that nothing links
// them, and whoever has the key tries all of them.
const tagsOfCase = 1 << 10

// answerTag is one of the names under which answers about a case stand; nil for no case.
func (k *sealer) answerTag(caseID string) []byte {
	if caseID == "" {
		return nil
	}
	var at [2]byte
	_, _ = rand.Read(at[:]) // never returns an error
	return k.tagOfCase(caseID, int(binary.BigEndian.Uint16(at[:])%tagsOfCase))
}

func (k *sealer) tagOfCase(caseID string, at int) []byte {
	n := k.name("answers", caseID, strconv.Itoa(at))
	return n[:]
}

// Forget removes all answers that tell about a case.
func (i *Idempotency) Forget(ctx context.Context, caseID string) error {
	if i.db.seals == nil {
		return ErrNoSealKey
	}
	return i.db.tx(ctx, func(tx *sql.Tx) error { return forgetAnswers(ctx, tx, i.db.seals, caseID) })
}

func forgetAnswers(ctx context.Context, tx *sql.Tx, k *sealer, caseID string) error {
	const some = 256
	for first := 0; first < tagsOfCase; first += some {
		in, tags := make([]string, some), make([]any, some)
		for at := range some {
			in[at], tags[at] = fmt.Sprintf("$%d", at+1), k.tagOfCase(caseID, first+at)
		}
		//nolint:gosec // it is numbers of places
		if _, err := tx.ExecContext(ctx, "DELETE FROM idempotency WHERE tag IN ("+strings.Join(in, ", ")+")", tags...); err != nil {
			return fmt.Errorf("sqlstore: forget answers: %w", err)
		}
	}
	return nil
}

// Sweep removes what has expired and returns how much it was.
func (i *Idempotency) Sweep(ctx context.Context) (n int64, err error) {
	err = i.db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "DELETE FROM idempotency WHERE day <= $1", i.now().Unix()/86400)
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
