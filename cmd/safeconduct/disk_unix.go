//go:build linux || darwin

package main

import "syscall"

// diskSpace is how many bytes of the disk under path are free to us, and how
// many there are.
func diskSpace(path string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, 0, err
	}
	size := uint64(s.Bsize) //nolint:gosec // positive; its type differs between systems
	return s.Bavail * size, s.Blocks * size, nil
}

// sameDisk tells whether two files lie on one device.
func sameDisk(a, b string) (bool, error) {
	var sa, sb syscall.Stat_t
	if err := syscall.Stat(a, &sa); err != nil {
		return false, err
	}
	if err := syscall.Stat(b, &sb); err != nil {
		return false, err
	}
	return sa.Dev == sb.Dev, nil
}
