package vault

// CheapIndex makes places in the index of numbers cost next to nothing.
// TestPlace shows what they cost and what they are.
func CheapIndex(v *Vault) { v.indexMemory = 8 }
