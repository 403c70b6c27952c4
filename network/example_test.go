package network_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	keys, err := keyfile.Create(ctx, keyfile.Config{
		Path: filepath.Join(dir, "keys.age"), Passphrase: "an example only",
		WorkFactor: 2, // an example's keys protect nobody
	}, "network.example/log")
	if err != nil {
		fmt.Println(err)
		return
	}
	db, err := sqlstore.Open(ctx, filepath.Join(dir, "safeconduct.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	if err := storetest.Seal(ctx, db); err != nil {
		fmt.Println(err)
		return
	}

	roster, err := people.New(people.Config{Store: db.People()})
	if err != nil {
		fmt.Println(err)
		return
	}
	n, err := network.New(network.Config{
		Store: db.Network(), Keys: keystore.New(keys), Rights: roster, ID: "5eed5eed5eed5eed5eed5eed5eed5eed",
		Name: "Made-up network", BaseURL: "https://network.example", Desk: "+855 00 000 000",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := n.Init(ctx); err != nil {
		fmt.Println(err)
		return
	}
	// What two people then agree to, for the roster to say it.
	house, err := n.Admission(ctx, network.Agency{
		Name: "Made-up House", Class: network.NGO, Country: "KHM", Desk: "+855 00 000 001",
	})
	fmt.Println(house.Name, err)
	operator := audit.Actor{ID: "5eed", Role: string(people.Operator)}
	fmt.Println(people.May(operator, people.CaseRead))
	// Output:
	// Made-up House <nil>
	// people: not allowed
}
