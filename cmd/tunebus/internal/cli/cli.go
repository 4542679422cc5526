// Package cli is the command line of tunebus: the table of its verbs, and the
// way from arguments to an exit status.
//
// Results go to stdout, everything else to stderr. Verbs, flags, help texts,
// exit statuses and the JSON of results are the program's interface.
//
// Each verb is a function of one of the packages ...cmd, which hold its flags
// and its action; package view renders, package session has what verbs share.
// A new verb is such a function and a row of [verbs].
package cli

import (
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/help"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/hint"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/interrupt"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/propose"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/version"

	"github.com/tunebus/tunebus/pipeline/redaction"
)

// Process is what a command has of its process.
type Process struct {
	// Program is how the program was called: the first argument of the process.
	Program string
	In      io.Reader
	// Out gets the results, and Screen everything else.
	Out, Screen io.Writer
}

// Main runs a command and returns its exit status.
func Main(ctx context.Context, args []string, out, errout io.Writer) int {
	return MainWithInput(ctx, args, os.Stdin, out, errout)
}

// MainWithInput is [Main] with an input other than that of the process.
func MainWithInput(ctx context.Context, args []string, in io.Reader, out, errout io.Writer) int {
	return Process{Program: "tunebus", In: in, Out: out, Screen: errout}.Main(ctx, args)
}

// Main runs a command and returns its exit status.
func (p Process) Main(ctx context.Context, args []string) int {
	console := view.NewConsole(p.Out, p.Screen)
	console.Interrupted = ctx.Done()
	s := session.New(version.Current(), console)
	s.Program = hint.Program(p.Program)
	root := newRoot(s)
	if len(args) == 0 || !strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) { // a completion reads the flags several times
		help.TakeOnce(root)
	}
	current, _, _ := root.Find(args) // without an error that execution has not, too
	s.Command = strings.TrimPrefix(current.CommandPath(), root.Name()+" ")
	completer := hint.Completer{Program: s.Program, Root: root, Current: current, Where: session.WhereFlags(), Connects: help.UsesConnection, Found: s.Found}
	s.Where = completer.Flags
	complete := completer.Complete
	console.Out().Complete, console.Screen().Complete = complete, complete
	root.SetArgs(args)
	root.SetIn(p.In)
	root.SetOut(console.Out().Sentences())
	root.SetErr(console.Screen().Sentences())
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = console.Out().Err() // help writes without looking
	}
	if ctx.Err() != nil {
		err = exit.Interrupted(err, interrupt.Of(ctx))
		console.Screen().Return()
	}
	code := int(exit.CodeOf(err))
	if message := exit.Message(err); message != "" {
		console.JSON = console.JSON || asksForJSON(args)
		if view.PrintFailure(console, err, code) && console.Out().IsScreen() {
			return code // the person reads it as JSON
		}
		console.Say("tunebus: %s", view.Sentence(redaction.Addresses(message)))
	}
	return code
}

// asksForJSON reports whether the arguments, which may be none that the program
// knows, ask for JSON.
func asksForJSON(args []string) (asks bool) {
	for _, arg := range args {
		switch value, given := strings.CutPrefix(arg, "--json="); {
		case arg == "--":
			return asks
		case arg == "--json":
			asks = true
		case given:
			asks, _ = strconv.ParseBool(value) // another value is a fault of its own
		}
	}
	return asks
}

// Abandon says that the process ends without waiting for its command, and returns
// the exit status.
func (p Process) Abandon(ctx context.Context) int {
	console := view.NewConsole(io.Discard, p.Screen)
	console.Screen().Return()
	text := "tunebus: interrupted twice; nothing is waited for, and what is stored stays"
	if last := interrupt.LastWordsOf(ctx); last != "" {
		text += "; " + last
	}
	console.Say("%s", text)
	return int(exit.OfSignal(interrupt.Of(ctx)))
}

// keepOrder makes help list verbs in the order of their table.
var keepOrder = sync.OnceFunc(func() { cobra.EnableCommandSorting = false })

// newRoot assembles the root command from the table of verbs.
func newRoot(s *session.Session) *cobra.Command {
	keepOrder()
	root := &cobra.Command{
		Use: "tunebus", Short: "Fine-tune language models as an event-driven pipeline on NATS JetStream",
		Version: s.Version, SilenceErrors: true, SilenceUsage: true,
	}
	root.SetFlagErrorFunc(help.FlagError)
	s.AddFlags(root.PersistentFlags())
	for _, v := range verbs() {
		root.AddCommand(v.command(s))
	}
	help.Install(root, session.ConnectionFlags(), s.Program)
	propose.Install(root, s.Console, session.CompleteRuns(s, &session.Location{}))
	return root
}
