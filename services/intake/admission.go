package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/intake/request"
)

// archiveMinAge is younger than any request whose run can be in the archive
// already.
const archiveMinAge = time.Minute

// queueIndex knows the declared queues of a phase.
type queueIndex interface {
	HasQueue(ctx context.Context, p events.Phase, queue string) (bool, error)
}

// factReader reads the newest fact on a subject. The error is [history.ErrNotFound] if
// there is none.
type factReader interface {
	Latest(ctx context.Context, subject string) (codec.Message, error)
}

// admission handles pipeline.requested: it publishes pipeline.accepted and the
// first job, or pipeline.rejected.
type admission struct {
	rules      request.Rules
	runs       Runs // of the stream and the archive
	streamRuns Runs // only of the stream
	facts      factReader
	queues     queueIndex
	inputs     InputReserver
	capacity   *capacityGate
	publisher  publisher
	log        *slog.Logger
}

func (a *admission) handle(ctx context.Context, d delivery.Delivery) error {
	req, ok := d.Event.(events.PipelineRequested)
	if !ok {
		return &delivery.DeadLetterError{Err: fmt.Errorf("%s is no request", d.Subject)}
	}
	id := req.RunID
	if id == "" {
		id = request.RunID(d.Stream, d.Sequence, d.Time)
	}
	if rejected, err := a.wasRejected(ctx, d); err != nil || rejected {
		return err
	}
	existing, done, err := a.findExisting(ctx, d, req, id)
	if err != nil || done {
		return err
	}
	if err := a.capacity.waitForCapacity(ctx, d.Delivered); err != nil {
		return err
	}
	accepted, faults, err := a.decide(ctx, d, req, id)
	if err != nil {
		return err
	}
	if existing {
		faults = append(faults, runIDTaken(id))
	}
	if len(faults) == 0 {
		if faults, err = a.reserveInputs(ctx, accepted.Inputs); err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		return a.reject(ctx, d, req, faults)
	}
	return a.accept(ctx, d, req, accepted)
}

// wasRejected reports whether a request has been rejected. Its answer stays, although it
// might be accepted now: a consumer that was made anew delivers all requests again.
func (a *admission) wasRejected(ctx context.Context, d delivery.Delivery) (bool, error) {
	_, err := a.facts.Latest(ctx, events.PipelineRejected{RequestSequence: d.Sequence}.Subject())
	switch {
	case errors.Is(err, history.ErrNotFound):
		return false, nil
	case err != nil && !codec.IsUndecodable(err): // a rejection that a later version wrote is one, too
		return false, err
	}
	return true, nil
}

// findExisting looks for a run with the id that a request would create. If an
// earlier delivery of this request created it, findExisting publishes its next
// event, which that delivery may not have done, and returns done. A run that
// exists and can not be read is a reason to reject the request at once.
func (a *admission) findExisting(
	ctx context.Context, d delivery.Delivery, req events.PipelineRequested, id string,
) (existing, done bool, err error) {
	if !events.ValidToken(id) {
		return false, false, nil
	}
	run, err := a.runsFor(d, req).Run(ctx, id)
	if err != nil && !isUnreadable(err) {
		return false, false, err
	}
	if run.Deleted != nil {
		if run.Deleted.RequestSequence == d.Sequence {
			return true, true, nil // this request made the run, and is answered
		}
		return true, true, a.reject(ctx, d, req, []events.Fault{runIDDeleted(id)})
	}
	if run.Accepted != nil && run.Accepted.Lineage.RequestSequence == d.Sequence {
		if run.Completed != nil {
			return true, true, nil // and it may be in the archive, where nothing follows
		}
		return true, true, a.publisher.PublishNext(ctx, *run.Accepted, run)
	}
	if err != nil {
		return true, true, a.reject(ctx, d, req, []events.Fault{runIDTaken(id)})
	}
	return run.Accepted != nil, false, nil
}

// runsFor returns where the run of a request can be. The first delivery of a
// recent request with a generated id can not have a run in the archive, and
// reading the archive costs a request to the artifact store.
func (a *admission) runsFor(d delivery.Delivery, req events.PipelineRequested) Runs {
	if req.RunID == "" && d.Delivered == 1 && time.Since(d.Time) < archiveMinAge {
		return a.streamRuns
	}
	return a.runs
}

func runIDTaken(id string) events.Fault {
	return events.Fault{
		Key:     "run_id",
		Value:   id,
		Message: "a run with this id exists already; leave run_id out, or choose another",
	}
}

func runIDDeleted(id string) events.Fault {
	return events.Fault{
		Key:     "run_id",
		Value:   id,
		Message: "a run with this id was deleted, and the id stays taken; leave run_id out, or choose another",
	}
}

// decide returns the accepted event of a request, or all of its faults.
func (a *admission) decide(
	ctx context.Context, d delivery.Delivery, req events.PipelineRequested, id string,
) (events.PipelineAccepted, []events.Fault, error) {
	faults := request.Check(req, id)
	if d.PlainJSON { // a person wrote it
		faults = append(faults, request.UnknownKeys(d.Data)...)
	}
	resolved, more, err := a.resolve(ctx, req)
	if err != nil {
		return events.PipelineAccepted{}, nil, err
	}
	// The sizes are the first of these, because a long list is cut at its end.
	faults = append(more, faults...)
	more, err = a.checkQueues(ctx, resolved.Plan)
	if err != nil {
		return events.PipelineAccepted{}, nil, err
	}
	faults = append(faults, more...)
	return events.PipelineAccepted{
		RunID:         id,
		RunName:       request.RunName(req, resolved.Specification, id),
		RequestedAt:   d.Time,
		Specification: resolved.Specification,
		Plan:          resolved.Plan,
		Labels:        resolved.Labels,
		Inputs:        resolved.Inputs,
		Lineage: events.Lineage{
			RequestSequence: d.Sequence,
			RerunOf:         req.RerunOf,
			ReplayOf:        req.ReplayOf,
		},
	}, faults, nil
}

func (a *admission) resolve(ctx context.Context, req events.PipelineRequested) (request.Resolved, []events.Fault, error) {
	if req.RerunOf == "" {
		resolved, faults := a.rules.Resolve(req)
		return resolved, faults, nil
	}
	old, err := a.readOldRun(ctx, req.RerunOf)
	if err != nil {
		return request.Resolved{}, nil, err
	}
	resolved, faults := a.rules.ResolveRerun(req, old)
	return resolved, faults, nil
}

// readOldRun reads the run that a request repeats.
func (a *admission) readOldRun(ctx context.Context, id string) (request.OldRun, error) {
	fault := &events.Fault{Key: "rerun_of", Value: id}
	if !events.ValidToken(id) {
		fault.Message = "not a valid run id"
		return request.OldRun{Fault: fault}, nil
	}
	run, err := a.runs.Run(ctx, id)
	old := request.OldRun{Run: run}
	switch {
	case isUnreadable(err):
		fault.Message = fmt.Sprintf("the run cannot be read: %v", err)
		old.Fault = fault
		return old, nil
	case err == nil && run.Deleted != nil:
		fault.Message = "the run was deleted"
		old.Fault = fault
		return old, nil
	case err == nil && !old.Repeatable():
		fault.Message = "no such run"
		old.Fault = fault
		return old, nil
	}
	return old, err
}

// checkQueues returns the faults of steps whose queue does not exist.
func (a *admission) checkQueues(ctx context.Context, plan []events.Step) ([]events.Fault, error) {
	var faults []events.Fault
	for _, step := range plan {
		exists := false
		if events.ValidToken(step.Queue) {
			var err error
			if exists, err = a.queues.HasQueue(ctx, step.Phase, step.Queue); err != nil {
				return nil, err
			}
		}
		if !exists {
			faults = append(faults, events.Fault{
				Key:     spec.Section(step.Phase) + ".queue",
				Value:   step.Queue,
				Message: fmt.Sprintf("nobody has declared this queue of %s; \"tunebus setup\" declares queues", step.Phase),
			})
		}
	}
	return faults, nil
}

// accept publishes the accepted event and the first job.
func (a *admission) accept(ctx context.Context, d delivery.Delivery, req events.PipelineRequested, accepted events.PipelineAccepted) error {
	_, err := a.publisher.Publish(ctx, accepted, journal.Fence{})
	if _, lost := errors.AsType[*journal.FencedError](err); lost {
		// A concurrent request with the same run id was faster.
		return a.reject(ctx, d, req, []events.Fault{runIDTaken(accepted.RunID)})
	}
	if err != nil {
		return err
	}
	a.log.Info("run accepted", "run", accepted.RunID, "name", accepted.RunName, "phases", len(accepted.Plan))
	return a.publisher.PublishNext(ctx, accepted, events.Fold([]events.Fact{accepted}))
}

func (a *admission) reject(ctx context.Context, d delivery.Delivery, req events.PipelineRequested, faults []events.Fault) error {
	// Bounded here, because the log has a fault of it as well.
	id := req.RunID
	if id == "" { // whoever published the request can find it by the id that its run would have
		id = request.RunID(d.Stream, d.Sequence, d.Time)
	}
	for i := range min(len(faults), events.MaxFaults) { // a fact is there for everybody to read; it has no more of them
		faults[i].Value, faults[i].Message = redaction.Addresses(faults[i].Value), redaction.Addresses(faults[i].Message)
	}
	rejected := events.PipelineRejected{RequestSequence: d.Sequence, RunID: id, RunName: request.NameOfRejected(req), Labels: events.LabelsOfRejected(req.Labels), Faults: events.BoundFaults(faults)}
	_, err := a.publisher.Publish(ctx, rejected, journal.Fence{})
	if _, lost := errors.AsType[*journal.FencedError](err); err != nil && !lost {
		return err
	}
	a.log.Warn("request rejected", "request", d.Sequence, "faults", len(faults), "first", rejected.Faults[0].Key+": "+rejected.Faults[0].Message)
	return nil
}

// handleUndecodable rejects a message that is no valid request and moves it to
// the dead letters.
func (a *admission) handleUndecodable(ctx context.Context, d delivery.Delivery, cause error) error {
	fault := events.Fault{Key: "request", Allowed: "a CloudEvent, or its data alone, as JSON", Message: cause.Error()}
	if err := a.reject(ctx, d, request.Readable(d.Data), []events.Fault{fault}); err != nil {
		return err
	}
	return &delivery.DeadLetterError{Err: cause}
}

// reserveInputs keeps the inputs of a run, and returns a fault for each that does
// not exist. An error is one of the store.
func (a *admission) reserveInputs(ctx context.Context, in events.Inputs) ([]events.Fault, error) {
	named := map[string]events.Reference{}
	for key, ref := range in.References() {
		if ref.Store == a.rules.Store {
			named[key] = ref
		}
	}
	if len(named) == 0 {
		return nil, nil
	}
	err := a.inputs.Reserve(ctx, slices.Collect(maps.Values(named))...)
	if err == nil {
		return nil, nil
	}
	if !isAboutArtifact(err) {
		return nil, err
	}
	var faults []events.Fault
	for _, key := range slices.Sorted(maps.Keys(named)) {
		err := a.inputs.Reserve(ctx, named[key])
		switch {
		case err == nil:
		case !isAboutArtifact(err):
			return nil, err
		case errors.Is(err, artifact.ErrNotFound):
			faults = append(faults, events.Fault{
				Key:     key,
				Value:   named[key].Key,
				Message: "the artifact store does not hold it, or not all of it, any more; submit the run again with its files",
			})
		default:
			faults = append(faults, events.Fault{Key: key, Value: named[key].Key, Message: err.Error()})
		}
	}
	return faults, nil
}

// isAboutArtifact reports whether an error says something about an artifact, and
// not that the store cannot be asked.
func isAboutArtifact(err error) bool {
	_, away := errors.AsType[*artifact.UnavailableError](err)
	return !away && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
