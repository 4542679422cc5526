package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/services/intake/request"
)

// codeDeadLetter is the error code of a phase whose job became a dead letter.
const codeDeadLetter = "dead_letter"

// letterReader reads dead letters.
type letterReader interface {
	Get(ctx context.Context, sequence uint64) (deadletter.Letter, error)
}

// givenUp handles dead letters: it ends what waits for the message that was
// given up. The run of a job ends as a failure, and a request is rejected.
// Other messages have nobody who waits for them.
type givenUp struct {
	letters   letterReader
	runs      Runs // of the stream: a run with a job is not archived
	publisher publisher
	log       *slog.Logger
}

func (g *givenUp) handle(ctx context.Context, d delivery.Delivery) error {
	letter, err := g.letters.Get(ctx, d.Sequence)
	if errors.Is(err, deadletter.ErrNotFound) {
		return nil // discarded or redriven meanwhile
	}
	if err != nil {
		return err
	}
	if letter.Stream == events.StreamRequests {
		return g.rejectRequest(ctx, letter)
	}
	subject, err := events.ParseSubject(letter.Subject)
	phase, event, _ := strings.Cut(subject.Type, ".")
	if err != nil || event != events.EventRequested || !events.Phase(phase).Valid() {
		return nil
	}
	return g.endJob(ctx, subject.Run, events.Phase(phase), letter, d.Delivered)
}

// fencedTries is how often endJob lets another process be faster, before it takes
// what stands in its way for a fact that cannot be read, and looks for the run of the job.
const fencedTries = 5

// endJob completes the phase of a job as a failure, under a fencing token of its
// own, so that a worker that still has the job cannot complete it. Where a fact
// that cannot be read stands in the place of one of its own, the phase cannot be
// completed, and endJob publishes what follows from its failure.
func (g *givenUp) endJob(ctx context.Context, id string, p events.Phase, letter deadletter.Letter, delivered int) error {
	run, err := g.runs.Run(ctx, id)
	unreadable := isUnreadable(err)
	if err != nil && !unreadable {
		return err
	}
	if run.Accepted == nil && run.Deleted == nil && delivered < fencedTries {
		return &delivery.RetryAfter{Delay: 200 * time.Millisecond, Err: fmt.Errorf("run %s is unknown, or a copy of the stream answered that lags behind", id), Bounded: true}
	}
	state := run.Phases[p]
	if run.Accepted == nil || run.Completed != nil || state != nil && state.Completed != nil {
		return nil
	}
	if state == nil { // its job cannot be read
		state = &events.PhaseState{}
	}
	now := time.Now().UTC()
	completed := events.PhaseCompleted{
		RunID:      id,
		Phase:      p,
		Attempt:    state.NextAttempt(),
		Conclusion: events.Failure,
		StartedAt:  state.Began(),
		EndedAt:    now,
		Error: &events.Problem{
			Code: codeDeadLetter,
			Message: fmt.Sprintf("the job became dead letter %d, see \"tunebus dlq show %d\": %s",
				letter.Sequence, letter.Sequence, letter.Reason),
		},
	}
	if completed.StartedAt.IsZero() {
		completed.StartedAt = now
	}
	err = takeOver(ctx, g.publisher, completed)
	_, fenced := errors.AsType[*journal.FencedError](err)
	if err != nil && (!fenced || !unreadable || delivered < fencedTries) {
		return retryIfFenced(err)
	}
	g.log.Error("phase ended: its job became a dead letter", "run", id, "phase", p, "letter", letter.Sequence, "reason", letter.Reason)
	return g.publisher.PublishNext(ctx, completed, run)
}

// rejectRequest rejects a request that was neither accepted nor rejected. A run
// that was accepted goes on.
func (g *givenUp) rejectRequest(ctx context.Context, letter deadletter.Letter) error {
	var plain events.PipelineRequested
	var body struct {
		Data events.PipelineRequested `json:"data"` // of a CloudEvent
	}
	_ = json.Unmarshal(letter.Body, &plain) // a request that is no JSON names no run
	_ = json.Unmarshal(letter.Body, &body)
	req := plain
	if req.RunID == "" && req.RunName == "" && req.Labels == nil {
		req = body.Data
	}
	id := req.RunID
	if !events.ValidToken(id) {
		id = ""
	}
	made := id
	if made == "" {
		made = request.RunID(letter.Stream, letter.Original, letter.Time)
	}
	run, err := g.runs.Run(ctx, made)
	if err != nil && !isUnreadable(err) {
		return err
	}
	if run.Accepted != nil && run.Accepted.Lineage.RequestSequence == letter.Original {
		return g.publisher.PublishNext(ctx, *run.Accepted, run)
	}
	rejected := events.PipelineRejected{RequestSequence: letter.Original, RunID: id, RunName: request.NameOfRejected(req), Labels: events.LabelsOfRejected(req.Labels), Faults: []events.Fault{{
		Key: "request",
		Message: fmt.Sprintf("was given up and is dead letter %d, which \"tunebus dlq retry %d\" submits again: %s",
			letter.Sequence, letter.Sequence, letter.Reason),
	}}}
	_, err = g.publisher.Publish(ctx, rejected, journal.Fence{})
	if _, lost := errors.AsType[*journal.FencedError](err); lost {
		return nil // the request was rejected before it was given up
	}
	if err == nil {
		g.log.Error("request rejected: it became a dead letter", "request", letter.Original, "letter", letter.Sequence, "reason", letter.Reason)
	}
	return err
}
