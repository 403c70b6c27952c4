package sqlstore

import (
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

// BenchmarkSequenced is what a look at one full tile asks of the database.
func BenchmarkSequenced(b *testing.B) {
	db, err := Open(b.Context(), b.TempDir()+"/log.db")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := storetest.Seal(b.Context(), db); err != nil {
		b.Fatal(err)
	}
	for i := range int64(200) {
		var entries []audit.Entry
		for range 20 {
			n, _ := audit.NewNote("test", i)
			e, _ := audit.NewEntry("", n, storetest.Day(0))
			entries = append(entries, e)
		}
		if err := db.Log().Append(b.Context(), entries...); err != nil {
			b.Fatal(err)
		}
		if err := db.Log().CloseWindow(b.Context(), i*audit.Window); err != nil {
			b.Fatal(err)
		}
	}
	i := int64(0)
	for b.Loop() {
		i++
		if _, err := db.Log().Sequenced(b.Context(), i%200*audit.Window, audit.Window); err != nil {
			b.Fatal(err)
		}
	}
}
