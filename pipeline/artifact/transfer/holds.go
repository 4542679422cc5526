package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
)

// Holds reports whether a folder has exactly the content of an artifact of
// [Files.PutDir]. It reads all of its files.
func (*Files) Holds(ctx context.Context, ref events.Reference, dir string) (bool, error) {
	same, err := dirHasContent(ctx, ref, dir)
	if errors.Is(err, artifact.ErrExists) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("compare folder %s: %w", dir, err)
	}
	return same, nil
}
