package spec

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec/optimizerargs"
)

// maxProcesses bounds fine_tuner.devices.
const maxProcesses = 1024

// The value of fine_tuner.method for direct preference optimisation, and that of
// data_format for the rows that it learns from.
const (
	dpo        = "dpo"
	preference = "preference"
)

// Prefers reports whether a training learns from chosen and rejected answers.
func Prefers(f events.FineTuner) bool { return f.Method == dpo }

// checkTraining checks the keys of fine-tuning that need no engine to be wrong.
func checkTraining(c *checker, f events.FineTuner) {
	c.between("fine_tuner.max_steps", f.MaxSteps, 0, maxSteps)
	c.between("fine_tuner.eval_steps", f.EvalSteps, 0, maxSteps)
	c.between("fine_tuner.early_stopping_patience", f.EarlyStoppingPatience, 0, maxSteps)
	c.between("fine_tuner.devices", f.Devices, 1, maxProcesses)
	c.belowOne("fine_tuner.warmup_ratio", f.WarmupRatio)
	c.positive("fine_tuner.dpo_beta", f.DPOBeta)
	c.belowOne("fine_tuner.adam_beta1", f.AdamBeta1)
	c.belowOne("fine_tuner.adam_beta2", f.AdamBeta2)
	c.upTo("fine_tuner.adam_epsilon", f.AdamEpsilon, 1)
	c.faults = append(c.faults, optimizerargs.Faults(f.Optimizer, f.OptimArgs)...)
	checkPattern(c, "fine_tuner.rank_pattern", f.RankPattern, func(v float64) string {
		if v != math.Trunc(v) || v < 1 || v > maxRank {
			return fmt.Sprintf("whole numbers from 1 to %d", maxRank)
		}
		return ""
	})
	checkPattern(c, "fine_tuner.alpha_pattern", f.AlphaPattern, func(v float64) string {
		if !(v > 0) || math.IsInf(v, 0) {
			return "more than 0, and finite"
		}
		return ""
	})
	const otherData = `fine_tuner.method = "dpo" learns from the rows of the shape "preference", and no other method does`
	if f.DataFormat != "" && f.DataFormat != "auto" {
		c.require(Prefers(f) == (f.DataFormat == preference), "fine_tuner.data_format", strconv.Quote(f.DataFormat), otherData)
	}
	for _, name := range f.ModulesToSave {
		if strings.TrimSpace(name) == "" {
			c.require(false, "fine_tuner.modules_to_save", strconv.Quote(name), "is no name of a module")
			break
		}
	}
}

// checkValidations checks that a training whose course depends on validations has data for
// them.
func checkValidations(c *checker, f events.FineTuner) {
	validates := f.ValidationDataID != ""
	c.require(f.EarlyStoppingPatience <= 0 || validates, "fine_tuner.early_stopping_patience", fmt.Sprint(f.EarlyStoppingPatience), novalidation)
	c.require(!f.LoadBestModelAtEnd || validates, "fine_tuner.load_best_model_at_end", "true", novalidation)
}

const novalidation = "compares validations, and fine_tuner.validation_data_id names no data"

// checkPattern checks a table of numbers by names of modules. wrong returns what is allowed
// instead of a value.
func checkPattern(c *checker, key string, table map[string]float64, wrong func(float64) string) {
	if len(table) > events.MaxGates {
		c.require(false, key, "", fmt.Sprintf("has %s entries", events.Count(len(table))), fmt.Sprintf("%d at most", events.MaxGates))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if allowed := wrong(table[name]); allowed != "" {
			c.require(false, key+"."+name, strconv.FormatFloat(table[name], 'g', -1, 64), "out of range", allowed)
		}
	}
}

// checkScheduler checks that a scheduler has the arguments and the data without which
// Transformers cannot make it.
func checkScheduler(c *checker, f events.FineTuner) {
	given := f.LRSchedulerKwargs.Entries()
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { _, ok := given[n]; return ok })
	}
	need := func(example string, names ...string) {
		c.require(has(names...), "fine_tuner.lr_scheduler_type", strconv.Quote(f.LRSchedulerType),
			"needs an argument that fine_tuner.lr_scheduler_kwargs does not have: "+strings.Join(names, " or ")+", such as "+example)
	}
	switch f.LRSchedulerType {
	case "reduce_lr_on_plateau":
		c.require(f.ValidationDataID != "", "fine_tuner.lr_scheduler_type", strconv.Quote(f.LRSchedulerType), novalidation)
	case "cosine_with_min_lr", "cosine_warmup_with_min_lr":
		need("{ min_lr_rate = 0.1 }", "min_lr", "min_lr_rate")
	case "warmup_stable_decay":
		need("{ num_decay_steps = 100 }", "num_decay_steps")
	}
}
