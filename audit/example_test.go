package audit_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"testing/fstest"

	"github.com/safeconduct/safeconduct/audit"
)

// vkey is the log's public key, as the trust list names it.
const vkey = "log.network.example+11f64dcd+AQtTnF8/eb7CaFju3nSVCbpU0ytloQM8OmYNtjCzS+un"

// files is a copy of everything that a log of three leaves makes public. Of a
// folder on a disk os.DirFS makes the same.
func files() fstest.MapFS {
	leaves, err := base64.StdEncoding.DecodeString("1ggByQScU2h+1Mah8xa9sOuFxWEsw9moUimio8yQNPmETRBTBjxo/EpoY6VmoLQ2rE0udhAzHSYQ5r4W0qdnViffW1FYE4S2Qgdlz+YRPvq2/ZV3oMXJvj4zLcyuzlnz")
	if err != nil {
		panic(err)
	}
	return fstest.MapFS{
		"checkpoint": {Data: []byte(`log.network.example
3
kx0ocXOmXHCtPHUNn8A0RFz6wweMqfy3Fu7liP7xWwk=

— log.network.example EfZNzdSrMFThfB09k0NasObHci0Uw/dczniJYif4jJF9JmmeH8vwLRB88z11mwlz1Qe3FH2bjmS26HfOLs+rWcfRMwQ=
`)},
		"tile/0/000.p/3": {Data: leaves},
	}
}

// A stranger checks the whole log, and sees a single changed bit.
func ExampleVerify() {
	log := files()
	report, err := audit.Verify(log, vkey)
	fmt.Println(report.Origin, report.Size, err)

	log["tile/0/000.p/3"].Data[40] ^= 1
	_, err = audit.Verify(log, vkey)
	fmt.Println(err)
	// Output:
	// log.network.example 3 <nil>
	// tile file tile/0/000.p/3: audit: the published tiles do not give the signed tree: the root differs from the signed one
}

// Whoever holds a note can show that it was logged, to somebody who has only
// the log's key.
func ExampleCheckInclusion() {
	proof, err := audit.Prove(files(), vkey, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s", proof.Encode())

	var hash [32]byte // of the note: Note.Hash
	if _, err := hex.Decode(hash[:], []byte("21a3e474b24419c5e72527dc09dcd8231a3ee96af46f68b46f6ecdb43cedf6cc")); err != nil {
		fmt.Println(err)
		return
	}
	head, err := audit.CheckInclusion(vkey, hash, proof)
	fmt.Println(head.Size, err)
	// Output:
	// c2sp.org/tlog-proof@v1
	// index 1
	// 1ggByQScU2h+1Mah8xa9sOuFxWEsw9moUimio8yQNPk=
	// J99bUVgThLZCB2XP5hE++rb9lXegxcm+PjMtzK7OWfM=
	//
	// log.network.example
	// 3
	// kx0ocXOmXHCtPHUNn8A0RFz6wweMqfy3Fu7liP7xWwk=
	//
	// — log.network.example EfZNzdSrMFThfB09k0NasObHci0Uw/dczniJYif4jJF9JmmeH8vwLRB88z11mwlz1Qe3FH2bjmS26HfOLs+rWcfRMwQ=
	// 3 <nil>
}
