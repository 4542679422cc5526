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
