package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// confirm asks a person at a terminal whether to do what cannot be undone.
// Without a terminal nobody could answer, so it is refused unless it is
// forced.
func (a *app) confirm(in io.Reader, what string, force bool) error {
	if force {
		return nil
	}
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return bad(fmt.Errorf("%s? Nobody can be asked here; --force does it without asking", what))
	}
	return a.ask(f, what)
}

// ask asks and reads the answer.
func (a *app) ask(in io.Reader, what string) error {
	fmt.Fprintf(a.screen, "%s? [y/N] ", what)
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
