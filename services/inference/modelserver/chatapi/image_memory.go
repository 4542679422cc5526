package chatapi

import (
	"context"
	"os"

	"golang.org/x/sync/semaphore"

	"github.com/tunebus/tunebus/pipeline/dataset/row"
)

// imageMemory bounds the bytes of the images whose rows are asked at once.
const imageMemory = 8 * MaxImages

// ImageMemory bounds the memory that the images of calls take.
type ImageMemory struct{ free *semaphore.Weighted }

// NewImageMemory returns a bound for the calls of a job.
func NewImageMemory() ImageMemory { return ImageMemory{semaphore.NewWeighted(imageMemory)} }

// Take waits until the images of a row may be read, and returns what ends that.
func (m ImageMemory) Take(ctx context.Context, r row.Row) (done func(), err error) {
	if len(r.Images) == 0 {
		return func() {}, nil
	}
	size := int64(1)
	for _, image := range r.Images {
		size += sizeOf(image)
	}
	size = min(size, MaxImages) // more than that is not read
	if err := m.free.Acquire(ctx, size); err != nil {
		return nil, context.Cause(ctx)
	}
	return func() { m.free.Release(size) }, nil
}

// sizeOf is the size of an encoded image; the largest one if it is not known.
func sizeOf(image row.Image) int64 {
	if image.Path == "" {
		return int64(len(image.Data))
	}
	info, err := os.Stat(image.Path)
	if err != nil {
		return MaxImages
	}
	return info.Size()
}
