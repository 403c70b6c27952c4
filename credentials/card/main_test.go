package card

import (
	"bytes"
	"os"
	"sync"
	"testing"
)

// TestMain has one code of one card stretched once: the tests open the same cards
// again and again, and a stretch is most of what that costs. What is remembered is
// what Argon2id gave, and calls are counted all the same.
func TestMain(m *testing.M) {
	whole := argon2id
	var known sync.Map // password and salt to func() []byte
	argon2id = func(password, salt []byte, passes, kib uint32, lanes uint8, size uint32) []byte {
		key := [2]string{string(password), string(salt)}
		once, _ := known.LoadOrStore(key, sync.OnceValue(func() []byte {
			return whole([]byte(key[0]), []byte(key[1]), passes, kib, lanes, size)
		}))
		return bytes.Clone(once.(func() []byte)()) // whoever stretched wipes it
	}
	os.Exit(m.Run())
}
