package verifier

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/vectortest"
)

func TestRecognise(t *testing.T) {
	tests := []struct {
		text string
		want Kind
	}{
		{"https://example.org/x", KindWebAddress},
		{"HTTPS://EXAMPLE.ORG/X", KindWebAddress},
		{"http://example.org", KindWebAddress},
		{"WWW.EXAMPLE.ORG", KindWebAddress},
		{"HC1:6BF+70790T9WJWG.FKY*4GO0.O1CV2 O5 N2FBBRW1*70HS8WY04AC*WIFN0AHCD8KD97TK0F90KECTHGWJC0FDC:5AIA%G7X+AQB9746HS80:54IBQF60R6$A80X6S1BTYACG6M+9XG8KIAWNA91AY%67092L4WJCT3EHS8XJC$+DXJCCWENF6OF63W5NW6", KindEUCert},
		{"hc1:x", KindEUCert},
		{"shc:/56762909524320603460292437404460312229595326546034602925", KindSmartHealth},
		{"SHC:/5676", KindSmartHealth},
		{"openid-credential-offer://?credential_offer_uri=x", KindWalletOffer},
		{"openid4vp://?client_id=x", KindWalletOffer},
		{"haip-vp://?client_id=x", KindWalletOffer},
		{"BEGIN:VCARD\nVERSION:3.0\nN:Tester;Amina\nEND:VCARD", KindContact},
		{"MECARD:N:Tester;;", KindContact},
		{"WIFI:T:WPA;S:name;P:pass;;", KindWiFi},
		{`{"data":{"hdr":{"t":"icao.test","v":1,"is":"UTO"},"msg":{}},"sig":{}}`, KindVisibleSeal},
		{"", KindUnknown},
		{"x", KindUnknown},
		{"haiper", KindUnknown},
		{"hello", KindUnknown},
		{"tel:+10000000000", KindUnknown},
		{" https://example.org", KindUnknown}, // nothing is trimmed
		{strings.Repeat("0", 667), KindUnknown},
		{strings.Repeat("A", 600), KindUnknown},
		{"6BF" + strings.Repeat("A", 30), KindIdentityQR},
		{"6BF" + strings.Repeat("A", 31), KindUnknown}, // no length that Base45 has
		{"6BF" + strings.Repeat("a", 30), KindUnknown}, // no letter of Base45
		{"6BF", KindUnknown},
		{":::" + strings.Repeat("A", 30), KindUnknown}, // beyond two bytes
		{strings.Repeat("é", 40), KindUnknown},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%.20q", test.text), func(t *testing.T) {
			if got := Recognise(test.text); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	t.Logf("recognise: %d cases", len(tests))
}

// TestClaim169Vectors: other people's identity codes are not ours, and named as
// what they are.
func TestClaim169Vectors(t *testing.T) {
	dir := vectortest.Path(t, "claim169")
	p := newIssued(t).open(noon)
	// What is not a whole code is not an identity QR either, as far as its
	// first characters tell.
	invalid := map[string]Kind{
		"bad-base45":  KindUnknown,    // not Base45
		"bad-zlib":    KindUnknown,    // no zlib header
		"not-cose":    KindUnknown,    // too short to be one
		"missing-169": KindIdentityQR, // a token of the same make that lacks the claim
	}
	for folder, count := range map[string]int{"valid": 11, "edge": 3, "invalid": 4} {
		files, err := filepath.Glob(filepath.Join(dir, folder, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(filepath.Join(dir, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			var c struct {
				Name string
				QR   string `json:"qr_data"`
			}
			vectortest.ReadJSON(t, file, &c)
			want := KindIdentityQR
			if folder == "invalid" {
				var there bool
				if want, there = invalid[strings.TrimSuffix(filepath.Base(file), ".json")]; !there {
					t.Errorf("%s: not expected here", file)
				}
			}
			v := p.Verify(Presentation{Text: c.QR, Code: ptr(rightCode)}, noon)
			if v.State != NotOurs || v.Kind != want {
				t.Errorf("%s: got %v of kind %q, want not_ours of kind %q", c.Name, v, v.Kind, want)
			}
		}
		if len(files) != count || len(files) != len(entries) {
			t.Errorf("%s: ran %d cases of %d, want %d", folder, len(files), len(entries), count)
		}
		t.Logf("claim169 %s: %d cases", folder, len(files))
	}
}
