package mlflowtest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// testModels: a run has one model of a name, however often it is asked for, and
// one version of it in the registry; the alias never moves back.
func testModels(t *testing.T, s Store) {
	ctx := t.Context()
	exp, run := NewRun(t, s)
	model := mlflow.LoggedModel{Name: "model", Tags: []mlflow.Tag{{Key: "tunebus.run_id", Value: "01RUN"}}, At: Start}
	id, finished, err := s.EnsureModel(ctx, exp, run, model)
	if err != nil || finished || !strings.HasPrefix(id, "m-") {
		t.Fatalf("%q, %v, %v", id, finished, err)
	}
	err = errors.Join(s.PutModelFile(ctx, id, Content("model/config.json", "old, and longer")),
		s.PutModelFile(ctx, id, Content("model/config.json", "{}")), s.PutModelFile(ctx, id, Content("MLmodel", "flavors: {}")), s.FinishModel(ctx, id), s.FinishModel(ctx, id))
	if err != nil {
		t.Fatal(err)
	}
	if again, finished, err := s.EnsureModel(ctx, exp, run, model); err != nil || !finished || again != id {
		t.Errorf("%q, %v, %v; want %q, finished", again, finished, err, id)
	}
	tag := model.Tags[0]
	if found, by, err := s.FindModel(ctx, exp, tag, "model"); err != nil || found != id || by != run {
		t.Errorf("found %q of %q, %v; want %q of %q", found, by, err, id, run)
	}
	for _, none := range []mlflow.Tag{{Key: tag.Key, Value: "09RUN"}, {Key: "tunebus.other", Value: tag.Value}} {
		if found, _, err := s.FindModel(ctx, exp, none, "model"); err != nil || found != "" {
			t.Errorf("%v: found %q, %v", none, found, err)
		}
	}
	if found, _, err := s.FindModel(ctx, exp, tag, "another"); err != nil || found != "" {
		t.Errorf("found %q, %v", found, err)
	}
	other, err := s.EnsureRun(ctx, exp, mlflow.RunKey{RunID: "02RUN", Phase: "pipeline"}, mlflow.Run{Name: "next", StartTime: Start})
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := s.EnsureModel(ctx, exp, other, model)
	if err != nil || second == id {
		t.Fatalf("%q, %v", second, err)
	}
	name := "harbour book " + strings.ReplaceAll(t.Name(), "/", " ")
	register := func(id, run, want string) {
		t.Helper()
		r := mlflow.Registration{Name: name, ModelID: id, RunID: run, Alias: "gates-met", Tags: model.Tags, At: Start.Add(time.Hour)}
		if got, err := s.Register(ctx, r); err != nil || got != want {
			t.Errorf("version %q, %v; want %s", got, err, want)
		}
	}
	register(id, run, "1")
	register(id, run, "1")
	register(second, other, "2")
	register(id, run, "1")
	if got := s.Alias(t, name, "gates-met"); got != "2" {
		t.Errorf("the alias leads to %q, want 2", got)
	}
	if _, err := s.Register(ctx, mlflow.Registration{Name: name, ModelID: "m-" + strings.Repeat("0", 32), RunID: "none", Alias: "a", At: Start}); err == nil {
		t.Error("a model that does not exist was registered")
	}
}
