package view

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/modelexport"
	"github.com/tunebus/tunebus/pipeline/modelcard"
)

// Exported is a folder that a model was written to.
func Exported(r modelexport.Result) Result {
	return Result{r, func(w io.Writer) {
		what := map[modelcard.Kind]string{
			modelcard.Adapter: "the adapter for " + r.Base,
			modelcard.Merged:  "the whole model: the adapter merged into " + r.Base,
			modelcard.Full:    "the whole model",
		}[r.Kind]
		fmt.Fprintf(w, "%s: %s, %s, %s; its README.md has the lines that load it\n", Inline(r.Folder), Inline(what), Count(len(r.Files), "file"), ByteSize(r.Bytes))
	}}
}

// ExportedArtifact is a folder that an artifact was written to.
func ExportedArtifact(r modelexport.ArtifactResult) Result {
	return Result{r, func(w io.Writer) {
		fmt.Fprintf(w, "%s: the artifact %s, %s, %s\n", Inline(r.Folder), Inline(r.Artifact), Count(len(r.Files), "file"), ByteSize(r.Bytes))
	}}
}

// Chat shows a conversation with one or several models.
type Chat struct {
	console *Console
	// typed is set if a person types the messages into a terminal.
	typed bool
	// named has each answer begin with the name of its model.
	named bool
}

// Chat shows a conversation whose messages come from in. named has each answer
// begin with the name of its model.
func (c *Console) Chat(in io.Reader, named bool) *Chat {
	f, ok := in.(*os.File)
	return &Chat{console: c, typed: ok && term.IsTerminal(int(f.Fd())), named: named}
}

// Prompt asks a person who types for the next message.
func (c *Chat) Prompt() {
	if c.typed {
		_, _ = io.WriteString(c.console.screen, "> ") // to a person's screen
	}
}

// Leave ends the line in which a person who types would have written a message.
func (c *Chat) Leave() {
	if c.typed {
		_, _ = io.WriteString(c.console.screen, "\n") // to a person's screen
	}
}

// Typed reports whether a person types the messages, and can write another one.
func (c *Chat) Typed() bool { return c.typed }

// Hint says something to a person who types.
func (c *Chat) Hint(text string) {
	if c.typed {
		c.console.Say("%s", text)
	}
}

// Begin begins an answer.
func (c *Chat) Begin(model string) error {
	if c.console.JSON || !c.named {
		return nil
	}
	_, err := fmt.Fprintf(c.console.out, "%s: ", model)
	return err
}

// Piece writes the next piece of an answer as soon as it is known.
func (c *Chat) Piece(text string) error {
	if c.console.JSON {
		return nil
	}
	_, err := io.WriteString(c.console.out, text)
	return err
}

// End ends an answer.
func (c *Chat) End() error {
	if c.console.JSON {
		return nil
	}
	_, err := io.WriteString(c.console.out, "\n")
	return err
}

// Exchange is a message and its answers, for scripts.
type Exchange struct {
	Message string `json:"message"`
	Answer  string `json:"answer"`
	// BaseAnswer is that of the base model, if it was asked.
	BaseAnswer *string `json:"base_answer,omitempty"`
	Tokens     int     `json:"tokens"`
	// ForgottenTurns is how many turns at the beginning of the conversation were left out,
	// since all of them were too long for the model, and Full is set if an answer ended
	// because the model was made for no more tokens.
	ForgottenTurns int  `json:"forgotten_turns,omitempty"`
	Full           bool `json:"context_full,omitempty"`
}

// Exchanged writes a message and its answers as a line of JSON. For people they
// are on the screen already.
func (c *Chat) Exchanged(e Exchange) error {
	if !c.console.JSON {
		return nil
	}
	return c.console.PrintRow(Row{value: e})
}
