package spec

import (
	"cmp"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// AskedName is the name that a request asks for, with its prefix and suffix.
// requested is the name beside the specification, which wins. Without any name
// AskedName has the prefix and the suffix alone.
func AskedName(requested string, s events.Specification) string {
	return s.MLflow.RunNamePrefix + cmp.Or(requested, s.MLflow.RunName) + s.MLflow.RunNameSuffix
}

// SizeFaults returns the faults of a specification, with the labels of its
// request, whose events would be too large. They are those that intake finds.
func SizeFaults(s events.Specification, labels map[string]string) structconf.Faults {
	run := events.PipelineAccepted{RunName: AskedName("", s), Specification: s, Plan: Plan(s), Labels: labels}
	var out structconf.Faults
	for _, f := range run.SizeFaults() {
		out = append(out, structconf.Fault{Key: f.Key, Value: f.Value, Allowed: f.Allowed, Message: f.Message})
	}
	return out
}
