package copies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/vault"
)

// Format names what a copy holds, and how (docs/copy.md).
const Format = "safeconduct/copy/1"

// Names in a copy. None of them tells anything about anybody.
const (
	pageName     = "README.html"
	contentsName = "contents.json"
	historyName  = "history.json"
	keysName     = "proof/keys.json"
	headName     = "proof/checkpoint"
)

// keeping writes one copy.
type keeping struct {
	*Copy

	ctx      context.Context //nolint:containedctx // the page's template has no other way to it
	out      *archive
	counts   Made
	agencies map[string]Agency
	lists    map[uint16]bool // status lists that something of hers stands in

	documents    []Document
	attestations []Attestation
	cards        []Card
}

// all writes the copy: the page first, and last what lists everything.
func (k *keeping) all() error {
	for _, part := range []func() error{k.page, k.papers, k.said, k.history, k.proofs, k.contents} {
		if err := part(); err != nil {
			return err
		}
	}
	return k.out.close()
}

// Document is a document as contents.json and its record.json list it.
type Document struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	File    string `json:"file"`
	Pages   []Page `json:"pages"`
}

// Page is a page of a document.
type Page struct {
	File

	Page         int    `json:"page"`
	Version      int    `json:"version"`
	Role         string `json:"role"`
	MediaType    string `json:"media_type"`
	SeenOriginal bool   `json:"seen_original"`
}

// papers writes every document with its pages.
func (k *keeping) papers() error {
	n := 0
	for kept, err := range k.of.Documents(k.ctx) {
		if err != nil {
			return err
		}
		n++
		d := Document{ID: kept.ID, Version: kept.Version, File: documentName(n), Pages: []Page{}}
		for page, err := range k.of.Pages(k.ctx, kept) {
			if err != nil {
				return err
			}
			f, err := k.out.addPicture(pictureName(n, page.PageInfo), page.Bytes())
			if err != nil {
				return err
			}
			d.Pages = append(d.Pages, Page{f, page.Page, page.Version, string(page.Role), page.MediaType, page.SeenOriginal})
		}
		record, err := private.RevealJSON(kept.Document)
		if err != nil {
			return fmt.Errorf("encode a document: %w", err)
		}
		if _, err := k.out.addJSON(d.File, struct {
			Document
			Record json.RawMessage `json:"record"`
		}{d, record}); err != nil {
			return err
		}
		k.documents = append(k.documents, d)
		k.counts.Pages += len(d.Pages)
	}
	k.counts.Documents = n
	return nil
}

func documentName(n int) string { return fmt.Sprintf("documents/%d/record.json", n) }

func pictureName(n int, p vault.PageInfo) string {
	extension := "jpg"
	if p.MediaType == "image/png" {
		extension = "png"
	}
	return fmt.Sprintf("documents/%d/page-%d.%s", n, p.Page, extension)
}

// Agency is an agency by what the network says of it in public.
type Agency struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Class   string `json:"class,omitempty"`
	Country string `json:"country,omitempty"`
	Desk    string `json:"desk,omitempty"`
}

// agency describes one. Of an agency that nobody knows any more the id is left.
func (k *keeping) agency(id string) (Agency, error) {
	if known, ok := k.agencies[id]; ok {
		return known, nil
	}
	a, err := k.cfg.Network.Agency(k.ctx, id)
	switch {
	case errors.Is(err, network.ErrNotFound):
		a = network.Agency{ID: id, Name: id}
	case err != nil:
		return Agency{}, err
	}
	k.agencies[id] = Agency{a.ID, a.Name, string(a.Class), a.Country, a.Desk}
	return k.agencies[id], nil
}

// Signed is what an attestation and a card have in common.
type Signed struct {
	ID         string `json:"id"`
	Agency     string `json:"agency"`
	State      string `json:"state"`
	Issued     string `json:"issued"`
	ValidUntil string `json:"valid_until"` // the last day
	About      string `json:"about,omitempty"`
	Replaces   string `json:"replaces,omitempty"`
	// Where its status stands.
	List  uint16 `json:"status_list"`
	Index uint32 `json:"status_index"`
}

func signedOf(d credentials.Issued) Signed {
	return Signed{
		string(d.ID), d.Agency, string(d.State), day(d.IssuedOn), day(d.ValidUntil.AddDate(0, 0, -1)),
		string(d.About), string(d.Replaces), d.List, d.Index,
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Attestation is an attestation as contents.json lists it.
type Attestation struct {
	Signed

	Kind  string `json:"kind"`
	File  string `json:"file"`  // what it says
	Token string `json:"token"` // the file with its signed form, an SD-JWT with all disclosures
}

// Card is what is kept of a card. Its number, its handle and the nationality on it are
// kept as keyed hashes, which say nothing to anybody; those, and what a code can be tried
// against, are not given out.
type Card struct {
	Signed

	Epoch uint32 `json:"epoch"`
}

// said writes every attestation, as it can be read and as it was signed.
func (k *keeping) said() error {
	for one, err := range k.cfg.Issuer.Copy(k.ctx, k.by, k.order.Case) {
		if err != nil {
			return err
		}
		k.lists[one.List] = true
		if one.Said == nil {
			c := Card{Signed: signedOf(one.Issued)}
			if one.Card != nil {
				c.Epoch = one.Card.Epoch
			}
			k.cards = append(k.cards, c)
			continue
		}
		file, token := attestationNames(len(k.attestations) + 1)
		a := Attestation{signedOf(one.Issued), string(one.Kind), file, token}
		_, err := k.out.addJSON(a.File, struct {
			Attestation
			Said map[string]any `json:"said"`
		}{a, one.Said.Payload()})
		if err == nil {
			_, err = k.out.addText(a.Token, one.Token)
		}
		if err != nil {
			return err
		}
		k.attestations = append(k.attestations, a)
	}
	k.counts.Attestations, k.counts.Cards = len(k.attestations), len(k.cards)
	return nil
}

func attestationNames(n int) (said, token string) {
	return fmt.Sprintf("attestations/%d.json", n), fmt.Sprintf("attestations/%d.sd-jwt", n)
}

// Entry is an entry of the history. The leaf in the public log is
// SHA-256(0x01 ‖ length of kind, one byte ‖ kind ‖ salt ‖ body), and proof a
// c2sp.org/tlog-proof of it; without one it waits to be published.
type Entry struct {
	Day   string `json:"day"`
	Kind  string `json:"kind"`
	Salt  []byte `json:"salt"` // base64
	Body  string `json:"body"` // JSON, and the very bytes that were digested
	Leaf  string `json:"leaf"` // hex
	Proof string `json:"proof,omitempty"`
}

// history writes every entry with its proof, each of which is checked before.
func (k *keeping) history() error {
	_, err := k.out.add(historyName, func(w io.Writer) error {
		if _, err := io.WriteString(w, "["); err != nil {
			return err
		}
		separator := "\n"
		for event, err := range k.of.History(k.ctx) {
			if err != nil {
				return err
			}
			entry, err := k.entry(event)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(w, separator); err != nil {
				return err
			}
			if err := encode(w, entry); err != nil {
				return err
			}
			separator = ",\n"
			k.counts.History++
			if entry.Proof == "" {
				k.counts.Waiting++
			}
		}
		_, err := io.WriteString(w, "]\n")
		return err
	})
	return err
}

func (k *keeping) entry(e vault.Event) (Entry, error) {
	out := Entry{day(e.Day), e.Note.Kind, e.Note.Salt[:], string(e.Note.Body), fmt.Sprintf("%x", e.Leaf), ""}
	if e.Position < 0 || k.proof.log == nil || e.Position >= k.proof.log.Head().Size {
		return out, nil
	}
	p, err := k.proof.log.Prove(e.Position)
	if err != nil {
		return Entry{}, fmt.Errorf("prove an entry: %w", err)
	}
	if _, err := audit.CheckInclusion(k.proof.logKey, e.Leaf, p); err != nil {
		return Entry{}, fmt.Errorf("prove an entry: %w", err)
	}
	out.Proof = string(p.Encode())
	return out, nil
}

// proofs writes what it takes to check the rest without us.
func (k *keeping) proofs() error {
	texts := []struct{ name, text string }{
		{"proof/trust-list.jwt", k.proof.lists.TrustList},
		{"proof/trust-key.jwt", k.proof.lists.TrustKey},
	}
	if k.proof.log != nil {
		texts = append(texts, struct{ name, text string }{headName, string(k.proof.log.Head().Signed)})
	}
	for _, list := range slices.Sorted(maps.Keys(k.lists)) {
		status, answers, err := k.cfg.Board.Tokens(k.ctx, list)
		if err != nil {
			return err
		}
		texts = append(texts, []struct{ name, text string }{
			{fmt.Sprintf("proof/status-list-%d.jwt", list), status}, {fmt.Sprintf("proof/answers-list-%d.jwt", list), answers},
		}...)
	}
	for _, one := range texts {
		if one.text == "" {
			continue
		}
		if _, err := k.out.addText(one.name, one.text); err != nil {
			return err
		}
	}
	_, err := k.out.addJSON(keysName, map[string]any{"network": k.cfg.Network.ID(), "root": k.proof.root})
	return err
}

// Grant is somebody who may read a record now, if the holder opens it.
type Grant struct {
	Record  string `json:"record"`
	Agency  string `json:"agency"`
	Purpose string `json:"purpose"`
	Until   string `json:"until"`
}

// contents writes what lists everything else.
func (k *keeping) contents() error {
	keeper, err := k.agency(k.by.Agency)
	if err != nil {
		return err
	}
	shared := []Grant{}
	for _, g := range k.of.Shared {
		if _, err := k.agency(g.Agency); err != nil {
			return err
		}
		shared = append(shared, Grant{g.Record, g.Agency, string(g.Purpose), day(g.Until)})
	}
	for _, a := range k.attestations {
		if _, err := k.agency(a.Agency); err != nil {
			return err
		}
	}
	_, err = k.out.addJSON(contentsName, map[string]any{
		"format": Format, "made": day(k.made),
		"network":   map[string]any{"id": k.cfg.Network.ID(), "name": k.cfg.Network.Name(), "desk": k.cfg.Network.Desk(), "demo": k.cfg.Network.Demo()},
		"keeper":    keeper.ID,
		"case":      map[string]any{"id": k.of.ID, "opened": day(k.of.Day), "findable": k.of.Findable},
		"agencies":  slices.SortedFunc(maps.Values(k.agencies), func(a, b Agency) int { return strings.Compare(a.ID, b.ID) }),
		"documents": notNil(k.documents), "attestations": notNil(k.attestations), "cards": notNil(k.cards), "shared": shared,
		"history": map[string]any{"entries": k.counts.History, "waiting": k.counts.Waiting},
		"files":   k.out.files,
	})
	return err
}

// notNil is an empty list where there is none: JSON has two words for that.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
