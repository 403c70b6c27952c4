//go:build !stretched

package thief_test

// light says that codes are not stretched in full.
const light = false

func lighten() {}
