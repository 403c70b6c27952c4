package sdjwt

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// Claims is what a verified presentation says. It does not print.
type Claims struct {
	vc        bool
	payload   map[string]any
	disclosed []string

	issued, notBefore, expires time.Time
	status                     *Status
}

// Status is where the status of a credential stands
// (draft-ietf-oauth-status-list-20 §6.2).
type Status struct {
	URI string
	// Index is any integer the issuer wrote; whether the list has such an
	// entry is for the reader of the list to say.
	Index int64
}

// Payload returns the processed payload: what was always open and what was
// disclosed, without digests. Values are as strictjson.Value returns them. The
// map is not a copy.
func (c *Claims) Payload() map[string]any { return c.payload }

// Disclosed returns the names of the members that came from disclosures, at
// whatever level; elements of arrays have no name and are not among them.
func (c *Claims) Disclosed() []string { return c.disclosed }

// Text returns the top-level claim name if it is a string, else "".
func (c *Claims) Text(name string) string {
	s, _ := c.payload[name].(string)
	return s
}

// VCT returns the type of a verifiable credential.
func (c *Claims) VCT() string { return c.Text("vct") }

// Issuer returns iss, or "". Whether the key that signed is that issuer's is
// for the caller to know.
func (c *Claims) Issuer() string { return c.Text("iss") }

// IssuedAt returns iat, or the zero time.
func (c *Claims) IssuedAt() time.Time { return c.issued }

// NotBefore returns nbf, or the zero time.
func (c *Claims) NotBefore() time.Time { return c.notBefore }

// Expires returns exp, or the zero time.
func (c *Claims) Expires() time.Time { return c.expires }

// Status returns the status reference, or nil if there is none.
func (c *Claims) Status() *Status { return c.status }

// Holder returns the key of the holder, cnf.jwk (RFC 7800 §3.2). A credential
// without cnf is an *Error with code claim_missing, another form of cnf one
// with code claim_invalid.
func (c *Claims) Holder() (*ecdsa.PublicKey, error) {
	v, there := c.payload["cnf"]
	if !there {
		return nil, refuse(CodeClaimMissing, "no cnf")
	}
	cnf, _ := v.(map[string]any)
	jwk, ok := cnf["jwk"].(map[string]any)
	if !ok {
		return nil, refuse(CodeClaimInvalid, "no key in cnf")
	}
	pub, err := jws.KeyOf(jwk)
	if err != nil {
		return nil, &Error{Code: CodeClaimInvalid, Err: fmt.Errorf("sdjwt: cnf: %w", err)}
	}
	return pub, nil
}

// Format shows the mask: claims are about a person.
func (*Claims) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(private.Masked)) }

// LogValue shows the mask.
func (*Claims) LogValue() slog.Value { return slog.StringValue(private.Masked) }

// MarshalJSON refuses: whoever stores claims says which.
func (*Claims) MarshalJSON() ([]byte, error) { return nil, private.ErrReveal }

// check judges the form of the registered claims and what the policy wants,
// on the processed payload (RFC 9901 §7.1 step 6).
func (c *Claims) check(policy Policy) error {
	for _, name := range policy.Required {
		if _, there := c.payload[name]; !there {
			return refuse(CodeClaimMissing, "a required claim is not there")
		}
	}
	for _, date := range []struct {
		name string
		into *time.Time
	}{{"iat", &c.issued}, {"nbf", &c.notBefore}, {"exp", &c.expires}} {
		v, there := c.payload[date.name]
		if !there {
			continue
		}
		t, ok := numericDate(v)
		if !ok {
			return refuse(CodeClaimInvalid, date.name+" is not a whole number of seconds")
		}
		*date.into = t
	}
	for _, name := range []string{"iss", "sub", "vct", "vct#integrity"} {
		if v, there := c.payload[name]; there {
			if s, ok := v.(string); !ok || s == "" {
				return refuse(CodeClaimInvalid, name+" is not a text")
			}
		}
	}
	if err := c.checkAudience(policy.Audience); err != nil {
		return err
	}
	if err := c.checkStatus(); err != nil {
		return err
	}
	if c.vc {
		return c.checkVC()
	}
	return nil
}

// checkVC judges what only a verifiable credential must have
// (draft-ietf-oauth-sd-jwt-vc-19 §2.2.2).
func (c *Claims) checkVC() error {
	vct, there := c.payload["vct"]
	if !there {
		return refuse(CodeClaimMissing, "no vct")
	}
	also, there := c.payload["aka_vcts"]
	if !there {
		return nil
	}
	list, _ := also.([]any)
	if len(list) == 0 || slices.ContainsFunc(list, func(v any) bool {
		s, ok := v.(string)
		return !ok || s == "" || v == vct
	}) {
		return refuse(CodeClaimInvalid, "aka_vcts is not a list of other types")
	}
	return nil
}

func (c *Claims) checkAudience(mine string) error {
	v, there := c.payload["aud"]
	if !there {
		return nil
	}
	// RFC 7519 §4.1.3: one text, or an array of texts.
	if list, ok := v.([]any); ok && mine != "" && slices.Contains(list, any(mine)) {
		return nil
	}
	if v == any(mine) && mine != "" {
		return nil
	}
	return refuse(CodeClaimInvalid, "aud is somebody else")
}

func (c *Claims) checkStatus() error {
	v, there := c.payload["status"]
	if !there {
		return nil
	}
	status, ok := v.(map[string]any)
	if !ok {
		return refuse(CodeClaimInvalid, "status is not an object")
	}
	v, there = status["status_list"]
	if !there {
		// Another mechanism that we do not know: the credential says that it
		// can be withdrawn and we could not tell.
		return refuse(CodeClaimInvalid, "status is of an unknown kind")
	}
	list, _ := v.(map[string]any)
	uri, _ := list["uri"].(string)
	index, ok := whole(list["idx"])
	if uri == "" || !ok {
		return refuse(CodeClaimInvalid, "status_list has no uri or no idx")
	}
	c.status = &Status{URI: uri, Index: index}
	return nil
}

// inTime judges exp and nbf with the skew.
func (c *Claims) inTime(now time.Time) error {
	if !c.expires.IsZero() && now.Sub(c.expires) >= Skew {
		return &Error{Code: CodeClaimInvalid, Err: ErrExpired}
	}
	if !c.notBefore.IsZero() && c.notBefore.Sub(now) > Skew {
		return &Error{Code: CodeClaimInvalid, Err: ErrNotYetValid}
	}
	return nil
}

// latest is the last second of the year 9999: what a later date means depends
// on the reader.
const latest = 253402300799

// numericDate reads a NumericDate (RFC 7519 §2) that is a whole number of
// seconds, not negative, without fraction and exponent.
func numericDate(v any) (time.Time, bool) {
	n, ok := whole(v)
	if !ok || n < 0 || n > latest {
		return time.Time{}, false
	}
	return time.Unix(n, 0).UTC(), true
}

// whole reads a whole number.
func whole(v any) (int64, bool) {
	s, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(string(s), 10, 64)
	return n, err == nil
}
