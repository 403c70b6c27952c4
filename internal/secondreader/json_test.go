package secondreader_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// object is a JSON object whose names were compared exactly.
type object map[string]any

// loneSurrogate is a half of a pair that stands alone, as an escape. It looks at
// the text alone and may see an escaped backslash as the beginning of an escape;
// no text in a pack has one.
var loneSurrogate = regexp.MustCompile(`(?i)\\ud[89ab][0-9a-f]{2}(?:$|[^\\]|\\[^u]|\\u(?:[^d]|d[^c-f]))`)

// parse reads one JSON value: docs/pack.md, JSON.
func parse(data []byte) (any, error) {
	if !utf8.Valid(data) || loneSurrogate.Match(data) {
		return nil, errors.New("not Unicode")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := value(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something after the value")
	}
	return v, nil
}

func value(dec *json.Decoder, depth int) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Number:
		f, err := strconv.ParseFloat(token.String(), 64)
		if err != nil || math.IsInf(f, 0) {
			return nil, errors.New("number out of range")
		}
		return token, nil
	case json.Delim:
		if depth == 16 {
			return nil, errors.New("too deep")
		}
		if token == '[' {
			return array(dec, depth)
		}
		return members(dec, depth)
	default:
		return token, nil
	}
}

func array(dec *json.Decoder, depth int) (any, error) {
	list := []any{}
	for dec.More() {
		v, err := value(dec, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := dec.Token()
	return list, err
}

func members(dec *json.Decoder, depth int) (any, error) {
	o := object{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, errors.New("no name")
		}
		for other := range o {
			if strings.EqualFold(other, name) {
				return nil, errors.New("a member twice")
			}
		}
		v, err := value(dec, depth+1)
		if err != nil {
			return nil, err
		}
		o[name] = v
	}
	_, err := dec.Token()
	return o, err
}

// kind is what a member of a table may hold.
type kind int

const (
	text kind = iota
	boolean
	whole    // 64 bits, not below zero
	seconds  // a time
	base64ed // base64
	numbers  // array of whole numbers below 2^32
	texts    // array of texts
	raw      // a JWK: an object that others read
)

// table is what an object of docs/pack.md holds: the kind of each member, or the
// table of the object, or of the objects in the array, that it is.
type table map[string]any

type listOf table

var (
	compromise  = table{"at": seconds, "logged": texts}
	networkKey  = table{"use": text, "kid": text, "jwk": raw, "note": text}
	agencyKey   = table{"kid": text, "jwk": raw, "from": seconds, "to": seconds, "revoked": boolean, "compromised": compromise}
	quota       = table{"event": text, "cards": whole, "until": seconds}
	agencyTable = table{
		"id": text, "name": text, "class": text, "country": text, "iss": text, "desk": text, "suspended": boolean, "admitted": seconds, "quotas": listOf(quota), "keys": listOf(agencyKey),
	}
	trustKeyTable = table{"network": text, "kid": text, "jwk": raw, "iat": seconds, "exp": seconds}
	trustTable    = table{
		"network": text, "name": text, "demo": boolean, "sequence": whole, "iat": seconds, "exp": seconds, "desk": text, "reopened": seconds,
		"status_lists": text, "answers_lists": text, "keys": listOf(networkKey), "agencies": listOf(agencyTable),
	}
	listToken = table{"number": whole, "token": text}
	packTable = table{
		"network": text, "sequence": whole, "iat": seconds, "trust_list_sha256": text,
		"status_lists": listOf(listToken), "answers_lists": listOf(listToken), "burned_epochs": numbers,
	}
	envelopeTable = table{"network": text, "device": text, "sequence": whole, "iat": seconds, "lease_until": seconds, "sealed": base64ed}
	liveEpoch     = table{"id": whole, "tag": base64ed, "net": base64ed, "private": base64ed}
	closedEpoch   = table{"id": whole, "tag": base64ed, "burned": boolean}
	sealedTable   = table{"live": listOf(liveEpoch), "closed": listOf(closedEpoch)}
	fileTable     = table{"lists": table{"trust_list": text, "pack": text, "trust_key": text}, "envelope": text}
	deviceTable   = table{"network": text, "device": text, "private": base64ed, "root": raw, "sequence": whole, "seen": seconds, "trust_key_iat": seconds}
)

// statement reads an object that may have a version and a crit: docs/pack.md,
// Version and crit.
func statement(data []byte, t table) (object, error) {
	v, err := parse(data)
	if err != nil {
		return nil, broken
	}
	o, ok := v.(object)
	if !ok {
		return nil, broken
	}
	if otherCase(o, "version") || otherCase(o, "crit") {
		return nil, broken
	}
	if version := o["version"]; version != nil {
		n, err := strconv.ParseUint(fmt.Sprint(version), 10, 64)
		if _, isNumber := version.(json.Number); !isNumber || err != nil || n == 0 {
			return nil, broken
		}
		if n > 1 {
			return nil, notReady("newer_version")
		}
	}
	crit, err := scalar(o["crit"], texts)
	if err != nil {
		return nil, broken
	}
	for _, name := range crit.([]string) {
		if !knows(t, name) && name != "version" && name != "crit" {
			return nil, notReady("newer_version")
		}
	}
	if err := fits(o, t); err != nil {
		return nil, broken
	}
	return o, nil
}

func knows(t table, way string) bool {
	name, rest, further := strings.Cut(way, ".")
	inner, there := t[name]
	if !there || !further {
		return there
	}
	switch inner := inner.(type) {
	case table:
		return knows(inner, rest)
	case listOf:
		return knows(table(inner), rest)
	default:
		return false
	}
}

func otherCase(o object, name string) bool {
	for other := range o {
		if other != name && strings.EqualFold(other, name) {
			return true
		}
	}
	return false
}

// fits checks an object against its table, and gives the members that are absent
// their value.
func fits(o object, t table) error {
	for name, want := range t {
		if otherCase(o, name) {
			return errors.New("a name in another case")
		}
		got := o[name]
		switch want := want.(type) {
		case table:
			inner, ok := got.(object)
			if got != nil && !ok {
				return errors.New("no object")
			}
			if inner == nil {
				continue
			}
			if err := fits(inner, want); err != nil {
				return err
			}
		case listOf:
			list, ok := got.([]any)
			if got != nil && !ok {
				return errors.New("no array")
			}
			objects := make([]object, len(list))
			for i, v := range list {
				if v == nil {
					v = object{}
				}
				inner, ok := v.(object)
				if !ok {
					return errors.New("no object in the array")
				}
				if err := fits(inner, table(want)); err != nil {
					return err
				}
				objects[i] = inner
			}
			o[name] = objects
		case kind:
			v, err := scalar(got, want)
			if err != nil {
				return err
			}
			o[name] = v
		}
	}
	return nil
}

func scalar(v any, want kind) (any, error) {
	wrong := errors.New("of another kind")
	switch want {
	case text:
		s, ok := v.(string)
		if v != nil && !ok {
			return nil, wrong
		}
		return s, nil
	case boolean:
		b, ok := v.(bool)
		if v != nil && !ok {
			return nil, wrong
		}
		return b, nil
	case whole:
		if v == nil {
			return uint64(0), nil
		}
		n, ok := v.(json.Number)
		u, err := strconv.ParseUint(n.String(), 10, 64)
		if !ok || err != nil {
			return nil, wrong
		}
		return u, nil
	case seconds:
		if v == nil {
			return int64(0), nil
		}
		n, ok := v.(json.Number)
		i, err := strconv.ParseInt(n.String(), 10, 64)
		if !ok || err != nil {
			return nil, wrong
		}
		return i, nil
	case base64ed:
		s, ok := v.(string)
		if v != nil && !ok {
			return nil, wrong
		}
		return base64.StdEncoding.DecodeString(s)
	case numbers:
		list, ok := v.([]any)
		if v != nil && !ok {
			return nil, wrong
		}
		out := make([]uint64, len(list))
		for i, v := range list {
			u, err := scalar(v, whole)
			if err != nil || u.(uint64) > math.MaxUint32 {
				return nil, wrong
			}
			out[i] = u.(uint64)
		}
		return out, nil
	case texts:
		list, ok := v.([]any)
		if v != nil && !ok {
			return nil, wrong
		}
		out := make([]string, len(list))
		for i, v := range list {
			s, err := scalar(v, text)
			if err != nil {
				return nil, err
			}
			out[i] = s.(string)
		}
		return out, nil
	case raw:
		return v, nil
	default:
		return nil, wrong
	}
}

// exactly reports whether an object has these members and no others.
func exactly(o object, names ...string) bool {
	if len(o) != len(names) {
		return false
	}
	return !slices.ContainsFunc(names, func(name string) bool { _, there := o[name]; return !there })
}
