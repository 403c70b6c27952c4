package credentials_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/invalid"
)

// claimsNow is the day on which the sample claims are signed.
var claimsNow = time.Date(2026, 3, 10, 8, 0, 0, 0, time.UTC)

// sample returns fresh claims that may be signed on claimsNow, of those that
// package claims tests.
func sample(name string) claims.Claims {
	data, err := os.ReadFile("../claims/testdata/" + name + ".json")
	if err != nil {
		panic(err)
	}
	kind, _, _ := strings.Cut(name, "-")
	c, err := claims.Decode(claims.Kind(kind), data)
	if err != nil {
		panic(err)
	}
	return c
}

// least returns the last sample of a kind: of everything and least, the least.
func least(t *testing.T, kind claims.Kind) claims.Claims {
	t.Helper()
	files, err := filepath.Glob("../claims/testdata/" + string(kind) + "*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample of a %s: %v", kind, err)
	}
	return sample(strings.TrimSuffix(filepath.Base(files[len(files)-1]), ".json"))
}

// said writes problems as pointers and codes.
func said(problems []invalid.Problem) []string {
	out := []string{}
	for _, p := range problems {
		out = append(out, p.Pointer+" "+p.Code)
	}
	return out
}

// foreign says that it is a screening, and anybody could.
type foreign struct{ claims.Claims }

func (foreign) Kind() claims.Kind { return claims.KindScreening }
