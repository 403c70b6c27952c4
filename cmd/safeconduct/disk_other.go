//go:build !linux && !darwin

package main

import "errors"

func diskSpace(string) (free, total uint64, err error) { return 0, 0, errors.ErrUnsupported }

func sameDisk(string, string) (bool, error) { return false, errors.ErrUnsupported }
