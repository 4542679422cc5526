package lossmask

import (
	"encoding/json"
	"time"

	"github.com/tunebus/tunebus/llm/token"
)

// TrainOn says which turns of the assistant count.
type TrainOn string

// The values of TrainOn. An empty one is All.
const (
	All  TrainOn = "all"
	Last TrainOn = "last"
)

// Config is the same for all rows of a run.
type Config struct {
	TrainOn TrainOn
	// ResponsesOnly is false if every token of every row counts.
	ResponsesOnly bool
	// MaxTokens is the longest example; longer ones lose their end. 0: no limit.
	MaxTokens int
	// Variables are further variables of the chat template.
	Variables map[string]any
	// Now is the time that a template may ask for.
	Now time.Time
	// Markers decide in rows that are a text.
	Markers Markers
}

// Conversation is a row with roles.
type Conversation struct {
	// Messages and Tools are as in chattemplate.Conversation. Tools may be nil.
	Messages, Tools any
	// Prompted is the number of messages at the beginning that are a prompt as a
	// whole: assistant turns in it do not count.
	Prompted int
	// Unweighted are the indexes of further messages that do not count.
	Unweighted []int
	// Pair says that the row names its one answer, as a column or as a
	// completion. Then the marks of a template do not decide.
	Pair bool
}

// QuestionAndAnswer is the conversation of one question and its answer. An empty
// system prompt is none.
func QuestionAndAnswer(system, question, answer string) Conversation {
	messages := []token.Message{{Role: "user", Content: question}, {Role: "assistant", Content: answer}}
	if system != "" {
		messages = append([]token.Message{{Role: "system", Content: system}}, messages...)
	}
	raw, _ := json.Marshal(messages) // texts have a JSON form
	return Conversation{Messages: json.RawMessage(raw), Pair: true}
}

// Masker renders, encodes and masks rows. It may be used by any number of
// goroutines at once.
type Masker struct {
	tok    *token.Tokenizer
	config Config
	alone  bool // each rendering is made alone, for tests
}

// New returns a masker for rows of a model.
func New(tok *token.Tokenizer, config Config) *Masker {
	if config.TrainOn == "" {
		config.TrainOn = All
	}
	return &Masker{tok: tok, config: config}
}

// Row is what became of a row.
type Row struct {
	// Examples are one in most cases; none if no turn counts.
	Examples []Example
	// Split says that each turn that counts is an example of its own, because
	// the template renders answers otherwise once a question follows.
	Split bool
	// PromptEnd is the text at the end of the generation prompt that the
	// template does not write before the answers of rows; usually empty. The
	// examples have it.
	PromptEnd string
	// Diverged says that the template renders the turns before an answer
	// otherwise when it asks for that answer. The examples have the turns as
	// they are when it asks.
	Diverged bool
	// Unlike says that an answer could not be told from the turns before it, so
	// that an example is not as the model is asked. What counts is all from
	// where on both differ.
	Unlike bool
	// Unasked is the number of assistant turns that do not count because
	// nothing stands before them, so that no prompt asks for them.
	Unasked int

	leftOut bool // further turns of the assistant do not count
}

// Example is a sequence to train on.
type Example struct {
	// Text is the rendered text, and Spans are the bytes of it, from and to, that
	// count, before anything was cut.
	Text  string
	Spans [][2]int
	// IDs are its tokens, at most MaxTokens. Count says which of them count.
	IDs   []int32
	Count []bool
	// Tokens is the number of tokens before anything was cut.
	Tokens int
	Cut    Cut
}

// Counted is the number of tokens that count.
func (e Example) Counted() int {
	n := 0
	for _, c := range e.Count {
		if c {
			n++
		}
	}
	return n
}

// Cut says what an example lost because it is longer than MaxTokens.
type Cut int

// The kinds of cuts, from harmless to severe.
const (
	// Whole examples lost nothing that counts.
	Whole Cut = iota
	// InAnswer: the end of an answer is gone.
	InAnswer
	// InPrompt: the cut is in a prompt, and all that counts behind it is gone.
	InPrompt
)
