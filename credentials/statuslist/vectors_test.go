package statuslist_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/vectortest"
)

// lists are the statuses that the draft's text gives beside its encodings
// (§4.1 and the appendix on test vectors); entries not named are 0. Its list
// of 8 bits has every value once, which is checked instead of 255 lines.
var lists = map[string]struct {
	bits, entries int
	set           map[int]uint8
}{
	"encoding":  {1, 16, map[int]uint8{0: 1, 3: 1, 4: 1, 5: 1, 7: 1, 8: 1, 9: 1, 13: 1, 15: 1}},
	"encoding2": {2, 12, map[int]uint8{0: 1, 1: 2, 3: 3, 5: 1, 7: 1, 8: 1, 9: 2, 10: 3, 11: 3}},
	"encoding1_long": {1, 1 << 20, map[int]uint8{
		0: 1, 1993: 1, 25460: 1, 159495: 1, 495669: 1, 554353: 1, 645645: 1, 723232: 1, 854545: 1, 934534: 1, 1000345: 1,
	}},
	"encoding2_long": {2, 1 << 20, map[int]uint8{
		0: 1, 1993: 2, 25460: 1, 159495: 3, 495669: 1, 554353: 1, 645645: 2, 723232: 1, 854545: 1, 934534: 2, 1000345: 3,
	}},
	"encoding4": {4, 1 << 20, map[int]uint8{
		0: 1, 1993: 2, 35460: 3, 459495: 4, 595669: 5, 754353: 6, 845645: 7, 923232: 8, 924445: 9, 934534: 10, 1004534: 11,
		1000345: 12, 1030203: 13, 1030204: 14, 1030205: 15,
	}},
	"encoding8": {8, 1 << 20, nil},
}

// documentation lists the files that hold nothing to run, and why.
var documentation = map[string]string{
	"LICENSE.md":                         "the licence",
	"referenced_token_cwt.md":            "a credential that points to a list, and has none",
	"referenced_token_cwt_diag.md":       "the same in diagnostic notation",
	"status_list_cwt_diag.md":            "status_list_cwt.md in diagnostic notation",
	"status_list_encoding_cbor_diag.md":  "status_list_encoding_cbor.md in diagnostic notation",
	"status_list_encoding2_cbor_diag.md": "status_list_encoding2_cbor.md in diagnostic notation",
}

// draftKey is the public key that signs the draft's examples. The folder does
// not have it; it stands in src/util.py of the draft's own repository.
const draftKey = `{"kty":"EC","use":"sig","crv":"P-256","x":"I3HWm_0Ds1dPMI-IWmf4mBmH-YaeAVbPVu7vB27CxXo","y":"6N_d5Elj9bs1htgV3okJKIdbHEpkgTmAluYKJemzn1M","kid":"12","alg":"ES256"}`

// TestVectors runs every file of the draft's examples and accounts for each.
func TestVectors(t *testing.T) {
	dir := vectortest.Path(t, "token-status-list")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	ran, read := 0, 0
	for _, file := range files {
		name := file.Name()
		if why := documentation[name]; why != "" {
			t.Logf("%s: nothing to run, %s", name, why)
			read++
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		list := strings.TrimSuffix(strings.TrimPrefix(name, "status_list_"), ".md")
		var run func(t *testing.T)
		switch {
		case strings.HasSuffix(list, "_json"):
			run = func(t *testing.T) { checkJSON(t, text, strings.TrimSuffix(list, "_json")) }
		case strings.HasSuffix(list, "_cbor"):
			run = func(t *testing.T) { checkCBOR(t, text, strings.TrimSuffix(list, "_cbor")) }
		case list == "cwt":
			run = func(t *testing.T) { checkCWT(t, text) }
		case list == "jwt":
			run = func(t *testing.T) { checkPayload(t, text) }
		case list == "jwt_raw":
			run = func(t *testing.T) { checkJWT(t, text, dir) }
		default:
			t.Errorf("%s: nobody knows what to do with this file", name)
			continue
		}
		if t.Run(name, run) {
			ran++
		}
	}
	t.Logf("token-status-list: %d cases, %d files of documentation", ran, read)
	if ran+read != len(files) || read != len(documentation) {
		t.Errorf("got %d cases and %d files of documentation, want %d files and %d of documentation", ran, read, len(files), len(documentation))
	}
}

// encoded returns the encoding without the line that shows the byte array,
// without white space, and that byte array.
func encoded(t *testing.T, text []byte) (encoding string, array []byte) {
	t.Helper()
	body := string(text)
	if before, after, ok := strings.Cut(body, "encoded:"); ok {
		body = after
		before = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(before), "byte_array = ["), "]")
		for hexByte := range strings.SplitSeq(before, ",") {
			b, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(hexByte), "0x"))
			if err != nil || len(b) != 1 {
				t.Fatalf("byte array: %q", before)
			}
			array = append(array, b...)
		}
	}
	return strings.Join(strings.Fields(body), ""), array
}

func checkJSON(t *testing.T, text []byte, name string) {
	encoding, array := encoded(t, text)
	var v struct {
		Bits int    `json:"bits"`
		Lst  string `json:"lst"`
	}
	if err := json.Unmarshal([]byte(encoding), &v); err != nil {
		t.Fatal(err)
	}
	checkList(t, name, v.Bits, v.Lst, array)
}

func checkCBOR(t *testing.T, text []byte, name string) {
	encoding, array := encoded(t, text)
	data, err := hex.DecodeString(encoding)
	if err != nil {
		t.Fatal(err)
	}
	checkCBORList(t, name, data, array)
}

func checkCBORList(t *testing.T, name string, data cbor.RawMessage, array []byte) {
	t.Helper()
	var v struct {
		Bits int    `cbor:"bits"`
		Lst  []byte `cbor:"lst"`
	}
	if err := cbor.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	checkList(t, name, v.Bits, base64.RawURLEncoding.EncodeToString(v.Lst), array)
}

// checkList decodes lst and holds it against the draft's text, then encodes it
// and compares what inflates from both: our compressor and that of the draft
// need not agree on the bytes between.
func checkList(t *testing.T, name string, bits int, lst string, array []byte) {
	t.Helper()
	want, ok := lists[name]
	if !ok {
		t.Fatalf("the statuses of the list %q are not known", name)
	}
	if bits != want.bits {
		t.Fatalf("got %d bits, want %d", bits, want.bits)
	}
	l, err := statuslist.Decode(bits, lst, statuslist.Entries)
	if err != nil {
		t.Fatal(err)
	}
	if l.Len() != want.entries {
		t.Fatalf("got %d entries, want %d", l.Len(), want.entries)
	}
	var seen [256]int
	for i := range l.Len() {
		got, err := l.Get(i)
		if err != nil {
			t.Fatal(err)
		}
		seen[got]++
		if want.set != nil && got != want.set[i] {
			t.Errorf("entry %d: got %d, want %d", i, got, want.set[i])
		}
	}
	if want.set == nil {
		for status := 1; status < 1<<bits; status++ {
			if seen[status] != 1 {
				t.Errorf("status %d occurs %d times, want 1", status, seen[status])
			}
		}
	}
	original := inflated(t, lst)
	if array != nil && !bytes.Equal(original, array) {
		t.Errorf("got % x, want the byte array % x", original, array)
	}
	again, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(inflated(t, again), original) {
		t.Error("our encoding inflates to other bytes")
	}
}

// checkCWT reads the list out of the CWT example. We take no CWT, but the list
// in it is one more to read.
func checkCWT(t *testing.T, text []byte) {
	encoding, _ := encoded(t, text)
	data, err := hex.DecodeString(encoding)
	if err != nil {
		t.Fatal(err)
	}
	var sign1 struct {
		_           struct{} `cbor:",toarray"`
		Protected   []byte
		Unprotected map[int]any
		Payload     []byte
		Signature   []byte
	}
	var tag cbor.RawTag
	if err := cbor.Unmarshal(data, &tag); err != nil {
		t.Fatal(err)
	}
	if err := cbor.Unmarshal(tag.Content, &sign1); err != nil {
		t.Fatal(err)
	}
	var claims map[int]cbor.RawMessage
	if err := cbor.Unmarshal(sign1.Payload, &claims); err != nil {
		t.Fatal(err)
	}
	checkCBORList(t, "encoding", claims[65533], []byte{0xb9, 0xa3}) // §5.2: claim 65533
}

// exampleClaims are the claims of the draft's JWT example.
type exampleClaims struct {
	Sub        string `json:"sub"`
	Iss        string `json:"iss"`
	Iat        int64  `json:"iat"`
	Exp        int64  `json:"exp"`
	TTL        int64  `json:"ttl"`
	StatusList struct {
		Bits int    `json:"bits"`
		Lst  string `json:"lst"`
	} `json:"status_list"`
}

func checkPayload(t *testing.T, text []byte) {
	encoding, _ := encoded(t, text)
	head, body, ok := strings.Cut(encoding, "}.{")
	if !ok {
		t.Fatal("no header and payload")
	}
	var header map[string]string
	if err := json.Unmarshal([]byte(head+"}"), &header); err != nil {
		t.Fatal(err)
	}
	if header["typ"] != "statuslist+jwt" || header["alg"] != "ES256" || header["kid"] != "12" {
		t.Errorf("got header %v", header)
	}
	var claims exampleClaims
	if err := json.Unmarshal([]byte("{"+body), &claims); err != nil {
		t.Fatal(err)
	}
	checkList(t, "encoding", claims.StatusList.Bits, claims.StatusList.Lst, []byte{0xb9, 0xa3})

	// The same payload under our own key is one that we take.
	key := newKey(t, "status")
	compact, err := jws.Sign("statuslist+jwt", keyID, key, []byte("{"+body))
	if err != nil {
		t.Fatal(err)
	}
	token, err := statuslist.Parse(compact, "https://example.com/statuslists/1", statuslist.Entries, keyOf(key))
	if err != nil {
		t.Fatal(err)
	}
	if token.IssuedAt.Unix() != 1686920170 || token.Expires.Unix() != 2291720170 || token.TTL.Seconds() != 43200 || token.List.Len() != 16 {
		t.Errorf("got %v, %v, %v and %d entries", token.IssuedAt, token.Expires, token.TTL, token.List.Len())
	}
}

// checkJWT reads the signed example. Its signature holds, its list is read,
// and yet Parse refuses it: it has the claim iss, which the draft lets be there
// (§5.1, rule 1) and its own readable form of the example leaves out, and we
// take the tokens of our own network only, which never have one.
func checkJWT(t *testing.T, text []byte, dir string) {
	compact, _ := encoded(t, text)
	pub, err := jws.ParseKey([]byte(draftKey))
	if err != nil {
		t.Fatal(err)
	}
	m, err := jws.Parse(compact, len(compact), "statuslist+jwt")
	if err != nil {
		t.Fatal(err)
	}
	payload, err := m.Verify(pub)
	if err != nil {
		t.Fatal(err)
	}
	var got, want exampleClaims
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	readable, err := os.ReadFile(filepath.Join(dir, "status_list_jwt.md"))
	if err != nil {
		t.Fatal(err)
	}
	encoding, _ := encoded(t, readable)
	_, body, _ := strings.Cut(encoding, "}.{")
	if err := json.Unmarshal([]byte("{"+body), &want); err != nil {
		t.Fatal(err)
	}
	want.Iss = "https://example.com"
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	checkList(t, "encoding", got.StatusList.Bits, got.StatusList.Lst, []byte{0xb9, 0xa3})

	_, err = statuslist.Parse(compact, got.Sub, statuslist.Entries, func(kid string) *ecdsa.PublicKey {
		if kid != "12" {
			t.Errorf("got kid %q, want 12", kid)
		}
		return pub
	})
	if !errors.Is(err, statuslist.ErrClaims) {
		t.Errorf("got %v, want ErrClaims for the claim iss", err)
	}
}
