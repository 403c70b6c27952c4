package secondreader_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

const label = "safeconduct/card/1"

// claims is what a card says.
type claims struct {
	name, birth, nationality string
	sex                      uint64
	status, level            uint64
	handle, portrait         []byte
	list, index              uint64
	iat, exp                 int64
	shortened, blank, agrees bool
	openKey                  []byte // public
	issuer                   object // the agency; nil before step 4 has ended
}

// read is docs/card.md, Opening in order, for a device whose pack is p. code is
// nil where none was given.
func (p *opened) read(digits string, code *string, now int64) (verdict, *claims) {
	raw, ok := bytesOf(digits) // 1
	if !ok {
		return verdict{"not_ours", "unknown_content"}, nil
	}
	epochs := slices.Concat(p.live, p.closed) // 2
	match := -1
	for i, e := range epochs {
		mac := hmac.New(sha256.New, e["tag"].([]byte))
		mac.Write([]byte(label))
		mac.Write(raw[8:])
		if hmac.Equal(mac.Sum(nil)[:8], raw[:8]) && match < 0 {
			match = i
		}
	}
	switch {
	case match < 0:
		return verdict{"not_ours", "unknown_content"}, nil
	case match >= len(p.live) && epochs[match]["burned"].(bool):
		return verdict{"not_ready", "epoch_burned"}, nil
	case match >= len(p.live):
		return verdict{"expired", "epoch_ended"}, nil
	}
	if code == nil { // 3
		return verdict{"code_not_given", ""}, nil
	}
	typed, ok := typedCode(*code)
	if !ok {
		return verdict{"wrong_code", "code_format"}, nil
	}
	epoch := epochs[match]
	o, err := unseal(raw, epoch["id"].(uint64), epoch["net"].([]byte), epoch["private"].([]byte), typed)
	if errors.Is(err, errCode) {
		return verdict{"wrong_code", "code_wrong"}, nil
	}
	if err != nil { // 4
		return verdict{"does_not_match", "content"}, nil
	}
	issuer, v := p.issuerOf(o)
	if v.state != "" {
		return v, nil
	}
	o.claims.issuer = issuer
	return p.standing(o.claims, now), o.claims
}

// issuerOf is step 4 from the kid on.
func (p *opened) issuerOf(o *content) (object, verdict) {
	kid, digest := hex.EncodeToString(o.kid), sha256.Sum256(o.structure)
	live, verified := false, false
	for _, a := range p.trust["agencies"].([]object) {
		for _, k := range a["keys"].([]object) {
			if k["kid"] != kid || k["revoked"].(bool) || a["suspended"].(bool) {
				continue
			}
			live = true
			r, s := new(big.Int).SetBytes(o.signature[:32]), new(big.Int).SetBytes(o.signature[32:])
			if !ecdsa.Verify(k["jwk"].(*ecdsa.PublicKey), digest[:], r, s) {
				continue
			}
			verified = true
			in := k["from"].(int64) <= o.claims.iat && o.claims.iat < k["to"].(int64)
			if c, _ := k["compromised"].(object); c != nil {
				in = in && slices.Contains(c["logged"].([]string), hex.EncodeToString(digest[:8]))
			}
			if in {
				return a, verdict{}
			}
		}
	}
	switch {
	case !live:
		return nil, verdict{"issuer_unknown", "key_unknown"}
	case !verified:
		return nil, verdict{"does_not_match", "signature"}
	default:
		return nil, verdict{"issuer_unknown", "key_window"}
	}
}

// beside is what stands beside the name of an agency: the first day, and the
// symbols.
func (p *opened) beside(agency object) (since, symbols string) {
	first, _ := agency["admitted"].(int64)
	if first == 0 {
		for i, k := range agency["keys"].([]object) {
			if from := k["from"].(int64); i == 0 || from < first {
				first = from
			}
		}
	}
	sum := sha256.Sum256([]byte("safeconduct/agency-symbols/1" + p.trust["network"].(string) + agency["id"].(string)))
	bits := new(big.Int).SetBytes(sum[:4])
	bits.Rsh(bits, 2)
	for range 6 {
		symbols = string("23456789ABCDEFGHJKLMNPQRSTUVWXYZ"[new(big.Int).And(bits, big.NewInt(31)).Int64()]) + symbols
		bits.Rsh(bits, 5)
	}
	return time.Unix(first, 0).UTC().Format(time.DateOnly), symbols
}

// standing is steps 5 to 7.
func (p *opened) standing(c *claims, now int64) verdict {
	l, there := p.status[c.list]
	status, reached := l.entry(c.index)
	switch { // 5
	case status == 1:
		return verdict{"out_of_use", ""}
	case status == 3:
		return verdict{"replaced", ""}
	case c.blank:
		return verdict{"not_yet_in_use", "blank"}
	case status == 2:
		return verdict{"paused", ""}
	}
	switch { // 6
	case now >= c.exp:
		return verdict{"expired", ""}
	case now < c.iat:
		return verdict{"not_yet_in_use", "not_begun"}
	}
	switch { // 7
	case !there:
		return verdict{"status_old", "status_missing"}
	case !reached:
		return verdict{"status_old", "status_index"}
	case now < l.iat || now >= l.exp:
		return verdict{"status_old", "status_expired"}
	}
	a := p.answers[c.list]
	answer, _ := a.entry(c.index)
	switch {
	case now < a.iat || now >= a.exp:
	case answer == 1:
		return verdict{"confirmed", "mission_of_nationality"}
	case answer == 3:
		return verdict{"confirmed", "other_authority"}
	}
	return verdict{"unconfirmed", ""}
}

// bytesOf is docs/card.md, Digits and symbol.
func bytesOf(digits string) ([]byte, bool) {
	if len(digits) != 667 || strings.Trim(digits, "0123456789") != "" {
		return nil, false
	}
	raw := make([]byte, 0, 276)
	for block := range slices.Chunk([]byte(digits), 29) {
		n, _ := new(big.Int).SetString(string(block), 10)
		if n.BitLen() > 96 {
			return nil, false
		}
		raw = append(raw, n.FillBytes(make([]byte, 12))...)
	}
	return raw, true
}

// typedCode is docs/card.md, The code.
func typedCode(s string) (string, bool) {
	var code []byte
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Nd, r):
			code = append(code, digit(r))
		case unicode.In(r, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Pd), r == '\t', r == '\r', r == '\n':
		default:
			return "", false
		}
	}
	return string(code), len(code) == 10
}

// digit is the ASCII digit of a decimal digit. They come in runs of ten, and runs
// may follow each other.
func digit(r rune) byte {
	for _, run := range unicode.Nd.R16 {
		if rune(run.Lo) <= r && r <= rune(run.Hi) {
			return '0' + byte((r-rune(run.Lo))%10)
		}
	}
	for _, run := range unicode.Nd.R32 {
		if rune(run.Lo) <= r && r <= rune(run.Hi) {
			return '0' + byte((r-rune(run.Lo))%10)
		}
	}
	panic("not a digit")
}

// content is an opened card.
type content struct {
	kid, signature []byte
	structure      []byte // what the signature covers
	claims         *claims
}

var (
	errCode    = errors.New("the code does not open it")
	errContent = errors.New("the content is not a card's")
)

// unseal is docs/card.md, Bytes and Signed content.
func unseal(raw []byte, epoch uint64, netKey, private []byte, code string) (*content, error) {
	enc, ct := raw[8:40], raw[40:]
	id4 := binary.BigEndian.AppendUint32(nil, uint32(epoch))
	sum := sha256.Sum256(slices.Concat([]byte(label+"/salt"), enc))
	slow := argon2.IDKey([]byte(code), sum[:16], 3, 65536, 1, 32)
	master := slices.Concat(slow, netKey)
	derive := func(use string) []byte {
		key, err := hkdf.Key(sha256.New, master, nil, label+"/"+use, 32)
		if err != nil {
			panic(err) // 32 bytes are never too many
		}
		return key
	}
	plain, err := hpkeOpen(private, enc, slices.Concat([]byte(label), id4), derive("psk"), []byte("safeconduct/code/1"), ct)
	if err != nil || len(plain) != 220 {
		return nil, errCode
	}
	plain = bytes.TrimRight(plain, "\x00")
	if len(plain) == 0 || plain[len(plain)-1] != 0x80 {
		return nil, errContent
	}
	aad := slices.Concat([]byte(label), id4, enc, derive("bind"))
	o, err := parseContent(plain[:len(plain)-1], aad)
	if err != nil {
		return nil, errContent
	}
	o.claims.openKey = ed25519.NewKeyFromSeed(derive("open")).Public().(ed25519.PublicKey)
	return o, nil
}

// hpkeOpen is RFC 9180 in mode psk, with X25519, HKDF-SHA256 and
// ChaCha20Poly1305, for the first message.
func hpkeOpen(private, enc, info, psk, pskID, ct []byte) ([]byte, error) {
	sk, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	pk, err := ecdh.X25519().NewPublicKey(enc)
	if err != nil {
		return nil, err
	}
	dh, err := sk.ECDH(pk) // refuses low order
	if err != nil {
		return nil, err
	}
	extract := func(suite string, salt []byte, name string, ikm []byte) []byte {
		prk, err := hkdf.Extract(sha256.New, slices.Concat([]byte("HPKE-v1"+suite+name), ikm), salt)
		if err != nil {
			panic(err) // no limit applies
		}
		return prk
	}
	expand := func(suite string, prk []byte, name string, info []byte, n int) []byte {
		out, err := hkdf.Expand(sha256.New, prk, string(binary.BigEndian.AppendUint16(nil, uint16(n)))+"HPKE-v1"+suite+name+string(info), n)
		if err != nil {
			panic(err) // no limit applies
		}
		return out
	}
	const kem, hpke = "KEM\x00\x20", "HPKE\x00\x20\x00\x01\x00\x03"
	context := slices.Concat(enc, sk.PublicKey().Bytes())
	shared := expand(kem, extract(kem, nil, "eae_prk", dh), "shared_secret", context, 32)
	schedule := slices.Concat([]byte{1}, extract(hpke, nil, "psk_id_hash", pskID), extract(hpke, nil, "info_hash", info))
	secret := extract(hpke, shared, "secret", psk)
	aead, err := chacha20poly1305.New(expand(hpke, secret, "key", schedule, 32))
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, expand(hpke, secret, "base_nonce", schedule, 12), ct, nil)
}

// parseContent is docs/card.md, Signed content.
func parseContent(data, aad []byte) (*content, error) {
	top, err := decodeCBOR(data)
	if err != nil {
		return nil, err
	}
	parts, ok := top.([]any)
	if !ok || len(parts) != 4 {
		return nil, errContent
	}
	protected, ok1 := parts[0].([]byte)
	unprotected, ok2 := parts[1].(cborMap)
	payload, ok3 := parts[2].([]byte)
	signature, ok4 := parts[3].([]byte)
	if !ok1 || !ok2 || !ok3 || !ok4 || len(unprotected) != 0 || len(signature) != 64 {
		return nil, errContent
	}
	h, err := decodeCBOR(protected)
	if err != nil {
		return nil, err
	}
	header, ok := h.(cborMap)
	kid, isBytes := header[4].([]byte)
	if !ok || len(header) != 2 || header[1] != int64(-7) || !isBytes || len(kid) != 8 {
		return nil, errContent
	}
	v, err := decodeCBOR(payload)
	if err != nil {
		return nil, err
	}
	m, ok := v.(cborMap)
	if !ok {
		return nil, errContent
	}
	c, err := parseClaims(m)
	if err != nil {
		return nil, err
	}
	structure := slices.Concat([]byte{0x84, 0x6a}, []byte("Signature1"), cborBytes(protected), cborBytes(aad), cborBytes(payload))
	return &content{kid: kid, signature: signature, structure: structure, claims: c}, nil
}

const keyIdentity, keyStatus = 169, -65537

func parseClaims(m cborMap) (*claims, error) {
	c := &claims{}
	status, ok := m[keyStatus].(cborMap)
	exp, okExp := m[4].(int64)
	iat, okIat := m[6].(int64)
	if !ok || !okExp || !okIat {
		return nil, errContent
	}
	c.exp, c.iat = exp, iat
	if exp%86400 != 0 || iat%86400 != 0 || iat < 0 || exp <= iat || exp > 1<<32-1 || exp-iat > 15552000 {
		return nil, errContent
	}
	want := 3
	if v, there := m[keyIdentity]; there {
		want = 4
		identity, ok := v.(cborMap)
		if !ok || c.identity(identity) != nil {
			return nil, errContent
		}
	}
	if len(m) != want || c.standing(status) != nil {
		return nil, errContent
	}
	_, hasIdentity := m[keyIdentity]
	if c.blank == hasIdentity || c.blank && (c.status != 0 || c.portrait != nil || c.shortened || c.agrees) {
		return nil, errContent
	}
	return c, nil
}

func (c *claims) identity(m cborMap) error {
	for key, v := range m {
		var ok bool
		switch key {
		case 4:
			c.name, ok = v.(string)
			ok = ok && validName(c.name)
		case 8:
			c.birth, ok = v.(string)
			ok = ok && validBirth(c.birth)
		case 9:
			var n int64
			n, ok = v.(int64)
			c.sex, ok = uint64(n), ok && n >= 1 && n <= 3
		case 13:
			c.nationality, ok = v.(string)
			ok = ok && len(c.nationality) == 3 && strings.Trim(c.nationality, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
		}
		if !ok {
			return errContent
		}
	}
	if c.name == "" {
		return errContent
	}
	return nil
}

func (c *claims) standing(m cborMap) error {
	place := false
	for key, v := range m {
		n, isNumber := v.(int64)
		var ok bool
		switch key {
		case 1:
			c.status, ok = uint64(n), isNumber && n >= 1 && n <= 2
		case 2:
			c.level, ok = uint64(n), isNumber && n >= 1 && n <= 4
		case 3:
			c.handle, ok = v.([]byte)
			ok = ok && len(c.handle) == 8
		case 4:
			var at []any
			at, ok = v.([]any)
			if !ok || len(at) != 2 {
				return errContent
			}
			list, ok1 := at[0].(int64)
			index, ok2 := at[1].(int64)
			ok = ok1 && ok2 && list >= 0 && list <= 65535 && index >= 0 && index <= 1048575
			c.list, c.index, place = uint64(list), uint64(index), true
		case 5:
			c.portrait, ok = v.([]byte)
			ok = ok && len(c.portrait) == 16
		case 6:
			c.shortened, ok = true, v == true
		case 7:
			c.blank, ok = true, v == true
		case 8:
			c.agrees, ok = true, v == true
		}
		if !ok {
			return errContent
		}
	}
	if c.handle == nil || !place || (c.status == 0) != (c.level == 0) {
		return errContent
	}
	return nil
}

func validName(s string) bool {
	if s == "" || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.In(r, unicode.L, unicode.M, unicode.Nd) && !strings.ContainsRune(" '-.,\u200c\u200d", r) {
			return false
		}
	}
	return true
}

func validBirth(s string) bool {
	if strings.Trim(s, "0123456789") != "" || len(s) != 4 && len(s) != 6 && len(s) != 8 {
		return false
	}
	return (len(s) < 6 || s[4:6] >= "01" && s[4:6] <= "12") && (len(s) < 8 || s[6:8] >= "01" && s[6:8] <= "31")
}

// cborMap is a map whose keys are whole numbers; a card has no others.
type cborMap map[int64]any

func cborBytes(b []byte) []byte { return append(head(2, uint64(len(b))), b...) }

// head is the beginning of a data item, RFC 8949 §3, as short as can be.
func head(major byte, n uint64) []byte {
	switch {
	case n < 24:
		return []byte{major<<5 | byte(n)}
	case n < 1<<8:
		return []byte{major<<5 | 24, byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{major<<5 | 25}, uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32([]byte{major<<5 | 26}, uint32(n))
	default:
		return binary.BigEndian.AppendUint64([]byte{major<<5 | 27}, n)
	}
}

// decodeCBOR reads one item in core deterministic encoding, RFC 8949 §4.2.1.
func decodeCBOR(data []byte) (any, error) {
	v, rest, err := item(data, 4)
	if err == nil && len(rest) > 0 {
		err = errContent
	}
	return v, err
}

func item(data []byte, depth int) (v any, rest []byte, err error) {
	if len(data) == 0 {
		return nil, nil, errContent
	}
	major, info := data[0]>>5, data[0]&31
	if data[0] == 0xf5 {
		return true, data[1:], nil
	}
	var n uint64
	size := 0
	switch {
	case info < 24:
		n = uint64(info)
	case info <= 27:
		size = 1 << (info - 24)
		if len(data) < 1+size {
			return nil, nil, errContent
		}
		n = new(big.Int).SetBytes(data[1 : 1+size]).Uint64()
	default:
		return nil, nil, errContent
	}
	if !bytes.Equal(head(major, n), data[:1+size]) {
		return nil, nil, errContent
	}
	rest = data[1+size:]
	switch major {
	case 0, 1:
		if n > 1<<62 {
			return nil, nil, errContent
		}
		if major == 1 {
			return -1 - int64(n), rest, nil
		}
		return int64(n), rest, nil
	case 2, 3:
		if n > uint64(len(rest)) {
			return nil, nil, errContent
		}
		if major == 2 {
			return rest[:n:n], rest[n:], nil
		}
		return string(rest[:n]), rest[n:], nil
	}
	if depth == 0 || n > uint64(len(rest)) {
		return nil, nil, errContent
	}
	switch major {
	case 4:
		list := []any{}
		for range n {
			if v, rest, err = item(rest, depth-1); err != nil {
				return nil, nil, err
			}
			list = append(list, v)
		}
		return list, rest, nil
	case 5:
		m := cborMap{}
		var last []byte
		for range n {
			before := rest
			key, after, err := item(rest, 0)
			if err != nil {
				return nil, nil, err
			}
			number, ok := key.(int64)
			encoded := before[:len(before)-len(after)]
			if !ok || last != nil && bytes.Compare(last, encoded) >= 0 {
				return nil, nil, errContent
			}
			last = encoded
			if m[number], rest, err = item(after, depth-1); err != nil {
				return nil, nil, err
			}
		}
		return m, rest, nil
	default:
		return nil, nil, errContent
	}
}
