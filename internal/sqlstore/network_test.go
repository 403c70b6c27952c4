package sqlstore

import (
	"testing"

	"github.com/safeconduct/safeconduct/internal/storetest"
)

func TestNetwork(t *testing.T) {
	everywhereTwice(t, func(t *testing.T, on place) {
		storetest.Network(t, func(t *testing.T) storetest.NetworkStore {
			db := on.db(t)
			return storetest.NetworkStore{Store: db.Network(), Log: db.Log()}
		})
	})
}
