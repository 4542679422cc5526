package trainer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// waitInterval is how often a job that waits for devices says that it is alive.
const waitInterval = 10 * time.Second

// deviceSlots are the devices of the slots of a worker: values of CUDA_VISIBLE_DEVICES.
// They are safe for concurrent use.
type deviceSlots struct {
	mu    sync.Mutex
	free  []string
	most  int           // devices of the largest slot
	freed chan struct{} // closed when one is freed, and made again
}

// newDeviceSlots returns nil if the devices are those of the worker itself.
func newDeviceSlots(slots []string) *deviceSlots {
	if len(slots) == 0 {
		return nil
	}
	s := &deviceSlots{free: slices.Clone(slots), freed: make(chan struct{})}
	slices.SortStableFunc(s.free, func(a, b string) int { return count(a) - count(b) })
	s.most = count(s.free[len(s.free)-1])
	return s
}

// count is how many devices a value names.
func count(devices string) int {
	return len(strings.FieldsFunc(devices, func(r rune) bool { return r == ',' }))
}

// take takes the smallest slot that has so many devices, until it is freed. A job that
// no slot has enough for is refused.
func (s *deviceSlots) take(ctx context.Context, wanted int) (devices string, free func(), err error) {
	if s == nil {
		return "", func() {}, nil
	}
	if wanted > s.most {
		return "", nil, engine.Permanent(child.BadKey, fmt.Errorf("fine_tuner.devices = %d, and a slot of this worker has %d at most; lower it, "+
			"or give a slot more (services.finetune.devices)", wanted, s.most))
	}
	defer progress.Doing(ctx, fmt.Sprintf("waiting for a slot with %d devices", wanted))()
	waiting := time.NewTicker(waitInterval)
	defer waiting.Stop()
	for {
		devices, freed := s.tryTake(wanted)
		if devices != "" {
			return devices, func() { s.giveBack(devices) }, nil
		}
		select {
		case <-freed:
		case <-waiting.C: // a larger slot works on another job, which takes what it takes
			progress.Advance(ctx, 1)
		case <-ctx.Done(): // work that hangs has them
			return "", nil, context.Cause(ctx)
		}
	}
}

func (s *deviceSlots) tryTake(wanted int) (devices string, freed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range s.free {
		if count(d) >= wanted {
			s.free = slices.Delete(s.free, i, i+1)
			return d, nil
		}
	}
	return "", s.freed
}

func (s *deviceSlots) giveBack(devices string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, _ := slices.BinarySearchFunc(s.free, devices, func(a, b string) int { return count(a) - count(b) })
	s.free = slices.Insert(s.free, at, devices)
	close(s.freed)
	s.freed = make(chan struct{})
}
