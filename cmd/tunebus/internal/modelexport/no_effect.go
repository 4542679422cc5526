package modelexport

import (
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// NoEffectError says that an option has no effect on the model of the run.
type NoEffectError struct{ why string }

func (e *NoEffectError) Error() string { return e.why }

// withoutEffect refuses, before anything is fetched, what has no effect on the model of a
// run. What the model of another run or of another engine is, is known once it is here.
func withoutEffect(run events.Run, o Options) error {
	if run.Accepted == nil || run.Accepted.Inputs.Model != nil {
		return nil
	}
	switch f := run.Accepted.Specification.FineTuner; {
	case f.FullFinetuning:
		return onlyOfAdapters(o)
	case f.Engine == spec.Builtin:
		return onlyOfWholeModels(o)
	}
	return nil
}

// onlyOfAdapters refuses options that have no effect on a model of which all weights were
// trained.
func onlyOfAdapters(o Options) error {
	for _, ignored := range []struct {
		is   bool
		flag string
	}{{o.Merge, "--merge"}, {o.WithBase, "--with-base"}} {
		if ignored.is {
			return &NoEffectError{ignored.flag + " has no effect: the run trained all weights, so there is no adapter; leave the flag out"}
		}
	}
	return nil
}

// onlyOfWholeModels refuses an option that has no effect on an adapter.
func onlyOfWholeModels(o Options) error {
	if o.DType != "" && !o.Merge {
		return &NoEffectError{"--dtype has no effect without --merge: an adapter keeps the type that it was trained in; leave the flag out, or add --merge"}
	}
	return nil
}
