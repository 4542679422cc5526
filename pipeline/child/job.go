package child

import (
	"encoding/json"
	"os"
)

// Job is the job file of a trainer. All paths are absolute.
type Job struct {
	Protocol int `json:"protocol"`
	// Kind is the kind of the job; empty: KindTraining.
	Kind string `json:"kind,omitempty"`
	Run  string `json:"run"`
	// Attempt is the attempt's number, from 1.
	Attempt int   `json:"attempt"`
	Model   Model `json:"model"`
	// Keys are all keys of the section fine_tuner with their values.
	Keys any `json:"keys"`
	// Changed are the names of the keys that differ from their defaults.
	Changed []string `json:"changed"`
	Seed    int      `json:"seed"`

	// Prompts are those of a job of inference, which has no rows.
	Prompts *Prompts `json:"prompts,omitempty"`

	Training   Rows  `json:"training"`
	Validation *Rows `json:"validation"`
	// Resume is the checkpoint to go on from; nil without one.
	Resume *Resume `json:"resume"`
	Output Output  `json:"output"`
	// Devices is the value of CUDA_VISIBLE_DEVICES.
	Devices string `json:"devices"`
}

// Model is the base model. Its folders are only read.
type Model struct {
	Folder    string `json:"folder"`
	Tokenizer string `json:"tokenizer"`
	// Adapter is the adapter on top of it that is trained further; nil without one.
	Adapter *string `json:"adapter"`
	// Name is how people name the model.
	Name string `json:"name"`
}

// Prompts are what a model answers, in a file with a [Prompt] as JSON a line.
type Prompts struct {
	Tokens string `json:"tokens"`
	Rows   int64  `json:"rows"`
	// Images is the number of images that the prompts name; with some, the lines have
	// messages in the place of ids.
	Images int64 `json:"images,omitempty"`
	// Longest is the number of tokens of the longest prompt.
	Longest int `json:"longest"`
	// End are the ids that end an answer.
	End []int32 `json:"end"`
}

// Prompt is a line of the file of prompts.
type Prompt struct {
	Row int64   `json:"row"`
	IDs []int32 `json:"ids"`
	// Answered says that an earlier attempt has the answer. The prompt still takes part in
	// forming batches.
	Answered bool `json:"answered,omitempty"`
	// Messages are the prompt of a model that sees, in the place of IDs, with contents that
	// are lists of parts. Images are the files of its images, in the order of their places,
	// and Tools the tools that the conversation may call.
	Messages json.RawMessage `json:"messages,omitempty"`
	Images   []string        `json:"images,omitempty"`
	Tools    json.RawMessage `json:"tools,omitempty"`
}

// Generated is a line of the file of answers: ids without those that end it.
type Generated struct {
	Row          int64   `json:"row"`
	IDs          []int32 `json:"ids"`
	FinishReason string  `json:"finish_reason,omitempty"`
	// PromptTokens are those of a prompt that the command encoded itself.
	PromptTokens int `json:"prompt_tokens,omitempty"`
}

// Rows are the rows of a data set, in two files of JSON lines.
type Rows struct {
	Tokens   string `json:"tokens"`
	Messages string `json:"messages"`
	// Examples are the lines of Tokens, Rows those of Messages.
	Examples int64 `json:"examples"`
	Rows     int64 `json:"rows"`
	// Images is the number of images that the rows of Messages name.
	Images int64 `json:"images"`
	// Longest is the number of tokens of the longest example.
	Longest int `json:"longest"`
	// Pairs says that the lines of Tokens are each a [Pair], not an [Example], and that
	// those of Messages have a rejected answer.
	Pairs bool `json:"pairs,omitempty"`
}

// Resume is a checkpoint that an earlier attempt saved.
type Resume struct {
	Step   int64  `json:"step"`
	Folder string `json:"folder"`
}

// Output are the folders that a trainer writes to.
type Output struct {
	Model       string `json:"model"`
	Checkpoints string `json:"checkpoints"`
	Artifacts   string `json:"artifacts"`
	// Answers is the file that a job of inference appends its answers to: a [Generated] as
	// JSON a line.
	Answers string `json:"answers,omitempty"`
}

// Example is a line of the file [Rows.Tokens].
type Example struct {
	IDs []int32 `json:"ids"`
	// Counted are ranges of positions that count in the loss, without their ends.
	Counted [][2]int `json:"counted"`
}

// Pair is a line of the file [Rows.Tokens] with two answers to one prompt. Each has at
// least one token.
type Pair struct {
	Prompt   []int32 `json:"prompt"`
	Chosen   []int32 `json:"chosen"`
	Rejected []int32 `json:"rejected"`
}

// Ranges returns the positions that are true as ranges without their ends.
func Ranges(count []bool) [][2]int {
	out := [][2]int{}
	for i, yes := range count {
		switch {
		case !yes:
		case len(out) > 0 && out[len(out)-1][1] == i:
			out[len(out)-1][1]++
		default:
			out = append(out, [2]int{i, i + 1})
		}
	}
	return out
}

// write writes the job file.
func (j Job) write(path string) error {
	body, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(body, '\n'), 0o600)
}
