// Package repeatcmd holds the commands that go through history again: rerun
// repeats a run, replay submits past requests again or rebuilds the tracking of
// past runs.
package repeatcmd
