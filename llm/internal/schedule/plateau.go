package schedule

import "fmt"

// plateau lowers the learning rate where validations no longer get better. Source:
// torch, ReduceLROnPlateau.
type plateau struct {
	most, absolute      bool // the highest value is the best one; the threshold is no share
	factor, threshold   float64
	patience, cooldown  int
	lowest, significant float64 // rates, and the least change of one
}

func plateauArguments() []string {
	return []string{"mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps"}
}

func newPlateau(a *arguments) *plateau {
	p := &plateau{
		most: a.text("mode", "min", "min", "max") == "max", absolute: a.text("threshold_mode", "rel", "rel", "abs") == "abs",
		factor: a.number("factor", 0.1), threshold: a.number("threshold", 1e-4), patience: int(a.number("patience", 10)), cooldown: int(a.number("cooldown", 0)),
		lowest: a.number("min_lr", 0), significant: a.number("eps", 1e-8),
	}
	a.require(p.factor < 1, "factor = %g must be below 1", p.factor)
	return p
}

// better reports whether a loss is better than the best one.
func (p *plateau) better(loss, best float64) bool {
	margin := p.threshold
	switch {
	case !p.absolute && p.most:
		return loss > best*(1+margin)
	case !p.absolute:
		return loss < best*(1-margin)
	case p.most:
		return loss > best+margin
	}
	return loss < best-margin
}

// step takes the loss of a validation.
func (p *plateau) step(s *State, rate, loss float64) {
	if s.Rate == 0 {
		s.Rate = rate
	}
	if s.Seen == 0 || p.better(loss, s.Best) {
		s.Best, s.Bad = loss, 0
	} else {
		s.Bad++
	}
	s.Seen++
	if s.Cooling > 0 {
		s.Cooling--
		s.Bad = 0
	}
	if s.Bad > p.patience {
		if lower := max(s.Rate*p.factor, p.lowest); s.Rate-lower > p.significant {
			s.Rate = lower
		}
		s.Cooling, s.Bad = p.cooldown, 0
	}
}

// arguments are those that a person gave a schedule.
type arguments struct {
	given  map[string]any
	faults []error
}

func (a *arguments) require(holds bool, format string, values ...any) {
	if !holds {
		a.faults = append(a.faults, fmt.Errorf(format, values...))
	}
}

// number is an argument that is a number.
func (a *arguments) number(name string, otherwise float64) float64 {
	v, ok := a.given[name]
	if !ok {
		return otherwise
	}
	switch v := v.(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	}
	a.require(false, "%s = %v is no number", name, v)
	return otherwise
}

// text is an argument that is one of some texts.
func (a *arguments) text(name, otherwise string, allowed ...string) string {
	v, ok := a.given[name]
	if !ok {
		return otherwise
	}
	for _, t := range allowed {
		if v == t {
			return t
		}
	}
	a.require(false, "%s = %v is none of %v", name, v, allowed)
	return otherwise
}
