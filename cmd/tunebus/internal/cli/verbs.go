package cli

import (
	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/configcmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/dlqcmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/modelcmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/opscmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/repeatcmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runcmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/showcmd"
)

// verb is a verb of the command line, with the verbs below it.
type verb struct {
	new   func(*session.Session) *cobra.Command
	below []verb
}

// verbs is the table of all verbs.
func verbs() []verb {
	return []verb{
		{new: runcmd.Run},
		{new: runcmd.Up},
		{new: runcmd.Submit},
		{new: runcmd.Watch},
		{new: runcmd.Cancel},
		{new: showcmd.Runs},
		{new: showcmd.Show},
		{new: modelcmd.Export},
		{new: modelcmd.Chat},
		{new: repeatcmd.Rerun},
		{new: repeatcmd.Replay, below: []verb{
			{new: repeatcmd.ReplayRequests},
			{new: repeatcmd.ReplayTracking},
		}},
		{new: dlqcmd.DLQ, below: []verb{
			{new: dlqcmd.List},
			{new: dlqcmd.Show},
			{new: dlqcmd.Retry},
			{new: dlqcmd.Discard},
		}},
		{new: opscmd.Setup},
		{new: opscmd.Doctor},
		{new: opscmd.Archive},
		{new: opscmd.GC},
		{new: configcmd.Config, below: []verb{
			{new: configcmd.Check},
			{new: configcmd.Doc},
			{new: configcmd.Init},
		}},
	}
}

// command makes the command of a verb, with those below it.
func (v verb) command(s *session.Session) *cobra.Command {
	c := v.new(s)
	for _, b := range v.below {
		c.AddCommand(b.command(s))
	}
	return c
}
