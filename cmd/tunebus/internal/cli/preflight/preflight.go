// Package preflight checks before a run starts whether everything that it needs
// can be had from this machine: models and data of the Hub, a judge, a worker
// for the queue of each phase with its program, and MLflow.
//
// All checks run at once and within 15 seconds, and everything that is missing
// is named at once, with what to do about it. Only what the run cannot do
// without stops it.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/layout"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/huggingface"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/evaluation"
)

// Missing is something that cannot be had from this machine.
type Missing struct {
	// What is the key that asks for it, Why the reason, and Do what to do.
	What, Why, Do string
	// Needed is set if the run cannot start without it.
	Needed bool
	// Input is set if no other try can have it: the specification has to change.
	Input bool
}

// Check finds what a request asks for and cannot be had. The warning, which may
// be empty, names what the run goes on without; the error names everything if
// the run needs some of it.
func Check(ctx context.Context, cfg settings.Settings, judge evaluation.Judge, r runrequest.Request) (warning string, err error) {
	if err := dataBesideInputs(cfg.Data.Folder, r); err != nil {
		return "", err
	}
	missing := find(ctx, cfg, judge, r)
	if len(missing) == 0 {
		return "", nil
	}
	var text strings.Builder
	for _, m := range missing {
		fmt.Fprintf(&text, "\n  %s: %s\n      %s", m.What, m.Why, m.Do)
	}
	if slices.ContainsFunc(missing, func(m Missing) bool { return m.Needed }) {
		err := errors.New("the run cannot start; this cannot be had here:" + text.String())
		if slices.ContainsFunc(missing, func(m Missing) bool { return m.Input }) {
			return "", exit.Input(err)
		}
		return "", err
	}
	return "this cannot be had here; the run goes on without it:" + text.String(), nil
}

// dataBesideInputs refuses a data folder in a folder that the run reads: it would change there,
// and the run is to read what it was given.
func dataBesideInputs(data string, r runrequest.Request) error {
	folder := resolved(data)
	for _, key := range slices.Sorted(maps.Keys(r.Files)) {
		input := resolved(r.Files[key])
		if folder == input || strings.HasPrefix(folder, input+string(filepath.Separator)) {
			return exit.Input(fmt.Errorf("the data folder %s lies in %s, which %s names and the run reads; --data names another folder", data, r.Files[key], key))
		}
	}
	return nil
}

// resolved is a path without the links of the part of it that is there.
func resolved(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return filepath.Clean(path)
	}
	for rest := ""; ; {
		if real, err := filepath.EvalSymlinks(abs); err == nil {
			return filepath.Join(real, rest)
		}
		if parent := filepath.Dir(abs); parent == abs {
			return filepath.Join(abs, rest)
		}
		rest, abs = filepath.Join(filepath.Base(abs), rest), filepath.Dir(abs)
	}
}

// find returns what is missing, sorted by its key.
func find(ctx context.Context, cfg settings.Settings, judge evaluation.Judge, r runrequest.Request) []Missing {
	s := r.Specification
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var missing []Missing
	var mu sync.Mutex
	var all sync.WaitGroup
	check := func(one func() *Missing) {
		all.Go(func() {
			if m := one(); m != nil {
				mu.Lock()
				defer mu.Unlock()
				missing = append(missing, *m)
			}
		})
	}
	for _, p := range spec.Paths(s) {
		if _, local := r.Files[p.Key]; !local && runrequest.Needs(s, p.Phase) {
			check(func() *Missing { return onHub(ctx, cfg, p) })
		}
	}
	if runrequest.Needs(s, events.Evaluation) {
		check(func() *Missing { return forJudge(judge, s.Evaluator) })
	}
	for _, step := range spec.Plan(s) {
		check(func() *Missing { return worker(cfg, step) })
		check(func() *Missing { return program(ctx, cfg, step, programPatience) })
		check(func() *Missing { return sharedFolder(cfg, s, step) })
	}
	check(func() *Missing { return TrackingServer(ctx, cfg) })
	check(func() *Missing { return trackingFolder(cfg) })
	all.Wait()
	slices.SortFunc(missing, func(a, b Missing) int { return strings.Compare(a.What, b.What) })
	return missing
}

// onHub checks whether the Hub gives a model or a data set.
func onHub(ctx context.Context, cfg settings.Settings, p spec.Path) *Missing {
	c, err := huggingface.New(huggingface.Options{
		Endpoint: cfg.Data.HubEndpoint,
		Token:    cfg.Credentials.HuggingFaceToken,
		Cache:    cfg.Data.HubCache,
		Offline:  cfg.Data.HubOffline,
		Tries:    1,
	})
	if err == nil {
		if p.IsData() {
			err = c.HasDataset(ctx, p.Place())
		} else {
			err = c.HasModel(ctx, p.Value)
		}
	}
	if err == nil {
		return nil
	}
	return &Missing{What: p.Key, Why: err.Error(), Do: "name a local file or folder instead: --set " + p.Key + "=PATH", Needed: true}
}

// forJudge checks whether there is a judge for the judged metrics.
func forJudge(judge evaluation.Judge, e events.Evaluator) *Missing {
	notes := judge.Lacks(e)
	if len(notes) == 0 {
		return nil
	}
	return &Missing{
		What: "evaluator.metrics",
		Why:  strings.Join(notes, "; "),
		Do:   "set OPENAI_API_KEY, name another judge by services.evaluation.judge_base_url, or leave these metrics out",
	}
}

// worker checks whether a service of this process takes the jobs of a phase. No
// other process can, so the job would wait for ever.
func worker(cfg settings.Settings, step events.Step) *Missing {
	section := spec.Section(step.Phase)
	if step.Phase == events.Finetune {
		if err := inprocess.NoEnvironment(cfg, step.Queue); err != nil {
			return &Missing{
				What: section + ".engine",
				Why:  err.Error(),
				Do: fmt.Sprintf("install it, or name an environment of your own: command = [\"/opt/%[1]s/bin/python\", \"-m\", \"tunebus_trainer\", \"--engine\", %[1]q] and queue = %[1]q "+
					"in the section services.finetune, such as in ./tunebus.toml", step.Queue),
				Needed: true,
				Input:  true,
			}
		}
	}
	queue := cfg.Worker(step.Phase).Queue
	if inprocess.Takes(cfg, step.Phase, step.Queue) {
		return nil
	}
	why := fmt.Sprintf("the jobs go to the queue %q, and the service in this process takes those of the queue %q", step.Queue, queue)
	if !slices.Contains(layout.Queues(cfg)[step.Phase], step.Queue) { // a name of the person's own
		return &Missing{
			What:   section + ".queue",
			Why:    why,
			Do:     fmt.Sprintf("write queue = %q into the section services.%s of the settings, such as in ./tunebus.toml, or leave %s.queue out", step.Queue, step.Phase, section),
			Needed: true,
			Input:  true,
		}
	}
	if step.Phase == events.Finetune && step.Queue == spec.Command && len(cfg.Finetune.Command) == 0 {
		return &Missing{
			What:   section + ".engine",
			Why:    fmt.Sprintf("%q is a program of yours that trains, and the settings name none", spec.Command),
			Do:     fmt.Sprintf("write command = [\"python3\", \"trainer.py\"] and queue = %q into the section services.finetune, such as in ./tunebus.toml", spec.Command),
			Needed: true,
			Input:  true,
		}
	}
	if what, do := answering(cfg.Inference, step); what != "" {
		return &Missing{What: section + ".engine", Why: what, Do: do, Needed: true, Input: true}
	}
	return &Missing{
		What:   section + ".engine",
		Why:    why,
		Do:     fmt.Sprintf("leave %s.engine and %s.queue out, or submit the run to a server whose workers take jobs of that queue", section, section),
		Needed: true,
		Input:  true,
	}
}

// answering says what an engine of inference needs that the settings do not name;
// empty: nothing.
func answering(i settings.Inference, step events.Step) (why, do string) {
	const write = "write %s and queue = %q into the section services.inference, such as in ./tunebus.toml; or leave inferencer.engine out: \"builtin\" answers then"
	switch {
	case step.Phase != events.Inference:
	case step.Queue == spec.OpenAI && i.Endpoint == "":
		return fmt.Sprintf("%q is a server of yours that answers, and the settings name none", spec.OpenAI),
			fmt.Sprintf(write, `endpoint = "http://HOST:8000/v1"`, spec.OpenAI)
	case step.Queue == spec.Transformers && len(i.Command) == 0:
		return fmt.Sprintf("%q is a Python environment of yours that answers, and the settings name none", spec.Transformers),
			fmt.Sprintf(write, `command = ["PATH/bin/python", "-m", "tunebus_trainer.generate"]`, spec.Transformers)
	}
	return "", ""
}

// TrackingServer checks whether the MLflow server answers, if runs are tracked
// on one.
func TrackingServer(ctx context.Context, cfg settings.Settings) *Missing {
	uri := cfg.Tracker.TrackingURI
	if folderaddress.Is(uri) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(uri, "/")+"/health", nil)
	if err == nil {
		var answer *http.Response
		if answer, err = http.DefaultClient.Do(r); err == nil {
			_ = answer.Body.Close() // any answer, also an error, shows that a server is there
			return nil
		}
	}
	return &Missing{
		What: "mlflow.tracking_uri",
		Why:  settings.Redacted(uri) + " does not answer; tracking will be pending",
		Do:   "start it, or track into a folder: --tracking-uri file:./mlruns",
	}
}

// trackingFolder makes the folder that runs are tracked into, if it is one.
func trackingFolder(cfg settings.Settings) *Missing {
	if !folderaddress.Is(cfg.Tracker.TrackingURI) {
		return nil
	}
	folder, err := folderaddress.Folder(cfg.Tracker.TrackingURI)
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	if err != nil {
		return &Missing{
			What: "mlflow.tracking_uri",
			Why:  err.Error() + "; tracking will be pending",
			Do:   "track into another folder: --tracking-uri file:FOLDER",
		}
	}
	return nil
}
