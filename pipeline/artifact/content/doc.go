// Package content stores what people upload under its digest, so that nothing is
// stored or sent twice:
//
//	content/<SHA-256>            a file, or the manifest of a folder
//	content/<SHA-256>.verified   says that the object was verified once
//	reservations/<name>          digests that somebody is going to refer to
//	condemned/<name>             digests that garbage collection is about to remove
//
//	up := content.NewUploader(store, manifest.Digest)
//	refs, err := up.Upload(ctx, map[string]string{"fine_tuner.base_model_id": "/models/small"})
//	defer up.Close()
//	... // publish the request that refers to them
//
// # Uploads beside garbage collection
//
// An object may be as old as the store and without any reference when somebody
// wants to refer to it. So who uploads reserves all digests first, and looks
// whether one of them is condemned. Garbage collection condemns what it wants to
// remove, and looks whether any of it is reserved, or was written a short time
// ago. Whatever the order, one of the two sees the other: a collector leaves a
// reserved object, and an uploader waits for the end of the collector and then
// looks which objects are there.
//
// A reservation is valid for an hour and renewed while the upload goes on. It is left
// in place afterwards, because a collector may have read the requests just
// before this one was published. Intake reserves the inputs of a request as well
// ([Reserver]): a request need not come from an uploader.
//
// A reservation is an object of its own rather than a new date of the objects: only
// some drivers can change that, S3 for objects up to 5 GB alone, and a reservation is
// one request for a folder of any size.
package content
