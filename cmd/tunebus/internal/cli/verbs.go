package cli

import (
	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/configcmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/datacmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/dlqcmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/enginecmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/help"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/logcmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/modelcmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/opscmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/repeatcmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runcmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/servecmd"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/showcmd"
)

// verb is a verb of the command line, with the verbs below it.
type verb struct {
	group help.Group // of a verb that is below no other one
	new   func(*session.Session) *cobra.Command
	// local is true for a verb that never connects to a server.
	local bool
	below []verb
}

// verbs is the table of all verbs.
func verbs() []verb {
	return []verb{
		{group: help.Run, new: runcmd.Run, local: true},
		{group: help.Run, new: runcmd.Up, local: true},
		{group: help.Run, new: runcmd.Submit},
		{group: help.Look, new: runcmd.Watch},
		{group: help.Run, new: runcmd.Cancel},
		{group: help.Look, new: showcmd.Runs},
		{group: help.Look, new: showcmd.Show},
		{group: help.Look, new: showcmd.Compare},
		{group: help.Look, new: logcmd.Logs},
		{group: help.Repeat, new: modelcmd.Export},
		{group: help.Repeat, new: modelcmd.Chat},
		{group: help.Repeat, new: servecmd.Serve},
		{group: help.Repeat, new: repeatcmd.Rerun},
		{group: help.Repeat, new: repeatcmd.Replay, below: []verb{
			{new: repeatcmd.ReplayRequests},
			{new: repeatcmd.ReplayTracking},
			{new: repeatcmd.ReplayPublishing},
		}},
		{group: help.Operate, new: dlqcmd.DLQ, below: []verb{
			{new: dlqcmd.List},
			{new: dlqcmd.Show},
			{new: dlqcmd.Retry},
			{new: dlqcmd.Discard},
		}},
		{group: help.Operate, new: opscmd.Setup},
		{group: help.Operate, new: opscmd.Doctor},
		{group: help.Operate, new: opscmd.Delete},
		{group: help.Operate, new: opscmd.Archive},
		{group: help.Operate, new: opscmd.GC},
		{group: help.Configure, new: datacmd.Data, local: true, below: []verb{
			{new: datacmd.Preview},
		}},
		{group: help.Configure, new: configcmd.Config, local: true, below: []verb{
			{new: configcmd.Check},
			{new: configcmd.Doc},
			{new: configcmd.Init},
		}},
		{group: help.Configure, new: enginecmd.Engine, local: true, below: []verb{
			{new: enginecmd.Check},
			{new: enginecmd.Describe},
			{new: enginecmd.Install},
			{new: enginecmd.List},
		}},
	}
}

// command makes the command of a verb, with those below it.
func (v verb) command(s *session.Session) *cobra.Command {
	c := v.new(s)
	c.GroupID = string(v.group)
	if v.group != "" && !v.local {
		help.Connects(c)
	}
	for _, b := range v.below {
		c.AddCommand(b.command(s))
	}
	return c
}
