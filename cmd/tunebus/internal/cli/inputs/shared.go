package inputs

import (
	"os"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// shared notes the data sets that two keys name, such as training data that are test data,
// too. The phase that reads the later one says it in the same words, but hours later.
// files are the paths on this machine, by key.
func shared(s events.Specification, files map[string]string) (notes structconf.Faults) {
	keys := []string{Training, Validation, Testing}
	for i, key := range keys {
		for _, before := range keys[:i] {
			if what := same(s, files, before, key); what != "" {
				notes = append(notes, structconf.Fault{Key: key, Message: before + " names the same " + what})
				break // the first one is enough
			}
		}
	}
	return notes
}

// same is what two keys both name: a file, or a split of one folder or repository. It is
// empty if they name different rows, or if they may.
func same(s events.Specification, files map[string]string, a, b string) string {
	one, other := spec.Source(s, a), spec.Source(s, b)
	pathA, hereA := files[a]
	pathB, hereB := files[b]
	sameSplit := one.Selection == other.Selection && !one.Selection.IsZero()
	if !hereA && !hereB {
		if sameSplit && reads(s, a) && reads(s, b) && source.Same(one.Name, other.Name) {
			return "split"
		}
		return ""
	}
	infoA, errA := os.Stat(pathA)
	infoB, errB := os.Stat(pathB)
	switch {
	case errA != nil || errB != nil || !os.SameFile(infoA, infoB):
		return ""
	case !infoA.IsDir():
		return "file"
	case sameSplit:
		return "split"
	}
	return ""
}

// reads reports whether a phase of the run reads the data set of a key.
func reads(s events.Specification, key string) bool {
	for _, p := range spec.Paths(s) {
		if p.Key != key {
			continue
		}
		for _, step := range spec.Plan(s) {
			if step.Phase == p.Phase {
				return true
			}
		}
	}
	return false
}
