package showcmd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/spec"
)

const (
	// completionLimit bounds how long a shell waits for proposals.
	completionLimit = 3 * time.Second
	// runsForLabels is how many runs are read for the labels that a shell proposes, the newest.
	runsForLabels = 500
)

// completeLabels proposes the labels of the newest runs to a shell: KEY=, and then KEY=VALUE.
// It proposes nothing where no run can be read.
func completeLabels(s *session.Session, at *session.Location) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(c.Context(), completionLimit)
		defer cancel()
		c.SetContext(ctx)
		labels := map[string]int{} // with how many runs have each
		_, _, wantsValue := strings.Cut(begun, "=")
		err := session.WithReading(s, at, func(ctx context.Context, server *session.Deployment, _ []string) error {
			index := runindex.New(server.Bus)
			state, err := index.State(ctx)
			if err != nil {
				return err
			}
			read := 0
			for line, err := range index.Newest(ctx, state) {
				if read++; err != nil || read > runsForLabels {
					return err
				}
				for key, value := range line.Labels {
					label := key + "="
					if wantsValue {
						label += value
					}
					labels[label]++
				}
			}
			return nil
		})(c, nil)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []cobra.Completion
		for _, label := range slices.Sorted(maps.Keys(labels)) {
			if strings.HasPrefix(label, begun) && view.Printable(label) == label { // another one cannot be typed
				about := "1 run"
				if n := labels[label]; n > 1 {
					about = fmt.Sprintf("%d runs", n)
				}
				out = append(out, cobra.CompletionWithDesc(label, about))
			}
		}
		if !wantsValue {
			return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// scores are the names of all scores that rows may have.
func scores() []cobra.Completion {
	var out []cobra.Completion
	for _, metric := range spec.Metrics() {
		for _, score := range spec.Scores(metric) {
			if !slices.Contains(out, score) {
				out = append(out, score)
			}
		}
	}
	return out
}
