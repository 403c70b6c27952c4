//go:build stretched

package main

// Tests of many packages are built with the tag at once. These are only their tests, and
// the program that they start is built without it.
const no_command_is_built_with_the_tag_stretched = false
