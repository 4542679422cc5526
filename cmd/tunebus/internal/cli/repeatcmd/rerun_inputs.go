package repeatcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inputcheck"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/shellquote"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// checkInputs refuses a repetition that would read an input of the old run which is no
// longer as it was: it would fail. What cannot be looked at from here is said.
func checkInputs(ctx context.Context, s *session.Session, server *session.Deployment, old events.Run, request runrequest.Request) error {
	if old.Accepted == nil || len(old.Accepted.Plan) == 0 {
		return nil
	}
	inputs, err := inputcheck.On(server.Folder(), server.Bus.Server())
	if err != nil {
		return err
	}
	changes := changesOf(request)
	start := changes.start(old, request.From)
	isRead := func(key string) bool {
		_, given := request.Files[key]
		return !given && !changes.has(key) && reads(old.Accepted.Specification, start, key)
	}
	var sure []string
	advice := []string{"put it back as it was"}
	for _, changed := range inputs.Changed(ctx, old, isRead) {
		if !changed.Sure || changes["pipeline"] != nil {
			s.Console.Say("%s", changed)
			continue
		}
		sure = append(sure, "  "+changed.String())
		if !changed.Gone {
			advice = append(advice, "to take what is there now, add --set "+shellquote.Word(changed.Key+"="+changed.Path))
		}
	}
	if len(sure) == 0 {
		return nil
	}
	if len(advice) == 1 {
		advice = append(advice, "name another one with --set")
	}
	return exit.Input(errors.New(fmt.Sprintf("run %s cannot be repeated from %s on, because an input is no longer as it was:\n", old.ID, start) +
		strings.Join(sure, "\n") + "\n" + strings.Join(advice, "; ")))
}

// changes are the keys that a request gives other values, by section.
type changes map[string]map[string]any

func changesOf(request runrequest.Request) changes {
	var out changes
	if json.Unmarshal(request.Overrides, &out) != nil {
		return nil // intake says what is wrong
	}
	return out
}

func (c changes) has(key string) bool {
	section, name, _ := strings.Cut(key, ".")
	_, ok := c[section][name]
	return ok
}

// start is the phase from which a run is repeated: the one that is asked for, the first
// that a change concerns or that did not succeed, or the one that the old run began with.
func (c changes) start(old events.Run, from events.Phase) events.Phase {
	if from != "" {
		return from
	}
	for _, step := range old.Accepted.Plan {
		state := old.Phases[step.Phase]
		if len(c[spec.Section(step.Phase)]) > 0 || state == nil || state.Completed == nil || state.Completed.Conclusion != events.Success {
			return step.Phase
		}
	}
	return old.Accepted.Plan[0].Phase
}

// reads reports whether a run that starts from a phase reads the input of a key.
func reads(s events.Specification, start events.Phase, key string) bool {
	const baseModel = "fine_tuner.base_model_id"
	order := func(p events.Phase) int { return slices.Index(events.Phases(), p) }
	for _, p := range spec.Paths(s) {
		if p.Key != key {
			continue
		}
		if key == baseModel && start == events.Inference { // below an adapter, and as the baseline
			return p.Phase == events.Inference || !s.FineTuner.FullFinetuning || s.Inferencer.Baseline
		}
		return order(p.Phase) >= order(start)
	}
	return false
}
