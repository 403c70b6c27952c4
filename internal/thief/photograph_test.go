package thief_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/credentials/card"
)

// photographed looks for whatever can be computed from the digits of cards in everything
// that was stolen, and says where it stands.
func (th *thief) photographed(people []*person, labels []string) string {
	needles := map[[8]byte][][]byte{} // by how they begin
	cards := 0
	for _, p := range people {
		if p.card.Digits == "" {
			continue
		}
		cards++
		for _, n := range fromDigits(p.card.Digits, labels) {
			needles[[8]byte(n)] = append(needles[[8]byte(n)], n)
		}
	}
	leads := func(text []byte) bool {
		for ; len(text) >= 8; text = text[1:] {
			for _, n := range needles[[8]byte(text)] {
				if bytes.HasPrefix(text, n) {
					return true
				}
			}
		}
		return false
	}
	places := map[string]int{}
	for _, one := range th.tables {
		for _, r := range one.rows {
			for i, v := range r.values {
				switch v := v.(type) {
				case string:
					if leads([]byte(v)) {
						places[shortName(one.name)+"."+one.columns[i]]++
					}
				case []byte:
					if leads(v) {
						places[shortName(one.name)+"."+one.columns[i]]++
					}
				}
			}
		}
	}
	for name, text := range th.texts {
		if leads(text) {
			places["file "+name]++
		}
	}
	if len(places) == 0 {
		return fmt.Sprintf("The digits of %d photographed cards lead nowhere.", cards)
	}
	var said []string
	for place, n := range places {
		said = append(said, fmt.Sprintf("%s (%d)", place, n))
	}
	slices.Sort(said)
	return fmt.Sprintf("The digits of %d photographed cards lead to: %s", cards, strings.Join(said, ", "))
}

// label finds what our own code sets before what it hashes: the thief has read it.
var label = regexp.MustCompile(`"(safeconduct[/ -][^"]{1,40})"`)

func labels(t testing.TB) (all []string) {
	t.Helper()
	all = []string{""}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(path)
		for _, m := range label.FindAllSubmatch(data, -1) {
			if !slices.Contains(all, string(m[1])) {
				all = append(all, string(m[1]))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// fromDigits are the texts that a card without its code gives: its bytes, parts of them,
// and digests of those behind each label of ours, as they begin in whatever writing.
func fromDigits(digits string, labels []string) (needles [][]byte) {
	add := func(b []byte) {
		needles = append(needles, bytes.Clone(b[:8]), []byte(hex.EncodeToString(b[:8])),
			[]byte(base64.RawURLEncoding.EncodeToString(b[:9])), []byte(base64.StdEncoding.EncodeToString(b[:9])))
	}
	raws := [][]byte{[]byte(digits)}
	if c, err := card.Parse(digits); err == nil {
		raws = append(raws, c[:])
		salt := sha256.Sum256(append([]byte("safeconduct/card/1/salt"), c[8:40]...))
		add(salt[:16])
		raws = append(raws, salt[:16])
		for at := 0; at < 64; at++ {
			add(c[at : at+9])
			raws = append(raws, c[at:at+8], c[at:at+16], c[at:at+32])
		}
	}
	for _, raw := range raws {
		for _, l := range labels {
			sum := sha256.Sum256(append([]byte(l), raw...))
			add(sum[:])
		}
	}
	return append(needles, []byte(digits))
}
