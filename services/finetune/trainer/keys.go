package trainer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

const section = "fine_tuner"

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

// ours are the keys that tunebus honours itself, whoever trains.
func ours() []string {
	return []string{
		"base_model_id", "engine", "queue", "timeout", "training_data_id", "validation_data_id", "dataset_num_proc",
		"question_column", "ground_truth_column", "system_prompt_column", "system_prompt_override_text",
		"data_format", "data_encoding", "data_delimiter", "image_column", "run_name", "run_name_prefix", "run_name_suffix",
		"save_total_limit", "push_to_hub", "hub_model_id", "push_always",
	}
}

// oursInTokens are the further ones for a trainer that reads tokens.
func oursInTokens() []string {
	return []string{"max_sequence_length", "chat_template_kwargs", "train_on", "train_on_responses_only", "question_part", "answer_part"}
}

// decisive are keys without which a training would be another one. A trainer that does
// not have one of them refuses the job; of the other keys there is a note.
func decisive() []string {
	return []string{
		"method", "devices", "max_steps", "early_stopping_patience", "load_best_model_at_end",
		"use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "lr_scheduler_kwargs", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon",
	}
}

// keyNotes are the notes about the keys that a person changed and that the trainer does
// not honour.
func keyNotes(s events.Specification, d child.Description) (notes []string) {
	known := slices.Concat(ours(), d.Keys)
	if d.Rows == child.RowsTokens {
		known = append(known, oursInTokens()...)
	}
	named := map[string]bool{} // notes of the specification itself
	for _, f := range spec.EngineNotes(s, events.Finetune, s.FineTuner.Engine) {
		named[f.Key] = true
	}
	for _, v := range changed(s) {
		if !slices.Contains(known, v.Name) && !named[section+"."+v.Name] {
			notes = append(notes, fmt.Sprintf("%s.%s = %s: the trainer %s does not honour it", section, v.Name, v.Text, d.Name))
		}
	}
	return notes
}

// refusedKeys returns why a trainer cannot do what a specification asks for.
// images says that rows have some.
func refusedKeys(s events.Specification, d child.Description, images bool) error {
	f := s.FineTuner
	var faults []string
	want := func(key, value string, has []string) {
		if has != nil && !slices.Contains(has, value) && slices.Contains(changedKeys(s), key) {
			faults = append(faults, fmt.Sprintf("%s.%s = %q: the trainer %s has %s", section, key, value, d.Name, strings.Join(has, ", ")))
		}
	}
	void := map[string]bool{}
	for _, n := range spec.EngineNotes(s, events.Finetune, f.Engine) {
		void[n.Key] = true
	}
	for _, v := range changed(s) {
		if slices.Contains(decisive(), v.Name) && !slices.Contains(d.Keys, v.Name) && !void[section+"."+v.Name] {
			faults = append(faults, fmt.Sprintf("%s.%s = %s: the trainer %s does not have this key", section, v.Name, v.Text, d.Name))
		}
	}
	want("optimizer", f.Optimizer, d.Optimizers)
	want("lr_scheduler_type", f.LRSchedulerType, d.Schedulers)
	lacks := func(key, bits string, asked bool) {
		if asked && d.Quantisation != nil && !slices.Contains(d.Quantisation, bits) {
			faults = append(faults, fmt.Sprintf("%s.%s = true: the trainer %s does not have it", section, key, d.Name))
		}
	}
	lacks("load_in_4bit", "4bit", f.LoadIn4bit)
	lacks("load_in_8bit", "8bit", f.LoadIn8bit)
	if images && !d.Vision {
		faults = append(faults, fmt.Sprintf("the rows have images, and the trainer %s reads none", d.Name))
	}
	if f.IsMultimodel && slices.Contains(d.Keys, "is_multimodel") && !d.Vision {
		faults = append(faults, fmt.Sprintf("%s.is_multimodel = true: the trainer %s reads no images", section, d.Name))
	}
	if faults == nil {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(faults, "; "))
}
