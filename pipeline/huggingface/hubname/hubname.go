// Package hubname holds which names the Hugging Face Hub takes.
package hubname

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Max is the longest name of a repository on the Hub, without its owner.
const Max = 96

var word = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)

// CheckRepository returns an error for a text that is no owner/name of a repository
// on the Hub. Source: huggingface_hub, utils/_validators.py.
func CheckRepository(id string) error {
	owner, name, ok := strings.Cut(id, "/")
	if !ok || isNoWord(owner) || isNoWord(name) || strings.HasSuffix(name, ".git") {
		return fmt.Errorf("want owner/name, the name of 1 to %d letters, digits and -, _ or . between them, without -- and .. and not ending with .git", Max)
	}
	return nil
}

// CheckOwner returns an error for a text that is no account or organisation of the
// Hub.
func CheckOwner(owner string) error {
	if isNoWord(owner) {
		return fmt.Errorf("want the name of an account or an organisation: 1 to %d letters, digits and -, _ or . between them, without -- and without two dots", Max)
	}
	return nil
}

func isNoWord(s string) bool {
	return len(s) > Max || !word.MatchString(s) || strings.Contains(s, "--") || strings.Contains(s, "..")
}

// Fault is a name that the Hub does not take.
type Fault struct{ Key, Value, Message, Allowed string }

// Faults finds the names of a specification that the Hub does not take, so that they are
// known before anything is trained. model is a repository, or a name that the token's
// user is to own; owners are accounts by their keys. What is empty is no fault.
func Faults(modelKey, model string, owners map[string]string) (out []Fault) {
	full := model
	if !strings.Contains(full, "/") {
		full = "x/" + full
	}
	if err := CheckRepository(full); err != nil && model != "" {
		out = append(out, Fault{modelKey, fmt.Sprintf("%.200q", model), "is no repository of the Hub", allowed(err) + "; without an owner the token's user is it"})
	}
	for _, key := range slices.Sorted(maps.Keys(owners)) {
		const longest = 200 // a longer one is a fault by its size
		owner := owners[key]
		if err := CheckOwner(owner); err != nil && owner != "" && len(owner) <= longest {
			out = append(out, Fault{key, fmt.Sprintf("%q", owner), "is no account of the Hub", allowed(err)})
		}
	}
	return out
}

func allowed(err error) string { return strings.TrimPrefix(err.Error(), "want ") }
