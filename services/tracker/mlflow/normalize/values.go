package normalize

import (
	"maps"
	"slices"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// Params normalizes parameters. If several have the same normalized name, the
// first one counts. Names with a second, different value are returned as
// conflicts.
func Params(params []mlflow.Param) (unique []mlflow.Param, conflicts []string) {
	seen := make(map[string]string, len(params))
	for _, p := range params {
		p = mlflow.Param{Key: Name(p.Key), Value: Text(p.Value, MaxParam)}
		switch old, again := seen[p.Key]; {
		case !again:
			seen[p.Key] = p.Value
			unique = append(unique, p)
		case old != p.Value:
			conflicts = append(conflicts, p.Key)
		}
	}
	return unique, conflicts
}

// Tags normalizes tags and sorts them by name. If several have the same
// normalized name, the last one counts.
func Tags(tags []mlflow.Tag) []mlflow.Tag {
	values := make(map[string]string, len(tags))
	for _, t := range tags {
		values[Name(t.Key)] = Text(t.Value, MaxTag)
	}
	unique := make([]mlflow.Tag, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		unique = append(unique, mlflow.Tag{Key: key, Value: values[key]})
	}
	return unique
}

// InitialTags are all tags of a new run: its own, and those by which it and
// its parent are found.
func InitialTags(key mlflow.RunKey, r mlflow.Run) []mlflow.Tag {
	tags := slices.Clone(r.Tags)
	if r.ParentID != "" {
		tags = append(tags, mlflow.Tag{Key: mlflow.TagParent, Value: r.ParentID})
	}
	return Tags(append(tags,
		mlflow.Tag{Key: mlflow.TagRunID, Value: key.RunID},
		mlflow.Tag{Key: mlflow.TagPhase, Value: key.Phase},
		mlflow.Tag{Key: mlflow.TagName, Value: RunName(r.Name)},
	))
}

// Dataset cuts the texts of a data set.
func Dataset(d mlflow.Dataset) mlflow.Dataset {
	d.Name = Cut(d.Name, maxDataset)
	d.Digest = Cut(d.Digest, MaxDigest)
	d.Source = Cut(d.Source, maxSource)
	d.Schema = Cut(d.Schema, maxSource)
	d.Profile = Cut(d.Profile, maxSource)
	d.Context = Cut(d.Context, maxDataset)
	return d
}

// Millis is a time in MLflow's unit. MLflow refuses negative ones; the zero
// time is 0.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMilli(), 0)
}
