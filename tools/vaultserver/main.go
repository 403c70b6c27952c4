// Command vaultserver is the HashiCorp Vault server, built for the tests of
// internal/hcvault. It leaves everything to HashiCorp's own command package.
//
// It is a test tool only. Vault's server is under the Business Source License
// 1.1, which is why it lives in a module of its own: nothing of the product
// imports it, links it or ships it. scripts/vault.sh builds it.
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:]))
}
