// Package runrequest makes the request for a run from what a person gives: the
// files of a specification, flags, variables and local files.
//
// [Flags] are the flags of a command that asks for a run. [Flags.Request] and
// [Flags.Rerun] read them and find all faults at once; nothing is sent before
// there are none. [Request.Publish] uploads the local files and publishes.
//
// A request is stored for everyone to read. Variables that hold a secret are
// not expanded, and [Request.CheckNoSecrets] rejects a request that contains a
// secret of the settings.
//
//	request, err := flags.Request(c)
//	...
//	message, err := request.Publish(ctx, publisher, store)
package runrequest
