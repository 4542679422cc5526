package generator

import (
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

const section = "inferencer"

// changed returns the keys of the section that differ from their defaults.
func changed(s events.Specification) []structconf.Value {
	return slices.DeleteFunc(structconf.Changed(s), func(v structconf.Value) bool { return v.Section != section })
}

// changedKeys returns their names.
func changedKeys(s events.Specification) []string {
	names := []string{}
	for _, v := range changed(s) {
		names = append(names, v.Name)
	}
	return names
}

// ours are the keys that tunebus honours itself, whoever answers.
func ours() []string {
	return []string{
		"engine", "queue", "timeout", "model_id", "baseline", "max_sequence_length", "testing_data_id", "question_column", "ground_truth_column",
		"system_prompt_column", "system_prompt_override_text", "data_format", "data_encoding", "data_delimiter", "image_column",
		"chat_template_kwargs", "stop", "hf_user_id", "run_name", "run_name_prefix", "run_name_suffix",
	}
}

// keyNotes are the notes about the keys that a person changed and that a command, which
// has these keys, does not honour.
func keyNotes(s events.Specification, command string, keys []string) (notes []string) {
	known := append(ours(), keys...)
	for _, f := range spec.EngineNotes(s, events.Inference, spec.Transformers) { // they have a note already
		known = append(known, f.Key[len(section)+1:])
	}
	for _, v := range changed(s) {
		if !slices.Contains(known, v.Name) {
			notes = append(notes, fmt.Sprintf("%s.%s = %s: the command %s does not honour it", section, v.Name, v.Text, command))
		}
	}
	return notes
}
