//go:build !failpoints

package service

import "github.com/safeconduct/safeconduct/internal/keystore"

// watched is the keys themselves. A build with the tag failpoints, which tests
// alone make, writes down every digest that is signed.
func watched(k keystore.Store) keystore.Store { return k }
