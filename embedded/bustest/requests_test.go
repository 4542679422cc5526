package bustest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/requestlog"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestRequestsOfASpan: page by page, within both bounds, also while more come.
func TestRequestsOfASpan(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	if n, err := requestlog.New(b.bus).Latest(t.Context()); err != nil || n != 0 {
		t.Errorf("before the first: %d, %v", n, err)
	}
	const many = 600 // of which a page holds 256
	var middle time.Time
	for i := range many {
		if i == many/2 {
			middle = time.Now()
		}
		if i == 10 {
			b.raw(t, events.TypePipelineRequested, "junk", nil)
			continue
		}
		if _, err := b.js.PublishAsync(events.TypePipelineRequested, []byte(`{"specification": {}}`), jetstream.WithRetryAttempts(3)); err != nil {
			t.Fatal(err)
		}
		if i == many/2-1 {
			<-b.js.PublishAsyncComplete()
		}
	}
	<-b.js.PublishAsyncComplete()
	last, err := requestlog.New(b.bus).Latest(t.Context())
	if err != nil || last != many {
		t.Fatalf("%d requests, %v", last, err)
	}
	broken := 0
	read := func(span requestlog.Span) (first, n uint64) {
		t.Helper()
		if err := requestlog.New(b.bus).Read(t.Context(), span, func(d requestlog.Request, err error) error {
			if n++; first == 0 {
				first = d.Sequence
			}
			if err != nil {
				broken++
			} else if _, ok := d.Event.(events.PipelineRequested); !ok || !d.PlainJSON || d.Time.IsZero() {
				t.Errorf("request %d: %+v", d.Sequence, d)
			}
			if n == 1 { // as a replay does
				b.publish(t, events.PipelineRequested{RunID: "more"})
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return first, n
	}
	for name, c := range map[string]struct {
		span     requestlog.Span
		first, n uint64
	}{
		"all":           {requestlog.Span{Last: last}, 1, many},
		"from a number": {requestlog.Span{First: 590, Last: last}, 590, 11},
		"from a time":   {requestlog.Span{Since: middle, Last: last}, many/2 + 1, many / 2},
		"up to a time":  {requestlog.Span{First: 100, Until: middle}, 100, many/2 - 99},
		"nothing":       {requestlog.Span{First: 601, Last: last}, 0, 0},
	} {
		if first, n := read(c.span); first != c.first || n != c.n {
			t.Errorf("%s: %d from %d on, want %d from %d on", name, n, first, c.n, c.first)
		}
	}
	if broken != 1 {
		t.Errorf("%d could not be read, want 1", broken)
	}
	stop := errors.New("enough")
	if err := requestlog.New(b.bus).Read(t.Context(), requestlog.Span{}, func(requestlog.Request, error) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped with %v", err)
	}
}
