package gc

import (
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/content"
)

// candidates are the objects that may be removed: their sizes by run and key,
// and the digests of content.
type candidates struct {
	byRun   map[string]map[string]int64
	content map[string]bool
	count   int
	// young is content that is too young to be removed, and that nothing refers to. used
	// counts what was found in use.
	young map[string]Sum
	used  int
}

// addYoung adds content that is too young to be removed.
func (c *candidates) addYoung(key string, size int64) {
	sum, ok := content.Digest(key)
	if !ok {
		return
	}
	if c.young == nil {
		c.young = map[string]Sum{}
	}
	of := c.young[sum]
	c.young[sum] = Sum{of.Count + 1, of.Bytes + size}
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

// addContent adds the content that a key belongs to, if it is one of content.
func (c *candidates) addContent(key string) {
	sum, ok := content.Digest(key)
	if !ok || c.content[sum] {
		return
	}
	if c.content == nil {
		c.content = map[string]bool{}
	}
	c.content[sum] = true
	c.count++
}

// runOf returns the run that an object was created or uploaded for.
func runOf(key string) (string, bool) {
	kind, rest, _ := strings.Cut(key, "/")
	run, name, hasName := strings.Cut(rest, "/")
	return run, (kind == "runs" || kind == "uploads") && hasName && name != "" && events.ValidToken(run)
}

// mark removes an object from the candidates.
func (c *candidates) mark(key string) {
	if sum, ok := content.Digest(key); ok {
		if c.content[sum] {
			delete(c.content, sum)
			c.count--
			c.used++
		}
		if _, ok := c.young[sum]; ok {
			delete(c.young, sum)
			c.used++
		}
		return
	}
	run, _ := runOf(key)
	if _, ok := c.byRun[run][key]; ok {
		delete(c.byRun[run], key)
		c.count--
		c.used++
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
