//go:build !linux

package main

// keepMemory is Linux's; elsewhere the system's own settings have to do it.
func keepMemory() error { return nil }
