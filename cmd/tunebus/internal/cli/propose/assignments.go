package propose

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// assignments proposes what --set takes: section.key=value. A section comes first,
// then its keys, then the values of a key.
func assignments(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	path, value, hasValue := strings.Cut(begun, "=")
	if hasValue {
		return values(path, value)
	}
	section, _, dotted := strings.Cut(begun, ".")
	var out []cobra.Completion
	for _, k := range spec.Keys() {
		switch {
		case dotted && k.Section == section && strings.HasPrefix(k.Section+"."+k.Name, begun):
			assignment := k.Section + "." + k.Name + "="
			if strings.HasPrefix(k.Type, "table") {
				assignment = k.Section + "." + k.Name + "." // of an entry
			}
			out = append(out, cobra.CompletionWithDesc(assignment, oneLine(k.Doc)))
		case !dotted && strings.HasPrefix(k.Section, begun) && !slices.Contains(out, k.Section+"."):
			out = append(out, k.Section+".")
		case !dotted && begun != "" && strings.HasPrefix(k.Name, begun): // a key without its section
			out = append(out, cobra.CompletionWithDesc(k.Section+"."+k.Name+"=", oneLine(k.Doc)))
		}
	}
	return out, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// values proposes the values of a key. A key that names a model or data set takes
// files; a shell cannot complete a file behind "=".
func values(path, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	key, ok := find(path)
	if !ok {
		return gate(path), directive | cobra.ShellCompDirectiveNoSpace
	}
	if path == "evaluator.metrics" {
		return listOf(path, begun, spec.Metrics()), directive | cobra.ShellCompDirectiveNoSpace
	}
	allowed := key.Allowed
	if len(allowed) == 0 {
		allowed = spec.KnownValues(path)
	}
	if key.Type == "true or false" {
		allowed = []string{"true", "false"}
	}
	if len(allowed) == 0 {
		allowed = []string{key.Default}
	}
	var out []cobra.Completion
	for _, v := range allowed {
		about := ""
		if v == key.Default {
			about = "the default"
		}
		if v == "" {
			v = structconf.Null
		}
		if strings.HasPrefix(v, begun) {
			out = append(out, cobra.CompletionWithDesc(path+"="+v, about))
		}
	}
	return out, directive
}

func find(path string) (structconf.Key, bool) {
	all := spec.Keys()
	i := slices.IndexFunc(all, func(k structconf.Key) bool { return k.Section+"."+k.Name == path })
	if i < 0 {
		return structconf.Key{}, false
	}
	return all[i], true
}

// listOf proposes one more element of a list that is separated by commas.
func listOf(path, begun string, elements []string) (out []cobra.Completion) {
	before := strings.Split(begun, ",")
	last := before[len(before)-1]
	before = before[:len(before)-1]
	for _, e := range elements {
		if strings.HasPrefix(e, last) && !slices.Contains(before, e) {
			out = append(out, path+"="+strings.Join(append(slices.Clone(before), e), ","))
		}
	}
	return out
}

// gate proposes the beginning of an entry of evaluator.gates.
func gate(path string) (out []cobra.Completion) {
	name, ok := strings.CutPrefix(path, "evaluator.gates.")
	if !ok {
		return nil
	}
	for _, m := range spec.Metrics() {
		for _, score := range spec.Scores(m) {
			if score == name {
				out = append(out, path+"=0.5")
			}
		}
	}
	return out
}

// oneLine is a text that a shell can show beside a proposal.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
