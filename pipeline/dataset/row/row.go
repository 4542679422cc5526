package row

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// Row is one row of a data set. It is a conversation if it has messages, and else a
// plain text.
type Row struct {
	Place Place
	// Messages is the conversation: at most one system prompt, then turns. It ends
	// with the answer, if the row has one.
	Messages []Message
	// Prompted is the number of messages at the beginning that are a prompt as a
	// whole: assistant turns in it do not count in the loss. It is 0 except in the
	// shapes prompt and completion, and preference.
	Prompted int
	// Tools is the list of the tools that the conversation may call; missing if
	// there are none.
	Tools value.Value
	// Text is the whole row if it is a plain text.
	Text string
	// Truths are the right answers, of which the best counts: those of a column,
	// or else the text of the last assistant turn. None means that the row has no
	// ground truth. An empty text is a ground truth.
	Truths []string
	// Images are the images of the messages, in the order of the parts of type
	// image.
	Images []Image
	// Rejected is the conversation with the worse answer in the shape preference, whose
	// Messages have the better one. The first Prompted messages of both are equal.
	Rejected []Message
	// Fields are the values of the extra columns that the row has; nil if none.
	Fields map[string]string
}

// Place says which row of a data set it is. A row is known by its position and its
// digest.
type Place struct {
	// File is the file as the person knows it.
	File string
	// Line is the first line of the row in a text file, or the row of a sheet or
	// of a Parquet file; it counts from 1.
	Line int
	// Unit is what Line counts: "line" or "row".
	Unit string
	// Position is the number of rows before this one, in all files, with the rows
	// that are left out.
	Position int64
}

// String is the place as errors and notes name it.
func (p Place) String() string { return fmt.Sprintf("%s, %s %d", p.File, p.Unit, p.Line) }

// IsText reports whether the row is a plain text.
func (r Row) IsText() bool { return len(r.Messages) == 0 }

// Prompt returns the messages that a model answers: all before the last assistant
// turn, if the conversation ends with one, and else all.
func (r Row) Prompt() []Message {
	if n := len(r.Messages); n > 0 && r.Messages[n-1].Role() == Assistant {
		return r.Messages[:n-1]
	}
	return r.Messages
}

// Question returns the text of the last user turn of the prompt, or the plain text.
func (r Row) Question() string {
	prompt := r.Prompt()
	for i := len(prompt) - 1; i >= 0; i-- {
		if prompt[i].Role() == User {
			text, _ := prompt[i].Text()
			return text
		}
	}
	return r.Text
}

// ToolNames are the names of the tools that the row has, and of the functions that
// its turns call.
func (r Row) ToolNames() (names []string) {
	for _, tool := range r.Tools.Items() {
		if f, nested := tool.Get("function"); nested {
			tool = f
		}
		name, _ := tool.Get("name")
		if text, err := name.Text(); err == nil && text != "" {
			names = append(names, text)
		}
	}
	for _, m := range r.Messages {
		names = append(names, m.Called()...)
	}
	return names
}

// System returns the system prompt; empty if there is none.
func (r Row) System() string {
	if len(r.Messages) > 0 && r.Messages[0].IsSystem() {
		text, _ := r.Messages[0].Text()
		return text
	}
	return ""
}

// Digest identifies the content of the row, in hexadecimal: the SHA-256 of its
// messages, tools, text, ground truths, images and rejected messages. It does not depend on the file
// format or on the place.
func (r Row) Digest() string {
	images := make([]string, len(r.Images))
	for i, image := range r.Images {
		images[i] = image.Digest
	}
	content, _ := json.Marshal(struct { // texts and values always have a JSON form
		Messages []Message
		Tools    json.RawMessage
		Text     string
		Truths   []string
		Images   []string
		Rejected []Message `json:",omitempty"`
	}{r.Messages, r.Tools.AppendJSON(nil), r.Text, r.Truths, images, r.Rejected})
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// WithSystem returns the messages with a system prompt in front, or in the place of
// the one that is there.
func WithSystem(messages []Message, text string) []Message {
	if len(messages) > 0 && messages[0].IsSystem() {
		return append([]Message{messages[0].withContent(value.OfText(text))}, messages[1:]...)
	}
	return append([]Message{NewMessage(System, text)}, messages...)
}

// Conversation returns messages as a JSON list, for a chat template.
func Conversation(messages []Message) json.RawMessage {
	b := []byte{'['}
	for i, m := range messages {
		if i > 0 {
			b = append(b, ',')
		}
		b = m.object.AppendJSON(b)
	}
	return append(b, ']')
}
