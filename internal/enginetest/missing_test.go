package enginetest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/service"
)

// TestMissing is hostile case 81, of every store: where one is missing nothing is served,
// nothing is made in its place, and whoever looks says that it is not there, and
// of nothing that needs it that it is well.
func TestMissing(t *testing.T) {
	r, a := newAtRest(t)
	to := filepath.Join(t.TempDir(), "copy")
	cfg := a.cfg
	cfg.Dir = to
	open := func(folder config.Folder) error {
		s, err := service.Open(t.Context(), cfg)
		if err == nil {
			err = s.Close()
		}
		return err
	}
	of := func(name string) func(config.Folder) error {
		return func(f config.Folder) error { return os.RemoveAll(f.Path(name)) }
	}
	for _, c := range []struct {
		name   string
		gone   string                    // is to stay gone
		remove func(config.Folder) error // nil is to remove what is to stay gone
		serves bool                      // what is missing is made anew from the others
		looks  []string                  // checks of doctor that may not be well
	}{
		{"nothing", "", func(config.Folder) error { return nil }, true, nil},
		{"the database", config.DatabaseName, nil, false, []string{"database", "rows", "roster", "log", "keyring fits"}},
		{"all of the database", config.DatabaseName, func(f config.Folder) error { return os.Truncate(f.Path(config.DatabaseName), 0) }, false, []string{"database", "rows", "roster", "log", "keyring fits"}},
		{"the keyring", config.KeyringName, nil, false, []string{"keyring", "keyring fits", "rows"}},
		{"the pages", config.ObjectsName, nil, false, []string{"pages", "rows"}},
		{"whose pages they are", config.ObjectsName + "/network", nil, false, []string{"pages fit", "rows"}},
		{"the log", config.LogName, nil, false, []string{"log"}},
		// Packs and lists are served, and nothing that would be logged is done.
		{"the log's checkpoint", config.LogName + "/checkpoint", nil, true, []string{"log"}},
		{"the keys", config.KeysName, nil, false, []string{"folder", "keys", "rows", "roster"}},
		{"the aside folder", config.AsideName, nil, false, []string{"aside", "rows"}},
		{"what was in the aside folder", config.AsideName + "/" + offsite.JournalName,
			func(f config.Folder) error {
				return errors.Join(of(config.AsideName)(f), os.Mkdir(f.Path(config.AsideName), 0o700))
			}, false, []string{"aside"}},
		{"the erasure journal", config.AsideName + "/" + offsite.JournalName, nil, false, []string{"aside"}},
		{"the pack outside", config.AsideName + "/" + offsite.PackName, nil, true, []string{"aside"}},
		{"the checkpoint outside", config.AsideName + "/" + offsite.CheckpointName, nil, true, []string{"aside"}},
		{"how far the database had come", config.AsideName + "/" + offsite.RowsName, nil, true, []string{"aside"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := *r
			r.t = t
			lack := func() config.Folder {
				folder := r.copied(to)
				if c.remove == nil {
					c.remove = of(c.gone)
				}
				if err := c.remove(folder); err != nil {
					t.Fatal(err)
				}
				return folder
			}
			folder := lack()
			stillGone := func(who string) {
				t.Helper()
				if info, err := os.Lstat(folder.Path(c.gone)); c.gone != "" && !errors.Is(err, fs.ErrNotExist) && (err != nil || info.Size() > 0 || info.IsDir()) {
					t.Errorf("%s has made it", who)
				}
			}
			well := c.gone == ""
			found, err := doctor.Fsck(t.Context(), folder)
			if said := err != nil || len(found.Problems) > 0; said == well {
				t.Errorf("fsck: %v, %q", err, found.Problems)
			}
			if !c.serves {
				stillGone("fsck")
			}
			folder = lack()
			all := doctor.Examine(t.Context(), folder, a.cfg.Now)
			for _, f := range all {
				if slices.Contains(c.looks, f.Check) && f.State == doctor.OK {
					t.Errorf("doctor: %s is well: %s", f.Check, f.Found)
				}
			}
			if len(c.looks) > 0 && !slices.ContainsFunc(all, func(f doctor.Finding) bool { return slices.Contains(c.looks, f.Check) && f.State != doctor.OK }) {
				t.Error("doctor does not say it")
			}
			stillGone("doctor")
			folder = lack()
			report, err := doctor.VerifyLog(t.Context(), folder)
			if said := err != nil || len(report.Problems) > 0 || !report.Roster; !said && slices.Contains(c.looks, "log") {
				t.Error("log verify finds all well")
			}
			stillGone("log verify")
			folder = lack()
			switch err := open(folder); {
			case c.serves && err != nil:
				t.Errorf("it is not served: %v", err)
			case !c.serves && err == nil:
				t.Error("it is served")
			case !c.serves:
				stillGone("serve")
				t.Log(err)
			}
		})
	}
}
