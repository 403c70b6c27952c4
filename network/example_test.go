package network_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

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
	first, token := people.NewOperator() // the token is shown this once
	if err := n.Init(ctx, network.Founder{ID: first.ID, Token: first.Token}); err != nil {
		fmt.Println(err)
		return
	}
	operator, err := roster.Authenticate(ctx, token)
	if err != nil {
		fmt.Println(err)
		return
	}
	house, err := n.AddAgency(ctx, operator, network.Agency{
		Name: "Made-up House", Class: network.NGO, Country: "KHM", Desk: "+855 00 000 001",
	})
	fmt.Println(house.Name, len(house.Keys), err)
	fmt.Println(people.May(operator, people.CaseRead))
	// Output:
	// Made-up House 1 <nil>
	// people: not allowed
}
