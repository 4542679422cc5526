// Package runsummary is the outcome of a run and the next steps, as commands show
// them: its status, scores, gates, attempts and links, and what can be done next.
//
// Everything is computed from the fold of the run's facts, so that a command,
// a page and a service say the same of a run. Nothing is read or written,
// except that [Summary.AddReports] looks for files in the folder of the
// reports. A run of which facts are missing has a summary, too; its fields
// stay empty.
//
//	run, err := history.New(conn).Run(ctx, id)
//	...
//	s := runsummary.Of(run)
//	if runsummary.OutcomeOf(run) == runsummary.Failed {
//		for _, step := range runsummary.NextSteps(run, s, runsummary.Retry{Command: "tunebus submit --config run.toml", Rerun: "tunebus rerun " + run.ID}) {
//			fmt.Println(step)
//		}
//	}
package runsummary
