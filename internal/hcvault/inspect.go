package hcvault

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Inspection is what a look at a Vault found, as far as it came. Looking makes
// no key, signs nothing, and gives its login back.
type Inspection struct {
	Version             string
	Sealed, Initialized bool
	// Ahead is how much later it is by Vault's clock than by ours.
	Ahead time.Duration
	// Certificate is until when Vault's certificate is good; zero without TLS.
	Certificate time.Time
	// Login is nil when the AppRole lets us in; TokenLife is how long what it
	// gives out lives.
	Login     error
	TokenLife time.Duration
	// Rights is nil when Vault told what the login may do. Excess is what it
	// may and should not, Lacking what it may not and has to; both name a path
	// of ours.
	Rights          error
	Excess, Lacking []string
	// Keys is nil when the network's keys are there and as they must be.
	Keys error
}

// Inspect looks at the Vault that cfg names. An error says that it cannot be
// reached, or that cfg cannot be right; all else stands in the Inspection.
func Inspect(ctx context.Context, cfg Config) (i Inspection, err error) {
	if cfg, err = cfg.complete(); err != nil {
		return i, err
	}
	l, err := newLink(cfg)
	if err != nil {
		return i, err
	}
	defer l.http.CloseIdleConnections()
	if err := i.health(ctx, l); err != nil || i.Sealed || !i.Initialized {
		return i, err
	}
	v := &Vault{cfg: cfg, link: l, keys: map[string]*key{}}
	v.session = newSession(cfg, l)
	l.session = v.session
	if i.Login = v.session.start(ctx); i.Login != nil {
		return i, nil
	}
	defer func() { _ = v.Close(context.WithoutCancel(ctx)) }()
	i.TokenLife = v.session.lease.Load().full
	i.Rights = i.rights(ctx, v)
	for _, k := range networkKeys {
		if _, err := v.readKey(ctx, v.keyName(k.name), k.kind); err != nil {
			i.Keys = fmt.Errorf("look at the %s key: %w", k.name, err)
			break
		}
	}
	return i, nil
}

// health asks without a login. The codes for sealed and standby nodes are asked
// to be 200: then any other answer is none.
func (i *Inspection) health(ctx context.Context, l *link) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	url := strings.TrimRight(l.cfg.Address, "/") + "/v1/sys/health?standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	asked := time.Now()
	resp, err := l.http.Do(req)
	if err != nil {
		return unavailable("it cannot be reached, or its certificate is not trusted", time.Second)
	}
	defer func() { _ = resp.Body.Close() }()
	took := time.Since(asked)
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		i.Certificate = resp.TLS.PeerCertificates[0].NotAfter
	}
	var a struct {
		Initialized bool   `json:"initialized"`
		Sealed      bool   `json:"sealed"`
		Version     string `json:"version"`
		Clock       int64  `json:"server_time_utc"`
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(data, &a) != nil || a.Clock == 0 || !printable(a.Version) {
		return ErrBadResponse
	}
	i.Version, i.Initialized, i.Sealed = a.Version, a.Initialized, a.Sealed
	// Whole seconds, taken to be in the middle of theirs.
	i.Ahead = time.Unix(a.Clock, int64(time.Second/2)).Sub(asked.Add(took / 2)).Truncate(time.Second)
	return nil
}

// right is a path and what a login with some duties may do there.
type right struct {
	path string
	may  map[string][]string // by duty
	all  []string            // whatever the duties
}

// probe stands for an agency: a pattern in a policy treats every name alike.
const probe = "doctor"

// rights are what the policies of this package come to, and what nobody may
// have: docs/decisions/0007-hashicorp-vault.md.
func (v *Vault) rights() []right {
	m, p := v.cfg.Mount+"/", v.cfg.Prefix
	update := []string{"update"}
	only := func(duty, path string) right {
		return right{path: m + path, may: map[string][]string{duty: update}}
	}
	nobody := func(path string) right { return right{path: path} }
	key := p + "-sign-" + probe
	return []right{
		only("signer", "sign/"+key), only("signer", "sign/"+p+"-trust"), only("signer", "sign/"+p+"-status"),
		only("signer", "sign/"+p+"-pack"), only("signer", "sign/"+p+"-log"),
		only("root", "sign/"+p+"-root"),
		only("records", "encrypt/"+p+"-wrap-"+probe), only("records", "decrypt/"+p+"-wrap-"+probe),
		only("records", "encrypt/"+p+"-epochs"), only("records", "decrypt/"+p+"-epochs"), only("records", "hmac/"+p+"-index"),
		{path: m + "keys/" + key, may: map[string][]string{"keys": {"create", "update"}}, all: []string{"read"}},
		// To Vault this is a key without a name; "list" would be one too many.
		{path: m + "keys/", may: map[string][]string{"keys": {"create", "update"}}, all: []string{"read"}},
		{path: m + "keys/" + key + "/rotate", may: map[string][]string{"keys": {"create", "update"}}},
		{path: m + "keys/" + key + "/config", may: map[string][]string{"keys": {"create", "update"}}},
		{path: "auth/token/lookup-self", all: []string{"read"}},
		{path: "auth/token/renew-self", all: update},
		{path: "auth/token/revoke-self", all: update},
		{path: "sys/capabilities-self", all: update},

		nobody(m + "export/signing-key/" + key), nobody(m + "export/encryption-key/" + p + "-wrap-" + probe), nobody(m + "export/hmac-key/" + p + "-index"),
		nobody(m + "backup/" + key), nobody(m + "restore/" + key), nobody(m + "keys/" + key + "/import"),
		nobody(m + "keys/" + key + "/trim"), nobody(m + "keys"), nobody(m + "sign/" + p + "-index"),
		nobody(m + "decrypt/" + p + "-generation"), nobody(m + "hmac/" + key), nobody(m + "datakey/plaintext/" + p + "-wrap-" + probe),
		nobody("sys/policies/acl/" + p + "-signer"), nobody("sys/policy/" + p + "-signer"), nobody("sys/mounts/" + v.cfg.Mount),
		nobody("sys/audit"), nobody("sys/audit/file"), nobody("sys/seal"), nobody("sys/raw/core"), nobody("auth/token/create"),
		nobody("auth/" + v.cfg.AppRoleMount + "/role/" + p), nobody("auth/" + v.cfg.AppRoleMount + "/role/" + p + "/secret-id"),
	}
}

// rights compares what the login may do with the duties that its policies name.
func (i *Inspection) rights(ctx context.Context, v *Vault) error {
	var self struct {
		Policies []string `json:"policies"`
	}
	if err := v.link.call(ctx, "auth/token/lookup-self", nil, &self); err != nil {
		return err
	}
	held := map[string]bool{}
	for _, policy := range self.Policies {
		duty, ours := strings.CutPrefix(policy, v.cfg.Prefix+"-")
		if !ours || !slices.Contains(duties, duty) {
			i.Excess = append(i.Excess, "a policy that is none of ours")
			continue
		}
		held[duty] = true
	}
	all := v.rights()
	paths := make([]string, len(all))
	for n, r := range all {
		paths[n] = r.path
	}
	var answer map[string]json.RawMessage
	err := v.link.call(ctx, "sys/capabilities-self", map[string]any{"paths": paths}, &answer)
	if err != nil {
		return err
	}
	for _, r := range all {
		var has []string
		if err := json.Unmarshal(answer[r.path], &has); err != nil {
			return ErrBadResponse
		}
		want := map[string]bool{}
		for _, capability := range r.all {
			want[capability] = true
		}
		for duty, capabilities := range r.may {
			for _, capability := range capabilities {
				want[capability] = want[capability] || held[duty]
			}
		}
		for _, capability := range has {
			if capability != "deny" && !want[capability] {
				i.Excess = append(i.Excess, capabilityName(capability)+" "+r.path)
			}
		}
		for _, capability := range slices.Sorted(maps.Keys(want)) {
			if want[capability] && !slices.Contains(has, capability) {
				i.Lacking = append(i.Lacking, capability+" "+r.path)
			}
		}
	}
	// A service without these serves nothing. The root is asked for once a year, and may
	// be let sign on that day alone.
	for _, duty := range []string{"records", "signer"} {
		if !held[duty] {
			i.Lacking = append(i.Lacking, "the policy "+v.cfg.Prefix+"-"+duty)
		}
	}
	return nil
}

// capabilityName repeats only words that Vault has for what one may do.
func capabilityName(s string) string {
	if slices.Contains([]string{"create", "read", "update", "patch", "delete", "list", "sudo", "root", "subscribe", "recover"}, s) {
		return s
	}
	return "something at"
}
