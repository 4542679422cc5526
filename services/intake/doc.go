// Package intake is the service that admits runs: it validates requests,
// cancels runs, and enforces deadlines.
//
//	svc := intake.New(conn, intake.Config{DataRoots: roots, Store: store.ID()})
//	for _, route := range svc.Routes() {
//		router.Add(route)
//	}
//
// # Promises
//
//   - Each request gets exactly one response: pipeline.accepted with the plan of
//     the run, or pipeline.rejected with all faults of the request.
//   - A request that is delivered again has the same response, under the same
//     run id.
//   - While the stream of facts is nearly full, requests wait in their stream, so
//     that the runs that work already can finish.
//   - A cancelled run ends, whether its worker is alive or not.
//   - A run whose deadline has passed is cancelled.
//
// Tests in a file whose name begins with service_ run the whole service with a NATS server; the
// others test one type.
//
// Package request decides what a request asks for; this package reads the older
// runs that the decision depends on, and publishes the response. It has three
// handlers, which share nothing but the bus: admission, canceller and deadlines.
package intake
