package lossmask_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/chattemplate"
	"github.com/tunebus/tunebus/llm/token/lossmask"
)

// today is when the references were rendered.
var today = time.Date(2024, 3, 5, 9, 20, 0, 0, time.UTC)

const templates = "../chattemplate/testdata/"

// prepared is what TRL makes of a row; Error is set if its template refuses it.
type prepared struct {
	IDs     []int32
	Counted []int
	Error   string
}

// reference is what TRL makes of a conversation: each turn of the assistant as a
// completion, and the whole with the template's own marks.
type reference struct {
	Turns         map[string]prepared
	AssistantOnly *prepared `json:"assistant_only"`
}

// together is a conversation of which all answers count, if it ends with one and
// has several; n is the number of its messages.
func (r reference) together(n int) (prepared, bool) {
	last, ok := r.Turns[strconv.Itoa(n-1)]
	if !ok || len(r.Turns) < 2 {
		return prepared{}, false
	}
	out := prepared{IDs: last.IDs}
	for _, turn := range r.Turns {
		out.Counted = append(out.Counted, turn.Counted...)
	}
	slices.Sort(out.Counted)
	return out, last.Error == ""
}

type conversation struct {
	Name      string
	Messages  []json.RawMessage
	Tools     json.RawMessage
	Variables map[string]any
}

func read[T any](t testing.TB, path string) T {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out T
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}

// withTemplate opens the tokenizer of the references with a template.
func withTemplate(t testing.TB, template string) *token.Tokenizer {
	t.Helper()
	body, err := os.ReadFile("../testdata/reference/qwen2/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"tokenizer.json":        string(body),
		"tokenizer_config.json": `{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}`,
		"chat_template.jinja":   template,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := token.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func list(messages []json.RawMessage) json.RawMessage {
	raw, _ := json.Marshal(messages)
	return raw
}

func positions(count []bool) []int {
	var out []int
	for i, c := range count {
		if c {
			out = append(out, i)
		}
	}
	return out
}

// TestPositionsAreThoseOfTRL: each turn counts where TRL counts it as a
// completion, alone and in its conversation.
func TestPositionsAreThoseOfTRL(t *testing.T) {
	t.Parallel()
	conversations := read[struct{ Conversations []conversation }](t, templates+"renderings.json").Conversations
	references := read[map[string]map[string]reference](t, "testdata/positions.json")
	if len(references) < 25 {
		t.Fatalf("%d templates", len(references))
	}
	equal, wholes, asked, unlike := 0, 0, map[string]int{}, map[string]bool{}
	for template, cases := range references {
		source, err := os.ReadFile(templates + "templates/" + template + ".jinja")
		if err != nil {
			t.Fatal(err)
		}
		tok := withTemplate(t, string(source))
		for _, c := range conversations {
			config := lossmask.Config{ResponsesOnly: true, Variables: c.Variables, Now: today}
			name := template + ", " + c.Name
			want := cases[c.Name]
			for turn, one := range want.Turns {
				at, err := strconv.Atoi(turn)
				if err != nil {
					t.Fatal(err)
				}
				last := config
				last.TrainOn = lossmask.Last
				got, err := lossmask.New(tok, last).Conversation(lossmask.Conversation{Messages: list(c.Messages[:at+1]), Tools: c.Tools, Pair: true})
				switch {
				case (one.Error != "") != (err != nil):
					t.Errorf("%s, message %d: %v, want %q", name, at, err, one.Error)
				case err != nil:
				case got.Unlike:
					if e := got.Examples[0]; !slices.Equal(e.IDs, one.IDs) || e.Counted() == 0 {
						t.Errorf("%s, message %d: ids\n%v; TRL has\n%v", name, at, e.IDs, one.IDs)
					}
					unlike[name] = true
				case got.Diverged || got.PromptEnd != "": // TRL trains such rows on another text than the model is asked with
					prompt, err := tok.RenderConversation(chattemplate.Conversation{
						Messages: list(c.Messages[:at]), Tools: c.Tools, AddGenerationPrompt: true, Variables: c.Variables, Now: today,
					})
					e := got.Examples[0]
					if err != nil || e.Text[:e.Spans[0][0]] != prompt.Text || !strings.HasSuffix(prompt.Text, got.PromptEnd) {
						t.Errorf("%s, message %d: the prompt of the example is %q, that of inference %q, %v", name, at, e.Text[:e.Spans[0][0]], prompt.Text, err)
					}
					asked[template]++
				default:
					e := got.Examples[0]
					if !slices.Equal(e.IDs, one.IDs) || !slices.Equal(positions(e.Count), one.Counted) {
						t.Errorf("%s, message %d: ids\n%v, counted %v; TRL has\n%v, %v; %q", name, at, e.IDs, positions(e.Count), one.IDs, one.Counted, e.Text)
					}
					equal++
				}
			}
			if whole, ok := want.together(len(c.Messages)); ok {
				got, err := lossmask.New(tok, config).Conversation(lossmask.Conversation{Messages: list(c.Messages), Tools: c.Tools, Pair: true})
				if err == nil && len(got.Examples) == 1 && got.PromptEnd == "" && !got.Diverged {
					if e := got.Examples[0]; !slices.Equal(e.IDs, whole.IDs) || !slices.Equal(positions(e.Count), whole.Counted) {
						t.Errorf("%s: all answers count at %v, TRL has %v", name, positions(e.Count), whole.Counted)
					}
					wholes++
				}
			}
			if whole := want.AssistantOnly; whole != nil && whole.Error == "" {
				got, err := lossmask.New(tok, config).Conversation(lossmask.Conversation{Messages: list(c.Messages), Tools: c.Tools})
				if err != nil || len(got.Examples) != 1 {
					t.Errorf("%s: %d examples, %v", name, len(got.Examples), err)
					continue
				}
				if e := got.Examples[0]; !slices.Equal(e.IDs, whole.IDs) || !slices.Equal(positions(e.Count), whole.Counted) {
					t.Errorf("%s: counted %v, TRL with assistant_only_loss %v", name, positions(e.Count), whole.Counted)
				}
			}
		}
	}
	t.Logf("%d turns and %d conversations of several are equal; rendered as inference asks: %v; unlike: %v", equal, wholes, asked, unlike)
}
