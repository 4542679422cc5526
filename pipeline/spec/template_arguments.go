package spec

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/tunebus/tunebus/events"
)

const (
	maxTemplateArguments     = 50
	maxTemplateArgumentBytes = 4 << 10
)

// variableName is a name that a template can read.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// engineVariables are the variables of a chat template that the engines set.
func engineVariables() []string {
	return []string{"messages", "tools", "add_generation_prompt", "continue_final_message", "bos_token", "eos_token", "pad_token", "unk_token"}
}

// templateArguments checks variables for a chat template.
func (c *checker) templateArguments(key string, a events.Arguments) {
	if len(a) == 0 {
		return
	}
	entries := a.Entries()
	c.require(len(entries) <= maxTemplateArguments, key, fmt.Sprintf("%s entries", events.Count(len(entries))), "too many",
		fmt.Sprintf("up to %d", maxTemplateArguments))
	c.require(len(a) <= maxTemplateArgumentBytes, key, fmt.Sprintf("%s bytes as JSON", events.Count(len(a))), "too large",
		fmt.Sprintf("up to %s", events.Count(maxTemplateArgumentBytes)))
	if len(entries) > maxTemplateArguments {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		entry := key + "." + events.Cut(name, events.MaxNameBytes)
		c.require(variableName.MatchString(name), entry, "", "is not the name of a variable", "letters, digits and _, no digit first")
		c.require(!slices.Contains(engineVariables(), name), entry, "", "is a variable that the engine sets from the data and the model")
	}
}
