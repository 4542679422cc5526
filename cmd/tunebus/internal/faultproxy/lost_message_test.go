package faultproxy_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

var (
	all  = flag.Bool("faultproxy.all", false, "lose the first and the second message of each kind of each process, with and without what it asks for being done")
	only = flag.String("faultproxy.case", "", "the one case to run, such as \"intake/publish 1 stored\"")
)

// atOnce is how many cases run at the same time. They mostly wait.
const atOnce = 8

// limit is how long after the loss of a message everything has to be at rest.
const limit = ackWait + 60*time.Second

// lostMessage is one case: a message of a process that is lost, or whose answer
// is.
type lostMessage struct {
	process string
	bustest.Fault
}

func (c lostMessage) String() string {
	stored := "not stored"
	if c.Stored {
		stored = "stored"
	}
	return fmt.Sprintf("%s/%s %d %s", c.process, c.Op, c.Occurrence, stored)
}

// TestLostMessage plays the scenario once without a fault: each kind of message
// is sent by some process, and no message is of no kind. Then it loses messages
// of each kind, one in each case: the first and the second, with and without
// what it asks for being done. Everything ends in time, and nothing is lost or
// done twice. The cases of a kind are spread over the processes that send it.
func TestLostMessage(t *testing.T) {
	t.Parallel()
	d := deploy(t, "", bustest.Fault{})
	d.play(t)
	seen := map[conn.Op][]string{} // the processes that send each kind
	for _, name := range processes() {
		for op := range d.proxies[name].Counts() {
			seen[op] = append(seen[op], name)
		}
		for _, subject := range d.proxies[name].Unknown() {
			t.Errorf("%s sends a message on %s, which is of no kind: name it beside conn.Op, and in bustest/wire_op.go", name, subject)
		}
	}
	for _, op := range kinds(t) {
		if len(seen[op]) == 0 {
			t.Errorf("nobody sends a message of the kind %q", op)
		}
	}
	if t.Failed() {
		return
	}
	var cases sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, c := range choose(seen) {
		if *only != "" && c.String() != *only {
			continue
		}
		slots <- struct{}{}
		cases.Go(func() {
			defer func() { <-slots }()
			begin := time.Now()
			ok := t.Run(c.String(), c.run)
			t.Logf("%s: %v after %s", c, ok, time.Since(begin).Round(time.Millisecond))
		})
	}
	cases.Wait()
}

// choose chooses the cases.
func choose(seen map[conn.Op][]string) (cases []lostMessage) {
	for _, op := range slices.Sorted(maps.Keys(seen)) {
		by := seen[op]
		faults := make([]bustest.Fault, 0, 4)
		for _, occurrence := range []int{1, 2} {
			for _, stored := range []bool{true, false} {
				faults = append(faults, bustest.Fault{Op: op, Occurrence: occurrence, Stored: stored})
			}
		}
		if *all || *only != "" {
			for _, process := range by {
				for _, f := range faults {
					cases = append(cases, lostMessage{process, f})
				}
			}
			continue
		}
		for i := range max(len(faults), len(by)) {
			cases = append(cases, lostMessage{by[i%len(by)], faults[i%len(faults)]})
		}
	}
	return cases
}

// run plays the scenario with the case's fault.
func (c lostMessage) run(t *testing.T) {
	d := deploy(t, c.process, c.Fault)
	// Without a connection no checkpoint can be registered, so that an attempt
	// may repeat steps.
	d.state.Outages = []snapshot.Outage{{From: time.Now(), To: time.Now().Add(time.Hour)}}
	d.play(t)
	if !d.proxies[c.process].Struck() {
		t.Log("the process sent no second message of the kind, so nothing was lost")
	}
}

// kinds are the constants of conn.Op.
func kinds(t *testing.T) (all []conn.Op) {
	t.Helper()
	path := filepath.Join("..", "..", "..", "..", "pipeline", "bus", "conn", "op.go")
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := v.Type.(*ast.Ident); !ok || typ.Name != "Op" || len(v.Values) != 1 {
			return true
		}
		text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn.Op(text))
		return true
	})
	return all
}
