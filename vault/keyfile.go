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
	refused        error // what the key keeper said
}

// Unwrap implements age.Identity.
func (i *agencyIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type != stanzaType || len(s.Args) != 1 || s.Args[0] != i.agency {
			continue
		}
		if len(s.Body) > maxWrapped {
			return nil, ErrIntegrity
		}
		key, err := i.keys.Unwrap(i.ctx, i.agency, i.record, s.Body)
		if err != nil {
			i.refused = fmt.Errorf("unwrap the file key: %w", err)
			return nil, i.refused
		}
		if len(key) != fileKeyLen {
			i.refused = ErrKeeper
			return nil, i.refused
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

// Readers lists the agencies that a key file is for. It needs no key. What is no
// key file is ErrIntegrity.
func Readers(file []byte) ([]string, error) {
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
func (v *Vault) openKeyFile(ctx context.Context, r Record, agency string, file []byte) (_ *age.HybridIdentity, err error) {
	defer func() {
		if v.damaged != nil && errors.Is(err, ErrIntegrity) {
			v.damaged(err)
		}
	}()
	if len(file) > maxKeyFile {
		return nil, ErrIntegrity
	}
	identity := &agencyIdentity{ctx: ctx, keys: v.keys, agency: agency, record: r.ID}
	plain, err := age.Decrypt(bytes.NewReader(file), identity)
	var nobody *age.NoIdentityMatchError
	switch {
	case errors.As(err, &nobody) && agency == r.Agency: // nobody takes a record from its owner
		return nil, fmt.Errorf("%w: a key file is not for its record's owner", ErrIntegrity)
	case errors.As(err, &nobody):
		return nil, ErrNotFound // taken back
	case identity.refused != nil:
		return nil, fmt.Errorf("vault: open a key file: %w", identity.refused)
	case err != nil: // of the file itself: age's own text may tell what stands in it
		return nil, fmt.Errorf("%w: a key file does not open", ErrIntegrity)
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

// MendReaders rewrites the key file of a record unless exactly those can open it
// who may read the record: its owner, and whom it is shared with. A keyring that
// came back from a copy may be older than the grants. Nobody may share or take
// back meanwhile.
func (v *Vault) MendReaders(ctx context.Context, record string) (mended bool, err error) {
	r, err := v.store.Record(ctx, record)
	if err != nil {
		return false, err
	}
	file, err := v.keyring.Get(ctx, record)
	if err != nil {
		return false, err
	}
	is, err := Readers(file)
	if err != nil {
		return false, err
	}
	grants, err := v.store.Grants(ctx, r.Case)
	if err != nil {
		return false, err
	}
	may := []string{r.Agency}
	for _, g := range grants {
		if g.Record == record {
			may = append(may, g.Agency)
		}
	}
	slices.Sort(is)
	slices.Sort(may)
	if slices.Equal(is, may) {
		return false, nil
	}
	id, err := v.openKeyFile(ctx, r, r.Agency, file)
	if err != nil {
		return false, err
	}
	fresh, err := v.newKeyFile(ctx, record, id, may)
	if err != nil {
		return false, err
	}
	return true, v.keyring.Swap(ctx, record, file, fresh)
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
	agencies, err := Readers(old)
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
