//go:build !linux

package main

import "syscall"

// withoutNetwork is for Linux; elsewhere a child keeps its network.
func withoutNetwork() *syscall.SysProcAttr { return nil }
