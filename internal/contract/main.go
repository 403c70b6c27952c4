// Command contract writes what follows from the tables of package claims into
// the documents that repeat it: the schemas of attestations and documents in
// docs/api/openapi.yaml, the names that internal/httpapi/api makes no type of, the
// lists in docs/vocabulary.md, and who sees what in docs/readers.md. go generate runs it
// before the contract is turned into Go.
//
// What the members hold is left to packages claims and vault, and everything
// else in those documents to whoever writes them.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "the root of the repository")
	flag.Parse()
	if err := write(*root); err != nil {
		fmt.Fprintln(os.Stderr, "contract:", err)
		os.Exit(1)
	}
}

// document is a file that has a part made here, between two lines of its own.
type document struct {
	name       string
	begin, end string // end is "" for a part that goes on to the end of the file
	make       func() []byte
}

var documents = []document{
	{"docs/api/openapi.yaml", "    # BEGIN of what go generate makes from package claims\n", "    # END\n", schemas},
	{"internal/httpapi/api/oapi.yaml", "    # BEGIN of what go generate makes from package claims\n", "    # END\n", excluded},
	{"docs/vocabulary.md", "<!-- From here on made by go generate from package claims -->\n", "", vocabulary},
	{"docs/readers.md", "<!-- From here on made by go generate from package claims -->\n", "", readers},
}

// write brings every document below root up to date.
func write(root string) error {
	for _, d := range documents {
		name := filepath.Join(root, filepath.FromSlash(d.name))
		old, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fresh, err := d.fresh(old)
		if err != nil {
			return err
		}
		if bytes.Equal(old, fresh) {
			continue
		}
		if err := os.WriteFile(name, fresh, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// fresh returns the document as it should be.
func (d document) fresh(old []byte) ([]byte, error) {
	before, rest, ok := bytes.Cut(old, []byte(d.begin))
	var after []byte
	if ok && d.end != "" {
		_, after, ok = bytes.Cut(rest, []byte(d.end))
	}
	if !ok {
		return nil, errors.New(d.name + " has no place for what is made from package claims")
	}
	return bytes.Join([][]byte{before, []byte(d.begin), d.make(), []byte(d.end), after}, nil), nil
}
