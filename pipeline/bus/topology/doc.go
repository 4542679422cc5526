// Package topology holds the streams, buckets and durable consumers of tunebus:
// their names, their configuration, and their state on a server.
//
// [Apply] creates or updates all of them and may be repeated. Services only
// bind to what Apply created. [Inspector] reads the state that intake and the
// command line ask for: which queues exist, how many jobs wait in each, how
// full a stream is.
//
//	err := topology.Apply(ctx, c, topology.Topology{Replicas: 3})
package topology
