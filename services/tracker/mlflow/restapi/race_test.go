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

// turnstile lets the calls of two writers through in a given order, and the
// rest freely: each letter of the order is the writer whose next search or
// create goes.
type turnstile struct {
	mu    sync.Mutex
	moved *sync.Cond
	order string
	done  map[byte]bool
}

func newTurnstile(order string) *turnstile {
	g := &turnstile{order: order, done: map[byte]bool{}}
	g.moved = sync.NewCond(&g.mu)
	return g
}

// pass waits for the writer's turn and does the call within it.
func (g *turnstile) pass(who byte, call func() (*http.Response, error)) (*http.Response, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.order != "" && g.order[0] != who && !g.done[g.order[0]] {
		g.moved.Wait()
	}
	for g.order != "" && (g.order[0] == who || g.done[g.order[0]]) {
		mine := g.order[0] == who
		g.order = g.order[1:]
		if mine {
			break
		}
	}
	answer, err := call()
	g.moved.Broadcast()
	return answer, err
}

func (g *turnstile) leave(who byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done[who] = true
	g.moved.Broadcast()
}

// gated is a target whose searches and creates wait at a turnstile.
func gated(t *testing.T, base string, g *turnstile, who byte) *Target {
	t.Helper()
	return openREST(t, base, Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
		if !strings.HasSuffix(r.URL.Path, "runs/search") && !strings.HasSuffix(r.URL.Path, "runs/create") {
			return http.DefaultTransport.RoundTrip(r)
		}
		return g.pass(who, func() (*http.Response, error) { return http.DefaultTransport.RoundTrip(r) })
	})})
}

// orders are all ways in which the three calls of two writers can mix.
func orders(a, b int, so string, each func(string)) {
	if a == 0 && b == 0 {
		each(so)
		return
	}
	if a > 0 {
		orders(a-1, b, so+"a", each)
	}
	if b > 0 {
		orders(a, b-1, so+"b", each)
	}
}

// TestEnsureRunWithTwoWriters: however the searches and creates of two writers
// mix, one run is left in the end, and a writer whose run was deleted finds it
// at its next try. MLflow's create is not idempotent, so both may create.
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
		g := newTurnstile(order)
		var all sync.WaitGroup
		ids := map[byte]string{}
		var mu sync.Mutex
		for _, who := range []byte("ab") {
			target := gated(t, base, g, who)
			all.Go(func() {
				defer g.leave(who)
				id, err := target.EnsureRun(t.Context(), exp, key, mlflow.Run{Name: "r", StartTime: mlflowtest.Start})
				if err != nil {
					t.Errorf("%s: writer %c: %v", order, who, err)
				}
				mu.Lock()
				defer mu.Unlock()
				ids[who] = id
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
		for who, id := range ids {
			err := plain.LogParams(t.Context(), id, mlflowtest.Params(fmt.Sprintf("of.%c", who), "1"))
			var refused *APIError
			if (err == nil) != (id == final) || err != nil && !errors.As(err, &refused) {
				t.Errorf("%s: writer %c has run %s of %s: %v", order, who, id, final, err)
			}
		}
	})
	if n != 20 {
		t.Errorf("%d orders", n)
	}
}

// TestEnsureRunKeepsAFinishedRun: a writer that was away while another one finished
// the run creates a second one, and gives it up for the finished one.
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
