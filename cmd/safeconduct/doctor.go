package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/doctor"
)

func doctorCommand() *cobra.Command {
	var f operateFlags
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that the service depends on, and say what to do",
		Long: `Look at everything that the service depends on, and say what to do. It changes
nothing, opens no record, and may run while the folder is served.

  ✓  is as it has to be
  ✕  is not, and below it stands what to do
  ?  could not be checked, which is never a yes

The exit status is 0 when every line is ✓, and 2 otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.reportFindings(c.OutOrStdout(), doctor.Examine(c.Context(), f.Folder, nil))
		},
	}
	f.add(c)
	return c
}

// reportFindings prints what the doctor found. Every line that is not ✓ ends the
// command with status 2.
func (f *operateFlags) reportFindings(out io.Writer, found []doctor.Finding) error {
	bad := 0
	for _, one := range found {
		if one.State != doctor.OK {
			bad++
		}
	}
	if f.json {
		if err := json.NewEncoder(out).Encode(map[string]any{"healthy": bad == 0, "findings": found}); err != nil {
			return err
		}
	} else {
		for _, one := range found {
			sign := map[string]string{doctor.OK: "✓", doctor.Fault: "✕", doctor.Unchecked: "?"}[one.State]
			_, _ = fmt.Fprintf(out, "%s %s: %s\n", sign, one.Check, one.Found)
			if one.Do != "" {
				_, _ = fmt.Fprintf(out, "    → %s\n", one.Do)
			}
		}
		if bad > 0 {
			_, _ = fmt.Fprintf(out, "\n%d of %d need somebody.\n", bad, len(found))
		}
	}
	if bad > 0 {
		return exitError(exitNo)
	}
	return nil
}
