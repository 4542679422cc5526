package modelcmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/modelexport"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/localinput"
)

// adapterConfig is what the tests look at of an adapter's configuration.
type adapterConfig struct {
	Base     string  `json:"base_model_name_or_path"`
	Revision *string `json:"revision"`
	Rank     int     `json:"r"`
}

// TestExportNamesTheBase: the adapter names a base model that is found from
// anywhere, and where it cannot, the command says what to do.
func TestExportNamesTheBase(t *testing.T) {
	t.Parallel()
	f := folder(t,
		tuned{id: "hub", base: "owner/name@v2"}, tuned{id: "here", base: quickBase(), upload: true},
		tuned{id: "gone", base: "some/where/base-model", upload: true}, tuned{id: "full", base: "owner/name", full: true})
	dir := t.TempDir()
	export := func(args ...string) (int, string, string) {
		return clitest.Run(t, append([]string{"export", "--data", f.Dir}, args...)...)
	}
	for run, want := range map[string]string{"hub": "owner/name", "here": quickBase()} {
		to := filepath.Join(dir, run)
		status, out, screen := export(run, to)
		if status != 0 || !strings.Contains(out, to) || !strings.Contains(screen, "fetching the model (") {
			t.Fatalf("%s: status %d\n%s%s", run, status, out, screen)
		}
		got := clitest.Object[adapterConfig](t, filepath.Join(to, "adapter_config.json"))
		if got.Base != want || got.Rank != 4 || (run == "hub") != (got.Revision != nil && *got.Revision == "v2") {
			t.Errorf("%s: %+v", run, got)
		}
		card := clitest.Text(t, filepath.Join(to, "README.md"))
		for _, says := range []string{"library_name: peft", "# name-of-" + run, "`" + want, "- \"owner/rows\"", `from_pretrained(".")`, "vllm serve " + want, "was not scored"} {
			if !strings.Contains(card, says) {
				t.Errorf("%s: the card lacks %q\n%s", run, says, card)
			}
		}
		if strings.Contains(card, "base_model: \"owner/name\"\nbase_model_relation: adapter") != (run == "hub") {
			t.Errorf("%s: the card begins with\n%.200s", run, card)
		}
	}

	status, _, screen := export("gone", filepath.Join(dir, "gone"))
	if status != 2 || !strings.Contains(screen, "some/where/base-model") || !strings.Contains(screen, "--merge") || !strings.Contains(screen, "--with-base") {
		t.Errorf("status %d\n%s", status, screen)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("a refusal left %v, %v", left, err)
	}

	to := filepath.Join(dir, "with-base")
	if status, _, screen := export("gone", to, "--with-base"); status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	if got := clitest.Object[adapterConfig](t, filepath.Join(to, "adapter_config.json")); got.Base != filepath.Join(to, "base") {
		t.Errorf("%+v", got)
	}
	if _, err := llm.Open(filepath.Join(to, "base")); err != nil {
		t.Error(err)
	}

	var full modelexport.Result
	if status, _, screen := export("full", filepath.Join(dir, "full"), "--merge"); status != 2 || !strings.Contains(screen, "--merge has no effect") || strings.Contains(screen, "fetching") {
		t.Errorf("status %d\n%s", status, screen)
	}
	clitest.Result(t, &full, "export", "full", filepath.Join(dir, "full"), "--data", f.Dir, "--dtype", "float16")
	m, err := llm.Open(full.Folder)
	if err != nil || full.Kind != "full" || len(full.Notes) != 0 || m.Config().TorchDType != "float16" || !slices.Contains(full.Files, "tokenizer.json") {
		t.Errorf("%+v, %v", full, err)
	}
}

// TestBaseModelIsGone: where nothing has the base model any more, every way says which
// folder is gone, and offers none that cannot work.
func TestBaseModelIsGone(t *testing.T) {
	t.Parallel()
	moved := filepath.Join(t.TempDir(), "base")
	f := folder(t, tuned{id: "there", base: moved}, tuned{id: "inplace", base: moved, inPlace: true})
	for run, says := range map[string]string{"there": moved + " is gone; the adapter", "inplace": moved + " is gone; when the run was asked for it had sha256 "} {
		for _, args := range [][]string{{"export", run, t.TempDir()}, {"export", run, t.TempDir(), "--merge"}, {"export", run, t.TempDir(), "--with-base"}, {"chat", run}} {
			status, out, screen := clitest.RunWithInput(t, strings.NewReader("hello\n"), append(args, "--data", f.Dir)...)
			if status != 2 || !strings.Contains(screen, says) || strings.Contains(screen, "--merge") || strings.Contains(screen, "store") {
				t.Errorf("%v: status %d\n%s%s", args, status, out, screen)
			}
		}
	}
}

// TestExportTarget: nothing that was there is lost without --force, and with it
// nothing of an earlier export stays that would say another model.
func TestExportTarget(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "r", base: "owner/name", upload: true})
	dir := t.TempDir()
	to := filepath.Join(dir, "deep", "model")
	export := func(args ...string) (int, string, string) {
		return clitest.Run(t, append([]string{"export", "r", "--data", f.Dir}, args...)...)
	}
	const rounded = "the merged weights are rounded to bfloat16; --dtype float32 keeps them"
	if status, _, screen := export(to, "--merge"); status != 0 || strings.Count(screen, rounded) != 1 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	if status, _, screen := export(filepath.Join(t.TempDir(), "exact"), "--merge", "--dtype", "float32"); status != 0 || strings.Contains(screen, "rounded") {
		t.Errorf("status %d\n%s", status, screen)
	}
	mine := []string{"notes.txt", "my.safetensors", "pytorch_model.bin", "base/mine.safetensors"}
	if err := os.Mkdir(filepath.Join(to, "base"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range mine {
		clitest.Write(t, to, name, "mine")
	}
	if err := os.Symlink("nowhere", filepath.Join(to, "dangling.bin")); err != nil {
		t.Fatal(err)
	}
	if status, _, screen := export(to, "--with-base"); status != 2 || !strings.Contains(screen, "is not empty") {
		t.Errorf("status %d\n%s", status, screen)
	}
	status, _, screen := export(to, "--with-base", "--force")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	for _, name := range mine {
		if strings.TrimSpace(clitest.Text(t, filepath.Join(to, name))) != "mine" || strings.Contains(screen, name+" stays") != (name != "notes.txt") {
			t.Errorf("%s, which no export wrote:\n%s", name, screen)
		}
	}
	for name, want := range map[string]bool{
		"notes.txt": true, "adapter_model.safetensors": true, "base/model.safetensors": true, "model.safetensors": false, "config.json": false,
	} {
		if _, err := os.Stat(filepath.Join(to, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(dir, "file")
	clitest.Write(t, dir, "file", "text")
	for says, args := range map[string][]string{
		"is a file":    {file},
		"choose one":   {filepath.Join(dir, "new"), "--merge", "--with-base"},
		"--dtype int8": {filepath.Join(dir, "new"), "--dtype", "int8"},
		"want RUN":     {},
	} {
		if status, out, screen := export(args...); status == 0 || out != "" || !strings.Contains(screen, says) {
			t.Errorf("%v: status %d, want %q\n%s", args, status, says, screen)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("refusals left %v, %v", left, err)
	}
}

// TestAdapterAsBase: a run that begins with an adapter reads the adapter's base
// model wherever its configuration says it lies, and so does the export of what
// it tuned.
func TestAdapterAsBase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	adapter := makeModel(t, false, "as/trained")
	config := filepath.Join(adapter, "adapter_config.json")
	body := strings.ReplaceAll(clitest.Text(t, config), "as/trained", quickBase())
	clitest.Write(t, adapter, "adapter_config.json", body)
	clitest.Write(t, dir, "rows.jsonl", `{"question":"Who?","answer":"Ada did it."}`)
	args := append([]string{"run", "--run-id", "more", "--set", "fine_tuner.base_model_id=" + adapter, "--set", "fine_tuner.training_data_id=" + dir + "/rows.jsonl",
		"--set", "fine_tuner.epochs=1", "--set", "fine_tuner.rank=9", "--set", "inferencer.testing_data_id=" + dir + "/rows.jsonl", "--set", "inferencer.max_new_tokens=2",
		"--set", "inferencer.baseline=true", "--set", "evaluator.metrics=[\"exact_match\"]"}, clitest.Folders(dir)...)
	const note = "note: --set: fine_tuner.rank = 9: has no effect, because fine_tuner.base_model_id is an adapter"
	if status, out, screen := clitest.Run(t, args...); status != 0 || strings.Count(screen, note) != 1 {
		t.Fatalf("status %d\n%s%s", status, out, screen)
	}
	to := filepath.Join(dir, "out")
	if status, _, screen := clitest.Run(t, "export", "more", to, "--data", dir+"/data"); status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	if got := clitest.Object[adapterConfig](t, filepath.Join(to, "adapter_config.json")); got.Base != quickBase() || got.Rank != 4 {
		t.Errorf("%+v", got)
	}
	card := clitest.Text(t, filepath.Join(to, "README.md"))
	for _, says := range []string{"| rank | 4 |", "The training began at the adapter `" + filepath.Base(adapter) + "`"} {
		if !strings.Contains(card, says) {
			t.Errorf("the card lacks %q\n%s", says, card)
		}
	}
	clitest.Write(t, adapter, "adapter_config.json", strings.ReplaceAll(body, quickBase(), "no/such/place"))
	if status, _, screen := clitest.Run(t, args...); status != 2 || !strings.Contains(screen, `"no/such/place" in base_model_name_or_path`) {
		t.Errorf("status %d\n%s", status, screen)
	}
}

// TestExportWithoutAModel: what has no tuned model says why.
func TestExportWithoutAModel(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("untuned")...)
		clitest.Publish(t, b, events.PipelineAccepted{
			RunID: "early", RunName: "early", Plan: []events.Step{{Phase: events.Finetune, Queue: "builtin"}},
			Specification: events.Specification{Pipeline: events.Pipeline{EnableFinetuning: true}},
		})
	})
	for run, says := range map[string]string{
		"untuned": "run untuned tuned no model: it had no fine-tuning",
		"early":   "run early has no tuned model yet",
		"nobody":  "run nobody is unknown",
	} {
		if status, out, screen := clitest.Run(t, "export", run, filepath.Join(t.TempDir(), "m"), "--data", f.Dir); status != 2 || out != "" || !strings.Contains(screen, says) {
			t.Errorf("%s: status %d, want %q\n%s%s", run, status, says, out, screen)
		}
	}
}

// TestExportFromAServer: what a run on a server tuned answers as it did there,
// as an adapter and merged; and the end of the run names the command.
func TestExportFromAServer(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	if status, _, screen := services.Submit(t, nil, "--run-id", "one", "--set", "fine_tuner.learning_rate=0.01"); status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	dir := t.TempDir()
	var rows []struct{ Question, Answer string }
	body := clitest.Text(t, filepath.Join(services.Dir, "data/artifacts/runs/one/inference/1/inferencer_output.jsonl"))
	for line := range strings.Lines(body) {
		var row struct{ Question, Answer string }
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	for kind, flag := range map[string]string{"adapter": "--with-base", "merged": "--merge"} {
		var got modelexport.Result
		clitest.Result(t, &got, "export", "one", filepath.Join(dir, kind), flag, "--server", services.URL, "--artifacts", services.Artifacts())
		if string(got.Kind) != kind || got.RunID != "one" || got.Bytes == 0 {
			t.Fatalf("%+v", got)
		}
		whole := got.Folder
		if kind == "adapter" {
			whole = filepath.Join(got.Folder, "base")
		}
		m, err := llm.Open(whole)
		if err == nil && kind == "adapter" {
			err = m.LoadAdapter(got.Folder)
		}
		if err != nil {
			t.Fatal(err)
		}
		tok, err := token.Open(got.Folder)
		if err != nil {
			t.Fatal(err)
		}
		var prompts [][]int32
		for _, row := range rows {
			text, err := tok.Render([]token.Message{{Role: "user", Content: row.Question}}, true)
			if err != nil {
				t.Fatal(err)
			}
			prompts = append(prompts, tok.Encode(text))
		}
		err = m.Generate(t.Context(), prompts, llm.GenerateConfig{MaxNewTokens: 4, EOS: tok.EOS()}, func(i int, ids []int32) error {
			if text := tok.Decode(ids, true); text != rows[i].Answer {
				t.Errorf("%s: row %d: %q, the run answered %q", kind, i, text, rows[i].Answer)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, out, _ := clitest.Run(t, "show", "one", "--server", services.URL); !strings.Contains(out, "take the model out:\n    tunebus export one ") {
		t.Errorf("show:\n%s", out)
	}
}

// TestExportIntoADataFolder: the folder of the runs is refused, with --force too.
func TestExportIntoADataFolder(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "full", base: "owner/name", full: true})
	for _, dir := range []string{f.Dir, filepath.Join(f.Dir, "artifacts", "mine")} {
		if status, _, screen := clitest.Run(t, "export", "full", dir, "--data", f.Dir, "--force"); status != 2 || !strings.Contains(screen, "is a data folder of runs") {
			t.Errorf("%s: status %d\n%s", dir, status, screen)
		}
	}
}

// TestExportOverInputs: an export changes nothing that the run was made from, with --force neither,
// whatever the way to it.
func TestExportOverInputs(t *testing.T) {
	t.Parallel()
	base := filepath.Join(t.TempDir(), "mine")
	if err := os.CopyFS(base, os.DirFS(quickBase())); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(base, link); err != nil {
		t.Fatal(err)
	}
	f := folder(t, tuned{id: "r", base: base, inPlace: true})
	for _, dir := range []string{base, link, filepath.Join(base, "below")} {
		status, out, screen := clitest.Run(t, "export", "r", dir, "--data", f.Dir, "--force")
		if status != 2 || out != "" || !strings.Contains(screen, "fine_tuner.base_model_id") || !strings.Contains(screen, "name another folder") {
			t.Errorf("%s: status %d\n%s%s", dir, status, out, screen)
		}
	}
	if left, err := os.ReadDir(base); err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "adapter") || e.Name() == "below" }) {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestExportOverForeignFiles: an export replaces nothing that no export wrote, with --force neither, and
// no model or data set that another run of the data folder reads.
func TestExportOverForeignFiles(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "r", base: "owner/name", upload: true})
	other := filepath.Join(t.TempDir(), "other")
	if err := os.CopyFS(other, os.DirFS(quickBase())); err != nil {
		t.Fatal(err)
	}
	inputs, err := localinput.Open(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inputs.Accept(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	readme, weights := t.TempDir(), t.TempDir()
	clitest.Write(t, readme, "README.md", "mine")
	clitest.Write(t, weights, "adapter_model.safetensors", "mine")
	for dir, want := range map[string]string{
		other:                         "other runs of the data folder read " + other,
		filepath.Join(other, "below"): "other runs of the data folder read " + other,
		readme:                        "no export wrote README.md there",
		weights:                       "no export wrote adapter_model.safetensors there",
	} {
		status, out, screen := clitest.Run(t, "export", "r", dir, "--data", f.Dir, "--merge", "--force")
		if status != 2 || out != "" || !strings.Contains(strings.Join(strings.Fields(screen), " "), want) {
			t.Errorf("%s: status %d, want %q\n%s%s", dir, status, want, out, screen)
		}
	}
	for _, file := range []string{filepath.Join(readme, "README.md"), filepath.Join(weights, "adapter_model.safetensors")} {
		if strings.TrimSpace(clitest.Text(t, file)) != "mine" {
			t.Errorf("%s was replaced", file)
		}
	}
	if left, err := os.ReadDir(readme); err != nil || len(left) != 1 {
		t.Errorf("a refusal left %v, %v", left, err)
	}
}

// TestExportWhereNothingCanBe: a place that is no folder is bad input, and no folder that the
// person did not name is in the message.
func TestExportWhereNothingCanBe(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "r", base: "owner/name", upload: true})
	for dir, want := range map[string]string{"/dev/null": "it is a file", "/dev/null/x": "not a directory", "/proc/x": "folder /proc/x cannot be written"} {
		status, out, screen := clitest.Run(t, "export", "r", dir, "--data", f.Dir)
		if status != 2 || out != "" || !strings.Contains(screen, want) || strings.Contains(screen, ".export") {
			t.Errorf("%s: status %d\n%s%s", dir, status, out, screen)
		}
	}
}

// TestExportArtifact: an artifact beside the model is written as it is, a folder or a file.
func TestExportArtifact(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "r", base: "owner/name"})
	dir := t.TempDir()
	export := func(args ...string) (int, string, string) {
		return clitest.Run(t, append([]string{"export", "--data", f.Dir, "r"}, args...)...)
	}
	to := filepath.Join(dir, "curves")
	if status, out, screen := export(to, "--artifact", "wandb"); status != 0 || !strings.Contains(out, "the artifact wandb, ") {
		t.Fatalf("status %d\n%s%s", status, out, screen)
	}
	if clitest.Text(t, filepath.Join(to, "config.json")) != clitest.Text(t, filepath.Join(quickBase(), "config.json")) {
		t.Error("the folder is another one")
	}
	if status, _, screen := export(to, "--artifact", "trainer.log"); status != 2 || !strings.Contains(screen, to) {
		t.Errorf("a folder that is not empty: status %d\n%s", status, screen)
	}
	if status, _, screen := export(to, "--artifact", "trainer.log", "--force"); status != 0 {
		t.Errorf("status %d\n%s", status, screen)
	}
	for _, name := range []string{"trainer.log", "config.json"} {
		if _, err := os.Stat(filepath.Join(to, name)); err != nil {
			t.Error(err)
		}
	}
	if status, _, screen := export(to+"2", "--artifact", "tensorboard"); status != 2 || !strings.Contains(screen, `run r has no artifact "tensorboard"; it has model, trainer.log, wandb`) {
		t.Errorf("status %d\n%s", status, screen)
	}
	if status, _, screen := export(to+"2", "--artifact", "wandb", "--merge"); status != 2 || !strings.Contains(screen, "--artifact") {
		t.Errorf("status %d\n%s", status, screen)
	}
}

// TestUnreadModel: what the built-in engine cannot do with a model is said with what can.
func TestUnreadModel(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "sees", base: quickBase(), sees: true})
	to := filepath.Join(t.TempDir(), "merged")
	status, _, screen := clitest.Run(t, "export", "--data", f.Dir, "sees", to, "--merge")
	if status != 2 || !strings.Contains(screen, "cannot read the model that fine_tuner.is_multimodel makes") || !strings.Contains(screen, "merge_and_unload") {
		t.Errorf("export: status %d\n%s", status, screen)
	}
	if status, _, screen := clitest.Run(t, "export", "--data", f.Dir, "sees", to); status != 0 {
		t.Errorf("export of the adapter: status %d\n%s", status, screen)
	}
	status, _, screen = say(t, "Who?", "sees", "--data", f.Dir)
	if status != 2 || !strings.Contains(screen, "rerun sees --from inference --set inferencer.engine=transformers") {
		t.Errorf("chat: status %d\n%s", status, screen)
	}
}
