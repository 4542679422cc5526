package showcmd_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// benchRun stands for the id of a run in the messages of a whole run.
const benchRun = "01BENCHRUN0000000000000000"

// benchFacts are the facts of a run of three phases as they are stored, in order.
func benchFacts(b *testing.B) []*nats.Msg {
	b.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	specification := spec.Defaults()
	specification.FineTuner.BaseModelID = "models/tiny-llama"
	var plan []events.Step
	for _, p := range events.Phases() {
		plan = append(plan, events.Step{Phase: p, Queue: "builtin"})
	}
	scores := map[string]float64{"bleu_score": 0.41, "rouge_score": 0.62, "rouge1": 0.64, "rouge2": 0.31, "rougeL": 0.6}
	coverage, links := map[string]events.Coverage{}, map[string]string{}
	var phases []events.PhaseResult
	for name := range scores {
		coverage[name] = events.Coverage{Scored: 128, Rows: 128}
	}
	for _, p := range events.Phases() {
		phases = append(phases, events.PhaseResult{Phase: p, Conclusion: events.Success, DurationSeconds: 60, Attempts: 1})
		links["mlflow_"+string(p)] = "https://mlflow.example/#/experiments/1/runs/" + benchRun + string(p)
	}
	for _, report := range []string{"config.toml", "evaluator_output_detailed.xlsx", "evaluator_output_summary.json", "pipeline_summary.json"} {
		links[report] = "/srv/tunebus/reports/" + benchRun + "/" + report
	}
	all := []events.Event{events.PipelineAccepted{
		RunID: benchRun, RunName: "quickstart-lively-fox-17", RequestedAt: at, Specification: specification, Plan: plan,
		Labels: map[string]string{"team": "search", "ticket": "ML-1234"},
	}}
	for _, p := range events.Phases() {
		done := events.PhaseCompleted{RunID: benchRun, Phase: p, Attempt: 1, Conclusion: events.Success, StartedAt: at, EndedAt: at.Add(time.Minute)}
		if p == events.Evaluation {
			done.Scores, done.BaselineScores, done.Coverage, done.BaselineCoverage = scores, scores, coverage, coverage
		}
		all = append(all,
			events.PhaseRequested{RunID: benchRun, RunName: "quickstart-lively-fox-17", Phase: p, Queue: "builtin", Specification: specification, Plan: plan, RequestedAt: at},
			events.PhaseStarted{RunID: benchRun, Phase: p, Attempt: 1, Worker: "worker-7", Engine: "builtin", StartedAt: at},
			done)
	}
	all = append(all,
		events.PipelineCompleted{
			RunID: benchRun, Conclusion: events.Success, StartedAt: at, EndedAt: at.Add(3 * time.Minute), DurationSeconds: 180, Phases: phases,
			Scores: scores, BaselineScores: scores, Coverage: coverage, BaselineCoverage: coverage,
		},
		events.TrackingCompleted{RunID: benchRun, Links: links})
	var msgs []*nats.Msg
	for _, ev := range all {
		m, err := codec.New("bench").Encode(b.Context(), ev, codec.MessageID(ev))
		if err != nil {
			b.Fatal(err)
		}
		m.Header.Del(nats.MsgIdHdr) // the server would remember a million of them
		msgs = append(msgs, m)
	}
	return msgs
}

// storeRuns stores so many runs that have ended.
func storeRuns(b *testing.B, url string, runs int) {
	b.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	const pending = 2000
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(pending))
	if err != nil {
		b.Fatal(err)
	}
	facts := benchFacts(b)
	for i := range runs {
		id := fmt.Sprintf("01BENCHRUN%016d", i)
		for _, f := range facts {
			m := &nats.Msg{Subject: strings.Replace(f.Subject, benchRun, id, 1), Header: f.Header, Data: bytes.ReplaceAll(f.Data, []byte(benchRun), []byte(id))}
			if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
				b.Fatal(err)
			}
		}
	}
	<-js.PublishAsyncComplete()
}

// runMeasured runs a program and returns its output, its largest memory in KiB, and
// the time that the processors worked for it.
func runMeasured(b *testing.B, program string, args ...string) (out []byte, peak int64, work time.Duration) {
	b.Helper()
	c := exec.CommandContext(b.Context(), program, args...)
	var text, screen bytes.Buffer
	c.Dir, c.Stdout, c.Stderr = b.TempDir(), &text, &screen // without settings
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				b.Fatalf("%v\n%s", err, screen.String())
			}
			return text.Bytes(), peak, c.ProcessState.UserTime() + c.ProcessState.SystemTime()
		case <-look.C:
			// What the system tells of a process that has ended includes its parent.
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
			_, after, _ := strings.Cut(string(status), "VmHWM:")
			if now, err := strconv.ParseInt(strings.TrimSpace(strings.Split(after, "kB")[0]), 10, 64); err == nil {
				peak = max(peak, now)
			}
		}
	}
}

// BenchmarkRuns measures "tunebus runs" as a process of its own, with BENCH_RUNS
// runs on a server, by default 10,000: how long it takes and its largest memory.
//
//	BENCH_RUNS=100000 go test -run '^$' -bench Runs -benchtime 5x -timeout 30m ./internal/cli/showcmd
func BenchmarkRuns(b *testing.B) {
	runs := 10_000
	if text := os.Getenv("BENCH_RUNS"); text != "" {
		var err error
		if runs, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	program := filepath.Join(b.TempDir(), "tunebus")
	build := exec.CommandContext(b.Context(), "go", "build", "-o", program, ".")
	build.Dir = filepath.Join(clitest.Root(), "cmd", "tunebus")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	server := bustest.Start(b, embedded.Options{Dir: b.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true})
	c := bustest.Connect(b, server)
	if err := topology.Apply(b.Context(), c, topology.Topology{}); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	storeRuns(b, server.URL(), runs)
	b.Logf("%d runs stored within %s", runs, time.Since(began).Round(time.Second))
	measure := func(name string, args ...string) {
		b.Run(name, func(b *testing.B) {
			var memory int64
			var work time.Duration
			for range b.N {
				out, peak, cpu := runMeasured(b, program, append([]string{"runs", "--server", server.URL()}, args...)...)
				memory, work = max(memory, peak), work+cpu
				if want := fmt.Sprintf("01BENCHRUN%016d", runs-1); !bytes.Contains(out[:min(len(out), 1000)], []byte(want)) {
					b.Fatalf("the newest run is not the first:\n%.1000s", out)
				}
			}
			b.ReportMetric(work.Seconds()*1000/float64(b.N), "cpu-ms/list")
			b.ReportMetric(float64(memory)/1024, "MiB")
			b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N), "ms/list")
		})
	}
	measure("newest20-without-lines", "--limit", "20")
	began = time.Now()
	for index, done := runindex.New(c), false; !done; {
		var err error
		if done, err = index.Update(b.Context()); err != nil && !conn.IsUnanswered(err) {
			b.Fatal(err)
		}
	}
	b.Logf("lines of %d runs written within %s", runs, time.Since(began).Round(time.Second))
	measure("newest20", "--limit", "20")
	measure("all")
	measure("all-json", "--json")
	measure("label", "--label", "team=search", "--limit", "1000")
}
