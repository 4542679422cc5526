package intake

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
)

// InputReserver keeps the artifacts that references name from garbage collection
// until the run that needs them is accepted. The error is [artifact.ErrNotFound]
// if one is not there.
type InputReserver interface {
	Reserve(ctx context.Context, refs ...events.Reference) error
}

// noReserver reserves nothing.
type noReserver struct{}

func (noReserver) Reserve(context.Context, ...events.Reference) error { return nil }

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
