//go:build goexperiment.simd

package llm

// SIMD reports whether this program was built to use the processor's vector
// instructions, GOEXPERIMENT=simd. Without them training takes several times
// as long.
const SIMD = true
