package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

func (a *app) configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check, start or look up a specification"}
	var q asked
	check := &cobra.Command{
		Use: "check [FILE...]", Short: "Report every fault of a specification and of settings",
		RunE: func(c *cobra.Command, args []string) error {
			q.files = append(q.files, args...)
			s, faults, err := q.read(c)
			if err != nil {
				return err
			}
			// The files alone: what this machine's environment says is no matter.
			_, err = settings.Load(append(a.settingsFiles[:len(a.settingsFiles):len(a.settingsFiles)], q.files...), nil)
			var more structconf.Faults
			if err != nil && !errors.As(err, &more) {
				return bad(err)
			}
			for _, f := range more {
				if !slices.Contains(faults, f) { // one of a section that nobody knows
					faults = append(faults, f)
				}
			}
			faults.Sort()
			if err := faulty(faults); err != nil {
				return err
			}
			return a.result(s, func(w io.Writer) { fmt.Fprintf(w, "no faults; %d phases\n", len(spec.Plan(s))) })
		},
	}
	q.flags(check)
	doc := &cobra.Command{
		Use: "doc [specification|settings]", Short: "Print every key with its default and its meaning",
		ValidArgs: []string{"specification", "settings"}, Args: cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		RunE: func(_ *cobra.Command, args []string) error {
			var sections any = events.Specification{}
			if len(args) == 1 && args[0] == "settings" {
				sections = settings.Settings{}
			}
			if a.json {
				return a.result(structconf.Keys(sections), nil)
			}
			return structconf.Reference(a.out, sections)
		},
	}
	init := &cobra.Command{
		Use: "init FILE", Short: "Write a specification with every key to start from", Args: exactlyOne("FILE"),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if err != nil {
				return bad(fmt.Errorf("config init: %w", err))
			}
			if err := structconf.Reference(f, events.Specification{}); err != nil {
				_ = f.Close()
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
			return a.result(map[string]string{"file": args[0]}, func(w io.Writer) {
				fmt.Fprintf(w, "%s has every key with its default; \"tunebus config check %s\" reports what is missing\n", args[0], args[0])
			})
		},
	}
	c.AddCommand(check, doc, init)
	return c
}
