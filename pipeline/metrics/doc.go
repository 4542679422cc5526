// Package metrics records the metric points of one attempt at a phase: it
// publishes them as progress and keeps them as the phase's metric history.
//
//	r, err := metrics.Start(ctx, metrics.Config{RunID: run, Phase: phase, Attempt: 1, Folder: scratch, Publisher: journal})
//	err = r.Record(ctx, step, total, []events.Point{{Key: "loss", Value: 0.3}})
//	path, err := r.Finish(ctx) // the file of the history; empty if there are no points
//
// The history holds every point. Progress events hold them in batches, a few a
// second, and may be lost: a lost one costs a line on a screen. Samples of the
// machine are recorded along with the engine's points.
//
// The history holds one point for each step of a metric: the one that was
// published first. An attempt that repeats steps of an earlier attempt
// therefore adds no points for them. If the metrics stream cannot be read, the
// points of the attempt that works now count instead; the phase goes on.
package metrics
