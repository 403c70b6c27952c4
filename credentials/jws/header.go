package jws

import (
	"fmt"
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// headerDepth is enough to read the header of a token that will be refused.
const headerDepth = 3

// header is a protected header that may stand before a token of ours.
type header struct {
	typ, keyID string
	named      bool           // whether there is a kid
	parsed     jose.Signature // the same as go-jose reads it, without a signature
}

// known are headers that passed, by their text: all tokens that an agency signs with one
// key have the same, and to read it takes a fifth as long as to check a signature. They
// are public, and nobody changes one.
var known struct {
	sync.RWMutex
	headers map[string]*header
}

// How many are remembered, and how long one is at most. When there are so many, all are
// forgotten: whoever sends other ones has them read each time.
const (
	maxKnown  = 64
	longKnown = 256
)

// readHeader is parseHeader for a header that may have been read before.
func readHeader(encoded string) (*header, error) {
	known.RLock()
	h := known.headers[encoded]
	known.RUnlock()
	if h != nil {
		return h, nil
	}
	h, err := parseHeader(encoded)
	if err != nil || len(encoded) > longKnown {
		return h, err
	}
	known.Lock()
	defer known.Unlock()
	if known.headers == nil || len(known.headers) >= maxKnown {
		known.headers = make(map[string]*header, maxKnown)
	}
	known.headers[strings.Clone(encoded)] = h // not with all of its token
	return h, nil
}

// parseHeader reads a protected header by our rules, which are all that
// decides: what passes holds three members, and go-jose takes it.
func parseHeader(encoded string) (*header, error) {
	raw, err := Decode(encoded)
	if err != nil {
		return nil, err
	}
	v, err := strictjson.Value(raw, strictjson.Limits{Size: len(raw) + 1, Depth: headerDepth})
	if err != nil {
		return nil, &Error{strictjson.Code(err), fmt.Errorf("jws: header: %w", err)}
	}
	members, ok := v.(map[string]any)
	if !ok {
		return nil, refuse(CodeMalformed, "header is not an object")
	}
	// Members that say how to read, or bring a key along, are named first:
	// they are an attack whatever the algorithm is. RFC 7515 §4.1.11: crit
	// must be understood or the token refused; we understand none.
	for _, name := range dangerous {
		if _, there := members[name]; there {
			return nil, refuse(CodeHeader, "header member that is never accepted")
		}
	}
	if alg, _ := members["alg"].(string); alg != string(algorithm) {
		return nil, refuse(CodeAlg, "alg is not ES256")
	}
	for name := range members {
		if name != "alg" && name != "typ" && name != "kid" {
			return nil, refuse(CodeHeader, "header member other than alg, typ and kid")
		}
	}
	value, named := members["kid"]
	h := header{named: named}
	h.typ, _ = members["typ"].(string)
	h.keyID, _ = value.(string)
	if named && !ValidKeyID(h.keyID) {
		return nil, refuse(CodeKeyID, "kid is not of our form")
	}
	// Payload and signature come with each token. The errors of go-jose may
	// repeat the header, and are not passed on.
	parsed, err := jose.ParseDetached(encoded+"..", []byte{}, algorithms)
	if err != nil {
		return nil, refuse(CodeHeader, "header that go-jose does not take")
	}
	h.parsed = parsed.Signatures[0]
	return &h, nil
}

// dangerous are the header members that no profile will ever take.
var dangerous = []string{"crit", "b64", "zip", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256"}
