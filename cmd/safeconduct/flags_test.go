package main

import (
	"slices"
	"testing"

	"github.com/spf13/cobra"
)

// TestEveryCommandHasJSON: what a command says, it says for programs, too. Those that
// run until they are stopped say nothing at the end.
func TestEveryCommandHasJSON(t *testing.T) {
	without := []string{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if !c.HasSubCommands() && c.Flags().Lookup("json") == nil {
			without = append(without, c.CommandPath())
		}
	}
	root := rootCommand()
	walk(root)
	slices.Sort(without)
	if want := []string{"safeconduct serve", "safeconduct signer"}; !slices.Equal(without, want) {
		t.Errorf("%q say nothing for programs, want %q", without, want)
	}
}
