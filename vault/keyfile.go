package vault

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
)

// stanzaType names our recipient stanza: its one argument is the agency, its
// body the file key as the key keeper wrapped it (docs/overview.md, Keys).
const stanzaType = "safeconduct.org/transit"

// The sizes that a key file and its parts may have, in bytes.
const (
	maxKeyFile = 256 << 10 // some hundred agencies
	maxWrapped = 8 << 10
	fileKeyLen = 16 // age-encryption.org/v1, file key
)

// agencyRecipient encrypts a key file to an agency. It is made for one call:
// age's interfaces carry no context.
type agencyRecipient struct {
	ctx            context.Context //nolint:containedctx // see above
	keys           KeyKeeper
	agency, record string
}

// Wrap implements age.Recipient.
func (r agencyRecipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	stanzas, _, err := r.WrapWithLabels(fileKey)
	return stanzas, err
}

// WrapWithLabels implements age.RecipientWithLabels. The label lets it stand
// beside hybrid recipients, and beside nothing weaker.
func (r agencyRecipient) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	wrapped, err := r.keys.Wrap(r.ctx, r.agency, r.record, fileKey)
	if err != nil {
		return nil, nil, fmt.Errorf("wrap the file key: %w", err)
	}
	if len(wrapped) == 0 || len(wrapped) > maxWrapped || bytes.Contains(wrapped, fileKey) {
		return nil, nil, ErrKeeper
	}
	// A wrapping that does not open would destroy the record with the key file
	// that it replaces. So it is opened once before anything is written.
	back, err := r.keys.Unwrap(r.ctx, r.agency, r.record, wrapped)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrKeeper, err)
	}
	if subtle.ConstantTimeCompare(back, fileKey) != 1 {
		return nil, nil, ErrKeeper
	}
	return []*age.Stanza{{Type: stanzaType, Args: []string{r.agency}, Body: wrapped}}, []string{"postquantum"}, nil
}

// agencyIdentity opens a key file for an agency. It is made for one call.
type agencyIdentity struct {
	ctx            context.Context //nolint:containedctx // as agencyRecipient
	keys           KeyKeeper
	agency, record string
}

// Unwrap implements age.Identity.
func (i agencyIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type != stanzaType || len(s.Args) != 1 || s.Args[0] != i.agency {
			continue
		}
		if len(s.Body) > maxWrapped {
			return nil, ErrIntegrity
		}
		key, err := i.keys.Unwrap(i.ctx, i.agency, i.record, s.Body)
		if err != nil {
			return nil, fmt.Errorf("unwrap the file key: %w", err)
		}
		if len(key) != fileKeyLen {
			return nil, ErrKeeper
		}
		return key, nil
	}
	return nil, fmt.Errorf("vault: the key file is not for this agency: %w", age.ErrIncorrectIdentity)
}

// recipientLister is an identity that opens nothing and remembers whom a file is
// for.
type recipientLister struct{ agencies []string }

// Unwrap implements age.Identity.
func (l *recipientLister) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type == stanzaType && len(s.Args) == 1 {
			l.agencies = append(l.agencies, s.Args[0])
		}
	}
	return nil, age.ErrIncorrectIdentity
}

// readers lists the agencies that a key file is for.
func readers(file []byte) ([]string, error) {
	var l recipientLister
	var nobody *age.NoIdentityMatchError
	if _, err := age.Decrypt(bytes.NewReader(file), &l); !errors.As(err, &nobody) {
		return nil, ErrIntegrity
	}
	return l.agencies, nil
}

// newKeyFile encrypts a record's identity to agencies.
func (v *Vault) newKeyFile(ctx context.Context, record string, id *age.HybridIdentity, agencies []string) ([]byte, error) {
	recipients := make([]age.Recipient, len(agencies))
	for i, a := range agencies {
		recipients[i] = agencyRecipient{ctx, v.keys, a, record}
	}
	var file bytes.Buffer
	w, err := age.Encrypt(&file, recipients...)
	if err == nil {
		_, err = io.WriteString(w, id.String())
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("vault: make a key file: %w", err)
	}
	if file.Len() > maxKeyFile {
		return nil, fmt.Errorf("vault: make a key file: %w", ErrTooMany)
	}
	return file.Bytes(), nil
}

// identity opens a record's key file for an agency.
func (v *Vault) identity(ctx context.Context, r Record, agency string) (*age.HybridIdentity, error) {
	file, err := v.keyring.Get(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return v.openKeyFile(ctx, r, agency, file)
}

// openKeyFile is identity with the file at hand.
func (v *Vault) openKeyFile(ctx context.Context, r Record, agency string, file []byte) (*age.HybridIdentity, error) {
	if len(file) > maxKeyFile {
		return nil, ErrIntegrity
	}
	plain, err := age.Decrypt(bytes.NewReader(file), agencyIdentity{ctx, v.keys, agency, r.ID})
	var nobody *age.NoIdentityMatchError
	switch {
	case errors.As(err, &nobody):
		return nil, ErrNotFound // taken back
	case err != nil:
		return nil, fmt.Errorf("vault: open a key file: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(plain, 4<<10))
	if err != nil {
		return nil, fmt.Errorf("%w: read a key file", ErrIntegrity)
	}
	id, err := age.ParseHybridIdentity(string(text))
	// The row and the key file lie in two databases. They must speak of the
	// same key, or what is written would not be what is read.
	if err != nil || id.Recipient().String() != r.Recipient {
		return nil, fmt.Errorf("%w: a key file of another record", ErrIntegrity)
	}
	return id, nil
}

// changeReaders rewrites a key file with add and without remove.
func (v *Vault) changeReaders(ctx context.Context, r Record, owner, add, remove string) error {
	old, err := v.keyring.Get(ctx, r.ID)
	if err != nil {
		return err
	}
	id, err := v.openKeyFile(ctx, r, owner, old)
	if err != nil {
		return err
	}
	agencies, err := readers(old)
	if err != nil {
		return err
	}
	agencies = slices.DeleteFunc(agencies, func(a string) bool { return a == remove || a == add })
	if add != "" {
		agencies = append(agencies, add)
	}
	// Every rewriting draws a new file key, so that one that was kept opens
	// nothing that is written from now on.
	file, err := v.newKeyFile(ctx, r.ID, id, agencies)
	if err != nil {
		return err
	}
	return v.keyring.Swap(ctx, r.ID, old, file)
}
