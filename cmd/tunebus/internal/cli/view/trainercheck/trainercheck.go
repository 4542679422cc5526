// Package trainercheck renders what a trainer says of itself, and what a check of it
// found.
package trainercheck

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/child/conformance"
)

// Description is what a trainer says of itself.
func Description(d child.Description) view.Result {
	return view.NewResult(d, func(w io.Writer) {
		line := func(what, text string) {
			if text != "" {
				fmt.Fprintf(w, "%-13s %s\n", what, view.Printable(text))
			}
		}
		line("trainer", strings.TrimSpace(d.Name+" "+d.Version))
		line("protocol", fmt.Sprint(d.Protocol))
		line("reads", d.Rows)
		var versions []string
		for _, name := range slices.Sorted(maps.Keys(d.Versions)) {
			versions = append(versions, name+" "+d.Versions[name])
		}
		line("versions", strings.Join(versions, ", "))
		line("devices", strings.Join(d.Devices, ", "))
		line("methods", strings.Join(d.Methods, ", "))
		line("quantisation", strings.Join(d.Quantisation, ", "))
		line("optimizers", strings.Join(d.Optimizers, ", "))
		line("schedulers", strings.Join(d.Schedulers, ", "))
		line("keys", strings.Join(d.Keys, ", "))
	})
}

// Finding writes what a check found to the screen, as soon as it is there.
func Finding(c *view.Console, f conformance.Finding) {
	state := "ok"
	switch {
	case f.Untried:
		state = "OPEN"
	case !f.OK:
		state = "FAULT"
	}
	c.Say("%-6s %-14s %s", state, f.Name, strings.ReplaceAll(view.Printable(f.Text), "\n", "\n"+strings.Repeat(" ", 22)))
}

// Checked is the result of a check.
func Checked(found []conformance.Finding) view.Result {
	return view.NewResult(found, func(w io.Writer) {
		faults, untried := 0, 0
		for _, f := range found {
			switch {
			case f.Untried:
				untried++
			case !f.OK:
				faults++
			}
		}
		open := ""
		if untried > 0 {
			open = fmt.Sprintf("; %d could not be tried", untried)
		}
		switch {
		case faults > 0:
			fmt.Fprintf(w, "the command does not keep to the protocol: %d of %d checks found a fault%s\n", faults, len(found), open)
		case untried > 0:
			fmt.Fprintf(w, "no check found a fault; %d of %d could not be tried, so it is open whether the command keeps to the protocol\n", untried, len(found))
		default:
			fmt.Fprintf(w, "the command keeps to the protocol: %d checks\n", len(found))
		}
	})
}
