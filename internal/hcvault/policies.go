package hcvault

import (
	"embed"
	"errors"
	"fmt"
	"path"
	"strings"
)

//go:embed policies/*.hcl
var policyFiles embed.FS

// duties have a policy each.
var duties = []string{"records", "signer", "root", "keys"}

// Policy is a policy to write into Vault.
type Policy struct {
	// Name of it, which begins with the prefix.
	Name string
	// Text in HashiCorp's policy language.
	Text string
}

// Policies returns the least that each duty needs, for the given mount and
// prefix; empty ones mean the defaults of Config. An AppRole gets those of the
// duties that its process has:
//
//	records   wrap and unwrap record keys and epochs, and the index
//	signer    sign as agencies, and trust lists, lists, packs and checkpoints
//	root      sign which key signs trust lists, once a year
//	keys      make and rotate keys, and use none of them
//
// A network whose service runs as one process gives it all but "root" and,
// where agencies are not added by the service itself, "keys".
func Policies(mount, prefix string) ([]Policy, error) {
	if mount == "" {
		mount = "transit"
	}
	if prefix == "" {
		prefix = "safeconduct"
	}
	if !mountName.MatchString(mount) || !name.MatchString(prefix) {
		return nil, errors.New("hcvault: mount and prefix must be letters, digits, - and _")
	}
	var all []Policy
	for _, duty := range duties {
		var text strings.Builder
		for _, file := range []string{duty, "self"} {
			data, err := policyFiles.ReadFile(path.Join("policies", file+".hcl"))
			if err != nil {
				return nil, fmt.Errorf("hcvault: read policy: %w", err)
			}
			text.WriteString(strings.NewReplacer("MOUNT", mount, "PREFIX", prefix).Replace(string(data)))
		}
		all = append(all, Policy{Name: prefix + "-" + duty, Text: text.String()})
	}
	return all, nil
}
