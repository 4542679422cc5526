package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/events"
)

// allLinear, alone in the list of modules, means all of them.
const allLinear = "all-linear"

// AdapterModules are the modules that the built-in engine can put an adapter on. Phi has
// the last two in the place of five others.
func AdapterModules() []string {
	return []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "gate_up_proj"}
}

// modules checks which modules get an adapter. Other engines know other families, and
// so other modules.
func (c *checker) modules(f events.FineTuner) {
	const key = "fine_tuner.target_modules"
	if len(f.TargetModules) == 1 && f.TargetModules[0] == allLinear {
		return
	}
	known := AdapterModules()
	allowed := strings.Join(known, ", ") + fmt.Sprintf(", or %q", allLinear) // once, because a list from outside may be long
	for _, name := range f.TargetModules {
		switch {
		case len(c.faults) > maxFaults:
			return
		case name == allLinear:
			c.require(false, key, strconv.Quote(name), "means all modules, and stands beside others; name it alone")
		case !slices.Contains(known, name):
			c.require(false, key, strconv.Quote(name), "is no module that the built-in engine puts an adapter on"+suggestion(name, known), allowed)
		}
	}
}
