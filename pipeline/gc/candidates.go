package gc

import (
	"strings"

	"github.com/tunebus/tunebus/events"
)

// candidates are the objects that may be removed: their sizes by run and key.
type candidates struct {
	byRun map[string]map[string]int64
	count int
}

// add adds an object if tunebus created it for a run.
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
	if _, exists := c.byRun[run][key]; !exists {
		c.count++
	}
	c.byRun[run][key] = size
}

// runOf returns the run that an object was created or uploaded for.
func runOf(key string) (string, bool) {
	kind, rest, _ := strings.Cut(key, "/")
	run, name, hasName := strings.Cut(rest, "/")
	return run, (kind == "runs" || kind == "uploads") && hasName && name != "" && events.ValidToken(run)
}

// mark removes an object from the candidates.
func (c *candidates) mark(key string) {
	run, _ := runOf(key)
	if _, ok := c.byRun[run][key]; ok {
		delete(c.byRun[run], key)
		c.count--
	}
}

// markBelow removes the objects of a run whose keys begin with a prefix from the
// candidates.
func (c *candidates) markBelow(prefix string) {
	run, _ := runOf(prefix + "x")
	for key := range c.byRun[run] {
		if strings.HasPrefix(key, prefix) {
			c.mark(key)
		}
	}
}

// markRun removes all objects of a run from the candidates.
func (c *candidates) markRun(run string) {
	c.count -= len(c.byRun[run])
	delete(c.byRun, run)
}
