package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/vault"
)

// AddDocument keeps a passport or another document.
func (s *Server) AddDocument(ctx context.Context, r api.AddDocumentRequestObject) (api.AddDocumentResponseObject, error) {
	ctx, by := acting(ctx)
	document, err := vault.ParseDocument(*r.Body)
	if err != nil {
		return nil, err
	}
	kept, err := s.cfg.Vault.AddDocument(ctx, by, r.Case, document)
	if err != nil {
		return nil, err
	}
	return api.AddDocument201JSONResponse{
		Body:    api.DocumentKept{ID: kept.ID, Version: kept.Version, Doubts: doubtsOf(kept.Document)},
		Headers: api.AddDocument201ResponseHeaders{ETag: etag(kept.Version)},
	}, nil
}

// ReadDocument returns a document record, for its owner whole, and for whoever the
// holder opened it to today what is for such a reader.
func (s *Server) ReadDocument(ctx context.Context, r api.ReadDocumentRequestObject) (api.ReadDocumentResponseObject, error) {
	ctx, by := acting(ctx)
	kept, err := s.cfg.Vault.ReadDocument(ctx, by, r.Document)
	if err != nil {
		return nil, err
	}
	record, err := private.RevealJSON(kept.Document)
	if err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	return api.ReadDocument200JSONResponse{
		Body: api.Document{
			ID: kept.ID, Case: kept.Case, Version: kept.Version, Record: record, Doubts: doubtsAbout(kept), Pages: pagesOf(kept.Pages),
			Reader: api.Reader(kept.Reader), LeftOut: kept.LeftOut,
		},
		Headers: api.ReadDocument200ResponseHeaders{ETag: etag(kept.Version)},
	}, nil
}

// UpdateDocument keeps a new version, if nobody else did meanwhile.
func (s *Server) UpdateDocument(ctx context.Context, r api.UpdateDocumentRequestObject) (api.UpdateDocumentResponseObject, error) {
	ctx, by := acting(ctx)
	version, ok := versionOf(r.Params.IfMatch)
	if !ok {
		return nil, fail(faultChanged)
	}
	document, err := vault.ParseDocument(*r.Body)
	if err != nil {
		return nil, err
	}
	kept, err := s.cfg.Vault.UpdateDocument(ctx, by, r.Document, version, document)
	if err != nil {
		return nil, err
	}
	return api.UpdateDocument200JSONResponse{
		Body:    api.DocumentKept{ID: kept.ID, Version: kept.Version, Doubts: doubtsOf(kept.Document)},
		Headers: api.UpdateDocument200ResponseHeaders{ETag: etag(kept.Version)},
	}, nil
}

// doubtsAbout are those of a document that is read. Whoever records one does not hear
// of another case: only who keeps it does, and later.
func doubtsAbout(kept vault.Kept) api.Doubts {
	doubts := doubtsOf(kept.Document)
	if kept.Elsewhere {
		doubts = append(doubts, api.Doubt{
			Pointer: "/document_number", Code: "recorded_elsewhere",
			Rule: "the same document is recorded in another case; ask your supervisor",
		})
	}
	return doubts
}

// doubtsOf is what whoever keeps or reads a document should look at twice.
func doubtsOf(d vault.Document) api.Doubts {
	found := d.Doubts()
	list := make(api.Doubts, len(found))
	for i, p := range found {
		list[i] = api.Doubt{Pointer: p.Pointer, Code: p.Code, Rule: p.Rule}
	}
	return list
}

// etag is the version of a document in an ETag, versionOf its reverse.
func etag(version int) string { return `"v` + strconv.Itoa(version) + `"` }

func versionOf(tag string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(tag, `"v`), `"`))
	return n, err == nil && n > 0 && etag(n) == tag
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// AddPage keeps a picture of a page. The vault draws it anew.
func (s *Server) AddPage(c context.Context, r api.AddPageRequestObject) (api.AddPageResponseObject, error) {
	ctx, by := acting(c)
	caseID, err := s.cfg.Vault.CaseOf(ctx, by, r.Document)
	if err != nil {
		return nil, err
	}
	page, err := s.cfg.Vault.AddPage(ctx, by, r.Document, vault.PageMeta{
		Page: r.Params.Page, Role: vault.PageRole(r.Params.Role), MediaType: r.ContentType, SeenOriginal: r.Params.SeenOriginal,
	}, r.Body)
	if err != nil {
		return nil, err
	}
	tellsAbout(c, caseID)
	return api.AddPage201JSONResponse(pageOf(page)), nil
}

// ReadPage returns a picture, whole or not at all.
func (s *Server) ReadPage(ctx context.Context, r api.ReadPageRequestObject) (api.ReadPageResponseObject, error) {
	ctx, by := acting(ctx)
	page, err := s.cfg.Vault.ReadPage(ctx, by, r.Document, r.Page)
	if err != nil {
		return nil, err
	}
	content := page.Bytes()
	return api.ReadPage200ApplicationOctetStreamResponse{Body: bytes.NewReader(content), ContentLength: int64(len(content))}, nil
}

// portrait is the digest of a portrait that a card is to be bound to. Reading
// the page is in the holder's history, as every reading is.
func (s *Server) portrait(ctx context.Context, by audit.Actor, name *api.PageName) ([]byte, error) {
	if name == nil {
		return nil, nil
	}
	page, err := s.cfg.Vault.ReadPage(ctx, by, name.Document, name.Page)
	if err != nil {
		return nil, err
	}
	if page.Role != vault.RolePortrait {
		return nil, &failure{fault: faultRefused, problems: []api.InputProblem{
			{Pointer: "/portrait_page", Code: invalid.CodeNotAllowed, Rule: "is a page whose role is portrait"},
		}}
	}
	sum := sha256.Sum256(page.Bytes())
	return sum[:], nil
}

func pageOf(p vault.PageInfo) api.Page {
	return api.Page{
		Page: p.Page, Version: p.Version, Role: api.PageRole(p.Role), MediaType: api.PageMediaType(p.MediaType),
		SeenOriginal: p.SeenOriginal, Bytes: p.Length,
	}
}

func pagesOf(all []vault.PageInfo) []api.Page {
	list := make([]api.Page, len(all))
	for i, p := range all {
		list[i] = pageOf(p)
	}
	return list
}
