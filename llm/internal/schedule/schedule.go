// Package schedule says which learning rate a step has: the schedules of transformers,
// by their names there and with their arguments.
package schedule

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Span is what a schedule is stretched over.
type Span struct {
	Rate   float64 // the highest one
	Warmup int     // steps until then
	Steps  int64   // of the training
}

// State is what the learning rate depends on beside the step.
type State struct {
	// Rate is the learning rate, where validations lower it; 0: none has yet.
	Rate float64 `json:"rate,omitempty"`
	// Best is the best loss of Seen validations, Bad counts those since, and Cooling
	// those that do not count.
	Best    float64 `json:"best,omitempty"`
	Seen    int     `json:"seen,omitempty"`
	Bad     int     `json:"bad,omitempty"`
	Cooling int     `json:"cooling,omitempty"`
}

// Schedule is a schedule of a training.
type Schedule struct {
	span  Span
	share func(step, warm, all float64) float64
	// plateau is set where validations lower the learning rate.
	plateau *plateau
	state   State
}

const plateauName = "reduce_lr_on_plateau"

// kind is how a schedule is made, and the arguments that it takes.
type kind struct {
	arguments []string
	make      func(a *arguments, s Span) func(step, warm, all float64) float64
}

// Names are the schedules that there are.
func Names() []string {
	return []string{
		"linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt",
		"cosine_with_min_lr", "cosine_warmup_with_min_lr", "warmup_stable_decay", plateauName,
	}
}

// New makes a schedule. An error names what there is not, and what is allowed.
func New(name string, given map[string]any, span Span) (*Schedule, error) {
	s := &Schedule{span: span}
	name = cmp.Or(name, "linear")
	k, ok := kinds()[name]
	if !ok && name != plateauName {
		return nil, fmt.Errorf("there is no schedule %q; there are %s", name, strings.Join(Names(), ", "))
	}
	a := &arguments{given: given}
	if name == plateauName {
		k.arguments = plateauArguments()
		s.plateau = newPlateau(a)
	} else {
		s.share = k.make(a, span)
	}
	for argument := range given {
		if !slices.Contains(k.arguments, argument) {
			a.faults = append(a.faults, noArgument(argument, k.arguments))
		}
	}
	if err := errors.Join(a.faults...); err != nil {
		return nil, fmt.Errorf("schedule %q: %w", name, err)
	}
	return s, nil
}

func noArgument(argument string, known []string) error {
	if len(known) == 0 {
		return fmt.Errorf("there is no argument %s; it takes none", argument)
	}
	return fmt.Errorf("there is no argument %s; there are %s", argument, strings.Join(known, ", "))
}

// Rate is the learning rate of a step, counted from 0.
func (s *Schedule) Rate(step int64) float64 {
	if s.plateau != nil {
		return cmp.Or(s.state.Rate, s.span.Rate)
	}
	return s.span.Rate * s.share(float64(step), float64(s.span.Warmup), float64(s.span.Steps))
}

// Highest is the highest learning rate of so many steps.
func (s *Schedule) Highest(steps int64) (rate float64) {
	if s.plateau != nil { // it only falls
		return s.span.Rate
	}
	for step := range steps {
		rate = max(rate, s.Rate(step))
	}
	return rate
}

// Validated tells of the loss of a validation.
func (s *Schedule) Validated(loss float64) {
	if s.plateau != nil {
		s.plateau.step(&s.state, s.span.Rate, loss)
	}
}

// State is what the schedule remembers.
func (s *Schedule) State() State { return s.state }

// Restore has the schedule remember it.
func (s *Schedule) Restore(state State) { s.state = state }

// warmed is a share with a line up to it before.
func warmed(after func(step, warm, all float64) float64) func(step, warm, all float64) float64 {
	return func(step, warm, all float64) float64 {
		if step < warm {
			return step / max(1, warm)
		}
		return after(step, warm, all)
	}
}

// progress is which part of the steps behind the warm-up are done.
func progress(step, warm, all float64) float64 { return (step - warm) / max(1, all-warm) }

// wave is half a cosine after one half of a cycle.
func wave(cycles, progress float64) float64 {
	return 0.5 * (1 + math.Cos(math.Pi*cycles*2*progress))
}

// kinds are the schedules that depend on the step alone. Source: transformers,
// optimization.py.
func kinds() map[string]kind {
	return map[string]kind{
		"constant": {nil, func(*arguments, Span) func(step, warm, all float64) float64 {
			return func(float64, float64, float64) float64 { return 1 }
		}},
		"constant_with_warmup": {nil, func(*arguments, Span) func(step, warm, all float64) float64 {
			return warmed(func(float64, float64, float64) float64 { return 1 })
		}},
		"linear": {nil, func(*arguments, Span) func(step, warm, all float64) float64 {
			return warmed(func(step, warm, all float64) float64 { return max(0, 1-progress(step, warm, all)) })
		}},
		"cosine":                    {[]string{"num_cycles"}, cosine},
		"cosine_with_restarts":      {[]string{"num_cycles"}, restarts},
		"polynomial":                {[]string{"lr_end", "power"}, polynomial},
		"inverse_sqrt":              {[]string{"timescale"}, inverseRoot},
		"cosine_with_min_lr":        {[]string{"num_cycles", "min_lr", "min_lr_rate"}, cosineAbove},
		"cosine_warmup_with_min_lr": {[]string{"num_cycles", "min_lr", "min_lr_rate", "warmup_lr_rate"}, cosineWarmedAbove},
		"warmup_stable_decay":       {[]string{"num_decay_steps", "num_stable_steps", "warmup_type", "decay_type", "min_lr_ratio", "num_cycles"}, stable},
	}
}

func cosine(a *arguments, _ Span) func(step, warm, all float64) float64 {
	cycles := a.number("num_cycles", 0.5)
	return warmed(func(step, warm, all float64) float64 { return max(0, wave(cycles, progress(step, warm, all))) })
}

func restarts(a *arguments, _ Span) func(step, warm, all float64) float64 {
	cycles := a.number("num_cycles", 1)
	return warmed(func(step, warm, all float64) float64 {
		done := progress(step, warm, all)
		if done >= 1 {
			return 0
		}
		return max(0, wave(0.5, math.Mod(cycles*done, 1)))
	})
}

func polynomial(a *arguments, s Span) func(step, warm, all float64) float64 {
	end, power := a.number("lr_end", 1e-7), a.number("power", 1)
	a.require(s.Rate > end, "lr_end = %g must be below the learning rate, %g", end, s.Rate)
	return warmed(func(step, warm, all float64) float64 {
		left := math.Pow(max(0, 1-progress(step, warm, all)), power)
		return ((s.Rate-end)*left + end) / s.Rate
	})
}

func inverseRoot(a *arguments, s Span) func(step, warm, all float64) float64 {
	scale := a.number("timescale", float64(cmp.Or(s.Warmup, 10_000)))
	a.require(scale > 0, "timescale = %g must be above 0", scale)
	return warmed(func(step, warm, _ float64) float64 { return 1 / math.Sqrt((step+scale-warm)/scale) })
}

// lowest is the lowest share of the learning rate, which one of two arguments says.
func lowest(a *arguments, s Span) float64 {
	_, rate := a.given["min_lr"]
	_, share := a.given["min_lr_rate"]
	a.require(rate != share, "either min_lr or min_lr_rate has to be given, such as min_lr_rate = 0.1")
	if rate {
		return a.number("min_lr", 0) / s.Rate
	}
	return a.number("min_lr_rate", 0)
}

func cosineAbove(a *arguments, s Span) func(step, warm, all float64) float64 {
	cycles, low := a.number("num_cycles", 0.5), lowest(a, s)
	return warmed(func(step, warm, all float64) float64 {
		return max(0, wave(cycles, progress(step, warm, all))*(1-low)+low)
	})
}

func cosineWarmedAbove(a *arguments, s Span) func(step, warm, all float64) float64 {
	cycles, low := a.number("num_cycles", 0.5), lowest(a, s)
	first := a.number("warmup_lr_rate", 0)
	_, given := a.given["warmup_lr_rate"]
	return func(step, warm, all float64) float64 {
		switch {
		case step < warm && !given:
			return (step + 1) / max(1, warm)
		case step < warm:
			return first + (1-first)*step/max(1, warm-1)
		}
		return max(0, wave(cycles, (step-warm+1)/max(1, all-warm))*(1-low)+low)
	}
}

func stable(a *arguments, s Span) func(step, warm, all float64) float64 {
	decay, low, cycles := a.number("num_decay_steps", 0), a.number("min_lr_ratio", 0), a.number("num_cycles", 0.5)
	stay := a.number("num_stable_steps", float64(s.Steps)-float64(s.Warmup)-decay)
	up, down := a.text("warmup_type", "linear", "linear", "cosine", "1-sqrt"), a.text("decay_type", "cosine", "linear", "cosine", "1-sqrt")
	_, given := a.given["num_decay_steps"]
	a.require(given, "num_decay_steps has to be given, such as num_decay_steps = 100")
	shaped := func(kind string, left, cycles float64) float64 {
		switch kind {
		case "cosine":
			left = wave(cycles, 1-left)
		case "1-sqrt":
			left = 1 - math.Sqrt(1-left)
		}
		return max(0, left*(1-low)+low)
	}
	return func(step, warm, _ float64) float64 {
		switch {
		case step < warm:
			return shaped(up, step/max(1, warm), 0.5)
		case step < warm+stay:
			return 1
		case step < warm+stay+decay:
			return shaped(down, 1-(step-warm-stay)/max(1, decay), cycles)
		}
		return low
	}
}
