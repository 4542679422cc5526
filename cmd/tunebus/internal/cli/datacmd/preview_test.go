package datacmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/preview"
)

// look runs the command with a folder of files, in which the data and the
// specification lie. DIR in an argument is the folder.
func look(t *testing.T, files map[string]string, args ...string) (status int, out, screen string) {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "DIR", dir)
	}
	return clitest.Run(t, append([]string{"data", "preview"}, args...)...)
}

func model() string { return filepath.Join(clitest.Root(), "configs", "quickstart", "base-model") }

const rows = `{"question":"Where does the ferry land?","answer":"At pier 4."}
{"question":"Who mends it?","answer":null}
{"question":"When does she leave?","answer":"She leaves at nine, and she comes back at ten in the evening."}
`

// TestPreview: the shape, the counts, the lengths, and the first row with the part
// that counts in brackets.
func TestPreview(t *testing.T) {
	t.Parallel()
	status, out, screen := look(t, map[string]string{"train.jsonl": rows}, "DIR/train.jsonl", "--model", model(), "--rows", "1", "--set", "fine_tuner.max_sequence_length=40")
	for _, want := range []string{
		"train.jsonl, read as fine_tuner.training_data_id\nshape question_answer, format jsonl, 1 file, ",
		"ROWS READ  USED  WITHOUT ANSWER  DROPPED  CUT IN PROMPT  CUT IN ANSWER\n3          2     1               0        0              1\n",
		"at most 40 are kept", "########################################\n",
		"train.jsonl line 1\n<|im_start|>user\nWhere does the ferry land?<|im_end|>\n<|im_start|>assistant\n[[At pier 4.<|im_end|>\n]]\n",
		"warning: fine_tuner.training_data_id: 1 of 3 rows have no answer",
		"1 of 3 rows lose the end of their answer",
	} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("status %d, no %q:\n%s%s", status, want, out, screen)
		}
	}
	if strings.Contains(out, "She leaves") || strings.Contains(out, "\x1b") {
		t.Errorf("more rows than one, or colour:\n%s", out)
	}
}

// TestPreviewAddsUp: a row of which nothing of the answer is left is cut in its prompt,
// also where the cut is right before the answer, and it is said that it is left out.
func TestPreviewAddsUp(t *testing.T) {
	t.Parallel()
	const three = `{"question":"Where does the ferry land?","answer":"At pier 4."}
{"question":"Where does the ferry land?","answer":"At pier 5."}
{"question":"Where?","answer":"At pier 6."}
`
	args := func(limit int) []string {
		return []string{"DIR/train.jsonl", "--model", model(), "--json", "--set", fmt.Sprintf("fine_tuner.max_sequence_length=%d", limit)}
	}
	var p preview.Preview
	_, out, screen := look(t, map[string]string{"train.jsonl": three}, args(100)...)
	if err := json.Unmarshal([]byte(out), &p); err != nil || len(p.Rows) != 3 {
		t.Fatalf("%v\n%s%s", err, out, screen)
	}
	first := p.Rows[0].Sequences[0].CountedTokens[0] // the answer begins there
	p = preview.Preview{}
	status, out, screen := look(t, map[string]string{"train.jsonl": three}, args(first)...)
	if err := json.Unmarshal([]byte(out), &p); err != nil || status != 0 {
		t.Fatalf("status %d, %v\n%s%s", status, err, out, screen)
	}
	want := fmt.Sprintf("fine_tuner.training_data_id: 2 of 3 rows are cut before their answer, of which nothing is left, and are left out: they are longer than fine_tuner.max_sequence_length = %d tokens", first)
	if p.Counts.Read != 3 || p.Counts.Rows != 1 || p.Counts.Dropped != 2 || p.Counts.CutInPrompt != 2 || !slices.Contains(p.Warnings, want) {
		t.Errorf("%+v, %q; want %q", p.Counts, p.Warnings, want)
	}
}

// TestPreviewSaysWhatIsEmpty: rows with empty texts are used, which a note says.
func TestPreviewSaysWhatIsEmpty(t *testing.T) {
	t.Parallel()
	status, out, screen := look(t, map[string]string{"train.jsonl": rows + `{"question":"","answer":""}`}, "DIR/train.jsonl", "--model", model())
	for _, want := range []string{"1 of 4 rows have an empty question and are used as they are", "1 of 4 rows have an empty answer: a model learns from it to answer nothing"} {
		if status != 0 || strings.Count(out, "note: fine_tuner.training_data_id: "+want) != 1 {
			t.Errorf("status %d, not one %q:\n%s%s", status, want, out, screen)
		}
	}
}

// TestPreviewJSON: scripts get ids and the positions that count, of cut rows too.
func TestPreviewJSON(t *testing.T) {
	t.Parallel()
	status, out, screen := look(t, map[string]string{"train.jsonl": rows}, "DIR/train.jsonl", "--model", model(), "--json", "--set", "fine_tuner.max_sequence_length=40")
	var p preview.Preview
	if err := json.Unmarshal([]byte(out), &p); err != nil || status != 0 || len(p.Rows) != 2 {
		t.Fatalf("status %d, %v\n%s%s", status, err, out, screen)
	}
	for i, r := range p.Rows {
		s := r.Sequences[0]
		if len(r.Sequences) != 1 || len(s.Counted) != 1 || len(s.CountedTokens) == 0 || r.Line != 1+2*i || r.File == "" {
			t.Errorf("row %d: %+v", i, r)
		}
		for _, at := range s.CountedTokens {
			if at < 0 || at >= len(s.IDs) {
				t.Errorf("row %d: position %d counts of %d tokens", i, at, len(s.IDs))
			}
		}
	}
	whole, cut := p.Rows[0].Sequences[0], p.Rows[1].Sequences[0]
	if whole.Cut != "" || whole.Kept != nil || whole.Tokens != len(whole.IDs) || !strings.HasPrefix(whole.Text[whole.Counted[0][0]:], "At pier 4.") {
		t.Errorf("the first row is %+v", whole)
	}
	if cut.Cut != "answer" || len(cut.IDs) != 40 || cut.Tokens <= 40 || cut.Kept == nil || cut.Kept[1] >= len(cut.Text) {
		t.Errorf("the cut row is %+v", cut)
	}
	if p.Counts != (preview.Counts{Read: 3, Rows: 2, Examples: 2, WithoutAnswer: 1, CutInAnswer: 1}) || p.Lengths.Sequences != 2 {
		t.Errorf("counts %+v, lengths %+v", p.Counts, p.Lengths)
	}
}

// TestPreviewCountsCharacters: the parts of a text are given in characters, as a
// script in another language slices it.
func TestPreviewCountsCharacters(t *testing.T) {
	t.Parallel()
	row := `{"question":"Wo läg die Fähre \u2028?","answer":"Süß 🚢."}`
	status, out, screen := look(t, map[string]string{"train.jsonl": row}, "DIR/train.jsonl", "--model", model(), "--json")
	var p preview.Preview
	if err := json.Unmarshal([]byte(out), &p); err != nil || status != 0 || len(p.Rows) != 1 {
		t.Fatalf("status %d, %v\n%s%s", status, err, out, screen)
	}
	s := p.Rows[0].Sequences[0]
	at := s.Counted[0]
	if got, want := string([]rune(s.Text)[at[0]:at[1]]), "Süß 🚢.<|im_end|>\n"; got != want {
		t.Errorf("the part that counts is %q, want %q", got, want)
	}
}

// TestPreviewOfASpecification: data is read as the specification names it, and paths
// start in the folder of the file.
func TestPreviewOfASpecification(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"train.jsonl": rows, "test.jsonl": rows,
		"run.toml": "[fine_tuner]\nbase_model_id = \"" + model() + "\"\ntraining_data_id = \"train.jsonl\"\n[inferencer]\ntesting_data_id = \"test.jsonl\"\nsystem_prompt_override_text = \"Be brief.\"\nmax_sequence_length = 20\n",
	}
	status, out, screen := look(t, files, "DIR/test.jsonl", "--config", "DIR/run.toml", "--rows", "2")
	for _, want := range []string{"read as inferencer.testing_data_id", "WITHOUT TRUTH", "ground truth: At pier 4.", "3 of 3 prompts lose their beginning", "cut: "} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("status %d, no %q:\n%s%s", status, want, out, screen)
		}
	}
	status, out, _ = look(t, files, "DIR/test.jsonl", "--config", "DIR/run.toml", "--as", "training")
	if status != 0 || !strings.Contains(out, "read as fine_tuner.training_data_id") || !strings.Contains(out, "[[At pier 4.") {
		t.Errorf("status %d\n%s", status, out)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(model())); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	body = bytes.Replace(body, []byte(`"max_position_embeddings": 256`), []byte(`"max_position_embeddings": 9`), 1)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, as := range []string{"training", "testing"} {
		_, out, _ = look(t, map[string]string{"train.jsonl": rows}, "DIR/train.jsonl", "--model", dir, "--as", as)
		if !strings.Contains(out, "are longer than the 9 tokens that the model was made for") {
			t.Errorf("as %s: nothing of the positions:\n%s", as, out)
		}
	}
	// Without a model the rows are shown as they are.
	status, out, _ = look(t, files, "DIR/train.jsonl")
	if status != 0 || !strings.Contains(out, "user: Where does the ferry land?\nassistant: [[At pier 4.]]\n") || !strings.Contains(out, "no model is named") {
		t.Errorf("status %d\n%s", status, out)
	}
	status, out, _ = look(t, map[string]string{"t.jsonl": `{"text":"Once\u001b[2Jupon"}`}, "DIR/t.jsonl")
	if status != 0 || !strings.Contains(out, `[[Once\u001b[2Jupon]]`) {
		t.Errorf("a text: status %d\n%s", status, out)
	}
}

// TestPreviewTellsOfTheModel: what config check and run say of the chat template stands in
// the preview, too, under what names the model. A usual one has no note.
func TestPreviewTellsOfTheModel(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile(filepath.Join(model(), "tokenizer_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(config, &all); err != nil {
		t.Fatal(err)
	}
	all["chat_template"] = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}{% endfor %}"
	if config, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	odd := t.TempDir()
	if err := os.CopyFS(odd, os.DirFS(model())); err != nil {
		t.Fatal(err)
	}
	clitest.Write(t, odd, "tokenizer_config.json", string(config))
	_ = os.Remove(filepath.Join(odd, "chat_template.jinja"))
	const note = "the chat template writes <|user|>, for which the tokenizer has no token"
	for _, as := range []string{"training", "testing"} {
		_, out, screen := look(t, map[string]string{"train.jsonl": rows}, "DIR/train.jsonl", "--model", odd, "--as", as)
		if strings.Count(out, "note: --model: "+note) != 1 {
			t.Errorf("as %s:\n%s%s", as, out, screen)
		}
	}
	_, out, screen := look(t, map[string]string{"train.jsonl": rows}, "DIR/train.jsonl", "--set", "fine_tuner.base_model_id="+odd)
	if strings.Count(out, "note: fine_tuner.base_model_id: "+note) != 1 {
		t.Errorf("of a specification:\n%s%s", out, screen)
	}
	_, out, _ = look(t, map[string]string{"train.jsonl": rows}, "DIR/train.jsonl", "--model", model())
	if strings.Contains(out, "the chat template writes") {
		t.Errorf("of a usual model:\n%s", out)
	}
}

// TestPreviewFaults: what is wrong is bad input, with the file and the line.
func TestPreviewFaults(t *testing.T) {
	t.Parallel()
	for says, args := range map[string][]string{
		"no such file or folder, and no id": {"DIR/none.jsonl"},
		"broken.jsonl, line 2":              {"DIR/broken.jsonl"},
		`the columns "foo"`:                 {"DIR/foo.jsonl"},
		"--as tests: want training":         {"DIR/train.jsonl", "--as", "tests"},
		"--rows -1: want 0 to 10,000":       {"DIR/train.jsonl", "--rows", "-1"},
		"--model DIR/train.jsonl: ":         {"DIR/train.jsonl", "--model", "DIR/train.jsonl"},
		"--model: DIR/g has the GGUF file q4.gguf and no tokenizer.json; tunebus does not read GGUF: name the checkpoint that it was made from": {"DIR/train.jsonl", "--model", "DIR/g"},
		"--model: DIR/g/q4.gguf is a GGUF file, which tunebus does not read; name the checkpoint that it was made from":                         {"DIR/train.jsonl", "--model", "DIR/g/q4.gguf"},
		"fine_tuner.base_model_id: ":                  {"DIR/train.jsonl", "--set", "fine_tuner.base_model_id=DIR/adapter"},
		`fine_tuner.data_format = "csv": not allowed`: {"DIR/train.jsonl", "--set", "fine_tuner.data_format=csv"},
		"FILE_OR_ID": {},
		"/dev/zero is a pipe, a socket or a device": {"/dev/zero"},
	} {
		status, out, screen := look(t, map[string]string{
			"train.jsonl": rows, "broken.jsonl": "{\"question\":\"q\",\"answer\":\"a\"}\n{\"q", "foo.jsonl": `{"foo":1}`, "adapter/adapter_config.json": "{}", "g/q4.gguf": "x",
		}, args...)
		says = strings.TrimPrefix(says, "--model DIR/train.jsonl")
		if _, rest, ok := strings.Cut(says, "DIR/"); ok {
			says = rest
		}
		if status != 2 || out != "" || !strings.Contains(screen, says) {
			t.Errorf("%q: status %d, no %q\n%s%s", args, status, says, out, screen)
		}
	}
	status, out, screen := look(t, map[string]string{"train.jsonl": `{"question":"Where?","answer":"Here."}`}, "DIR/train.jsonl", "--model", model(), "--set", "fine_tuner.max_sequence_length=3")
	if status != 2 || !strings.Contains(out, "failure: fine_tuner.training_data_id: nothing to learn from") || screen != "" {
		t.Errorf("nothing is left: status %d\n%s%s", status, out, screen)
	}
}

// TestPreviewOfTheHub: an id is fetched, as a run would.
func TestPreviewOfTheHub(t *testing.T) {
	hub := httptest.NewServer(http.NotFoundHandler())
	defer hub.Close()
	t.Setenv("HF_ENDPOINT", hub.URL)
	t.Setenv("HF_HOME", t.TempDir())
	status, out, screen := clitest.Run(t, "data", "preview", "owner/data")
	if status != 1 || out != "" || !strings.Contains(screen, "owner/data") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
}
