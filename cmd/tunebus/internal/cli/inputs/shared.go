package inputs

import (
	"os"

	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// shared notes the data sets that two keys name, such as training data that are test data,
// too. The phase that reads the later one says it in the same words, but hours later.
func (c *checker) shared() {
	keys := []string{Training, Validation, Testing}
	for i, key := range keys {
		for _, before := range keys[:i] {
			if what := c.same(before, key); what != "" {
				c.add(nil, structconf.Faults{{Key: key, Message: before + " names the same " + what}})
				break // the first one is enough
			}
		}
	}
}

// same is what two keys both name: a file, or a split of one folder or repository. It is
// empty if they name different rows, or if they may.
func (c *checker) same(a, b string) string {
	one, other := spec.Source(c.specification, a), spec.Source(c.specification, b)
	pathA, hereA := c.files[a]
	pathB, hereB := c.files[b]
	sameSplit := one.Selection == other.Selection && !one.Selection.IsZero()
	if !hereA && !hereB {
		if sameSplit && c.reads(a) && c.reads(b) && source.Same(one.Name, other.Name) {
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
func (c *checker) reads(key string) bool {
	for _, p := range spec.Paths(c.specification) {
		if p.Key != key {
			continue
		}
		for _, step := range spec.Plan(c.specification) {
			if step.Phase == p.Phase {
				return true
			}
		}
	}
	return false
}
