package llm

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/peft"
)

// Projections are the modules that an adapter can be attached to in most families,
// and stand for all modules in others, such as Phi-3, which has two of them as one.
func Projections() []string {
	return []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
}

// FusedProjections are those of the families that have some of [Projections] as one: the
// first of queries, keys and values, the second of gate and up.
func FusedProjections() []string { return []string{"qkv_proj", "gate_up_proj"} }

// LoRAConfig says what an adapter looks like (Hu et al. 2021).
type LoRAConfig struct {
	Rank  int
	Alpha float64
	// TargetModules are names of [Projections], or of [FusedProjections] where the model
	// has those, or "all-linear" alone.
	// Default: all.
	TargetModules []string
	// RSLoRA scales by Alpha/√Rank instead of Alpha/Rank.
	RSLoRA bool
	// Dropout is the share of an adapter's inputs that Train sets to zero, at
	// least 0 and below 1; the rest is scaled up by 1/(1-Dropout).
	Dropout float64
	Seed    int64
	// DoRA has magnitudes and directions of weights learn apart (Liu et al. 2024).
	DoRA bool
	// Bias says which biases learn too: "none", "all", or "lora_only", those of modules
	// with an adapter. Default "none".
	Bias string
	// ModulesToSave are the ends of names of modules that learn as a whole.
	ModulesToSave []string
	// RankPattern and AlphaPattern are other ranks and alphas of modules, by their names
	// or regular expressions for these.
	RankPattern, AlphaPattern map[string]float64
}

// described is the adapter as adapter_config.json describes it.
func (c LoRAConfig) described() peft.Config {
	return peft.Config{
		Rank: c.Rank, Alpha: c.Alpha, Dropout: c.Dropout, Targets: peft.Targets{Names: c.TargetModules}, Bias: cmp.Or(c.Bias, noBias), RSLoRA: c.RSLoRA,
		DoRA: c.DoRA, Save: c.ModulesToSave, Ranks: peft.PatternOf(c.RankPattern), Alphas: peft.PatternOf(c.AlphaPattern),
	}
}

const (
	noBias       = "none"
	biasSuffix   = ".bias"
	weightSuffix = ".weight"
)

// adapter is an adapter on a model.
type adapter struct {
	cfg       LoRAConfig
	of        Config // the model's
	described peft.Config
	modules   []adapted
	on        map[string]bool // the same modules
	// params are the weights that learn: A, B and perhaps the magnitudes of each module
	// in turn, then copies of weights of the model, which they take the place of.
	params []*param
	// instead are these copies, by their names.
	instead map[string]*param
}

// adapted is a module with an adapter.
type adapted struct {
	name            string
	rank            int
	scale           float64
	a, b, magnitude *param // magnitude is nil without DoRA
}

// newAdapter makes an adapter whose weights are not set yet.
func (m *Model) newAdapter(c peft.Config) (*adapter, error) {
	if c.Rank < 1 {
		return nil, fmt.Errorf("rank %d is less than 1", c.Rank)
	}
	if !(c.Dropout >= 0 && c.Dropout < 1) {
		return nil, fmt.Errorf("dropout %v is not in [0, 1)", c.Dropout)
	}
	modules, err := c.Modules(m.cfg.isProjection)
	if err != nil {
		return nil, err
	}
	a := &adapter{
		cfg: LoRAConfig{Rank: c.Rank, Alpha: c.Alpha, RSLoRA: c.RSLoRA, Dropout: c.Dropout, DoRA: c.DoRA, Bias: c.Bias, ModulesToSave: c.Save},
		of:  m.cfg, described: c, on: map[string]bool{}, instead: map[string]*param{},
	}
	for _, p := range m.params {
		module, ok := strings.CutSuffix(p.name, weightSuffix)
		path := m.cfg.wholeName(module) // as PEFT sees it
		if !ok || !modules.On(path) {
			continue
		}
		if !m.cfg.isProjection(module) {
			return nil, fmt.Errorf("target_modules: an adapter on %s %w", module, errUnsupported)
		}
		to := adapted{name: module, rank: modules.Rank(path), scale: modules.Scale(path)}
		if to.rank < 1 {
			return nil, fmt.Errorf("rank_pattern: rank %d of %s is less than 1", to.rank, module)
		}
		to.a = &param{name: module + loraA, shape: []int{to.rank, p.shape[1]}}
		to.b = &param{name: module + loraB, shape: []int{p.shape[0], to.rank}}
		a.params = append(a.params, to.a, to.b)
		if c.DoRA {
			to.magnitude = &param{name: module + loraMagnitude, shape: p.shape[:1]}
			a.params = append(a.params, to.magnitude)
		}
		a.modules, a.on[module] = append(a.modules, to), true
	}
	if len(a.params) == 0 {
		return nil, fmt.Errorf("target_modules: no module of the model matches %v%s", c.Targets.Names, c.Targets.Pattern)
	}
	return a, a.replace(m, modules)
}

// replace adds the weights of the model that learn as a whole.
func (a *adapter) replace(m *Model, modules *peft.Modules) error {
	found := false
	for _, p := range m.withHead() {
		bias, isBias := strings.CutSuffix(p.name, biasSuffix)
		module := strings.TrimSuffix(bias, weightSuffix)
		saved := modules.Saves(m.cfg.wholeName(module))
		found = found || saved
		if saved || isBias && (a.described.Bias == "all" || a.described.Bias == "lora_only" && a.on[module]) {
			copied := &param{name: p.name, shape: p.shape}
			a.params = append(a.params, copied)
			a.instead[p.name] = copied
		}
	}
	if len(a.described.Save) > 0 && !found {
		return fmt.Errorf("modules_to_save: no module of the model ends in %v", a.described.Save)
	}
	return nil
}

// withHead are the weights of the model, with a head also where it is the embedding.
func (m *Model) withHead() []*param {
	if !m.cfg.TieWordEmbeddings {
		return m.params
	}
	embed := m.byName[embedName]
	return append(slices.Clone(m.params), &param{name: headName, shape: embed.shape, data: embed.data, kept: embed.kept})
}

const (
	loraA         = ".lora_A.weight"
	loraB         = ".lora_B.weight"
	loraMagnitude = ".lora_magnitude_vector"
)

// AttachLoRA puts a new adapter on the model: A uniformly distributed within
// 1/√in, B zero, and magnitudes those of the weights, as PEFT does, so that it
// changes nothing at first. Train then changes the adapter alone.
func (m *Model) AttachLoRA(cfg LoRAConfig) error {
	a, err := cfg.on(m.cfg)
	if err != nil {
		return fmt.Errorf("attach adapter: %w", err)
	}
	a.cfg.Seed = cfg.Seed
	rng := rand.New(rand.NewPCG(uint64(cfg.Seed), 2))
	for _, to := range a.modules {
		to.a.data, to.b.data = make([]float32, to.a.size()), make([]float32, to.b.size())
		bound := 1 / math.Sqrt(float64(to.a.shape[1]))
		for i := range to.a.data {
			to.a.data[i] = float32((2*rng.Float64() - 1) * bound)
		}
		if to.magnitude != nil {
			to.magnitude.data = rowLengths(m.byName[to.name+weightSuffix])
		}
	}
	for _, p := range m.withHead() {
		if copied := a.instead[p.name]; copied != nil {
			copied.data = slices.Clone(p.values())
		}
	}
	m.setAdapter(a)
	return nil
}

// checkPatterns returns the error of an entry of a pattern that fits no module with an
// adapter, which a person would take to have an effect.
func (a *adapter) checkPatterns() error {
	var names []string
	for _, to := range a.modules {
		names = append(names, a.of.wholeName(to.name))
	}
	for key, table := range map[string]peft.Pattern{"rank_pattern": a.described.Ranks, "alpha_pattern": a.described.Alphas} {
		for _, e := range table {
			if fits, err := peft.Fits(e.Expression, names); err != nil {
				return fmt.Errorf("%s: %q: %w", key, e.Expression, err)
			} else if !fits {
				return fmt.Errorf("%s: %q fits no module with an adapter; there are %s, and with all that may stand before them names such as %s",
					key, e.Expression, strings.Join(lastNames(names), ", "), alike(names, e.Expression))
			}
		}
	}
	return nil
}

// checkSaved returns the error of names in modules_to_save that no module has. PEFT passes
// over them where another name fits, and a person would take them to learn.
func (a *adapter) checkSaved(m *Model) error {
	var names, unknown []string
	for _, p := range m.withHead() {
		names = append(names, a.of.wholeName(strings.TrimSuffix(strings.TrimSuffix(p.name, biasSuffix), weightSuffix)))
	}
	for _, name := range a.described.Save {
		alone, err := peft.Config{Save: []string{name}}.Modules(nil)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(names, alone.Saves) {
			unknown = append(unknown, strconv.Quote(name))
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("modules_to_save: no module of the model ends in %s; there are %s", strings.Join(unknown, ", "), strings.Join(lastNames(names), ", "))
	}
	return nil
}

// lastNames are the last parts of paths of modules, each once.
func lastNames(modules []string) []string {
	var out []string
	for _, m := range modules {
		if name := m[strings.LastIndexByte(m, '.')+1:]; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// alike is the path of a module that ends as an expression does, or the first one.
func alike(modules []string, expression string) string {
	last := expression[strings.LastIndexByte(expression, '.')+1:]
	for _, m := range modules {
		if strings.HasSuffix(m, "."+last) {
			return m
		}
	}
	return modules[0]
}

// rowLengths are the lengths of the rows of a matrix.
func rowLengths(p *param) []float32 {
	out, width := make([]float32, p.shape[0]), p.shape[1]
	if p.kept == nil {
		for i := range out {
			out[i] = length(p.data[i*width : (i+1)*width])
		}
		return out
	}
	const together = kernel.PanelColumns // not the whole matrix in float32
	part, scratch := make([]float32, together*width), new(kernel.Scratch)
	for from := 0; from < len(out); from += together {
		n := min(together, len(out)-from)
		p.kept.Fill(scratch, part, from, n)
		for i := range n {
			out[from+i] = length(part[i*width : (i+1)*width])
		}
	}
	return out
}

// length is that of a vector.
func length(row []float32) float32 {
	sum := 0.0
	for _, v := range row {
		sum += float64(v) * float64(v)
	}
	return float32(math.Sqrt(sum))
}

// on is the adapter on a model with this configuration, without weights.
func (c LoRAConfig) on(of Config) (*adapter, error) { return c.of(newModel(of)) }

// of is the adapter on a model, without weights.
func (c LoRAConfig) of(m *Model) (*adapter, error) {
	c.TargetModules = c.modules(m.cfg)
	for _, t := range c.TargetModules {
		if has := m.cfg.projections(); !slices.Contains(has, t) {
			return nil, fmt.Errorf("target_modules: the model has no module %q; it has %s", t, strings.Join(has, ", "))
		}
	}
	a, err := m.newAdapter(c.described())
	if err == nil {
		err = a.checkPatterns()
	}
	if err == nil {
		err = a.checkSaved(m)
	}
	return a, err
}

// Check returns the error of an adapter that cannot be on a model.
func (c LoRAConfig) Check(of Config) error {
	_, err := c.on(of)
	return err
}

// Biases is how many biases of a model learn beside an adapter.
func (c LoRAConfig) Biases(of Config) int {
	a, err := c.on(of)
	if err != nil {
		return 0
	}
	n := 0
	for name := range a.instead {
		if strings.HasSuffix(name, biasSuffix) {
			n++
		}
	}
	return n
}

// Excess returns the modules, by their last names, whose shorter side is below the
// rank of an adapter on a model, and the shortest of these sides. Ranks above a side
// add weights and nothing that the adapter could learn with them.
func (c LoRAConfig) Excess(of Config) (modules []string, side int) {
	on := c.modules(of)
	for _, p := range layout(of) {
		name, ok := strings.CutSuffix(p.name, ".weight")
		name = name[strings.LastIndexByte(name, '.')+1:]
		if !ok || !slices.Contains(on, name) || c.Rank <= slices.Min(p.shape) {
			continue
		}
		if side == 0 || slices.Min(p.shape) < side {
			side = slices.Min(p.shape)
		}
		if !slices.Contains(modules, name) {
			modules = append(modules, name)
		}
	}
	return modules, side
}

// modules are the modules of a model that the adapter is for.
func (c LoRAConfig) modules(of Config) []string {
	on := c.TargetModules
	if len(on) == 0 || slices.Contains(on, allLinear) {
		return of.projections()
	}
	for _, p := range Projections() { // all of them mean all that there are
		if !slices.Contains(on, p) {
			return on
		}
	}
	if len(on) == len(Projections()) {
		return of.projections()
	}
	return on
}

// LoRA says what the adapter of the model looks like; the zero value without
// one.
func (m *Model) LoRA() LoRAConfig {
	if m.lora == nil {
		return LoRAConfig{}
	}
	return m.lora.cfg
}

// SetDropout changes the dropout of the adapter, see [LoRAConfig].
func (m *Model) SetDropout(share float64) error {
	if m.lora == nil {
		return errors.New("set dropout: the model has no adapter")
	}
	if !(share >= 0 && share < 1) {
		return fmt.Errorf("dropout %v is not in [0, 1)", share)
	}
	m.lora.cfg.Dropout, m.lora.described.Dropout = share, share
	return nil
}

// MergeAdapter adds the adapter to the weights of the model, which then has
// none: W + scale·B·A, as PEFT's merge_and_unload does.
func (m *Model) MergeAdapter() error {
	if m.lora == nil {
		return errors.New("merge adapter: the model has none")
	}
	for _, to := range m.lora.modules {
		add := Adapted{Rank: to.rank, Scale: to.scale, A: to.a.data, B: to.b.data}
		if to.magnitude != nil {
			add.Magnitude = to.magnitude.data
		}
		w := m.byName[to.name+weightSuffix]
		w.thaw()
		add.Add(w.data, 0)
	}
	if a := m.lora.instead; m.cfg.TieWordEmbeddings && (a[headName] != nil || a[embedName] != nil) {
		head := m.withHead()[len(m.params)]
		head.data, head.kept = slices.Clone(head.values()), nil
		m.params, m.byName[headName], m.cfg.TieWordEmbeddings = append(m.params, head), head, false
	}
	for name, p := range m.lora.instead {
		m.byName[name].data, m.byName[name].kept = p.data, nil
	}
	m.setAdapter(nil)
	return nil
}
