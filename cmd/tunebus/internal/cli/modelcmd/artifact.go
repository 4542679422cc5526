package modelcmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runmodel"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/storeopening"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/modelexport"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/localinput"
)

// exportArtifact writes an artifact of a run, such as what was written for Weights & Biases.
func (f *exportFlags) exportArtifact(ctx context.Context, s *session.Session, server *session.Deployment, id, dir string) error {
	run, err := runmodel.FindRun(ctx, server, id)
	if err != nil {
		return err
	}
	a, err := modelexport.FindArtifact(run, f.artifact)
	if err != nil {
		return exit.Input(err)
	}
	store, err := server.Store(ctx)
	if err != nil {
		return err
	}
	if a.Reference.Store != store.ID() {
		return exit.Input(fmt.Errorf("the artifact %s of run %s lies in the artifact store %s, and this is %s; --artifacts names the store that the services use%s",
			a.Name, run.ID, a.Reference.Store, store.ID(), storeopening.Earlier(session.DataFolder(server))))
	}
	o := f.options
	if data := session.DataFolder(server); data != "" {
		if o.Inputs, err = localinput.Known(data); err != nil {
			return err
		}
	}
	result, err := modelexport.WriteArtifact(ctx, transfer.New(store), run, a, dir, o)
	if err != nil {
		return placeError(err)
	}
	return s.Console.Print(view.ExportedArtifact(result))
}

// placeError marks the error of a folder that a person has to choose otherwise as bad input.
func placeError(err error) error {
	_, notEmpty := errors.AsType[*modelexport.NotEmptyError](err)
	_, data := errors.AsType[*modelexport.DataFolderError](err)
	_, input := errors.AsType[*modelexport.InputFolderError](err)
	_, foreign := errors.AsType[*modelexport.ForeignError](err)
	_, changed := errors.AsType[*modelexport.ChangedError](err)
	_, target := errors.AsType[*modelexport.TargetError](err)
	if notEmpty || data || input || foreign || changed || target {
		return exit.Input(err)
	}
	return err
}
