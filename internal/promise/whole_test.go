//go:build !stretched

package promise_test

// short is how many sequences are played where each card takes its whole Argon2id.
const short = 10

func lighten() {}
