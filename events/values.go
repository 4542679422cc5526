package events

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Modules is a list of module names. In JSON and in files it is a list or a text:
// "all-linear", or names separated by commas.
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

// Switch is a boolean that may also be the name of a variant, such as "unsloth". The
// text is "true", "false" or the name.
type Switch string

// UnmarshalJSON reads a boolean or a text.
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

// MarshalJSON writes "true" and "false" as booleans.
func (s Switch) MarshalJSON() ([]byte, error) {
	if s == "true" || s == "false" {
		return []byte(s), nil
	}
	return json.Marshal(string(s))
}

// On reports whether the switch is on, in any variant.
func (s Switch) On() bool { return s != "" && s != "false" }
