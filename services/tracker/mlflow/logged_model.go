package mlflow

import (
	"context"
	"strconv"
	"time"
)

// LoggedModel describes a model that a run made.
type LoggedModel struct {
	Name string // without / : . % " '
	Tags []Tag
	At   time.Time
}

// Models keeps the models that runs made, and the registry of models.
type Models interface {
	// EnsureModel returns the id of the logged model of a run with this name,
	// and whether [Models.FinishModel] was called for it. It creates the model,
	// with the run as its source, and links it to the run if there is none. The
	// error is [ErrNoModels] where a server has no logged models.
	EnsureModel(ctx context.Context, experimentID, runID string, m LoggedModel) (id string, finished bool, err error)
	// FindModel returns a finished logged model of an experiment with this tag and
	// name, and the run that made it; an empty id if there is none.
	FindModel(ctx context.Context, experimentID string, tag Tag, name string) (id, runID string, err error)
	// ShowsModels reports whether the files of a logged model are seen and loaded
	// below the run that made it as well (runs:/<id>/<name>), so that they need not
	// be sent a second time as artifacts of the run.
	ShowsModels() bool
	// PutModelFile stores a file of a model and replaces one with the same path.
	PutModelFile(ctx context.Context, modelID string, a Artifact) error
	// FinishModel says that all files of a model are there.
	FinishModel(ctx context.Context, modelID string) error
	// Register makes a model the newest version of a registered model, which it
	// creates if there is none, and gives that version the alias. A model that
	// has a version there keeps it; the alias never moves back to an older one.
	Register(ctx context.Context, r Registration) (version string, err error)
}

// Registration is a model that becomes a version of a registered model.
type Registration struct {
	Name    string // of the registered model
	ModelID string
	RunID   string // that made the model
	Alias   string
	Tags    []Tag // of the version
	At      time.Time
}

// IsNewer reports whether a version of a registered model is newer than
// another one. Versions are numbers.
func IsNewer(version, than string) bool {
	v, err := strconv.Atoi(version)
	old, oldErr := strconv.Atoi(than)
	return err == nil && (oldErr != nil || v > old)
}
