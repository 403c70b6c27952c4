package verifier

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
)

// Binding is what proves that the holder of a credential presents it, to whom
// and now.
type Binding = sdjwt.Binding

// pasted is a text without what copying it from somewhere may leave around it:
// white space, and characters that nobody sees. Nothing inside is touched, and
// the digits of a card stay as strict as docs/card.md has them.
func pasted(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
}

// looksLikeCredential tells a token from the digits of a card and from other
// codes: parts with dots between them, the first one a JSON object in base64url.
// A brace and a quote begin with ey, a brace and white space with ey or ew, and
// an empty object with e3.
func looksLikeCredential(text string) bool {
	return len(text) > 1 && text[0] == 'e' && strings.IndexByte("yw3", text[1]) >= 0 && strings.Count(text, ".") >= 2
}

// verifyCredential judges an SD-JWT VC by the same steps and with the same
// answers as a card, except that there is no code.
func (p *Pack) verifyCredential(in Presentation, now time.Time) Verdict {
	token, err := sdjwt.Parse(in.Text, sdjwt.TypeVC)
	if err != nil {
		return p.verdict(Unreadable, reasonOf(err))
	}
	policy := sdjwt.Policy{Now: now, Binding: in.Binding, Required: []string{"iss", "iat", "exp", "status"}}
	var claims *sdjwt.Claims
	var judged error // what is wrong besides the signature
	v, ok := p.signer(token.KeyID(), ReasonIssuerKey,
		func(pub *ecdsa.PublicKey) bool {
			claims, judged = token.Verify(pub, policy)
			return reasonOf(judged) != jws.CodeSignature
		},
		func(k issuerKey) bool {
			if claims == nil {
				return true // whoever signed it, it is not accepted
			}
			return claims.Issuer() == k.agency.Issuer && k.covers(claims.IssuedAt(), func() [sha256.Size]byte { return signedDigest(in.Text) })
		})
	switch {
	case !ok:
		return v
	case claims == nil: // past or before its dates it has claims, and step 6 judges
		return p.doesNotMatch(reasonOf(judged), signatureAnswer(judged))
	}
	v.Credential = &Credential{Type: claims.VCT(), Claims: claims.Payload()}
	v.SaysNothing = saysNothing(claims.Payload())
	return p.judgeStatus(v, p.standingOf(claims), now)
}

// aboutItself are the claims that say who made a credential, when, for whom and
// until when, and nothing about anybody else.
var aboutItself = map[string]bool{
	"iss": true, "sub": true, "aud": true, "iat": true, "nbf": true, "exp": true, "jti": true,
	"vct": true, "vct#integrity": true, "aka_vcts": true, "cnf": true, "status": true,
}

// saysNothing tells a credential whose holder has shown none of its claims, as
// she may: it is as genuine as before, and looks so.
func saysNothing(payload map[string]any) bool {
	for name, v := range payload {
		if !aboutItself[name] && !empty(v) {
			return false
		}
	}
	return true
}

// empty tells an object or array in which nothing is left.
func empty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			if !empty(inner) {
				return false
			}
		}
		return true
	case []any:
		return !slices.ContainsFunc(v, func(inner any) bool { return !empty(inner) })
	default:
		return false
	}
}

// signatureAnswer says what is known of the signature of a credential that is
// not accepted.
func signatureAnswer(err error) Answer {
	switch code := string(reasonOf(err)); {
	case strings.HasPrefix(code, "sd_"):
		return No // its disclosures are not those that were signed
	case code == sdjwt.CodeClaimMissing, code == sdjwt.CodeClaimInvalid, code == sdjwt.CodeBindingInvalid,
		code == jws.CodeMalformed, strings.HasPrefix(code, "json_"):
		return Yes // found in what was signed
	default:
		return Unchecked // kb_required is said before anything is verified
	}
}

// standingOf reads where a credential's status stands. A reference to a list
// of another network, or beyond any list, can only ever be "could not check".
func (p *Pack) standingOf(c *sdjwt.Claims) standing {
	s := standing{index: -1, issued: c.IssuedAt(), expires: c.Expires().Add(sdjwt.Skew)}
	if c.NotBefore().After(s.issued) {
		s.issued = c.NotBefore()
	}
	s.issued = s.issued.Add(-sdjwt.Skew)
	status := c.Status()
	if status == nil {
		return s
	}
	digits, ours := strings.CutPrefix(status.URI, p.trust.StatusLists)
	n, err := strconv.ParseUint(digits, 10, 16)
	if ours && err == nil && strconv.FormatUint(n, 10) == digits {
		s.list, s.index = uint16(n), status.Index
	}
	return s
}

// signedDigest is the SHA-256 of what the issuer's signature covers.
func signedDigest(text string) [sha256.Size]byte {
	jwt, _, _ := strings.Cut(text, "~")
	return sha256.Sum256([]byte(jwt[:max(0, strings.LastIndexByte(jwt, '.'))]))
}

// reasonOf is the stable code of a format error.
func reasonOf(err error) Reason {
	if e, ok := errors.AsType[*jws.Error](err); ok {
		return Reason(e.Code)
	}
	return ReasonNone
}
