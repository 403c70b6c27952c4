package card

import (
	"fmt"
	"io"
)

// A card number is ten random digits and two check digits (ISO 7064,
// MOD 97-10). It stands beside the symbol, is independent of every other value,
// and the service keeps only a keyed hash of it.
const numberDigits = 12

// NewNumber draws a card number: 12 ASCII digits, without gaps. A nil reader
// means crypto/rand.
func NewNumber(random io.Reader) (string, error) {
	s, err := randomDigits(random, numberDigits-2)
	if err != nil {
		return "", fmt.Errorf("card: draw a number: %w", err)
	}
	// ISO 7064 MOD 97-10: the whole number, check digits included, is 1 mod 97.
	return s + fmt.Sprintf("%02d", 98-mod97(s+"00")), nil
}

// ParseNumber reads a card number as people type or paste it, by the same folding
// as a code and without the marks that nobody sees, and returns its 12 ASCII
// digits. It is false if the digits are not twelve or the check digits are wrong.
func ParseNumber(s string) (string, bool) {
	digits, ok := fold(WithoutMarks(s), numberDigits)
	if !ok || !ValidNumber(digits) {
		return "", false
	}
	return digits, true
}

// ValidNumber reports whether s is a card number: exactly 12 ASCII digits with
// right check digits.
func ValidNumber(s string) bool {
	if len(s) != numberDigits || !allDigits(s) {
		return false
	}
	// The standard's check digits run from 02 to 98; 00, 01 and 99 would be
	// second spellings of 97, 98 and 02.
	check := s[numberDigits-2:]
	return mod97(s) == 1 && "02" <= check && check <= "98"
}

// FormatNumber groups a card number for print, 4-4-4. What is not 12 bytes long
// is returned as it is.
func FormatNumber(s string) string {
	if len(s) != numberDigits {
		return s
	}
	return s[:4] + "-" + s[4:8] + "-" + s[8:]
}

func mod97(digits string) int {
	n := 0
	for i := range len(digits) {
		n = (n*10 + int(digits[i]-'0')) % 97
	}
	return n
}
