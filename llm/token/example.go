package token

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/llm/token/chattemplate"
)

// shownOfRow is how many bytes of a row an error shows.
const shownOfRow = 160

// Example renders and encodes a conversation for training. count says of each
// id whether it counts in the loss: all of them, or with responsesOnly those
// between an answer's marker and the next question's. A token that begins
// before the marker's end does not count.
//
// Markers that do not occur in the row, or that are empty, are replaced by
// those of the chat template; a note says so where they were given. If these
// do not occur either, the error is a *MarkerError. A row of more than maxLen
// ids is cut, with a note if no answer is left; maxLen 0 does not cut.
//
// The notes of many rows are alike word by word, for callers to show once.
func (t *Tokenizer) Example(messages []Message, questionPart, answerPart string, responsesOnly bool, maxLen int) (ids []int32, count []bool, notes []string, err error) {
	row, err := t.Render(messages, false)
	if err != nil {
		return nil, nil, nil, err
	}
	row = t.normalize(row)
	spans := [][2]int{{0, len(row)}}
	if responsesOnly {
		use := markers{question: t.normalize(questionPart), answer: t.normalize(answerPart)}
		if !use.in(row) {
			own, err := t.derived()
			if err != nil {
				return nil, nil, nil, err
			}
			if !own.in(row) {
				return nil, nil, nil, &MarkerError{
					Given:   [2]string{questionPart, answerPart},
					Derived: [2]string{own.question, own.answer},
					Row:     strings.ToValidUTF8(row[:min(len(row), shownOfRow)], ""),
				}
			}
			if questionPart != "" || answerPart != "" {
				notes = append(notes, fmt.Sprintf("question_part %q and answer_part %q do not occur in the rendered rows; the chat template's %q and %q are used", questionPart, answerPart, own.question, own.answer))
			}
			use = own
		}
		spans = answers(row, use)
	}
	ids, ends := t.encode(row, []int{})
	count = make([]bool, len(ids))
	any, from, span := false, 0, 0
	for i, end := range ends {
		for span < len(spans) && spans[span][1] <= from {
			span++
		}
		if span < len(spans) && from >= spans[span][0] && (maxLen <= 0 || i < maxLen) {
			count[i], any = true, true
		}
		from = end
	}
	if maxLen > 0 && len(ids) > maxLen {
		ids, count = ids[:maxLen], count[:maxLen]
		if !any {
			notes = append(notes, fmt.Sprintf("rows have no answer within max_sequence_length = %d tokens, and teach nothing", maxLen))
		}
	}
	return ids, count, notes, nil
}

// answers lists where the answers of a row lie.
func answers(row string, m markers) [][2]int {
	var spans [][2]int
	for at := 0; ; {
		i := strings.Index(row[at:], m.answer)
		if i < 0 {
			return spans
		}
		from := at + i + len(m.answer)
		to := len(row)
		if j := strings.Index(row[from:], m.question); j >= 0 {
			to = from + j
		}
		spans = append(spans, [2]int{from, to})
		at = to
	}
}

// CopyFiles copies what belongs to a tokenizer from one checkpoint's folder to
// another. Files that are not there are passed over.
func CopyFiles(from, to string) error {
	names := []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "chat_template.jinja"}
	further, err := os.ReadDir(filepath.Join(from, chattemplate.Folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("copy tokenizer: %w", err)
	}
	for _, f := range further {
		if filepath.Ext(f.Name()) == ".jinja" && f.Type().IsRegular() {
			names = append(names, filepath.Join(chattemplate.Folder, f.Name()))
		}
	}
	for _, name := range names {
		body, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), body, 0o600)
		}
		if err != nil {
			return fmt.Errorf("copy tokenizer: %w", err)
		}
	}
	return nil
}
