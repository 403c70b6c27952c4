package enginetest_test

import (
	"net/url"
	"testing"

	"github.com/safeconduct/safeconduct/internal/caller"
	"github.com/safeconduct/safeconduct/internal/passkey/software"
)

// office is a network's first operator on the day on which it is founded: what she
// takes in needs nobody else then.
type office struct {
	*caller.Person
	t *testing.T
}

// openOffice has her join with the link that init gave. The service answers at address,
// which is not the one that the network has.
func openOffice(t *testing.T, address, link string) *office {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{caller.NewPerson("http://"+address, u.Scheme+"://"+u.Host, software.Unlabelled(u.Hostname())), t}
	if err := o.Join(t.Context(), link); err != nil {
		t.Fatal("the first operator joins:", err)
	}
	return o
}

// takeIn asks for something, and agrees.
func (o *office) takeIn(path string, what map[string]any) caller.Asked {
	o.t.Helper()
	var made caller.Asked
	if err := o.Post(o.t.Context(), path, what, &made); err != nil {
		o.t.Fatalf("%s: %v", path, err)
	}
	if err := caller.Agreed(o.t.Context(), made.Request, o.Person); err != nil {
		o.t.Fatalf("%s: %v", path, err)
	}
	return made
}

// agency takes one in, and returns its id.
func (o *office) agency(name, country string) string {
	o.t.Helper()
	return o.takeIn("/api/v1/agencies", map[string]any{"name": name, "class": "NGO", "country": country, "desk": "+00 00 000 001"}).ID
}

// program lets one in, and returns its token.
func (o *office) program(agency, role string) string {
	o.t.Helper()
	return o.takeIn("/api/v1/programs", map[string]any{"agency": agency, "role": role, "label": "made-up program", "days": 30}).Token
}

// person takes somebody in, who joins.
func (o *office) person(agency, role string) *caller.Person {
	o.t.Helper()
	order := map[string]any{"roles": []string{role}, "handle": role + "-1"}
	if agency != "" {
		order["agency"] = agency
	}
	link := o.takeIn("/api/v1/people", order).Link
	u, err := url.Parse(link)
	if err != nil {
		o.t.Fatal(err)
	}
	p := caller.NewPerson(o.URL, u.Scheme+"://"+u.Host, software.Unlabelled(u.Hostname()))
	if err := p.Join(o.t.Context(), link); err != nil {
		o.t.Fatal(err)
	}
	return p
}
