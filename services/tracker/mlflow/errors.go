package mlflow

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	// ErrNoRun means that a run does not exist.
	ErrNoRun = errors.New("no such run")
	// ErrNoModels means that a server is older than logged models, which came
	// with MLflow 3.
	ErrNoModels = errors.New("the server has no logged models, which came with MLflow 3")
	// ErrUnavailable means that the server could not be reached, or could not
	// answer in all tries. The same call may succeed later.
	ErrUnavailable = errors.New("server unavailable")
)

// ParamConflictError means that parameters exist with other values. MLflow
// keeps the old values.
type ParamConflictError struct {
	RunID string
	Keys  []string // sorted
}

// NewParamConflict returns a [*ParamConflictError] that names each key once,
// or nil if there are no keys.
func NewParamConflict(runID string, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	return &ParamConflictError{RunID: runID, Keys: slices.Compact(keys)}
}

// Error names the parameters, not their values.
func (e *ParamConflictError) Error() string {
	return fmt.Sprintf("log parameters of run %s: %s: another value is there already and stays", e.RunID, strings.Join(e.Keys, ", "))
}
