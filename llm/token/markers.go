package token

import (
	"errors"
	"fmt"
	"strings"
)

// Texts that no template contains, to find out what it puts around them.
const (
	probeQuestion = "tunebusprobeone"
	probeAnswer   = "tunebusprobetwo"
	probeNext     = "tunebusprobethree"
	probeLast     = "tunebusprobefour"
)

// markers are what a chat template writes before a question and an answer,
// and behind the last answer.
type markers struct{ question, answer, end string }

// in reports whether both occur in a row.
func (m markers) in(row string) bool {
	return m.question != "" && m.answer != "" && strings.Contains(row, m.question) && strings.Contains(row, m.answer)
}

var errNoMarkers = errors.New("the chat template leaves questions or answers out")

// deriveMarkers renders a conversation of two turns and looks at what stands
// between its texts.
//
// The answer's marker is what the generation prompt adds, and, for templates
// that know no generation prompt, all that stands between question and
// answer. The question's is what stands between an answer and the next
// question, less what ends an answer.
func (t *Tokenizer) deriveMarkers() (markers, error) {
	turns := []Message{{"user", probeQuestion}, {"assistant", probeAnswer}, {"user", probeNext}, {"assistant", probeLast}}
	talk, err := t.Render(turns, false)
	if err != nil {
		return markers{}, err
	}
	var gaps [5]string
	rest := talk
	for i, m := range turns {
		var ok bool
		if gaps[i], rest, ok = strings.Cut(rest, m.Content); !ok {
			return markers{}, fmt.Errorf("derive markers of %s: %w", t.dir, errNoMarkers)
		}
	}
	gaps[4] = rest
	out := markers{question: gaps[2][commonPrefix(gaps[2], gaps[4]):], answer: gaps[1], end: gaps[4]}
	plain, err := t.Render(turns[:1], false)
	if err != nil {
		return out, nil // a template may insist on an answer; what was found stands
	}
	if prompted, err := t.Render(turns[:1], true); err == nil && strings.HasPrefix(prompted, plain) {
		if prompt := prompted[len(plain):]; prompt != "" && strings.Contains(gaps[1], prompt) {
			out.answer = prompt
		}
	}
	return out, nil
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// MarkerError says that no markers of questions and answers occur in a row,
// so that nothing of it would count in the loss.
type MarkerError struct {
	Given   [2]string // the question's and the answer's, as given
	Derived [2]string // the same, as the chat template writes them
	Row     string    // the start of the rendered row
}

// Error names what was looked for and the start of the row.
func (e *MarkerError) Error() string {
	return fmt.Sprintf("find questions and answers: neither question_part %q and answer_part %q nor the chat template's own %q and %q occur in the rendered row, which starts with %q",
		e.Given[0], e.Given[1], e.Derived[0], e.Derived[1], e.Row)
}
