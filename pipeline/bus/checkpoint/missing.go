package checkpoint

import (
	"errors"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// MissingBucket reports whether an error means that the server does not have the bucket of
// the registry, and names it.
func MissingBucket(err error) (bucket string, ok bool) {
	missing, ok := errors.AsType[*conn.MissingBucketError](err)
	if !ok {
		return "", false
	}
	return missing.Bucket, true
}
