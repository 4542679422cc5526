package cli

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/tunebus/tunebus/pipeline/structconf"
)

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand replaces each ${NAME} in the tree's texts, those of lists and tables
// among them, by the environment's value. What holds a secret, is not there, or
// is no name is a fault: a specification is stored for everybody to read.
func expand(t structconf.Tree) structconf.Faults {
	var faults structconf.Faults
	for section, v := range t.Sections {
		table, _ := v.(map[string]any)
		for key, value := range table {
			path := section + "." + key
			table[key] = expanded(value, func(format string, args ...any) {
				p := t.Positions[path]
				faults = append(faults, structconf.Fault{File: p.File, Line: p.Line, Column: p.Column, Key: path, Message: fmt.Sprintf(format, args...)})
			})
		}
	}
	return faults
}

func expanded(value any, fault func(format string, args ...any)) any {
	switch v := value.(type) {
	case string:
		return expandText(v, fault)
	case []any:
		for i := range v {
			v[i] = expanded(v[i], fault)
		}
	case map[string]any:
		for k := range v {
			v[k] = expanded(v[k], fault)
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

// holdsSecret reports whether a variable's name says that it holds a secret, or
// its value is that of another one whose name does.
func holdsSecret(name, value string) bool {
	if looksSecret(name) {
		return true
	}
	const short = 8 // a word that is in many values by chance
	for _, e := range os.Environ() {
		other, secret, _ := strings.Cut(e, "=")
		if len(secret) >= short && looksSecret(other) && strings.Contains(value, secret) {
			return true
		}
	}
	return false
}

// looksSecret reports whether a variable's name says that it holds a secret.
func looksSecret(name string) bool {
	for _, word := range []string{"KEY", "TOKEN", "SECRET", "PASSW", "PASSPHRASE", "CREDENTIAL", "PRIVATE", "COOKIE"} {
		if strings.Contains(strings.ToUpper(name), word) {
			return true
		}
	}
	return false
}
