package optimizerargs_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/spec/optimizerargs"
)

// TestParse reads what transformers reads, and refuses what it cannot.
func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]optimizerargs.Args{
		"": nil, "  ": nil, "momentum=0.9": {"momentum": "0.9"}, " momentum = 0.9 , nesterov = True ": {"momentum": "0.9", "nesterov": "True"},
		"momentum=0.9,momentum=0.5": {"momentum": "0.5"},
	} {
		if got, err := optimizerargs.Parse(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"momentum", "momentum=0.9,", ",", "=", "=0.9", "momentum=", "a=b=c", "momentum:0.9"} {
		if got, err := optimizerargs.Parse(text); err == nil || !strings.Contains(err.Error(), "is no argument with a value") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// TestCheck names what an optimizer does not read, and values that it cannot.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ optimizer, text, fault string }{
		{"sgd", "momentum=0.9", ""},
		{"sgd", "momentum=0.9,dampening=0.1,nesterov=no", ""},
		{"sgd", "momentum=9e-1,nesterov=YES", ""},
		{"sgd", "weight_decay=0.1", `"weight_decay" is no argument of sgd`},
		{"sgd", "momentum=much", "momentum = much; want a number, at least 0"},
		{"sgd", "momentum=-1", "want a number, at least 0"},
		{"sgd", "momentum=nan", "want a number, at least 0"},
		{"sgd", "momentum=inf", "want a number, at least 0"},
		{"sgd", "nesterov=maybe", "want true or false"},
		{"sgd", "nesterov=true", "nesterov needs a momentum above 0 and no dampening"},
		{"sgd", "nesterov=true,momentum=0.9,dampening=0.1", "nesterov needs a momentum above 0 and no dampening"},
		{"paged_ademamix_8bit", "beta3=0.99,t_alpha=100", ""},
		{"ademamix", "t_alpha=1.5", "want a whole number, at least 0"},
		{"rmsprop", "alpha=0.9,centered=true", ""},
		{"adagrad", "lr_decay=0.1", ""},
		{"galore_adamw_layerwise", "rank=64,proj_type=std", ""},
		{"apollo_adamw", "scale_type=tensor", ""},
		{"adamw_anyprecision", "momentum_dtype=bfloat16", ""},
		{"adamw_torch_8bit", "block_size=128", ""},
		{"grokadamw", "lamb=5", ""},
		{"schedule_free_sgd", "r=0.5", ""},
		{"stable_adamw", "kahan_sum=1", ""},
	} {
		args, err := optimizerargs.Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		err = optimizerargs.Check(c.optimizer, args)
		if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s, %s: %v, want %q", c.optimizer, c.text, err, c.fault)
		}
	}
	if got := optimizerargs.Reads("sgd"); !slices.Equal(got, []string{"dampening", "momentum", "nesterov"}) || len(optimizerargs.Reads("adamw_torch")) != 0 {
		t.Errorf("sgd reads %v", got)
	}
}

// TestAdam holds who reads the keys of Adam.
func TestAdam(t *testing.T) {
	t.Parallel()
	for optimizer, reads := range map[string][2]bool{
		"adamw_torch": {true, true}, "paged_adamw_8bit": {true, true}, "stable_adamw": {true, true}, "apollo_adamw": {true, true}, "ademamix_8bit": {true, true},
		"schedule_free_radam": {true, true}, "lion_8bit": {true, false}, "paged_lion_32bit": {true, false},
		"sgd": {}, "adafactor": {}, "adagrad": {}, "rmsprop_bnb": {}, "galore_adamw": {}, "lomo": {}, "grokadamw": {}, "schedule_free_sgd": {},
	} {
		if got := [2]bool{optimizerargs.ReadsBetas(optimizer), optimizerargs.ReadsEpsilon(optimizer)}; got != reads {
			t.Errorf("%s reads betas and epsilon: %v, want %v", optimizer, got, reads)
		}
	}
}
