package camera

import (
	"math/rand/v2"
)

// Place holds a card of this class before the camera, draws nothing, and tells
// how large its modules are in the frame.
func Place(class Class, perModule float64, seed uint64) (float64, error) {
	r := rand.New(rand.NewPCG(seed, 0))
	g, err := newScene(class, r).place(perModule, r)
	if err != nil {
		return 0, err
	}
	return g.perModule(), nil
}
