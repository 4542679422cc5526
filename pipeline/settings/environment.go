package settings

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/structconf"
)

// variablePrefix begins the names of our own variables.
const variablePrefix = "TUNEBUS_"

// VariableFile is the variable with the name of the settings file.
const VariableFile = variablePrefix + "SETTINGS"

// hubHome is the variable with the folder in which huggingface_hub has its cache.
const hubHome = "HF_HOME"

// Variables returns the names of all variables that [Load] reads.
func Variables() []string {
	out := []string{VariableFile, hubHome}
	for _, k := range structconf.Keys(Settings{}) {
		out = append(out, variable(k))
		if k.Env != "" {
			out = append(out, k.Env)
		}
	}
	return append(out, slices.Collect(maps.Keys(furtherNames()))...)
}

// furtherNames are further names of variables, which count where the usual one is not
// set.
func furtherNames() map[string]string { return map[string]string{"WANDB_TOKEN": "WANDB_API_KEY"} }

func variable(k structconf.Key) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(k.Section, ".", "_")+"_"+k.Name)
}

// setVariables sets the keys that the environment has. A variable with our prefix
// that is not known is a fault, because it is probably misspelled.
func setVariables(t *structconf.Tree, environ []string) structconf.Faults {
	own, common := map[string]structconf.Key{}, map[string]structconf.Key{}
	for _, k := range structconf.Keys(Settings{}) {
		own[variable(k)] = k
		if k.Env != "" {
			common[k.Env] = k
		}
	}
	var faults structconf.Faults
	environ = slices.Sorted(slices.Values(environ))
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if k, ok := common[furtherNames()[name]]; ok && value != "" {
			setVariable(t, k, name, value)
		}
	}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if name == hubHome && value != "" { // $HF_HUB_CACHE comes behind it
			setVariable(t, common["HF_HUB_CACHE"], name, filepath.Join(value, "hub"))
		}
		if k, ok := common[name]; ok && value != "" {
			setVariable(t, k, name, value)
		}
	}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		k, ok := own[name]
		switch {
		case ok:
			setVariable(t, k, name, value)
		case strings.HasPrefix(name, variablePrefix) && name != VariableFile && !slices.Contains(shellVariables(), name):
			faults = append(faults, structconf.Fault{Key: name, Message: "no such variable" + suggestion(name)})
		}
	}
	return faults
}

// shellVariables are those that scripts for completion set, which are no settings.
func shellVariables() []string {
	return []string{variablePrefix + "ACTIVE_HELP", variablePrefix + "COMPLETION_DESCRIPTIONS"}
}

func setVariable(t *structconf.Tree, k structconf.Key, name, value string) {
	table, _ := t.Sections[k.Section].(map[string]any)
	if table == nil {
		table = map[string]any{}
		t.Sections[k.Section] = table
	}
	table[k.Name] = value
	t.Positions[k.Section+"."+k.Name] = structconf.Position{File: "$" + name}
}

func suggestion(name string) string {
	if n := structconf.Nearest(name, Variables()); n != "" {
		return fmt.Sprintf("; did you mean %s?", n)
	}
	return ""
}
