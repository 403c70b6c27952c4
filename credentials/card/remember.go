//go:build stretched

package card

import (
	"bytes"
	"sync"
)

// Remember has this process stretch a code for a card once, until the function
// that it returns is called; neither may be called while a card is opened. It
// is for test runs that open the same card thousands of times. What it
// remembers is what Argon2id gave, so that even a build with this tag opens no
// card without its code.
func Remember() (forget func()) {
	whole := argon2id
	var known sync.Map // password and salt to func() []byte
	argon2id = func(password, salt []byte, passes, kib uint32, lanes uint8, size uint32) []byte {
		key := [2]string{string(password), string(salt)}
		once, _ := known.LoadOrStore(key, sync.OnceValue(func() []byte {
			return whole([]byte(key[0]), []byte(key[1]), passes, kib, lanes, size)
		}))
		return bytes.Clone(once.(func() []byte)()) // whoever stretched wipes it
	}
	return func() { argon2id = whole }
}
