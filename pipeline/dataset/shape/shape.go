package shape

import "slices"

// Shape is how the columns of a data set hold conversations or texts.
type Shape string

// The shapes. [Auto] means that the shape is recognised.
const (
	Auto             Shape = "auto"
	QuestionAnswer   Shape = "question_answer"   // the two columns that keys name
	Messages         Shape = "messages"          // OpenAI's chat
	Conversations    Shape = "conversations"     // ShareGPT
	PromptCompletion Shape = "prompt_completion" // two texts, or two lists of messages
	Alpaca           Shape = "alpaca"
	Text             Shape = "text"       // language modelling
	Preference       Shape = "preference" // chosen and rejected answers
)

// order is the order in which the shapes are tried.
var order = []Shape{QuestionAnswer, Messages, Conversations, PromptCompletion, Alpaca, Text, Preference}

// Names returns the values of data_format: auto, then the shapes in the order in
// which they are tried.
func Names() []string {
	names := []string{string(Auto)}
	for _, s := range order {
		names = append(names, string(s))
	}
	return names
}

// All returns the shapes in the order in which they are tried.
func All() []Shape { return slices.Clone(order) }

// Use is what an engine does with the rows.
type Use string

// The uses.
const (
	// Training needs answers to learn from, and so does the measuring of a loss.
	Training Use = "training"
	// Testing needs questions.
	Testing Use = "testing"
)

// Columns are the values of the keys that name columns.
type Columns struct {
	// Question and Answer are question_column and ground_truth_column. Values that
	// differ from [DefaultQuestion] and [DefaultAnswer] mean that the person named
	// the column.
	Question, Answer string
	// System is the column with the system prompt of each row; empty if there is
	// none.
	System string
	// SystemOverride is the system prompt of all rows. If it is not empty, it takes
	// the place of every other.
	SystemOverride string
	// Image is the column with an image of each row, or a list of them; empty if
	// there is none.
	Image string
}

// The defaults of question_column and ground_truth_column.
const (
	DefaultQuestion = "question"
	DefaultAnswer   = "answer"
)

// Options are what the keys of a specification say, and what its engine can do.
type Options struct {
	Use     Use
	Shape   Shape // of data_format; empty means Auto
	Columns Columns
	// Extra are columns for [row.Row.Fields]. They do not have to exist.
	Extra []string
	// Sees says that the engine can use images. Without it they are refused.
	Sees bool
	// Prefers says that the engine has a method for chosen and rejected answers.
	Prefers bool
	// Section is the section of the keys in errors, such as fine_tuner.
	Section string
}

// key is the name of a key of the section.
func (o Options) key(name string) string {
	if o.Section == "" {
		return name
	}
	return o.Section + "." + name
}

// Lack is what a record lacks.
type Lack uint8

// The lacks.
const (
	Nothing Lack = iota
	// Answer means that there is nothing to learn.
	Answer
	// Truth means that there is no ground truth to compare an answer with.
	Truth
	// Question means that there is no question, no text, or no conversation.
	Question
)
