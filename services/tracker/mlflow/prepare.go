package mlflow

import (
	"maps"
	"math"
	"slices"
)

// firstParams cleans parameters. Where two have one name after that, the first
// counts; names with a second, different value are returned as conflicts.
func firstParams(params []Param) (kept []Param, conflicts []string) {
	seen := make(map[string]string, len(params))
	for _, p := range params {
		p = Param{CleanName(p.Key), cleanText(p.Value, maxParam)}
		switch old, again := seen[p.Key]; {
		case !again:
			seen[p.Key] = p.Value
			kept = append(kept, p)
		case old != p.Value:
			conflicts = append(conflicts, p.Key)
		}
	}
	return kept, conflicts
}

// missingParams returns the parameters that a run does not have yet, and the
// names of those that it has with another value.
func missingParams(params []Param, there map[string]string) (missing []Param, conflicts []string) {
	for _, p := range params {
		switch old, ok := there[p.Key]; {
		case !ok:
			missing = append(missing, p)
		case old != p.Value:
			conflicts = append(conflicts, p.Key)
		}
	}
	return missing, conflicts
}

// conflictError is nil where there is no conflict.
func conflictError(runID string, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	return &ParamConflictError{RunID: runID, Keys: slices.Compact(keys)}
}

// lastTags cleans tags. The last of several with one name counts.
func lastTags(tags []Tag) []Tag {
	values := make(map[string]string, len(tags))
	for _, t := range tags {
		values[CleanName(t.Key)] = cleanText(t.Value, maxTag)
	}
	kept := make([]Tag, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		kept = append(kept, Tag{key, values[key]})
	}
	return kept
}

// startTags are all tags that a new run is created with.
func startTags(key RunKey, r Run) []Tag {
	tags := slices.Clone(r.Tags)
	if r.ParentID != "" {
		tags = append(tags, Tag{tagParent, r.ParentID})
	}
	return lastTags(append(tags,
		Tag{TagRunID, key.RunID}, Tag{TagPhase, key.Phase}, Tag{tagName, runName(r.Name)}))
}

// runName is never empty: MLflow would invent a name.
func runName(name string) string {
	if name = cleanText(name, maxRunName); name == "" {
		return "unnamed"
	}
	return name
}

// point is what makes a metric point the same one as another in MLflow's
// databases, which hold infinities as the largest number.
type point struct {
	millis, step int64
	value        float64
	nan          bool
}

func pointOf(m Metric) point {
	p := point{millis: millis(m.Timestamp), step: m.Step, value: m.Value}
	switch {
	case math.IsNaN(m.Value):
		p.value, p.nan = 0, true
	case math.IsInf(m.Value, 0):
		p.value = math.Copysign(math.MaxFloat64, m.Value)
	case m.Value == 0:
		p.value = 0 // not -0, which databases hold as the same
	}
	return p
}

func cleanDataset(d Dataset) Dataset {
	d.Name = cut(d.Name, maxDataset)
	d.Digest = cut(d.Digest, maxDigest)
	d.Source = cut(d.Source, maxSource)
	d.Schema = cut(d.Schema, maxSource)
	d.Profile = cut(d.Profile, maxSource)
	d.Context = cut(d.Context, maxDataset)
	return d
}
