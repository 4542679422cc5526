package modelserver

import (
	"context"
	"os"

	"golang.org/x/sync/semaphore"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/services/inference/modelserver/chatapi"
)

// imageMemory bounds the bytes of the images whose rows are asked at once.
const imageMemory = 8 * chatapi.MaxImages

// images bounds the memory that the images of calls take.
type images struct{ free *semaphore.Weighted }

func newImages() images { return images{semaphore.NewWeighted(imageMemory)} }

// take waits until the images of a row may be read, and returns what ends that.
func (m images) take(ctx context.Context, r row.Row) (done func(), err error) {
	if len(r.Images) == 0 {
		return func() {}, nil
	}
	size := int64(1)
	for _, image := range r.Images {
		size += sizeOf(image)
	}
	size = min(size, chatapi.MaxImages) // more than that is not read
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
		return chatapi.MaxImages
	}
	return info.Size()
}

// ask has the model of a pass answer the question of a row. change, if set, edits the call.
func (w *work) ask(ctx context.Context, p pass, s events.Inferencer, r row.Row, index int64, change func(*chatapi.Request)) (chatapi.Reply, error) {
	done, err := w.images.take(ctx, r)
	if err != nil {
		return chatapi.Reply{}, err
	}
	defer done()
	q, err := p.request(s, r, index)
	if err != nil {
		return chatapi.Reply{}, err
	}
	if change != nil {
		change(&q)
	}
	return w.caller.ask(ctx, q, p.reload)
}
