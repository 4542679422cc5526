package dataset

import "github.com/tunebus/tunebus/pipeline/dataset/source"

// Use is what an engine does with the rows.
type Use string

// The uses.
const (
	// Training needs answers to learn from: rows without one are left out. So does
	// the measuring of a loss.
	Training Use = "training"
	// Testing needs questions: rows without a ground truth are given, and counted.
	Testing Use = "testing"
)

// Want is what an engine wants of a data set.
type Want struct {
	Use Use
	// Shape is the value of data_format: "auto", a shape, or empty, which is auto.
	Shape Shape
	// Encoding is the value of data_encoding; empty means UTF-8.
	Encoding string
	// Columns are the columns that keys name.
	Columns Columns
	// Extra are columns for [row.Row.Fields]. They do not have to exist.
	Extra []string
	// Sees says that the engine can use images. Without it a data set with images
	// is refused.
	Sees bool
	// Prefers says that the engine has a method for chosen and rejected answers.
	// Without it the shape preference is refused.
	Prefers bool
}

// Columns are the values of the keys that name columns.
type Columns struct {
	// Question and Answer are question_column and ground_truth_column. Their
	// defaults are "question" and "answer": other values mean that the person named
	// the column.
	Question, Answer string
	// System is the system prompt of each row; empty if there is none.
	System string
	// SystemOverride is the system prompt of all rows. If it is not empty, it takes
	// the place of every other.
	SystemOverride string
	// Image has an image of each row, or a list of them; empty if there is none.
	Image string
}

// Shape is how the columns of a data set hold conversations.
type Shape string

// The shapes. In this order they are looked for, after the two columns that keys
// name.
const (
	Auto             Shape = "auto"
	Question         Shape = "question"      // the columns that the keys name
	Messages         Shape = "messages"      // OpenAI chat: messages, and tools
	Conversations    Shape = "conversations" // ShareGPT: conversations of from and value
	PromptCompletion Shape = "prompt_completion"
	Alpaca           Shape = "alpaca" // instruction, input, output, system, history
	Text             Shape = "text"   // language modelling
	Preference       Shape = "preference"
)

// Counts are the rows of a data set.
type Counts struct {
	// Read is the number of rows in the files, and Rows that of the rows that an
	// engine gets.
	Read, Rows int64
	// MissingAnswers is the number of rows that are left out of a training because
	// they have no answer.
	MissingAnswers int64
	// MissingTruths is the number of rows of a test, among Rows, that have no ground
	// truth.
	MissingTruths int64
	// Dropped is the number of rows that are left out because they have no question
	// or no text.
	Dropped int64
	// Images is the number of images in Rows.
	Images int64
}

// The splits, see [source.Source].
const (
	Train      = source.Train
	Validation = source.Validation
	Test       = source.Test
)
