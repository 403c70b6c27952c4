package verifier

import (
	"crypto/hpke"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// The device key of the known answer is the one that MLKEM768-X25519 makes from
// the seed 00 01 … 1f, the root key the P-256 key of RFC 7517 appendix A.1.
const (
	symbolsNetwork = "00112233445566778899aabbccddeeff"
	symbolsRoot    = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
)

func symbolsDevice(t testing.TB, first byte) []byte {
	t.Helper()
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = first + byte(i)
	}
	key, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	return key.PublicKey().Bytes()
}

// TestSymbolsKnownAnswer: the answers were computed from the text of Symbols
// alone, in JavaScript, with hash-wasm 4.13 for Argon2id and node's crypto for
// SHA-256.
func TestSymbolsKnownAnswer(t *testing.T) {
	for _, c := range []struct {
		first byte
		want  string
	}{{0, "MAKJ3V"}, {100, "GKBJDF"}} {
		got, err := Symbols(symbolsNetwork, json.RawMessage(symbolsRoot), symbolsDevice(t, c.first))
		if err != nil || got != c.want {
			t.Errorf("device %d: symbols are %q, %v, want %q", c.first, got, err, c.want)
		}
	}
}

// TestSymbolsDependOnEverything: whoever changes one of the three shows other
// symbols, and how the root key is written changes none.
func TestSymbolsDependOnEverything(t *testing.T) {
	root, device := json.RawMessage(symbolsRoot), symbolsDevice(t, 0)
	of := func(network string, root json.RawMessage, public []byte) string {
		s, err := Symbols(network, root, public)
		if err != nil {
			t.Fatal(err)
		}
		if len(s) != SymbolCount || strings.Trim(s, SymbolAlphabet) != "" {
			t.Errorf("symbols are %q", s)
		}
		return s
	}
	first := of(symbolsNetwork, root, device)
	seen := []string{first}
	for name, s := range map[string]string{
		"another network": of("1"+symbolsNetwork[1:], root, device),
		"another root":    of(symbolsNetwork, jwk(t, &newKey(t).PublicKey), device),
		"another device":  of(symbolsNetwork, root, symbolsDevice(t, 1)),
	} {
		if slices.Contains(seen, s) {
			t.Errorf("%s: the symbols are %s again", name, s)
		}
		seen = append(seen, s)
	}
	spelt := json.RawMessage(strings.Replace(symbolsRoot, `{"kty":"EC",`, `{ "use":"sig", "kty":"EC",`, 1))
	if got := of(symbolsNetwork, spelt, device); got != first {
		t.Errorf("the same root key in other words: %s, want %s", got, first)
	}
}

func TestSymbolsRefuse(t *testing.T) {
	root, device := json.RawMessage(symbolsRoot), symbolsDevice(t, 0)
	for name, c := range map[string]struct {
		network string
		root    json.RawMessage
		public  []byte
	}{
		"no network":       {"", root, device},
		"a longer network": {symbolsNetwork + "0", root, device},
		"upper case":       {strings.ToUpper(symbolsNetwork), root, device},
		"no root":          {symbolsNetwork, nil, device},
		"a private root":   {symbolsNetwork, json.RawMessage(strings.Replace(symbolsRoot, "}", `,"d":"AA"}`, 1)), device},
		"no device":        {symbolsNetwork, root, nil},
		"a byte less":      {symbolsNetwork, root, device[1:]},
		"a byte more":      {symbolsNetwork, root, append(slices.Clone(device), 0)},
	} {
		if s, err := Symbols(c.network, c.root, c.public); err == nil || s != "" {
			t.Errorf("%s: symbols are %q, want an error", name, s)
		}
	}
	if n := len(SymbolAlphabet); n != 32 {
		t.Errorf("the alphabet has %d characters, want 32", n)
	}
	if got := spell([]byte{0xff, 0xff, 0xff, 0xff}); got != "ZZZZZZ" {
		t.Errorf("all ones are %q", got)
	}
	if got := spell([]byte{0x00, 0x44, 0x32, 0x14}); got != "234567" {
		t.Errorf("0, 1, 2, 3, 4, 5 are %q", got)
	}
}

// TestBesideTheName holds what officers see beside an agency's name to what it is
// made of: the network and the agency, and neither its name nor its keys.
func TestBesideTheName(t *testing.T) {
	const network, agency = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
	if got := AgencySymbols(network, agency); got != "KHG6Q6" {
		t.Errorf("the symbols are %s", got)
	}
	seen := map[string]bool{}
	for _, pair := range [][2]string{{network, agency}, {agency, network}, {network, network}, {network, agency[:31]}, {network[:31], agency}} {
		seen[AgencySymbols(pair[0], pair[1])] = true
	}
	if len(seen) != 5 {
		t.Errorf("five agencies have %d symbols", len(seen))
	}

	keys := []AgencyKey{{From: 3 * 86400}, {From: 86400}, {From: 2 * 86400}}
	for _, tt := range []struct {
		agency Agency
		want   string
	}{
		{Agency{Admitted: 4 * 86400, Keys: keys}, "1970-01-05"},
		{Agency{Keys: keys}, "1970-01-02"}, // from before it was told
		{Agency{}, "1970-01-01"},
	} {
		if got := tt.agency.Since().Format(time.DateOnly); got != tt.want {
			t.Errorf("since %s, want %s", got, tt.want)
		}
	}
}
