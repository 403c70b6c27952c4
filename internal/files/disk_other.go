//go:build !linux && !darwin

package files

import "errors"

// Space is not known here.
func Space(string) (free, total uint64, err error) { return 0, 0, errors.ErrUnsupported }

// SameDisk is not known here.
func SameDisk(string, string) (bool, error) { return false, errors.ErrUnsupported }

// Owner is not known here.
func Owner(string) (int, error) { return 0, errors.ErrUnsupported }
