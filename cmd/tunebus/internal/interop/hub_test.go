//go:build interop

package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/huggingface"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubtest"
)

// hubJob is what hub.py is to do.
type hubJob struct {
	Endpoint string          `json:"endpoint"`
	Cache    string          `json:"cache"`
	Token    string          `json:"token"`
	Offline  bool            `json:"offline"`
	Download []hubRepository `json:"download"`
	Upload   *hubRepository  `json:"upload"`
}

type hubRepository struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Folder   string   `json:"folder,omitempty"`
	Patterns []string `json:"patterns,omitempty"`
}

// officialClient runs huggingface_hub, and returns the digests of what it fetched.
func officialClient(t *testing.T, job hubJob) map[string]map[string]string {
	t.Helper()
	var result struct {
		Files map[string]map[string]string `json:"files"`
	}
	python(t, "hub.py", job, &result)
	return result.Files
}

// equalFiles compares the files of the server with those that a client has.
func equalFiles(t *testing.T, what string, want, got map[string]string) {
	t.Helper()
	if len(want) == 0 || len(got) != len(want) {
		t.Errorf("%s: %d files, want %d", what, len(got), len(want))
	}
	for name, text := range want {
		sum := sha256.Sum256([]byte(text))
		if got[name] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: %s has another content", what, name)
		}
	}
}

// TestOfficialClientDownloadsWhatWasPushed: huggingface_hub gets every file of the model,
// the answers and the scores that a run pushed.
func TestOfficialClientDownloadsWhatWasPushed(t *testing.T) {
	for name, part := range map[string]int64{"whole": 0, "parts": 20_000} {
		t.Run(name, func(t *testing.T) {
			hub := hubtest.New(t)
			hub.Part = part
			t.Setenv("HF_ENDPOINT", hub.URL)
			dir := t.TempDir()
			quick := filepath.Join(clitest.Root(), "configs", "quickstart", "validation.jsonl")
			status, out, screen := clitest.Run(t, append([]string{
				"run", "--config", clitest.Quickstart(), "--hf-key", hubtest.Token, "--set", "fine_tuner.push_to_hub=true", "--set", "mlflow.run_name=pushed",
				"--set", "fine_tuner.full_finetuning=false", "--set", "fine_tuner.training_data_id=" + quick, "--set", "inferencer.testing_data_id=" + quick,
				"--set", "fine_tuner.epochs=1", "--set", "fine_tuner.rank=2", "--set", "inferencer.max_new_tokens=2", "--set", "evaluator.gates={}",
			}, clitest.Folders(dir)...)...)
			if status != 0 {
				t.Fatalf("status %d\n%s%s", status, out, screen)
			}
			got := officialClient(t, hubJob{Endpoint: hub.URL, Cache: t.TempDir(), Token: hubtest.Token, Download: []hubRepository{
				{ID: "someone/pushed", Type: "model"}, {ID: "someone/pushed-predictions", Type: "dataset"}, {ID: "someone/pushed-results", Type: "dataset"},
			}})
			equalFiles(t, "the model", hub.Files(hubapi.Models, "someone/pushed"), got["someone/pushed"])
			equalFiles(t, "the answers", hub.Files(hubapi.Datasets, "someone/pushed-predictions"), got["someone/pushed-predictions"])
			equalFiles(t, "the scores", hub.Files(hubapi.Datasets, "someone/pushed-results"), got["someone/pushed-results"])
			if leaked := hub.Leaked(); len(leaked) > 0 {
				t.Errorf("the token went to the storage: %v", leaked)
			}
		})
	}
}

// TestSharedCache: tunebus gets what huggingface_hub pushed, and each of the two finds
// in the cache, without the server, what the other one fetched.
func TestSharedCache(t *testing.T) {
	hub := hubtest.New(t)
	base := filepath.Join(clitest.Root(), "configs", "quickstart", "base-model")
	officialClient(t, hubJob{Endpoint: hub.URL, Cache: t.TempDir(), Token: hubtest.Token, Upload: &hubRepository{ID: "someone/base", Type: "model", Folder: base}})
	hub.Put(hubapi.Datasets, "someone/rows", true, map[string]string{"README.md": "---\n---\n", "train.jsonl": strings.Repeat("{\"question\": \"q\"}\n", 100)})
	client := func(cache string, offline bool) *huggingface.Client {
		c, err := huggingface.New(huggingface.Options{Endpoint: hub.URL, Token: hubtest.Token, Cache: cache, Offline: offline})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	model := func(cache string, offline bool) string {
		dir, err := client(cache, offline).Model(t.Context(), "someone/base", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"config.json", "model.safetensors"} {
			got, err := os.ReadFile(filepath.Join(dir, name))
			want, err2 := os.ReadFile(filepath.Join(base, name))
			if err != nil || err2 != nil || string(got) != string(want) {
				t.Errorf("%s: %d bytes, want %d (%v, %v)", name, len(got), len(want), err, err2)
			}
		}
		return dir
	}

	ours := t.TempDir()
	model(ours, false)
	if _, err := client(ours, false).Dataset(t.Context(), "someone/rows", source.Selection{}); err != nil {
		t.Fatal(err)
	}
	weights := []string{"config.json", "*.safetensors", "tokenizer.json"}
	got := officialClient(t, hubJob{Endpoint: hub.URL, Cache: ours, Token: hubtest.Token, Offline: true, Download: []hubRepository{
		{ID: "someone/base", Type: "model", Patterns: weights}, {ID: "someone/rows", Type: "dataset", Patterns: []string{"*.jsonl", "README.md"}},
	}})
	want := hub.Files(hubapi.Models, "someone/base")
	for _, name := range []string{"config.json", "model.safetensors"} {
		sum := sha256.Sum256([]byte(want[name]))
		if got["someone/base"][name] != hex.EncodeToString(sum[:]) {
			t.Errorf("offline: %s is missing, of %d files", name, len(got["someone/base"]))
		}
	}
	if got["someone/rows"]["train.jsonl"] == "" {
		t.Error("offline: the rows are missing")
	}

	theirs := t.TempDir()
	officialClient(t, hubJob{Endpoint: hub.URL, Cache: theirs, Token: hubtest.Token, Download: []hubRepository{
		{ID: "someone/base", Type: "model"}, {ID: "someone/rows", Type: "dataset"},
	}})
	before := len(hub.Requests())
	model(theirs, true)
	if _, err := client(theirs, true).Dataset(t.Context(), "someone/rows", source.Selection{}); err != nil {
		t.Error(err)
	}
	if after := hub.Requests(); len(after) != before {
		t.Errorf("offline: %v", after[before:])
	}
}
