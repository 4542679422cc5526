package spec

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// The names of the engines.
const (
	Builtin = "builtin" // of every phase
	Command = "command" // of fine-tuning: the program of the worker's settings
	trl     = "trl"     // of fine-tuning
	// OpenAI and Transformers are those of inference: a server, and a program of the
	// worker's settings.
	OpenAI       = "openai"
	Transformers = "transformers"
)

// limit is a key that an engine does not honour, or honours for some of its
// values.
type limit struct {
	// key is section.key.
	key string
	// values are the values beside the default that the engine honours, as a file
	// has them.
	values []string
	// unless, if set, says for which specifications the engine honours every value.
	unless *exception
	// instead says what the engine does instead.
	instead string
	// refused is set where the run would be another one without the key. A run that
	// asks for it is rejected. Otherwise a note names it.
	refused bool
}

// exception is a condition under which an engine honours every value of a key.
type exception struct {
	text  string // as a condition on keys, such as "full_finetuning = true"
	holds func(events.Specification) bool
}

// limits is the table of the engines: the keys of a section that an engine does
// not honour in full. An engine honours every other key of its section with all
// values that the specification allows. The caller must not change it.
func limits(p events.Phase, engine string) []limit {
	byEngine := tables()[p]
	if l, ok := byEngine[engine]; ok {
		return l
	}
	return byEngine[""]
}

// tables returns the limits by phase and engine. Those of an engine that no key
// names stand under "". They are made once, because each admission reads them.
var tables = sync.OnceValue(func() map[events.Phase]map[string][]limit {
	out := map[events.Phase]map[string][]limit{}
	for _, p := range events.Phases() {
		out[p] = map[string][]limit{}
		for _, engine := range append(Engines(p), "") {
			out[p][engine] = phaseLimits(p, engine)
		}
	}
	return out
})

func phaseLimits(p events.Phase, engine string) []limit {
	switch p {
	case events.Finetune:
		return finetuneLimits(engine)
	case events.Inference:
		return inferenceLimits(engine)
	default:
		return nil
	}
}

func finetuneLimits(engine string) []limit {
	switch engine {
	case Builtin:
	default: // the trainer says what it honours, and the notes of the phase follow from that
		return nil
	}
	const (
		parts = "it chooses parts of vision-language models, which the built-in engine does not train"
		// others is where the keys are that the built-in engine refuses.
		others = `; fine_tuner.engine = "trl" has it`
	)
	full := &exception{"full_finetuning = true", func(s events.Specification) bool { return s.FineTuner.FullFinetuning }}
	return []limit{
		{key: "fine_tuner.is_multimodel", instead: "the built-in engine reads text only"},
		{key: "fine_tuner.image_column", instead: "the built-in engine does not see images; use an engine that does", refused: true},
		{key: "fine_tuner.finetune_vision_layers", instead: parts},
		{key: "fine_tuner.finetune_language_layers", instead: parts},
		{key: "fine_tuner.finetune_attention_modules", instead: parts},
		{key: "fine_tuner.finetune_mlp_modules", instead: parts},
		{key: "fine_tuner.dtype", values: []string{"float32"}, unless: full, instead: "the built-in engine trains in float32 and writes the adapter in float32"},
		{key: "fine_tuner.method", instead: "the built-in engine does not have DPO yet" + others, refused: true},
		{key: "fine_tuner.dpo_beta", instead: "the built-in engine does not have DPO yet"},
		{key: "fine_tuner.devices", instead: "the built-in engine trains in one process, on all processors" + others, refused: true},
		{key: "fine_tuner.accelerator", instead: "the built-in engine trains in one process"},
		{key: "fine_tuner.lr_scheduler_type", values: schedules(), instead: "the built-in engine does not have this schedule; it has linear, " + strings.Join(schedules(), ", ") + others, refused: true},
		{key: "fine_tuner.dataset_num_proc", instead: "the built-in engine prepares the data in one process"},
		{key: "fine_tuner.wandb_project_name", instead: "the built-in engine does not report to Weights & Biases"},
		{key: "fine_tuner.optimizer", values: []string{"adamw", "adamw_torch_fused", "paged_adamw_32bit", "adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "sgd", "adafactor"}, instead: "the built-in engine uses AdamW (adamw_torch)"},
		{key: "fine_tuner.report_to", values: []string{"none"}, instead: "the built-in engine has no reporters; the tracker writes to MLflow"},
		{key: "fine_tuner.use_flash_attention", instead: "the built-in engine has its own attention"},
		{key: "fine_tuner.loftq_config", instead: "the built-in engine has no LoftQ"},
	}
}

// schedules are those of the built-in engine, beside the default.
func schedules() []string {
	return []string{"cosine", "constant", "constant_with_warmup", "cosine_with_restarts", "polynomial", "inverse_sqrt", "reduce_lr_on_plateau", "cosine_with_min_lr", "cosine_warmup_with_min_lr", "warmup_stable_decay"}
}

func inferenceLimits(engine string) []limit {
	switch engine {
	case Builtin:
		return []limit{
			{key: "inferencer.dtype", values: []string{"float32"}, instead: "the built-in engine computes in float32"},
			{key: "inferencer.use_cache", instead: "the built-in engine always uses its cache"},
			{key: "inferencer.image_column", instead: "the built-in engine does not see images; use an engine that does", refused: true},
			{key: "inferencer.require_active_adapter", instead: "the built-in engine applies the adapter itself, so that nothing has to be proved"},
		}
	case OpenAI:
		const server = "the server decides how it loads and runs the model"
		return []limit{
			{key: "inferencer.dtype", instead: server},
			{key: "inferencer.load_in_4bit", instead: server},
			{key: "inferencer.load_in_8bit", instead: server},
			{key: "inferencer.use_cache", instead: server},
			{key: "inferencer.max_sequence_length", instead: "the server decides how long a prompt may be; a question that is longer has no answer, and the answers say why"},
			{key: "inferencer.batch_size", instead: "services.inference.parallel of the worker's settings bounds the calls to the server"},
		}
	case Transformers:
		return []limit{
			{key: "inferencer.require_active_adapter", instead: "the program applies the adapter itself, so that nothing has to be proved"},
		}
	default:
		return nil
	}
}

// Support says how an engine honours a key.
type Support struct {
	Engine string `json:"engine"`
	// Honoured is false if the engine honours no value but the default and Values.
	Honoured bool `json:"honoured"`
	// Values are the values beside the default that the engine honours where
	// Honoured is false.
	Values []string `json:"values,omitempty"`
	// Unless is a condition under which the engine honours every value.
	Unless string `json:"unless,omitempty"`
}

// Supports returns how each engine of a key's phase honours the key, in the order
// of the engines. It is empty for a key of no phase, and for one that is not read by
// engines alone.
func Supports(section, name string) []Support {
	var out []Support
	for _, p := range events.Phases() {
		if Section(p) != section {
			continue
		}
		for _, engine := range Engines(p) {
			s := Support{Engine: engine, Honoured: true}
			for _, l := range limits(p, engine) {
				if l.key == section+"."+name {
					s.Honoured, s.Values = false, l.values
					if l.unless != nil {
						s.Unless = l.unless.text
					}
				}
			}
			out = append(out, s)
		}
	}
	return out
}

// Engines returns the engines of a phase.
func Engines(p events.Phase) []string {
	i := slices.IndexFunc(Keys(), func(k structconf.Key) bool { return k.Section == Section(p) && k.Name == "engine" })
	return Keys()[i].Allowed
}

// asked is a key with a value that an engine does not honour.
type asked struct {
	limit
	value string
}

// unsupported returns what a specification asks for and an engine of a phase does
// not honour. set are its changed keys.
func unsupported(s events.Specification, set map[string]string, p events.Phase, engine string) []asked {
	var out []asked
	for _, l := range limits(p, engine) {
		value, ok := set[l.key]
		if ok && !slices.Contains(l.values, value) && (l.unless == nil || !l.unless.holds(s)) {
			out = append(out, asked{l, value})
		}
	}
	return out
}

// changedKeys returns the keys that differ from their defaults, with their values as
// a file has them. An empty value asks for nothing.
func changedKeys(s events.Specification) map[string]string {
	out := map[string]string{}
	for _, v := range structconf.Changed(s) {
		out[v.Section+"."+v.Name] = v.Text
	}
	return out
}

// Remark says in the comment of a key which engines do not honour it; empty if all
// of them do.
func Remark(k structconf.Key) string {
	supports := Supports(k.Section, k.Name)
	var honour, ignore []string
	var parts []string
	for _, s := range supports {
		switch {
		case s.Honoured:
			honour = append(honour, s.Engine)
		case len(s.Values) == 0 && s.Unless == "":
			ignore = append(ignore, s.Engine)
		default:
			part := s.Engine + ": only " + strings.Join(append([]string{cmp.Or(k.Default, structconf.Null)}, s.Values...), " or ")
			if s.Unless != "" {
				part += ", unless " + s.Unless
			}
			parts = append(parts, part)
		}
	}
	switch {
	case len(ignore) > 0 && len(ignore) == len(supports):
		return "no engine honours it"
	case len(ignore) > 0 && len(honour) > 0 && len(parts) == 0:
		return "only " + strings.Join(honour, ", ")
	case len(ignore) > 0:
		parts = append(parts, "not "+strings.Join(ignore, ", "))
	}
	return strings.Join(parts, "; ")
}
