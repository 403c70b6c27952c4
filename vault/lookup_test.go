package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// macKeeper keeps one key for MACs.
type macKeeper struct{ turned }

func (macKeeper) MAC(_ context.Context, label string, data []byte) ([]byte, error) {
	mac := hmac.New(sha256.New, []byte("a key of this test"))
	mac.Write([]byte(label))
	mac.Write(data)
	return mac.Sum(nil), nil
}

// TestPlace holds places in the index of numbers to what older versions wrote:
// another cost, salt or order would lose every document that can be found.
func TestPlace(t *testing.T) {
	v := &Vault{keys: macKeeper{}, network: "test network", argon: make(chan struct{}, 1), indexMemory: indexMemory}
	got, err := v.place(t.Context(), indexLabel, "PASSPORT", "UTO", "l898-902 c3<", "740812")
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(got) != "bb457b07fb6b7e74ffb92bf1ea166d9d" {
		t.Errorf("the place is %x", got)
	}
	if indexTime != 2 || indexMemory != 19<<10 {
		t.Error("the cost is not that of docs/threat-model.md")
	}
}
