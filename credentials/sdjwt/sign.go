package sdjwt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// Header is the protected header of a credential to be signed.
type Header = jws.Header

// Member is one claim to be signed. Value is anything private.RevealJSON can
// encode, text about a person included; a json.RawMessage is taken as it is.
type Member struct {
	Name  string
	Value any
}

// written is JSON that this package wrote itself. As the value of a Member it
// is taken as it is and needs no second look.
type written []byte

// Member returns the claim that says where the status of the credential
// stands (draft-ietf-oauth-status-list-20 §6.2).
func (s Status) Member() Member {
	value := strconv.AppendInt([]byte(`{"status_list":{"idx":`), s.Index, 10)
	value = appendText(append(value, `,"uri":`...), s.URI)
	return Member{"status", written(append(value, `}}`...))}
}

// Confirmation returns the claim that binds a credential to the holder's key
// (RFC 7800 §3.2).
func Confirmation(holder *ecdsa.PublicKey) (Member, error) {
	jwk, err := jws.MarshalKey(holder)
	if err != nil {
		return Member{}, fmt.Errorf("sdjwt: confirmation: %w", err)
	}
	return Member{"cnf", written(`{"jwk":` + string(jwk) + `}`)}, nil
}

// saltSize is 128 bits (RFC 9901 §9.3).
const saltSize = 16

// Sign makes an SD-JWT: the members of always stand in the payload, those of
// disclosable in disclosures that the holder may withhold. digests is how many
// digests the payload shall have; what is missing is filled with decoys, so
// that their number says nothing about the file (RFC 9901 §4.2.5). 0 means no
// decoys; fewer than len(disclosable) is an error. A payload without anything
// to disclose has no digests at all. random gives salts and decoys; nil means
// crypto/rand. All that is wrong with the members is reported at once.
//
// A signature by a key that lives elsewhere is checked before it is returned
// (jws.Header.SignHere).
func Sign(h Header, always, disclosable []Member, digests int, key crypto.Signer, random io.Reader) (string, error) {
	if digests != 0 && digests < len(disclosable) {
		return "", errors.New("sdjwt: sign: more claims than digests")
	}
	if len(disclosable) == 0 {
		digests = 0
	}
	decoys := max(digests-len(disclosable), 0)
	if max(digests, len(disclosable)) > MaxDisclosures {
		return "", errors.New("sdjwt: sign: too many digests")
	}
	open, hidden, err := encode(h.Type == TypeVC, always, disclosable)
	if err != nil {
		return "", err
	}
	if random == nil {
		random = rand.Reader
	}
	noise := make([]byte, saltSize*len(disclosable)+sha256.Size*decoys)
	if _, err := io.ReadFull(random, noise); err != nil {
		return "", fmt.Errorf("sdjwt: sign: salts: %w", err)
	}
	blind := noise[saltSize*len(disclosable):]

	disclosures := make([]byte, 0, 128*len(disclosable)) // most are shorter than that
	var room [512]byte
	scratch := room[:0]
	sums := make([]digestText, 0, len(disclosable)+decoys)
	for i, value := range hidden {
		salt := noise[:saltSize]
		noise = noise[saltSize:]
		scratch = appendDisclosure(scratch[:0], salt, disclosable[i].Name, value)
		start := len(disclosures)
		disclosures = base64.RawURLEncoding.AppendEncode(disclosures, scratch)
		sums = append(sums, digest(disclosures[start:]))
		disclosures = append(disclosures, '~')
	}
	for range decoys {
		// §4.2.5: the hash of random bytes, so that nothing tells it from a
		// digest.
		sums = append(sums, digest(noise[:sha256.Size]))
		noise = noise[sha256.Size:]
	}
	// §4.2.4.1: the order must say nothing.
	slices.SortFunc(sums, func(a, b digestText) int { return bytes.Compare(a[:], b[:]) })

	if m, ok := key.(crypto.MessageSigner); ok { // a signer elsewhere reads what the digests stand for
		key = disclosing{m, disclosures, blind}
	}
	jwt, err := h.SignHere(key, encodePayload(sums, always, open))
	if err != nil {
		return "", fmt.Errorf("sdjwt: sign: %w", err)
	}
	// A credential that no reader of ours would take is not given out.
	token := jwt + "~" + string(disclosures)
	if len(token) > MaxSize {
		return "", &Error{Code: jws.CodeTooLarge, Err: errors.New("sdjwt: sign: credential is too large")}
	}
	return token, nil
}

// disclosing is a key that is shown, beside what it signs, what the digests in it
// stand for.
type disclosing struct {
	crypto.MessageSigner
	disclosures []byte // each with a ~ behind it
	decoys      []byte // side by side
}

// SignMessage signs, and shows.
func (d disclosing) SignMessage(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return d.MessageSigner.SignMessage(random, message, disclosed{opts, d})
}

// disclosed are the options by which disclosures go along.
type disclosed struct {
	crypto.SignerOpts
	key disclosing
}

// Shown are the disclosures and the random bytes of decoys, each as it is hashed.
func (d disclosed) Shown() [][]byte {
	var shown [][]byte
	for one := range bytes.SplitSeq(d.key.disclosures, []byte{'~'}) {
		if len(one) > 0 {
			shown = append(shown, one)
		}
	}
	return slices.AppendSeq(shown, slices.Chunk(d.key.decoys, sha256.Size))
}

// ReadInput reads what is about to be signed: the signing input, and everything
// that its digests stand for. Each digest in it has to be shown, as a disclosure or
// as a decoy, which nothing could ever be disclosed by, so that nothing is signed
// unseen. What passes has kid and claims as a verifier would read them one day.
func ReadInput(input []byte, shown [][]byte, typ string) (kid string, _ *Claims, err error) {
	compact := string(input) + "." + strings.Repeat("A", 86) + "~" // 64 bytes stand for the signature
	digests := map[string]bool{}
	for _, one := range shown {
		text := digest(one)
		digests[string(text[:])] = true
		switch {
		case isBase64URL(string(one)):
			compact += string(one) + "~"
		case len(one) != sha256.Size:
			return "", nil, refuse(CodeMalformed, "neither a disclosure nor a decoy")
		}
	}
	t, err := Parse(compact, typ)
	if err != nil {
		return "", nil, err
	}
	var payload struct {
		Digests []string `json:"_sd"`
	}
	if err := json.Unmarshal(t.message.Unverified(), &payload); err != nil || len(payload.Digests) != len(digests) {
		return "", nil, refuse(CodeMalformed, "a digest that is not shown, or not there")
	}
	for _, d := range payload.Digests {
		if !digests[d] {
			return "", nil, refuse(CodeMalformed, "a digest that is not shown")
		}
	}
	c, err := t.disclose(t.message.Unverified())
	if err != nil {
		return "", nil, err
	}
	return t.KeyID(), c, c.check(Policy{Required: []string{"iss", "iat", "exp", "status"}})
}

// encode returns the JSON of all values, after looking for everything that
// would make the credential refused.
func encode(vc bool, always, disclosable []Member) (open, hidden [][]byte, err error) {
	var problems []error
	problem := func(m Member, what string) {
		// Names come from our own code; values are never shown.
		problems = append(problems, fmt.Errorf("sdjwt: sign: claim %q: %s", m.Name, what))
	}
	seen := make([]string, 0, len(always)+len(disclosable))
	room := make([]byte, 0, 512) // for most values together
	one := func(m Member) []byte {
		switch {
		case m.Name == nameDigests || m.Name == nameElement || m.Name == nameAlg:
			problem(m, "name is reserved")
		case slices.ContainsFunc(seen, func(s string) bool { return sameName(s, m.Name) }):
			problem(m, "occurs twice")
		}
		seen = append(seen, m.Name)
		start := len(room)
		if room, err = appendValue(room, m.Value); err != nil {
			problem(m, "value cannot be encoded")
			return nil
		}
		raw := room[start:]
		if !ours(m.Value) {
			if why := unfit(raw); why != "" {
				problem(m, why)
			}
		}
		return raw
	}
	all := make([][]byte, 0, len(always)+len(disclosable))
	for _, m := range always {
		all = append(all, one(m))
	}
	for _, m := range disclosable {
		all = append(all, one(m))
		if vc && alwaysOpen[m.Name] {
			problem(m, "must not be disclosable")
		}
	}
	open, hidden = all[:len(always)], all[len(always):]
	if vc {
		i := slices.IndexFunc(always, func(m Member) bool { return m.Name == "vct" })
		if i < 0 || len(open[i]) < 3 || open[i][0] != '"' {
			problems = append(problems, errors.New("sdjwt: sign: vct is required"))
		}
	}
	return open, hidden, errors.Join(problems...)
}

// appendValue writes the common kinds without reflection.
func appendValue(b []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case written:
		return append(b, v...), nil
	case json.RawMessage:
		return append(b, v...), nil
	case string:
		return appendText(b, v), nil
	case private.String:
		return appendText(b, v.Reveal()), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	default:
		raw, err := private.RevealJSON(v)
		return append(b, raw...), err
	}
}

// ours reports whether v was written without help, and needs no second look.
// A json.RawMessage always does: it could close its own value and open another
// claim.
func ours(v any) bool {
	switch v.(type) {
	case written, string, private.String, int64:
		return true
	default:
		return false
	}
}

// appendText writes s as a JSON string, as encoding/json would.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			raw, err := json.Marshal(s)
			if err != nil {
				panic("sdjwt: a string that JSON cannot hold") // json.Marshal takes every string
			}
			return append(b, raw...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// unfit says why a value would be refused when it is read, or "".
func unfit(raw []byte) string {
	v, err := strictjson.Value(raw, strictjson.Limits{Size: MaxSize, Depth: MaxDepth - 1})
	switch {
	case err != nil:
		return "value is not acceptable JSON"
	case reserved(v):
		return "value has a reserved name in it"
	default:
		return ""
	}
}

// reserved reports whether an object somewhere in v has a member that a reader
// would take for digests (RFC 9901 §4.1: the issuer must not use such claims).
func reserved(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if name == nameDigests || name == nameElement || name == nameAlg || reserved(inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, reserved)
	}
	return false
}

// appendDisclosure writes [salt, name, value] (RFC 9901 §4.2.1).
func appendDisclosure(b, salt []byte, name string, value []byte) []byte {
	b = append(b, `["`...)
	b = base64.RawURLEncoding.AppendEncode(b, salt)
	b = append(b, `",`...)
	b = appendText(b, name)
	b = append(b, ',')
	b = append(b, value...)
	return append(b, ']')
}

// encodePayload writes the claims in the order given, so that the same
// credential reads the same everywhere.
func encodePayload(sums []digestText, always []Member, values [][]byte) []byte {
	size := 64 + 46*len(sums)
	for i, v := range values {
		size += len(always[i].Name) + len(v) + 4
	}
	b := append(make([]byte, 0, size), '{')
	if len(sums) > 0 {
		b = append(b, `"_sd":["`...)
		for i, s := range sums {
			if i > 0 {
				b = append(b, `","`...)
			}
			b = append(b, s[:]...)
		}
		b = append(b, `"],"_sd_alg":"sha-256"`...)
	}
	for i, m := range always {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendText(b, m.Name)
		b = append(b, ':')
		b = append(b, values[i]...)
	}
	return append(b, '}')
}
