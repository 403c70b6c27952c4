package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/hcvault"
)

// keyCommand is about keys that live in a HashiCorp Vault.
func keyCommand() *cobra.Command {
	var mount, prefix string
	c := &cobra.Command{Use: "key", Short: "Keys in a HashiCorp Vault"}
	policies := &cobra.Command{
		Use:   "policies",
		Short: "Print the least that each duty needs, as Vault policies",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := hcvault.Policies(mount, prefix)
			if err != nil {
				return err
			}
			for _, p := range all {
				if _, err := fmt.Fprintf(c.OutOrStdout(), "# policy %s\n\n%s\n", p.Name, p.Text); err != nil {
					return err
				}
			}
			return nil
		},
	}
	policies.Flags().StringVar(&mount, "vault-mount", "transit", "where the network's transit engine is mounted")
	policies.Flags().StringVar(&prefix, "vault-prefix", "safeconduct", "how the names of its keys begin")
	c.AddCommand(policies)
	return c
}
