package kernel

import (
	"fmt"
	"strings"
)

// Path is a set of kernels.
type Path int

// The paths.
const (
	Plain Path = iota // loops in Go
	AVX2              // with FMA
	AVX512
	Neon
)

// String is the path's name, as [Use] takes it.
func (p Path) String() string { return [...]string{"plain", "avx2", "avx512", "neon"}[p] }

// path is the one in use, at first the fastest.
var path = Paths()[len(Paths())-1]

// Active is the path in use.
func Active() Path { return path }

// Paths are all that this processor has, from the slowest to the fastest.
func Paths() []Path { return append([]Path{Plain}, vectorPaths()...) }

// tileRows is how many rows the largest tile of the path has.
func tileRows() int {
	if path == AVX512 {
		return 12
	}
	return 6
}

// tileColumns is how many columns a tile of so many rows has at most.
func tileColumns(rows int) int {
	if path == Neon || path == AVX2 && rows > len(tiles3x32) {
		return 16
	}
	return 32
}

// Use chooses a path by its name, for the whole process. No kernel may run
// meanwhile. An error says that the processor does not have it.
func Use(name string) error {
	var names []string
	for _, p := range Paths() {
		if p.String() == name {
			if path != p { // who chooses the one in use disturbs nobody
				path = p
			}
			return nil
		}
		names = append(names, p.String())
	}
	return fmt.Errorf("kernels %q: this processor has %s", name, strings.Join(names, ", "))
}
