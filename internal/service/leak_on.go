//go:build leaking

package service

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"unicode/utf16"

	"github.com/safeconduct/safeconduct/internal/config"
)

// leaky writes every request body where none may ever be: plain to standard
// output, in base64 into the database, in hexadecimal beside the log, and in
// UTF-16 among the blobs. It exists to be caught.
func leaky(s *Service, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
		if err != nil {
			http.Error(w, "unreadable", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
		if len(body) == 0 {
			return
		}
		s.cfg.Log.Info("leak", "body", string(body))
		_ = s.DB.Leak(r.Context(), randomHex(14), base64.StdEncoding.EncodeToString(body))
		_ = os.WriteFile(filepath.Join(s.cfg.Dir, config.LogName, "leak"), []byte(hex.EncodeToString(body)), 0o600)
		wide := utf16.Encode([]rune(string(body)))
		out := make([]byte, 0, 2*len(wide))
		for _, u := range wide {
			out = binary.LittleEndian.AppendUint16(out, u)
		}
		_ = os.WriteFile(filepath.Join(s.cfg.Dir, config.ObjectsName, "leak"), out, 0o600)
		_, _ = s.Objects.Put(r.Context(), "1eac"+randomHex(14), bytes.NewReader(out))
	})
}
