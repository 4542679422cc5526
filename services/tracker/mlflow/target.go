package mlflow

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Target is a place that keeps MLflow runs. It may be used by several
// goroutines.
type Target interface {
	// Experiment returns the id of the experiment with this name. It creates
	// the experiment where there is none and restores a deleted one.
	Experiment(ctx context.Context, name string) (string, error)
	// EnsureRun returns the id of the run with this key, creating it as r
	// describes where there is none. An existing run is left as it is. If
	// several runs have the key, the oldest stays and the others are deleted;
	// of those that started together one that has ended, else the first by id.
	// One writer at a time works on a key; of two that meet all the same, one
	// may find its run deleted, and has to begin again.
	EnsureRun(ctx context.Context, experimentID string, key RunKey, r Run) (string, error)
	// LogParams adds parameters. MLflow never changes a parameter: one that has
	// another value already keeps it, and a *ParamConflictError names it after
	// all others were written.
	LogParams(ctx context.Context, runID string, params []Param) error
	// LogMetrics adds metric points; a point that is there already is not added again.
	LogMetrics(ctx context.Context, runID string, points []Metric) error
	// SetTags sets tags; the newest value stays.
	SetTags(ctx context.Context, runID string, tags []Tag) error
	// LogInputs adds data sets as inputs. A run holds a data set (name and
	// digest) once: the first context stays.
	LogInputs(ctx context.Context, runID string, datasets []Dataset) error
	// PutArtifact stores a file, replacing one with the same path.
	PutArtifact(ctx context.Context, runID string, a Artifact) error
	// ListArtifacts lists one level of the artifacts of a run, sorted by path.
	// An empty dir is the top; a dir that does not exist is empty.
	ListArtifacts(ctx context.Context, runID, dir string) ([]ArtifactInfo, error)
	// EndRun sets the status of a run, which is not Running, and its end time.
	EndRun(ctx context.Context, runID string, status Status, end time.Time) error
	// RunURL is where a person finds the run.
	RunURL(experimentID, runID string) string
}

// Tags by which a run is found again.
const (
	TagRunID  = "tunebus.run_id"
	TagPhase  = "tunebus.phase"
	tagParent = "mlflow.parentRunId"
	tagName   = "mlflow.runName"
	tagUser   = "mlflow.user"
)

// RunKey says which run of the pipeline an MLflow run shows.
type RunKey struct {
	RunID string // id of the pipeline run
	Phase string // name of the phase; "pipeline" or any other fixed word for the parent
}

// Run is what a new MLflow run starts with.
type Run struct {
	Name      string
	StartTime time.Time
	Tags      []Tag
	ParentID  string // id of the MLflow parent run; empty for a parent
}

// Param is a parameter of a run, written once.
type Param struct{ Key, Value string }

// Tag is a tag of a run.
type Tag struct{ Key, Value string }

// Metric is one point of a metric's history.
type Metric struct {
	Key       string
	Value     float64 // may be NaN or infinite
	Timestamp time.Time
	Step      int64
}

// Dataset is an input of a run.
type Dataset struct {
	Name       string
	Digest     string // cut at 36 characters
	SourceType string // as MLflow names it: "hf", "local", "http", ...
	Source     string // JSON, such as {"uri":"file:///data/train.jsonl"}
	Schema     string // JSON, may be empty
	Profile    string // JSON, may be empty
	Context    string // "training", "validation", "testing", ...
}

// Artifact is a file to store with a run.
type Artifact struct {
	Path string // relative, with forward slashes
	Size int64  // bytes; -1 where it is not known
	// Open returns the content from its beginning. It is called once for every
	// try, since a broken upload leaves nothing and is repeated as a whole.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// ArtifactInfo is one entry of a list of artifacts.
type ArtifactInfo struct {
	Path string // from the top of the run's artifacts
	Size int64  // bytes; 0 for a folder
	Dir  bool
}

// Status is the status of a run, in MLflow's words.
type Status string

// The statuses of a run.
const (
	Running  Status = "RUNNING"
	Finished Status = "FINISHED"
	Failed   Status = "FAILED"
	Killed   Status = "KILLED"
)

// number is how the file layout writes the status; 0 for an unknown one.
func (s Status) number() int {
	switch s {
	case Running:
		return 1
	case Finished:
		return 3
	case Failed:
		return 4
	case Killed:
		return 5
	default:
		return 0
	}
}

// checkEnd refuses a status that is no end; one that MLflow does not know
// would be swallowed in silence.
func (s Status) checkEnd() error {
	if s == Running || s.number() == 0 {
		return fmt.Errorf("status %q: use %s, %s or %s", string(s), Finished, Failed, Killed)
	}
	return nil
}

// checkExperiment refuses a name that MLflow has no experiment for.
func checkExperiment(name string) error {
	if strings.TrimSpace(name) == "" {
		return errors.New("find experiment: its name is empty")
	}
	return nil
}

var (
	// ErrNoRun says that a run does not exist.
	ErrNoRun = errors.New("no such run")
	// ErrUnavailable says that the server could not be reached or stayed
	// unable to answer for all tries. The same call may succeed later.
	ErrUnavailable = errors.New("server unavailable")
)

// ParamConflictError says that parameters have other values already. MLflow
// keeps the old ones.
type ParamConflictError struct {
	RunID string
	Keys  []string // sorted
}

// Error names the parameters, not their values.
func (e *ParamConflictError) Error() string {
	return fmt.Sprintf("log parameters of run %s: %s: another value is there already and stays", e.RunID, strings.Join(e.Keys, ", "))
}

// Options says how a target is reached. Its zero value is usable; the file
// layout needs none of it.
type Options struct {
	Username string // basic authentication, with Password
	Password string
	Token    string // bearer token; wins over Username

	Tries   int           // tries of a request that may be repeated; default 5
	Backoff time.Duration // wait before the second try, doubled for each further one up to 10 s; default 250 ms
	Timeout time.Duration // limit of one try, artifacts apart; default 120 s

	TLS       *tls.Config       // for https; default: the system's certificates
	Transport http.RoundTripper // default: one with the system's proxies, and TLS
}

func (o Options) withDefaults() Options {
	if o.Tries < 1 {
		o.Tries = 5
	}
	if o.Backoff <= 0 {
		o.Backoff = 250 * time.Millisecond
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	return o
}

// Open returns the target that uri names: http:// and https:// are a server,
// file: is a folder in MLflow's layout (file:./mlruns, file:///abs/mlruns).
// Nothing is reached or written before the first call of the target.
func Open(uri string, opt Options) (Target, error) {
	u, err := url.Parse(uri)
	if err != nil {
		// The cause repeats the address, which may hold a password.
		return nil, errors.New("open tracking address: not a URL")
	}
	switch u.Scheme {
	case "http", "https":
		return newREST(u, opt.withDefaults())
	case "file":
		return newFile(u)
	default:
		return nil, fmt.Errorf("open tracking address: scheme %q is none of http, https and file", u.Scheme)
	}
}

// millis is a time as MLflow writes it; it refuses negative ones.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMilli(), 0)
}
