// Package honoured says which keys of a specification a trainer does not honour, by its
// description.
package honoured

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/spec/used"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

const section = "fine_tuner"

// changed returns the keys of the section that differ from their defaults.
func changed(s events.Specification) []structconf.Value {
	return slices.DeleteFunc(structconf.Changed(s), func(v structconf.Value) bool { return v.Section != section })
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
		"method", "devices", "full_finetuning", "load_in_4bit", "load_in_8bit", "target_modules", "use_rslora", "use_dora", "loftq_config",
		"modules_to_save", "rank_pattern", "alpha_pattern", "max_steps", "early_stopping_patience", "load_best_model_at_end",
		"lr_scheduler_kwargs", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon",
	}
}

// listing is the list of a description that has the value of a key.
type listing struct {
	field string // of the description
	has   []string
	value string
}

// listed returns the list that says whether a trainer honours a key with the value that it
// has; ok is false where its keys alone say so.
func listed(key string, f events.FineTuner, d child.Description) (l listing, ok bool) {
	switch key {
	case "method":
		l = listing{"methods", d.Methods, f.Method}
	case "full_finetuning":
		l = listing{"methods", d.Methods, methodFull}
	case "load_in_4bit":
		l = listing{"quantisation", d.Quantisation, "4bit"}
	case "load_in_8bit":
		l = listing{"quantisation", d.Quantisation, "8bit"}
	}
	return l, l.has != nil
}

// The methods of a description that say whether an adapter or all weights are trained.
const (
	methodLoRA  = "lora"
	methodQLoRA = "qlora"
	methodFull  = "full"
)

// trainsAdapters reports whether a trainer has adapters. One that names neither these nor
// full fine-tuning does not say.
func trainsAdapters(d child.Description) bool {
	return !slices.Contains(d.Methods, methodFull) || slices.Contains(d.Methods, methodLoRA) || slices.Contains(d.Methods, methodQLoRA)
}

// honours reports whether a trainer honours a key that a person changed.
func honours(key string, f events.FineTuner, d child.Description) bool {
	if l, ok := listed(key, f, d); ok {
		return slices.Contains(l.has, l.value)
	}
	return slices.Contains(d.Keys, key)
}

// Notes are the notes about the keys that a person changed and that the trainer does
// not honour.
func Notes(s events.Specification, d child.Description) (notes []string) {
	known := ours()
	if d.Rows == child.RowsTokens {
		known = append(known, oursInTokens()...)
	}
	named := noted(s)
	for _, v := range changed(s) {
		if !slices.Contains(known, v.Name) && !honours(v.Name, s.FineTuner, d) && !named[v.Name] {
			notes = append(notes, used.NotHonouredBy(d.Name, section+"."+v.Name, v.Text))
		}
	}
	return notes
}

// noted are the keys that have a note of the specification itself, such as those that have
// no effect.
func noted(s events.Specification) map[string]bool {
	names := map[string]bool{}
	for _, f := range spec.EngineNotes(s, events.Finetune, s.FineTuner.Engine) {
		names[strings.TrimPrefix(f.Key, section+".")] = true
	}
	return names
}

// Refused returns why a trainer cannot do what a specification asks for.
// images says that rows have some.
func Refused(s events.Specification, d child.Description, images bool) error {
	f := s.FineTuner
	var faults []string
	values := map[string][]string{"optimizer": d.Optimizers, "lr_scheduler_type": d.Schedulers}
	void := noted(s)
	for _, v := range changed(s) {
		if has := values[v.Name]; has != nil && !slices.Contains(has, v.Text) {
			faults = append(faults, fmt.Sprintf("%s.%s = %q: the trainer %s has %s", section, v.Name, v.Text, d.Name, strings.Join(has, ", ")))
		}
		if !slices.Contains(decisive(), v.Name) || void[v.Name] || honours(v.Name, f, d) {
			continue
		}
		fault := fmt.Sprintf("%s.%s = %s: the trainer %s does not have this key", section, v.Name, v.Text, d.Name)
		if l, ok := listed(v.Name, f, d); ok {
			fault = fmt.Sprintf("%s.%s = %s: the trainer %s does not have it", section, v.Name, v.Text, d.Name)
			if len(l.has) > 0 {
				fault += fmt.Sprintf(" (%s: %s)", l.field, strings.Join(l.has, ", "))
			}
		}
		faults = append(faults, fault)
	}
	if !f.FullFinetuning && !trainsAdapters(d) {
		faults = append(faults, fmt.Sprintf("%s.full_finetuning = false: the trainer %s trains no adapter (methods: %s)", section, d.Name, strings.Join(d.Methods, ", ")))
	}
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
