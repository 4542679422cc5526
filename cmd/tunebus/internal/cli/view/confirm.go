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
