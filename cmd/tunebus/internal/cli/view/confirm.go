package view

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/muesli/cancelreader"
	"golang.org/x/term"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
)

// Confirm asks a person at a terminal before a command does what cannot be
// undone. Without a terminal there is no one to answer, so the command is
// refused unless it is forced, with the flag.
func (c *Console) Confirm(in io.Reader, what, flag string, force bool) error {
	if force {
		return nil
	}
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return exit.Input(fmt.Errorf("%s? Nobody can be asked here; %s does it without asking", what, flag))
	}
	p := newPerson(c, f)
	defer p.leave()
	return p.confirm(what)
}

// confirm asks and reads the answer. Everything but a yes is an error; after a no it
// has the status of success and no message.
func (p *person) confirm(what string) error {
	answer, err := p.ask(what + "? [y/N] ")
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch answer {
	case "y", "yes":
		return nil
	}
	_, _ = io.WriteString(p.screen, "nothing was done\n") // to a person's screen
	return exit.Silent(exit.CodeOK)                       // it is what the person chose
}

// Choose asks a person at a terminal to choose one of several words, of which the
// first is the default. Without a terminal it is chosen without asking.
func (c *Console) Choose(in io.Reader, question string, words []string) (string, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || !terminal.IsSeen(c.screen) {
		return words[0], nil
	}
	p := newPerson(c, f)
	defer p.leave()
	return p.choose(question, words)
}

// choose asks until the answer is one of the words, or the beginning of one.
func (p *person) choose(question string, words []string) (string, error) {
	for {
		answer, err := p.ask(fmt.Sprintf("%s?\n[%s] (%s) ", question, strings.Join(words, "/"), words[0]))
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if answer == "" && err == nil {
			return words[0], nil
		}
		for _, w := range words {
			if answer != "" && strings.HasPrefix(w, answer) {
				return w, nil
			}
		}
		if err != nil { // Ctrl-D is no answer, and there is no further line
			return "", exit.Input(fmt.Errorf("no answer, so nothing was done; want one of %s, also by a flag", strings.Join(words, ", ")))
		}
	}
}

// person answers questions until the command is interrupted.
type person struct {
	screen *terminal.Writer
	lines  *bufio.Reader
	leave  func()
}

// newPerson reads the answers of a person. The caller calls leave behind the last
// one.
func newPerson(c *Console, in io.Reader) *person {
	p := &person{screen: c.screen, lines: bufio.NewReader(in), leave: func() {}}
	cancellable, err := cancelreader.NewReader(in)
	if err != nil || c.Interrupted == nil { // whoever interrupts waits for the next line
		return p
	}
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-c.Interrupted:
			cancellable.Cancel()
		case <-ended:
		}
	}()
	p.lines = bufio.NewReader(cancellable)
	p.leave = func() {
		close(ended)
		<-watched
		_ = cancellable.Close() // nothing was written
	}
	return p
}

// ask writes a question and reads the answer to it, in small letters. At the end of
// the input the error is [io.EOF], beside what was read.
func (p *person) ask(question string) (string, error) {
	_, _ = io.WriteString(p.screen, question) // to a person's screen
	answer, err := p.lines.ReadString('\n')
	switch {
	case errors.Is(err, cancelreader.ErrCanceled):
		err = &exit.Error{Code: exit.CodeInterrupted, Err: errors.New("interrupted; nothing was done")}
	case err != nil && !errors.Is(err, io.EOF):
		err = fmt.Errorf("read the answer: %w", err)
	}
	if err != nil && p.screen.IsScreen() {
		_, _ = io.WriteString(p.screen, "\n") // no person ended the line of the question
	}
	return strings.ToLower(strings.TrimSpace(answer)), err
}
