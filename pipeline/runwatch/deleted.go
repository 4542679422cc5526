package runwatch

import (
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
)

// DeletedError says that a run was deleted.
type DeletedError struct {
	Run events.PipelineDeleted
}

func (e *DeletedError) Error() string {
	return fmt.Sprintf("run %s was deleted at %s", e.Run.RunID, e.Run.DeletedAt.Local().Format(time.DateTime))
}

// deletedError is the error of a run that is deleted; nil if it is not.
func deletedError(run events.Run) error {
	if run.Deleted == nil {
		return nil
	}
	return &DeletedError{Run: *run.Deleted}
}
