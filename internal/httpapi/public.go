package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/safeconduct/safeconduct/audit"
	contract "github.com/safeconduct/safeconduct/docs/api"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/people/roster"
)

// Media types of public files.
const (
	mediaBytes      = "application/octet-stream"
	mediaText       = "text/plain; charset=utf-8"
	mediaStatusList = "application/statuslist+jwt"
)

// How long public files may be kept, in seconds. A list is asked for on a
// timer; a tile that is full never changes, but a partial one gets a successor.
const (
	cacheLists = "public, max-age=900"
	// A pack goes with an envelope of the same number, so that a kept copy has
	// to be asked after; its ETag makes that cheap.
	cachePack  = "public, no-cache"
	cacheTiles = "public, max-age=31536000, immutable"
	// A checkpoint is kept for no longer than a few seconds (c2sp.org/tlog-tiles).
	cacheHead     = "public, max-age=5"
	cacheRestart  = "public, max-age=60"
	cacheContract = "public, max-age=3600"
)

// mountPublic mounts what anybody may read and keep.
func (s *Server) mountPublic(r gin.IRouter) {
	serve := func(path, mediaType, cache string, read func(c *gin.Context) ([]byte, error)) {
		r.GET(path, func(c *gin.Context) { s.serveFile(c, mediaType, cache, read) })
	}
	// newest serves what gets a successor from time to time.
	newest := func(path, mediaType, cache string, read func(c *gin.Context) ([]byte, error)) {
		serve(path, mediaType, cache, func(c *gin.Context) ([]byte, error) {
			data, err := read(c)
			if err == nil {
				s.setAge(c)
			}
			return data, err
		})
	}
	newest("/trust-list", "application/jwt", cacheLists, func(c *gin.Context) ([]byte, error) {
		lists, err := s.cfg.Board.Lists(c.Request.Context())
		return []byte(lists.TrustList), err
	})
	newest("/trust-key", "application/jwt", cacheLists, func(c *gin.Context) ([]byte, error) {
		lists, err := s.cfg.Board.Lists(c.Request.Context())
		if err == nil && lists.TrustKey == "" {
			err = fail(faultNotFound)
		}
		return []byte(lists.TrustKey), err
	})
	newest("/pack", mediaJSON, cachePack, func(c *gin.Context) ([]byte, error) {
		lists, err := s.cfg.Board.Lists(c.Request.Context())
		if err != nil {
			return nil, err
		}
		return json.Marshal(lists)
	})
	newest("/status-lists/:list", mediaStatusList, cacheLists, func(c *gin.Context) ([]byte, error) {
		status, _, err := s.tokens(c)
		return []byte(status), err
	})
	newest("/answers-lists/:list", mediaStatusList, cacheLists, func(c *gin.Context) ([]byte, error) {
		_, answers, err := s.tokens(c)
		return []byte(answers), err
	})
	s.mountCardPage(r)
	newest("/log/checkpoint", mediaText, cacheHead, func(*gin.Context) ([]byte, error) {
		return s.logFile("checkpoint")
	})
	newest("/log/restart", mediaJSON, cacheRestart, func(*gin.Context) ([]byte, error) {
		return s.logFile("restart.json")
	})
	serve(tileRoute, mediaBytes, cacheTiles, func(c *gin.Context) ([]byte, error) {
		name := "tile" + c.Param("tile")
		if !audit.IsTile(name) {
			return nil, fail(faultNotFound)
		}
		return s.logFile(name)
	})
	serve("/.well-known/security.txt", mediaText, cacheContract, func(*gin.Context) ([]byte, error) {
		if s.cfg.SecurityContact == "" {
			return nil, fail(faultNotFound)
		}
		return []byte(securityText(s.cfg.SecurityContact, s.cfg.Now())), nil
	})
	serve("/api/openapi.yaml", "application/yaml", cacheContract, func(*gin.Context) ([]byte, error) {
		return contract.Contract, nil
	})
}

// agedAfter is how long it may have been unknown whether there is something newer
// before an answer says so. It is asked more often than that.
const agedAfter = 5 * time.Second

// setAge tells how old an answer is, as a cache would that cannot reach its
// origin (RFC 9111 §5.1): the service then knows no newer one than it has.
func (s *Server) setAge(c *gin.Context) {
	if age := time.Since(s.cfg.Board.Confirmed()); age > agedAfter {
		c.Header("Age", strconv.Itoa(int(age/time.Second)))
	}
}

func (s *Server) tokens(c *gin.Context) (status, answers string, err error) {
	if c.Request.URL.Query().Has("time") {
		return "", "", fail(faultNoHistory)
	}
	n, err := strconv.ParseUint(c.Param("list"), 10, 16)
	if err != nil {
		return "", "", fail(faultNotFound)
	}
	status, answers, err = s.cfg.Board.Tokens(c.Request.Context(), uint16(n))
	if err == nil && (status == "" || answers == "") {
		return "", "", fail(faultNotFound)
	}
	return status, answers, err
}

// logFile reads one of the log's own files, and nothing that another program
// left in the folder.
func (s *Server) logFile(name string) ([]byte, error) {
	data, err := readFile(s.cfg.LogFiles, name)
	if err != nil {
		return nil, fmt.Errorf("read log file: %w", err)
	}
	return data, nil
}

// readFile reads a file. Whatever a name cannot name a file with is not found: a
// folder, a path through a file, a name that is too long.
func readFile(files fs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid),
		errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG):
		return nil, fail(faultNotFound)
	case err != nil:
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fail(faultNotFound)
	}
	return io.ReadAll(f)
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
	c.Header("Content-Length", strconv.Itoa(len(data))) // also to HEAD (RFC 9110 §9.3.2)
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
// log, for the public learns nothing from it but whether to ask again: what is damaged
// does not mend itself.
func (s *Server) Ready(ctx context.Context, _ api.ReadyRequestObject) (api.ReadyResponseObject, error) {
	if s.cfg.Ready != nil {
		ctx, _ := acting(ctx)
		switch err := s.cfg.Ready(ctx); {
		case errors.Is(err, roster.ErrLocked):
			return nil, err
		case err != nil:
			s.cfg.Log.WarnContext(ctx, "not ready", "cause", err)
			return nil, fail(unready(err))
		}
	}
	return api.Ready200JSONResponse{State: api.Ok}, nil
}

// unready is what is told of why the service is not ready.
func unready(err error) fault {
	switch known := diagnose(err).fault; {
	case errors.Is(err, trouble.ErrDamaged), known == faultDamaged:
		return fault{http.StatusServiceUnavailable, faultDamaged.code, faultDamaged.title}
	case known == faultLog:
		return faultLog
	default:
		return faultBusy
	}
}
