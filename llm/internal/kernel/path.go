package kernel

import (
	"fmt"
	"strings"
)

// Path is a set of kernels.
type Path int

// The paths, from the slowest to the fastest.
const (
	Plain Path = iota // loops in Go
	AVX2              // with FMA
	AVX512
)

// String is the path's name, as [Use] takes it.
func (p Path) String() string { return [...]string{"plain", "avx2", "avx512"}[p] }

// path is the one in use.
var path = fastest()

// Active is the path in use.
func Active() Path { return path }

// Paths are all that this processor has.
func Paths() []Path {
	var out []Path
	for p := Plain; p <= fastest(); p++ {
		out = append(out, p)
	}
	return out
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
