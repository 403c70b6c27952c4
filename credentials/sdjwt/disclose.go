package sdjwt

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// The member names RFC 9901 §4.1 keeps for itself.
const (
	nameDigests = "_sd"
	nameAlg     = "_sd_alg"
	nameElement = "..."
)

// alwaysOpen are the claims that draft-ietf-oauth-sd-jwt-vc-19 §2.2.2.2 does
// not let into a disclosure, nor anything inside them.
var alwaysOpen = map[string]bool{
	"iss": true, "nbf": true, "exp": true, "cnf": true,
	"vct": true, "vct#integrity": true, "aka_vcts": true, "status": true,
}

// disclosure is one disclosure, decoded.
type disclosure struct {
	name    string // of an object member
	element bool   // of an array element, which has no name
	value   any
	digest  digestText
	met     bool // its digest was met
}

// parseDisclosure reads [salt, name, value] or [salt, value] (RFC 9901 §4.2.1,
// §4.2.2).
func parseDisclosure(encoded string) (disclosure, error) {
	var room [512]byte // most disclosures are shorter, and stay off the heap
	raw, err := jws.AppendDecode(room[:0], encoded)
	if err != nil {
		return disclosure{}, err
	}
	v, err := strictjson.Value(raw, strictjson.Limits{Size: MaxSize, Depth: MaxDepth + 1})
	if err != nil {
		return disclosure{}, asError("disclosure", err)
	}
	d := disclosure{digest: digest(encoded)}
	parts, _ := v.([]any)
	if len(parts) != 2 && len(parts) != 3 {
		return disclosure{}, refuse(CodeMalformed, "disclosure of two or three parts expected")
	}
	if _, ok := parts[0].(string); !ok {
		return disclosure{}, refuse(CodeMalformed, "salt is not a string")
	}
	if len(parts) == 2 {
		d.element, d.value = true, parts[1]
		return d, nil
	}
	name, ok := parts[1].(string)
	if !ok {
		return disclosure{}, refuse(CodeMalformed, "name is not a string")
	}
	d.name, d.value = name, parts[2]
	return d, nil
}

// discloser puts the disclosed claims where their digests stand.
type discloser struct {
	vc       bool
	list     []disclosure    // what was received, at most MaxDisclosures
	withheld map[string]bool // digests met that no disclosure has: withheld, or decoys
	names    []string        // of what was disclosed
}

// disclose returns the processed payload: the steps of RFC 9901 §7.1 after the
// signature, up to the claims.
func (t *Token) disclose(payload []byte) (*Claims, error) {
	v, err := strictjson.Value(payload, strictjson.Limits{Size: MaxSize, Depth: MaxDepth})
	if err != nil {
		return nil, asError("payload", err)
	}
	all, ok := v.(map[string]any)
	if !ok {
		return nil, refuse(CodeMalformed, "payload is not an object")
	}
	// §4.1.1: absent means sha-256. Nothing else is accepted here.
	if alg, there := all[nameAlg]; there {
		if alg != "sha-256" {
			return nil, refuse(CodeAlgRefused, "_sd_alg is not sha-256")
		}
		delete(all, nameAlg)
	}
	d := discloser{
		vc:    t.Type() == TypeVC,
		list:  make([]disclosure, len(t.disclosures)),
		names: make([]string, 0, len(t.disclosures)),
	}
	// §7.1 step 3.1: the digest of each disclosure.
	for i, s := range t.disclosures {
		if d.list[i], err = parseDisclosure(s); err != nil {
			return nil, err
		}
		for j := range i {
			if d.list[j].digest == d.list[i].digest {
				return nil, refuse(CodeDuplicateDigest, "a disclosure occurs twice")
			}
		}
	}
	if err := d.object(all, 1, false); err != nil {
		return nil, err
	}
	// §7.1 step 5: every disclosure must have been referenced.
	for i := range d.list {
		if !d.list[i].met {
			return nil, refuse(CodeUnreferenced, "no digest names a disclosure")
		}
	}
	return &Claims{vc: d.vc, payload: all, disclosed: d.names}, nil
}

// object processes one object in place. top says that it is the payload
// itself, closed that nothing in it may be disclosed.
func (d *discloser) object(o map[string]any, depth int, closed bool) error {
	if depth > MaxDepth {
		return refuse("json_invalid", "nested too deeply")
	}
	digests, there := o[nameDigests]
	delete(o, nameDigests)
	// These names stand only where RFC 9901 puts them; elsewhere another reader
	// could take them for something they are not.
	if _, there := o[nameElement]; there {
		return refuse(CodeMalformed, "reserved name in the wrong place")
	}
	if _, there := o[nameAlg]; there {
		return refuse(CodeMalformed, "reserved name in the wrong place")
	}
	list, ok := digests.([]any)
	var names []string // those of o, to hold disclosed ones against
	if ok {
		names = make([]string, 0, len(o)+len(d.list))
	}
	inner := make([]string, 0, 8)
	for name, v := range o {
		if ok {
			names = append(names, name)
		}
		switch v.(type) {
		case map[string]any, []any:
			inner = append(inner, name)
		}
	}
	// In order, so that the same token is always refused for the same reason.
	slices.Sort(inner)
	for _, name := range inner {
		if err := d.within(o, name, depth, closed); err != nil {
			return err
		}
	}
	if !there {
		return nil
	}
	if !ok {
		return refuse(CodeMalformed, "_sd is not an array")
	}
	if closed {
		return refuse(CodeClaimRefused, "digests inside a claim that must stay open")
	}
	for _, v := range list {
		found, err := d.find(v, false)
		if err != nil {
			return err
		}
		if found == nil {
			continue // a decoy, or withheld
		}
		if err := d.place(o, names, found, depth); err != nil {
			return err
		}
		names = append(names, found.name)
	}
	return nil
}

// place inserts a disclosed member into o, which has names, after all that
// must not happen.
func (d *discloser) place(o map[string]any, names []string, found *disclosure, depth int) error {
	// §7.1 step 3.3.2.2: reserved names.
	if found.name == nameDigests || found.name == nameElement || found.name == nameAlg {
		return refuse(CodeClaimRefused, "disclosure of a reserved name")
	}
	if d.vc && depth == 1 && alwaysOpen[found.name] {
		return refuse(CodeClaimRefused, "disclosure of a claim that must stay open")
	}
	// §7.1 step 3.3.2.3: the name must not exist at that level; for us not in
	// another case either.
	for _, name := range names {
		if sameName(name, found.name) {
			return refuse(CodeClaimRefused, "disclosure of a name that is there already")
		}
	}
	o[found.name] = found.value
	d.names = append(d.names, found.name)
	return d.within(o, found.name, depth, false)
}

// sameName is strings.EqualFold, with a short way out for the many names that
// begin with different letters.
func sameName(a, b string) bool {
	if a != "" && b != "" && a[0]|b[0] < utf8.RuneSelf && a[0]|0x20 != b[0]|0x20 {
		// Letters outside ASCII that differ from one inside only by case do
		// not begin with an ASCII byte.
		return false
	}
	return strings.EqualFold(a, b)
}

// within processes the value of member name of o.
func (d *discloser) within(o map[string]any, name string, depth int, closed bool) error {
	closed = closed || d.vc && depth == 1 && alwaysOpen[name]
	switch v := o[name].(type) {
	case map[string]any:
		return d.object(v, depth+1, closed)
	case []any:
		kept, err := d.array(v, depth+1, closed)
		if err != nil {
			return err
		}
		o[name] = kept
	}
	return nil
}

// array processes one array and returns what is left of it: §7.1 step 3.4,
// elements whose digest no disclosure matches are removed.
func (d *discloser) array(a []any, depth int, closed bool) ([]any, error) {
	if depth > MaxDepth {
		return nil, refuse("json_invalid", "nested too deeply")
	}
	kept := a[:0]
	for _, v := range a {
		if o, ok := v.(map[string]any); ok {
			if digest, there := o[nameElement]; there {
				// §4.2.4.2: there must be no other member.
				if len(o) != 1 {
					return nil, refuse(CodeMalformed, "array digest with other members")
				}
				if closed {
					return nil, refuse(CodeClaimRefused, "digests inside a claim that must stay open")
				}
				found, err := d.find(digest, true)
				if err != nil {
					return nil, err
				}
				if found == nil {
					continue
				}
				v = found.value
			}
		}
		switch inner := v.(type) {
		case map[string]any:
			if err := d.object(inner, depth+1, closed); err != nil {
				return nil, err
			}
		case []any:
			left, err := d.array(inner, depth+1, closed)
			if err != nil {
				return nil, err
			}
			v = left
		}
		kept = append(kept, v)
	}
	return kept, nil
}

// find returns the disclosure that a digest names, or nil.
func (d *discloser) find(v any, element bool) (*disclosure, error) {
	key, ok := v.(string)
	if !ok {
		return nil, refuse(CodeMalformed, "digest is not a string")
	}
	i := d.index(key)
	// §7.1 step 4: no digest twice, here or through disclosures.
	if d.withheld[key] || i >= 0 && d.list[i].met {
		return nil, refuse(CodeDuplicateDigest, "a digest occurs twice")
	}
	if i < 0 {
		if d.withheld == nil {
			d.withheld = make(map[string]bool)
		}
		d.withheld[key] = true
		return nil, nil
	}
	found := &d.list[i]
	// §7.1 steps 3.3.2.1 and 3.3.3.1: three parts in an object, two in an array.
	if found.element != element {
		return nil, refuse(CodeMalformed, "disclosure of the wrong kind for its place")
	}
	found.met = true
	return found, nil
}

// index returns the place in the list of the first disclosure with a digest,
// or -1. The list is short enough for this to be cheaper than a map.
func (d *discloser) index(digest string) int {
	for i := range d.list {
		if string(d.list[i].digest[:]) == digest {
			return i
		}
	}
	return -1
}
