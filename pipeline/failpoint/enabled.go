//go:build failpoint

package failpoint

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tunebus/tunebus/events"
)

// target returns the point in the variable and the number of the hit.
var target = sync.OnceValues(func() (Name, int64) {
	name, number, hasNumber := strings.Cut(os.Getenv(Variable), "#")
	nth, err := strconv.ParseInt(number, 10, 64)
	if !hasNumber || err != nil {
		nth = 1
	}
	return Name(name), nth
})

var hits atomic.Int64

// Here kills the process if name is the target.
func Here(name Name) {
	point, nth := target()
	if name != point || hits.Add(1) != nth {
		return
	}
	fmt.Fprintln(os.Stderr, Output(name))
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {} // wait for the signal
}

// Publishing is the point before ev is published.
func Publishing(ev events.Event) { Here(around(ev, "before")) }

// Published is the point after ev was published.
func Published(ev events.Event) { Here(around(ev, "after")) }

// around returns the name of a point before or after a fact. The three phases have
// the same points.
func around(ev events.Event, when string) Name {
	first, event, _ := strings.Cut(ev.Type(), ".")
	switch ev.(type) {
	case events.PipelineCompleted:
		event = "pipeline_completed"
	case events.TrackingCompleted:
		event = "tracked"
	case events.PublishedCompleted:
		event = "published"
	case events.PipelineDeleted:
		event = "run_deleted"
	case events.PipelineRequested:
		event = first + "_" + event
	}
	return Name(event + "." + when)
}

// Reader returns a reader of r with a point after the first read.
func Reader(name Name, r io.Reader) io.Reader { return &reader{name: name, r: r} }

type reader struct {
	name Name
	r    io.Reader
	sent bool
}

func (r *reader) Read(p []byte) (int, error) {
	if r.sent {
		Here(r.name)
	}
	n, err := r.r.Read(p)
	r.sent = r.sent || n > 0
	return n, err
}
