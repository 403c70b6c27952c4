package keyfile_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/safeconduct/safeconduct/internal/keyfile"
)

// FuzzContent: content is refused as damaged, or it comes out of writing and
// reading again as it was.
func FuzzContent(f *testing.F) {
	good, err := keyfile.FreshContent()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(bytes.Replace(good, []byte(`"version":1`), []byte(`"version":2`), 1))
	f.Add(bytes.Replace(good, []byte(`"root"`), []byte(`"status"`), 1))
	f.Add([]byte(`{}`))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, plain []byte) {
		once, err := keyfile.Reread(plain)
		if err != nil {
			if !errors.Is(err, keyfile.ErrDamaged) {
				t.Errorf("refused with %v, want ErrDamaged", err)
			}
			return
		}
		twice, err := keyfile.Reread(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("another content on the second reading, %v", err)
		}
	})
}

func TestContent(t *testing.T) {
	good, err := keyfile.FreshContent()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := keyfile.Reread(good); err != nil || !bytes.Equal(again, good) {
		t.Errorf("content changed on reading, %v", err)
	}
	for old, edit := range map[string]string{
		`"version":1`: `"version":2`, `"root":"`: `"root":"AAAA`, `"kek":[`: `"kek":["AAAA",`, `"log":"`: `"log":"x`,
		`"log_public":"`: `"log_public":"x`, `"log_before":"PRIV`: `"log_before":"`, `"log_former":["`: `"log_former":["x`, `],"index"`: `,"example.org/log+0+A"],"index"`, `"index":"`: `"index":"AAAA`, `{"version"`: `{"more":1,"version"`,
	} {
		bad := bytes.Replace(good, []byte(old), []byte(edit), 1)
		if bytes.Equal(bad, good) {
			t.Fatalf("nothing to edit at %s", old)
		}
		if _, err := keyfile.Reread(bad); !errors.Is(err, keyfile.ErrDamaged) {
			t.Errorf("with %s: %v, want ErrDamaged", edit, err)
		}
	}
}
