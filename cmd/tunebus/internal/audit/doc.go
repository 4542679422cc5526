// Package audit checks what a pipeline left behind after all of its services
// ended: nothing is lost, done twice, damaged or left over.
//
//	for _, fault := range audit.Check(state) {
//		t.Error(fault)
//	}
//
// It uses nothing of the product but the types of the events and the rule that
// derives the next event from a fact. It can not use the product's readers,
// because they are what it checks; package snapshot reads the state.
//
// [Check] proves:
//
//   - each request has one response, each accepted run has one end, and each
//     published event follows from the facts before it;
//   - no phase was completed twice, or worked on after its completion; the
//     numbers of its attempts have no gap, and the last attempt completed it;
//   - each run, and each of its phases that started, has one MLflow run, which
//     ended as the stream says, with its parameters, its artifacts and one point
//     for each step of each metric;
//   - each artifact that an event refers to exists with its digest;
//   - each run has its reports and one line in the list of runs;
//   - each message is settled, and nothing is left over: checkpoints, leases,
//     scratch folders, temporary files, artifacts without a reference, processes;
//   - no step was done twice, except those after the last checkpoint that could
//     be registered (NATS may have been unreachable).
package audit
