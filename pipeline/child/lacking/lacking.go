// Package lacking recognises a Python that does not have the package of the trainers for
// TRL and Unsloth, by what it says. Such a command fails in every attempt.
package lacking

import "strings"

// Package returns what lacks, and what to do, where the last lines of a command say that
// its Python does not have the package; empty: they do not.
func Package(lines string) string {
	for _, says := range []string{"No module named tunebus_trainer", "No module named 'tunebus_trainer'"} {
		if strings.Contains(lines, says) {
			return `its Python does not have the package tunebus_trainer; "tunebus engine install" makes an environment that has it, and "pip install --no-deps trainers/python", with the folder of tunebus's sources, adds it to one of yours`
		}
	}
	return ""
}
