package peft

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// AllLinear means every projection, in the place of names.
const AllLinear = "all-linear"

// Modules says what an adapter is on.
type Modules struct {
	config        Config
	isLinear      func(module string) bool
	targets       *regexp.Regexp // or nothing
	excluded      *regexp.Regexp
	saved         []*regexp.Regexp // modules below which there is no adapter
	layers        []*regexp.Regexp
	ranks, alphas []fitting
}

// fitting is an entry of a pattern.
type fitting struct {
	Entry
	fits *regexp.Regexp
}

// Modules are the modules of an adapter on a model, of which isLinear knows the
// projections by their paths, such as "model.layers.0.self_attn.q_proj". An error names
// an expression that Go's regular expressions do not have, such as a look-ahead.
func (c Config) Modules(isLinear func(module string) bool) (*Modules, error) {
	m := &Modules{config: c, isLinear: isLinear}
	var failed error
	compile := func(option, source, format string) *regexp.Regexp {
		re, err := regexp.Compile(fmt.Sprintf(format, source))
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s: %q: %w", option, source, err)
		}
		return re
	}
	if p := c.Targets.Pattern; p != "" && !strings.EqualFold(p, AllLinear) {
		m.targets = compile("target_modules", p, `^(?:%s)$`)
	}
	if c.Exclude.Pattern != "" {
		m.excluded = compile("exclude_modules", c.Exclude.Pattern, `^(?:%s)$`)
	}
	for _, name := range c.Save {
		m.saved = append(m.saved, compile("modules_to_save", name, `(?:^|^.*\.)%s(?:$|\..*)`))
	}
	for _, list := range c.LayerLists {
		m.layers = append(m.layers, compile("layers_pattern", list, `^(?:|.*?\.)%s\.(\d+)\.`))
	}
	if len(m.layers) == 0 {
		m.layers = append(m.layers, regexp.MustCompile(`^.*?\.[^.]*\.(\d+)\.`))
	}
	for _, e := range c.Ranks {
		m.ranks = append(m.ranks, fitting{e, compile("rank_pattern", e.Expression, `^(?:.*\.)?(?:%s)$`)})
	}
	for _, e := range c.Alphas {
		m.alphas = append(m.alphas, fitting{e, compile("alpha_pattern", e.Expression, `^(?:.*\.)?(?:%s)$`)})
	}
	return m, failed
}

// named reports whether a list has a module: its whole path, or the end of it behind a
// dot.
func named(list []string, module string) bool {
	return slices.ContainsFunc(list, func(name string) bool { return module == name || strings.HasSuffix(module, "."+name) })
}

// On reports whether the adapter is on a module.
func (m *Modules) On(module string) bool {
	fits := func(re *regexp.Regexp) bool { return re != nil && re.MatchString(module) }
	if fits(m.excluded) || named(m.config.Exclude.Names, module) || slices.ContainsFunc(m.saved, fits) {
		return false
	}
	targets := m.config.Targets
	switch {
	case m.targets != nil:
		return fits(m.targets)
	case targets.Pattern != "", len(targets.Names) == 0, slices.Contains(targets.Names, AllLinear):
		return m.isLinear(module) && m.inLayer(module)
	case slices.Contains(targets.Names, module): // whatever layer it is in
		return true
	}
	return named(targets.Names, module) && m.inLayer(module)
}

// inLayer reports whether a module is in one of the layers with an adapter.
func (m *Modules) inLayer(module string) bool {
	if len(m.config.Layers) == 0 {
		return true
	}
	for _, re := range m.layers {
		if found := re.FindStringSubmatch(module); found != nil {
			layer, err := strconv.Atoi(found[1])
			return err == nil && slices.Contains(m.config.Layers, layer)
		}
	}
	return false
}

// Rank is that of the adapter on a module.
func (m *Modules) Rank(module string) int {
	return int(valueOf(m.ranks, module, float64(m.config.Rank)))
}

// Scale is what the adapter on a module is multiplied by.
func (m *Modules) Scale(module string) float64 {
	alpha, rank := valueOf(m.alphas, module, m.config.Alpha), float64(m.Rank(module))
	if m.config.RSLoRA {
		return alpha / math.Sqrt(rank)
	}
	return alpha / rank
}

// valueOf is the value of the first entry that fits a module.
func valueOf(table []fitting, module string, otherwise float64) float64 {
	for _, e := range table {
		if e.fits.MatchString(module) {
			return e.Value
		}
	}
	return otherwise
}

// Fits reports whether any of the modules is one that an expression of a pattern fits.
func Fits(expression string, modules []string) (bool, error) {
	re, err := regexp.Compile(`^(?:.*\.)?(?:` + expression + `)$`)
	return err == nil && slices.ContainsFunc(modules, re.MatchString), err
}

// Saves reports whether a module learns as a whole: its path, or that of a module that
// it is part of, ends in one of the names.
func (m *Modules) Saves(module string) bool {
	for path := module; path != ""; path = path[:max(strings.LastIndexByte(path, '.'), 0)] {
		if slices.ContainsFunc(m.config.Save, func(end string) bool { return strings.HasSuffix(path, end) }) {
			return true
		}
	}
	return false
}
