package runcmd_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // the driver
	"github.com/tunebus/tunebus/pipeline/cloudblob/s3test"
)

// TestNATSAnswersLater: a command that follows a run and starts while NATS does not answer
// says so, tries again, and goes on when it answers.
func TestNATSAnswersLater(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	clitest.Publish(t, b, clitest.EndedRun("r")...)
	for _, timeout := range []string{"0s", "5m"} { // without a limit of its own, and with one
		proxy := bustest.NewProxy(t, server.URL())
		proxy.Cut()
		type result struct {
			status int
			screen string
		}
		ended := make(chan result, 1)
		begin := time.Now()
		go func() {
			status, _, screen := clitest.Run(t, "watch", "r", "--timeout", timeout, "--server", proxy.URL)
			ended <- result{status, screen}
		}()
		select {
		case r := <-ended:
			t.Fatalf("it ended after %s: status %d\n%s", time.Since(begin), r.status, r.screen)
		case <-time.After(3 * time.Second): // longer than one try
		}
		proxy.Restore()
		if r := <-ended; r.status != 0 || !strings.Contains(r.screen, "does not answer; trying again for ") || strings.Contains(r.screen, "tunebus-data") {
			t.Errorf("--timeout %s: status %d\n%s", timeout, r.status, r.screen)
		}
	}
}

// TestNATSNeverAnswers: the wait for NATS ends at the limit, that for a run with the status of a
// wait. Without a limit a request that cannot be sent is an error at once.
// A server that nobody named and that is not there is an error at once.
func TestNATSNeverAnswers(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	gone := bustest.NewProxy(t, services.URL)
	gone.Cut()
	for name, args := range map[string][]string{
		"watch":         {"watch", "r"},
		"submit":        {"submit", "--skip-finetuning", "--config", services.Dir + "/small.toml"},
		"submit --wait": {"submit", "--wait", "--skip-finetuning", "--config", services.Dir + "/small.toml"},
	} {
		want := 6
		if name != "watch" { // there is no run that goes on
			want = 1
			status, out, screen := clitest.Run(t, append(args, "--server", gone.URL)...) // without a limit
			if status != 1 || out != "" || strings.Count(withoutNotes(screen), "\n") != 1 || strings.Count(screen, "NATS at") != 1 {
				t.Errorf("%s at once: status %d\n%s%s", name, status, out, screen)
			}
		}
		begin := time.Now()
		status, out, screen := clitest.Run(t, append(args, "--timeout", "3s", "--server", gone.URL)...)
		if took := time.Since(begin); status != want || strings.Contains(screen, "warning") || out != "" || took < 3*time.Second || took > 20*time.Second || !strings.Contains(screen, "trying again for 3s") || !strings.Contains(screen, "within 3s") {
			t.Errorf("%s: status %d after %s\n%s%s", name, status, took, out, screen)
		}
	}
}

// TestStoreNeverAnswers: an artifact store that accepts connections and answers nothing
// ends a command at its limit. Before, the person is told what it waits for.
func TestStoreNeverAnswers(t *testing.T) {
	services := clitest.NewServices(t)
	s3 := s3test.New(t)
	for _, variable := range s3.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	address := s3.Address("artifacts")
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	direct := strings.TrimPrefix(parsed.Query().Get("endpoint"), "http://")
	proxy := bustest.NewProxy(t, "nats://"+direct)
	proxy.DropReplies()
	silent := strings.ReplaceAll(address, url.QueryEscape("http://"+direct), url.QueryEscape("http://"+strings.TrimPrefix(proxy.URL, "nats://")))
	clitest.Write(t, services.Dir, "rows.jsonl", `{"question":"Who?","answer":"Ada."}`+"\n")
	args := []string{"submit", "--skip-finetuning", "--config", services.Dir + "/small.toml", "--copy-inputs",
		"--set", "inferencer.testing_data_id=" + services.Dir + "/rows.jsonl", "--server", services.URL, "--artifacts", silent}

	begin := time.Now()
	status, out, screen := clitest.Run(t, append(args, "--timeout", "12s")...)
	took := time.Since(begin)
	if status != 1 || out != "" || took < 12*time.Second || took > 30*time.Second ||
		!strings.Contains(screen, "was not submitted within 12s") || !strings.Contains(screen, "s while opening the artifact store s3://artifacts") {
		t.Errorf("submit: status %d after %s\n%s%s", status, took, out, screen)
	}
	t.Setenv("TUNEBUS_ARTIFACTS_URL", silent)
	begin = time.Now()
	status, out, screen = clitest.Run(t, "run", "--skip-finetuning", "--config", services.Dir+"/small.toml", "--data", t.TempDir())
	if took = time.Since(begin); status != 1 || out != "" || took > time.Minute || strings.Count(screen, "s while opening the artifact store s3://artifacts") < 2 ||
		!strings.Contains(screen, "the artifact store s3://artifacts did not answer within 30s") || strings.Contains(screen, "endpoint") {
		t.Errorf("run: status %d after %s\n%s%s", status, took, out, screen)
	}
}

// TestNoStreams: each command that connects to a server without the streams of tunebus says
// so in one sentence, and what to do.
func TestNoStreams(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	empty := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"}).URL()
	small := services.Dir + "/small.toml"
	want := "the server at " + strings.TrimPrefix(empty, "nats://") + " has no tunebus streams: run `tunebus setup --server " + empty + "`"
	for _, args := range [][]string{
		{"submit", "--skip-finetuning", "--config", small, "--artifacts", services.Artifacts()},
		{"submit", "--wait", "--skip-finetuning", "--config", small, "--artifacts", services.Artifacts()},
		{"watch", "r"},
		{"watch", "last"},
		{"runs"},
		{"show", "r"},
		{"cancel", "r"},
		{"rerun", "r", "--from", "inference"},
		{"replay", "requests", "--since", "1h"},
		{"replay", "tracking", "--artifacts", services.Artifacts()},
		{"dlq", "list"},
		{"dlq", "show", "1"},
		{"dlq", "retry", "1"},
		{"dlq", "discard", "1"},
		{"archive", "--older-than", "1d", "--artifacts", services.Artifacts()},
		{"gc", "--artifacts", services.Artifacts()},
		{"export", "r", services.Dir + "/out"},
		{"chat", "r"},
	} {
		begin := time.Now()
		status, out, screen := clitest.Run(t, append(args, "--server", empty)...)
		if status != 1 || out != "" || !strings.Contains(screen, want) || strings.Count(strings.TrimSpace(withoutNotes(screen)), "\n") > 0 {
			t.Errorf("%q: status %d after %s\n%s%s", args, status, time.Since(begin), out, screen)
		}
	}
	if status, _, screen := clitest.Run(t, "setup", "--server", empty); status != 0 {
		t.Fatalf("setup: status %d\n%s", status, screen)
	}
	if status, _, screen := clitest.Run(t, "runs", "--server", empty); status != 0 {
		t.Errorf("after setup: status %d\n%s", status, screen)
	}
}

// withoutNotes is a screen without its notes on the specification.
func withoutNotes(screen string) string {
	var out strings.Builder
	for line := range strings.Lines(screen) {
		if !strings.HasPrefix(line, "note: ") {
			out.WriteString(line)
		}
	}
	return out.String()
}
