// Command safeconduct is the whole service in one binary: it plays the demo,
// sets a network up and serves it, checks cards without a network, and looks
// after the log. It holds flags, wiring and words for people; what things mean
// is left to the rooms it wires together.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
