// Package config says where a network keeps what it keeps and how it is run: the
// names in its folder, its settings from engines.json and the environment, and
// its passphrase. Flags are for the commands, and what a setting does for the
// rooms that it is given to.
package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/files"
)

// A Setting is something that an operator decides once and not at each call.
// Its value comes from a flag, or else from the environment, or else from
// engines.json in the folder, or else it is the default.
type Setting struct {
	Name  string // of the flag; in the file with _ for -
	About string
	Mask  func(string) string // nil when the value may be shown
}

// Key is the setting's name in engines.json.
func (s Setting) Key() string { return strings.ReplaceAll(s.Name, "-", "_") }

// Env is its name in the environment.
func (s Setting) Env() string { return "SAFECONDUCT_" + strings.ToUpper(s.Key()) }

// Settings is every one of them. What is not here is a mistake in the file.
var Settings = []Setting{
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
	{"signer-socket", "socket of a signer that is already running (default: serve starts one for itself)", nil},
	{"passphrase-file", "a file with the passphrase of the keys", nil},
	{"listen", "address to serve on", nil},
	{"window", "how often lists and packs are published", nil},
	{"drain-delay", "how long /readyz says no before the service stops taking requests", nil},
	{"metrics", "address to answer Prometheus on (default: nowhere)", nil},
	{"metrics-open", "let --metrics be an address that other machines reach", nil},
	{"security-contact", "where to report a weakness, for security.txt (default: none)", nil},
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

// ReadFile reads engines.json in the folder. All that is wrong with it is
// said at once, and no value is repeated.
func ReadFile(dir string) (map[string]string, error) {
	data, err := files.Read(filepath.Join(dir, EnginesName), 64<<10)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parse(data)
}

func parse(data []byte) (map[string]string, error) {
	var raw map[string]json.RawMessage
	if err := strictjson.Unmarshal(data, strictjson.Limits{}, &raw); err != nil {
		return nil, fmt.Errorf("read %s: %w", EnginesName, err)
	}
	values, wrong := map[string]string{}, []error{}
	for key, value := range raw {
		if !slices.ContainsFunc(Settings, func(s Setting) bool { return s.Key() == key }) {
			// What stands in the file is an operator's, but could be pasted
			// into the wrong place: only our own word is repeated.
			wrong = append(wrong, fmt.Errorf("%s: an unknown name; the nearest that there is: %s", EnginesName, nearest(key)))
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
			wrong = append(wrong, fmt.Errorf("%s: %s must be a text, or true or false", EnginesName, key))
		}
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return values, errors.Join(wrong...)
}

// nearest is the setting whose name takes the fewest changes to write.
func nearest(key string) string {
	best, fewest := "", 1<<30
	for _, s := range Settings {
		if n := changes(key[:min(len(key), 64)], s.Key()); n < fewest {
			best, fewest = s.Key(), n
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

// Value finds what a setting is when no flag names it, and where that is from.
func (s Setting) Value(file map[string]string) (value, origin string) {
	if v := os.Getenv(s.Env()); v != "" {
		return v, "environment " + s.Env()
	}
	if v := file[s.Key()]; v != "" {
		return v, "file " + EnginesName
	}
	return "", "default"
}
