// Package audit finds what went wrong in a pipeline that has come to rest. It
// reads what there is by itself, with a client of NATS and the files as they
// lie, and takes nothing from the product but the events' types and what
// follows from one: what it checks must not read for it.
//
// [Check] proves, of everything that was ever asked for:
//
//   - each request has one answer, each accepted run one end, and what was
//     published follows from the facts;
//   - no phase was completed twice, or worked on after its completion; its
//     attempts have numbers without a gap, and the last one completed it;
//   - each run and each of its phases that was begun has one MLflow run, which
//     has ended as the stream says, with its parameters, its artifacts and, of
//     each metric, every step once;
//   - every artifact that is referred to is there with its digest;
//   - every run has its reports, and one line in the list of runs;
//   - no message is unsettled, and nothing remains: no checkpoint, no lease, no
//     scratch folder, no temporary file, no artifact that nobody refers to, no
//     process;
//   - no step was worked on twice but those behind the last checkpoint that
//     NATS, which may have been away, could be told of.
package audit
