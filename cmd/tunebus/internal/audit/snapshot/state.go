package snapshot

import (
	"time"

	"github.com/tunebus/tunebus/events"
)

// State is everything that a pipeline left behind after its services ended and
// "tunebus gc" ran.
type State struct {
	// The messages of the streams, in order.
	Requests, Facts, Metrics, Dead []Message
	Consumers                      []Consumer
	// Keys are the keys of each key-value bucket.
	Keys map[string][]string

	// Store is the id of the artifact store; Artifacts are its objects by key.
	Store     string
	Artifacts map[string]Object
	// Tracked are the runs of the MLflow store.
	Tracked []TrackedRun
	// Reports are the files in the report folder of each run; List is the list
	// of runs.
	Reports map[string]map[string][]byte
	List    []Line

	// Left names things that should not exist: temporary files, scratch folders,
	// processes.
	Left []string

	// Ends are the allowed conclusions of a run, by its id. A run without an
	// entry has to succeed.
	Ends map[string][]events.Conclusion
	// Outages are the times in which NATS was unreachable.
	Outages []Outage
}

// Outage is a time in which a process could not register a checkpoint, because
// NATS was unreachable: from the end of NATS until the process has had time to
// reconnect.
type Outage struct {
	// PID is the process; 0 means every process.
	PID      int
	From, To time.Time
}

// Message is a stored message.
type Message struct {
	Sequence uint64
	Subject  string
	ID       string
	Time     time.Time
	Body     []byte
}

// Consumer is a durable consumer with its numbers of undelivered messages and of
// delivered messages that are not settled.
type Consumer struct {
	Stream, Name        string
	Pending, AckPending uint64
}

// Unsettled returns the number of messages that are not settled.
func (c Consumer) Unsettled() uint64 { return c.Pending + c.AckPending }

// Object is an object of the artifact store.
type Object struct {
	Size   int64
	SHA256 string
	// Content is empty for large objects.
	Content []byte
}

// TrackedRun is a run of the MLflow store.
type TrackedRun struct {
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

// Point is a point of the history of a metric.
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
