package cli_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// past is a data folder that run left behind.
type past struct {
	dir string
	// store is the artifact store in it.
	store *artifact.Store
}

func newPast(t *testing.T) *past {
	t.Helper()
	p := &past{dir: filepath.Join(t.TempDir(), "data")}
	var err error
	if p.store, err = artifact.Open(t.Context(), "file://"+filepath.Join(p.dir, "artifacts")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// on does something on the folder's server.
func (p *past) on(t *testing.T, do func(b *conn.Conn)) {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: filepath.Join(p.dir, "nats"), RelaxedSync: true})
	if err != nil {
		t.Fatal(err)
	}
	b := bustest.Connect(t, s)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	do(b)
	b.Close()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

// put stores an artifact of a run.
func (p *past) put(t *testing.T, run, name, content string) events.Artifact {
	t.Helper()
	key, err := artifact.Key(run, events.Inference, 1, name)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := p.store.Put(t.Context(), key, "application/jsonl", strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return events.Artifact{Name: events.ArtifactPredictions, Reference: ref}
}

// ended are the facts of a run of one phase that has ended.
func ended(run string, artifacts ...events.Artifact) []events.Event {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	plan := []events.Step{{Phase: events.Inference, Queue: "builtin"}}
	phase := events.PhaseCompleted{RunID: run, Phase: events.Inference, Attempt: 1, Conclusion: events.Success, StartedAt: at, EndedAt: at.Add(time.Minute), Artifacts: artifacts}
	return []events.Event{
		events.PipelineAccepted{RunID: run, RunName: "name-of-" + run, RequestedAt: at, Plan: plan, Specification: events.Specification{MLflow: events.MLflow{ExperimentName: "past"}}},
		events.PhaseRequested{RunID: run, Phase: events.Inference, Queue: "builtin", Plan: plan},
		events.PhaseStarted{RunID: run, Phase: events.Inference, Attempt: 1, Worker: "w"},
		phase,
		events.PipelineCompleted{
			RunID: run, Conclusion: events.Success, StartedAt: at, EndedAt: at.Add(time.Minute), DurationSeconds: 60,
			Phases: []events.PhaseResult{{Phase: events.Inference, Conclusion: events.Success, DurationSeconds: 60, Attempts: 1}},
		},
	}
}

// tell publishes events.
func tell(t *testing.T, b *conn.Conn, evs ...events.Event) {
	t.Helper()
	for _, ev := range evs {
		if _, err := journal.New(b).Publish(t.Context(), ev, journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
}

// result runs a command that has to succeed and reads its JSON.
func result(t *testing.T, to any, args ...string) {
	t.Helper()
	status, out, screen := tunebus(t, append(args, "--json")...)
	if status != 0 {
		t.Fatalf("%v: status %d\n%s", args, status, screen)
	}
	if err := json.Unmarshal([]byte(out), to); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// TestArchiveCommand: on a data folder that nobody uses, ended runs go into
// the archive, and the other commands find them there.
func TestArchiveCommand(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.on(t, func(b *conn.Conn) {
		for _, run := range []string{"one", "two"} {
			tell(t, b, ended(run, p.put(t, run, "answers.jsonl", "{}\n"))...)
			tell(t, b, events.TrackingCompleted{RunID: run})
		}
		tell(t, b, ended("pending")...)
	})
	type report struct {
		Archived []struct {
			Run string `json:"run_id"`
		} `json:"archived"`
		Left []struct {
			Run string `json:"run_id"`
			Why string `json:"why"`
		} `json:"left"`
		Young  int  `json:"young"`
		DryRun bool `json:"dry_run"`
	}
	var young, dry, done, again report
	result(t, &young, "archive", "--data", p.dir, "--older-than", "90d")
	if len(young.Archived) != 0 || young.Young != 3 {
		t.Errorf("at 90 days: %+v", young)
	}
	result(t, &dry, "archive", "--data", p.dir, "--older-than", "0s", "--dry-run")
	if len(dry.Archived) != 2 || !dry.DryRun {
		t.Errorf("dry: %+v", dry)
	}
	result(t, &done, "archive", "--data", p.dir, "--older-than", "0s")
	if len(done.Archived) != 2 || len(done.Left) != 1 || done.Left[0].Run != "pending" || !strings.Contains(done.Left[0].Why, "replay tracking --run pending") {
		t.Errorf("archived: %+v", done)
	}
	result(t, &again, "archive", "--data", p.dir, "--older-than", "0s")
	if len(again.Archived) != 0 {
		t.Errorf("again: %+v", again)
	}

	if status, out, screen := tunebus(t, "show", "one", "--data", p.dir); status != 0 || !strings.Contains(out, "name-of-one (one): success") {
		t.Errorf("show: status %d\n%s%s", status, out, screen)
	}
	if status, _, screen := tunebus(t, "show", "nobody", "--data", p.dir); status != 2 || !strings.Contains(screen, "unknown") {
		t.Errorf("show nobody: status %d\n%s", status, screen)
	}
	if status, out, screen := tunebus(t, "cancel", "one", "--data", p.dir); status != 2 || !strings.Contains(out, "has ended already") {
		t.Errorf("cancel: status %d\n%s%s", status, out, screen)
	}
	list := func(args ...string) []string {
		var all []struct {
			Run string `json:"run_id"`
		}
		result(t, &all, append(args, "--data", p.dir)...)
		var ids []string
		for _, r := range all {
			ids = append(ids, r.Run)
		}
		return ids
	}
	if ids := list("runs"); !slices.Equal(ids, []string{"pending"}) {
		t.Errorf("runs: %v", ids)
	}
	if ids := list("runs", "--archived"); !slices.Equal(ids, []string{"one", "pending", "two"}) {
		t.Errorf("runs --archived: %v", ids)
	}
	if status, out, screen := tunebus(t, "archive", "--data", p.dir, "--older-than", "0s"); status != 0 || !strings.Contains(out, "0 runs archived") || !strings.Contains(out, "left: pending: ") {
		t.Errorf("for people: status %d\n%s%s", status, out, screen)
	}
}

// TestArchiveCommandRefuses says what is missing.
func TestArchiveCommandRefuses(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.on(t, func(*conn.Conn) {})
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no age":         {[]string{"--data", p.dir}, "--older-than"},
		"bad age":        {[]string{"--data", p.dir, "--older-than", "90"}, "90d, 36h"},
		"no data folder": {[]string{"--data", dir, "--older-than", "90d"}, "no data folder"},
		"no such store":  {[]string{"--data", p.dir, "--older-than", "90d", "--artifacts", "ftp://x"}, "ftp"},
	} {
		if status, _, screen := tunebus(t, append([]string{"archive"}, c.args...)...); status != 2 || !strings.Contains(screen, c.want) {
			t.Errorf("%s: status %d\n%s", name, status, screen)
		}
	}
}
