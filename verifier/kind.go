package verifier

import "strings"

// Kind names what a code that is not ours is. Nothing of its content is kept
// or shown: a code may carry a link that somebody wants an officer to follow.
type Kind string

// Kinds of foreign codes that can be told apart.
const (
	KindUnknown     Kind = ""
	KindWebAddress  Kind = "web_address"
	KindEUCert      Kind = "eu_certificate"
	KindSmartHealth Kind = "smart_health_card"
	KindIdentityQR  Kind = "identity_qr" // MOSIP Claim 169
	KindWalletOffer Kind = "wallet_offer"
	KindContact     Kind = "contact"
	KindWiFi        Kind = "wifi"
	KindVisibleSeal Kind = "visible_digital_seal" // ICAO VDS-NC
)

// Recognise tells what kind of code a text comes from, as far as its first
// characters say.
func Recognise(text string) Kind {
	lower := strings.ToLower(text[:min(len(text), 64)])
	for _, k := range []struct {
		prefix string
		kind   Kind
	}{
		{"https://", KindWebAddress},
		{"http://", KindWebAddress},
		{"hc1:", KindEUCert},
		{"shc:/", KindSmartHealth},
		{"www.", KindWebAddress},
		{"openid-credential-offer:", KindWalletOffer},
		{"openid4vp:", KindWalletOffer},
		{"haip:", KindWalletOffer},
		{"haip-vci:", KindWalletOffer},
		{"haip-vp:", KindWalletOffer},
		{"begin:vcard", KindContact},
		{"mecard:", KindContact},
		{"wifi:", KindWiFi},
		{`{"data":{"hdr":`, KindVisibleSeal},
	} {
		if strings.HasPrefix(lower, k.prefix) {
			return k.kind
		}
	}
	if beginsWithZlib(text) {
		return KindIdentityQR
	}
	return KindUnknown
}

// beginsWithZlib tells whether a text is Base45 (RFC 9285) whose first two
// bytes are a zlib header (RFC 1950 §2.2), which is how MOSIP Claim 169 codes
// begin; they have no prefix. Three characters are enough to know. Digits alone
// are no such text: what is compressed has letters, and what has none is a card
// that a reader added something to.
func beginsWithZlib(text string) bool {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
	if len(text) < 32 || len(text)%3 == 1 {
		return false
	}
	digits := true
	for i := range len(text) {
		at := strings.IndexByte(alphabet, text[i])
		if at < 0 {
			return false
		}
		digits = digits && at < 10
	}
	if digits {
		return false
	}
	n := strings.IndexByte(alphabet, text[0]) + 45*strings.IndexByte(alphabet, text[1]) + 45*45*strings.IndexByte(alphabet, text[2])
	if n > 0xffff {
		return false
	}
	const deflate, window32K = 8, 7
	return n>>8&0x0f == deflate && n>>12 <= window32K && n%31 == 0
}
