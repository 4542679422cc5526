package modelcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/conversation"
)

// talk is a conversation, a message a line.
type talk struct {
	partners []*conversation.Partner // the tuned model is the last one
	view     *view.Chat
	console  *view.Console
	presses  <-chan os.Signal // of Ctrl-C
}

// maxMessage bounds a line of the input.
const maxMessage = 1 << 20

// line is a line of the input, or why there is none.
type line struct {
	text string
	err  error // io.EOF at the end
}

// run talks until the input ends, or a person says so.
func (t *talk) run(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := readLines(ctx, in)
	t.view.Hint("/reset begins a new conversation, /exit ends it, Ctrl-C ends an answer")
	for {
		t.view.Prompt()
		var next line
		select {
		case <-t.presses:
			t.view.Leave()
			return exit.Silent(exit.CodeInterrupted)
		case <-ctx.Done():
			t.view.Leave()
			return context.Cause(ctx)
		case next = <-lines:
		}
		switch text := strings.TrimSpace(next.text); {
		case errors.Is(next.err, io.EOF):
			return nil
		case next.err != nil:
			return next.err
		case text == "":
		case text == "/exit", text == "/bye", text == "/quit":
			return nil
		case text == "/reset":
			for _, p := range t.partners {
				p.Reset()
			}
			t.console.Say("a new conversation begins")
		case text == "/help":
			t.console.Say("/reset begins a new conversation, /exit ends it")
		default:
			if err := t.exchange(ctx, text); err != nil {
				return err
			}
		}
	}
}

// readLines reads lines one by one. Its goroutine ends with the input or the
// context; while it waits for a terminal, only the end of the process ends it.
func readLines(ctx context.Context, in io.Reader) <-chan line {
	out := make(chan line)
	go func() {
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, maxMessage)
		send := func(l line) bool {
			select {
			case out <- l:
				return true
			case <-ctx.Done():
				return false
			}
		}
		for lines.Scan() {
			if !send(line{text: lines.Text()}) {
				return
			}
		}
		err := lines.Err()
		switch {
		case errors.Is(err, bufio.ErrTooLong):
			err = exit.Input(fmt.Errorf("a message is longer than %d bytes", maxMessage))
		case err == nil:
			err = io.EOF
		}
		send(line{err: err})
	}()
	return out
}

// exchange has all models answer a message.
func (t *talk) exchange(ctx context.Context, text string) error {
	e := view.Exchange{Message: text}
	for _, p := range t.partners {
		answer, err := t.ask(ctx, p, text)
		if errors.Is(err, conversation.ErrTooLong) {
			if t.console.JSON { // a program reads an exchange for each message
				return exit.Input(err)
			}
			t.console.Say("%v", err)
			return nil
		}
		if err != nil {
			return err
		}
		if answer.Forgotten > 0 {
			t.console.Say("the conversation is longer than inferencer.max_sequence_length: %s did not see the first %s", p.Name, view.Count(answer.Forgotten, "turn"))
		}
		if p != t.partners[len(t.partners)-1] {
			e.BaseAnswer = &answer.Text
			continue
		}
		e.Answer, e.Tokens = answer.Text, answer.Tokens
	}
	return t.view.Exchanged(e)
}

// ask has one model answer; Ctrl-C ends the answer.
func (t *talk) ask(ctx context.Context, p *conversation.Partner, text string) (conversation.Answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-t.presses:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer func() {
		cancel()
		<-watched
	}()
	if err := t.view.Begin(p.Name); err != nil {
		return conversation.Answer{}, err
	}
	answer, err := p.Ask(ctx, text, t.view.Piece)
	return answer, errors.Join(err, t.view.End())
}
