//go:build failpoints

package credentials

import (
	"fmt"
	"os"
	"time"
)

// failpoint prints that a draft was reserved and waits for as long as
// SAFECONDUCT_FAILPOINT says, so that a test can kill the process there.
func failpoint(id ID) {
	wait, err := time.ParseDuration(os.Getenv("SAFECONDUCT_FAILPOINT"))
	if err != nil {
		return
	}
	fmt.Fprintf(os.Stderr, "failpoint reserved %s\n", id)
	time.Sleep(wait)
}
