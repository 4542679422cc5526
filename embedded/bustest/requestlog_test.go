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

// TestRequestLogReadSpan: Read reads page by page within both bounds, also while
// new requests are published.
func TestRequestLogReadSpan(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	log := requestlog.New(s.conn)
	if n, err := log.Latest(t.Context()); err != nil || n != 0 {
		t.Errorf("the latest of an empty stream: %d, %v", n, err)
	}
	const many = 600 // a page holds 256
	var middle time.Time
	for i := range many {
		if i == many/2 {
			middle = time.Now()
		}
		if i == 10 {
			s.publishRaw(t, events.TypePipelineRequested, "junk", nil)
			continue
		}
		if _, err := s.js.PublishAsync(events.TypePipelineRequested, []byte(`{"specification": {}}`), jetstream.WithRetryAttempts(3)); err != nil {
			t.Fatal(err)
		}
		if i == many/2-1 {
			<-s.js.PublishAsyncComplete()
		}
	}
	<-s.js.PublishAsyncComplete()
	last, err := log.Latest(t.Context())
	if err != nil || last != many {
		t.Fatalf("%d requests, %v", last, err)
	}
	undecodable := 0
	read := func(span requestlog.Span) (first, n uint64) {
		t.Helper()
		if err := log.Read(t.Context(), span, func(d requestlog.Request, err error) error {
			if n++; first == 0 {
				first = d.Sequence
			}
			if err != nil {
				undecodable++
			} else if _, ok := d.Event.(events.PipelineRequested); !ok || !d.PlainJSON || d.Time.IsZero() {
				t.Errorf("request %d: %+v", d.Sequence, d)
			}
			if n == 1 { // a replay publishes while it reads
				s.publish(t, events.PipelineRequested{RunID: "more"})
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
		"all":             {requestlog.Span{Last: last}, 1, many},
		"from a sequence": {requestlog.Span{First: 590, Last: last}, 590, 11},
		"from a time":     {requestlog.Span{Since: middle, Last: last}, many/2 + 1, many / 2},
		"up to a time":    {requestlog.Span{First: 100, Until: middle}, 100, many/2 - 99},
		"after the last":  {requestlog.Span{First: 601, Last: last}, 0, 0},
	} {
		if first, n := read(c.span); first != c.first || n != c.n {
			t.Errorf("%s: %d from %d on, want %d from %d on", name, n, first, c.n, c.first)
		}
	}
	wantEqual(t, "requests that cannot be decoded", undecodable, 1)
	stop := errors.New("enough")
	if err := log.Read(t.Context(), requestlog.Span{}, func(requestlog.Request, error) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v, want the error of the reader", err)
	}
}
