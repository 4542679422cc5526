// Package runmodel finds the model that a run tuned, by whatever a person calls the run,
// and brings it and its base model to folders of this machine, for commands that use it
// there.
//
//	err := runmodel.WithScratch("/scratch", "chat", func(dir string) error {
//		m, folders, err := runmodel.Fetch(ctx, s, server, stages, runmodel.Wanted{Run: "last", Dir: dir})
//		…
//	})
package runmodel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/storeopening"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/progress"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/conversation"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/tunedmodel"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/service"
)

// FindRun finds the run that a person means.
func FindRun(ctx context.Context, server *session.Deployment, id string) (events.Run, error) {
	id, err := server.RunID(ctx, id)
	if err != nil {
		return events.Run{}, err
	}
	run, err := server.FindRun(ctx, id)
	if err != nil && run.Accepted == nil {
		return run, err
	}
	if run.Accepted == nil {
		return run, server.UnknownOrPending(ctx, id)
	}
	return run, nil
}

// Find finds the model of the run that a person means, and where models are.
func Find(ctx context.Context, s *session.Session, server *session.Deployment, id string) (tunedmodel.Model, tunedmodel.Source, error) {
	fail := func(err error) (tunedmodel.Model, tunedmodel.Source, error) {
		return tunedmodel.Model{}, tunedmodel.Source{}, err
	}
	run, err := FindRun(ctx, server, id)
	if err != nil {
		return fail(err)
	}
	m, err := tunedmodel.Of(run)
	if untuned, ok := errors.AsType[*tunedmodel.UntunedError](err); ok && server.Folder() != "" {
		return fail(exit.Input(fmt.Errorf("run %s has no tuned model yet, and nobody works on it; this goes on with it:\n  %s",
			untuned.Run, s.CommandLine("up", "--data", server.Folder()))))
	}
	if err != nil {
		return fail(exit.Input(err))
	}
	store, err := server.Store(ctx)
	if err != nil {
		return fail(err)
	}
	if m.Reference.Store != store.ID() {
		return fail(exit.Input(fmt.Errorf("the model of run %s lies in the artifact store %s, and this is %s; --artifacts names the store that the services use%s",
			run.ID, m.Reference.Store, store.ID(), storeopening.Earlier(session.DataFolder(server)))))
	}
	sources, err := service.Sources(server.Settings, s.Logger())
	if err != nil {
		return fail(err)
	}
	return m, tunedmodel.Source{Files: transfer.New(store), Hub: sources.Hub}, nil
}

// CheckReadable returns why the built-in engine cannot do something with the model that a
// run tuned, and what can; nil: it can.
func CheckReadable(run events.Run, what, instead string) error {
	keys := runsummary.UnreadModel(run)
	if len(keys) == 0 {
		return nil
	}
	return exit.Input(fmt.Errorf("run %s: %s is the work of the built-in engine, which cannot read the model that %s makes; %s",
		run.ID, what, strings.Join(keys, " and "), instead))
}

// Wanted is the model of a run that is wanted in folders.
type Wanted struct {
	// Run is the run, as a person calls it.
	Run string
	// For is the command that works with the model, such as "chat".
	For string
	// Dir is a folder for what lies in no folder of this machine.
	Dir string
	// Base has the base model be there where the tuned model is a whole one, too.
	Base bool
}

// Fetch finds the model of a run, and brings it to folders.
func Fetch(ctx context.Context, s *session.Session, server *session.Deployment, stages *progress.Stages, want Wanted) (tunedmodel.Model, conversation.Folders, error) {
	model, source, err := Find(ctx, s, server, want.Run)
	if err != nil {
		return model, conversation.Folders{}, err
	}
	if err := CheckReadable(model.Run, want.For, fmt.Sprintf(`a run with inferencer.engine = "transformers" answers with it, such as: %s`,
		s.CommandLine("rerun", model.Run.ID, "--from", "inference", "--set", "inferencer.engine=transformers"))); err != nil {
		return model, conversation.Folders{}, err
	}
	size := source.Size(ctx, model.Reference)
	stages.Next("fetching the model", size)
	folders := conversation.Folders{Tuned: filepath.Join(want.Dir, "tuned")}
	if err := source.Fetch(ctx, model.Reference, folders.Tuned); err != nil {
		return model, folders, err
	}
	stages.Add(size)
	if llm.IsAdapter(folders.Tuned) {
		name, err := engine.AdapterBase(folders.Tuned)
		if err != nil {
			return model, folders, err
		}
		model = model.BasedOn(name)
	}
	if want.Base || llm.IsAdapter(folders.Tuned) {
		stages.Next("finding the base model", 0)
		if folders.Base, err = source.BaseFolder(ctx, model, filepath.Join(want.Dir, "base")); err != nil {
			return model, folders, AsInput(err)
		}
	}
	return model, folders, nil
}

// AsInput marks the error of a base model that a person has to bring back as bad
// input.
func AsInput(err error) error {
	if _, gone := errors.AsType[*tunedmodel.BaseGoneError](err); gone {
		return exit.Input(err)
	}
	return err
}

// SystemPrompt is the system prompt that every row of a run had; empty if rows
// had their own, or none.
func SystemPrompt(run events.Run) string {
	s := run.Accepted.Specification
	if text := s.Inferencer.SystemPromptOverrideText; text != "" {
		return text
	}
	return s.FineTuner.SystemPromptOverrideText
}

// Bits is to how many bits a run brought the weights of the model that answered; 0: they
// stayed as they are stored. Said says it to a person; empty: there is nothing to say.
func Bits(run events.Run) (bits int, said string) {
	i := run.Accepted.Specification.Inferencer
	if bits = llm.Bits(i.LoadIn4bit, i.LoadIn8bit); bits > 0 {
		said = fmt.Sprintf("as in run %s, whose inferencer.load_in_%dbit is true, the model answers with weights of %[2]d bits", run.ID, bits)
	}
	return bits, said
}

// WithScratch calls do with a folder of a command, which is removed afterwards.
func WithScratch(parent, command string, do func(dir string) error) error {
	if parent != "" {
		if err := os.MkdirAll(parent, 0o750); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(parent, command+"-*")
	if err != nil {
		return err
	}
	return exit.Join(do(dir), os.RemoveAll(dir))
}
