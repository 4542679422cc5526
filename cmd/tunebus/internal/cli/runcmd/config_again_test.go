package runcmd_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// again is what two runs of the same specification share.
type again struct {
	Scores         map[string]float64 `json:"scores"`
	BaselineScores map[string]float64 `json:"baseline_scores"`
	Labels         map[string]string  `json:"labels"`
	Phases         []struct {
		Phase      string             `json:"phase"`
		Statistics map[string]float64 `json:"statistics"`
		Artifacts  []struct {
			Name      string `json:"name"`
			Reference struct {
				SHA256 string `json:"sha256"`
			} `json:"reference"`
		} `json:"artifacts"`
	} `json:"phases"`
}

// results follow from the seed: the losses, and the digests of the answers. The
// digest of an adapter is none of them: it names its base model.
func (a again) results() map[string]string {
	out := map[string]string{}
	for _, p := range a.Phases {
		for name, v := range p.Statistics {
			if strings.HasSuffix(name, "loss") {
				out[p.Phase+" "+name] = fmt.Sprint(v)
			}
		}
		for _, artifact := range p.Artifacts {
			if strings.HasSuffix(artifact.Name, "predictions") {
				out[p.Phase+" "+artifact.Name] = artifact.Reference.SHA256
			}
		}
	}
	return out
}

// TestConfigOfTheReportsRunsAgain starts runs again from the config.toml of their
// reports, in another working folder, without a flag about the run itself.
func TestConfigOfTheReportsRunsAgain(t *testing.T) {
	base := filepath.Join(clitest.Root(), "configs", "quickstart", "base-model")
	rows, err := os.ReadFile(filepath.Join(clitest.Root(), "configs", "quickstart", "validation.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	const token = "hf_not_for_anybody"
	hub := t.TempDir()
	clitest.Write(t, hub, "train.jsonl", string(rows))
	t.Setenv("HF_TOKEN", token)
	t.Setenv("HF_ENDPOINT", newHub(t, token, map[string]string{"models/owner/base": base, "datasets/owner/data": hub}))
	t.Setenv("TUNEBUS_DATA_HUB_CACHE", t.TempDir())

	const small = "epochs = 1\nmax_sequence_length = 128\nrank = 4\nseed = 7\n"
	const answers = "max_new_tokens = 4\ntemperature = 0.7\nseed = 7\nbaseline = true\n"
	for name, c := range map[string]struct {
		files map[string]string // beside the specification
		spec  string
		args  []string
		says  []string // lines of config.toml; %s is the folder
	}{
		"splits of a folder, a model folder, labels": {
			files: map[string]string{"mine/train.jsonl": string(rows), "mine/hard/test.jsonl": string(rows)},
			spec: "[fine_tuner]\nbase_model_id = \"model\"\ntraining_data_id = \"mine\"\n" + small +
				"system_prompt_override_text = \"\"\"Say \\\"so\\\".\nNul: \\u0001 ü 'x' ''' \\\\ #\"\"\"\n" +
				"[inferencer]\ntesting_data_id = \"mine:hard\"\n" + answers + "[evaluator]\nmetrics = [\"chrf\", \"exact_match\"]\n[evaluator.gates]\nchrf = 0.0\n" +
				"[mlflow]\nexperiment_name = \"a \\\"b\\\" ü\"\nrun_name = \"nächtlich 'x'\"\n",
			args: []string{"--label", `team=a "b" 'c' ü = 日本`, "--label", "x.y=null", "--label", "n=1"},
			says: []string{"base_model_id = '%s/model'", "training_data_id = '%s/mine'", "testing_data_id = '%s/mine:hard'"},
		},
		"uploaded copies": {
			files: map[string]string{"mine/train.jsonl": string(rows), "test.jsonl": string(rows)},
			spec: "[fine_tuner]\nbase_model_id = \"model\"\ntraining_data_id = \"mine:train\"\nfull_finetuning = true\n" + small +
				"[inferencer]\ntesting_data_id = \"test.jsonl\"\n" + answers + "[evaluator]\nmetrics = [\"chrf\"]\n",
			args: []string{"--copy-inputs"},
			says: []string{"training_data_id = '%s/mine:train'", "testing_data_id = '%s/test.jsonl'"},
		},
		"ids of the Hub": {
			spec: "[fine_tuner]\nbase_model_id = \"owner/base\"\ntraining_data_id = \"owner/data\"\n" + small +
				"[inferencer]\ntesting_data_id = \"owner/data:train\"\n" + answers + "[evaluator]\nmetrics = [\"chrf\"]\n",
			says: []string{"base_model_id = 'owner/base'", "testing_data_id = 'owner/data:train'"},
		},
		"answers alone": {
			files: map[string]string{
				"it's.csv":   "user_input,reference,response\nWho?,\"Ada, \"\"A\"\"\",Ada\nWhere?,Paris,Paris\n",
				"base.jsonl": `{"question":"Who?","ground_truth":"Ada, \"A\"","answer":"x"}` + "\n" + `{"question":"Where?","ground_truth":"Paris","answer":"y"}` + "\n",
			},
			spec: "[evaluator]\nmetrics = [\"chrf\", \"exact_match\"]\n[run]\nbaseline_predictions = \"base.jsonl\"\nlabels = { of = \"file\", team = \"file\" }\n",
			args: []string{"--predictions", "it's.csv", "--label", "team=flag"},
			says: []string{`predictions = "%s/it's.csv"`, "baseline_predictions = '%s/base.jsonl'", "labels = {of = 'file', team = 'flag'}"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, elsewhere := t.TempDir(), t.TempDir()
			if err := os.Symlink(base, filepath.Join(dir, "model")); err != nil {
				t.Fatal(err)
			}
			for file, body := range c.files {
				if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o750); err != nil {
					t.Fatal(err)
				}
				clitest.Write(t, dir, file, strings.TrimSuffix(body, "\n"))
			}
			clitest.Write(t, dir, "run.toml", c.spec)
			run := func(folder, config, id string, args ...string) again {
				t.Chdir(folder)
				args = append([]string{"run", config, "--run-id", id, "--relaxed-sync"}, args...)
				if status, _, screen := clitest.Run(t, args...); status != 0 {
					t.Fatalf("status %d\n%s", status, screen)
				}
				return clitest.Object[again](t, filepath.Join("reports", id, "pipeline_summary.json"))
			}
			first := run(dir, "run.toml", "first", c.args...)
			config := filepath.Join(dir, "reports", "first", "config.toml")
			written := clitest.Text(t, config)
			for _, line := range c.says {
				if line = strings.ReplaceAll(line, "%s", dir); !strings.Contains(written, line+"\n") {
					t.Errorf("config.toml has no line %s:\n%s", line, written)
				}
			}
			second := run(elsewhere, config, "second")
			if fmt.Sprint(first.Scores) != fmt.Sprint(second.Scores) || len(first.Scores) == 0 || fmt.Sprint(first.BaselineScores) != fmt.Sprint(second.BaselineScores) {
				t.Errorf("scores %v beside %v, then %v beside %v", first.Scores, first.BaselineScores, second.Scores, second.BaselineScores)
			}
			if !maps.Equal(first.Labels, second.Labels) || !maps.Equal(first.results(), second.results()) {
				t.Errorf("labels %q, then %q; results %v, then %v", first.Labels, second.Labels, first.results(), second.results())
			}
			// Nothing but the first line, which names the run, may differ, and what brings
			// uploaded files back: the second run reads them where they are.
			_, before, _ := strings.Cut(written, "\n")
			const uploaded = "# Its files were uploaded: where they are not at their paths, \"tunebus rerun first --from finetune\" starts it again with the uploaded ones.\n"
			if strings.Contains(before, uploaded) != slices.Contains(c.args, "--copy-inputs") {
				t.Errorf("config.toml says that files were uploaded: %t\n%s", strings.Contains(before, uploaded), before)
			}
			before = strings.Replace(before, uploaded, "", 1)
			_, after, _ := strings.Cut(clitest.Text(t, filepath.Join(elsewhere, "reports", "second", "config.toml")), "\n")
			if before != after {
				t.Errorf("config.toml differs:\n%s\nthen\n%s", before, after)
			}
		})
	}
}
