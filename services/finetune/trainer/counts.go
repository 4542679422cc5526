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
