package token

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Texts that no template contains, to find out what it puts around them.
const (
	probeA = "tunebusprobeone"
	probeB = "tunebusprobetwo"
	probeC = "tunebusprobethree"
)

// derive finds the markers of the template: what comes before an answer, and
// what comes before a question.
func (t *template) derive() {
	user := []Message{{"user", probeA}}
	plain, err := t.render(user, false)
	if err != nil {
		return
	}
	prompted, err := t.render(user, true)
	if err != nil || !strings.HasPrefix(prompted, plain) {
		return
	}
	t.answer = prompted[len(plain):]
	talk, err := t.render([]Message{{"user", probeA}, {"assistant", probeB}, {"user", probeC}}, false)
	if err != nil {
		return
	}
	before, rest, ok := strings.Cut(talk, probeA)
	if !ok {
		return
	}
	_, rest, ok = strings.Cut(rest, probeB)
	if !ok {
		return
	}
	between, _, ok := strings.Cut(rest, probeC)
	if !ok {
		return
	}
	t.question = commonSuffix(before, between)
}

func commonSuffix(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return a[len(a)-n:]
}

// MarkerError says that the markers of questions and answers do not occur.
type MarkerError struct {
	Question, Answer string
	// Row is the start of the rendered row.
	Row string
}

func (e *MarkerError) Error() string {
	return fmt.Sprintf("neither the given markers nor the chat template's (%q, %q) occur in the rendered row, which starts with %q", e.Question, e.Answer, e.Row)
}

// Example renders and encodes a conversation. count says for each token
// whether it counts in the loss: all, or with responsesOnly what lies between
// an answer's marker and the next question's. Where the given markers do not
// occur, those of the chat template are used, with a note. The row is cut at
// maxLen tokens; 0 does not cut.
func (t *Tokenizer) Example(messages []Message, questionPart, answerPart string, responsesOnly bool, maxLen int) (out []int32, count []bool, notes []string, err error) {
	row, err := t.Render(messages, false)
	if err != nil {
		return nil, nil, nil, err
	}
	parts := []segment{{row, true}}
	if responsesOnly {
		given := answerPart != "" && strings.Contains(row, answerPart) && (questionPart == "" || strings.Contains(row, questionPart))
		if !given {
			if answerPart != "" {
				notes = append(notes, fmt.Sprintf("question_part and answer_part do not occur in the rendered rows; the chat template's markers %q and %q are used", t.template.question, t.template.answer))
			}
			questionPart, answerPart = t.template.question, t.template.answer
		}
		if answerPart == "" || !strings.Contains(row, answerPart) {
			return nil, nil, notes, &MarkerError{Question: questionPart, Answer: answerPart, Row: row[:min(len(row), 120)]}
		}
		parts = segments(row, questionPart, answerPart)
	}
	for _, p := range parts {
		encoded := t.Encode(p.text)
		out = append(out, encoded...)
		for range encoded {
			count = append(count, p.counts)
		}
	}
	if maxLen > 0 && len(out) > maxLen {
		out, count = out[:maxLen], count[:maxLen]
	}
	return out, count, notes, nil
}

// segment is a part of a row that counts or does not.
type segment struct {
	text   string
	counts bool
}

func segments(row, question, answer string) []segment {
	var out []segment
	for row != "" {
		before, after, ok := strings.Cut(row, answer)
		if !ok {
			return append(out, segment{row, false})
		}
		out = append(out, segment{before + answer, false})
		end := len(after)
		if question != "" {
			if i := strings.Index(after, question); i >= 0 {
				end = i
			}
		}
		out = append(out, segment{after[:end], true})
		row = after[end:]
	}
	return out
}

// CopyFiles copies the files that belong to a tokenizer from one checkpoint's
// folder to another.
func CopyFiles(from, to string) error {
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "chat_template.jinja"} {
		body, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("copy tokenizer: %w", err)
		}
		if err := os.WriteFile(filepath.Join(to, name), body, 0o600); err != nil {
			return fmt.Errorf("copy tokenizer: %w", err)
		}
	}
	return nil
}
