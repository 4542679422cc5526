package runrequest

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/secretname"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expandVariables replaces each ${NAME} in the tree's texts, also in lists and
// tables, by the environment's value. A variable that holds a secret, that does
// not exist, or whose name is malformed is a fault: a specification is stored
// for everyone to read.
func expandVariables(t structconf.Tree) structconf.Faults {
	var faults structconf.Faults
	for section, v := range t.Sections {
		table, _ := v.(map[string]any)
		for key, value := range table {
			path := section + "." + key
			table[key] = expandValue(value, func(format string, args ...any) {
				p := t.Positions[path]
				faults = append(faults, structconf.Fault{
					File:    p.File,
					Line:    p.Line,
					Column:  p.Column,
					Key:     path,
					Message: fmt.Sprintf(format, args...),
				})
			})
		}
	}
	return faults
}

func expandValue(value any, fault func(format string, args ...any)) any {
	switch v := value.(type) {
	case string:
		return expandText(v, fault)
	case []any:
		for i := range v {
			v[i] = expandValue(v[i], fault)
		}
	case map[string]any:
		for k := range v {
			v[k] = expandValue(v[k], fault)
		}
	}
	return value
}

func expandText(text string, fault func(format string, args ...any)) string {
	if strings.Contains(variable.ReplaceAllString(text, ""), "${") {
		fault("\"${\" begins the name of a variable, such as ${HOME}")
		return text
	}
	return variable.ReplaceAllStringFunc(text, func(m string) string {
		name := m[2 : len(m)-1]
		value, ok := os.LookupEnv(name)
		switch {
		case !ok:
			fault("the environment has no variable %s", name)
		case holdsSecret(name, value):
			fault("the variable %s holds a secret, which a specification must not; give it to the service's environment", name)
		case strings.Contains(value, "${"):
			fault("the variable %s holds a \"${\" itself, which is not expanded again", name)
		default:
			return value
		}
		return ""
	})
}

// holdsSecret reports whether a variable holds a secret by its name, or by its
// value: the value contains that of another variable whose name says so.
func holdsSecret(name, value string) bool {
	if secretname.Matches(name) {
		return true
	}
	for _, e := range os.Environ() {
		other, secret, _ := strings.Cut(e, "=")
		if len(secret) >= shortestSecret && secretname.Matches(other) && strings.Contains(value, secret) {
			return true
		}
	}
	return false
}
