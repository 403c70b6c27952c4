package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/config"
)

// settingMark is on flags that are settings. Other commands have flags of the
// same name that mean something else.
const settingMark = "setting"

func isSetting(c *cobra.Command, names ...string) {
	for _, name := range names {
		_ = c.Flags().SetAnnotation(name, settingMark, []string{"yes"}) // fails where there is no such flag
	}
}

// enginesFlags lets a command name engines. The environment stands in for what
// no flag names.
func enginesFlags(c *cobra.Command, e *config.Engines) {
	fields := e.Fields()
	for _, s := range config.Settings {
		if into, ok := fields[s.Name]; ok {
			c.Flags().StringVar(into, s.Name, "", s.About)
			isSetting(c, s.Name)
		}
	}
}

// configure fills in the settings of a command that no flag gave. It runs
// before every command.
func configure(c *cobra.Command, _ []string) error {
	var file map[string]string
	// What lies in the folder of a former demonstration is about to go.
	if dir := c.Flags().Lookup("dir"); dir != nil && c.Name() != "demo" && slices.ContainsFunc(config.Settings, func(s config.Setting) bool {
		flag := c.Flags().Lookup(s.Name)
		return flag != nil && flag.Annotations[settingMark] != nil
	}) {
		var err error
		if file, err = config.ReadFile(dir.Value.String()); err != nil {
			return err
		}
	}
	var wrong []error
	for _, s := range config.Settings {
		flag := c.Flags().Lookup(s.Name)
		// The passphrase is looked for when it is needed: a demonstration's own
		// comes before the environment's.
		if flag == nil || flag.Changed || flag.Annotations[settingMark] == nil {
			continue
		}
		value, origin := s.Value(file)
		if value == "" || s.Name == "passphrase-file" && strings.HasPrefix(origin, "environment") {
			continue
		}
		if err := flag.Value.Set(value); err != nil {
			wrong = append(wrong, fmt.Errorf("%s, from %s: not a value for it", s.Name, origin))
			continue
		}
	}
	return errors.Join(wrong...)
}

// shown is one line of config show.
type shown struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

func configCommand() *cobra.Command {
	var dir string
	var asJSON bool
	c := group("config", "What is configured, and where")
	show := &cobra.Command{
		Use:   "show",
		Short: "Say what each setting is, and where that is from; secrets are masked",
		Long: `Say what each setting is, and where that is from: a flag, the environment,
engines.json in the folder, or the default, in this order of strength. Secrets,
and who logs in to a database, are masked. Give it the flags that you would give
to serve.

Of the environment nothing but SAFECONDUCT_... is asked: no PG..., VAULT_... or
AWS_... and no proxy for engines.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := config.ReadFile(dir)
			if err != nil {
				return err
			}
			return showSettings(c, file, asJSON, c.OutOrStdout())
		},
	}
	defaults := serveCommand()
	for _, s := range config.Settings {
		def := ""
		if flag := defaults.Flags().Lookup(s.Name); flag != nil {
			def = flag.DefValue
		}
		show.Flags().String(s.Name, def, s.About)
	}
	show.Flags().StringVar(&dir, "dir", "", "the folder that init or demo made (required)")
	show.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	_ = show.MarkFlagRequired("dir")
	c.AddCommand(show)
	return c
}

func showSettings(c *cobra.Command, file map[string]string, asJSON bool, out io.Writer) error {
	var all []shown
	for _, s := range config.Settings {
		flag := c.Flags().Lookup(s.Name)
		line := shown{s.Key(), flag.Value.String(), "flag --" + s.Name}
		if !flag.Changed {
			if line.Value, line.Origin = s.Value(file); line.Value == "" {
				line.Value = flag.DefValue
			}
		}
		if s.Mask != nil && line.Value != "" {
			line.Value = s.Mask(line.Value)
		}
		all = append(all, line)
	}
	if asJSON {
		return json.NewEncoder(out).Encode(map[string]any{"settings": all})
	}
	for _, line := range all {
		if _, err := fmt.Fprintf(out, "%-22s %-40s %s\n", line.Name, line.Value, line.Origin); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(out, "\nOf the environment nothing else is asked: no PG…, VAULT_… or AWS_…, and no proxy for engines.")
	return err
}
