package trainer

import (
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child"
)

// counted returns the data sets with what a trainer that prepares rows itself said of
// them, by the names training and validation. It may have said it more than once.
func counted(sets []events.Dataset, said map[string]child.Dataset) []events.Dataset {
	out := make([]events.Dataset, len(sets))
	for i, set := range sets {
		for name, m := range said {
			if set.Key == section+"."+name+"_data_id" {
				used := max(m.Rows-m.Dropped, 0)
				set.Dropped = max(set.Dropped+set.Rows-used, 0)
				set.Rows, set.Examples, set.CutInAnswer = used, 0, m.Cut
			}
		}
		out[i] = set
	}
	return out
}

// epochs is how many epochs were made, as far as the steps say; false: they do not. The
// trainer's own figure, in its result, goes before it.
func (s *session) epochs() (float64, bool) {
	f := s.job.Request.Specification.FineTuner
	switch {
	case s.epoch > 0:
		return s.epoch, true
	case f.MaxSteps > 0:
		return 0, false
	case s.total > 0 && s.lastStep < s.total:
		return float64(f.Epochs) * float64(s.lastStep) / float64(s.total), true
	}
	return float64(f.Epochs), true
}
