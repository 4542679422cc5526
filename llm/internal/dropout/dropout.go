// Package dropout decides which inputs of adapters a training drops, by numbers that
// depend on nothing but the seed and the place.
package dropout

// Draw decides which inputs of adapters a part of a step drops. The same seed,
// step and part drop the same ones, so that a resumed training repeats them.
type Draw struct{ Seed, Step, Part int64 }

// Mask drops inputs of one projection.
type Mask struct {
	key   uint64
	below uint32  // numbers below it are dropped
	scale float32 // what the rest is multiplied by
	in    int
}

// Of is the mask of a projection with so many inputs, by its number among all of the
// network.
func (d Draw) Of(share float64, projection, in int) Mask {
	key := mix(mix(mix(uint64(d.Seed))+uint64(d.Step))+uint64(d.Part)) + uint64(projection)
	return Mask{key: mix(key), below: uint32(share * (1 << 32)), scale: float32(1 / (1 - share)), in: in}
}

// mix is a step of SplitMix64 (Steele, Lea and Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Keeps reports whether input i of a row stays. It depends on no other draw.
func (d Mask) Keeps(row, i int) bool {
	return uint32(mix(d.key+uint64(row*d.in+i))>>32) >= d.below
}

// Fill sets dst to the inputs x of a row, from number first on, as far as they
// stay.
func (d Mask) Fill(dst, x []float32, row, first int) {
	for i, v := range x {
		dst[i] = 0
		if d.Keeps(row, first+i) {
			dst[i] = v * d.scale
		}
	}
}

// Add adds to dst the gradients of the inputs of a row that stay.
func (d Mask) Add(dst, x []float32, row int) {
	for i, v := range x {
		if d.Keeps(row, i) {
			dst[i] += float32(v * d.scale)
		}
	}
}
