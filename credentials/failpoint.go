//go:build !failpoints

package credentials

// failpoint does nothing. A build with the tag failpoints, which tests alone
// make, can widen the moment between reserving and signing.
func failpoint(ID) {}
