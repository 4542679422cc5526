package gc

import (
	"strings"

	"github.com/tunebus/tunebus/events"
)

// candidates are the objects that may go, by the run whose name they carry.
// Only keys and sizes are held.
type candidates struct {
	byRun map[string]map[string]int64
	count int
}

// add takes an object if tunebus made it for a run.
func (c *candidates) add(key string, size int64) {
	run, ok := runOf(key)
	if !ok {
		return
	}
	if c.byRun == nil {
		c.byRun = map[string]map[string]int64{}
	}
	if c.byRun[run] == nil {
		c.byRun[run] = map[string]int64{}
	}
	if _, again := c.byRun[run][key]; !again {
		c.count++
	}
	c.byRun[run][key] = size
}

// runOf is the run that an object was made or uploaded for.
func runOf(key string) (string, bool) {
	kind, rest, _ := strings.Cut(key, "/")
	run, name, below := strings.Cut(rest, "/")
	return run, (kind == "runs" || kind == "uploads") && below && name != "" && events.ValidToken(run)
}

// keep spares an object.
func (c *candidates) keep(key string) {
	run, _ := runOf(key)
	if _, ok := c.byRun[run][key]; ok {
		delete(c.byRun[run], key)
		c.count--
	}
}

// keepRun spares all objects of a run.
func (c *candidates) keepRun(run string) {
	c.count -= len(c.byRun[run])
	delete(c.byRun, run)
}
