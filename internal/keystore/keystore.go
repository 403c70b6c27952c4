// Package keystore is the one way to the private keys of a network and its
// agencies. A [Store] keeps them and does with them what it is asked: it takes
// plain values and returns plain values, so that it may be a file in this
// process, a server, or a process of its own behind a socket. [Keys] gives the
// rooms of the domain what they ask for, on top of any Store; no key is in it.
// How keys are kept is for internal/keyfile and internal/hcvault, and who may
// ask for a signature for others.
package keystore

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// Conditions that a caller can act on. Every Store wraps them in words of its
// own; what a server that is away says is in internal/trouble.
var (
	// ErrNoKey says that there is no such key.
	ErrNoKey = errors.New("keystore: no such key")

	// ErrWrapped says that wrapped bytes do not open for the record, agency or
	// epoch that they were presented for, or were altered.
	ErrWrapped = errors.New("keystore: the wrapped key does not open")

	// ErrRefused says that the keys are not used for this, or not for whoever
	// asks.
	ErrRefused = errors.New("keystore: this is not done with the keys")
)

// Use is what a signing key is for. Each key has one use.
type Use string

// The network's own uses. Agency is that of an agency.
const (
	Root   Use = "root"   // signs who signs trust lists, and what only the root may in the roster
	Trust  Use = "trust"  // signs trust lists
	Status Use = "status" // signs status and answers lists
	Pack   Use = "pack"   // signs packs and envelopes
	Log    Use = "log"    // signs checkpoints, by LogKeys and SignLog alone
)

// agencyUse begins the use of an agency's key.
const agencyUse = "agency/"

// Agency is the use of an agency's key: it signs attestations and cards.
func Agency(id string) Use { return Use(agencyUse + id) }

// OfAgency returns the agency of a use, and whether it is an agency's.
func (u Use) OfAgency() (id string, ok bool) {
	if len(u) < len(agencyUse) || u[:len(agencyUse)] != agencyUse {
		return "", false
	}
	return string(u[len(agencyUse):]), true
}

// Public is the public half of a P-256 signing key, or where a key of the log was made
// anew, of that Ed25519 key.
type Public struct {
	KeyID string // RFC 7638 thumbprint, as the trust list names it
	DER   []byte // SubjectPublicKeyInfo (RFC 5280 §4.1.2.7)
}

// Message is what is signed, whole: whoever has the keys reads it before it is
// hashed. What it is stands in it (the typ of a token, the context of a COSE
// structure), so that nobody says it beside it.
type Message struct {
	// Bytes is the signing input of a token (RFC 7515 §5.1), or the Sig_structure
	// of a card (RFC 9052 §4.4).
	Bytes []byte
	// Shown are what the digests in the bytes stand for, each as it is hashed: the
	// disclosures of an SD-JWT, and the random bytes of its decoys (RFC 9901
	// §4.2.3, §4.2.5).
	Shown [][]byte
}

// Digest is what ECDSA signs of it.
func (m Message) Digest() []byte {
	digest := sha256.Sum256(m.Bytes)
	return digest[:]
}

// Store keeps private keys and works with them. Nothing that it takes or returns
// is a private key, refers to one, or has to be in the same process.
type Store interface {
	// Public is the key that signs for a use now. ErrNoKey if there is none.
	Public(ctx context.Context, use Use) (Public, error)
	// Publics are that key and those that signed for the use before, as far as they
	// are kept, in no order.
	Publics(ctx context.Context, use Use) ([]Public, error)
	// Sign signs messages by their SHA-256 with the key that has this id, all of
	// them or none. The signatures are ASN.1 (RFC 3279 §2.2.3), in the order of the
	// messages. A key that was replaced meanwhile signs nothing: nothing was
	// done then, and who asks Public again gets the new one.
	Sign(ctx context.Context, use Use, kid string, messages []Message) ([][]byte, error)

	// LogKeys are the texts by which strangers check the log's checkpoints, note
	// verifier keys (C2SP signed-note): that of the key which signs now, then those
	// that signed before, the newest first. SignLog is the Ed25519 signature over the
	// text of a checkpoint, with the key that has this id (LogKeyID): the one that
	// signs now or the one before it. ErrNoKey for any other. Who judges wants to see
	// that the log goes on behind what Said says of it (approval.Authority).
	LogKeys(ctx context.Context) ([]string, error)
	SignLog(ctx context.Context, kid string, text []byte) ([]byte, error)

	// SignDerived signs with an Ed25519 key that is derived for one label and
	// one network, and DerivedKey is its public half. What is signed begins with
	// the label, so that no signature serves for another use.
	SignDerived(ctx context.Context, label, network string, data []byte) ([]byte, error)
	DerivedKey(ctx context.Context, label, network string) (ed25519.PublicKey, error)

	// NewAgency makes an agency's keys, or finds those it has. RotateAgency
	// makes a new signing key for an agency that has one, as Rotate does: if the one with
	// the id before signs now.
	NewAgency(ctx context.Context, agency string) (Public, error)
	RotateAgency(ctx context.Context, agency, before string) (Public, error)
	// Rotate makes a new key for one of the network's own uses, if the one with the id
	// before signs for it now, and returns the one that signs. Those from before stay
	// among Publics, or LogKeys. ErrRefused for the root.
	Rotate(ctx context.Context, use Use, before string) (Public, error)

	// Wrap encrypts a record's file key to an agency; Unwrap opens it for the
	// same agency and record only, ErrWrapped otherwise.
	Wrap(ctx context.Context, agency, record string, fileKey []byte) ([]byte, error)
	Unwrap(ctx context.Context, agency, record string, wrapped []byte) ([]byte, error)
	// WrapEpoch encrypts an epoch's keys for keeping in a database; UnwrapEpoch
	// opens them for the same epoch only, ErrWrapped otherwise.
	WrapEpoch(ctx context.Context, epoch uint32, plain []byte) ([]byte, error)
	UnwrapEpoch(ctx context.Context, epoch uint32, wrapped []byte) ([]byte, error)
	// MAC is HMAC-SHA-256 under a key of its own for each label: 32 bytes.
	MAC(ctx context.Context, label string, data []byte) ([]byte, error)
	// Decoys is the key of a status list by which its decoys are known: 32 bytes, for
	// credentials/mask.
	Decoys(ctx context.Context, list uint16) ([]byte, error)

	// Receipt says what was signed last for a place of a status list, so that the place
	// may change later. It is asked for right after the signature. A Store that reads
	// nothing has none: nil.
	Receipt(ctx context.Context, list uint16, index uint32) ([]byte, error)
	// Said is what the next one at an address is held against: a status or answers list
	// as its token, or for the name of a log the text of a checkpoint; "" if there was
	// none. Judged is false for a Store that reads nothing. newest is the newest pack or
	// checkpoint that the asker knows, as it was signed; who judges takes notice of one
	// that is newer than its own, where an approval.Authority shows what belongs to it:
	// the trust list that a pack names, the proof that a log goes on.
	Said(ctx context.Context, address, newest string) (said string, judged bool, err error)

	// Generation rises with every change of the keys. Whoever keeps the highest
	// one it has seen can refuse an older copy.
	Generation(ctx context.Context) (uint64, error)
}

// Blind is the part of a Store that signs without reading: it has no receipts, and
// judges no list.
type Blind struct{}

// Receipt is nothing.
func (Blind) Receipt(context.Context, uint16, uint32) ([]byte, error) { return nil, nil }

// Said is nothing, by nobody.
func (Blind) Said(context.Context, string, string) (string, bool, error) { return "", false, nil }

// DecoysLabel is that of the keyed hash which Decoys is.
const DecoysLabel = "safeconduct/decoys"

// DecoysKey is for Stores: it makes the key of Decoys from the keyed hash of the list's
// number.
func DecoysKey(ctx context.Context, mac func(ctx context.Context, label string, data []byte) ([]byte, error), list uint16) ([]byte, error) {
	return mac(ctx, DecoysLabel, binary.BigEndian.AppendUint16(nil, list))
}

// Derived is for Stores: it makes the key of SignDerived from the keyed hash of
// its label and network, so that no Store needs another kind of key for it.
func Derived(ctx context.Context, mac func(ctx context.Context, label string, data []byte) ([]byte, error), label, network string) (ed25519.PrivateKey, error) {
	seed, err := mac(ctx, label, []byte(network))
	if err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("keystore: a keyed hash has another length")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Labelled is what a signature of SignDerived covers.
func Labelled(label string, data []byte) []byte { return append([]byte(label+"\n"), data...) }
