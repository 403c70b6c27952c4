package sdjwt

import (
	"crypto"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// ErrNoSuchClaim says that a claim was to be shown that the credential does
// not have, or that cannot be chosen because it is always shown.
var ErrNoSuchClaim = errors.New("sdjwt: no such claim to disclose")

// Present returns the SD-JWT with only the disclosures of the top-level claims
// named, and of everything inside them. It ends in a tilde, without key
// binding. A name that nothing can be disclosed for is ErrNoSuchClaim. The
// holder need not be able to verify; she shows what she was given.
func (t *Token) Present(names ...string) (string, error) {
	payload, err := strictjson.Value(t.message.Unverified(), strictjson.Limits{Size: MaxSize, Depth: MaxDepth})
	if err != nil {
		return "", asError("payload", err)
	}
	top, _ := payload.(map[string]any)
	p := picker{byDigest: make(map[string]int, len(t.disclosures)), picked: make([]bool, len(t.disclosures))}
	for i, s := range t.disclosures {
		d, err := parseDisclosure(s)
		if err != nil {
			return "", err
		}
		p.list = append(p.list, d)
		p.byDigest[d.digest.String()] = i
	}
	for _, name := range names {
		if !p.pick(top, name) {
			return "", ErrNoSuchClaim
		}
	}
	var out strings.Builder
	out.WriteString(t.jwt + "~")
	for i, s := range t.disclosures {
		if p.picked[i] {
			out.WriteString(s + "~")
		}
	}
	return out.String(), nil
}

// picker marks the disclosures that a presentation needs.
type picker struct {
	list     []disclosure
	byDigest map[string]int
	picked   []bool
}

// pick marks all that belongs to the top-level claim name, and reports
// whether there was anything.
func (p *picker) pick(top map[string]any, name string) bool {
	found := false
	if v, open := top[name]; open && name != nameDigests {
		found = p.everything(v)
	}
	digests, _ := top[nameDigests].([]any)
	for _, v := range digests {
		key, _ := v.(string)
		if i, there := p.byDigest[key]; there && p.list[i].name == name && !p.list[i].element {
			p.mark(i)
			found = true
		}
	}
	return found
}

func (p *picker) mark(i int) {
	if p.picked[i] {
		return // also where a hostile issuer made a ring
	}
	p.picked[i] = true
	p.everything(p.list[i].value)
}

// everything marks all disclosures whose digests stand in v.
func (p *picker) everything(v any) bool {
	found := false
	markDigest := func(v any) {
		key, _ := v.(string)
		if i, there := p.byDigest[key]; there {
			p.mark(i)
			found = true
		}
	}
	switch v := v.(type) {
	case []any:
		for _, inner := range v {
			if o, ok := inner.(map[string]any); ok {
				markDigest(o[nameElement])
			}
			found = p.everything(inner) || found
		}
	case map[string]any:
		for name, inner := range v {
			if list, ok := inner.([]any); ok && name == nameDigests {
				for _, d := range list {
					markDigest(d)
				}
				continue
			}
			found = p.everything(inner) || found
		}
	}
	return found
}

// bound is the payload of a key binding JWT (RFC 9901 §4.3).
type bound struct {
	IssuedAt int64  `json:"iat"`
	Audience string `json:"aud"`
	Nonce    string `json:"nonce"`
	Hash     string `json:"sd_hash"`
}

// Bind adds the holder's signature to a presentation that ends in a tilde:
// this presentation, for this verifier and transaction, now (RFC 9901 §4.3).
func Bind(presentation string, to Binding, now time.Time, holder crypto.Signer) (string, error) {
	switch {
	case !strings.HasSuffix(presentation, "~") || len(presentation) > MaxSize:
		return "", refuse(CodeMalformed, "presentation does not end in a tilde")
	case to.Nonce == "" || to.Audience == "":
		return "", errors.New("sdjwt: bind: nonce and audience are required")
	}
	payload, err := json.Marshal(bound{now.Unix(), to.Audience, to.Nonce, digest(presentation).String()})
	if err != nil {
		return "", fmt.Errorf("sdjwt: bind: %w", err)
	}
	kb, err := jws.Header{Type: typeBinding}.SignHere(holder, payload)
	if err != nil {
		return "", fmt.Errorf("sdjwt: bind: %w", err)
	}
	return presentation + kb, nil
}

// checkBinding judges the key binding JWT (RFC 9901 §7.3 step 4). Everything
// wrong with it is kb_invalid. Without want, nobody asked for it: then it counts
// only that the holder signed this presentation.
func (t *Token) checkBinding(c *Claims, want *Binding, now time.Time) error {
	holder, err := c.Holder()
	if err != nil {
		return err
	}
	m, err := jws.Profile{Max: MaxSize, Types: []string{typeBinding}, KeyID: jws.KeyIDAbsent}.Parse(t.binding)
	if err != nil {
		return badBinding(err)
	}
	payload, err := m.Verify(holder)
	if err != nil {
		return badBinding(err)
	}
	v, err := strictjson.Value(payload, strictjson.Limits{Size: MaxSize, Depth: MaxDepth})
	if err != nil {
		return badBinding(err)
	}
	kb, _ := v.(map[string]any)
	issued, isDate := numericDate(kb["iat"])
	nonce, _ := kb["nonce"].(string)
	audience, _ := kb["aud"].(string)
	hash, _ := kb["sd_hash"].(string)
	switch {
	// §4.3.1: over the presentation as received.
	case hash != digest(t.hashed).String():
		return refuse(CodeBindingInvalid, "sd_hash is of another presentation")
	case want == nil:
		return nil
	case !isDate || now.Sub(issued).Abs() > BindingSkew:
		return refuse(CodeBindingInvalid, "iat is not now")
	case subtle.ConstantTimeCompare([]byte(nonce), []byte(want.Nonce)) != 1:
		return refuse(CodeBindingInvalid, "nonce is another")
	case audience != want.Audience:
		return refuse(CodeBindingInvalid, "aud is somebody else")
	default:
		return nil
	}
}

func badBinding(err error) error {
	return &Error{Code: CodeBindingInvalid, Err: fmt.Errorf("sdjwt: key binding: %w", err)}
}
