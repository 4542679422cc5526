package restapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/mlflowtest"
)

// callOrder lets two writers search and create in a given order: each letter is
// the writer whose next call goes. Calls beyond the order go at once.
type callOrder struct {
	mu      sync.Mutex
	changed *sync.Cond
	order   string
	done    map[byte]bool
}

func newCallOrder(order string) *callOrder {
	g := &callOrder{order: order, done: map[byte]bool{}}
	g.changed = sync.NewCond(&g.mu)
	return g
}

// call waits until it is the turn of the writer, and calls do.
func (g *callOrder) call(writer byte, do func() (*http.Response, error)) (*http.Response, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.order != "" && g.order[0] != writer && !g.done[g.order[0]] {
		g.changed.Wait()
	}
	for g.order != "" && (g.order[0] == writer || g.done[g.order[0]]) {
		mine := g.order[0] == writer
		g.order = g.order[1:]
		if mine {
			break
		}
	}
	resp, err := do()
	g.changed.Broadcast()
	return resp, err
}

// finish removes a writer that has returned from the order.
func (g *callOrder) finish(writer byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done[writer] = true
	g.changed.Broadcast()
}

// inOrder is a target whose searches and creates follow an order.
func inOrder(t *testing.T, base string, g *callOrder, writer byte) *Target {
	t.Helper()
	return openREST(t, base, Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
		if !strings.HasSuffix(r.URL.Path, "runs/search") && !strings.HasSuffix(r.URL.Path, "runs/create") {
			return http.DefaultTransport.RoundTrip(r)
		}
		return g.call(writer, func() (*http.Response, error) { return http.DefaultTransport.RoundTrip(r) })
	})})
}

// orders calls each for all ways in which the calls of two writers can mix.
func orders(a, b int, prefix string, each func(string)) {
	if a == 0 && b == 0 {
		each(prefix)
		return
	}
	if a > 0 {
		orders(a-1, b, prefix+"a", each)
	}
	if b > 0 {
		orders(a, b-1, prefix+"b", each)
	}
}

// TestEnsureRunWithTwoWriters: one run is left in the end, in whatever order two
// writers search and create. MLflow's create is not idempotent, so both may
// create a run. The writer whose run is deleted gets an error at its next call.
func TestEnsureRunWithTwoWriters(t *testing.T) {
	t.Parallel()
	key := mlflow.RunKey{RunID: "01RUN", Phase: "pipeline"}
	n := 0
	orders(3, 3, "", func(order string) {
		n++
		s, base := startServer(t)
		plain := openREST(t, base, Options{})
		exp, err := plain.EnsureExperiment(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		g := newCallOrder(order)
		var all sync.WaitGroup
		ids := map[byte]string{}
		var mu sync.Mutex
		for _, writer := range []byte("ab") {
			target := inOrder(t, base, g, writer)
			all.Go(func() {
				defer g.finish(writer)
				id, err := target.EnsureRun(t.Context(), exp, key, mlflow.Run{Name: "r", StartTime: mlflowtest.Start})
				if err != nil {
					t.Errorf("%s: writer %c: %v", order, writer, err)
				}
				mu.Lock()
				defer mu.Unlock()
				ids[writer] = id
			})
		}
		all.Wait()
		final, err := plain.EnsureRun(t.Context(), exp, key, mlflow.Run{Name: "r", StartTime: mlflowtest.Start})
		if err != nil {
			t.Fatal(err)
		}
		active := 0
		for _, run := range s.runs {
			if run.info.Stage == "active" {
				active++
			}
		}
		if active != 1 {
			t.Errorf("%s: %d runs are left", order, active)
		}
		for writer, id := range ids {
			err := plain.LogParams(t.Context(), id, mlflowtest.Params(fmt.Sprintf("of.%c", writer), "1"))
			var refused *APIError
			if (err == nil) != (id == final) || err != nil && !errors.As(err, &refused) {
				t.Errorf("%s: writer %c has run %s of %s: %v", order, writer, id, final, err)
			}
		}
	})
	if n != 20 {
		t.Errorf("%d orders", n)
	}
}

// TestEnsureRunKeepsAFinishedRun: a writer creates a second run while another
// one finishes the first. It deletes its own run and returns the finished one.
func TestEnsureRunKeepsAFinishedRun(t *testing.T) {
	t.Parallel()
	s, base := startServer(t)
	plain := openREST(t, base, Options{})
	key := mlflow.RunKey{RunID: "01RUN", Phase: "pipeline"}
	exp, err := plain.EnsureExperiment(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	var finished string
	late := openREST(t, base, Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "runs/create") && finished == "" {
			id, err := plain.EnsureRun(r.Context(), exp, key, mlflow.Run{Name: "r", StartTime: mlflowtest.Start})
			if err == nil {
				err = plain.EndRun(r.Context(), id, mlflow.Finished, mlflowtest.End)
			}
			if finished = id; err != nil {
				t.Error(err)
			}
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	id, err := late.EnsureRun(t.Context(), exp, key, mlflow.Run{Name: "r", StartTime: mlflowtest.Start})
	if err != nil || id != finished || len(s.runs) != 2 {
		t.Errorf("run %s of %d, the finished one is %s: %v", id, len(s.runs), finished, err)
	}
}
