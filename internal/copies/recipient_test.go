package copies

import (
	"errors"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/vault"
)

func TestForPassphrase(t *testing.T) {
	for _, c := range []struct {
		name, text string
		ok         bool
	}{
		{"four words", "marrow lantern quixotic fern", true},
		{"sixteen signs", "1234567890123456", true},
		{"another script", "ពាក្យបួន ដែលខ្ញុំចាំបាន", true},
		{"fifteen signs", "123456789012345", false},
		{"nothing", "", false},
		{"more than one can type", strings.Repeat("word ", 52) + "word", false},
		{"a space in front", " marrow lantern quixotic fern", false},
		{"a line end", "marrow lantern\nquixotic fern", false},
		{"what nobody sees", "marrow lantern\u202equixotic fern", false},
		{"no text", "marrow lantern \xff quixotic fern", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := ForPassphrase("/passphrase", private.New(c.text))
			if (err == nil) != c.ok || c.ok && r.kind != vault.ToPassphrase || !c.ok && !errors.Is(err, invalid.ErrInput) {
				t.Errorf("got %v, %v", r.kind, err)
			}
		})
	}
}

func TestParseRecipient(t *testing.T) {
	plain, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text string
		want       vault.CopyTo // "" where it is refused
	}{
		{"X25519", plain.Recipient().String(), vault.ToX25519},
		{"in capitals", strings.ToUpper(plain.Recipient().String()), ""},
		{"hybrid", hybrid.Recipient().String(), vault.ToHybrid},
		{"nothing", "", ""},
		{"with a line end", plain.Recipient().String() + "\n", ""},
		{"two", plain.Recipient().String() + "\n" + plain.Recipient().String(), ""},
		{"one letter changed", plain.Recipient().String()[:20] + "b" + plain.Recipient().String()[21:], ""},
		{"a secret", plain.String(), ""},
		{"a plugin", "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", ""},
		{"a tag", "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2fkn7z", ""},
		{"SSH", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVhY2ggb2YgdGhlc2UgaXMgbWFkZSB1cCBmb3I", ""},
		{"a point of low order", "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z", ""},
		{"long", "age1" + strings.Repeat("q", 1<<20), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := ParseRecipient("/recipient", c.text)
			if r.kind != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v, want %q", r.kind, err, c.want)
			}
			if err != nil && (!errors.Is(err, invalid.ErrInput) || len(c.text) > 8 && strings.Contains(err.Error(), c.text)) {
				t.Errorf("the refusal says %v", err)
			}
		})
	}
}

// FuzzParseRecipient: what is taken encrypts, and is of one of the two kinds; what is
// refused is not repeated.
func FuzzParseRecipient(f *testing.F) {
	for _, seed := range []string{
		"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
		"AGE1QL3Z7HJY54PW3HYWW5AYYFG7ZQGVC7W3J2ELW8ZMRJ2KG5SFN9AQMCAC8P",
		"age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
		"age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t",
		"age1pq1", "age1", "", "ssh-ed25519 AAAA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRecipient("/recipient", text)
		if err != nil {
			if len(text) > 16 && strings.Contains(err.Error(), text) {
				t.Error("the refusal repeats the input")
			}
			return
		}
		if r.kind != vault.ToX25519 && r.kind != vault.ToHybrid {
			t.Errorf("of kind %q", r.kind)
		}
		if _, err := r.age.Wrap(make([]byte, 16)); err != nil {
			t.Error(err)
		}
	})
}
