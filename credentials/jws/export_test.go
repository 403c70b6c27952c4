package jws

// ParseUntyped reads a token without asking for typ and kid, for vectors made
// before explicit typing. All else is the same path.
func ParseUntyped(compact string) (*Message, error) {
	return read(compact)
}

// Raw is the change from ASN.1 to r and s.
var Raw = raw
