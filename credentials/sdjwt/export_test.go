package sdjwt

// Digest is the digest of a disclosure.
func Digest(disclosure string) string { return digest(disclosure).String() }
