package statuslist

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// tokenType is the typ of the header, draft-ietf-oauth-status-list-20 §5.1.
const tokenType = "statuslist+jwt" //nolint:gosec // a media type, no secret

const (
	maxSubject = 1024              // bytes of an address
	maxTime    = 253402300799      // 9999-12-31T23:59:59Z in Unix seconds
	maxTTL     = 366 * 24 * 3600   // seconds
	overhead   = 1024 + maxSubject // more than header, signature and the other claims take
)

// What makes a token be refused, beside the errors of a list and those of
// package jws.
var (
	// ErrKey says that the kid of a token names no key of ours.
	ErrKey = errors.New("statuslist: the key is not known")
	// ErrClaims says that the payload is not exactly that of a status list.
	ErrClaims = errors.New("statuslist: the claims are not valid")
	// ErrSubject says that the list was published under another address.
	ErrSubject = errors.New("statuslist: the list belongs to another address")
)

// Token is a list as it is published, §5.1. Times are whole seconds on the
// wire.
type Token struct {
	Subject  string        // the address of the list; exactly the uri in the credentials
	IssuedAt time.Time     // when it was signed
	Expires  time.Time     // from then on it says nothing about who is valid
	TTL      time.Duration // when to look for a newer one, from whole seconds up to a year
	List     *List
}

// claims is the payload. §5.1 requires sub, iat and status_list and recommends
// exp and ttl; ours always have all five.
type claims struct {
	Subject string `json:"sub"`
	Issued  int64  `json:"iat"`
	Expires int64  `json:"exp"`
	TTL     int64  `json:"ttl"`
	List    struct {
		Bits int    `json:"bits"`
		Lst  string `json:"lst"`
	} `json:"status_list"`
}

// check reports all that is wrong at once.
func (c claims) check() error {
	var errs []error
	// The URI must be absolute: it is what a credential points to, §6.2.
	if u, err := url.Parse(c.Subject); err != nil || !u.IsAbs() || len(c.Subject) > maxSubject {
		errs = append(errs, fmt.Errorf("%w: sub must be an absolute address", ErrClaims))
	}
	if c.Issued <= 0 || c.Issued > maxTime {
		errs = append(errs, fmt.Errorf("%w: iat", ErrClaims))
	}
	if c.Expires <= c.Issued || c.Expires > maxTime {
		errs = append(errs, fmt.Errorf("%w: exp must be later than iat", ErrClaims))
	}
	if c.TTL <= 0 || c.TTL > maxTTL { // §5.1: a positive number
		errs = append(errs, fmt.Errorf("%w: ttl must be positive and at most a year", ErrClaims))
	}
	return errors.Join(errs...)
}

// Sign makes the signed token, with kid in its header. Fractions of seconds
// are cut off. It is checked before it is returned.
func (t Token) Sign(kid string, key crypto.Signer) (string, error) {
	c := claims{
		Subject: t.Subject,
		Issued:  t.IssuedAt.Unix(),
		Expires: t.Expires.Unix(),
		TTL:     int64(t.TTL / time.Second),
	}
	if t.List == nil {
		return "", fmt.Errorf("sign the status list: %w", errors.Join(ErrShape, c.check()))
	}
	if err := c.check(); err != nil {
		return "", fmt.Errorf("sign the status list: %w", err)
	}
	lst, err := t.List.Encode()
	if err != nil {
		return "", fmt.Errorf("sign the status list: %w", err)
	}
	c.List.Bits, c.List.Lst = t.List.Bits(), lst
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("sign the status list: %w", err)
	}
	return jws.Sign(tokenType, kid, key, payload)
}

// ReadInput reads what is about to be signed, as Parse reads a token: for a list of
// entries entries at whatever address it names.
func ReadInput(input []byte, entries int) (kid string, _ *Token, err error) {
	_, size, err := shape(8, entries)
	if err != nil {
		return "", nil, err
	}
	maxPayload := base64.RawURLEncoding.EncodedLen(maxDeflated(size)) + overhead
	m, err := jws.ParseInput(input, base64.RawURLEncoding.EncodedLen(maxPayload)+overhead, tokenType)
	if err != nil {
		return "", nil, err
	}
	t, err := open(m.Unverified(), maxPayload, entries)
	return m.KeyID(), t, err
}

// open reads a payload.
func open(payload []byte, maxPayload, entries int) (*Token, error) {
	c, err := parseClaims(payload, maxPayload)
	if err != nil {
		return nil, err
	}
	list, err := Decode(c.List.Bits, c.List.Lst, entries)
	if err != nil {
		return nil, err
	}
	return &Token{
		Subject:  c.Subject,
		IssuedAt: time.Unix(c.Issued, 0).UTC(),
		Expires:  time.Unix(c.Expires, 0).UTC(),
		TTL:      time.Duration(c.TTL) * time.Second,
		List:     list,
	}, nil
}

// Parse reads a token of our own: signed by the key that key returns for its
// kid (nil for none), for the list at the address subject, with at most
// entries entries (a multiple of 8). Everything but the time is checked: an
// expired list still tells what was withdrawn, so what age means is for the
// caller to judge.
//
// Errors are those of package jws with their codes, ErrKey, ErrClaims,
// ErrSubject, ErrShape, ErrList and ErrTooLarge.
func Parse(compact, subject string, entries int, key func(kid string) *ecdsa.PublicKey) (*Token, error) {
	// The bits are not known yet, so the bound is that of the widest list.
	_, size, err := shape(8, entries)
	if err != nil {
		return nil, err
	}
	maxPayload := base64.RawURLEncoding.EncodedLen(maxDeflated(size)) + overhead
	m, err := jws.Parse(compact, base64.RawURLEncoding.EncodedLen(maxPayload)+overhead, tokenType)
	if err != nil {
		return nil, err
	}
	pub := key(m.KeyID())
	if pub == nil {
		return nil, ErrKey
	}
	payload, err := m.Verify(pub)
	if err != nil {
		return nil, err
	}
	c, err := parseClaims(payload, maxPayload)
	if err != nil {
		return nil, err
	}
	// §8.3: sub must be equal to the uri of the credential.
	if c.Subject != subject {
		return nil, ErrSubject
	}
	list, err := Decode(c.List.Bits, c.List.Lst, entries)
	if err != nil {
		return nil, err
	}
	return &Token{
		Subject:  c.Subject,
		IssuedAt: time.Unix(c.Issued, 0).UTC(),
		Expires:  time.Unix(c.Expires, 0).UTC(),
		TTL:      time.Duration(c.TTL) * time.Second,
		List:     list,
	}, nil
}

// parseClaims reads a payload that has exactly the members of claims, by their
// exact names; encoding/json would take "SUB" for sub.
func parseClaims(payload []byte, limit int) (c claims, err error) {
	v, err := strictjson.Value(payload, strictjson.Limits{Size: limit, Depth: 2})
	if err != nil {
		return claims{}, fmt.Errorf("%w: %w", ErrClaims, err)
	}
	top, ok := members(v, "sub", "iat", "exp", "ttl", "status_list")
	if !ok {
		return claims{}, fmt.Errorf("%w: it must have sub, iat, exp, ttl and status_list", ErrClaims)
	}
	list, ok := members(top["status_list"], "bits", "lst")
	if !ok {
		return claims{}, fmt.Errorf("%w: status_list must have bits and lst", ErrClaims)
	}
	bits, okBits := integer(list["bits"])
	lst, okLst := list["lst"].(string)
	sub, okSub := top["sub"].(string)
	iat, okIat := integer(top["iat"])
	exp, okExp := integer(top["exp"])
	ttl, okTTL := integer(top["ttl"])
	// No list has more bits, and an int may be too small for what was written.
	okBits = okBits && bits >= 0 && bits <= 8
	if !okBits || !okLst || !okSub || !okIat || !okExp || !okTTL {
		return claims{}, fmt.Errorf("%w: a member is of the wrong kind", ErrClaims)
	}
	c = claims{Subject: sub, Issued: iat, Expires: exp, TTL: ttl}
	c.List.Bits, c.List.Lst = int(bits), lst
	return c, c.check()
}

// members returns v as an object that has exactly the members named.
func members(v any, names ...string) (map[string]any, bool) {
	object, ok := v.(map[string]any)
	if !ok || len(object) != len(names) {
		return nil, false
	}
	for _, name := range names {
		if _, ok := object[name]; !ok {
			return nil, false
		}
	}
	return object, true
}

// integer reads a number that is written as one: no fraction, no exponent.
func integer(v any) (int64, bool) {
	number, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(number.String(), 10, 64)
	return n, err == nil
}
