package modelcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

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
		case errors.Is(next.err, errNotText) && t.view.Typed() && !t.console.JSON:
			t.console.Say("%v", next.err)
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
		for number := 1; lines.Scan(); number++ {
			if !send(message(lines.Text(), number)) {
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

// errNotText means that a message is no text, of which a model would read other characters.
var errNotText = errors.New("is not encoded as UTF-8")

// message is a line of the input, by its number from 1.
func message(text string, number int) line {
	for at := range text {
		if r, size := utf8.DecodeRuneInString(text[at:]); r == utf8.RuneError && size == 1 {
			return line{err: exit.Input(fmt.Errorf("line %d of the input %w, at its byte %d", number, errNotText, at+1))}
		}
	}
	return line{text: text}
}

// exchange has all models answer a message.
func (t *talk) exchange(ctx context.Context, text string) error {
	e := view.Exchange{Message: text}
	for _, p := range t.partners {
		answer, err := t.ask(ctx, p, text)
		if errors.Is(err, conversation.ErrTooLong) {
			if !t.view.Typed() || t.console.JSON { // a program wants an answer to each message
				return exit.Input(err)
			}
			t.console.Say("%v; write a shorter one", err)
			return nil
		}
		if err != nil {
			return err
		}
		if answer.Forgotten > 0 {
			t.console.Say("the conversation %s: the %s model did not see the first %s; /reset begins a new one", answer.Excess, p.Name, view.Count(answer.Forgotten, "turn"))
		}
		if answer.Full {
			t.console.Say("the answer of the %s model ends in the middle, after %s: with the conversation it fills the %d tokens that the model was made for (max_position_embeddings in its config.json); /reset begins a new conversation",
				p.Name, view.Count(answer.Tokens, "token"), answer.Positions)
		}
		e.ForgottenTurns, e.Full = max(e.ForgottenTurns, answer.Forgotten), e.Full || answer.Full
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
