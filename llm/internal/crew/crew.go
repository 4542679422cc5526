// Package crew has goroutines work side by side on one thing, a share each. They
// exist while the work lasts, wait for each other where the work says so, and make
// nothing anew from one work to the next.
package crew

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Crew are goroutines that work side by side. It does one work at a time.
type Crew struct {
	size    int
	busy    int // the members that have the work of now
	work    func(member int)
	members []func()
	done    sync.WaitGroup
	// where they meet
	waiting, round atomic.Int32
	lock           sync.Mutex
	met            *sync.Cond
	// of a member that panicked
	failed atomic.Bool
	panic  *Panic
}

// Panic is what Run panics with where a member did: with its value, and where it was.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) String() string { return fmt.Sprintf("%v\n%s", p.Value, p.Stack) }

// errLeft is what the others of a member that panicked leave the work with.
const errLeft = "another member panicked"

// New is a crew of so many members, at least one.
func New(size int) *Crew {
	c := &Crew{size: max(size, 1)}
	c.met = sync.NewCond(&c.lock)
	for m := range c.size { // made once, so that no step allocates them
		c.members = append(c.members, func() {
			defer c.done.Done()
			defer c.caught()
			c.work(m)
		})
	}
	return c
}

// Size is the number of members.
func (c *Crew) Size() int { return c.size }

// Run has every member do the work, and waits for all. It panics with a [*Panic] where a
// member does, on the goroutine of the caller, who may go on after that.
func (c *Crew) Run(work func(member int)) { c.RunSome(c.size, work) }

// RunSome is Run with the first members alone, at least one: to wake the others takes as
// long as some small works do.
func (c *Crew) RunSome(members int, work func(member int)) {
	c.busy, c.work, c.panic = min(max(members, 1), c.size), work, nil
	c.failed.Store(false)
	c.waiting.Store(0)
	c.done.Add(c.busy)
	for _, m := range c.members[1:c.busy] {
		go m()
	}
	c.members[0]()
	c.done.Wait()
	if c.panic != nil {
		panic(c.panic)
	}
}

// caught ends the work of all where a member panics.
func (c *Crew) caught() {
	value := recover()
	if value == nil {
		return
	}
	c.lock.Lock()
	if c.panic == nil && value != errLeft {
		c.panic = &Panic{value, debug.Stack()}
	}
	c.failed.Store(true)
	c.lock.Unlock()
	c.met.Broadcast()
}

// Meet waits for all members that have the work. They mostly come within microseconds, which is
// less than it takes to wake a goroutine.
func (c *Crew) Meet() {
	if c.busy == 1 {
		return
	}
	round := c.round.Load()
	if int(c.waiting.Add(1)) == c.busy {
		c.waiting.Store(0)
		c.lock.Lock()
		c.round.Add(1)
		c.lock.Unlock()
		c.met.Broadcast()
		return
	}
	for i := range 3000 {
		if c.round.Load() != round {
			return
		}
		if c.failed.Load() {
			panic(errLeft)
		}
		if i > 2000 {
			runtime.Gosched()
		}
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	for c.round.Load() == round {
		if c.failed.Load() {
			panic(errLeft)
		}
		c.met.Wait()
	}
}

// Share is what a member has of n things, in multiples of step, while the crew works.
func (c *Crew) Share(n, step, member int) (from, to int) {
	units := (n + step - 1) / step
	return min(n, units*member/c.busy*step), min(n, units*(member+1)/c.busy*step)
}
