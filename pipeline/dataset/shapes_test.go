package dataset_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/shape"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// with changes what an engine wants.
func with(w dataset.Want, change func(*dataset.Want)) dataset.Want {
	change(&w)
	return w
}

// TestRows: what rows become, each in the shape that it has.
func TestRows(t *testing.T) {
	t.Parallel()
	columns := func(q, a string) func(*dataset.Want) {
		return func(w *dataset.Want) { w.Columns.Question, w.Columns.Answer = q, a }
	}
	asked := func(s shape.Shape) func(*dataset.Want) { return func(w *dataset.Want) { w.Shape = s } }
	system := func(w *dataset.Want) { w.Columns.System = "s" }
	override := func(w *dataset.Want) { w.Columns.System, w.Columns.SystemOverride = "s", "All." }
	extra := func(w *dataset.Want) { w.Extra = []string{"key_fact", "nowhere"} }
	for name, c := range map[string]struct {
		row  string
		want dataset.Want
		out  string
		says string
	}{
		"numbers are texts":      {`{"question": 1.50, "answer": true}`, training(), "user: 1.50 | assistant: true", ""},
		"empty is not missing":   {`{"question": "", "answer": ""}`, training(), "user:  | assistant: ", "1 of 1 rows have an empty question"},
		"named columns":          {`{"q": "1", "a": "2", "question": "no"}`, with(training(), columns("q", "a")), "user: 1 | assistant: 2", ""},
		"one column twice":       {`{"q": "1"}`, with(training(), columns("q", "q")), "user: 1 | assistant: 1", `name one column, "q"`},
		"a system prompt":        {`{"question": "1", "answer": "2", "s": "Be brief."}`, with(training(), system), "system: Be brief. | user: 1 | assistant: 2", ""},
		"an empty system prompt": {`{"question": "1", "answer": "2", "s": ""}`, with(training(), system), "user: 1 | assistant: 2", ""},
		"one for all":            {`{"question": "1", "answer": "2"}`, with(training(), override), "system: All. | user: 1 | assistant: 2", ""},
		"extra columns":          {`{"question": "1", "answer": "2", "key_fact": 3}`, with(training(), extra), "user: 1 | assistant: 2 key_fact=3", ""},
		"references":             {`{"question": "1", "answer": "2", "references": ["2", "3"]}`, forTest(), `user: 1 | assistant: 2 truths ["2" "3"]`, ""},
		"a list as text":         {`{"question": "1", "answer": "[\"2\", \"3\"]"}`, forTest(), `user: 1 | assistant: ["2", "3"]`, "1 of 1 ground truths look like lists and are compared as the text"},
		"a list to learn":        {`{"question": "1", "answer": "[\"2\", \"3\"]"}`, training(), `user: 1 | assistant: ["2", "3"]`, ""},
		"references alone":       {`{"question": "1", "references": ["2", "3"]}`, forTest(), `user: 1 | assistant: 2 truths ["2" "3"]`, ""},
		"references, missing":    {`{"question": "1", "answer": ["2", null]}`, forTest(), "user: 1 | assistant: 2", ""},
		"several answers":        {`{"question": "1", "answer": ["2", "3"]}`, training(), `user: 1 | assistant: 2 truths ["2" "3"]`, "1 of 1 rows have several answers: the first one is learned"},

		"messages":                 {`{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2", "name": "x", "weight": null}]}`, training(), "user: 1 | assistant: 2", ""},
		"the system prompt of all": {`{"messages": [{"role": "system", "content": "0"}, {"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]}`, with(training(), override), "system: All. | user: 1 | assistant: 2", ""},
		"a number as content":      {`{"messages": [{"role": "user", "content": 1}, {"role": "assistant", "content": 2}]}`, training(), "user: 1 | assistant: 2", ""},
		"parts": {
			`{"messages": [{"role": "user", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": null}, {"text": "+1"}, "?"]}, {"role": "assistant", "content": [{"type": "output_text", "text": 2}]}]}`, training(), "user: 1+1? | assistant: 2", "",
		},
		"a class as label":  {`{"prompt": "1", "completion": "2", "label": 0}`, training(), "user: 1 | => assistant: 2", ""},
		"a system column":   {`{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}], "system": "Be brief."}`, training(), "user: 1 | assistant: 2", `the column "system" is not read; fine_tuner.system_prompt_column = "system"`},
		"judged, all taken": {`{"prompt": "1", "completion": "2", "label": true}`, with(training(), asked(shape.PromptCompletion)), "user: 1 | => assistant: 2", ""},
		"a role of the template": {
			`{"messages": [{"role": "context", "content": "0"}, {"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]}`, training(), "context: 0 | user: 1 | assistant: 2", "",
		},
		"messages as JSON": {`{"messages": "[{\"role\": \"user\", \"content\": \"1\"}, {\"role\": \"assistant\", \"content\": \"2\"}]"}`, training(), "user: 1 | assistant: 2", ""},
		"from and value as messages": {
			`{"messages": [{"from": "human", "value": "1"}, {"from": "gpt", "value": "2"}]}`, training(), "user: 1 | assistant: 2", "",
		},
		"role and content as conversations": {
			`{"conversations": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]}`, training(), "user: 1 | assistant: 2", "",
		},
		"tools as JSON": {
			`{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}], "tools": "[{\"b\": 1, \"a\": 2}]"}`,
			training(), `user: 1 | assistant: 2 tools [{"b":1,"a":2}]`, "",
		},
		"no tools": {
			`{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}], "tools": ""}`, training(), "user: 1 | assistant: 2", "",
		},
		"a call without a content": {
			`{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "content": "2"}, {"role": "assistant", "content": "3"}]}`,
			training(), `user: 1 | {"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]} | tool: 2 | assistant: 3`, "",
		},
		"ShareGPT with calls": {
			`{"conversations": [{"from": "human", "value": "1"}, {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"b\": 1}}"}, {"from": "observation", "value": "2"}, {"from": "gpt", "value": "3"}], "system": "S", "tools": "[{}]"}`,
			training(), `system: S | user: 1 | {"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":{"b":1}}}]} | tool: 2 | assistant: 3 tools [{}]`, "",
		},
		"an own system prompt wins": {
			`{"conversations": [{"from": "system", "value": "own"}, {"from": "human", "value": "1"}, {"from": "gpt", "value": "2"}], "system": "S"}`,
			training(), "system: own | user: 1 | assistant: 2", "",
		},
		"a test of messages":     {`{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}]}`, forTest(), "user: 1 | assistant: 2 | user: 3 | assistant: 4", ""},
		"the answer in a column": {`{"messages": [{"role": "user", "content": "1"}], "answer": "2"}`, forTest(), "user: 1", ""},
		"prompt and completion with tools": {
			`{"prompt": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"}], "completion": [{"role": "assistant", "content": "4"}], "tools": [{}]}`,
			training(), "user: 1 | assistant: 2 | user: 3 | => assistant: 4 tools [{}]", "",
		},
		"a system prompt before a prompt": {
			`{"prompt": [{"role": "user", "content": "1"}], "completion": [{"role": "assistant", "content": "2"}]}`,
			with(training(), override), "system: All. | user: 1 | => assistant: 2", "",
		},
		"Alpaca with all":         {`{"instruction": "3", "input": "i", "output": "4", "system": "S", "history": [["1", "2"]]}`, training(), "system: S | user: 1 | assistant: 2 | user: 3\n\ni | assistant: 4", ""},
		"Alpaca without an input": {`{"instruction": "3", "input": null, "output": "4"}`, training(), "user: 3 | assistant: 4", ""},

		"several shapes":       {`{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}], "text": "3"}`, training(), "user: 1 | assistant: 2", `the columns fit the shapes "messages", "text"; they were read as "messages"; fine_tuner.data_format names another`},
		"another of several":   {`{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}], "text": "3"}`, with(training(), asked(shape.Text)), "text 3", ""},
		"chosen as the answer": {`{"prompt": "1", "chosen": "2", "rejected": "3"}`, with(training(), columns("prompt", "chosen")), "user: 1 | assistant: 2", "the columns fit the shapes"},
		"columns of other data": {
			`{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]}`, with(training(), columns("q", "a")), "user: 1 | assistant: 2",
			`there is no column "q" and no column "a"; the columns were read as the shape "messages"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, info, err := read(t, file(t, "rows.jsonl", c.row+"\n"), c.want)
			if err != nil || len(rows) != 1 || rows[0] != c.out {
				t.Errorf("%q, %v\nwant %q", rows, err, c.out)
			}
			if said := strings.Join(info.Notes, "\n"); !strings.Contains(said, c.says) || c.says == "" && said != "" {
				t.Errorf("it says %q, want %q", said, c.says)
			}
		})
	}
}

// TestLacks: rows without an answer, a ground truth or a question are counted, and
// left out if there is nothing to do with them.
func TestLacks(t *testing.T) {
	t.Parallel()
	good := `{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]}` + "\n"
	for name, c := range map[string]struct {
		rows          string
		train, tested dataset.Counts
	}{
		"no turn of the assistant": {
			good + `{"messages": [{"role": "user", "content": "1"}]}`,
			dataset.Counts{Read: 2, Rows: 1, MissingAnswers: 1}, dataset.Counts{Read: 2, Rows: 2, MissingTruths: 1},
		},
		"a turn without a content": {
			good + `{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": null}]}`,
			dataset.Counts{Read: 2, Rows: 1, MissingAnswers: 1}, dataset.Counts{Read: 2, Rows: 2, MissingTruths: 1},
		},
		"an earlier turn without a content": {
			good + `{"messages": [{"role": "user", "content": "1"}, {"role": "assistant"}, {"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]}`,
			dataset.Counts{Read: 2, Rows: 1, Dropped: 1}, dataset.Counts{Read: 2, Rows: 1, Dropped: 1},
		},
		"no messages": {
			good + `{"messages": []}` + "\n" + `{"messages": null}` + "\n" + `{}`,
			dataset.Counts{Read: 4, Rows: 1, Dropped: 3}, dataset.Counts{Read: 4, Rows: 1, Dropped: 3},
		},
		"a system prompt alone": {
			good + `{"messages": [{"role": "system", "content": "1"}, {"role": "assistant", "content": "2"}]}`,
			dataset.Counts{Read: 2, Rows: 1, Dropped: 1}, dataset.Counts{Read: 2, Rows: 1, Dropped: 1},
		},
		"a call as the last turn": {
			good + `{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f"}}]}]}`,
			dataset.Counts{Read: 2, Rows: 2}, dataset.Counts{Read: 2, Rows: 2, MissingTruths: 1},
		},
		"no question": {
			`{"question": "1", "answer": "2"}` + "\n" + `{"question": null, "answer": "2"}` + "\n" + `{"question": "1"}` + "\n" + `{"question": "1", "answer": []}`,
			dataset.Counts{Read: 4, Rows: 1, MissingAnswers: 2, Dropped: 1}, dataset.Counts{Read: 4, Rows: 3, MissingTruths: 2, Dropped: 1},
		},
		"no completion": {
			`{"prompt": "1", "completion": "2"}` + "\n" + `{"prompt": "1", "completion": null}`,
			dataset.Counts{Read: 2, Rows: 1, MissingAnswers: 1}, dataset.Counts{Read: 2, Rows: 2, MissingTruths: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for use, want := range map[string]dataset.Counts{"training": c.train, "testing": c.tested} {
				w := training()
				w.Use = dataset.Use(use)
				_, info, err := read(t, file(t, "rows.jsonl", c.rows), w)
				if err != nil || info.Counts != want {
					t.Errorf("%s: %+v, %v; want %+v", use, info.Counts, err, want)
				}
				if len(info.Warnings) == 0 && want.Rows != want.Read {
					t.Errorf("%s: nothing is said: %q", use, info.Notes)
				}
			}
		})
	}
}

// TestFewLacks: up to a tenth of the rows is a note, more is a warning.
func TestFewLacks(t *testing.T) {
	t.Parallel()
	src := file(t, "rows.csv", "question,answer\n"+strings.Repeat("1,2\n", 9)+"3,\n")
	_, info, err := read(t, src, training())
	want := `fine_tuner.training_data_id: 1 of 10 rows have no answer (fine_tuner.ground_truth_column = "answer") and are left out; the first is rows.csv, line 11`
	if err != nil || len(info.Warnings) > 0 || len(info.Notes) != 1 || info.Notes[0] != want {
		t.Errorf("notes %q, warnings %q, %v; want %q", info.Notes, info.Warnings, err, want)
	}
}

// TestRefusals: what is wrong, in which line and column, what is there instead, and
// the key.
func TestRefusals(t *testing.T) {
	t.Parallel()
	qa := `{"question": "1", "answer": "2"}` + "\n"
	chat := `{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]}` + "\n"
	asked := func(s shape.Shape) func(*dataset.Want) { return func(w *dataset.Want) { w.Shape = s } }
	for name, c := range map[string]struct {
		rows  string
		want  dataset.Want
		words []string
	}{
		"no column":             {`{"prompt": "1", "reply": "2"}`, training(), []string{"rows.jsonl", `no column "question" and no column "answer"`, `"prompt", "reply"`, "fine_tuner.question_column", "fine_tuner.ground_truth_column", "messages"}},
		"one column":            {`{"question": "1", "reply": "2"}`, training(), []string{`there is no column "answer"`, `"question", "reply"`, "fine_tuner.ground_truth_column"}},
		"a misspelt column":     {`{"prompt": "1", "completion": "2"}`, with(training(), func(w *dataset.Want) { w.Columns.Question, w.Columns.Answer = "prompt", "reply" }), []string{`there is no column "reply"`, `"prompt", "completion"`}},
		"a list as question":    {qa + `{"question": ["1"], "answer": "2"}`, training(), []string{`rows.jsonl, line 2, column "question": it holds a list, not text`}},
		"an object as answer":   {qa + `{"question": "1", "answer": {"a": 1}}`, training(), []string{`rows.jsonl, line 2, column "answer": it holds an object, not text`}},
		"lists in both":         {`{"question": [1], "answer": [2]}`, training(), []string{"do not both hold text", "fine_tuner.question_column"}},
		"text as messages":      {chat + `{"messages": "hello"}`, training(), []string{`rows.jsonl, line 2, column "messages": it holds text that is not the JSON of a list`}},
		"an object as messages": {chat + `{"messages": {"role": "user"}}`, training(), []string{`line 2, column "messages": it holds an object, not a list`}},
		"a text as message":     {chat + `{"messages": ["hello"]}`, training(), []string{`line 2, column "messages": message 1: it is text, not an object`}},
		"no role":               {chat + `{"messages": [{"content": "1"}]}`, training(), []string{`message 1: it has no "role"`}},
		"an object as content":  {chat + `{"messages": [{"role": "user", "content": {"a": 1}}]}`, training(), []string{`message 1: its "content": it holds an object, not text`}},
		"a part of a type":      {`{"messages": [{"role": "user", "content": [{"type": "text", "text": "1"}, {"type": "file", "file": {"id": "f"}}]}, {"role": "assistant", "content": "2"}]}`, training(), []string{`line 1, column "messages": message 1: its "content": part 2: its type is "file"`, "text and image"}},
		"a part without text":   {`{"messages": [{"role": "user", "content": [{"type": "text", "text": {"value": "1"}}]}]}`, training(), []string{`part 1: its "text": it holds an object, not text`}},
		"a part of no type":     {`{"messages": [{"role": "user", "content": [{"file": "f"}]}]}`, training(), []string{`part 1: it has no "type"`}},
		"a capital role":        {chat + `{"messages": [{"role": "user", "content": "1"}, {"role": "Assistant", "content": "2"}]}`, training(), []string{`line 2, column "messages": message 2: its "role" is "Assistant"`, `as "assistant"`}},
		"a sender as role":      {`{"messages": [{"role": "human", "content": "1"}, {"role": "gpt", "content": "2"}]}`, training(), []string{`message 1: its "role" is "human"`, `as "user"`}},
		"an unknown sender":     {`{"conversations": [{"from": "human", "value": "1"}, {"from": "narrator", "value": "2"}]}`, training(), []string{`line 1, column "conversations": message 2: its "from" is "narrator"`, "human, gpt"}},
		"a call that is none":   {`{"conversations": [{"from": "human", "value": "1"}, {"from": "function_call", "value": "f(1)"}]}`, training(), []string{"message 2", "JSON with name and arguments"}},
		"tools that are text":   {`{"messages": [{"role": "user", "content": "1"}], "tools": "none"}`, training(), []string{`column "tools": it holds text that is not the JSON of a list`}},
		"two kinds at once":     {`{"prompt": "1", "completion": "2"}` + "\n" + `{"prompt": [{"role": "user", "content": "1"}], "completion": "2"}`, training(), []string{`line 2, column "completion"`, "two kinds"}},
		"of two kinds":          {`{"prompt": "1", "completion": [{"role": "assistant", "content": "2"}]}`, training(), []string{`line 1, column "completion"`, "two kinds"}},
		"judged answers":        {`{"prompt": "1", "completion": "2", "label": true}` + "\n" + `{"prompt": "1", "completion": "3", "label": false}`, training(), []string{"judged answers", "label", `fine_tuner.data_format = "prompt_completion"`}},
		"a turn of history":     {`{"instruction": "1", "output": "2", "history": [["1"]]}`, training(), []string{`column "history": turn 1 is no pair`}},
		"a shape that is not":   {qa, with(training(), asked(shape.Messages)), []string{`fine_tuner.data_format = "messages" needs messages`, `"question", "answer"`}},
		"a shape without text":  {`{"question": [1], "answer": [2]}`, with(training(), asked(shape.QuestionAnswer)), []string{"fine_tuner.question_column", "do not both hold text"}},
		"a shape, one column":   {`{"prompt": "1", "answer": "2"}`, with(training(), asked(shape.PromptCompletion)), []string{`fine_tuner.data_format = "prompt_completion" needs prompt and completion`}},
		"a shape, no columns":   {`{"prompt": "1"}`, with(training(), asked(shape.QuestionAnswer)), []string{`there is no column "question" and no column "answer"`}},
		"chosen as lists":       {`{"prompt": "1", "chosen": [{"role": "assistant", "content": "2"}], "rejected": []}`, with(training(), func(w *dataset.Want) { w.Columns.Question, w.Columns.Answer = "prompt", "chosen" }), []string{`fine_tuner.ground_truth_column = "chosen": this column holds a list of objects, not text`}},
		"an unknown shape":      {qa, with(training(), asked("chatml")), []string{`fine_tuner.data_format = "chatml"`, "auto, question_answer, messages"}},
		"text as test data":     {`{"text": "1"}`, with(forTest(), func(*dataset.Want) {}), []string{`the shape "text", which has no questions`}},
		"no system column":      {qa, with(training(), func(w *dataset.Want) { w.Columns.System = "persona" }), []string{`fine_tuner.system_prompt_column = "persona": there is no such column; it has "question", "answer"`}},
		"no answers":            {`{"question": "1", "answer": null}`, training(), []string{"rows.jsonl: no row has an answer to learn", `"answer" has no values`, "fine_tuner.ground_truth_column"}},
		"no ground truths":      {`{"question": "1", "answer": null}`, forTest(), []string{"no row has a ground truth", `"answer" has no values`}},
		"no questions":          {`{"question": null, "answer": "2"}`, training(), []string{"no row has a question", "fine_tuner.question_column"}},
		"no rows":               {"\n", training(), []string{"rows.jsonl: the data set is empty"}},
		"an object as answers":  {`{"question": "1", "answer": {"text": ["2"]}}`, training(), []string{"do not both hold text", `"answer" holds an object`}},
		"roles of others":       {`{"messages": [{"role": "narrator", "content": "1"}, {"role": "bot", "content": "2"}]}`, training(), []string{`the roles of its turns are "narrator", "bot", and an answer has the role "assistant"`}},
		"images":                {`{"messages": [{"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": "1"}]}]}`, training(), []string{"line 1", "does not see"}},
		"an image column":       {`{"question": "1", "answer": "2", "photo": "a.png"}`, with(training(), func(w *dataset.Want) { w.Columns.Image = "photo" }), []string{`fine_tuner.image_column = "photo": this engine does not see images`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := read(t, file(t, "rows.jsonl", c.rows), c.want)
			fails(t, err, c.words...)
			if err != nil && strings.Count(err.Error(), "rows.jsonl") != 1 {
				t.Errorf("%q names the file more than once, or not at all", err)
			}
		})
	}
}

// TestStrays: a row of another shape is an error with its line, wherever it stands,
// unless its columns also stand beside those that are read.
func TestStrays(t *testing.T) {
	t.Parallel()
	qa := `{"question": "1", "answer": "2"}` + "\n"
	chat := `{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]}` + "\n"
	text := `{"text": "1"}` + "\n"
	asked := with(training(), func(w *dataset.Want) { w.Shape = shape.QuestionAnswer })
	for name, c := range map[string]struct {
		rows string
		want dataset.Want
		says []string // nothing: no error
	}{
		"one at the end":       {strings.Repeat(chat, 9) + qa, training(), []string{"rows.jsonl, line 1: ", `the shape "messages"`, `read as "question_answer"`, "fine_tuner.data_format"}},
		"behind the survey":    {strings.Repeat(chat, 500) + qa, training(), []string{"rows.jsonl, line 501: ", `the shape "question_answer"`, `read as "messages"`}},
		"texts":                {strings.Repeat(text, 50) + chat, training(), []string{"line 1: ", `the shape "text"`, `read as "messages"`}},
		"with a question":      {qa + `{"question": "1", "messages": [{"role": "user", "content": "1"}]}`, training(), []string{"line 2: ", `the shape "messages"`}},
		"the shape is named":   {strings.Repeat(chat, 9) + qa, asked, nil},
		"a column beside":      {`{"question": "1", "answer": "2", "text": "a"}` + "\n" + `{"question": "1", "answer": null, "text": "b"}`, training(), nil},
		"a column beside late": {`{"question": "1", "answer": null, "text": "b"}` + "\n" + `{"question": "1", "answer": "2", "text": "a"}`, training(), nil},
		"a test":               {qa + `{"question": "1", "answer": null, "text": "b"}`, forTest(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := read(t, file(t, "rows.jsonl", c.rows), c.want)
			if c.says == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			fails(t, err, c.says...)
		})
	}
}

// TestLabelledCompletions: completions with a label are learned if the format says so,
// and a label that is no verdict is any other column.
func TestLabelledCompletions(t *testing.T) {
	t.Parallel()
	named := with(training(), func(w *dataset.Want) { w.Shape = shape.PromptCompletion })
	for line, want := range map[string]dataset.Want{
		`{"prompt": "1", "completion": "2", "label": true}`:      named,
		`{"prompt": "1", "completion": "2", "label": "harbour"}`: training(),
		`{"prompt": "1", "completion": "2", "label": 1}`:         training(),
	} {
		if rows, _, err := read(t, file(t, "rows.jsonl", line), want); err != nil || len(rows) != 1 {
			t.Errorf("%s: %q, %v", line, rows, err)
		}
	}
}

// TestLateColumn: the first rows of JSON may lack a key that later ones have.
func TestLateColumn(t *testing.T) {
	t.Parallel()
	rows := strings.Repeat(`{"question": "1"}`+"\n", 150) + `{"question": "1", "answer": "2"}`
	got, info, err := read(t, file(t, "rows.jsonl", rows), training())
	if err != nil || len(got) != 1 || info.Counts.MissingAnswers != 150 {
		t.Errorf("%d rows, %+v, %v", len(got), info.Counts, err)
	}
}

// TestPreference: an engine with a method for it gets both answers.
func TestPreference(t *testing.T) {
	t.Parallel()
	want := with(training(), func(w *dataset.Want) { w.Prefers = true })
	for name, rows := range map[string]string{
		"texts":             `{"prompt": "1", "chosen": "2", "rejected": "3"}`,
		"lists":             `{"prompt": [{"role": "user", "content": "1"}], "chosen": [{"role": "assistant", "content": "2"}], "rejected": [{"role": "assistant", "content": "3"}]}`,
		"with the question": `{"prompt": "1", "chosen": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}], "rejected": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "3"}]}`,
	} {
		d, err := dataset.Open(t.Context(), file(t, "rows.jsonl", rows), want)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for r, err := range d.Rows(t.Context()) {
			if err != nil || len(r.Messages) != 2 || len(r.Rejected) != 2 || r.Prompted != 1 {
				t.Fatalf("%s: %+v, %v", name, r, err)
			}
			chosen, _ := r.Messages[1].Text()
			rejected, _ := r.Rejected[1].Text()
			if chosen != "2" || rejected != "3" || r.Question() != "1" {
				t.Errorf("%s: %q, %q, %q", name, r.Question(), chosen, rejected)
			}
		}
	}
}

// TestPreferenceTurns: the prompt ends where two conversations part, a system prompt
// stands before both, and rows without one of the two answers are left out.
func TestPreferenceTurns(t *testing.T) {
	t.Parallel()
	const (
		turns  = `{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"}`
		better = `{"chosen": [` + turns + `, {"role": "assistant", "content": "4"}], "rejected": [` + turns + `, {"role": "assistant", "content": "5"}]}`
		tied   = `{"chosen": [` + turns + `, {"role": "assistant", "content": "4"}], "rejected": [` + turns + `, {"role": "assistant", "content": "4"}]}`
		half   = `{"chosen": [` + turns + `, {"role": "assistant", "content": "4"}], "rejected": null}`
		orca   = `{"system": "S", "question": "1", "chosen": "2", "rejected": "3"}`
		plain  = `{"prompt": "1", "chosen": "2", "rejected": "3"}`
		empty  = `{"prompt": "1", "chosen": "", "rejected": "2"}` + "\n" + `{"prompt": "1", "chosen": "2", "rejected": " \n"}` + "\n" +
			`{"prompt": "1", "chosen": "2", "rejected": [{"role": "assistant", "content": [{"type": "text", "text": ""}]}]}`
		called = `{"prompt": "1", "chosen": [{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}], "rejected": "2"}`
		tools  = `{"prompt": "1", "chosen": [{"role": "assistant", "content": "2"}, {"role": "tool", "content": "3"}, {"role": "assistant", "content": "4"}], "rejected": "5"}`
	)
	for lines, want := range map[string]struct {
		rows, prompted, messages, rejected int
		missing                            int64
	}{
		better:               {1, 4, 5, 5, 0},
		tied:                 {1, 4, 5, 5, 0},
		better + "\n" + half: {1, 4, 5, 5, 1},
		orca:                 {1, 2, 3, 3, 0},
		called:               {1, 2, 3, 3, 0},
		plain + "\n" + empty: {1, 2, 3, 3, 3},
		tools:                {1, 2, 5, 3, 0},
	} {
		options := with(training(), func(w *dataset.Want) { w.Prefers, w.Columns.SystemOverride = true, "Be brief." })
		d, err := dataset.Open(t.Context(), file(t, "rows.jsonl", lines), options)
		if err != nil {
			t.Errorf("%s: %v", lines, err)
			continue
		}
		n := 0
		for r, err := range d.Rows(t.Context()) {
			n++
			if err != nil || r.Prompted != want.prompted || len(r.Messages) != want.messages || len(r.Rejected) != want.rejected ||
				r.System() != "Be brief." || !r.Rejected[0].IsSystem() {
				t.Errorf("%s: %+v, %v", lines, r, err)
			}
		}
		if n != want.rows || d.Info().Counts.MissingAnswers != want.missing {
			t.Errorf("%s: %d rows, %+v", lines, n, d.Info().Counts)
		}
	}
}

// TestOtherDataThanPreference: a method for preferences refuses other data, and says what
// it wants; and answers to two prompts are an error with their line.
func TestOtherDataThanPreference(t *testing.T) {
	t.Parallel()
	want := with(training(), func(w *dataset.Want) { w.Prefers = true })
	for lines, words := range map[string][]string{
		`{"question": "1", "answer": "2"}`: {`fine_tuner.method = "dpo" needs chosen and rejected`, `"question", "answer"`},
		`{"chosen": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}], "rejected": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "3"}]}`: {
			`line 1, column "rejected"`, "another prompt",
		},
	} {
		_, _, err := read(t, file(t, "rows.jsonl", lines), want)
		fails(t, err, words...)
	}
	named := with(want, func(w *dataset.Want) { w.Shape = shape.QuestionAnswer })
	_, _, err := read(t, file(t, "rows.jsonl", `{"question": "1", "answer": "4", "chosen": "2", "rejected": "3"}`), named)
	fails(t, err, `fine_tuner.data_format = "question_answer"`, `fine_tuner.method = "dpo"`)
}

// A dot in PNG.
const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// TestImages: images are found beside the data, in data URLs and in the image column,
// and stand in the messages where they belong.
func TestImages(t *testing.T) {
	t.Parallel()
	decoded, err := base64.StdEncoding.DecodeString(dot)
	if err != nil {
		t.Fatal(err)
	}
	url := "data:image/png;base64," + dot
	sees := with(training(), func(w *dataset.Want) { w.Sees = true })
	column := with(sees, func(w *dataset.Want) { w.Columns.Image = "photo" })
	for name, c := range map[string]struct {
		row    string
		want   dataset.Want
		images int64
		fault  string
	}{
		"a part with a path":    {`{"messages": [{"role": "user", "content": [{"type": "image", "image": "pics/dot.png"}, {"type": "text", "text": "?"}]}, {"role": "assistant", "content": "2"}]}`, sees, 1, ""},
		"a part of OpenAI":      {`{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "` + url + `"}}]}, {"role": "assistant", "content": "2"}]}`, sees, 1, ""},
		"places and a column":   {`{"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "image"}]}, {"role": "assistant", "content": "2"}], "images": ["pics/dot.png", "` + url + `"]}`, sees, 2, ""},
		"a column":              {`{"question": "1", "answer": "2", "photo": "pics/dot.png"}`, column, 1, ""},
		"a place without image": {`{"messages": [{"role": "user", "content": [{"type": "image"}]}, {"role": "assistant", "content": "2"}]}`, sees, 0, "line 1, column \"messages\": message 1 has a part of type image, and there is no image for it"},
		"a missing file":        {`{"question": "1", "answer": "2", "photo": "pics/none.png"}`, column, 0, `line 1, column "photo": image 1: pics/none.png: no such file`},
		"a path that leads out": {`{"question": "1", "answer": "2", "photo": "../dot.png"}`, column, 0, "does not lead below the folder of the data file"},
		"an absolute path":      {`{"question": "1", "answer": "2", "photo": "/etc/passwd"}`, column, 0, "does not lead below the folder of the data file"},
		"a link that leads out": {`{"question": "1", "answer": "2", "photo": "pics/link.png"}`, column, 0, "pics/link.png"},
		"an address":            {`{"question": "1", "answer": "2", "photo": "https://host/a.png"}`, column, 0, "an address is not fetched"},
		"no image":              {`{"question": "1", "answer": "2", "photo": "rows.jsonl"}`, column, 0, "rows.jsonl: it is no image"},
		"a damaged one":         {`{"question": "1", "answer": "2", "photo": "pics/cut.png"}`, column, 0, "pics/cut.png: the image is damaged"},
		"a damaged data URL":    {`{"question": "1", "answer": "2", "photo": "data:image/png;base64,###"}`, column, 0, "the data URL is damaged"},
		"a folder":              {`{"question": "1", "answer": "2", "photo": "pics"}`, column, 0, "pics: it is no file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, map[string]string{"rows.jsonl": c.row, "pics/dot.png": string(decoded), "pics/cut.png": string(decoded[:50])})
			if err := os.Symlink("/etc/passwd", filepath.Join(dir, "pics/link.png")); err != nil {
				t.Fatal(err)
			}
			src := source.Source{Path: filepath.Join(dir, "rows.jsonl"), Name: "rows.jsonl", Key: "fine_tuner.training_data_id"}
			rows, info, err := read(t, src, c.want)
			if c.fault != "" {
				fails(t, err, c.fault)
				return
			}
			if err != nil || info.Counts.Images != c.images || !strings.Contains(rows[0], `{"type":"image"}`) || strings.Contains(rows[0], "base64") {
				t.Errorf("%q, %+v, %v", rows, info.Counts, err)
			}
		})
	}
}
