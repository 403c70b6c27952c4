package service

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/web"
)

// TestWarnOfPages: a service without its pages says so when it starts, and how
// to mend it.
func TestWarnOfPages(t *testing.T) {
	var log bytes.Buffer
	warnOfPages(t.Context(), slog.New(slog.NewJSONHandler(&log, nil)), nil)
	if log.Len() > 0 {
		t.Errorf("with its pages it says %s", log.String())
	}
	warnOfPages(t.Context(), slog.New(slog.NewJSONHandler(&log, nil)), web.ErrNotBuilt)
	if got := log.String(); !strings.Contains(got, `"level":"WARN"`) || !strings.Contains(got, "make build") {
		t.Errorf("got %s", got)
	}
}
