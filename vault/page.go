package vault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/invalid"
)

// PageRole says what a page shows.
type PageRole string

// The roles.
const (
	RoleData     PageRole = "data"
	RoleVisa     PageRole = "visa"
	RoleStamp    PageRole = "stamp"
	RoleCover    PageRole = "cover"
	RolePortrait PageRole = "portrait"
)

var roles = []PageRole{RoleData, RoleVisa, RoleStamp, RoleCover, RolePortrait}

const maxPages = 64 // per document

// PageMeta is what an upload says about itself.
type PageMeta struct {
	// Page replaces that page by a new version; 0 adds a page.
	Page int
	Role PageRole
	// MediaType is image/jpeg or image/png, and the bytes must agree. image/jpg
	// means image/jpeg; empty and application/octet-stream leave it to the bytes.
	MediaType    string
	SeenOriginal bool // whether the worker had the paper itself in hand
}

// PageInfo is what is known about a page without opening it.
type PageInfo struct {
	Page         int // from 1
	Version      int // from 1
	Role         PageRole
	MediaType    string
	SeenOriginal bool
	Length       int64 // bytes of the picture
}

func infoOf(o Object) PageInfo {
	return PageInfo{o.Page, o.Version, o.Role, o.MediaType, o.SeenOriginal, o.Length}
}

// Page is a picture that was read back. The picture is behind a method, so
// that printing a Page shows none of it.
type Page struct {
	PageInfo
	content *[]byte
}

// Bytes returns the picture.
func (p Page) Bytes() []byte {
	if p.content == nil {
		return nil
	}
	return *p.content
}

// AddPage keeps a picture of a page. Only JPEG and PNG are taken, within
// bounds that are checked before memory is spent on pixels. What is kept is
// drawn anew, turned as its metadata asked and with at most MaxKept pixels: no
// metadata, no thumbnail and nothing behind the picture survives. The page
// exists for others once all of it is kept, and not before.
//
// ErrMediaType, ErrUnreadable, a *PictureError and ErrTooMany say why not. How many
// pictures wait in memory until they are drawn is for whoever reads them to bound.
func (v *Vault) AddPage(ctx context.Context, by audit.Actor, documentID string, meta PageMeta, picture io.Reader) (PageInfo, error) {
	r, err := v.ownedDocument(ctx, by, documentID)
	if err != nil {
		return PageInfo{}, err
	}
	if err := meta.check(); err != nil {
		return PageInfo{}, err
	}
	clean, mediaType, err := v.clean(ctx, by.ID, meta.MediaType, picture)
	if err != nil {
		return PageInfo{}, fmt.Errorf("vault: add a page: %w", err)
	}
	defer v.cases.lock(r.Case)()

	o := Object{
		Record: r.ID, MediaType: mediaType, Role: meta.Role, SeenOriginal: meta.SeenOriginal,
		Blob: newID(), Day: v.today(), // nothing in it says whose page it is
	}
	if o.Page, o.Version, err = v.next(ctx, r.ID, meta.Page); err != nil {
		return PageInfo{}, err
	}
	sealed, committed, err := v.sealObject(r, &o, clean)
	if err != nil {
		return PageInfo{}, err
	}
	entry, err := v.entry(r, by, "page.added", facts{"page": o.Page, "version": o.Version, "page_role": o.Role, "seen_original": o.SeenOriginal})
	if err != nil {
		return PageInfo{}, err
	}
	if _, err := v.blobs.Put(ctx, o.Blob, bytes.NewReader(sealed)); err != nil {
		return PageInfo{}, fmt.Errorf("vault: add a page: %w", err)
	}
	// Only the row makes the page exist.
	if err := v.store.AddObject(ctx, o, nil, entry, committed); err != nil {
		v.deleteBlob(ctx, o.Blob)
		return PageInfo{}, fmt.Errorf("vault: add a page: %w", err)
	}
	return infoOf(o), nil
}

func (m PageMeta) check() error {
	var c invalid.Checker
	c.Must(slices.Contains(roles, m.Role), "/role", invalid.CodeNotInList, "is one of the listed roles")
	c.Must(0 <= m.Page && m.Page <= maxPages, "/page", invalid.CodeRange, "is 1 to 64, or 0 for a new page")
	if err := c.Err(); err != nil {
		return err
	}
	if _, ok := calledType(m.MediaType); !ok {
		return ErrMediaType
	}
	return nil
}

// next finds the number and version that an upload gets.
func (v *Vault) next(ctx context.Context, record string, page int) (number, version int, err error) {
	if page > 0 {
		o, err := v.store.Object(ctx, record, page)
		return page, o.Version + 1, err
	}
	pages, err := v.pages(ctx, record)
	if err != nil {
		return 0, 0, err
	}
	if len(pages) >= maxPages {
		return 0, 0, ErrTooMany
	}
	return len(pages) + 1, 1, nil
}

// deleteBlob removes a ciphertext that no row names. What stays after a failure
// opens only with the record's key and is collected as an orphan.
func (v *Vault) deleteBlob(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = v.blobs.Delete(ctx, key)
}

// pages lists the newest version of every page.
func (v *Vault) pages(ctx context.Context, record string) ([]PageInfo, error) {
	objects, err := v.store.Objects(ctx, record)
	if err != nil {
		return nil, err
	}
	var infos []PageInfo
	for _, o := range objects {
		if o.Page > 0 {
			infos = append(infos, infoOf(o))
		}
	}
	return infos, nil
}

// topic is what a page of a role shows.
func (r PageRole) topic() claims.Topic {
	if r == RolePortrait {
		return claims.TopicPortrait
	}
	return claims.TopicPages
}

// ReadPage returns the newest version of a page, whole or not at all. Who may
// is as for ReadDocument, with an opening of the pages, or for a portrait, of
// the portrait. ErrIntegrity if anything is not as it was kept.
func (v *Vault) ReadPage(ctx context.Context, by audit.Actor, documentID string, page int) (Page, error) {
	r, on, err := v.readable(ctx, by, documentID, PartPages, PartPortrait)
	if err != nil {
		return Page{}, err
	}
	view, err := v.view(ctx, by, on)
	if err != nil {
		return Page{}, err
	}
	if page < 1 || page > maxPages || r.ID == r.Case {
		return Page{}, ErrNotFound
	}
	o, err := v.store.Object(ctx, r.ID, page)
	if err != nil {
		return Page{}, err
	}
	if !view.Sees(o.Role.topic()) {
		if _, ever := claims.Need(view.Reader, o.Role.topic()); ever {
			return Page{}, ErrNotOpened
		}
		return Page{}, ErrNotFound
	}
	id, err := v.identity(ctx, r, by.Agency)
	if err != nil {
		return Page{}, err
	}
	content, err := v.openObject(ctx, id, o)
	if err != nil {
		return Page{}, fmt.Errorf("vault: read a page: %w", err)
	}
	if err := v.reading(ctx, r, by, "page.read", view.Reader, on, facts{"page": o.Page, "version": o.Version}); err != nil {
		return Page{}, fmt.Errorf("vault: read a page: %w", err)
	}
	return Page{infoOf(o), &content}, nil
}
