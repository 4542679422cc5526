package modelcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/tunedmodel"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/service"
)

// findRun finds the run that a person means.
func findRun(ctx context.Context, server *session.Deployment, id string) (events.Run, error) {
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

// findModel finds the model of the run that a person means, and where models
// are.
func findModel(ctx context.Context, s *session.Session, server *session.Deployment, id string) (tunedmodel.Model, tunedmodel.Source, error) {
	fail := func(err error) (tunedmodel.Model, tunedmodel.Source, error) {
		return tunedmodel.Model{}, tunedmodel.Source{}, err
	}
	run, err := findRun(ctx, server, id)
	if err != nil {
		return fail(err)
	}
	m, err := tunedmodel.Of(run)
	if err != nil {
		return fail(exit.Input(err))
	}
	store, err := server.Store(ctx)
	if err != nil {
		return fail(err)
	}
	if m.Reference.Store != store.ID() {
		return fail(exit.Input(fmt.Errorf("the model of run %s lies in the artifact store %s, and this is %s; --artifacts names the store that the services use",
			run.ID, m.Reference.Store, store.ID())))
	}
	sources, err := service.Sources(server.Settings, s.Logger())
	if err != nil {
		return fail(err)
	}
	return m, tunedmodel.Source{Files: transfer.New(store), Hub: sources.Hub}, nil
}

// checkReadable returns why the built-in engine cannot do something with the model that a
// run tuned, and what can; nil: it can.
func checkReadable(run events.Run, what, instead string) error {
	keys := runsummary.UnreadModel(run)
	if len(keys) == 0 {
		return nil
	}
	return exit.Input(fmt.Errorf("run %s: %s is the work of the built-in engine, which cannot read the model that %s makes; %s",
		run.ID, what, strings.Join(keys, " and "), instead))
}

// asInput marks the error of a base model that a person has to bring back as bad
// input.
func asInput(err error) error {
	if _, gone := errors.AsType[*tunedmodel.BaseGoneError](err); gone {
		return exit.Input(err)
	}
	return err
}

// systemPrompt is the system prompt that every row of a run had; empty if rows
// had their own, or none.
func systemPrompt(run events.Run) string {
	s := run.Accepted.Specification
	if text := s.Inferencer.SystemPromptOverrideText; text != "" {
		return text
	}
	return s.FineTuner.SystemPromptOverrideText
}

// withScratch calls do with a folder that is removed afterwards.
func withScratch(parent string, do func(dir string) error) error {
	if parent != "" {
		if err := os.MkdirAll(parent, 0o750); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(parent, "chat-*")
	if err != nil {
		return err
	}
	return exit.Join(do(dir), os.RemoveAll(dir))
}
