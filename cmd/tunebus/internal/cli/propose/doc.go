// Package propose proposes arguments and flags to a shell that completes a
// command: keys of --set with their values, contexts of the nats command, files of
// configurations, phases and runs.
//
//	propose.Install(root, console, runs)
//
// A shell is never told of an error: what cannot be read has no proposals.
package propose
