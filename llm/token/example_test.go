package token_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token"
)

const chatml = "{% for m in messages %}<|user|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|user|>assistant\n{% endif %}"

func talk(turns ...string) []token.Message {
	var out []token.Message
	for i, text := range turns {
		out = append(out, token.Message{Role: []string{"user", "assistant"}[i%2], Content: text})
	}
	return out
}

// learned is the text of the tokens that count.
func learned(tok *token.Tokenizer, ids []int32, count []bool) string {
	var counted []int32
	for i, id := range ids {
		if count[i] {
			counted = append(counted, id)
		}
	}
	return tok.Decode(counted, false)
}

// TestWhatCountsInTheLoss: answers alone, or everything; with the markers that
// were given, or else those of the template.
func TestWhatCountsInTheLoss(t *testing.T) {
	t.Parallel()
	tok := withTemplate(t, chatml, true)
	two := talk("Where?", "At pier 4.", "When?", "At nine.")
	const answers = "At pier 4.<|end|>\nAt nine.<|end|>\n"
	for name, c := range map[string]struct {
		question, answer string
		all              bool
		max              int
		counts           string
		note             string
	}{
		"the template's markers": {counts: answers},
		"given markers":          {question: "<|user|>user\n", answer: "<|user|>assistant\n", counts: answers},
		"markers of another template": {
			question: "[Q]", answer: "[A]", counts: answers, note: `question_part "[Q]" and answer_part "[A]" do not occur in the rendered rows`,
		},
		"all tokens":  {all: true, counts: "<|user|>user\nWhere?<|end|>\n<|user|>assistant\nAt pier 4.<|end|>\n<|user|>user\nWhen?<|end|>\n<|user|>assistant\nAt nine.<|end|>\n"},
		"cut":         {max: 20, counts: "At pier 4"},
		"cut to none": {max: 5, counts: "", note: "rows have no answer within max_sequence_length = 5 tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ids, count, notes, err := tok.Example(two, c.question, c.answer, !c.all, c.max)
			if err != nil {
				t.Fatal(err)
			}
			got := learned(tok, ids, count)
			if name == "cut" {
				if !strings.HasPrefix(answers, got) || got == "" || got == answers {
					t.Errorf("counts %q, want a part of the answers", got)
				}
			} else if got != c.counts {
				t.Errorf("counts %q, want %q", got, c.counts)
			}
			if c.max > 0 && len(ids) != c.max || len(count) != len(ids) {
				t.Errorf("%d ids, %d of them marked", len(ids), len(count))
			}
			if text := strings.Join(notes, "\n"); (c.note == "") != (text == "") || !strings.Contains(text, c.note) {
				t.Errorf("notes %q, want %q", text, c.note)
			}
			whole, err := tok.Render(two, false)
			if err != nil || c.max == 0 && !slices.Equal(ids, tok.Encode(whole)) {
				t.Errorf("the row is %q, rendered %q (%v)", tok.Decode(ids, false), whole, err)
			}
		})
	}
}

// TestRowsWithoutMarkers: of a row in which nothing would count the error
// shows what was looked for.
func TestRowsWithoutMarkers(t *testing.T) {
	t.Parallel()
	tok := withTemplate(t, "{% for m in messages %}{% if m.content != 'hush' %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}", true)
	_, _, _, err := tok.Example([]token.Message{{Role: "narrator", Content: "hush"}}, "[Q]", "[A]", true, 0)
	var none *token.MarkerError
	if !errors.As(err, &none) || none.Given != [2]string{"[Q]", "[A]"} || none.Derived[1] != "<assistant>" {
		t.Errorf("got %v", err)
	}
}

// TestEndsOfAnAnswer come from every file that names one, and from the
// template.
func TestEndsOfAnAnswer(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile(filepath.Join(reference, "gpt2", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"tokenizer.json": string(body), "generation_config.json": `{"eos_token_id": [7, 3], "pad_token_id": 9}`, "config.json": `{"eos_token_id": 5}`,
		"tokenizer_config.json": `{"eos_token": {"content": "<|bot|>"}}`, "chat_template.jinja": chatml,
	}
	dir := folder(t, files)
	tok := open(t, dir)
	bot, end := tok.Encode("<|bot|>")[0], tok.Encode("<|end|>")[0]
	if got := tok.EOS(); !slices.Equal(got, []int32{3, 5, 7, bot, end}) || tok.PAD() != 9 || int(end) >= tok.VocabSize() {
		t.Errorf("ends %v, pads %d; <|bot|> is %d, <|end|> %d", got, tok.PAD(), bot, end)
	}
	to := t.TempDir()
	if err := token.CopyFiles(dir, to); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "config.json"), []byte(files["config.json"]), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := open(t, to).EOS(); !slices.Equal(got, tok.EOS()) {
		t.Errorf("a copy has the ends %v", got)
	}
}

// TestOtherTokenizersAreRefused, rather than read wrongly.
func TestOtherTokenizersAreRefused(t *testing.T) {
	t.Parallel()
	const level = `"pre_tokenizer":{"type":"ByteLevel"}`
	for name, body := range map[string]string{
		"Unigram":                `{"model":{"type":"Unigram"},` + level + `}`,
		"WordPiece":              `{"model":{"type":"WordPiece"},` + level + `}`,
		"not byte-level":         `{"model":{"type":"BPE"},"pre_tokenizer":{"type":"Digits"}}`,
		"a prefix space":         `{"model":{"type":"BPE"},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true}}`,
		"an unknown normalizer":  `{"model":{"type":"BPE"},"normalizer":{"type":"Lowercase"},` + level + `}`,
		"an unknown splitter":    `{"model":{"type":"BPE"},"pre_tokenizer":{"type":"Metaspace"}}`,
		"a pattern unknown here": `{"model":{"type":"BPE"},"pre_tokenizer":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"(?<=a)b"}}}`,
	} {
		if _, err := token.Open(folder(t, map[string]string{"tokenizer.json": body})); !errors.Is(err, token.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tok := open(t, filepath.Join(reference, "gpt2"))
	if _, err := tok.Render(talk("q"), true); !errors.Is(err, token.ErrNoTemplate) {
		t.Errorf("without a template: %v", err)
	}
	if _, err := token.Open(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}
