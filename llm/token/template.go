package token

import (
	"encoding/json"
	"fmt"

	"github.com/tunebus/tunebus/llm/token/chattemplate"
)

// ErrNoTemplate says that a checkpoint has no chat template.
var ErrNoTemplate = chattemplate.ErrNone

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"` // "system", "user" or "assistant"
	Content string `json:"content"`
}

// Render writes a conversation as the model was taught to read it, by its
// chat template, with what comes before an answer at the end if
// addGenerationPrompt says so. Without a template the error is ErrNoTemplate.
func (t *Tokenizer) Render(messages []Message, addGenerationPrompt bool) (string, error) {
	turns, err := json.Marshal(messages)
	if err != nil {
		return "", fmt.Errorf("render conversation: %w", err)
	}
	r, err := t.RenderConversation(chattemplate.Conversation{Messages: json.RawMessage(turns), AddGenerationPrompt: addGenerationPrompt})
	return r.Text, err
}

// RenderConversation is Render for conversations of any kind: with tools,
// contents of several parts, or further variables.
func (t *Tokenizer) RenderConversation(c chattemplate.Conversation) (chattemplate.Rendering, error) {
	r, err := t.chat.Render(c)
	if err != nil {
		return r, fmt.Errorf("render conversation with the chat template of %s: %w", t.dir, err)
	}
	return r, nil
}

// Templates are the chat templates of the checkpoint, which may be none.
func (t *Tokenizer) Templates() *chattemplate.Templates { return t.chat }
