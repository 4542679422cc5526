package spec

import (
	"encoding/json"
	"maps"
	"math"
	"strconv"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

const warmupSteps, warmupRatio = "warmup_steps", "warmup_ratio"

// withWarmup is a tree in which a share that stands as warmup_steps stands as
// warmup_ratio, the field that it travels in. Whoever says steps in a tree takes a
// ratio back that another tree said before. The tree itself is not changed.
func withWarmup(t structconf.Tree) (structconf.Tree, structconf.Faults) {
	section := Section(events.Finetune)
	table, _ := t.Sections[section].(map[string]any)
	value, given := table[warmupSteps]
	if !given {
		return t, nil
	}
	ratio, both := table[warmupRatio]
	n, isNumber := asNumber(value)
	isShare := isNumber && n > 0 && n < 1
	// refuse leaves the key out of the tree: what is wrong with it is said once.
	refuse := func(message, allowed string) (structconf.Tree, structconf.Faults) {
		t.Sections = maps.Clone(t.Sections)
		t.Sections[section] = maps.Clone(table)
		delete(t.Sections[section].(map[string]any), warmupSteps)
		return t, structconf.Faults{{Key: section + "." + warmupSteps, Value: strconv.FormatFloat(n, 'g', -1, 64), Message: message, Allowed: allowed}}
	}
	switch {
	case isNumber && n > 1 && n != math.Trunc(n) && !math.IsInf(n, 0):
		return refuse("is neither a number of steps nor a share of them", "a whole number, or a share below 1")
	case both && isShare:
		if other, ok := asNumber(ratio); !ok || other != n {
			return refuse("is a share, and "+section+"."+warmupRatio+" says another one; leave one of the two out", "")
		}
	case both:
		return t, nil
	}
	changed := maps.Clone(table)
	if isShare {
		changed[warmupSteps], changed[warmupRatio] = int64(Defaults().FineTuner.WarmupSteps), n
	} else {
		changed[warmupRatio] = int64(0)
	}
	t.Sections, t.Positions = maps.Clone(t.Sections), maps.Clone(t.Positions)
	t.Sections[section] = changed
	if p, ok := t.Positions[section+"."+warmupSteps]; ok && !both {
		t.Positions[section+"."+warmupRatio] = p
	}
	return t, nil
}

// asNumber returns a value of a tree as a number, also where it is written as a text.
func asNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil
	}
	return 0, false
}
