// Package projection computes from the facts of a pipeline run what MLflow
// should hold: a parent run, and a child run for each phase.
//
// It is a projection in the sense of event sourcing: a pure function of the
// facts, which reads and writes nothing. The same facts give the same MLflow
// runs, in any order and however often, so a tracker can write a run again
// after a crash, a redelivery or a late fact.
//
//	snapshot := projection.FromFacts(facts)
//	parent := snapshot.Parent(version)
//	for _, step := range snapshot.Run.Accepted.Plan {
//		if snapshot.HasChild(step.Phase) {
//			child := snapshot.Child(step.Phase)
//			...
//		}
//	}
package projection
