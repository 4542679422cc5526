package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/requestlog"
)

// Requests reads the stream of requests.
type Requests interface {
	// Latest is the sequence of the newest request; 0 without any.
	Latest(ctx context.Context) (uint64, error)
	// Read calls each for every request of a span. The error is that of a
	// request that cannot be decoded.
	Read(ctx context.Context, span requestlog.Span, each func(requestlog.Request, error) error) error
}

// Facts reads the newest message of a subject.
type Facts interface {
	Latest(ctx context.Context, subject string) (codec.Message, error)
}

// Publisher publishes events.
type Publisher interface {
	Publish(ctx context.Context, ev events.Event, fence journal.Fence) (codec.Message, error)
}

// Intake is what intake makes of a request.
type Intake struct {
	// RunID is the id that intake gives to the run of a request without one.
	RunID func(requestlog.Request) string
	// UnknownKeys finds the keys of a plain JSON request that intake rejects.
	UnknownKeys func(data []byte) []events.Fault
	// NewID makes the id of a new run.
	NewID func() string
}

// Selection selects the requests to replay.
type Selection struct {
	Span requestlog.Span
	// Labels have to be there all together.
	Labels []Label
	// Replayed takes requests that are replays themselves, Rejected those that
	// were rejected.
	Replayed, Rejected bool
}

// Label is a label that a request has to have.
type Label struct {
	Name, Value string
	// AnyValue is set if only the name matters.
	AnyValue bool
}

func (s Selection) wants(req events.PipelineRequested) bool {
	for _, l := range s.Labels {
		if v, ok := req.Labels[l.Name]; !ok || !l.AnyValue && v != l.Value {
			return false
		}
	}
	return true
}

// Replay goes through past requests.
type Replay struct {
	Requests  Requests
	Facts     Facts
	Publisher Publisher
	Intake    Intake

	Selection Selection
	Overrides Overrides
	// DryRun submits nothing.
	DryRun bool
}

// Submitted is a request that was submitted again, or would be. Its JSON is
// part of the interface of commands.
type Submitted struct {
	Request uint64    `json:"request"`
	Time    time.Time `json:"requested_at"`
	// OldRun is the run that the request made, RunID the one that it makes
	// now; empty in a dry run.
	OldRun string `json:"old_run"`
	RunID  string `json:"run_id,omitempty"`
}

// Reason is why a request is left out.
type Reason int

// The reasons.
const (
	Unreadable Reason = iota + 1
	IsReplay          // taken with [Selection.Replayed]
	Rejected          // taken with [Selection.Rejected]
	UnknownKey
	Deleted  // the run of the request was deleted
	Unwanted // it has not the labels of the selection
)

// Skipped is a request that is left out.
type Skipped struct {
	Request uint64
	Reason  Reason
	// Why is the reason in words; of an [Unwanted] one empty, unless its run may be wanted.
	Why string
}

// InterruptedError says that a replay ended before its last request.
type InterruptedError struct {
	// Submitted is the newest request that was submitted again.
	Submitted uint64
	Err       error
}

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("%v; the requests up to %d were submitted", e.Err, e.Submitted)
}

// Unwrap returns the cause.
func (e *InterruptedError) Unwrap() error { return e.Err }

// Bound ends the span at the newest request, so that the replay does not see
// the requests that it submits. It reports whether there are any requests.
func (r *Replay) Bound(ctx context.Context) (bool, error) {
	last, err := r.Requests.Latest(ctx)
	if err != nil {
		return false, err
	}
	if end := &r.Selection.Span.Last; *end == 0 || *end > last {
		*end = last
	}
	return last > 0, nil
}

// Check calls skipped for each request that is left out. The error names the
// faults that the overrides bring into the others, and those whose size intake would
// reject.
func (r *Replay) Check(ctx context.Context, skipped func(Skipped)) error {
	var faults faultSummary
	err := r.each(ctx, func(d requestlog.Request, req events.PipelineRequested) error {
		faults.add(d.Sequence, r.Overrides.faults(req))
		return nil
	}, skipped)
	if err != nil {
		return err
	}
	if len(r.Overrides.tree.Sections) == 0 {
		return faults.err("a request would be rejected")
	}
	return faults.err("the changes do not fit")
}

// Submit submits the requests and calls each after every one. files are
// references to the files that the overrides name, by key. The error is an
// [*InterruptedError] if some requests were submitted before it.
func (r *Replay) Submit(ctx context.Context, files map[string]events.Reference, each func(Submitted) error) error {
	newest := uint64(0)
	err := r.each(ctx, func(d requestlog.Request, req events.PipelineRequested) error {
		row := Submitted{Request: d.Sequence, Time: d.Time.UTC(), OldRun: r.oldRun(d, req)}
		if !r.DryRun {
			row.RunID = r.Intake.NewID()
			if err := r.submit(ctx, d, req, row.RunID, files); err != nil {
				return err
			}
			newest = d.Sequence
		}
		return each(row)
	}, func(Skipped) {})
	if err != nil && newest > 0 {
		return &InterruptedError{Submitted: newest, Err: err}
	}
	return err
}

// each calls take for the requests that are replayed, and skip for those that
// are left out.
func (r *Replay) each(ctx context.Context, take func(requestlog.Request, events.PipelineRequested) error, skip func(Skipped)) error {
	return r.Requests.Read(ctx, r.Selection.Span, func(d requestlog.Request, err error) error {
		req, ok := d.Event.(events.PipelineRequested)
		if err != nil || !ok {
			skip(Skipped{d.Sequence, Unreadable, fmt.Sprintf("it cannot be read: %v", err)})
			return nil
		}
		if !r.Selection.wants(req) {
			why := ""
			if req.RerunOf != "" && len(req.Labels) == 0 {
				why = fmt.Sprintf("it repeats run %s and names no labels, and only the run has those of that one", req.RerunOf)
			}
			skip(Skipped{d.Sequence, Unwanted, why})
			return nil
		}
		reason, why, err := r.leaveOut(ctx, d, req)
		if err != nil {
			return err
		}
		if reason != 0 {
			skip(Skipped{d.Sequence, reason, why})
			return nil
		}
		return take(d, req)
	})
}

// leaveOut returns the reason why a request is left out; 0 if it is not.
func (r *Replay) leaveOut(ctx context.Context, d requestlog.Request, req events.PipelineRequested) (Reason, string, error) {
	if req.ReplayOf != 0 && !r.Selection.Replayed {
		return IsReplay, fmt.Sprintf("it is a replay of request %d", req.ReplayOf), nil
	}
	if d.PlainJSON {
		if unknown := r.Intake.UnknownKeys(d.Data); len(unknown) > 0 {
			return UnknownKey, fmt.Sprintf("its key %q is unknown, so it was rejected", unknown[0].Key), nil
		}
	}
	if _, err := r.Overrides.Apply(req.Specification); err != nil {
		return Unreadable, fmt.Sprintf("its specification cannot be read: %v", err), nil
	}
	if deleted, err := r.deleted(ctx, d, req); err != nil || deleted {
		return Deleted, "its run was deleted", err
	}
	if r.Selection.Rejected {
		return 0, "", nil
	}
	_, err := r.Facts.Latest(ctx, events.PipelineRejected{RequestSequence: d.Sequence}.Subject())
	if errors.Is(err, history.ErrNotFound) {
		return 0, "", nil
	}
	if err != nil && !codec.IsUndecodable(err) {
		return 0, "", err
	}
	return Rejected, "it was rejected", nil
}

// deleted reports whether the run that a request made was deleted.
func (r *Replay) deleted(ctx context.Context, d requestlog.Request, req events.PipelineRequested) (bool, error) {
	id := r.oldRun(d, req)
	if !events.ValidToken(id) {
		return false, nil
	}
	m, err := r.Facts.Latest(ctx, events.PipelineDeleted{RunID: id}.Subject())
	if errors.Is(err, history.ErrNotFound) {
		return false, nil
	}
	if err != nil && !codec.IsUndecodable(err) {
		return false, err
	}
	deletion, _ := m.Event.(events.PipelineDeleted)
	return deletion.RequestSequence == d.Sequence, nil
}

// oldRun is the run that a request made.
func (r *Replay) oldRun(d requestlog.Request, req events.PipelineRequested) string {
	if req.RunID != "" {
		return req.RunID
	}
	return r.Intake.RunID(d)
}

func (r *Replay) submit(ctx context.Context, d requestlog.Request, req events.PipelineRequested, id string, files map[string]events.Reference) error {
	specification, err := r.Overrides.Apply(req.Specification)
	if err != nil {
		return err
	}
	req.Specification, req.Inputs.Files = specification, r.Overrides.inputs(req.Inputs.Files, files)
	req.RunID, req.ReplayOf = id, d.Sequence
	_, err = r.Publisher.Publish(ctx, req, journal.Fence{})
	return err
}
