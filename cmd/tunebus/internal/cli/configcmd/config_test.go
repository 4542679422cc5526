package configcmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
)

func TestReferenceIsCommittedAndUsable(t *testing.T) {
	t.Parallel()
	status, doc, screen := clitest.Run(t, "config", "doc")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	const file = "../../../../../configs/seed.toml"
	committed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != doc {
		t.Error("configs/seed.toml is not what \"tunebus config doc\" prints")
	}
	status, _, screen = clitest.Run(t, "config", "check", file, "--set", "fine_tuner.base_model_id=a/b", "--set", "fine_tuner.training_data_id=a/c", "--set", "inferencer.testing_data_id=a/d")
	if status != 0 {
		t.Errorf("status %d\n%s", status, screen)
	}
}

// TestSet: every kind of key can be set by a flag, over a file, and what is
// wrong with an assignment is said with the key that may be meant.
func TestSet(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "run.toml")
	body := "[fine_tuner]\nbase_model_id = \"a/b\"\ntraining_data_id = \"a/c\"\n[inferencer]\ntesting_data_id = \"a/d\"\n[evaluator.gates]\nbleu_score = 0.2\nchrf = 0.3\n"
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(sets ...string) (status int, out, screen string) {
		args := []string{"config", "check", "--json", file}
		for _, s := range sets {
			args = append(args, "--set", s)
		}
		return clitest.Run(t, args...)
	}
	status, out, screen := check("evaluator.gates.rouge_score=0.5", "evaluator.gates.chrf=null", "evaluator.metrics=[\"rouge_score\",\"bleu_score\"]", "fine_tuner.target_modules=q_proj, v_proj",
		"fine_tuner.use_gradient_checkpointing=unsloth", "fine_tuner.epochs=7", "inferencer.baseline=true", "fine_tuner.learning_rate=1e-3", "fine_tuner.timeout=2h")
	var got events.Specification
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 {
		t.Fatalf("status %d, %v\n%s%s", status, err, out, screen)
	}
	want := events.Specification{}
	want.Evaluator.Gates, want.Evaluator.Metrics = map[string]float64{"rouge_score": 0.5, "bleu_score": 0.2}, []string{"rouge_score", "bleu_score"}
	want.FineTuner.TargetModules, want.FineTuner.UseGradientCheckpointing = events.Modules{"q_proj", "v_proj"}, "unsloth"
	f := got.FineTuner
	if !reflect.DeepEqual(got.Evaluator.Gates, want.Evaluator.Gates) || !slices.Equal(got.Evaluator.Metrics, want.Evaluator.Metrics) || !slices.Equal(f.TargetModules, want.FineTuner.TargetModules) ||
		f.UseGradientCheckpointing != want.FineTuner.UseGradientCheckpointing || f.Epochs != 7 || !got.Inferencer.Baseline || f.LearningRate != 1e-3 || f.Timeout != "2h" {
		t.Errorf("%+v", got)
	}
	for says, set := range map[string]string{
		`evaluator.gates.chrf = "high": want a number`:                                "evaluator.gates.chrf=high",
		`evaluator.gate.chrf: unknown key; did you mean "gates"?`:                     "evaluator.gate.chrf=0.1",
		`fine_tuner.rank.x: unknown key; did you mean "rank"?`:                        "fine_tuner.rank.x=1",
		`inferencer.epochs: unknown key; did you mean "fine_tuner.epochs"?`:           "inferencer.epochs=1",
		`want section.key=value; did you mean "fine_tuner.epochs"?`:                   "epoch=3",
		`want section.key=value; did you mean "fine_tuner.seed" or "inferencer.seed"`: "seed=3",
		`finetuner: unknown section; did you mean "fine_tuner"?`:                      "finetuner.epochs=1",
		`labels: unknown section`:                                                     "labels.team=blue",
		`bus.url: is a setting`:                                                       "bus.url=nats://elsewhere",
		`services.tracker.reports: is a setting`:                                      "services.tracker.reports=there",
	} {
		if status, out, screen := check(set); status != 2 || !strings.Contains(out+screen, says) {
			t.Errorf("%s: status %d, want 2 and %s\n%s%s", set, status, says, out, screen)
		}
	}
}

func TestConfigInitKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "my.toml")
	if status, _, screen := clitest.Run(t, "config", "init", file); status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	if status, _, _ := clitest.Run(t, "config", "init", file); status != 2 {
		t.Errorf("a second init ended with status %d", status)
	}
}

func TestVariables(t *testing.T) {
	t.Setenv("TUNEBUS_TEST_MODEL", "owner/model")
	t.Setenv("TUNEBUS_TEST_TOKEN", "hush")
	args := []string{"config", "check", "--json", "--set", "fine_tuner.training_data_id=a/c", "--set", "inferencer.testing_data_id=a/d"}
	status, out, screen := clitest.Run(t, append(args, "--set", "fine_tuner.base_model_id=${TUNEBUS_TEST_MODEL}")...)
	if status != 0 || !strings.Contains(out, "owner/model") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	status, out, screen = clitest.Run(t, append(args, "--set", "fine_tuner.base_model_id=${TUNEBUS_TEST_TOKEN}")...)
	if status != 2 || strings.Contains(out+screen, "hush") {
		t.Errorf("a secret went through: status %d\n%s%s", status, out, screen)
	}
}

// TestVariablesEverywhere: variables are expanded wherever a text may stand,
// and no detour brings a secret into a specification.
func TestVariablesEverywhere(t *testing.T) {
	t.Setenv("TUNEBUS_TEST_SECRET", "hush-hush-hush")
	t.Setenv("ALIAS", "x-hush-hush-hush-x")
	t.Setenv("NESTED", "${TUNEBUS_TEST_SECRET}")
	t.Setenv("METRIC", "rouge_score")
	const ids = "[fine_tuner]\nbase_model_id = \"a/b\"\ntraining_data_id = \"a/c\"\n[inferencer]\ntesting_data_id = \"a/d\"\n"
	check := func(body string) (int, string, string) {
		file := filepath.Join(t.TempDir(), "v.toml")
		if err := os.WriteFile(file, []byte(ids+body), 0o600); err != nil {
			t.Fatal(err)
		}
		return clitest.Run(t, "config", "check", "--json", file)
	}
	if status, out, screen := check("run_name = \"${METRIC}-${METRIC}\"\n[evaluator]\nmetrics = [\"chrf\", \"${METRIC}\"]"); status != 0 ||
		!strings.Contains(out, "rouge_score-rouge_score") || strings.Contains(out, "${") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	for text, want := range map[string]string{
		"${TUNEBUS_TEST_SECRET}": "TUNEBUS_TEST_SECRET holds a secret",
		"${ALIAS}":               "ALIAS holds a secret",
		"${NESTED}":              "NESTED holds a",
		"${NOT_THERE}":           "no variable NOT_THERE",
		"${1X}":                  "begins the name of a variable",
		"${METRIC":               "begins the name of a variable",
	} {
		for _, body := range []string{"run_name = \"" + text + "\"", "[evaluator]\nmetrics = [\"chrf\", \"" + text + "\"]"} {
			status, out, screen := check(body)
			if status != 2 || !strings.Contains(screen, want) || !strings.Contains(screen, "v.toml:") || strings.Contains(out+screen, "hush-") {
				t.Errorf("%s: status %d\n%s%s", body, status, out, screen)
			}
		}
	}
}

// TestFaultsOfAllKindsAtOnce: what is wrong in a specification, in settings of
// the same file, and beside them comes at once, by place and once each.
func TestFaultsOfAllKindsAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "both.toml")
	body := `[services.finetune]
slots = 0
[fine_tuner]
epochs = 0
base_model_id = "nowhere/to/be/found"
training_data_id = "owner/data"
[srvices]
log_level = "info"
[bus]
ulr = "nats://x"
`
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, screen := clitest.Run(t, "config", "check", file, "--skip-inference", "--skip-evaluation")
	at := -1
	for _, want := range []string{
		"both.toml:2:1: services.finetune.slots = 0: too small", "both.toml:4:1: fine_tuner.epochs = 0: too small",
		`both.toml:7:2: srvices: unknown section; did you mean "services"?`, `both.toml:10:1: bus.ulr: unknown key; did you mean "url"?`,
	} {
		next := strings.Index(screen, want)
		if status != 2 || next <= at || strings.Count(screen, want) != 1 {
			t.Errorf("status %d, no %q in its place:\n%s", status, want, screen)
		}
		at = next
	}
	status, _, screen = clitest.Run(t, "run", "--config", file, "--label", "x", "--stop-after-finetuning")
	for _, want := range []string{"fine_tuner.epochs = 0", "srvices", "base_model_id = nowhere/to/be/found", "--label = x"} {
		if status != 2 || !strings.Contains(screen, want) {
			t.Errorf("run: status %d, no %q:\n%s", status, want, screen)
		}
	}
	if err := os.WriteFile(file, []byte("[fine_tuner]\nepochs = = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, screen = clitest.Run(t, "config", "check", file)
	if status != 2 || !strings.Contains(screen, "both.toml:2:10: syntax") || strings.Contains(screen, "missing") {
		t.Errorf("a fault of the syntax: status %d\n%s", status, screen)
	}
}

// TestNotesOnKeysWithoutEffect: a key that the engine does not honour, or that
// another key makes void, is named with its line.
func TestNotesOnKeysWithoutEffect(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes.toml")
	body := `[fine_tuner]
base_model_id = "a/b"
training_data_id = "a/c"
warmup_steps = 50
use_flash_attention = true
lr_scheduler_type = "constant"
[inferencer]
testing_data_id = "a/d"
`
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, screen := clitest.Run(t, "config", "check", file)
	for _, want := range []string{
		`notes.toml:4:1: fine_tuner.warmup_steps = 50: has no effect, because fine_tuner.lr_scheduler_type = "constant"`,
		"notes.toml:5:1: fine_tuner.use_flash_attention = true: the built-in engine has its own attention",
	} {
		if status != 0 || strings.Count(screen, want) != 1 {
			t.Errorf("status %d, no %q:\n%s", status, want, screen)
		}
	}
	status, out, _ := clitest.Run(t, "config", "doc", "--json")
	if status != 0 || !strings.Contains(out, `"engine": "trl"`) || !strings.Contains(out, `"honoured": false`) {
		t.Errorf("status %d, the engines are not in\n%.2000s", status, out)
	}
}

// TestNotesInJSON: notes and warnings stand in the JSON of config check, beside the keys of
// the specification, and not on the screen as well.
func TestNotesInJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clitest.Write(t, dir, "notes.toml", `[fine_tuner]
base_model_id = "a/b"
training_data_id = "a/c"
warmup_steps = 50
lr_scheduler_type = "constant"
[inferencer]
testing_data_id = "a/d"
engine = "openai"
`)
	status, out, screen := clitest.Run(t, "config", "check", "--json", filepath.Join(dir, "notes.toml"))
	var got struct {
		events.Specification
		Notes    []string `json:"notes"`
		Warnings []string `json:"warnings"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 || screen != "" || got.FineTuner.WarmupSteps != 50 {
		t.Fatalf("status %d, %v\n%s%s", status, err, out, screen)
	}
	if len(got.Notes) == 0 || !slices.ContainsFunc(got.Notes, func(n string) bool {
		return strings.Contains(n, "notes.toml:4:1: fine_tuner.warmup_steps = 50: has no effect")
	}) {
		t.Errorf("notes %q", got.Notes)
	}
	if len(got.Warnings) != 1 || !strings.HasPrefix(got.Warnings[0], "inferencer.engine: the engine openai asks a model server") {
		t.Errorf("warnings %q", got.Warnings)
	}
	if _, out, _ = clitest.Run(t, "config", "check", "--json", clitest.Quickstart()); strings.Contains(out, `"notes"`) || strings.Contains(out, `"warnings"`) {
		t.Errorf("nothing is unusual:\n%s", out)
	}
}

// TestMisspeltPaths: what looks like an id of the Hub and stands in a folder that is here is
// noted, with the name that may be meant. A usual id is not.
func TestMisspeltPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"m/llama", "d/rows"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	clitest.Write(t, dir, "file", "no folder")
	file := filepath.Join(dir, "run.toml")
	for name, c := range map[string]struct{ model, data, want string }{
		"a model":    {"m/lama", "a/c", file + ":2:1: fine_tuner.base_model_id = m/lama: no such file or folder (" + dir + "/m/lama), so that it is taken as an id of the Hugging Face Hub; did you mean m/llama?"},
		"data":       {"a/b", "d/row:train", file + ":3:1: fine_tuner.training_data_id = d/row:train: no such file or folder (" + dir + "/d/row), so that it is taken as an id of the Hugging Face Hub; did you mean d/rows?"},
		"not near":   {"m/Qwen3-0.6B", "a/c", file + ":2:1: fine_tuner.base_model_id = m/Qwen3-0.6B: no such file or folder (" + dir + "/m/Qwen3-0.6B), so that it is taken as an id of the Hugging Face Hub"},
		"usual ids":  {"Qwen/Qwen3-0.6B", "a/c", ""},
		"not a file": {"file/x", "a/c", ""},
	} {
		clitest.Write(t, dir, "run.toml", "[fine_tuner]\nbase_model_id = \""+c.model+"\"\ntraining_data_id = \""+c.data+"\"\n")
		status, out, screen := clitest.Run(t, "config", "check", file, "--skip-inference", "--skip-evaluation")
		var said []string
		for line := range strings.Lines(screen) {
			if strings.Contains(line, "taken as an id") {
				said = append(said, strings.TrimSpace(strings.TrimPrefix(line, "note: ")))
			}
		}
		if status != 0 || strings.Join(said, "\n") != c.want {
			t.Errorf("%s: status %d, %q, want %q\n%s%s", name, status, said, c.want, out, screen)
		}
	}
}

// TestNotesOnAnAdapterAsBase: keys that an adapter as the base model makes void are named with
// their lines, also where they have their defaults, and those that nobody set are not.
func TestNotesOnAnAdapterAsBase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "first"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "first", "adapter_model.safetensors"), []byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	clitest.Write(t, dir, "first/adapter_config.json", `{"peft_type": "LORA", "base_model_name_or_path": "a/b", "r": 32, "lora_alpha": 32, "target_modules": ["q_proj"]}`)
	clitest.Write(t, dir, "notes.toml", `[fine_tuner]
base_model_id = "first"
training_data_id = "a/c"
rank = 16
use_dora = true
lora_dropout = 0.5
[inferencer]
testing_data_id = "a/d"
`)
	_, _, screen := clitest.Run(t, "config", "check", filepath.Join(dir, "notes.toml"))
	const why = "has no effect, because fine_tuner.base_model_id is an adapter, which is trained further as it is: "
	for _, want := range []string{"notes.toml:4:1: fine_tuner.rank = 16: " + why + "rank = 32", "notes.toml:5:1: fine_tuner.use_dora = true: " + why + "use_dora = false"} {
		if strings.Count(screen, want) != 1 {
			t.Errorf("no %q:\n%s", want, screen)
		}
	}
	if strings.Count(screen, why) != 2 {
		t.Errorf("keys that nobody set, or that are honoured, are named:\n%s", screen)
	}
}

// TestEnginesThatNobodyHasHere: config check warns of an engine that no worker with these
// settings has, of inference as of training, and says nothing once the settings name it.
func TestEnginesThatNobodyHasHere(t *testing.T) {
	t.Parallel()
	config := filepath.Join(clitest.Root(), "configs", "quickstart.toml")
	for name, c := range map[string]struct{ engine, settings, warns string }{
		"no server":           {"openai", "", "services.inference.endpoint of the settings names none"},
		"no program":          {"transformers", "", "services.inference.command of the settings names none"},
		"a server":            {"openai", "[services.inference]\nendpoint = \"http://127.0.0.1:9/v1\"\nqueue = \"openai\"\n", ""},
		"a program":           {"transformers", "[services.inference]\ncommand = [\"python3\", \"x.py\"]\nqueue = \"transformers\"\n", ""},
		"the built-in engine": {"builtin", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "settings.toml")
			if err := os.WriteFile(file, []byte(c.settings), 0o600); err != nil {
				t.Fatal(err)
			}
			status, _, screen := clitest.Run(t, "config", "check", config, "--settings", file, "--set", "inferencer.engine="+c.engine)
			want := "warning: inferencer.engine: the engine " + c.engine
			if c.warns == "" {
				want = "inferencer.engine: the engine"
			}
			if status != 0 || strings.Contains(screen, want) != (c.warns != "") || !strings.Contains(screen, c.warns) {
				t.Errorf("status %d\n%s", status, screen)
			}
		})
	}
}

// TestFaultsOfInputs: config check and run open local data and models. What is wrong
// with them comes with the other faults, each at the line of its key.
func TestFaultsOfInputs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, body := range map[string]string{
		"rows.jsonl":  "{\"question\":\"q\",\"answer\":\"a\"}\n{\"question\":\"q\",",
		"other.jsonl": `{"prompt":"q","reply":"a"}`,
		"run.toml": `[fine_tuner]
base_model_id = "nowhere/to/be/found"
training_data_id = "rows.jsonl"
epochs = 0
[inferencer]
testing_data_id = "other.jsonl"
model_id = "."
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "run.toml")
	for _, command := range []string{"config check", "run"} {
		args := append(strings.Fields(command), "--config", file)
		if command == "run" {
			args = append(args, clitest.Folders(t.TempDir())...)
		}
		status, _, screen := clitest.Run(t, args...)
		for _, want := range []string{
			"run.toml:2:1: fine_tuner.base_model_id = nowhere/to/be/found: no such file or folder",
			`run.toml:3:1: fine_tuner.training_data_id = "rows.jsonl": rows.jsonl, line 2`,
			"run.toml:4:1: fine_tuner.epochs = 0",
			`run.toml:6:1: inferencer.testing_data_id = "other.jsonl": `,
			`run.toml:7:1: inferencer.model_id = ".": . is no model`,
		} {
			if status != 2 || strings.Count(screen, want) != 1 {
				t.Errorf("%s: status %d, no %q:\n%s", command, status, want, screen)
			}
		}
	}
}

// TestHeadOfOneFault: the head of a list counts right, and names no kind of
// configuration, since each fault names its file.
func TestHeadOfOneFault(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tunebus.toml")
	if err := os.WriteFile(file, []byte("[services.finetune.stall]\ntrain = \"-5m\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, screen := clitest.Run(t, "config", "check", clitest.Quickstart(), "--settings", file)
	if want := "tunebus: 1 fault:\n" + file + ":2:1: "; !strings.HasPrefix(screen, want) {
		t.Errorf("%q, want %q at the beginning", screen, want)
	}
}
