package demo

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/internal/caller"
)

// takeAway is the holder's own copy: everything that is kept about him, in one file that
// opens with his passphrase wherever he goes.
func (p *player) takeAway(ctx context.Context) error {
	c := p.cards["felix"]
	return p.step("He takes a copy of everything with him: for his code alone, in one file that any age tool opens with his passphrase", func() error {
		const passphrase = "lantern marrow quixotic fern"
		order := map[string]string{"number": c.Number, "code": otherCode(c.Code), "passphrase": passphrase}
		path := "/api/v1/cases/" + c.caseID + "/copies"
		if code := caller.Refused(p.agencies["lotus"].supervisor.Post(ctx, path, order, nil)); code != "code_refused" {
			return fmt.Errorf("without his code: %q", code)
		}
		order["code"] = c.Code
		var sealed []byte
		if err := p.agencies["lotus"].Post(ctx, path, order, &sealed); err != nil {
			return err
		}
		files, err := unpack(sealed, passphrase)
		if err != nil {
			return err
		}
		var list struct {
			Documents           []struct{ Pages []struct{ File string } }
			Attestations, Cards []struct{ State string }
		}
		if err := json.Unmarshal(files["contents.json"], &list); err != nil {
			return err
		}
		switch {
		case len(files["README.html"]) == 0 || len(files["history.json"]) == 0 || len(files["proof/trust-list.jwt"]) == 0:
			return errors.New("the copy lacks its page, the history or the proofs")
		case len(list.Documents) != 1 || len(list.Documents[0].Pages) != 1 || len(files[list.Documents[0].Pages[0].File]) == 0:
			return errors.New("the copy lacks his passport")
		case len(list.Attestations) < 3 || len(list.Cards) == 0:
			return errors.New("the copy lacks what was said about him")
		}
		return nil
	})
}

// unpack opens a copy.
func unpack(sealed []byte, passphrase string) (map[string][]byte, error) {
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	plain, err := age.Decrypt(bytes.NewReader(sealed), identity)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(plain)
	if err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
	return files, nil
}
