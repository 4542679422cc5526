package modelapi

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// GaveUp reports whether an answer ends for a reason that means that the server could not
// finish it.
func GaveUp(finishReason string) bool {
	failures := []string{"error", "abort", "aborted", "cancelled", "canceled", "fail", "failed", "failure", "timeout", "load", "unload"}
	return slices.Contains(failures, strings.ToLower(finishReason))
}

// version is what servers put behind the name of a model that they have in several.
var version = regexp.MustCompile(`^[-@:](latest|v?\d{3,}|v?\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{2}-\d{4})$`)

// SameModel reports whether two names mean one model: one may have no owner or folder, or
// a version that the other one leaves out.
func SameModel(a, b string) bool {
	a, b = strings.ToLower(strings.TrimRight(a, "/")), strings.ToLower(strings.TrimRight(b, "/"))
	if !strings.Contains(a, "/") || !strings.Contains(b, "/") {
		a, b = path.Base(a), path.Base(b)
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	rest, ok := strings.CutPrefix(b, strings.TrimSuffix(strings.TrimSuffix(a, "-latest"), ":latest"))
	return a == b || ok && (rest == "" || version.MatchString(rest))
}
