// Package joblog publishes what an attempt at a phase logs, so that a person reads it
// on any machine, and also when the worker's own log is gone. What the attempt's
// logger writes is a line of it, as well as a line of the worker's log.
//
//	l := joblog.Start(joblog.Config{RunID: run, Phase: phase, Attempt: 1, Publisher: journal})
//	defer l.Close()
//	work(ctx, l.Logger(base))
//	l.Write(joblog.Stdout, "a line of a child process")
//
// Logging never blocks and never fails: lines wait in a bounded buffer, are sent in
// batches a few times a second without an answer, and those for which there is no
// room are counted. A reader sees their numbers missing. Lines hold no secrets: the
// values of the process's secret variables and passwords in addresses are replaced.
//
// That an attempt started or ended is no line: its facts say so, and readers show
// them between the lines. So a job that has nothing to say costs no message.
package joblog
