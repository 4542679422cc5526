// Package request turns a pipeline request into the run that it asks for: the
// whole specification, the plan, the inputs and the labels; or into the list of
// all its faults.
//
//	resolved, faults := rules.Resolve(req)
//	faults = append(faults, request.Check(req, runID)...)
//	if len(faults) > 0 {
//		// publish pipeline.rejected with all of them
//	}
//
// A request that repeats an older run is resolved with [Rules.ResolveRerun].
//
// Nothing here publishes, waits or reads the stream, so the same request always
// has the same result. The only reads are those of the data roots, to check
// that the files that a request names exist.
package request
