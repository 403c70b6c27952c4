// Package demo plays the whole journey on made-up people, over the service's
// own HTTP API and with the verify command as an officer's device would run
// it: one agency's finding is signed, carried on paper, opened offline, relied
// on, answered, withdrawn, and seen as withdrawn. Starting the service, and
// running child processes, is left to the command.
package demo
