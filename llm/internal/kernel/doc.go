// Package kernel has the loops over numbers that take nearly all of the time of
// a training: products of matrices, and what is done to each element.
//
// # Definition
//
// Each kernel is defined by a plain loop in Go, and the order of every sum is
// part of the definition:
//
//   - A product adds its terms in the order of k, each by one fused
//     multiplication and addition, to zero or to what C had.
//   - A sum over a vector has sixteen partial sums, number i of the vector goes
//     to sum i modulo 16, and the sums are joined as a tree: 0 with 8, 1 with
//     9 and so on, then 0 with 4, with 2 and with 1.
//   - exp is one polynomial, in fused operations.
//
// So the kernels for AVX-512, for AVX2 with FMA, for Neon, and the plain loops give
// the same bits, and so does any division of the work among goroutines that leaves
// the sums whole. Numbers that are none (NaN) are the same as numbers that are
// none, not as bits.
//
// # Paths
//
// [Active] is the best path of this processor, unless [Use] chose another one.
// The assembly is written by the command in gen.
package kernel

//go:generate go run ./gen .
