package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// exitError ends the program with a status and says nothing more: the command
// has said it.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run is the program without the process around it.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var status exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	default:
		_, _ = fmt.Fprintf(stderr, "safeconduct: %v\n", err)
		return 1
	}
}

// group is a command that only holds others. Cobra would answer a word that is
// none of them with its help and status 0.
func group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use + " COMMAND", Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var names []string
			for _, sub := range c.Commands() {
				names = append(names, sub.Name())
			}
			return fmt.Errorf("%s what? One of: %s", c.CommandPath(), strings.Join(names, ", "))
		},
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "safeconduct",
		Short:         "One agency's finding travels, on paper that says nothing.",
		SilenceUsage:  true,
		SilenceErrors: true,

		PersistentPreRunE: configure,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		demoCommand(),
		initCommand(),
		serveCommand(),
		signerCommand(),
		verifyCommand(),
		packCommand(),
		deviceCommand(),
		keyCommand(),
		epochCommand(),
		agencyCommand(),
		memberCommand(),
		requestsCommand(),
		alarmsCommand(),
		foundingCommand(),
		lockCommand(),
		unlockCommand(),
		logCommand(),
		fsckCommand(),
		exportCommand(),
		backupCommand(),
		restoreCommand(),
		erasuresCommand(),
		doctorCommand(),
		configCommand(),
	)
	return root
}
