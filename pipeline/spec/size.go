package spec

import (
	"cmp"

	"github.com/tunebus/tunebus/events"
)

// AskedName is the name that a request asks for, with its prefix and suffix.
// requested is the name beside the specification, which wins. Without any name
// AskedName has the prefix and the suffix alone.
func AskedName(requested string, s events.Specification) string {
	return s.MLflow.RunNamePrefix + cmp.Or(requested, s.MLflow.RunName) + s.MLflow.RunNameSuffix
}

// SizeFaults returns the faults of a request whose run would have events that are
// too large. s is its specification with the defaults. Intake and the command line
// find the same faults with it, so it comes before [Limits.Apply], which only
// intake can do.
func SizeFaults(req events.PipelineRequested, s events.Specification) []events.Fault {
	return events.PipelineAccepted{
		RunName:       AskedName(req.RunName, s),
		Specification: s,
		Plan:          PlanWith(s, req.Queues),
		Labels:        req.Labels,
		Inputs:        req.Inputs,
	}.SizeFaults()
}
