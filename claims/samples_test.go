package claims_test

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// claimsNow is the day on which the sample claims are signed.
var claimsNow = time.Date(2026, 3, 10, 8, 0, 0, 0, time.UTC)

func id(digit string) string { return strings.Repeat(digit, 32) }

func texts(s ...string) []private.String {
	var out []private.String
	for _, t := range s {
		out = append(out, private.New(t))
	}
	return out
}

// samples returns fresh claims that may be signed on claimsNow, by the names
// of their files: the kind, and what is special. Together they give every
// member of every kind a value. Tests of other rooms read the same files.
func samples() map[string]claims.Claims {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		panic("there are no samples")
	}
	all := map[string]claims.Claims{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		all[name] = sample(name)
	}
	return all
}

func sample(name string) claims.Claims {
	data, err := os.ReadFile("testdata/" + name + ".json")
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

func someScreening() *claims.Screening { return sample("screening-everything").(*claims.Screening) }
func someIdentity() *claims.IdentityClaim {
	return sample("identity-everything").(*claims.IdentityClaim)
}
func someDocument() *claims.DocumentReport {
	return sample("document-everything").(*claims.DocumentReport)
}
func someReply() *claims.Reply { return sample("reply-matched").(*claims.Reply) }
