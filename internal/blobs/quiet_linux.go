package blobs

import (
	"os"
	"syscall"
)

// openQuietly opens a file so that it does not show when it was read: that a page was
// opened is for the history of its case to say. A file of somebody else's is opened as it
// can be (open(2), O_NOATIME).
func (d *Dir) openQuietly(name string) (*os.File, error) {
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NOATIME, 0)
	if err != nil {
		return d.root.Open(name)
	}
	return f, nil
}
