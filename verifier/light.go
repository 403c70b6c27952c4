//go:build stretched

package verifier

import "golang.org/x/crypto/argon2"

// Lighten has this process make the symbols of a device with Argon2id of one pass and
// 8 KiB, so that a test run can let many devices in. They are no other device's symbols.
func Lighten() {
	argon2id = func(password, salt []byte, _, _ uint32, _ uint8, size uint32) []byte {
		return argon2.IDKey(password, salt, 1, 8, 1, size)
	}
}
