package audit

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
)

// State is what a pipeline left behind. Its services have ended, and what
// "tunebus gc" collects has been collected.
type State struct {
	// The streams, in their order.
	Requests, Facts, Metrics, Dead []Message
	Consumers                      []Consumer
	// Keys are the keys of each key-value bucket.
	Keys map[string][]string

	// Store is the id of the artifact store, Artifacts what lies in it by key.
	Store     string
	Artifacts map[string]Object
	// Tracked are the runs of the MLflow store.
	Tracked []TrackedRun
	// Reports are the files of each run's folder of reports, and List is the
	// list of runs.
	Reports map[string]map[string][]byte
	List    []Line

	// Left names what is there and belongs to nothing: temporary files, scratch
	// folders, processes.
	Left []string

	// Ends are the conclusions that a run may have, by its id. A run that is
	// not named has to succeed.
	Ends map[string][]events.Conclusion
	// Outages are when NATS was away, as far as a process is concerned: from
	// its end until the process had time to come back.
	Outages []Outage
}

// Outage is a time in which a process could tell nobody of a checkpoint.
type Outage struct {
	// PID is the process. 0 is every one.
	PID      int
	From, To time.Time
}

// PID is the process that a worker's name tells of, as [conn.ProcessName] makes
// it; ok is false for other names.
func PID(worker string) (pid int, ok bool) {
	parts := strings.Split(worker, "-") // host, process and a nonce
	if len(parts) < 3 {
		return 0, false
	}
	pid, err := strconv.Atoi(parts[len(parts)-2])
	return pid, err == nil
}

// Message is a stored message.
type Message struct {
	Sequence uint64
	Subject  string
	ID       string
	Time     time.Time
	Body     []byte
}

// Consumer is a durable consumer: how many messages it was not given yet, and
// how many it was given and nobody has settled.
type Consumer struct {
	Stream, Name  string
	Pending, Held uint64
}

// Object is an artifact as it lies in the store.
type Object struct {
	Size   int64
	SHA256 string
	// Content is that of small objects.
	Content []byte
}

// TrackedRun is a run of the MLflow store.
type TrackedRun struct {
	// Folder is where it lies, as the object's name.
	Folder         string
	ID, Experiment string
	// Status is MLflow's number: 1 running, 3 finished, 4 failed, 5 killed.
	Status  string
	EndTime int64 // milliseconds
	Tags    map[string]string
	Params  map[string]string
	Metrics map[string][]Point
	// Artifacts are the digests of its files.
	Artifacts map[string]string
}

// Point is a point of a metric's history.
type Point struct {
	Value float64
	Step  int64
	Time  int64 // milliseconds
}

// Line is a line of the list of runs.
type Line struct {
	RunID  string `json:"run_id"`
	Status string `json:"status"`
}

// Kind says what sort of fault it is.
type Kind string

// The kinds of faults.
const (
	Lost       Kind = "lost"       // something has to be there and is not
	Duplicated Kind = "duplicated" // something is there twice, or was done twice
	Stuck      Kind = "stuck"      // something waits, and nobody is left to wait for
	Torn       Kind = "torn"       // something is not what it should be
	Failed     Kind = "failed"     // a run ended otherwise than it should
	Left       Kind = "left"       // something remains that should not
	Repeated   Kind = "repeated"   // more was done again than had to be
)

// Fault is one thing that is wrong.
type Fault struct {
	Kind Kind
	// Object is what it is wrong with: a subject, a key, a folder.
	Object string
	Text   string
}

func (f Fault) String() string { return fmt.Sprintf("%s: %s: %s", f.Kind, f.Object, f.Text) }

// Check returns everything that is wrong with s.
func Check(s State) []Fault {
	c := &check{state: s}
	c.read()
	c.requests()
	for _, id := range c.order {
		run := c.runs[id]
		c.story(run)
		c.attempts(run)
		c.work(run)
		c.references(run)
		c.tracking(run)
		c.reports(run)
	}
	c.unknown()
	c.unsettled()
	c.remains()
	return c.faults
}

type check struct {
	state  State
	faults []Fault

	order []string // of runs, as they were accepted
	runs  map[string]*story

	answers map[uint64][]string // to each request: the subjects
	refs    map[string]bool     // keys of artifacts that somebody refers to
}

func (c *check) add(kind Kind, object, text string, args ...any) {
	c.faults = append(c.faults, Fault{kind, object, fmt.Sprintf(text, args...)})
}
