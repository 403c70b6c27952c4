package hcvault

import (
	"context"
	"errors"
	"fmt"

	"github.com/safeconduct/safeconduct/internal/keystore"
)

// NewAgency makes an agency's signing key and key-encryption key, and returns
// the signing key's id and public half. For an agency that has keys it returns
// those and asks for no right to make any, so that a set-up which was
// interrupted can be repeated.
func (v *Vault) NewAgency(ctx context.Context, agency string) (keystore.Public, error) {
	if known(agency) != nil {
		return keystore.Public{}, errors.New("hcvault: an agency's id must be 1 to 64 letters, digits, - and _")
	}
	missing := false
	// The signing key is made last: an agency that can sign can also read.
	for _, k := range []struct{ name, kind string }{
		{v.wrappingName(agency), kindAEAD}, {v.signingName(agency), kindSigning},
	} {
		// Asked afresh: what is returned goes into a trust list.
		_, err := v.readKey(ctx, k.name, k.kind)
		if err == nil {
			continue
		}
		if !errors.Is(err, ErrNoKey) {
			return keystore.Public{}, fmt.Errorf("look at the agency's keys: %w", err)
		}
		if !missing {
			missing = true
			if err := v.count(ctx); err != nil {
				return keystore.Public{}, err
			}
		}
		if err := v.makeKey(ctx, k.name, k.kind); err != nil {
			return keystore.Public{}, fmt.Errorf("make the agency's keys: %w", err)
		}
	}
	return v.Public(ctx, keystore.Agency(agency))
}

// RotateAgency makes a new version of an agency's signing key, if the one with the id
// before is the latest. It signs from now on, in other processes within a second. The one before it could still
// sign for an act that has begun, until the next rotation or RetireSigning;
// Vault refuses all older ones.
func (v *Vault) RotateAgency(ctx context.Context, agency, before string) (keystore.Public, error) {
	if err := known(agency); err != nil {
		return keystore.Public{}, err
	}
	v.forget(v.signingName(agency)) // what another process made is seen
	now, err := v.Public(ctx, keystore.Agency(agency))
	if err != nil || now.KeyID != before {
		return now, err
	}
	latest, err := v.rotate(ctx, v.signingName(agency), kindSigning)
	if err != nil {
		return keystore.Public{}, fmt.Errorf("rotate the agency's key: %w", err)
	}
	if err := v.floor(ctx, v.signingName(agency), "min_encryption_version", latest-1); err != nil {
		return keystore.Public{}, fmt.Errorf("end the agency's old keys: %w", err)
	}
	return v.Public(ctx, keystore.Agency(agency))
}

// Rotate makes a new version of a key for one of the network's own uses, if the one with
// the id before is the latest. Vault refuses to sign with any older one from then on, but
// for the log.
func (v *Vault) Rotate(ctx context.Context, use keystore.Use, before string) (keystore.Public, error) {
	if use == keystore.Log {
		return v.rotateLog(ctx, before)
	}
	if use != keystore.Trust && use != keystore.Status && use != keystore.Pack {
		return keystore.Public{}, fmt.Errorf("hcvault: %w: a key of this use is not changed", keystore.ErrRefused)
	}
	name, err := v.nameOf(use)
	if err != nil {
		return keystore.Public{}, err
	}
	v.forget(name) // what another process made is seen
	now, err := v.Public(ctx, use)
	if err != nil || now.KeyID != before {
		return now, err
	}
	latest, err := v.rotate(ctx, name, kindSigning)
	if err != nil {
		return keystore.Public{}, fmt.Errorf("rotate a key of the network: %w", err)
	}
	if err := v.floor(ctx, name, "min_encryption_version", latest); err != nil {
		return keystore.Public{}, fmt.Errorf("end an old key of the network: %w", err)
	}
	return v.Public(ctx, use)
}

// rotateLog is Rotate for the log. The version before signs beside the new one until the
// next change, so that whoever pinned it has the time to learn of the new one.
func (v *Vault) rotateLog(ctx context.Context, before string) (keystore.Public, error) {
	v.forget(v.keyName(logKey)) // what another process made is seen
	now, err := v.publicOfLog(ctx)
	if err != nil || now.KeyID != before {
		return now, err
	}
	latest, err := v.rotate(ctx, v.keyName(logKey), kindLog)
	if err != nil {
		return keystore.Public{}, fmt.Errorf("rotate the log's key: %w", err)
	}
	if err := v.floor(ctx, v.keyName(logKey), "min_encryption_version", latest-1); err != nil {
		return keystore.Public{}, fmt.Errorf("end old keys of the log: %w", err)
	}
	return v.publicOfLog(ctx)
}

func (v *Vault) publicOfLog(ctx context.Context) (keystore.Public, error) {
	vkeys, err := v.LogKeys(ctx)
	if err != nil {
		return keystore.Public{}, err
	}
	return keystore.PublicOfLog(vkeys[0]) // publicKeys has seen that the latest is there
}

// RetireSigning has Vault refuse to sign with any version but the latest of an
// agency's key. Call it a minute after RotateAgency, when nothing is under way
// with the old one.
func (v *Vault) RetireSigning(ctx context.Context, agency string) error {
	return v.retire(ctx, agency, v.signingName(agency), kindSigning, "min_encryption_version")
}

// RotateWrapping makes a new version of an agency's key-encryption key. What
// was wrapped before still opens; Rewrap moves it over.
func (v *Vault) RotateWrapping(ctx context.Context, agency string) error {
	if err := known(agency); err != nil {
		return err
	}
	if _, err := v.rotate(ctx, v.wrappingName(agency), kindAEAD); err != nil {
		return fmt.Errorf("rotate the agency's key: %w", err)
	}
	return nil
}

// Rewrap returns what Wrap made, under the latest version of the key, and
// whether that is anything new. It can be repeated and cut off as often as
// one likes. Vault's own rewrap knows no associated data, so the file key
// comes by here.
func (v *Vault) Rewrap(ctx context.Context, agency, record string, wrapped []byte) (_ []byte, changed bool, err error) {
	if err := known(agency); err != nil {
		return nil, false, err
	}
	k, err := v.key(ctx, v.wrappingName(agency), kindAEAD)
	if err != nil {
		return nil, false, err
	}
	if version, ok := wrappedVersion(wrapped); ok && version == k.latest {
		return wrapped, false, nil
	}
	plain, err := v.Unwrap(ctx, agency, record, wrapped)
	if err != nil {
		return nil, false, err
	}
	defer clear(plain)
	next, err := v.Wrap(ctx, agency, record, plain)
	return next, err == nil, err
}

// RetireWrapping ends all versions but the latest of an agency's
// key-encryption key: what was not moved over with Rewrap is ErrWrapped from
// now on.
func (v *Vault) RetireWrapping(ctx context.Context, agency string) error {
	return v.retire(ctx, agency, v.wrappingName(agency), kindAEAD, "min_decryption_version")
}

func (v *Vault) retire(ctx context.Context, agency, name, kind, setting string) error {
	if err := known(agency); err != nil {
		return err
	}
	k, err := v.readKey(ctx, name, kind)
	if err != nil {
		return fmt.Errorf("look at the agency's key: %w", err)
	}
	if err := v.count(ctx); err != nil {
		return err
	}
	if err := v.floor(ctx, name, setting, k.latest); err != nil {
		return fmt.Errorf("end the agency's old keys: %w", err)
	}
	return nil
}

// rotate makes a new version of a key that exists, and returns its number.
func (v *Vault) rotate(ctx context.Context, name, kind string) (int, error) {
	if _, err := v.key(ctx, name, kind); err != nil {
		return 0, err
	}
	if err := v.count(ctx); err != nil {
		return 0, err
	}
	if err := v.change(ctx, "keys/"+name+"/rotate", nil); err != nil {
		return 0, err
	}
	v.forget(name)
	k, err := v.readKey(ctx, name, kind)
	if err != nil {
		return 0, err
	}
	return k.latest, nil
}

// floor sets below which version a key may not be used.
func (v *Vault) floor(ctx context.Context, name, setting string, version int) error {
	err := v.change(ctx, "keys/"+name+"/config", map[string]any{setting: version})
	v.forget(name)
	return err
}

// Generation rises with every change of the keystore. Whoever keeps the
// highest one it has seen can refuse a Vault that was put back to an older
// state.
func (v *Vault) Generation(ctx context.Context) (uint64, error) {
	k, err := v.readKey(ctx, v.keyName(generationKey), kindAEAD)
	if err != nil {
		return 0, fmt.Errorf("look at the keystore's generation: %w", err)
	}
	return uint64(k.latest), nil //nolint:gosec // at least 1
}

// count raises the generation. It comes before the change: a crash between the
// two leaves a number that counted nothing, and never a change that was not
// counted.
func (v *Vault) count(ctx context.Context) error {
	name := v.keyName(generationKey)
	if err := v.change(ctx, "keys/"+name+"/rotate", nil); err != nil {
		return fmt.Errorf("raise the keystore's generation: %w", err)
	}
	v.forget(name)
	return nil
}
