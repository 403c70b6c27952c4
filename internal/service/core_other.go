//go:build !linux

package service

// disableCoreDumps is Linux's; elsewhere the system's own settings have to do it.
func disableCoreDumps() error { return nil }
