package modelserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/inference/modelserver"
)

// TestManyRowsWithFaultsAndKills: 10,000 rows at 64 open calls, of which three in ten fail in
// ten ways, by a process that is killed twice. Every row is answered once. No call is made
// again whose answer the process has got; of those under way at a kill, the server may have
// answered each.
func TestManyRowsWithFaultsAndKills(t *testing.T) {
	t.Parallel()
	const rows, kills, open = 10_000, 2, 64
	f := newFake(t)
	b := newBench(t.TempDir())
	b.write(t, rows)
	var answered, killAt atomic.Int64
	kill := make(chan struct{}, 1)
	f.before = func(w http.ResponseWriter, a asked, try int) bool {
		if tenFaults(w, a, try) {
			return true
		}
		if answered.Add(1) == killAt.Load() {
			kill <- struct{}{}
		}
		return false
	}
	text, err := json.Marshal(childJob{Dir: b.dir, Endpoint: f.URL})
	if err != nil {
		t.Fatal(err)
	}
	for life := range kills + 1 {
		killAt.Store(-1)
		if life < kills {
			killAt.Store(answered.Load() + rows/3)
		}
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Env, c.Stderr = append(os.Environ(), childVariable+"="+string(text)), os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		select {
		case <-kill:
			if err := c.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-ended
		case err := <-ended:
			if err != nil || life < kills {
				t.Fatalf("life %d ended with %v", life, err)
			}
		}
	}
	for i, p := range b.answers(t, prediction.FileName) {
		if p.Answer != fmt.Sprintf("base says q%d", i) || p.FinishReason != "stop" || p.Tokens != 3 || p.PromptTokens != 5 {
			t.Fatalf("row %d has the answer %+v", i, p)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.answered) != rows {
		t.Errorf("%d rows were answered", len(f.answered))
	}
	again := 0
	for q, n := range f.answered {
		again += n - 1
		if n > 1+kills {
			t.Errorf("%s was answered %d times", q, n)
		}
	}
	if again > kills*open {
		t.Errorf("%d calls were answered again, and only %d were under way at the kills", again, kills*open)
	}
	if f.peak > open {
		t.Errorf("%d calls were open at once", f.peak)
	}
	if left := leftovers(t, filepath.Join(b.dir, "machine")); len(left) > 0 {
		t.Errorf("the machine still has %q", left)
	}
	t.Logf("%d calls, %d answered again, %d open at once", len(f.calls), again, f.peak)
}

// BenchmarkOverhead is what a row costs beside the server's own time, which is nearly
// nothing here: rows, calls, answers on the disk.
func BenchmarkOverhead(b *testing.B) {
	const rows = 5000
	for b.Loop() {
		f := newFake(b)
		w := newBench(b.TempDir())
		w.write(b, rows)
		if _, err := modelserver.New(config(f.URL, filepath.Join(w.dir, "machine"))).Run(b.Context(), w.job(request(nil))); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/rows, "µs/row")
}
