//go:build stretched

package card

import "golang.org/x/crypto/argon2"

// Lighten has this process stretch every code with Argon2id of one pass and 8 KiB, so that
// a test run can make ten thousand cards and give their codes. Neither a card nor what is
// kept of one that was made so opens anywhere else, and nothing opens without its code.
func Lighten() {
	argon2id = func(password, salt []byte, _, _ uint32, _ uint8, size uint32) []byte {
		return argon2.IDKey(password, salt, 1, 8, 1, size)
	}
}
