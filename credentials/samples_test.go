package credentials_test

import (
	"os"
	"strings"
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
