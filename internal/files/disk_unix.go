//go:build linux || darwin

package files

import "syscall"

// Space is how many bytes of the disk under path are free to us, and how
// many there are.
func Space(path string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, 0, err
	}
	size := uint64(s.Bsize) //nolint:gosec // positive; its type differs between systems
	return s.Bavail * size, s.Blocks * size, nil
}

// SameDisk tells whether two files lie on one device.
func SameDisk(a, b string) (bool, error) {
	var sa, sb syscall.Stat_t
	if err := syscall.Stat(a, &sa); err != nil {
		return false, err
	}
	if err := syscall.Stat(b, &sb); err != nil {
		return false, err
	}
	return sa.Dev == sb.Dev, nil
}

// Owner is the user that a file belongs to.
func Owner(path string) (uid int, err error) {
	var s syscall.Stat_t
	if err := syscall.Lstat(path, &s); err != nil {
		return 0, err
	}
	return int(s.Uid), nil
}
