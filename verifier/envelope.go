package verifier

import (
	"bytes"
	"crypto"
	"crypto/hpke"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// Signer is a network key and the name it goes by.
type Signer struct {
	KeyID string
	Key   crypto.Signer // P-256
}

// Device is what an enrolled device keeps: who it is, which root it trusts,
// and the last pack it saw. It is the content of a device key file.
type Device struct {
	Network string          `json:"network"`
	ID      string          `json:"device"`
	Private []byte          `json:"private"` // MLKEM768-X25519 seed
	Root    json.RawMessage `json:"root"`    // the network's root key, a P-256 JWK
	// Sequence is the number of the newest pack that this device accepted, since the
	// statement of TrustKeyIssued.
	Sequence uint64 `json:"sequence,omitempty"`
	// Seen is the latest time of a pack that this device accepted since then, or of that
	// statement. A clock before it is wrong.
	Seen int64 `json:"seen,omitempty"`
	// TrustKeyIssued is the latest date of a TrustKey that this device was shown, under
	// the root's signature. An earlier one may name a key that was stolen.
	TrustKeyIssued int64 `json:"trust_key_iat,omitempty"`
}

// under is the device once it was shown a statement of the root of this date. Under
// a newer one numbers and times begin anew: whoever had stolen the key of before may have
// shown it a pack of any number.
func (d Device) under(statement int64) Device {
	if statement > d.TrustKeyIssued {
		d.TrustKeyIssued, d.Sequence, d.Seen = statement, 0, statement
	}
	return d
}

// Format shows a mask: the key opens this device's envelopes.
func (Device) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(private.Masked)) }

// MaxDevice bounds a device key file in bytes.
const MaxDevice = 16 << 10

// ParseDevice reads a device key file.
func ParseDevice(data []byte) (Device, error) {
	var d Device
	if err := strictjson.Unmarshal(data, strictjson.Limits{Size: MaxDevice}, &d); err != nil {
		return Device{}, fmt.Errorf("device key: %w", err)
	}
	if d.Network == "" || d.ID == "" || len(d.Private) == 0 || len(d.Root) == 0 {
		return Device{}, errors.New("device key: incomplete")
	}
	return d, nil
}

// MarshalDevice writes a device key file. It refuses a device whose keys could
// never open a pack, so that this is known at the enrolment and not at the
// checkpoint.
func MarshalDevice(d Device) ([]byte, error) {
	if d.Network == "" || d.ID == "" {
		return nil, errors.New("device key: incomplete")
	}
	if _, err := hpke.MLKEM768X25519().NewPrivateKey(d.Private); err != nil {
		return nil, errors.New("device key: not an MLKEM768-X25519 private key")
	}
	if _, err := jws.ParseKey(d.Root); err != nil {
		return nil, fmt.Errorf("device key: root: %w", err)
	}
	return json.Marshal(d)
}

// NewDevice makes a device key. Its second result is the public key that the
// network seals envelopes to.
func NewDevice(network, id string, root json.RawMessage) (Device, []byte, error) {
	private, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return Device{}, nil, fmt.Errorf("make device key: %w", err)
	}
	seed, err := private.Bytes()
	if err != nil {
		return Device{}, nil, fmt.Errorf("make device key: %w", err)
	}
	return Device{Network: network, ID: id, Private: seed, Root: root}, private.PublicKey().Bytes(), nil
}

// Envelope carries the epoch keys to one device. It is signed by the
// network's pack key, because HPKE's base mode says nothing about the sender
// (RFC 9180 §9.1.1).
type Envelope struct {
	Network    string `json:"network"`
	Device     string `json:"device"`
	Sequence   uint64 `json:"sequence"` // of the pack it belongs to
	IssuedAt   int64  `json:"iat"`
	LeaseUntil int64  `json:"lease_until"` // Unix seconds; afterwards honest software stops
	Sealed     []byte `json:"sealed"`
}

// EpochKeys is what an envelope seals.
type EpochKeys struct {
	Live   []Epoch       `json:"live"`   // in pack order; at most MaxLive
	Closed []ClosedEpoch `json:"closed"` // ended and burned epochs
}

// Epoch holds the keys of an epoch whose cards this device may open.
type Epoch struct {
	ID      uint32 `json:"id"`
	TagKey  []byte `json:"tag"`
	NetKey  []byte `json:"net"`
	Private []byte `json:"private"`
}

// ClosedEpoch is what is left of an epoch that ended or was burned: enough to
// recognise its cards, not to open them.
type ClosedEpoch struct {
	ID     uint32 `json:"id"`
	TagKey []byte `json:"tag"`
	Burned bool   `json:"burned,omitempty"`
}

// Format shows a mask: the keys open cards.
func (EpochKeys) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(private.Masked)) }

// Format shows a mask: the keys open cards.
func (Epoch) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(private.Masked)) }

// Format shows a mask: the key recognises cards.
func (ClosedEpoch) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(private.Masked)) }

// MaxEnvelope bounds a signed envelope in bytes.
const MaxEnvelope = 64 << 10

// MaxLive is how many epochs a device may open: seven that live, and the next
// one (docs/card.md, Epochs).
const MaxLive = 8

// Seal encrypts keys to the device's public key and signs the envelope.
func (e Envelope) Seal(keys EpochKeys, recipient []byte, pack Signer) (string, error) {
	public, err := hpke.MLKEM768X25519().NewPublicKey(recipient)
	if err != nil {
		return "", fmt.Errorf("read device public key: %w", err)
	}
	plain, err := json.Marshal(keys)
	if err != nil {
		return "", fmt.Errorf("encode epoch keys: %w", err)
	}
	e.Sealed, err = hpke.Seal(public, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), e.info(), plain)
	if err != nil {
		return "", fmt.Errorf("seal envelope: %w", err)
	}
	return signStatement(TypeEnvelope, pack, e)
}

// info binds the ciphertext to network, device and sequence, so that an
// envelope cannot be presented as another one's.
func (e Envelope) info() []byte {
	b := []byte("safeconduct/envelope/1")
	for _, s := range []string{e.Network, e.Device} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	return binary.BigEndian.AppendUint64(b, e.Sequence)
}

// openEnvelope checks the envelope for this device under the keys of the
// trust list, and opens it.
func openEnvelope(compact string, t *trusted, dev Device, sequence uint64, now time.Time) (Envelope, EpochKeys, error) {
	var e Envelope
	if err := openAny(TypeEnvelope, compact, MaxEnvelope, t.pack, &e); err != nil {
		return Envelope{}, EpochKeys{}, fmt.Errorf("envelope: %w", err)
	}
	switch {
	case e.Network != dev.Network || e.Device != dev.ID:
		return Envelope{}, EpochKeys{}, errors.New("envelope: for another device")
	case e.Sequence != sequence:
		return Envelope{}, EpochKeys{}, errors.New("envelope: of another pack")
	case now.Unix() < e.IssuedAt:
		return Envelope{}, EpochKeys{}, notReady(ReasonClock, "the clock is before the envelope's date")
	case now.Unix() >= e.LeaseUntil:
		return Envelope{}, EpochKeys{}, notReady(ReasonLeaseOver, "the lease of this device is over")
	}
	private, err := hpke.MLKEM768X25519().NewPrivateKey(dev.Private)
	if err != nil {
		return Envelope{}, EpochKeys{}, fmt.Errorf("envelope: read device key: %w", err)
	}
	plain, err := hpke.Open(private, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), e.info(), e.Sealed)
	if err != nil {
		return Envelope{}, EpochKeys{}, errors.New("envelope: does not open with this device's key")
	}
	var keys EpochKeys
	if err := readStatement(plain, MaxEnvelope, &keys); err != nil {
		return Envelope{}, EpochKeys{}, fmt.Errorf("envelope: its keys: %w", err)
	}
	if err := keys.check(); err != nil {
		return Envelope{}, EpochKeys{}, err
	}
	return e, keys, nil
}

// check refuses keys that no epoch can have, before a card meets them: an
// all-zero key would be the same for everybody (docs/card.md, Bytes).
func (k EpochKeys) check() error {
	if len(k.Live) > MaxLive {
		return errors.New("envelope: too many live epochs")
	}
	seen := map[uint32]bool{}
	epoch := func(id uint32, keys ...[]byte) error {
		if seen[id] {
			return errors.New("envelope: an epoch occurs twice")
		}
		seen[id] = true
		for _, key := range keys {
			if len(key) != 32 || bytes.Equal(key, make([]byte, 32)) {
				return errors.New("envelope: a key of an epoch is unusable")
			}
		}
		return nil
	}
	for _, e := range k.Live {
		if err := epoch(e.ID, e.TagKey, e.NetKey, e.Private); err != nil {
			return err
		}
	}
	for _, e := range k.Closed {
		if err := epoch(e.ID, e.TagKey); err != nil {
			return err
		}
	}
	return nil
}

// tagKeys lists every epoch's tag key: first the live ones, then the closed.
func (k EpochKeys) tagKeys() []card.TagKey {
	keys := make([]card.TagKey, 0, len(k.Live)+len(k.Closed))
	for _, e := range k.Live {
		keys = append(keys, card.TagKey{Epoch: e.ID, Key: e.TagKey})
	}
	for _, e := range k.Closed {
		keys = append(keys, card.TagKey{Epoch: e.ID, Key: e.TagKey})
	}
	return keys
}

// openKeys prepares the keys of the live epochs, by their ids.
func (k EpochKeys) openKeys() (map[uint32]card.OpenKeys, error) {
	keys := make(map[uint32]card.OpenKeys, len(k.Live))
	for _, e := range k.Live {
		prepared, err := card.OpenKeys{Epoch: e.ID, TagKey: e.TagKey, NetKey: e.NetKey, Private: e.Private}.Prepare()
		if err != nil {
			return nil, fmt.Errorf("envelope: %w", err)
		}
		keys[e.ID] = prepared
	}
	return keys, nil
}
