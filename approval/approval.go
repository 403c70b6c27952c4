// Package approval knows acts to which people agree: an act's one form in bytes,
// the challenge that their passkeys sign, the words that they read, which are made
// from the same bytes, and the request that waits until enough of them have agreed.
//
// It knows no key, no role and no act by name: what an act means, and who has to
// agree to it, is for people/roster and credentials; how a proof is checked, for
// internal/passkey.
package approval

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// Conditions that a caller can act on.
var (
	// ErrAct says that bytes are no act, or not one in its one form.
	ErrAct = errors.New("approval: not an act in its one form")

	// ErrOver says that the time in which an act could be agreed to is over.
	ErrOver = errors.New("approval: the time to agree is over")

	// ErrRefused says that a proof does not count: it is for another act, was
	// given before, or comes from somebody who may not agree or has agreed
	// already, as a person or with the same passkey.
	ErrRefused = errors.New("approval: the approval does not count")
)

// domain keeps a signature over an act from being one over anything else.
const domain = "safeconduct/act/1\n"

// maxAct bounds an act, in bytes. A visit's claims are the largest.
const maxAct = 256 << 10

// Act is one thing to agree to. Whoever holds its bytes knows all that is agreed
// to, and nothing that is done under it may say anything else.
type Act struct {
	Network string `json:"network"` // its id: an act of one network is none of another
	ID      string `json:"id"`      // 128 random bits in hex, once and for ever
	Do      string `json:"do"`      // what is to be done, as in agency.admit
	Agency  string `json:"agency"`  // in whose name; "" is the network
	By      string `json:"by"`      // the person or program that asks; "" is nobody who has an id
	Nonce   string `json:"nonce"`   // 32 random bytes in base64url, so that nobody knows the challenge before it is made
	Expires int64  `json:"expires"` // Unix seconds; nobody can agree from then on
	// What is to be done in particular: an object, in the form in which its maker
	// encoded it.
	What json.RawMessage `json:"what"`
}

// String says what kind of act it is. What it is about may be a person.
func (a Act) String() string { return "act " + a.Do }

// GoString is String.
func (a Act) GoString() string { return a.String() }

var (
	idForm   = regexp.MustCompile(`^[0-9a-f]{32}$`)
	wordForm = regexp.MustCompile(`^[a-z][a-z_]{0,31}(\.[a-z][a-z_:]{0,47}){0,2}$`)
)

// New makes an act that can be agreed to for a time. what is encoded with
// encoding/json, and must encode to an object.
func New(network, do, agency, by string, what any, now time.Time, life time.Duration) (Act, error) {
	data, err := encode(what)
	if err != nil {
		return Act{}, err
	}
	var nonce [32]byte
	var id [16]byte
	_, _ = rand.Read(nonce[:]) // never returns an error
	_, _ = rand.Read(id[:])
	a := Act{
		Network: network, ID: hex.EncodeToString(id[:]), Do: do, Agency: agency, By: by,
		Nonce: base64.RawURLEncoding.EncodeToString(nonce[:]), Expires: now.Add(life).Unix(), What: data,
	}
	_, err = a.Bytes()
	return a, err
}

// encode is the one way in which a value becomes bytes that are signed: its members
// in the order of its type, no white space, and < > & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: a %T has no JSON form", ErrAct, v) // the encoder's text may repeat a value
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Bytes is the one form of an act. ErrAct for one that New and Parse would not
// return.
func (a Act) Bytes() ([]byte, error) {
	nonce, err := base64.RawURLEncoding.Strict().DecodeString(a.Nonce)
	if err != nil || len(nonce) != 32 || !idForm.MatchString(a.ID) || !idForm.MatchString(a.Network) ||
		a.Agency != "" && !idForm.MatchString(a.Agency) || a.By != "" && !idForm.MatchString(a.By) ||
		!wordForm.MatchString(a.Do) || a.Expires <= 0 || len(a.What) == 0 || a.What[0] != '{' {
		return nil, ErrAct
	}
	data, err := encode(a)
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxAct:
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrAct, maxAct)
	}
	return data, nil
}

// limits bound what is read.
var limits = strictjson.Limits{Size: maxAct}

// Parse reads what Bytes wrote, byte for byte.
func Parse(data []byte) (Act, error) {
	var a Act
	if err := strictjson.Unmarshal(data, limits, &a); err != nil {
		return Act{}, ErrAct
	}
	if again, err := a.Bytes(); err != nil || !bytes.Equal(again, data) {
		return Act{}, ErrAct
	}
	return a, nil
}

// Read reads what an act is about into a pointer, and refuses any other form than
// the one that it is encoded in: an unknown, missing or repeated member, another
// order.
func (a Act) Read(what any) error {
	if err := strictjson.Unmarshal(a.What, limits, what); err != nil {
		return ErrAct
	}
	if again, err := encode(what); err != nil || !bytes.Equal(again, a.What) {
		return ErrAct
	}
	return nil
}

// Challenge is what a passkey signs (Web Authentication Level 3 §5.8.1): SHA-256
// over a label and the act's bytes. It is unlike any challenge that is drawn for
// a sign-in, because those are random.
func (a Act) Challenge() ([32]byte, error) {
	data, err := a.Message()
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(data), nil
}

// Message is what Challenge is the SHA-256 of: a key that signs by SHA-256 signs it
// whole, so that whoever has the key can read what it signs.
func (a Act) Message() ([]byte, error) {
	data, err := a.Bytes()
	if err != nil {
		return nil, err
	}
	return append([]byte(domain), data...), nil
}

// Over tells whether nobody can agree any more.
func (a Act) Over(now time.Time) bool { return now.Unix() >= a.Expires }

// Proof says that one person agrees: what a passkey answered to an act's challenge.
type Proof struct {
	Person            string `json:"person"`             // id of who agrees
	Credential        []byte `json:"credential"`         // id of the passkey
	ClientData        []byte `json:"client_data"`        // JSON, as the browser made it
	AuthenticatorData []byte `json:"authenticator_data"` // Web Authentication Level 3 §6.1
	Signature         []byte `json:"signature"`          // over authenticator data and hash of client data
}

// Distinct refuses proofs of one person, or of one passkey, that are there twice:
// the same hands are not two.
func Distinct(proofs []Proof) error {
	people, keys := map[string]bool{}, map[string]bool{}
	for _, p := range proofs {
		if p.Person == "" || len(p.Credential) == 0 || people[p.Person] || keys[string(p.Credential)] {
			return ErrRefused
		}
		people[p.Person], keys[string(p.Credential)] = true, true
	}
	return nil
}
