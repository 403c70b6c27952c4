package credentials

import (
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
)

// sign makes the SD-JWT VC. Every claim about the case can be disclosed alone;
// what must stay visible is what a verifier needs to find key and status.
func (is *Issuer) sign(d Issued, agency Agency, stated claims.Claims, kid string, key crypto.Signer) (string, error) {
	always := []sdjwt.Member{
		{Name: "iss", Value: agency.Issuer},
		{Name: "iat", Value: d.IssuedOn.Unix()},
		{Name: "exp", Value: d.ValidUntil.Unix()},
		{Name: "vct", Value: Type},
		{Name: "status", Value: statusClaim(is.cfg.StatusLists, d)},
	}
	disclosable, err := members(d, stated)
	if err != nil {
		return "", err
	}
	return sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: kid}, always, disclosable, digests, key, is.cfg.Rand)
}

// statusClaim is draft-ietf-oauth-status-list-20 §6.2.
func statusClaim(uri string, d Issued) map[string]any {
	return map[string]any{"status_list": map[string]any{
		"idx": d.Index,
		"uri": fmt.Sprintf("%s%d", uri, d.List),
	}}
}

// members turns claims into disclosable members, one for each top-level name.
func members(d Issued, stated claims.Claims) ([]sdjwt.Member, error) {
	encoded, err := claims.Encode(stated)
	if err != nil {
		return nil, fmt.Errorf("encode claims: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &fields); err != nil {
		return nil, fmt.Errorf("encode claims: %w", err)
	}
	list := []sdjwt.Member{
		{Name: "attestation_id", Value: string(d.ID)},
		{Name: "kind", Value: string(d.Kind)},
	}
	if d.About != "" {
		list = append(list, sdjwt.Member{Name: "about", Value: string(d.About)})
	}
	if d.Replaces != "" {
		list = append(list, sdjwt.Member{Name: "supersedes", Value: string(d.Replaces)})
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		list = append(list, sdjwt.Member{Name: name, Value: fields[name]})
	}
	return list, nil
}

// coseKeyID is the COSE form of a key id: the eight bytes whose hex form JOSE
// headers carry.
func coseKeyID(kid string) ([8]byte, error) {
	b, err := hex.DecodeString(kid)
	if err != nil || len(b) != 8 {
		return [8]byte{}, errors.New("credentials: key id is not eight bytes")
	}
	return [8]byte(b), nil
}
