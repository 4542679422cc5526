package enginecmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/enginestate"
	"github.com/tunebus/tunebus/pipeline/trainerenv"
	"github.com/tunebus/tunebus/trainers"
)

// standIn makes an environment of trl in a data folder, whose trainer is that of the manual.
func standIn(t *testing.T, data string) string {
	t.Helper()
	trainer := example(t)
	folder := filepath.Join(data, "engines", "trl")
	if out, err := exec.Command("python3", "-m", "venv", "--without-pip", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	packages, _ := filepath.Glob(filepath.Join(folder, "lib", "python3*", "site-packages"))
	if len(packages) != 1 {
		t.Fatalf("the environment has the packages %v", packages)
	}
	dir := filepath.Join(packages[0], trainers.Module)
	main := "import runpy, sys\nat = sys.argv.index('--engine')\ndel sys.argv[at:at + 2]\nrunpy.run_path(" +
		strings.ReplaceAll(quoted(t, trainer), "\n", "") + ", run_name='__main__')\n"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"__init__.py": "", "__main__.py": main} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := trainerenv.Environment{Folder: folder, Engine: "trl", Sources: trainers.SourcesDigest(), Python: "3.11.7", Versions: map[string]string{"torch": "2.15.0"}}
	engine, _ := trainers.Find("trl")
	env.Lock = engine.Lock()
	if err := trainerenv.Finish(env); err != nil {
		t.Fatal(err)
	}
	return folder
}

func quoted(t *testing.T, text string) string {
	t.Helper()
	body, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// listed is what engine list says of an engine.
func listed(t *testing.T, data, name string, args ...string) enginestate.Engine {
	t.Helper()
	status, out, screen := clitest.Run(t, append([]string{"engine", "list", "--json", "--data", data}, args...)...)
	var all []enginestate.Engine
	if err := json.Unmarshal([]byte(out), &all); err != nil || status != 0 {
		t.Fatalf("status %d, %v\n%s\n%s", status, err, out, screen)
	}
	for _, e := range all {
		if e.Name == name {
			return e
		}
	}
	t.Fatalf("there is no engine %s in %s", name, out)
	return enginestate.Engine{}
}

// TestBrokenCommand: a command of the settings that cannot say what it is is listed as broken,
// with what to do.
func TestBrokenCommand(t *testing.T) {
	dir := t.TempDir()
	settings := filepath.Join(dir, "settings.toml")
	if err := os.WriteFile(settings, []byte("[services.finetune]\ncommand = [\"python3\", \"/none.py\"]\nqueue = \"command\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const check = `"tunebus engine check" checks the command`
	e := listed(t, filepath.Join(dir, "data"), "command", "--settings", settings)
	if e.State != "broken" || e.Usable || len(e.Command) == 0 || !strings.Contains(e.Says, "services.finetune.command: python3 --describe: it ended with status 2, want 0") {
		t.Errorf("it is listed as %+v", e)
	}
	if _, out, _ := clitest.Run(t, "engine", "list", "--settings", settings, "--data", filepath.Join(dir, "data")); !strings.Contains(out, check) {
		t.Errorf("the list says\n%s", out)
	}
}

// TestRunFindsTheEnvironment: a run with an engine that has no environment says so before it
// starts, and is not stored; with one in the data folder it is trained there, without a
// setting.
func TestRunFindsTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", filepath.Join(dir, "share"))
	data := filepath.Join(dir, "data")
	config := filepath.Join(clitest.Root(), "configs", "quickstart.toml")
	run := []string{
		"run", config, "--data", data, "--reports", filepath.Join(dir, "reports"), "--tracking-uri", "file:" + filepath.Join(dir, "mlruns"), "--relaxed-sync",
		"--set", "fine_tuner.engine=trl", "--set", "pipeline.stop_after_finetuning=true", "--set", "fine_tuner.epochs=1", "--run-id", "r",
	}
	status, out, screen := clitest.Run(t, run...)
	says := `the engine trl works in a Python environment, and there is none in ` + filepath.Join(data, "engines", "trl")
	if status != 2 || !strings.Contains(screen, says) || !strings.Contains(screen, `"tunebus engine install trl --data `+data+`" makes it`) {
		t.Errorf("without an environment: status %d\n%s\n%s", status, out, screen)
	}
	if _, err := os.Stat(filepath.Join(data, "nats")); err == nil {
		t.Error("a run is stored")
	}
	status, out, screen = clitest.Run(t, "config", "check", config, "--set", "fine_tuner.engine=trl")
	if status != 0 || !strings.Contains(screen, "the engine trl works in a Python environment, and there is none") {
		t.Errorf("config check: status %d\n%s\n%s", status, out, screen)
	}
	if e := listed(t, data, "trl"); e.State != "missing" || e.Do != "tunebus engine install trl --data "+data || e.Usable {
		t.Errorf("it is listed as %+v", e)
	}
	folder := standIn(t, data)
	if e := listed(t, data, "trl"); e.State != "ok" || e.Folder != folder || e.Versions["torch"] != "2.15.0" || !e.Usable || e.Do != "" {
		t.Errorf("it is listed as %+v", e)
	}
	if status, out, screen = clitest.Run(t, run...); status != 0 {
		t.Errorf("with an environment: status %d\n%s\n%s", status, out, screen)
	}
	status, out, screen = clitest.Run(t, "show", "r", "--data", data, "--json")
	if status != 0 || !strings.Contains(out, `"engine": "trl"`) {
		t.Errorf("status %d\n%s\n%s", status, out, screen)
	}
	_, out, screen = clitest.Run(t, "doctor", "--data", data)
	for _, want := range []string{"engine trl", folder + " has Python 3.11.7, torch 2.15.0", "engine unsloth", `"tunebus engine install unsloth --data ` + data + `" makes it`} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor does not say %q:\n%s\n%s", want, out, screen)
		}
	}
}

// TestStates: what is wrong with an environment is said by list and doctor, with what to do.
func TestStates(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", filepath.Join(dir, "share"))
	data := filepath.Join(dir, "data")
	folder := standIn(t, data)
	env, err := trainerenv.Open(folder, "trl")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		state, says string
		change      func()
	}{
		{"unlocked", "", func() { env.Lock = "" }},
		{"stale", "tested with other versions of its packages", func() { env.Lock = "sha256:other" }},
		{"stale", "the trainer of another version", func() { env.Sources = "sha256:other" }},
	} {
		c.change()
		if err := trainerenv.Finish(env); err != nil {
			t.Fatal(err)
		}
		if e := listed(t, data, "trl"); e.State != c.state || !strings.Contains(e.Says, c.says) || !e.Usable {
			t.Errorf("it is listed as %+v, want %s", e, c.state)
		}
	}
	_, out, screen := clitest.Run(t, "doctor", "--data", data)
	if !strings.Contains(out, "it is stale: ") || !strings.Contains(out, `"tunebus engine install trl --data `+data+`" makes it anew`) {
		t.Errorf("doctor says\n%s\n%s", out, screen)
	}
	if err := os.Remove(filepath.Join(folder, "bin", "python")); err != nil {
		t.Fatal(err)
	}
	if e := listed(t, data, "trl"); e.State != "broken" || e.Usable || !strings.Contains(e.Says, "is gone") {
		t.Errorf("it is listed as %+v", e)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(folder+".partial", 0o755); err != nil {
		t.Fatal(err)
	}
	if e := listed(t, data, "trl"); e.State != "half made" || e.Usable {
		t.Errorf("it is listed as %+v", e)
	}
	if status, out, _ := clitest.Run(t, "engine", "list", "--data", data); status != 0 || !strings.Contains(out, "ENGINE") || !strings.Contains(out, "half made") {
		t.Errorf("the table:\n%s", out)
	}
}

// TestInstallWants: a wrong name, and a Python that is none, are bad input and a sentence.
func TestInstallWants(t *testing.T) {
	t.Parallel()
	status, _, screen := clitest.Run(t, "engine", "install", "builtin")
	if status != 2 || !strings.Contains(screen, "want one of trl, unsloth") {
		t.Errorf("status %d\n%s", status, screen)
	}
	status, _, screen = clitest.Run(t, "engine", "install", "transformers")
	if status != 2 || !strings.Contains(screen, "environment of trl") || !strings.Contains(screen, "tunebus engine install trl") {
		t.Errorf("status %d\n%s", status, screen)
	}
	status, _, screen = clitest.Run(t, "engine", "install", "trl", "--data", t.TempDir(), "--python", "/nowhere/python3")
	if status != 1 || !strings.Contains(screen, "--python /nowhere/python3: there is no such program") {
		t.Errorf("status %d\n%s", status, screen)
	}
}

// TestInterruptedInstall: who interrupts an installation learns what is there, and the command
// that makes the rest.
func TestInterruptedInstall(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", filepath.Join(dir, "share"))
	python, mark, data := filepath.Join(dir, "python"), filepath.Join(dir, "mark"), filepath.Join(dir, "data")
	if err := os.WriteFile(python, []byte("#!/bin/sh\n: > "+mark+"\nexec sleep 600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(mark); err == nil {
				cancel()
			}
			time.Sleep(10 * time.Millisecond) // only a look tells whether another process made the file
		}
	}()
	var screen bytes.Buffer
	status := cli.Main(ctx, []string{"engine", "install", "trl", "--data", data, "--python", python, "--unlocked"}, io.Discard, &screen)
	if strings.Contains(screen.String(), "make room") {
		t.Skip("the disk has no room for an environment") // the interruption needs an installation that begins; CI has the room
	}
	want := "tunebus: interrupted; there is no environment in " + filepath.Join(data, "engines", "trl") + ", and this makes it anew:\n" +
		"  tunebus engine install trl --data " + data + " --python " + python + " --unlocked\n"
	if status != 130 || screen.String() != want {
		t.Errorf("status %d\n%s\nwant\n%s", status, screen.String(), want)
	}
}

// TestQueueOfAnEngine: a worker of the queue of an engine finds the environment without a
// command, and does not start where there is none.
func TestQueueOfAnEngine(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", filepath.Join(dir, "share"))
	data, settings := filepath.Join(dir, "data"), filepath.Join(dir, "tunebus.toml")
	if err := os.WriteFile(settings, []byte("[services.finetune]\nqueue = \"trl\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, screen := clitest.Run(t, "up", "--data", data, "--port", "0", "--settings", settings, "--reports", filepath.Join(dir, "reports"))
	if status != 1 || !strings.Contains(screen, `services.finetune.queue = "trl": the engine trl works in a Python environment, and there is none in `) {
		t.Errorf("without an environment: status %d\n%s\n%s", status, out, screen)
	}
	standIn(t, data)
	status, out, screen = clitest.Run(t, "run", filepath.Join(clitest.Root(), "configs", "quickstart.toml"), "--data", data, "--settings", settings,
		"--reports", filepath.Join(dir, "reports"), "--tracking-uri", "file:"+filepath.Join(dir, "mlruns"), "--relaxed-sync",
		"--set", "fine_tuner.engine=trl", "--set", "pipeline.stop_after_finetuning=true", "--set", "fine_tuner.epochs=1")
	if status != 0 {
		t.Errorf("with an environment: status %d\n%s\n%s", status, out, screen)
	}
}
