package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/safeconduct/safeconduct/web"
)

// What a browser may keep.
const (
	cachePage  = "no-cache"
	cacheNamed = "public, max-age=31536000, immutable"
)

// fileRoute is where the files of a page are, mounted by hand because they lie
// in folders.
func fileRoute(page string) string { return "/" + page + "/*file" }

// namedByContent are files whose name changes when they do.
var namedByContent = regexp.MustCompile(`^(parts/[0-9a-f]{32}|[a-z-]+-[0-9a-f]{16}\.[a-z]+)$`)

var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".json": mediaJSON, ".webmanifest": "application/manifest+json", ".svg": "image/svg+xml", ".png": "image/png",
	"": mediaBytes,
}

// mountPages mounts what people open in a browser.
func (s *Server) mountPages(r gin.IRouter) {
	for _, p := range s.cfg.Pages {
		r.GET("/"+p.Name, func(c *gin.Context) { s.servePage(c, p, p.Name+".html", cachePage) })
		r.GET(fileRoute(p.Name), func(c *gin.Context) {
			name := strings.TrimPrefix(c.Param("file"), "/")
			cache := cachePage
			if namedByContent.MatchString(name) {
				cache = cacheNamed
			}
			if name == "sw.js" {
				// The page lies beside its folder, not in it.
				c.Header("Service-Worker-Allowed", "/"+p.Name)
			}
			s.servePage(c, p, p.Name+"/"+name, cache)
		})
	}
}

// leadToPage leads whoever writes a page's address with a slash at its end, which people
// do, to the page. It is the one path that is mended.
func (s *Server) leadToPage(c *gin.Context) {
	page, slash := strings.CutSuffix(c.Request.URL.EscapedPath(), "/")
	known := slices.ContainsFunc(s.cfg.Pages, func(p web.Page) bool { return page == "/"+p.Name })
	if !slash || !known || changes(c.Request.Method) {
		c.Next()
		return
	}
	c.Header("Cache-Control", cacheContract)
	c.Redirect(http.StatusPermanentRedirect, page)
	c.Abort()
}

// servePage serves a file of a page, compressed where that was done before and
// the browser takes it. Every file comes with the page's policy: a worker obeys
// the one that its own program came with.
func (s *Server) servePage(c *gin.Context, p web.Page, name, cache string) {
	mediaType, known := pageTypes[path.Ext(name)]
	if !known || !fs.ValidPath(name) {
		s.refuse(c, fail(faultNotFound))
		return
	}
	if err := p.Built(); err != nil {
		s.refuse(c, err)
		return
	}
	data, packed, err := s.readPage(c, p.Files, name)
	if err != nil {
		s.refuse(c, err)
		return
	}
	sum := sha256.Sum256(data)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	for header, value := range map[string]string{
		"Content-Security-Policy":    p.Policy,
		"Cross-Origin-Opener-Policy": "same-origin",
		"Permissions-Policy":         p.Permissions,
		"Cache-Control":              cache,
		"ETag":                       tag,
		"Vary":                       "Accept-Encoding",
	} {
		c.Header(header, value)
	}
	if has(c.GetHeader("If-None-Match"), tag) {
		c.Status(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return
	}
	if packed {
		c.Header("Content-Encoding", "gzip")
	}
	c.Header("Content-Length", strconv.Itoa(len(data)))
	c.Data(http.StatusOK, mediaType, data)
}

// readPage reads a file, or its compressed copy.
func (s *Server) readPage(c *gin.Context, files fs.FS, name string) (data []byte, packed bool, err error) {
	if path.Ext(name) == ".html" {
		data, err = s.readHTML(files, name)
		return data, false, err
	}
	if takesGzip(c.GetHeader("Accept-Encoding")) {
		if data, err = readFile(files, name+".gz"); err == nil {
			return data, true, nil
		}
	}
	data, err = readFile(files, name)
	if err != nil {
		return nil, false, fmt.Errorf("read page: %w", err)
	}
	return data, false, nil
}

// deskPlace is where a page names the network's telephone: whoever opens it
// without a device gets that number without asking for it.
const deskPlace = `<meta name="desk" content="">`

func (s *Server) readHTML(files fs.FS, name string) ([]byte, error) {
	data, err := readFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	desk := `<meta name="desk" content="` + html.EscapeString(s.cfg.Desk) + `">`
	return bytes.Replace(data, []byte(deskPlace), []byte(desk), 1), nil
}

// takesGzip reads Accept-Encoding (RFC 9110 §12.5.3) as far as it matters here:
// whoever says something unusual gets the plain file.
func takesGzip(header string) bool {
	for one := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(one, ";")
		if strings.TrimSpace(coding) == "gzip" && strings.ReplaceAll(weight, " ", "") != "q=0" {
			return true
		}
	}
	return false
}
