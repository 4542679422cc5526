package docs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// notRun has the reason for each command that the tests do not run. The manual
// shows such a command in a ```console block. The tests run the ```sh blocks
// unchanged, in a folder that contains configs/.
func notRun() map[string]string {
	return map[string]string{
		"make run":                               "CI runs it",
		"vllm serve":                             "it needs a GPU; the tests of the engine have a server that speaks as it does",
		"make install":                           "it writes into the home folder",
		"tunebus run --config mine/smollm2.toml": "it fetches a model from the Hub",
		"make inputs":                            "it takes a minute",
		"tunebus delete last":                    "it wants a run that has ended",
		"make test":                              "CI runs it, and this test is part of it",
		"make check":                             "CI runs it, and this test is part of it",
		"make race":                              "CI runs it as a part of make check",
		"make structure":                         "it measures; a test enforces the limits",
		"git worktree add":                       "it makes a second checkout",
		"go test -run TestGolden":                "it writes into the sources; the test itself runs without -update",
		"nats stream view":                       "the nats command is another project's",
		"make fuzz":                              "it takes ten minutes for each target; the corpora are part of the tests",
		"make chaos":                             "it takes minutes to hours; a short run of it is part of the tests",
		"make bench":                             "it measures for many minutes",
		"make test-interop":                      "it needs Python and some GB of packages",
		"make test-trainer":                      "CI runs it",
		"tunebus engine check":                   "it needs Python; a test of the command runs it",
		"tunebus engine install":                 "it fetches some GB; a test installs a small package",
		"TUNEBUS_BUS_URL=nats://trl:PASSWORD@nats:4222 tunebus-finetune": "it needs a server with these users; a test of the package deploy runs such a worker",
		"make lock":                "it writes into the sources, and needs uv",
		"tunebus engine describe":  "it needs Python; a test of the command runs it",
		"make generate":            "it writes into the sources; a test compares the files with its output",
		"make base-model":          "it takes ten minutes and writes over committed files; tests check that a short training follows from its seed",
		"-run TestChaos":           "it takes minutes; a short run of it is part of the tests",
		"nats pub":                 "the nats command is another project's; a test publishes the same with a NATS client",
		"tunebus setup --wait":     "it names a host of the example; the tests of the separate programs run it",
		"go mod init example":      "a test builds the program in the module of the tests",
		"pip install nats-py":      "make test-programs does it",
		"python run.py":            "make test-programs runs it",
		"pip install openai":       "make test-programs does it",
		"python ask.py":            "make test-programs runs it",
		"openssl rand":             "openssl is another project's",
		"tunebus serve last":       "it wants a run that tuned a model, and a port that other machines reach",
		"go run . nats":            "a test of its own builds and runs it",
		"docker compose":           "it needs a container engine; a test checks the file",
		"mlflow migrate-filestore": "it needs MLflow",
		"go test -run xxx -bench":  "it measures for minutes",

		"export TUNEBUS_ARTIFACTS_URL=file:///srv": "the folder belongs to the machine",
		"tunebus up &": "it takes the usual port of the machine; tests start up on ports of their own",
		"NATS_URL=nats://127.0.0.1:4222 tunebus-finetune": "it works beside an up on the usual port; tests of the separate programs start it",
		"tunebus submit config.toml --copy-inputs":        "it needs that up; a test of submit says --copy-inputs",
	}
}

var block = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func pages(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(root(t), "docs", "*.md"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no pages (%v)", err)
	}
	return append(all, filepath.Join(root(t), "CONTRIBUTING.md"), filepath.Join(root(t), "README.md"))
}

// bin is the folder of the program. The first test that needs the program builds
// it.
var bin string

func TestMain(m *testing.M) {
	var err error
	if bin, err = os.MkdirTemp("", "tunebus-manual-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(bin) // at worst a folder for temporary files is left
	os.Exit(status)
}

var build = sync.OnceValue(func() error {
	c := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(bin, "tunebus"), "../..")
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-tags=disable_grpc_modules") // as the Makefile does
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return nil
})

// withProgram builds the program, once for all tests.
func withProgram(t *testing.T) {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
}

// TestCommandsOfTheManual runs the commands of each page as one script.
func TestCommandsOfTheManual(t *testing.T) {
	t.Parallel()
	withProgram(t)
	for _, page := range pages(t) {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			script := ""
			for _, m := range block.FindAllStringSubmatch(string(text), -1) {
				switch m[1] {
				case "sh":
					script += m[2]
				case "console":
					checkReasons(t, m[2])
				}
			}
			if script == "" {
				return
			}
			dir := run(t, script)
			if filepath.Base(page) == "own-data.md" {
				checkGain(t, dir)
			}
		})
	}
}

// checkReasons checks that each command that is not run has a reason.
func checkReasons(t *testing.T, commands string) {
	t.Helper()
	for line := range strings.Lines(commands) {
		known := false
		for prefix := range notRun() {
			known = known || strings.Contains(line, prefix)
		}
		if !known && strings.TrimSpace(line) != "" {
			t.Errorf("%q is shown and not run, and notRun has no reason for it", strings.TrimSpace(line))
		}
	}
}

// checkGain checks that the run of one's own data taught the model something: it
// answers far better than the base model.
func checkGain(t *testing.T, dir string) {
	t.Helper()
	summaries, err := filepath.Glob(filepath.Join(dir, "reports", "*", "pipeline_summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, path := range summaries {
		var run struct {
			Scores map[string]float64 `json:"scores"`
			Gains  map[string]float64 `json:"gains"`
		}
		body, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(body, &run)
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(run.Gains) == 0 {
			continue // no base model answered
		}
		compared++
		if run.Gains["rouge_score"] < 0.4 || run.Gains["exact_match"] <= 0 {
			t.Errorf("the scores are %v, the gains %v", run.Scores, run.Gains)
		}
	}
	if compared != 1 {
		t.Errorf("%d of %d runs have the base model's scores beside their own", compared, len(summaries))
	}
}

// examplePort is a port of the manual's examples.
var examplePort = regexp.MustCompile(`\b142\d\d\b`)

// freePorts returns what replaces each port of an example by one that nobody listens on.
func freePorts(t *testing.T) func(string) string {
	t.Helper()
	free := map[string]string{}
	return func(port string) string {
		if free[port] == "" {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = listener.Close() }() // nobody connected
			_, free[port], err = net.SplitHostPort(listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
		}
		return free[port]
	}
}

// run runs a script in an empty folder with configs/, and returns the folder. It
// kills the processes that the script leaves behind.
func run(t *testing.T, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Symlink(filepath.Join(root(t), "configs"), filepath.Join(dir, "configs")); err != nil {
		t.Fatal(err)
	}
	script = examplePort.ReplaceAllStringFunc(script, freePorts(t))
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	c.Dir = dir
	c.Env = []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + dir}
	// A script that fails halfway leaves servers behind. They keep its output
	// open and their ports in use.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.WaitDelay = 5 * time.Second
	out, err := c.CombinedOutput()
	if c.Process != nil {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // usually no process is left
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return dir
}

// TestManualNamesNoOtherCommand: the program has each command that the manual
// names in a sentence.
func TestManualNamesNoOtherCommand(t *testing.T) {
	t.Parallel()
	withProgram(t)
	named := map[string]bool{}
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		sentences := block.ReplaceAllString(string(text), "")
		for _, m := range regexp.MustCompile("`tunebus ([a-z]+(?: [a-z]+)?)\\b").FindAllStringSubmatch(sentences, -1) {
			named[m[1]] = true
		}
	}
	for name := range named {
		out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "tunebus"), append(strings.Fields(name), "--help")...).CombinedOutput()
		if err != nil {
			t.Errorf("tunebus %s: %v\n%s", name, err, out)
		}
	}
}

// TestLinksOfTheManual: the target of each link between files exists.
func TestLinksOfTheManual(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(block.ReplaceAllString(string(text), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s links to %s: %v", filepath.Base(page), m[1], err)
			}
		}
	}
}

// below are the commands below one, as its help lists them, without those that
// the library of the command line adds.
func below(t *testing.T, command string) (names []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "tunebus"), append(strings.Fields(command), "--help")...).Output()
	if err != nil {
		t.Fatalf("tunebus %s --help: %v", command, err)
	}
	commands := false // in a list of commands, under any title
	for line := range strings.Lines(string(out)) {
		switch {
		case strings.HasPrefix(line, "  ") && commands:
			if name := strings.Fields(line)[0]; !slices.Contains([]string{"completion", "help", "man"}, name) {
				names = append(names, strings.TrimSpace(command+" "+name))
			}
		case !strings.HasPrefix(line, " "):
			title := strings.TrimSpace(line)
			commands = strings.HasSuffix(title, ":") && !strings.HasPrefix(title, "Topics") &&
				!slices.Contains([]string{"Usage:", "Examples:", "Flags:", "Connection to NATS:"}, title)
		}
	}
	return names
}

// TestManualNamesEveryCommand: the manual names each command of the program that
// does something.
func TestManualNamesEveryCommand(t *testing.T) {
	t.Parallel()
	withProgram(t)
	var all strings.Builder
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	found := 0
	for commands := below(t, ""); len(commands) > 0; commands = commands[1:] {
		command := commands[0]
		if more := below(t, command); len(more) > 0 {
			commands = append(commands, more...)
			continue
		}
		found++
		if !regexp.MustCompile(`\btunebus ` + command + `\b`).MatchString(all.String()) {
			t.Errorf("the manual does not name \"tunebus %s\"", command)
		}
	}
	if found < 20 {
		t.Errorf("the help lists %d commands; the program has more", found)
	}
}
