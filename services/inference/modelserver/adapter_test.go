package modelserver_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/inference/modelserver"
)

// tuned is a job of some rows with an adapter of a rank, and a folder that the server
// sees too.
func tuned(t *testing.T, f *fakeVLLM, rank int, change func(c *modelserver.Config, r *events.PhaseRequested)) (b *bench, share string, res engine.Result, err error) {
	t.Helper()
	b = newBench(t.TempDir())
	b.write(t, 20)
	share = t.TempDir()
	c, r := config(f.URL, ""), request(nil)
	r.Inputs.Model, r.Specification.Inferencer.Baseline = b.adapter(t, rank), true
	c.Share.Folder = share
	if change != nil {
		change(&c, &r)
	}
	res, err = modelserver.New(c).Run(t.Context(), b.job(r))
	return b, share, res, err
}

const adapterName = "tunebus-r1-0123456789ab"

// TestAdapter: an adapter is loaded under a name of its run and content, proved
// active, asked, unloaded and removed; the base model is asked for the baseline.
func TestAdapter(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	b, share, res, err := tuned(t, f, 8, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.answers(t, prediction.FileName); got[3].Answer != "tuned says q3" {
		t.Errorf("answered %+v", got[3])
	}
	if got := b.answers(t, prediction.BaselineFileName); got[3].Answer != "base says q3" {
		t.Errorf("the base model answered %+v", got[3])
	}
	if len(f.loaded) > 0 || !slices.Equal(f.unloaded, []string{adapterName}) || len(leftovers(t, share)) > 0 {
		t.Errorf("loaded %v, unloaded %v, left %v", f.loaded, f.unloaded, leftovers(t, share))
	}
	if res.Statistics["adapter_proved_active"] != 1 || len(res.Notes) > 0 {
		t.Errorf("statistics %v, notes %q", res.Statistics, res.Notes)
	}
	samples := slices.DeleteFunc(slices.Clone(f.calls), func(a asked) bool { return a.Logprobs == nil })
	if len(samples) != 3*8 || samples[0].field("max_tokens") != "16" || samples[0].field("temperature") != "0" {
		t.Errorf("%d calls prove it, the first with %v", len(samples), samples[0].fields)
	}
}

// TestProofTakesOtherRows: a row that cannot be asked among the first ones, with the adapter or
// without it, does not fail the proof: others are asked.
func TestProofTakesOtherRows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refused func(a asked) bool
		ignore  bool
		calls   int // that prove it
		says    string
	}{
		"too long questions":              {func(a asked) bool { return a.question() == "q0" || a.question() == "q5" }, false, 2 + 3*8, ""},
		"too long with the adapter alone": {func(a asked) bool { return a.question() == "q2" && a.Model != "owner/base" }, false, 8 + 8 + 7, ""},
		"an adapter that is ignored":      {func(a asked) bool { return a.question() == "q0" }, true, 0, "answers 8 prompts with the adapter"},
		"every row with the adapter":      {func(a asked) bool { return a.Logprobs != nil && a.Model != "owner/base" }, false, 8 + 8, "could be asked both with it and without it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.ignore = c.ignore
			f.before = func(w http.ResponseWriter, a asked, _ int) bool {
				if c.refused(a) {
					refuse(w, http.StatusBadRequest, `{"error": {"message": "prompt is too long"}}`)
				}
				return c.refused(a)
			}
			_, _, res, err := tuned(t, f, 8, nil)
			says := strings.Join(res.Notes, "\n")
			if err != nil {
				says = err.Error()
			}
			if (err != nil) != c.ignore || !strings.Contains(says, c.says) || c.says == "" && res.Statistics["adapter_proved_active"] != 1 {
				t.Fatalf("%v, statistics %v, notes %q", err, res.Statistics, res.Notes)
			}
			proof := slices.DeleteFunc(slices.Clone(f.calls), func(a asked) bool { return a.Logprobs == nil })
			if c.calls > 0 && len(proof) != c.calls {
				t.Errorf("%d calls prove it, want %d", len(proof), c.calls)
			}
		})
	}
}

// TestProofWithoutLargeImages: so does a row whose images are too large for a call.
func TestProofWithoutLargeImages(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	b := newBench(t.TempDir())
	rows := `{"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Too much?"}]}, {"role": "assistant", "content": "a"}], "images": ["large.png"]}
{"messages": [{"role": "user", "content": "No picture?"}, {"role": "assistant", "content": "a"}]}
`
	for name, body := range map[string][]byte{"large.png": picture(t, 6, 20<<20), "rows.jsonl": []byte(rows)} {
		if err := os.WriteFile(filepath.Join(b.dir, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, r := config(f.URL, filepath.Join(b.dir, "machine")), request(nil)
	r.Inputs.Model, c.Share.Folder = b.adapter(t, 8), t.TempDir()
	res, err := modelserver.New(c).Run(t.Context(), b.job(r))
	if err != nil || res.Statistics["adapter_proved_active"] != 1 {
		t.Fatalf("%v, statistics %v", err, res.Statistics)
	}
	if got := b.answers(t, prediction.FileName); len(got) != 2 || !got[0].NoAnswer || got[1].Answer != "tuned says No picture?" {
		t.Errorf("answers %+v", got)
	}
}

// TestServedModelIsSaid: where the settings of the worker name another model than the run, a
// note says which one answered, and for which key; where they agree, there is none.
func TestServedModelIsSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ served, base, model, says string }{
		"another one than base_model_id": {"owner/base", "owner/other", "", `fine_tuner.base_model_id = "owner/other": the model "owner/base" of the server at `},
		"another one than model_id":      {"owner/base", "owner/base", "owner/other", `inferencer.model_id = "owner/other": the model "owner/base" of the server at `},
		"the same":                       {"owner/base", "owner/base", "", ""},
		"none":                           {"", "owner/base", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			b := newBench(t.TempDir())
			b.write(t, 3)
			cfg := config(f.URL, filepath.Join(b.dir, "machine"))
			cfg.Model = c.served
			res, err := modelserver.New(cfg).Run(t.Context(), b.job(request(func(s *events.Specification) {
				s.FineTuner.BaseModelID, s.Inferencer.ModelID = c.base, c.model
			})))
			if err != nil {
				t.Fatal(err)
			}
			told := slices.DeleteFunc(slices.Clone(res.Notes), func(n string) bool { return !strings.Contains(n, "the model \"owner/base\"") })
			if c.says == "" && len(told) > 0 || c.says != "" && (len(told) != 1 || !strings.HasPrefix(told[0], c.says) || !strings.HasSuffix(told[0], "services.inference.served_model of the worker names")) {
				t.Errorf("the notes are %q", res.Notes)
			}
		})
	}
}

// TestIgnoredAdapter: an adapter that the server leaves alone in silence fails the phase
// for good, where log probabilities show it.
func TestIgnoredAdapter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fake     func(f *fakeVLLM)
		required bool
		failed   bool
		says     string
	}{
		"log probabilities are equal":        {func(f *fakeVLLM) { f.ignore = true }, false, true, "equal to the last digit"},
		"only texts":                         {func(f *fakeVLLM) { f.ignore, f.noProbs = true, true }, false, false, "it is not proved that the adapter"},
		"only texts, and it is required":     {func(f *fakeVLLM) { f.ignore, f.noProbs = true, true }, true, true, "require_active_adapter = true"},
		"only texts, that differ":            {func(f *fakeVLLM) { f.noProbs = true }, true, false, ""},
		"the server computes with noise":     {func(f *fakeVLLM) { f.ignore, f.drift = true, 1e-5 }, false, false, "from call to call"},
		"it is active in spite of the noise": {func(f *fakeVLLM) { f.drift = 1e-5 }, true, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			c.fake(f)
			_, share, res, err := tuned(t, f, 32-16, func(_ *modelserver.Config, r *events.PhaseRequested) {
				r.Specification.Inferencer.RequireActiveAdapter = c.required
			})
			failed, _ := errors.AsType[*engine.JobError](err)
			if (err != nil) != c.failed || c.failed && (failed.Code != "adapter_not_active" || !failed.Permanent) {
				t.Fatalf("got %v", err)
			}
			text := strings.Join(res.Notes, "\n")
			if c.failed {
				text = err.Error()
			}
			if !strings.Contains(text, c.says) || c.says != "" && (!strings.Contains(text, "--max-lora-rank") || !strings.Contains(text, "at least 16") || !strings.Contains(text, "target_modules")) {
				t.Errorf("it says %q", text)
			}
			if proved, ok := res.Statistics["adapter_proved_active"]; !c.failed && (!ok || (proved == 1) != (c.says == "")) {
				t.Errorf("statistics %v", res.Statistics)
			}
			if len(f.loaded) > 0 || len(leftovers(t, share)) > 0 {
				t.Errorf("it is still loaded: %v, %v", f.loaded, leftovers(t, share))
			}
			if answered := len(f.of()); c.failed && answered > 0 {
				t.Errorf("%d questions were asked", answered)
			}
		})
	}
}

// TestAdapterRefused: why a server does not load an adapter is said with what to do.
func TestAdapterRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rank   int
		change func(f *fakeVLLM, c *modelserver.Config)
		says   string
	}{
		"the rank is too large":         {64, func(*fakeVLLM, *modelserver.Config) {}, "rank 64"},
		"the path is another one there": {8, func(_ *fakeVLLM, c *modelserver.Config) { c.Share.ServerPath = "/nowhere" }, `"/nowhere/` + adapterName + `"`},
		"it takes none":                 {8, func(f *fakeVLLM, _ *modelserver.Config) { f.routes["POST /v1/load_lora_adapter"] = http.NotFound }, "VLLM_ALLOW_RUNTIME_LORA_UPDATING"},
		"no folder":                     {8, func(_ *fakeVLLM, c *modelserver.Config) { c.Share.Folder = "" }, "services.inference.lora_folder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			_, share, _, err := tuned(t, f, c.rank, func(cfg *modelserver.Config, _ *events.PhaseRequested) { c.change(f, cfg) })
			failed, ok := errors.AsType[*engine.JobError](err)
			if !ok || failed.Code != "adapter_refused" || !failed.Permanent || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if left := leftovers(t, share); len(left) > 0 {
				t.Errorf("the folder has %q", left)
			}
		})
	}
}

// TestResolver: a server that finds adapters by itself gets no call; the configuration names the
// base model as the server does, since vLLM compares it.
func TestResolver(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.routes["POST /v1/load_lora_adapter"] = http.NotFound
	share := ""
	var seen atomic.Pointer[string]
	f.before = func(_ http.ResponseWriter, a asked, _ int) bool {
		if a.Model != adapterName {
			return false
		}
		body, err := os.ReadFile(filepath.Join(share, a.Model, "adapter_config.json"))
		text := string(body)
		if err != nil {
			text = err.Error()
		}
		seen.Store(&text)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.loaded[a.Model] = "found"
		return false
	}
	_, _, _, err := tuned(t, f, 8, func(c *modelserver.Config, _ *events.PhaseRequested) { c.Share.Resolved, share = true, c.Share.Folder })
	if err != nil {
		t.Fatal(err)
	}
	if text := *seen.Load(); !strings.Contains(text, `"base_model_name_or_path": "/models/base"`) || !strings.Contains(text, `"r": 8`) {
		t.Errorf("the configuration is %s", text)
	}
	if len(leftovers(t, share)) > 0 || len(f.unloaded) > 0 {
		t.Errorf("left %v, unloaded %v", leftovers(t, share), f.unloaded)
	}
}

// TestLostAdapter: an adapter that the server has lost, such as at a restart, is loaded
// again; one that an earlier attempt left loaded is used.
func TestLostAdapter(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.loaded[adapterName] = "of an earlier attempt"
	var lost atomic.Bool
	f.before = func(http.ResponseWriter, asked, int) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.calls) > 30 && !lost.Swap(true) {
			delete(f.loaded, adapterName)
		}
		return false
	}
	b, _, _, err := tuned(t, f, 8, func(c *modelserver.Config, _ *events.PhaseRequested) { c.Parallel = 1 })
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range b.answers(t, prediction.FileName) {
		if !strings.HasPrefix(p.Answer, "tuned") {
			t.Errorf("row %d: %q", i, p.Answer)
		}
	}
}

// TestWholeModel: a model all of whose weights were trained is refused with what to do.
func TestWholeModel(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	_, _, _, err := tuned(t, f, 8, func(_ *modelserver.Config, r *events.PhaseRequested) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.Inputs.Model.Key = dir
	})
	if failed, ok := errors.AsType[*engine.JobError](err); !ok || !failed.Permanent || !strings.Contains(err.Error(), "tunebus export") {
		t.Errorf("got %v", err)
	}
}
