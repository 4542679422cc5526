package verify

import (
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child"
)

// Counted returns the data sets with what a trainer that prepares rows itself said of
// them, by the names training and validation. It may have said it more than once.
func Counted(sets []events.Dataset, said map[string]child.Dataset) []events.Dataset {
	out := make([]events.Dataset, len(sets))
	for i, set := range sets {
		for name, m := range said {
			if set.Key == "fine_tuner."+name+"_data_id" {
				used := max(m.Rows-m.Dropped, 0)
				set.Dropped = max(set.Dropped+set.Rows-used, 0)
				set.Rows, set.Examples, set.CutInAnswer = used, 0, m.Cut
			}
		}
		out[i] = set
	}
	return out
}

// Epochs is how many epochs a training made in so many steps of all, as far as they say;
// false: they do not. reported is the newest point epoch, 0 without one.
func Epochs(f events.FineTuner, reported float64, step, total int64) (float64, bool) {
	switch {
	case reported > 0:
		return reported, true
	case f.MaxSteps > 0:
		return 0, false
	case total > 0 && step < total:
		return float64(f.Epochs) * float64(step) / float64(total), true
	}
	return float64(f.Epochs), true
}
