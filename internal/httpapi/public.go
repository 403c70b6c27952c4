package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	contract "github.com/safeconduct/safeconduct/docs/api"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
)

// How long public files may be kept, in seconds. A list is asked for on a
// timer; a tile that is full never changes, but a partial one gets a successor.
const (
	cacheLists = "public, max-age=900"
	// A pack goes with an envelope of the same number, so that a kept copy has
	// to be asked after; its ETag makes that cheap.
	cachePack     = "public, no-cache"
	cacheTiles    = "public, max-age=31536000, immutable"
	cacheHead     = "public, max-age=60"
	cacheContract = "public, max-age=3600"
)

// mountPublic mounts what anybody may read and keep.
func (s *Server) mountPublic(r gin.IRouter) {
	serve := func(path, mediaType, cache string, read func(c *gin.Context) ([]byte, error)) {
		r.GET(path, func(c *gin.Context) { s.serveFile(c, mediaType, cache, read) })
	}
	serve("/trust-list", "application/jwt", cacheLists, func(c *gin.Context) ([]byte, error) {
		lists, err := s.cfg.Board.Lists(c.Request.Context())
		return []byte(lists.TrustList), err
	})
	serve("/pack", mediaJSON, cachePack, func(c *gin.Context) ([]byte, error) {
		lists, err := s.cfg.Board.Lists(c.Request.Context())
		if err != nil {
			return nil, err
		}
		return json.Marshal(lists)
	})
	serve("/status-lists/:list", "application/statuslist+jwt", cacheLists, func(c *gin.Context) ([]byte, error) {
		status, _, err := s.tokens(c)
		return []byte(status), err
	})
	serve("/answers-lists/:list", "application/statuslist+jwt", cacheLists, func(c *gin.Context) ([]byte, error) {
		_, answers, err := s.tokens(c)
		return []byte(answers), err
	})
	s.mountCardPage(r)
	serve("/log/checkpoint", "application/octet-stream", cacheHead, func(*gin.Context) ([]byte, error) {
		return s.logFile("checkpoint")
	})
	serve("/log/restart", mediaJSON, cacheHead, func(*gin.Context) ([]byte, error) {
		return s.logFile("restart.json")
	})
	serve(tileRoute, "application/octet-stream", cacheTiles, func(c *gin.Context) ([]byte, error) {
		return s.logFile("tile" + c.Param("tile"))
	})
	serve("/.well-known/security.txt", "text/plain; charset=utf-8", cacheContract, func(*gin.Context) ([]byte, error) {
		if s.cfg.SecurityText == "" {
			return nil, fail(faultNotFound)
		}
		return []byte(s.cfg.SecurityText), nil
	})
	serve("/api/openapi.yaml", "application/yaml", cacheContract, func(*gin.Context) ([]byte, error) {
		return contract.Contract, nil
	})
}

func (s *Server) tokens(c *gin.Context) (status, answers string, err error) {
	n, err := strconv.ParseUint(c.Param("list"), 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != c.Param("list") {
		return "", "", fail(faultNotFound)
	}
	status, answers, err = s.cfg.Board.Tokens(c.Request.Context(), uint16(n))
	if err == nil && (status == "" || answers == "") {
		return "", "", fail(faultNotFound)
	}
	return status, answers, err
}

// logFile reads one of the log's own files: the checkpoint, tiles, and what the
// log follows, and nothing that another program left in the folder.
func (s *Server) logFile(name string) ([]byte, error) {
	if !fs.ValidPath(name) || (name != "checkpoint" && name != "restart.json" && !strings.HasPrefix(name, "tile/")) {
		return nil, fail(faultNotFound)
	}
	data, err := fs.ReadFile(s.cfg.LogFiles, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, fail(faultNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read log file: %w", err)
	}
	return data, nil
}

// serveFile answers with the file, or with 304 to whoever has it.
func (s *Server) serveFile(c *gin.Context, mediaType, cache string, read func(*gin.Context) ([]byte, error)) {
	data, err := read(c)
	if err != nil {
		s.refuse(c, err)
		return
	}
	sum := sha256.Sum256(data)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	c.Header("ETag", tag)
	c.Header("Cache-Control", cache)
	c.Header("Cross-Origin-Resource-Policy", "cross-origin")
	if has(c.GetHeader("If-None-Match"), tag) {
		c.Status(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return
	}
	c.Data(http.StatusOK, mediaType, data)
}

// has reads If-None-Match (RFC 9110 §13.1.2).
func has(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == tag || one == "*" {
			return true
		}
	}
	return false
}

// Health says that the process runs.
func (s *Server) Health(context.Context, api.HealthRequestObject) (api.HealthResponseObject, error) {
	return api.Health200JSONResponse{State: api.Ok}, nil
}

// Ready says that the service can do its work. Why it cannot stands in the
// log, for the public learns nothing from it.
func (s *Server) Ready(ctx context.Context, _ api.ReadyRequestObject) (api.ReadyResponseObject, error) {
	if s.cfg.Ready != nil {
		ctx, _ := acting(ctx)
		if err := s.cfg.Ready(ctx); err != nil {
			s.cfg.Log.WarnContext(ctx, "not ready", "cause", err)
			return nil, fail(faultBusy)
		}
	}
	return api.Ready200JSONResponse{State: api.Ok}, nil
}
