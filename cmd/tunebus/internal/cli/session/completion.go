package session

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/knownruns"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/runlookup"
)

// completionLimit bounds how long a shell waits for proposals.
const completionLimit = 3 * time.Second

// maxCompletions is how many runs a shell proposes. Those with the greatest ids are
// proposed, because the ids that intake makes sort by time.
const maxCompletions = 50

// CompleteRuns proposes the runs of a server or a data folder to a shell: the ids
// that begin as typed or, if none does, the names of the newest runs. It proposes
// nothing where neither can be read.
func CompleteRuns(s *Session, at *Location) cobra.CompletionFunc { return CompleteRunsUpTo(s, at, 1) }

// CompleteRunsUpTo is [CompleteRuns] for a command that takes several runs.
func CompleteRunsUpTo(s *Session, at *Location, most int) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), completionLimit)
		defer cancel()
		runs, err := runsBeginning(ctx, s, *at, begun)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []cobra.Completion
		if len(runs) > 0 && strings.HasPrefix(runlookup.Last, begun) {
			out = append(out, cobra.CompletionWithDesc(runlookup.Last, "the run that was accepted last"))
		}
		named := map[string]bool{}
		for _, r := range runs {
			at := r.At.Local().Format(time.DateTime)
			if strings.HasPrefix(r.ID, begun) || strings.HasPrefix(runlookup.Last, begun) {
				out = append(out, cobra.CompletionWithDesc(r.ID, at+" "+r.Name))
			} else if !named[r.Name] { // the newest of several runs with a name
				named[r.Name] = true
				out = append(out, cobra.CompletionWithDesc(r.Name, at+" "+r.ID))
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// runsBeginning lists the runs whose ids begin with a text, the newest first. Where
// the text is a beginning of "last", it lists all runs.
func runsBeginning(ctx context.Context, s *Session, at Location, begun string) ([]runlookup.Run, error) {
	cfg, err := s.Settings()
	if err != nil {
		return nil, err
	}
	server, err := openOrFolder(ctx, s, at, cfg, s.Connect)
	if err != nil {
		return nil, err
	}
	defer func() { _ = server.close() }() // nothing was written
	stream := knownruns.Stream{Lister: runlister.New(server.Bus)}
	ids, err := stream.IDs(ctx)
	if err != nil {
		return nil, err
	}
	beginning := ids
	if !strings.HasPrefix(runlookup.Last, begun) {
		beginning = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !strings.HasPrefix(id, begun) })
	}
	byName := len(beginning) == 0
	if byName {
		beginning = ids
	}
	runs, err := stream.Describe(ctx, beginning[max(0, len(beginning)-maxCompletions):])
	if byName {
		runs = slices.DeleteFunc(runs, func(r runlookup.Run) bool { return !strings.HasPrefix(r.Name, begun) })
	}
	slices.SortFunc(runs, func(a, b runlookup.Run) int { return b.At.Compare(a.At) })
	return runs, err
}

// CompleteValues proposes the values of a flag to a shell.
func CompleteValues(c *cobra.Command, flag string, values ...cobra.Completion) {
	Complete(c, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// Complete proposes values of a flag to a shell.
func Complete(c *cobra.Command, flag string, propose cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, propose); err != nil {
		panic(err) // the command has no such flag, which is a fault of the program
	}
}
