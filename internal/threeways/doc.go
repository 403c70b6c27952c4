// Package threeways holds one test and no code: that a check has the same
// answer in Go, in the browser build, and over HTTP. It makes thousands of
// cases, of which it knows the answer or knows what the answer must not be,
// and gives each to all three. What a single rule says and how it is broken is
// left to the tests of package verifier.
//
// The test stretches most codes once and no more, for which it needs the build
// tag stretched: make cases.
package threeways
