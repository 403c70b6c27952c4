package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// A setting is something that an operator decides once and not at each call.
// Its value comes from a flag, or else from the environment, or else from
// engines.json in the folder, or else it is the default.
type setting struct {
	name  string // of the flag; in the file with _ for -
	about string
	mask  func(string) string // nil when the value may be shown
}

func (s setting) key() string { return strings.ReplaceAll(s.name, "-", "_") }
func (s setting) env() string { return "SAFECONDUCT_" + strings.ToUpper(s.key()) }

// settings is every one of them. What is not here is a mistake in the file.
var settings = []setting{
	{"database", "postgres:// address of the database (default: SQLite in the folder)", maskAddress},
	{"keyring", "postgres:// address of the keyring (default: SQLite in the folder)", maskAddress},
	{"objects", "s3://BUCKET/PREFIX?endpoint=URL of the encrypted pages (default: a folder)", maskAddress},
	{"s3-access-key", "access key of the bucket", maskAll},
	{"s3-secret-key-file", "file with the secret key of the bucket", nil},
	{"vault", "address of a HashiCorp Vault for the keys (default: a key file in the folder)", maskAddress},
	{"vault-role-id-file", "file with the AppRole's role id", nil},
	{"vault-secret-id-file", "file with the AppRole's secret id", nil},
	{"vault-ca-file", "file with the authorities of Vault's certificate", nil},
	{"vault-mount", "where the network's transit engine is mounted", nil},
	{"vault-prefix", "how the names of its keys begin", nil},
	{"aside", "a folder on another disk, for what must outlive the databases (default: a folder in the folder)", nil},
	{"passphrase-file", "a file with the passphrase of the keys", nil},
	{"listen", "address to serve on", nil},
	{"window", "how often lists and packs are published", nil},
	{"drain-delay", "how long /readyz says no before the service stops taking requests", nil},
	{"metrics", "address to answer Prometheus on (default: nowhere)", nil},
	{"metrics-open", "let --metrics be an address that other machines reach", nil},
}

// maskAll hides a value, and that it is there does not.
func maskAll(string) string { return "…" }

// maskAddress hides who logs in, and a password wherever one may stand.
func maskAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" {
		return "…" // in another form than we take
	}
	if u.User != nil {
		u.User = url.User("…")
	}
	q := u.Query()
	for name := range q {
		if lower := strings.ToLower(name); strings.Contains(lower, "pass") && lower != "passfile" || strings.Contains(lower, "secret") || lower == "user" {
			q.Set(name, "…")
		}
	}
	u.RawQuery = q.Encode()
	return strings.ReplaceAll(u.String(), url.QueryEscape("…"), "…")
}

// readSettings reads engines.json in the folder. All that is wrong with it is
// said at once, and no value is repeated.
func readSettings(dir string) (map[string]string, error) {
	data, err := readBounded(filepath.Join(dir, enginesName), 64<<10)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseSettings(data)
}

func parseSettings(data []byte) (map[string]string, error) {
	var raw map[string]json.RawMessage
	if err := strictjson.Unmarshal(data, strictjson.Limits{}, &raw); err != nil {
		return nil, fmt.Errorf("read %s: %w", enginesName, err)
	}
	values, wrong := map[string]string{}, []error{}
	for key, value := range raw {
		if !slices.ContainsFunc(settings, func(s setting) bool { return s.key() == key }) {
			// What stands in the file is an operator's, but could be pasted
			// into the wrong place: only our own word is repeated.
			wrong = append(wrong, fmt.Errorf("%s: an unknown name; the nearest that there is: %s", enginesName, nearest(key)))
			continue
		}
		var text string
		var yes bool
		switch {
		case json.Unmarshal(value, &text) == nil:
			values[key] = text
		case json.Unmarshal(value, &yes) == nil:
			values[key] = strconv.FormatBool(yes)
		default:
			wrong = append(wrong, fmt.Errorf("%s: %s must be a text, or true or false", enginesName, key))
		}
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return values, errors.Join(wrong...)
}

// nearest is the setting whose name takes the fewest changes to write.
func nearest(key string) string {
	best, fewest := "", 1<<30
	for _, s := range settings {
		if n := changes(key[:min(len(key), 64)], s.key()); n < fewest {
			best, fewest = s.key(), n
		}
	}
	return best
}

// changes counts the letters to insert, remove or replace (Levenshtein).
func changes(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			if a[i] == b[j] {
				row[j+1] = corner
			} else {
				row[j+1] = 1 + min(corner, above, row[j])
			}
			corner = above
		}
	}
	return row[len(b)]
}

// value finds what a setting is when no flag names it, and where that is from.
func (s setting) value(file map[string]string) (value, origin string) {
	if v := os.Getenv(s.env()); v != "" {
		return v, "environment " + s.env()
	}
	if v := file[s.key()]; v != "" {
		return v, "file " + enginesName
	}
	return "", "default"
}

// settingMark is on flags that are settings. Other commands have flags of the
// same name that mean something else.
const settingMark = "setting"

func isSetting(c *cobra.Command, names ...string) {
	for _, name := range names {
		_ = c.Flags().SetAnnotation(name, settingMark, []string{"yes"}) // fails where there is no such flag
	}
}

// configure fills in the settings of a command that no flag gave. It runs
// before every command.
func configure(c *cobra.Command, _ []string) error {
	var file map[string]string
	// What lies in the folder of a former demonstration is about to go.
	if dir := c.Flags().Lookup("dir"); dir != nil && c.Name() != "demo" && slices.ContainsFunc(settings, func(s setting) bool {
		flag := c.Flags().Lookup(s.name)
		return flag != nil && flag.Annotations[settingMark] != nil
	}) {
		var err error
		if file, err = readSettings(dir.Value.String()); err != nil {
			return err
		}
	}
	var wrong []error
	for _, s := range settings {
		flag := c.Flags().Lookup(s.name)
		// The passphrase is looked for when it is needed: a demonstration's own
		// comes before the environment's.
		if flag == nil || flag.Changed || flag.Annotations[settingMark] == nil {
			continue
		}
		value, origin := s.value(file)
		if value == "" || s.name == "passphrase-file" && strings.HasPrefix(origin, "environment") {
			continue
		}
		if err := flag.Value.Set(value); err != nil {
			wrong = append(wrong, fmt.Errorf("%s, from %s: not a value for it", s.name, origin))
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
to serve.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := readSettings(dir)
			if err != nil {
				return err
			}
			return showSettings(c, file, asJSON, c.OutOrStdout())
		},
	}
	defaults := serveCommand()
	for _, s := range settings {
		def := ""
		if flag := defaults.Flags().Lookup(s.name); flag != nil {
			def = flag.DefValue
		}
		show.Flags().String(s.name, def, s.about)
	}
	show.Flags().StringVar(&dir, "dir", "", "the folder that init or demo made (required)")
	show.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	_ = show.MarkFlagRequired("dir")
	c.AddCommand(show)
	return c
}

func showSettings(c *cobra.Command, file map[string]string, asJSON bool, out io.Writer) error {
	var all []shown
	for _, s := range settings {
		flag := c.Flags().Lookup(s.name)
		line := shown{s.key(), flag.Value.String(), "flag --" + s.name}
		if !flag.Changed {
			if line.Value, line.Origin = s.value(file); line.Value == "" {
				line.Value = flag.DefValue
			}
		}
		if s.mask != nil && line.Value != "" {
			line.Value = s.mask(line.Value)
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
	return nil
}
