// Package livemetrics forwards the metric points of running phases from the
// stream to MLflow, so that a chart grows while a model trains.
//
// A phase stores its whole metric history when it completes. The history holds
// the same points with the same times, and MLflow takes a point once. So a
// point that is lost here only comes later, and nothing here has to be
// reliable.
//
// The [Forwarder] does not forward the event that it is called with. It takes
// the event as a wake-up: it learns from it which phase has new points, and
// reads all metric events of that phase from the stream, in stream order, from
// where it stopped before. All trackers therefore decide alike which of two
// points of a step counts.
//
//	forwarder := livemetrics.New(readerOf, requestSync, log)
//	forwarder.Attach(run, phase, target, mlflowRunID) // the run exists in MLflow
//	err := forwarder.Handle(ctx, delivery)            // for each metric event
//	forwarder.Detach(run, phase)                      // the phase is completed
//	forwarder.Drop(run)                               // the run is tracked
package livemetrics
