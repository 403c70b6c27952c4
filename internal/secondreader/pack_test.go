package secondreader_test

import (
	"bytes"
	"compress/zlib"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// verdict is a state of docs/overview.md, Results, and its reason.
type verdict struct{ state, reason string }

func (v verdict) Error() string { return v.state + " (" + v.reason + ")" }

func notReady(reason string) error { return verdict{"not_ready", reason} }

var broken = notReady("pack_broken")

// opened is a pack that passed docs/pack.md, Checking in order.
type opened struct {
	trust           object
	live            []object
	closed          []object
	status, answers map[uint64]list
}

// list is a status or answers list.
type list struct {
	iat, exp int64
	bits     []byte
}

// entry returns entry i, and whether there is one.
func (l list) entry(i uint64) (byte, bool) {
	if i/4 >= uint64(len(l.bits)) {
		return 0, false
	}
	return l.bits[i/4] >> (2 * (i % 4)) & 3, true
}

// openPack is docs/pack.md, Checking in order.
func openPack(file, deviceKey []byte, now int64) (*opened, error) {
	v, err := parse(deviceKey)
	device, ok := v.(object)
	if err != nil || !ok || fits(device, deviceTable) != nil {
		return nil, broken
	}
	root := publicKey(device["root"]) // 1
	if root == nil {
		return nil, broken
	}
	if len(file) > 24<<20 { // 2
		return nil, broken
	}
	f, err := statement(file, fileTable)
	if err != nil {
		return nil, err
	}
	lists, _ := f["lists"].(object)
	compactTrust, _ := lists["trust_list"].(string)
	compactPack, _ := lists["pack"].(string)
	compactKey, _ := lists["trust_key"].(string)
	compactEnvelope, _ := f["envelope"].(string)

	signs := func(string) *ecdsa.PublicKey { return root }
	var from, until int64
	if compactKey != "" { // 3
		if signs, from, until, err = openTrustKey(compactKey, root, device); err != nil {
			return nil, err
		}
		if from > device["trust_key_iat"].(int64) {
			device["trust_key_iat"], device["sequence"], device["seen"] = from, uint64(0), from
		}
	}
	switch { // 4
	case now < device["seen"].(int64):
		return nil, notReady("clock")
	case compactKey == "":
	case from < device["trust_key_iat"].(int64):
		return nil, notReady("pack_older")
	case now < from:
		return nil, notReady("clock")
	case now >= until:
		return nil, notReady("trust_list_old")
	}

	trust, packKeys, statusKeys, err := openTrust(compactTrust, signs, device["network"].(string), now) // 5
	if err != nil {
		return nil, err
	}
	if trust["iat"].(int64) < device["trust_key_iat"].(int64) {
		return nil, notReady("pack_older")
	}

	payload := signed(compactPack, "safeconduct-pack+jwt", 24<<20, func(kid string) *ecdsa.PublicKey { return packKeys[kid] }) // 6
	if payload == nil {
		return nil, broken
	}
	pack, err := statement(payload, packTable)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(compactTrust))
	switch {
	case pack["network"] != trust["network"], pack["trust_list_sha256"] != hex.EncodeToString(digest[:]):
		return nil, broken
	case pack["sequence"].(uint64) < device["sequence"].(uint64):
		return nil, notReady("pack_older")
	case now < pack["iat"].(int64):
		return nil, notReady("clock")
	}

	keys, err := openEnvelope(compactEnvelope, packKeys, device, pack["sequence"].(uint64), now) // 7
	if err != nil {
		return nil, err
	}

	p := &opened{trust: trust, live: keys["live"].([]object), closed: keys["closed"].([]object)}
	for _, half := range []struct { // 8
		name string
		into *map[uint64]list
	}{{"status_lists", &p.status}, {"answers_lists", &p.answers}} {
		seen := map[uint64]bool{}
		*half.into = map[uint64]list{}
		for _, t := range pack[half.name].([]object) {
			n := t["number"].(uint64)
			if seen[n] || n > 65535 {
				return nil, broken
			}
			seen[n] = true
			subject := trust[half.name].(string) + strconv.FormatUint(n, 10)
			if l, ok := openList(t["token"].(string), subject, statusKeys); ok {
				(*half.into)[n] = l
			}
		}
	}
	if len(p.status) == 0 {
		return nil, notReady("status_missing")
	}
	p.burn(pack["burned_epochs"].([]uint64)) // 9
	return p, nil
}

// openTrustKey finds who may sign the trust list, and from when until when.
func openTrustKey(compact string, root *ecdsa.PublicKey, device object) (signs func(kid string) *ecdsa.PublicKey, from, until int64, err error) {
	payload := signed(compact, "safeconduct-trust-key+jwt", 4<<10, func(string) *ecdsa.PublicKey { return root })
	if payload == nil {
		return nil, 0, 0, broken
	}
	k, err := statement(payload, trustKeyTable)
	if err != nil {
		return nil, 0, 0, err
	}
	key, iat, exp := publicKey(k["jwk"]), k["iat"].(int64), k["exp"].(int64)
	if k["network"] != device["network"] || k["kid"] == "" || iat < 1 || exp <= iat || exp-iat > 366*24*60*60 || key == nil {
		return nil, 0, 0, broken
	}
	return func(kid string) *ecdsa.PublicKey {
		if kid != k["kid"] {
			return nil
		}
		return key
	}, iat, exp, nil
}

func openTrust(compact string, signs func(kid string) *ecdsa.PublicKey, network string, now int64) (trust object, pack, status map[string]*ecdsa.PublicKey, err error) {
	payload := signed(compact, "safeconduct-trust+jwt", 8<<20, signs)
	if payload == nil {
		return nil, nil, nil, broken
	}
	if trust, err = statement(payload, trustTable); err != nil {
		return nil, nil, nil, err
	}
	keys, agencies := trust["keys"].([]object), trust["agencies"].([]object)
	statusLists, answersLists := trust["status_lists"].(string), trust["answers_lists"].(string)
	switch {
	case trust["network"] != network, len(agencies) > 2000, len(keys) > 64,
		!strings.HasSuffix(statusLists, "/"), !strings.HasSuffix(answersLists, "/"), statusLists == answersLists:
		return nil, nil, nil, broken
	case now < trust["iat"].(int64):
		return nil, nil, nil, notReady("clock")
	case now >= trust["exp"].(int64):
		return nil, nil, nil, notReady("trust_list_old")
	}
	pack, status = map[string]*ecdsa.PublicKey{}, map[string]*ecdsa.PublicKey{}
	for _, k := range keys {
		into := map[string]map[string]*ecdsa.PublicKey{"pack": pack, "status": status}[k["use"].(string)]
		if into == nil {
			continue
		}
		key, kid := publicKey(k["jwk"]), k["kid"].(string)
		if key == nil || into[kid] != nil {
			return nil, nil, nil, broken
		}
		into[kid] = key
	}
	for _, a := range agencies {
		keys := a["keys"].([]object)
		if len(keys) > 8 {
			return nil, nil, nil, broken
		}
		for _, k := range keys {
			key := publicKey(k["jwk"])
			if key == nil {
				return nil, nil, nil, broken
			}
			if c, _ := k["compromised"].(object); c != nil && !slices.IsSorted(c["logged"].([]string)) {
				return nil, nil, nil, broken
			}
			k["jwk"] = key
		}
	}
	return trust, pack, status, nil
}

func openEnvelope(compact string, packKeys map[string]*ecdsa.PublicKey, device object, sequence uint64, now int64) (object, error) {
	payload := signed(compact, "safeconduct-envelope+jwt", 64<<10, func(kid string) *ecdsa.PublicKey { return packKeys[kid] })
	if payload == nil {
		return nil, broken
	}
	e, err := statement(payload, envelopeTable)
	if err != nil {
		return nil, err
	}
	switch {
	case e["network"] != device["network"], e["device"] != device["device"], e["sequence"] != sequence:
		return nil, broken
	case now < e["iat"].(int64):
		return nil, notReady("clock")
	case now >= e["lease_until"].(int64):
		return nil, notReady("lease_over")
	}
	seed, err := hpke.MLKEM768X25519().NewPrivateKey(device["private"].([]byte))
	if err != nil {
		return nil, broken
	}
	info := []byte("safeconduct/envelope/1")
	for _, s := range []string{e["network"].(string), e["device"].(string)} {
		info = append(binary.BigEndian.AppendUint64(info, uint64(len(s))), s...)
	}
	info = binary.BigEndian.AppendUint64(info, sequence)
	plain, err := hpke.Open(seed, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info, e["sealed"].([]byte))
	if err != nil {
		return nil, broken
	}
	keys, err := statement(plain, sealedTable)
	if err != nil {
		return nil, err
	}
	live, closed := keys["live"].([]object), keys["closed"].([]object)
	if len(live) > 8 {
		return nil, broken
	}
	seen := map[uint64]bool{}
	good := func(epoch object, members ...string) bool {
		id := epoch["id"].(uint64)
		if id > 1<<32-1 || seen[id] {
			return false
		}
		seen[id] = true
		for _, name := range members {
			if key := epoch[name].([]byte); len(key) != 32 || bytes.Equal(key, make([]byte, 32)) {
				return false
			}
		}
		return true
	}
	for _, epoch := range live {
		if !good(epoch, "tag", "net", "private") {
			return nil, broken
		}
	}
	for _, epoch := range closed {
		if !good(epoch, "tag") {
			return nil, broken
		}
	}
	return keys, nil
}

// burn is step 9.
func (p *opened) burn(ids []uint64) {
	var live []object
	for _, epoch := range p.live {
		if slices.Contains(ids, epoch["id"].(uint64)) {
			p.closed = append(p.closed, epoch)
		} else {
			live = append(live, epoch)
		}
	}
	p.live = live
	for _, epoch := range p.closed {
		if slices.Contains(ids, epoch["id"].(uint64)) {
			epoch["burned"] = true
		}
	}
}

// openList is docs/pack.md, Pack, on the token.
func openList(compact, subject string, keys map[string]*ecdsa.PublicKey) (list, bool) {
	payload := signed(compact, "statuslist+jwt", 1<<20, func(kid string) *ecdsa.PublicKey { return keys[kid] })
	if payload == nil {
		return list{}, false
	}
	v, err := parse(payload)
	o, ok := v.(object)
	if err != nil || !ok || !exactly(o, "sub", "iat", "exp", "ttl", "status_list") {
		return list{}, false
	}
	inner, ok := o["status_list"].(object)
	if !ok || !exactly(inner, "bits", "lst") || inner["bits"] != json.Number("2") {
		return list{}, false
	}
	iat, err1 := scalar(o["iat"], seconds)
	exp, err2 := scalar(o["exp"], seconds)
	ttl, err3 := scalar(o["ttl"], seconds)
	lst, ok := inner["lst"].(string)
	if err1 != nil || err2 != nil || err3 != nil || !ok || o["sub"] != subject || len(subject) > 1024 {
		return list{}, false
	}
	l := list{iat: iat.(int64), exp: exp.(int64)}
	if u, err := url.Parse(subject); err != nil || !u.IsAbs() || l.iat <= 0 || l.exp <= l.iat || l.exp > 253402300799 || ttl.(int64) < 1 || ttl.(int64) > 31622400 {
		return list{}, false
	}
	deflated, ok := decode(lst)
	if !ok {
		return list{}, false
	}
	in := bytes.NewReader(deflated)
	r, err := zlib.NewReader(in)
	if err != nil {
		return list{}, false
	}
	if l.bits, err = io.ReadAll(io.LimitReader(r, 1<<18+1)); err != nil || len(l.bits) == 0 || len(l.bits) > 1<<18 || in.Len() > 0 {
		return list{}, false
	}
	return l, true
}

// signed is docs/pack.md, Signed statements. It returns nil for whatever is not
// accepted.
func signed(compact, typ string, limit int, find func(kid string) *ecdsa.PublicKey) []byte {
	parts := strings.Split(compact, ".")
	if len(compact) > limit || len(parts) != 3 {
		return nil
	}
	header, ok1 := decode(parts[0])
	payload, ok2 := decode(parts[1])
	signature, ok3 := decode(parts[2])
	if !ok1 || !ok2 || !ok3 || len(signature) != 64 {
		return nil
	}
	v, err := parse(header)
	h, ok := v.(object)
	kid, isText := h["kid"].(string)
	if err != nil || !ok || !exactly(h, "alg", "typ", "kid") || h["alg"] != "ES256" || h["typ"] != typ || !isText ||
		len(kid) == 0 || len(kid) > 64 || strings.Trim(kid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return nil
	}
	key := find(kid)
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if key == nil || !ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return nil
	}
	return payload
}

// decode reads canonical base64url.
func decode(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return b, err == nil && base64.RawURLEncoding.EncodeToString(b) == s
}

// publicKey is docs/pack.md, Signed statements, on keys; nil for what is none.
func publicKey(v any) *ecdsa.PublicKey {
	o, ok := v.(object)
	if !ok || o["kty"] != "EC" || o["crv"] != "P-256" {
		return nil
	}
	for name, v := range o {
		switch name {
		case "kty", "crv", "x", "y":
			continue
		case "alg":
			ok = v == "ES256"
		case "use":
			ok = v == "sig"
		case "key_ops":
			var ops []any
			ops, ok = v.([]any)
			ok = ok && !slices.ContainsFunc(ops, func(op any) bool { return op != "verify" })
		case "kid":
			_, ok = v.(string)
		case "ext":
			_, ok = v.(bool)
		default:
			ok = false
		}
		if !ok {
			return nil
		}
	}
	point := []byte{4}
	for _, name := range []string{"x", "y"} {
		s, _ := o[name].(string)
		half, ok := decode(s)
		if !ok || len(half) != 32 {
			return nil
		}
		point = append(point, half...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil
	}
	return key
}
