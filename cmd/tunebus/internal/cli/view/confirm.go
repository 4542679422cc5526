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
)

// Confirm asks a person at a terminal before a command does what cannot be
// undone. Without a terminal there is no one to answer, so the command is
// refused unless it is forced.
func (c *Console) Confirm(in io.Reader, what string, force bool) error {
	if force {
		return nil
	}
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return exit.Input(fmt.Errorf("%s? Nobody can be asked here; --force does it without asking", what))
	}
	return c.ask(f, what)
}

// ask asks and reads the answer. Everything but a yes is an error.
func (c *Console) ask(in io.Reader, what string) error {
	answers, done := c.answers(in)
	defer done()
	answer, err := c.question(answers, what+"? [y/N] ")
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch answer {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was done")
}

// Choose asks a person at a terminal to choose one of several words, of which the
// first is the default. Without a terminal it is chosen without asking.
func (c *Console) Choose(in io.Reader, question string, words []string) (string, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || !c.screen.IsScreen() {
		return words[0], nil
	}
	return c.choose(f, question, words)
}

// choose asks until the answer is one of the words, or the beginning of one.
func (c *Console) choose(in io.Reader, question string, words []string) (string, error) {
	answers, done := c.answers(in)
	defer done()
	for {
		answer, err := c.question(answers, fmt.Sprintf("%s? [%s] (%s) ", question, strings.Join(words, "/"), words[0]))
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if answer == "" {
			return words[0], nil
		}
		for _, w := range words {
			if strings.HasPrefix(w, answer) {
				return w, nil
			}
		}
		if err != nil { // there is no further line
			return words[0], nil
		}
	}
}

// question writes a question and reads the answer to it, in small letters. At the
// end of the input the error is [io.EOF], beside what was read.
func (c *Console) question(answers *bufio.Reader, question string) (string, error) {
	fmt.Fprint(c.screen, question)
	answer, err := answers.ReadString('\n')
	switch {
	case errors.Is(err, cancelreader.ErrCanceled):
		err = &exit.Error{Code: exit.CodeInterrupted, Err: errors.New("interrupted; nothing was done")}
	case err != nil && !errors.Is(err, io.EOF):
		err = fmt.Errorf("read the answer: %w", err)
	}
	if err != nil && c.screen.IsScreen() {
		fmt.Fprintln(c.screen) // no person ended the line of the question
	}
	return strings.ToLower(strings.TrimSpace(answer)), err
}

// answers reads lines until the command is interrupted. The caller calls done
// behind the last one.
func (c *Console) answers(in io.Reader) (lines *bufio.Reader, done func()) {
	cancellable, err := cancelreader.NewReader(in)
	if err != nil || c.Interrupted == nil { // whoever interrupts waits for the next line
		return bufio.NewReader(in), func() {}
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
	return bufio.NewReader(cancellable), func() {
		close(ended)
		<-watched
		_ = cancellable.Close() // nothing was written
	}
}
