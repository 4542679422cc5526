package view

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
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
	return c.ask(f, what)
}

// ask asks and reads the answer. Everything but a yes is an error.
func (c *Console) ask(in io.Reader, what string) error {
	fmt.Fprintf(c.screen, "%s? [y/N] ", what)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was done")
}

// Choose asks a person at a terminal to choose one of several words, of which the
// first is the default. Without a terminal it is chosen without asking.
func (c *Console) Choose(in io.Reader, question string, words []string) (string, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || c.terminal == nil {
		return words[0], nil
	}
	return c.choose(f, question, words)
}

// choose asks until the answer is one of the words, or the beginning of one.
func (c *Console) choose(in io.Reader, question string, words []string) (string, error) {
	lines := bufio.NewReader(in)
	for {
		fmt.Fprintf(c.screen, "%s? [%s] (%s) ", question, strings.Join(words, "/"), words[0])
		answer, err := lines.ReadString('\n')
		answer = strings.ToLower(strings.TrimSpace(answer))
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the answer: %w", err)
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
