package events

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Modules is a list of module names. In JSON and in files it is a list, or
// one text: "all-linear", or names separated by commas.
type Modules []string

// UnmarshalJSON reads a list or a text.
func (m *Modules) UnmarshalJSON(b []byte) error {
	var list []string
	if json.Unmarshal(b, &list) == nil {
		*m = list
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("want a list of names, or \"all-linear\"")
	}
	*m = nil
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			*m = append(*m, name)
		}
	}
	return nil
}

// Switch is a truth value that may also be the name of a variant, such as
// "unsloth". It is kept as text: "true", "false" or the name.
type Switch string

// UnmarshalJSON reads a truth value or a text.
func (s *Switch) UnmarshalJSON(b []byte) error {
	var on bool
	if json.Unmarshal(b, &on) == nil {
		*s = Switch(fmt.Sprint(on))
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("want true, false or a name")
	}
	*s = Switch(text)
	return nil
}

// MarshalJSON writes a truth value as one.
func (s Switch) MarshalJSON() ([]byte, error) {
	if s == "true" || s == "false" {
		return []byte(s), nil
	}
	return json.Marshal(string(s))
}

// On reports whether the switch is on, in whatever variant.
func (s Switch) On() bool { return s != "" && s != "false" }
