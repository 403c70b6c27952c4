package httpapi_test

import (
	"strings"

	"github.com/safeconduct/safeconduct/people"
)

// whoIs is somebody's id.
func (w *world) whoIs(c comer) string {
	w.t.Helper()
	if c.browser != nil {
		for id, key := range w.house.Keys {
			if key == c.browser.key {
				return id
			}
		}
	}
	by, err := w.people.Authenticate(w.t.Context(), c.token)
	if err != nil {
		w.t.Fatal(err)
	}
	return by.ID
}

// given gives a case to somebody.
func (w *world) given(by comer, at string, to comer) {
	w.t.Helper()
	w.into(w.ask(by, "POST", at+"/people", map[string]string{"person": w.whoIs(to)}), 204, nil)
}

// anotherPerson is somebody else of an agency, signed in.
func (w *world) anotherPerson(agency string, role people.Role) *browser {
	w.t.Helper()
	b := &browser{world: w, key: w.house.Keys[w.house.Person(agency, role, w.house.First)]}
	w.into(b.signIn(), 201, nil)
	return b
}

// idIn is the id at the end of where something is.
func idIn(path string) string { return path[strings.LastIndex(path, "/")+1:] }
