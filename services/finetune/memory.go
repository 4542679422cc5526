package finetune

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/services/finetune/inputs"
)

// notEnoughMemory is the code of a phase that was refused since it would not fit.
const notEnoughMemory = "not_enough_memory"

// rows are the data of a training, as far as they are known.
type rows struct{ training, validation llm.Examples }

// fewest are the rows that every training has at least.
func fewest() rows { return rows{training: llm.Alike{Rows: 1, RowTokens: 2}} }

// prepared are the rows of a training that are prepared.
func prepared(d *inputs.Data) rows { return rows{d.Training, d.Evaluation()} }

// longest is how many tokens a row has at most.
func (r rows) longest() (n int) {
	for i := range r.training.Len() {
		all, _ := r.training.Tokens(i)
		n = max(n, all)
	}
	return n
}

// shortened are the rows with so many tokens at most.
func (r rows) shortened(most int) rows {
	r.training = llm.Shortened{Examples: r.training, Most: most}
	if r.validation != nil {
		r.validation = llm.Shortened{Examples: r.validation, Most: most}
	}
	return r
}

// bits is to how many bits the weights are brought; 0: they stay as they are.
func bits(s events.FineTuner) int {
	if s.FullFinetuning { // which trains all of them
		return 0
	}
	return llm.Bits(s.LoadIn4bit, s.LoadIn8bit)
}

// memory is how much memory a training of the model will take.
func (b *baseModel) memory(s events.FineTuner, r rows) (llm.Memory, error) {
	return llm.Plan{
		Dir: b.Weights, Bits: bits(s), Full: s.FullFinetuning, LoRA: wanted(s), Adapter: b.Adapter,
		Train: trainConfig(s), Training: r.training, Validation: r.validation,
	}.Memory()
}

// estimate says how much memory a training will take, before its weights are read, and
// refuses one that does not fit. The estimate is 0 if the model cannot be trained so,
// which its opening says.
func (e Engine) estimate(b *baseModel, s events.FineTuner, r rows) (llm.Memory, error) {
	needed, err := b.fits(e.host(), s, r)
	if err != nil {
		err = engine.Permanent(notEnoughMemory, fmt.Errorf("fine_tuner.base_model_id = %q: %w", s.BaseModelID, err))
	}
	return needed, err
}

// fits is how much memory a training will take, and an error if a machine has less.
func (b *baseModel) fits(host hostmemory.Host, s events.FineTuner, r rows) (llm.Memory, error) {
	needed, err := b.memory(s, r)
	if err != nil {
		return llm.Memory{}, nil
	}
	free, known := host.Available()
	if !known || needed.Sum() <= free.Bytes {
		return needed, nil
	}
	return needed, fmt.Errorf("the training needs %s of memory, and %s has %s left: %s. %s", hostmemory.Size(needed.Sum()), free.Of, hostmemory.Size(free.Bytes),
		parts(needed), b.advice(s, r, needed.Sum(), free.Bytes))
}

// CheckMemory returns the error of a training that a machine has no memory for, whatever its
// rows are. quantised says that the weights are stored in 4 bits. What else is wrong with the
// model its opening says.
func CheckMemory(host hostmemory.Host, s events.FineTuner, base inputs.Base, quantised bool) error {
	b := &baseModel{Base: base, quantised: quantised}
	_, err := b.fits(host, s, fewest())
	return err
}

// parts says what memory is for.
func parts(m llm.Memory) string {
	var said []string
	for _, part := range []struct {
		name  string
		bytes int64
	}{{"weights", m.Weights}, {"gradients", m.Gradients}, {"optimizer", m.Optimizer}, {"activations", m.Activations}, {"other", m.Other}} {
		if part.bytes > 0 { // the gradients may have no optimizer that keeps anything
			said = append(said, part.name+" "+hostmemory.Size(part.bytes))
		}
	}
	return strings.Join(said, ", ")
}

// remedy is a change of a specification that may have a training take less memory.
type remedy struct {
	key    string
	change func(s *events.FineTuner, r *rows)
}

// remedies are those that a specification does not have already.
func (b *baseModel) remedies(s events.FineTuner, r rows) (out []remedy) {
	add := func(wanted bool, key string, change func(s *events.FineTuner, r *rows)) {
		if wanted {
			out = append(out, remedy{"fine_tuner." + key, change})
		}
	}
	add(s.DeviceTrainBatchSize > 1, "device_train_batch_size = 1", func(s *events.FineTuner, _ *rows) { s.DeviceTrainBatchSize = 1 })
	add(!trainConfig(s).GradientCheckpointing, "use_gradient_checkpointing = true", func(s *events.FineTuner, _ *rows) { s.UseGradientCheckpointing = "true" })
	add(s.FullFinetuning && b.Adapter == "", "full_finetuning = false", func(s *events.FineTuner, _ *rows) { s.FullFinetuning = false })
	add(!s.FullFinetuning && bits(s) != 4 && !b.quantised, "load_in_4bit = true", func(s *events.FineTuner, _ *rows) { s.LoadIn4bit = true })
	if !s.FullFinetuning && b.Adapter == "" { // else the keys of a new adapter have no effect
		const usual = 16 // the default
		add(s.Rank > usual, fmt.Sprintf("rank = %d", usual), func(s *events.FineTuner, _ *rows) { s.Rank = usual })
		add(len(s.RankPattern) > 0, "rank_pattern = {}", func(s *events.FineTuner, _ *rows) { s.RankPattern = nil })
		add(len(s.ModulesToSave) > 0, "modules_to_save = []", func(s *events.FineTuner, _ *rows) { s.ModulesToSave = nil })
	}
	add(s.FullFinetuning, `optimizer = "adamw_8bit"`, func(s *events.FineTuner, _ *rows) { s.Optimizer = "adamw_8bit" })
	add(s.LoadBestModelAtEnd, "load_best_model_at_end = false", func(s *events.FineTuner, _ *rows) { s.LoadBestModelAtEnd = false })
	const shortest = 128
	if half := r.longest() / 2; half >= shortest {
		add(true, fmt.Sprintf("max_sequence_length = %d", half), func(s *events.FineTuner, r *rows) { s.MaxSequenceLength, *r = half, r.shortened(half) })
	}
	return out
}

// advice says what a training that needs so much memory would need if a key were another
// one. Where no key alone is enough, it names several together, and says so if they are
// not enough either.
func (b *baseModel) advice(s events.FineTuner, r rows, needs, free int64) string {
	var said []string
	for _, one := range b.remedies(s, r) {
		if m, _, _ := b.with(one, s, r); m <= free {
			said = append(said, fmt.Sprintf("%s with %s", hostmemory.Size(m), one.key))
		}
	}
	if len(said) > 0 {
		return "It would need " + listed(said, "or")
	}
	keys, least := b.together(s, r, needs, free)
	switch {
	case len(keys) == 0:
		return "Train a smaller model, or where there is more memory"
	case least > free:
		return fmt.Sprintf("It would need %s with %s; that is still too much, so take a smaller model, or train where there is more memory", hostmemory.Size(least), listed(keys, "and"))
	}
	return fmt.Sprintf("It would need %s with %s together", hostmemory.Size(least), listed(keys, "and"))
}

// with is how much memory a training takes with a remedy, and the training that it makes.
// What cannot be trained so takes all that there is.
func (b *baseModel) with(one remedy, s events.FineTuner, r rows) (int64, events.FineTuner, rows) {
	one.change(&s, &r)
	m, err := b.memory(s, r)
	if err != nil {
		return math.MaxInt64, s, r
	}
	return m.Sum(), s, r
}

// together takes the remedy that saves most, and then the next one, until the training fits
// or none saves a twentieth any more. It returns the keys, and what they leave.
func (b *baseModel) together(s events.FineTuner, r rows, needs, free int64) (keys []string, least int64) {
	for least = needs; least > free; {
		best, bestKey, bestS, bestR := least*19/20, "", s, r
		for _, one := range b.remedies(s, r) {
			if slices.ContainsFunc(keys, func(k string) bool { return keyOf(k) == keyOf(one.key) }) {
				continue
			}
			if m, changed, changedRows := b.with(one, s, r); m <= best {
				best, bestKey, bestS, bestR = m, one.key, changed, changedRows
			}
		}
		if bestKey == "" {
			break
		}
		keys, least, s, r = append(keys, bestKey), best, bestS, bestR
	}
	return keys, least
}

// keyOf is the key of an assignment.
func keyOf(assignment string) string {
	key, _, _ := strings.Cut(assignment, " = ")
	return key
}

// listed are texts as a list, with a word before the last one.
func listed(texts []string, word string) string {
	n := len(texts)
	if n == 1 {
		return texts[0]
	}
	return strings.Join(texts[:n-1], ", ") + " " + word + " " + texts[n-1]
}
