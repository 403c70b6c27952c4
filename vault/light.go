//go:build stretched

package vault

import "golang.org/x/crypto/argon2"

// Lighten has this process stretch every document number with Argon2id of one pass and
// 8 KiB, so that a test run can record and look up many. An index that was made so finds
// nothing anywhere else.
func Lighten() {
	argon2id = func(password, salt []byte, _, _ uint32, _ uint8, size uint32) []byte {
		return argon2.IDKey(password, salt, 1, 8, 1, size)
	}
}
