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

// chosen is the point to die at, and at which time.
var chosen = sync.OnceValues(func() (Name, int64) {
	name, times, counted := strings.Cut(os.Getenv(Variable), "#")
	nth, err := strconv.ParseInt(times, 10, 64)
	if !counted || err != nil {
		nth = 1
	}
	return Name(name), nth
})

var hits atomic.Int64

// Here is the point called name.
func Here(name Name) {
	point, nth := chosen()
	if name != point || hits.Add(1) != nth {
		return
	}
	fmt.Fprintln(os.Stderr, Said(name))
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {} // until the signal arrives
}

// Publishing is the point before the publishing of ev.
func Publishing(ev events.Event) { Here(around(ev, "before")) }

// Published is the point after it.
func Published(ev events.Event) { Here(around(ev, "after")) }

// around names the points around a fact. Those of the phases are the same for
// all three.
func around(ev events.Event, when string) Name {
	first, event, _ := strings.Cut(ev.Type(), ".")
	switch ev.(type) {
	case events.PipelineCompleted:
		event = "pipeline_completed"
	case events.TrackingCompleted:
		event = "tracked"
	case events.PipelineRequested:
		event = first + "_" + event
	}
	return Name(event + "." + when)
}

// Reader is r, with the point called name after its first part.
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
