package httpapi

import "github.com/gin-gonic/gin"

// mountCardPage mounts the page for who finds a card. It is one file, the same
// for everybody: nothing in a request changes a byte of it. No script may run
// there, no form may leave it and nothing is loaded.
func (s *Server) mountCardPage(r gin.IRouter) {
	policy := "default-src 'none'; style-src 'sha256-" + s.cfg.CardStyle + "'; " +
		"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	r.GET("/card", func(c *gin.Context) {
		if s.cfg.CardPage == nil {
			s.refuse(c, fail(faultNotFound))
			return
		}
		c.Header("Content-Security-Policy", policy)
		s.serveFile(c, "text/html; charset=utf-8", cacheContract, func(*gin.Context) ([]byte, error) {
			return s.cfg.CardPage, nil
		})
	})
}
