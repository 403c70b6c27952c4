package sqlstore

import (
	"testing"

	"github.com/safeconduct/safeconduct/internal/storetest"
)

func TestPeople(t *testing.T) {
	everywhereTwice(t, func(t *testing.T, on place) {
		storetest.People(t, func(t *testing.T) storetest.PeopleStore {
			db := on.db(t)
			return storetest.PeopleStore{Store: db.People(), Network: db.Network(), Log: db.Log()}
		})
	})
}
