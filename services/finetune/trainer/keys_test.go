package trainer_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestTrainingWouldBeAnother: a key without which the training would be another one ends the
// job before its first step where the trainer does not say that it has it: by its methods, by
// its quantisation, or by its keys.
func TestTrainingWouldBeAnother(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	const key = ": the trainer rude does not have this key"
	for name, c := range map[string]struct {
		lists, keys string
		set         func(*events.FineTuner)
		want        string // empty: it trains
	}{
		"4 bits of which it says nothing":      {`{"quantisation": null}`, "", func(f *events.FineTuner) { f.LoadIn4bit = true }, "fine_tuner.load_in_4bit = true" + key},
		"8 bits of which it says nothing":      {`{"quantisation": null}`, "load_in_4bit", func(f *events.FineTuner) { f.LoadIn8bit = true }, "fine_tuner.load_in_8bit = true" + key},
		"4 bits among its keys":                {`{"quantisation": null}`, "load_in_4bit", func(f *events.FineTuner) { f.LoadIn4bit = true }, ""},
		"4 bits that its list leaves out":      {`{"quantisation": []}`, "load_in_4bit", func(f *events.FineTuner) { f.LoadIn4bit = true }, "fine_tuner.load_in_4bit = true: the trainer rude does not have it"},
		"8 bits of its list":                   {`{}`, "", func(f *events.FineTuner) { f.LoadIn8bit = true }, ""},
		"all weights of which it says nothing": {`{}`, "", func(f *events.FineTuner) { f.FullFinetuning = true }, "fine_tuner.full_finetuning = true" + key},
		"all weights with adapters alone":      {`{"methods": ["lora"]}`, "full_finetuning", func(f *events.FineTuner) { f.FullFinetuning = true }, "fine_tuner.full_finetuning = true: the trainer rude does not have it (methods: lora)"},
		"all weights of its methods":           {`{"methods": ["full"]}`, "", func(f *events.FineTuner) { f.FullFinetuning = true }, ""},
		"an adapter with all weights alone":    {`{"methods": ["full"]}`, "", func(*events.FineTuner) {}, "fine_tuner.full_finetuning = false: the trainer rude trains no adapter (methods: full)"},
		"rank-stabilised":                      {`{}`, "", func(f *events.FineTuner) { f.UseRSLoRA = true }, "fine_tuner.use_rslora = true" + key},
		"other modules":                        {`{}`, "", func(f *events.FineTuner) { f.TargetModules = events.Modules{"q_proj"} }, "fine_tuner.target_modules = q_proj" + key},
		"LoftQ":                                {`{}`, "", func(f *events.FineTuner) { f.LoftQConfig = "4" }, "fine_tuner.loftq_config = 4" + key},
		"a key that all weights make void":     {`{"methods": ["full"]}`, "", func(f *events.FineTuner) { f.FullFinetuning, f.UseRSLoRA = true, true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rude := "look"
			if c.want != "" {
				rude = "hangs"
			}
			done := h.Run(t, newEngine(script(t, "testdata/rude.py"), "RUDE="+rude, "LOOK=/dev/null", "LISTS="+c.lists, "KEYS="+c.keys), events.Finetune, events.Inputs{}, func(s *events.Specification) {
				small(s)
				c.set(&s.FineTuner)
			})
			if c.want == "" {
				notes := strings.Join(done.Notes, "\n")
				if done.Conclusion != events.Success || strings.Contains(notes, "load_in") || strings.Contains(notes, "full_finetuning = true: the trainer") {
					t.Errorf("it completed as %s with %+v and the notes %q", done.Conclusion, done.Error, done.Notes)
				}
				return
			}
			if done.Error == nil || done.Error.Code != "bad_key" || done.Error.Message != c.want || done.Attempt != 1 {
				t.Errorf("it completed as %s in attempt %d with %+v, want %q", done.Conclusion, done.Attempt, done.Error, c.want)
			}
		})
	}
}

// TestWrappersSayWhatTheyLack: the wrappers of the manual refuse what they would drop.
func TestWrappersSayWhatTheyLack(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for wrapper, want := range map[string]string{
		"llamafactory": "fine_tuner.load_in_4bit = true: the trainer llamafactory does not have it; fine_tuner.use_rslora = true: the trainer llamafactory does not have this key",
		"axolotl":      "fine_tuner.use_rslora = true: the trainer axolotl does not have this key",
	} {
		command := script(t, "../../../docs/examples/trainer/"+wrapper+".py")
		done := h.Run(t, newEngine(append(command[:1:1], "-B", command[1])), events.Finetune, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.FineTuner.LoadIn4bit, s.FineTuner.UseRSLoRA, s.FineTuner.TargetModules = true, true, events.Modules{"q_proj"}
		})
		if done.Error == nil || done.Error.Code != "bad_key" || done.Error.Message != want {
			t.Errorf("%s completed as %s with %+v, want %q", wrapper, done.Conclusion, done.Error, want)
		}
	}
}
