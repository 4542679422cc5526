package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/gc"
)

// archived is the result of archiving, for scripts.
type archived struct {
	archive.Report
	DryRun bool `json:"dry_run"`
}

// Archived is which runs were archived, or would be.
func Archived(r archive.Report, dryRun bool) Result {
	return Result{archived{r, dryRun}, func(w io.Writer) {
		if len(r.Archived) > 0 {
			width, _ := terminal.Size(w)
			Table(w, r.Archived, "RUN\tENDED\tFACTS\tARCHIVE", func(m archive.ArchivedRun) string {
				line := fmt.Sprintf("%s\t%s\t%d\t", m.Run, m.Ended.Local().Format(time.DateTime), m.Facts)
				if width > 0 { // a terminal has no room for the digest; a pipe gets it
					return line
				}
				return line + m.Archive.Key
			})
		}
		verb := "archived"
		if dryRun {
			verb = "would be archived"
		}
		fmt.Fprintf(w, "%s %s; %d still running, %d too young\n", Count(len(r.Archived), "run"), verb, r.Open, r.Young)
		for _, l := range r.Skipped {
			fmt.Fprintf(w, "left: %s: %s\n", l.Run, l.Why)
		}
	}}
}

// collected is the result of garbage collection, for scripts.
type collected struct {
	Removed []gc.Removed `json:"objects"`
	Sum     gc.Report    `json:"summary"`
	DryRun  bool         `json:"dry_run"`
}

// RemovedObject is an object that garbage collection removes. With --json it
// is part of [Collected] alone.
func RemovedObject(o gc.Removed) Row { return Row{text: fmt.Sprintf("%s\t%d", o.Key, o.Bytes)} }

// Collected is what garbage collection removed, or would remove.
func Collected(removed []gc.Removed, sum gc.Report, dryRun bool) Result {
	return Result{collected{removed, sum, dryRun}, func(w io.Writer) {
		verb := "removed"
		if dryRun {
			verb = "would be removed"
		}
		fmt.Fprintf(w, "%s (%s), %s (%s) and %s %s; of %s, %d still running\n",
			Count(sum.Removed.Count, "object"), Count(sum.Removed.Bytes, "byte"), Count(sum.Leftovers.Count, "leftover"), Count(sum.Leftovers.Bytes, "byte"),
			Count(sum.Checkpoints, "checkpoint"), verb, Count(sum.Runs, "run"), sum.Open)
		for _, run := range sum.Unreadable {
			fmt.Fprintf(w, "everything of run %s stays: it has a fact that cannot be read; %s names it\n", run, terminal.Completed(w, `"tunebus show `+run+`"`))
		}
	}}
}

// SetUp is a server that was set up, with the queues that it has now.
func SetUp(server string, queues map[events.Phase][]string, changes []topology.Change) Result {
	value := map[string]any{"server": server, "queues": queues, "changes": changes}
	return Result{value, func(w io.Writer) {
		fmt.Fprintf(w, "%s is set up\n", server)
		for _, line := range ChangesOfSetup(changes) {
			fmt.Fprintln(w, line)
		}
	}}
}

// ChangesOfSetup says what setup has changed, what is alike on one line. Of a server that
// had nothing of tunebus it says nothing: all is new there.
func ChangesOfSetup(changes []topology.Change) (lines []string) {
	things := map[string][]string{}
	for _, c := range changes {
		line := "created"
		if !c.Created {
			key := c.Key
			if key == "num_replicas" {
				key = "copies"
			}
			line = fmt.Sprintf("%s changed from %s to %s", key, c.From, c.To)
		}
		if things[line] = append(things[line], c.What); len(things[line]) == 1 {
			lines = append(lines, line)
		}
	}
	if slices.Contains(things["created"], "stream "+events.StreamFacts) && len(lines) == 1 {
		return nil
	}
	for i, line := range lines {
		lines[i] = line + ": " + strings.Join(things[line], ", ")
	}
	return lines
}

// Finding is what a check of the server or of this machine found.
type Finding struct {
	Name  string       `json:"name"`
	State FindingState `json:"state"`
	Says  string       `json:"says"`
	// Do is what to do now.
	Do string `json:"do,omitempty"`
}

// FindingState is how well the thing that was checked works.
type FindingState string

// The states of a finding.
const (
	StateOK     FindingState = "ok"
	StateLook   FindingState = "look" // something works less well than it could
	StateBroken FindingState = "broken"
)

// line is the finding on one line.
func (f Finding) line() string {
	text := f.Says
	if f.Do != "" {
		text += "; " + f.Do
	}
	return strings.Join(strings.Fields(text), " ")
}

// Findings is a list of findings.
func Findings(found []Finding) Result {
	return Result{found, func(w io.Writer) {
		Table(w, found, "STATE\tWHAT\t", func(f Finding) string {
			return string(f.State) + "\t" + f.Name + "\t" + terminal.Completed(w, f.line())
		})
	}}
}
