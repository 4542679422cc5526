package tunedmodel

import (
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
)

// Size is how many bytes of a stored model have to be fetched; 0 if that is not
// known: the reference of a folder has the size of its manifest alone.
func Size(ref events.Reference) int64 {
	if manifest.Is(ref) {
		return 0
	}
	return ref.Size
}
