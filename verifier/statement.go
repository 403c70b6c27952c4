package verifier

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// Types of the signed statements of a network. A reader refuses any other
// typ, so that no statement can stand in for another (RFC 8725 §3.11).
const (
	TypeTrustKey  = "safeconduct-trust-key+jwt"
	TypeTrustList = "safeconduct-trust+jwt"
	TypePack      = "safeconduct-pack+jwt"
	TypeEnvelope  = "safeconduct-envelope+jwt"
)

// Version is the newest version of trust list, pack and envelope that is read. A
// statement that names none is of version 1, and none is written yet: readers
// that came before the member refuse it (docs/decisions/0033-version-and-crit.md).
const Version = 1

// preface is what a reader looks at before anything else in a statement:
// docs/pack.md, Version and crit. It is no part of the types that are signed, so
// that nothing writes it.
type preface struct {
	Version *uint64  `json:"version"`
	Crit    []string `json:"crit"` // members that whoever does not know them may not pass over
}

// readStatement decodes a statement whose signature, if it has one, was checked.
// Members that v has no field for are passed over unless crit names them. v must
// not be used after an error.
func readStatement(data []byte, limit int, v any) error {
	limits := strictjson.Limits{Size: limit}
	var p preface
	if err := strictjson.UnmarshalOpen(data, limits, &p); err != nil {
		return err
	}
	switch {
	case p.Version == nil:
	case *p.Version == 0:
		return errors.New("its version is none")
	case *p.Version > Version:
		return notReady(ReasonNewerVersion, "made for a newer version of this program")
	}
	if slices.ContainsFunc(p.Crit, func(path string) bool {
		return !strictjson.Knows(v, path) && !strictjson.Knows(p, path)
	}) {
		return notReady(ReasonNewerVersion, "holds what only a newer version of this program knows, and must be known")
	}
	return strictjson.UnmarshalOpen(data, limits, v)
}

func signStatement(typ string, key Signer, v any) (string, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", typ, err)
	}
	return jws.Sign(typ, key.KeyID, key.Key, payload)
}

// openStatement checks signature and shape; v must not be used after an error.
func openStatement(typ, compact string, limit int, pub *ecdsa.PublicKey, v any) error {
	m, err := jws.Parse(compact, limit, typ)
	if err != nil {
		return err
	}
	payload, err := m.Verify(pub)
	if err != nil {
		return err
	}
	return readStatement(payload, limit, v)
}

// openAny checks a statement under the key that its kid names.
func openAny(typ, compact string, limit int, keys map[string]*ecdsa.PublicKey, v any) error {
	m, err := jws.Parse(compact, limit, typ)
	if err != nil {
		return err
	}
	pub := keys[m.KeyID()]
	if pub == nil {
		return errors.New("signed with a key that nothing names for this use")
	}
	payload, err := m.Verify(pub)
	if err != nil {
		return err
	}
	return readStatement(payload, limit, v)
}
