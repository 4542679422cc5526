package main

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tunebus/tunebus/llm/internal/kernel/gen/assembly"
)

// bits are those of a number.
func bits(x float32) uint32 { return math.Float32bits(x) }

// geluC and geluD are 2·√(2/π) and 0.044715 times that, see Gelu in package
// kernel, which has the same.
const geluC, geluD = 1.5957691216, 0.0713548162726

// number is the place of a constant in memory.
func number(b uint32) string { return fmt.Sprintf("number%08x<>(SB)", b) }

func sorted(m map[uint32]operand) []uint32 { return slices.Sorted(maps.Keys(m)) }

// numbers writes the constants of all kernels, a whole register of each.
func numbers(l *assembly.Listing) {
	l.WriteString("\n")
	all := append(exponential(), bits(0), bits(1), bits(2), bits(geluC), bits(geluD), bits(3*geluD))
	slices.Sort(all)
	for _, b := range slices.Compact(all) {
		for at := range 16 {
			fmt.Fprintf(l, "DATA number%08x<>+%d(SB)/4, $0x%08x\n", b, 4*at, b)
		}
		fmt.Fprintf(l, "GLOBL number%08x<>(SB), RODATA|NOPTR, $64\n", b)
	}
}
