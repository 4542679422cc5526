package tunedmodel

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// Source is where models are found.
type Source struct {
	// Files are those of the artifact store.
	Files *transfer.Files
	// Hub is asked for base models that came from there.
	Hub engine.Hub
}

// Fetch brings a folder of the store to dir, which must not exist or be empty.
func (s Source) Fetch(ctx context.Context, ref events.Reference, dir string) error {
	return s.Files.FetchDir(ctx, ref, dir)
}

// BaseFolder returns a folder of this machine that holds the base model: where
// it lies, or else dir, to which it is brought.
func (s Source) BaseFolder(ctx context.Context, m Model, dir string) (string, error) {
	if folder, err := s.LocalBase(ctx, m); folder != "" || err != nil {
		return folder, err
	}
	if id := m.Base.HubID(); id != "" {
		folder, err := s.Hub.Model(ctx, id, "")
		if err != nil {
			return "", fmt.Errorf("base model %s: %w", id, err)
		}
		return folder, nil
	}
	return dir, s.Fetch(ctx, m.Base.Upload, dir)
}

// BaseGoneError means that the base model lay in a folder of this machine, and that the
// folder, or its content, is not there any more. Nothing else has it.
type BaseGoneError struct {
	Run, Folder string
	SHA256      string // of the content; empty if that is not known
	// Changed is set if the folder has other content.
	Changed bool
}

func (e *BaseGoneError) Error() string {
	what := "is gone"
	if e.Changed {
		what = "has changed"
	}
	had := ""
	if e.SHA256 != "" {
		had = "; when the run was asked for it had sha256 " + e.SHA256
	}
	return fmt.Sprintf("the base model of run %s: %s %s%s; the adapter cannot be used without it: bring it back", e.Run, e.Folder, what, had)
}

// localStore begins the store of a reference that names a path of this machine:
// the key is the path.
const localStore = "local:"

// LocalBase is the absolute path of the folder of this machine in which the
// base model lies for good; empty if there is none and the model can be had elsewhere.
// A folder counts only if its content is what the run used. The error is a
// [*BaseGoneError] if nothing has the model any more.
func (s Source) LocalBase(ctx context.Context, m Model) (string, error) {
	if m.Base.HubID() != "" || m.Base.ID == "" {
		return "", nil
	}
	name := m.Base.ID
	inPlace := strings.HasPrefix(m.Base.Upload.Store, localStore)
	if inPlace {
		name = m.Base.Upload.Key
	}
	folder, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		if inPlace || m.Base.Upload.IsZero() { // it is nowhere else
			return "", &BaseGoneError{Run: m.Run.ID, Folder: folder, SHA256: m.Base.Upload.SHA256}
		}
		return "", nil
	}
	if m.Base.Upload.IsZero() {
		return folder, nil // the worker read it at this path
	}
	same, err := s.Files.Holds(ctx, m.Base.Upload, folder)
	if err == nil && !same && inPlace {
		err = &BaseGoneError{Run: m.Run.ID, Folder: folder, SHA256: m.Base.Upload.SHA256, Changed: true}
	}
	if err != nil || !same {
		return "", err
	}
	return folder, nil
}
