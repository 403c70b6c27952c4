package keyfile

import "errors"

// Lock lets a test stand in for another process that holds the lock.
var Lock = lock

// Reread parses a file's content and writes what was understood.
func Reread(plain []byte) ([]byte, error) {
	k, err := parse(plain)
	if err != nil {
		return nil, err
	}
	return k.marshal()
}

// FreshContent is the content of a file with one agency, whose log had another key.
func FreshContent() ([]byte, error) {
	k, err := newKeys("example.org/log")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(k.addSigning("aa01"), k.replaceLog()); err != nil {
		return nil, err
	}
	return k.marshal()
}
