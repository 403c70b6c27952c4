//go:build js && wasm && stretched

package main

// The tag stretched is for test runs, which may part stretching a code from
// opening a card. A command that is built with it does not compile.
var _ = no_command_is_built_with_the_tag_stretched
