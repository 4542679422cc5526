package view

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Console is where a command writes.
type Console struct {
	// JSON makes results JSON.
	JSON bool
	// Follows is set before the services start by a command that shows the progress of
	// the runs that they work on.
	Follows bool
	// Interrupted is closed when a person interrupts the command; nil: nobody can.
	Interrupted <-chan struct{}

	out, screen *terminal.Writer
	// said are notes and warnings. An engine has them in its result, too.
	said sentences
	// errors are the messages of errors of the run that were said.
	errors saidErrors
	// byIntake are the phases of the run that intake ended in the place of a worker.
	byIntake endedByIntake
	// printed is set when a whole result was printed as JSON.
	printed bool
}

// NewConsole returns a console that writes results to out and everything else
// to errout.
func NewConsole(out, errout io.Writer) *Console {
	return &Console{out: terminal.NewWriter(out), screen: terminal.NewWriter(errout), errors: saidErrors{}, byIntake: endedByIntake{}}
}

// Out is what help is written to. Results are printed with [Console.Print].
func (c *Console) Out() *terminal.Writer { return c.out }

// Screen is what a log is written to, and where bars are shown. Each write has to be
// whole lines.
func (c *Console) Screen() *terminal.Writer { return c.screen }

// Sentence is a text that the program itself made, as an argument of [Console.Say].
type Sentence string

// Say writes a line to the screen. The commands that it names are completed where the
// format, an error or a [Sentence] names them. Other arguments are data, and stay, but for
// what is secret in an address.
func (c *Console) Say(format string, args ...any) {
	args = slices.Clone(args)
	for i, arg := range args {
		switch arg := arg.(type) {
		case Sentence:
			args[i] = terminal.Completed(c.screen, string(arg))
		case error:
			args[i] = terminal.Completed(c.screen, arg.Error())
		}
	}
	text := fmt.Sprintf(terminal.Completed(c.screen, format), args...)
	fmt.Fprintln(c.screen, redaction.Addresses(text))
}

// Notes writes notes about a specification to the screen. A fact of the run does not
// repeat them.
func (c *Console) Notes(notes structconf.Faults) {
	for _, n := range notes {
		c.Say("note: %s", Sentence(n.String()))
		n.File = ""
		c.said.isNew(n.String())
		if n.Value == "" { // the phase that uses what the key names says it without the key
			c.said.isNew(n.Message)
		}
	}
}

// Warnings writes warnings about the data of a specification to the screen.
func (c *Console) Warnings(warnings []string) {
	for _, w := range c.Unsaid(warnings...) {
		c.Say("warning: %s", Sentence(w))
	}
}

// Result is what a command prints at its end.
type Result struct {
	value any
	text  func(io.Writer)
}

// NewResult returns a result: its value is printed as JSON, and text writes it for
// people.
func NewResult(value any, text func(io.Writer)) Result { return Result{value, text} }

// Print writes a result: as text for people, or as JSON.
func (c *Console) Print(r Result) error {
	if !c.JSON {
		r.text(c.out)
		return c.out.Err()
	}
	c.printed = true
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	return enc.Encode(r.value)
}

// Stream writes a result that is too long to be held, piece by piece: for people, or
// as JSON.
func (c *Console) Stream(write func(w io.Writer, asJSON bool) error) error {
	if c.JSON {
		return write(c.out, true)
	}
	return write(c.out, false)
}

// Row is one of many results. It is printed as soon as it is known.
type Row struct {
	// value is nil where the JSON of the whole result has the row.
	value any
	text  string
}

// NewRow is a row for packages below this one.
func NewRow(value any, text string) Row { return Row{value, text} }

// PrintRow writes a row: as text for people, or as JSON on a line of its own.
func (c *Console) PrintRow(r Row) error {
	if !c.JSON {
		_, err := fmt.Fprintln(c.out, strings.TrimRight(r.text, " "))
		return err
	}
	if r.value == nil {
		return nil
	}
	return json.NewEncoder(c.out).Encode(r.value)
}
