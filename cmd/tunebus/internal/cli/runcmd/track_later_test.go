package runcmd_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// mlflowServer answers as much of MLflow's REST API as a tracker asks for,
// and remembers the runs.
type mlflowServer struct {
	mu    sync.Mutex
	runs  []map[string]string // tags of each, by name, and its "status"
	files []string
}

func (s *mlflowServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodPut {
		s.files = append(s.files, r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
		return
	}
	var ask struct {
		ID     string `json:"run_id"`
		Status string `json:"status"`
		Filter string `json:"filter"`
		Tags   []struct{ Key, Value string }
	}
	_ = json.NewDecoder(r.Body).Decode(&ask) // a GET has none
	info := func(id string) map[string]any {
		return map[string]any{"info": map[string]any{"run_id": id, "artifact_uri": "mlflow-artifacts:/1/" + id + "/artifacts"}, "data": map[string]any{}}
	}
	answer := map[string]any{}
	switch call := strings.TrimPrefix(r.URL.Path, "/api/2.0/mlflow/"); call {
	case "experiments/get-by-name":
		answer["experiment"] = map[string]string{"experiment_id": "1", "lifecycle_stage": "active"}
	case "runs/search":
		var found []any
		for i, tags := range s.runs {
			if strings.Contains(ask.Filter, "'"+tags["tunebus.run_id"]+"'") && strings.Contains(ask.Filter, "'"+tags["tunebus.phase"]+"'") {
				found = append(found, info(fmt.Sprint(i)))
			}
		}
		answer["runs"] = found
	case "runs/create":
		tags := map[string]string{}
		for _, tag := range ask.Tags {
			tags[tag.Key] = tag.Value
		}
		s.runs = append(s.runs, tags)
	case "runs/get":
		answer["run"] = info(r.URL.Query().Get("run_id"))
	case "runs/log-batch":
		var i int
		if _, err := fmt.Sscan(ask.ID, &i); err == nil && i < len(s.runs) {
			for _, tag := range ask.Tags {
				s.runs[i][tag.Key] = tag.Value
			}
		}
	case "runs/update":
		var i int
		if _, err := fmt.Sscan(ask.ID, &i); err == nil && i < len(s.runs) {
			s.runs[i]["status"] = ask.Status
		}
	}
	_ = json.NewEncoder(w).Encode(answer) // to a client that went away
}

// serve answers at an address until the returned function is called.
func (s *mlflowServer) serve(t *testing.T, address string) (stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s}
	done := make(chan struct{})
	go func() { // ends with the server
		defer close(done)
		_ = server.Serve(l) // says that it was closed
	}()
	return func() {
		_ = server.Close() // which loses nothing
		<-done
	}
}

// freeAddress is an address at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	return gone.Addr().String()
}

// replayed is the result of "tunebus replay tracking".
type replayed struct {
	Written  int      `json:"written"`
	Recorded []string `json:"recorded"`
}

// TestTheCommandThatTracksLater: MLflow is away when a run ends; the command
// that run names then sends everything, and once is enough.
func TestTheCommandThatTracksLater(t *testing.T) {
	t.Setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
	dir := filepath.Join(t.TempDir(), "it's a folder")
	answers := answers(t, t.TempDir(), "p.jsonl", true)
	address := freeAddress(t)
	var got clitest.Summary
	status, out, screen := clitest.Run(t, "run", "--json", "--skip-finetuning", "--skip-inference", "--predictions", answers, "--set", "evaluator.metrics=[\"exact_match\"]",
		"--data", dir+"/data", "--reports", dir+"/reports", "--tracking-uri", "http://"+address, "--tracking-timeout", "100ms", "--relaxed-sync")
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 || !got.Pending {
		t.Fatalf("status %d, %v\n%s%s", status, err, out, screen)
	}
	_, behind, ok := strings.Cut(screen, "this sends it later:\n  tunebus ")
	line, _, _ := strings.Cut(behind, "\n")
	if !ok {
		t.Fatalf("no command is named:\n%s", screen)
	}
	command := words(line)

	mlflow := &mlflowServer{}
	defer mlflow.serve(t, address)()
	var sent replayed
	clitest.Result(t, &sent, command...)
	if sent.Written != 1 || !slices.Equal(sent.Recorded, []string{got.RunID}) {
		t.Errorf("%q: %+v", command, sent)
	}
	phases := map[string]string{}
	for _, tags := range mlflow.runs {
		phases[tags["tunebus.phase"]] += tags["status"]
	}
	if len(phases) != 2 || phases["pipeline"] != "FINISHED" || phases["evaluation"] != "FINISHED" {
		t.Errorf("MLflow shows %v", phases)
	}
	if !slices.Contains(mlflow.files, "evaluator_output_detailed.xlsx") {
		t.Errorf("MLflow has %v", mlflow.files)
	}
	var again replayed
	clitest.Result(t, &again, command...)
	if again.Written != 1 || len(again.Recorded) != 0 || len(mlflow.runs) != 2 {
		t.Errorf("again: %+v, %d runs", again, len(mlflow.runs))
	}
	folder := clitest.DataFolder{Dir: dir + "/data"}
	folder.WithServer(t, func(b *conn.Conn) {
		facts, err := history.New(b).Facts(t.Context(), got.RunID)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := facts[len(facts)-1].Event.(events.TrackingCompleted); !ok {
			t.Errorf("the last fact is %s", facts[len(facts)-1].Subject)
		}
	})
}

// TestADeletionIsSentLater: MLflow is away when a run is deleted, which the deletion
// says with its own status. The next run on the data folder marks it, and so does the
// same deletion again.
func TestADeletionIsSentLater(t *testing.T) {
	t.Setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
	dir, address := t.TempDir(), freeAddress(t)
	answers := answers(t, t.TempDir(), "p.jsonl", true)
	mlflow := &mlflowServer{}
	run := func(id string) (status int, screen string) {
		t.Helper()
		args := []string{
			"run", "--skip-finetuning", "--skip-inference", "--predictions", answers, "--set", "evaluator.metrics=[\"exact_match\"]",
			"--data", dir + "/data", "--reports", dir + "/reports", "--tracking-uri", "http://" + address, "--tracking-timeout", "20s", "--relaxed-sync",
		}
		if id != "" {
			args = append(args, "--run-id", id)
		}
		status, _, screen = clitest.Run(t, args...)
		return status, screen
	}
	tagged := func() (runs []string) {
		mlflow.mu.Lock()
		defer mlflow.mu.Unlock()
		for _, tags := range mlflow.runs {
			if tags["tunebus.deleted"] != "" {
				runs = append(runs, tags["tunebus.run_id"]+" "+tags["tunebus.phase"])
			}
		}
		slices.Sort(runs)
		return runs
	}
	stop := mlflow.serve(t, address)
	for _, id := range []string{"a", "b"} {
		if status, screen := run(id); status != 0 {
			t.Fatalf("run %s: status %d\n%s", id, status, screen)
		}
	}
	stop()
	remove := func(id string) (status int, out, screen string) {
		t.Helper()
		return clitest.Run(t, "delete", id, "--yes", "--data", dir+"/data", "--reports", dir+"/reports", "--tracking-uri", "http://"+address)
	}
	status, out, screen := remove("a")
	if status != 7 || !strings.Contains(out, "left: tracking of run a is pending: ") || !strings.Contains(out, "left: the next \"tunebus run --data "+dir) {
		t.Errorf("delete a: status %d\n%s%s", status, out, screen)
	}
	stop = mlflow.serve(t, address)
	want := []string{"a evaluation", "a pipeline"}
	clitest.Eventually(t, "runs on the folder mark the deleted one", func() bool {
		if status, screen := run(""); status != 0 {
			t.Fatalf("a run: status %d\n%s", status, screen)
		}
		return slices.Equal(tagged(), want)
	})
	stop()
	if status, out, screen := remove("b"); status != 7 {
		t.Errorf("delete b: status %d\n%s%s", status, out, screen)
	}
	defer mlflow.serve(t, address)()
	if status, out, screen := remove("b"); status != 0 {
		t.Errorf("the same command: status %d\n%s%s", status, out, screen)
	}
	want = append(want, "b evaluation", "b pipeline")
	if got := tagged(); !slices.Equal(got, want) {
		t.Errorf("the same command marks %v", got)
	}
}

// words splits a command line as a shell does, as far as it is quoted here.
func words(line string) []string {
	var out []string
	word, quoted, some := "", false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'':
			quoted, some = !quoted, true
		case c == '\\' && !quoted:
			i++
			word += string(line[i])
		case c == ' ' && !quoted:
			if word != "" || some {
				out = append(out, word)
			}
			word, some = "", false
		default:
			word += string(c)
		}
	}
	return append(out, word)
}
