// Package allocator limits the memory that an Arrow file can ask for: its numbers say
// how large a record batch is, before anything of it is read.
package allocator

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// MaxBatch limits the memory for a record batch, in bytes, which is read as a whole.
const MaxBatch = 512 << 20

// New returns an allocator for the record batches of one file.
func New() *Bounded { return &Bounded{Allocator: memory.NewGoAllocator()} }

// Bounded is a [memory.Allocator] that panics with a [*TooLargeError] beyond twice
// [MaxBatch].
type Bounded struct {
	memory.Allocator
	used int
}

// TooLargeError means that a record batch takes more memory than MaxBatch.
type TooLargeError struct{}

// Error implements error.
func (*TooLargeError) Error() string {
	return fmt.Sprintf("the record batch that begins here takes more than %d MiB; Arrow's writers limit batches with chunksize or max_chunksize", MaxBatch>>20)
}

// grow panics as the interface has no error. Who calls the decoder recovers.
func (b *Bounded) grow(size int) {
	if size < 0 || b.used+size > 2*MaxBatch { // a batch as stored, and unpacked
		panic(&TooLargeError{})
	}
	b.used += size
}

// Allocate implements memory.Allocator.
func (b *Bounded) Allocate(size int) []byte {
	b.grow(size)
	return b.Allocator.Allocate(size)
}

// Reallocate implements memory.Allocator.
func (b *Bounded) Reallocate(size int, old []byte) []byte {
	b.grow(size - min(len(old), size))
	b.used -= max(0, len(old)-size)
	return b.Allocator.Reallocate(size, old)
}

// Free implements memory.Allocator.
func (b *Bounded) Free(old []byte) {
	b.used -= len(old)
	b.Allocator.Free(old)
}
