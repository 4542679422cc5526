// Package optimizerargs knows the optimizers of transformers and what they read: which
// arguments of optim_args, and whether those of Adam. It is the source for the check of
// a specification, and for the built-in engine.
//
//	args, err := optimizerargs.Parse("momentum=0.9, nesterov=true")
package optimizerargs

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/pipeline/structconf"
)

// The arguments of "sgd".
const (
	Momentum  = "momentum"
	Dampening = "dampening"
	Nesterov  = "nesterov"
)

// Args are the arguments of an optimizer, as texts.
type Args map[string]string

// Parse reads a value of optim_args as transformers does: pairs with an equals sign
// between, separated by commas. The last pair of a name counts.
func Parse(text string) (Args, error) {
	text = strings.ReplaceAll(text, " ", "")
	if text == "" {
		return nil, nil
	}
	out := Args{}
	for _, pair := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" || value == "" || strings.Contains(value, "=") {
			return nil, fmt.Errorf("%q is no argument with a value", pair)
		}
		out[name] = value
	}
	return out, nil
}

// Number is an argument as a number; 0 where it is not there.
func (a Args) Number(name string) float64 {
	v, _ := strconv.ParseFloat(a[name], 64) // checked before
	return v
}

// Yes is an argument as a decision; no where it is not there.
func (a Args) Yes(name string) bool { return slices.Contains(yes(), strings.ToLower(a[name])) }

func yes() []string { return []string{"true", "1", "yes"} }

// kind says what the values of an argument are.
type kind int

const (
	number kind = iota
	whole
	decision
	word
)

// Reads are the arguments of optim_args that an optimizer reads, sorted. weight_decay is
// none: the key of that name goes over it.
func Reads(optimizer string) []string {
	var out []string
	for name := range arguments(optimizer) {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// arguments are those that an optimizer reads, by its name. Source: transformers 5.24,
// trainer_optimizer.py.
func arguments(optimizer string) map[string]kind {
	has := func(starts ...string) bool {
		return slices.ContainsFunc(starts, func(s string) bool { return strings.HasPrefix(optimizer, s) })
	}
	switch {
	case optimizer == "sgd":
		return map[string]kind{Momentum: number, Dampening: number, Nesterov: decision}
	case optimizer == "adagrad":
		return map[string]kind{"lr_decay": number, "eps": number}
	case optimizer == "rmsprop":
		return map[string]kind{Momentum: number, "alpha": number, "eps": number, "centered": decision}
	case has("ademamix", "paged_ademamix"):
		return map[string]kind{"beta1": number, "beta2": number, "beta3": number, "alpha": number, "eps": number, "t_alpha": whole, "t_beta3": whole}
	case has("adamw_torch_4bit", "adamw_torch_8bit"):
		return map[string]kind{"block_size": whole, "bf16_stochastic_round": decision}
	case has("adamw_anyprecision"):
		return map[string]kind{"use_kahan_summation": decision, "momentum_dtype": word, "variance_dtype": word, "compensation_buffer_dtype": word}
	case has("galore_"):
		return map[string]kind{"rank": whole, "update_proj_gap": whole, "scale": number, "proj_type": word}
	case has("apollo_"):
		return map[string]kind{"rank": whole, "update_proj_gap": whole, "scale": number, "proj_type": word, "proj": word, "scale_type": word}
	case has("grokadamw"):
		return map[string]kind{"alpha_init": number, "lamb": number, "gamma": number, "grokking_signal_decay_rate": number, "gradient_clipping": number}
	case has("schedule_free_"):
		return map[string]kind{"weight_lr_power": number, "r": number}
	case has("stable_adamw"):
		return map[string]kind{"decouple_lr": decision, "max_lr": number, "kahan_sum": decision}
	}
	return nil
}

// Check returns what is wrong with the arguments of an optimizer that reads some.
func Check(optimizer string, args Args) error {
	known := arguments(optimizer)
	for _, name := range sorted(args) {
		of, ok := known[name]
		if !ok {
			return fmt.Errorf("%q is no argument of %s", name, optimizer)
		}
		value, wrong := args[name], ""
		switch of {
		case number:
			if v, err := strconv.ParseFloat(value, 64); err != nil || !(v >= 0) || math.IsInf(v, 0) {
				wrong = "a number, at least 0"
			}
		case whole:
			if v, err := strconv.Atoi(value); err != nil || v < 0 {
				wrong = "a whole number, at least 0"
			}
		case decision:
			if !slices.Contains(append(yes(), "false", "0", "no"), strings.ToLower(value)) {
				wrong = "true or false"
			}
		case word:
		}
		if wrong != "" {
			return fmt.Errorf("%s = %s; want %s", name, value, wrong)
		}
	}
	if optimizer == "sgd" && args.Yes(Nesterov) && (args.Number(Momentum) == 0 || args.Number(Dampening) != 0) {
		return fmt.Errorf("%s needs a %s above 0 and no %s", Nesterov, Momentum, Dampening)
	}
	return nil
}

func sorted(args Args) []string {
	var out []string
	for name := range args {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Faults returns what is wrong with fine_tuner.optim_args. Arguments of an optimizer that
// reads none are no fault: they have no effect, which a note says.
func Faults(optimizer, text string) structconf.Faults {
	args, err := Parse(text)
	reads, allowed := Reads(optimizer), "arguments such as momentum=0.9, separated by commas"
	if len(reads) > 0 {
		allowed = "arguments among " + strings.Join(reads, ", ") + ", each with a value, separated by commas"
		if err == nil {
			err = Check(optimizer, args)
		}
	}
	if err == nil {
		return nil
	}
	return structconf.Faults{{Key: "fine_tuner.optim_args", Value: strconv.Quote(text), Allowed: allowed, Message: err.Error()}}
}

// Optimizers are the names of optimizers: those of OptimizerNames in Transformers
// 5.24, "adamw_hf" of Transformers 4, and "adamw".
func Optimizers() []string {
	return []string{
		"adamw_torch", "adamw_torch_fused", "adamw_torch_xla", "adamw_torch_npu_fused", "adamw_torch_4bit", "adamw_torch_8bit", "adamw_anyprecision",
		"adamw", "adamw_hf", "adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "paged_adamw_32bit", "stable_adamw", "grokadamw",
		"adafactor", "adagrad", "sgd", "ademamix", "ademamix_8bit", "paged_ademamix_8bit", "paged_ademamix_32bit",
		"lion_8bit", "lion_32bit", "paged_lion_8bit", "paged_lion_32bit", "rmsprop", "rmsprop_bnb", "rmsprop_bnb_8bit", "rmsprop_bnb_32bit",
		"galore_adamw", "galore_adamw_8bit", "galore_adafactor", "galore_adamw_layerwise", "galore_adamw_8bit_layerwise", "galore_adafactor_layerwise",
		"apollo_adamw", "apollo_adamw_layerwise", "lomo", "adalomo", "schedule_free_radam", "schedule_free_adamw", "schedule_free_sgd",
	}
}

// ReadsBetas and ReadsEpsilon report whether an optimizer reads adam_beta1 and
// adam_beta2, and whether it reads adam_epsilon.
func ReadsBetas(optimizer string) bool {
	return ReadsEpsilon(optimizer) || strings.HasPrefix(strings.TrimPrefix(optimizer, "paged_"), "lion_")
}

// ReadsEpsilon is described at [ReadsBetas].
func ReadsEpsilon(optimizer string) bool {
	return slices.ContainsFunc([]string{"adamw", "ademamix", "stable_adamw", "apollo_", "schedule_free_adamw", "schedule_free_radam"}, func(s string) bool {
		return strings.HasPrefix(strings.TrimPrefix(optimizer, "paged_"), s)
	})
}
