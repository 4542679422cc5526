package archive

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// errIDReused means that two runs have the same id.
var errIDReused = errors.New("the id of an archived run was used again")

// merge returns the facts of both lists, in the order of the stream. Two facts
// with the same subject must be the same fact; otherwise the error is
// [errIDReused].
func merge(all, more []history.StoredFact) ([]history.StoredFact, error) {
	indexes := map[string]int{}
	for i, f := range all {
		indexes[f.Subject] = i
	}
	for _, f := range more {
		i, exists := indexes[f.Subject]
		if !exists {
			all = append(all, f)
			continue
		}
		if other := all[i]; other.ID != f.ID || other.Sequence != f.Sequence {
			return nil, fmt.Errorf("%w: %s was stored as %s at sequence %d, and as %s at %d",
				errIDReused, f.Subject, other.ID, other.Sequence, f.ID, f.Sequence)
		}
	}
	slices.SortFunc(all, func(a, b history.StoredFact) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return all, nil
}
