package tunedmodel

import (
	"context"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
)

// Size is how many bytes of a stored model have to be fetched; 0 if that cannot be
// told. The reference of a folder has the size of its manifest alone, so that is read.
func (s Source) Size(ctx context.Context, ref events.Reference) int64 {
	if !manifest.Is(ref) {
		return ref.Size
	}
	m, err := s.Files.Manifest(ctx, ref)
	if err != nil {
		return 0
	}
	return m.Bytes()
}
