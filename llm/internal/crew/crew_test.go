package crew

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

// TestPanic: a member that panics ends the work of all, wherever they wait, and its panic
// reaches whoever asked for the work. The crew works on after that.
func TestPanic(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 5} {
		for member := range size {
			c := New(size)
			got := func() (value any) {
				defer func() { value = recover() }()
				c.Run(func(who int) {
					c.Meet()
					if who == member {
						panic(fmt.Sprint("member ", who))
					}
					c.Meet()
				})
				return nil
			}()
			p, ok := got.(*Panic)
			if !ok || p.Value != fmt.Sprint("member ", member) || !strings.Contains(p.String(), "crew_test.go") {
				t.Fatalf("%d members, member %d: %v", size, member, got)
			}
			var done atomic.Int32
			c.Run(func(int) {
				c.Meet()
				done.Add(1)
			})
			if int(done.Load()) != size {
				t.Errorf("%d of %d members worked after that", done.Load(), size)
			}
		}
	}
}

// TestSome: the first members share the work, as many as are asked for and as there are.
func TestSome(t *testing.T) {
	t.Parallel()
	c := New(3)
	for members, want := range map[int]int32{-1: 1, 0: 1, 1: 1, 2: 2, 3: 3, 9: 3} {
		var done, highest atomic.Int32
		c.RunSome(members, func(who int) {
			from, to := c.Share(10, 1, who)
			done.Add(int32(to - from))
			c.Meet()
			for old := highest.Load(); old <= int32(who) && !highest.CompareAndSwap(old, int32(who)+1); old = highest.Load() {
			}
		})
		if done.Load() != 10 || highest.Load() != want {
			t.Errorf("%d members: %d of 10 things were done by %d, want %d", members, done.Load(), highest.Load(), want)
		}
	}
}
