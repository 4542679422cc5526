package firsthour

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
)

var update = flag.Bool("update", false, "write the screens that the tests see")

// program is how a person calls the program before it is on the path.
const program = "./bin/tunebus"

// programs are built by the first test, and removed by TestMain.
var programs processes.Programs

// hour is what a person does, and what is left to do.
type hour struct {
	*terminal
	dir, program string
	// screens are what the commands showed, masked.
	screens strings.Builder
	// hints are the commands that were proposed and not typed yet; known are all of
	// them, masked.
	hints []string
	known map[string]bool
}

// newHour makes a folder as a person has it behind "make build": the program, and
// the quickstart with a part of its data.
func newHour(t *testing.T, columns uint16, env ...string) *hour {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	built, err := programs.Dir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(built, processes.Tunebus), filepath.Join(dir, program)); err != nil {
		t.Fatal(err)
	}
	configs := filepath.Join("..", "..", "..", "..", "configs")
	if err := os.CopyFS(filepath.Join(dir, "configs"), os.DirFS(configs)); err != nil {
		t.Fatal(err)
	}
	for name, rows := range map[string]int{"train": 24, "validation": 4, "test": 8} {
		path := filepath.Join(dir, "configs", "quickstart", name+".jsonl")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.Collect(strings.Lines(string(text)))
		if err := os.WriteFile(path, []byte(strings.Join(lines[:rows], "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &hour{terminal: newTerminal(t, dir, columns, env...), dir: dir, program: program, known: map[string]bool{}}
}

// does types a command and waits for its end.
func (h *hour) does(command string) (status string) {
	h.t.Helper()
	return h.ends(h.enter(command))
}

// ends waits for the end of the command that stands on a line, keeps its screen, and
// collects what it proposes.
func (h *hour) ends(at int) (status string) {
	h.t.Helper()
	shown, status := h.finish(at)
	h.clean()
	_, shown, _ = strings.Cut(shown, "$ ") // behind the status of the command before
	fmt.Fprintf(&h.screens, "$ %s-- status %s\n\n", mask(shown, h.dir), status)
	command, output, _ := strings.Cut(shown, "\n")
	if strings.HasSuffix(strings.TrimSpace(command), " --help") {
		return status // its commands are forms and examples
	}
	for _, command := range proposed(output, h.program) {
		if key := mask(strings.TrimPrefix(command, h.program), h.dir); !h.known[key] {
			h.known[key] = true
			h.hints = append(h.hints, command)
		}
	}
	return status
}

// follows types every command that was proposed, and those that these propose. Each
// has to work: a status says how a run ended, but never that the command was wrong.
func (h *hour) follows() {
	h.t.Helper()
	for len(h.hints) > 0 {
		command := h.hints[0]
		h.hints = h.hints[1:]
		at := h.enter(command)
		switch {
		case strings.Contains(command, " up "):
			h.see(at, "^ready: ")
			h.press("\x03")
		case strings.Contains(command, " chat "):
			h.see(at, "^>")
			h.press("/exit\r")
		}
		status := h.ends(at)
		if status == "2" && strings.Contains(command, " config check ") {
			continue // it says what is missing
		}
		if status == "1" || status == "2" {
			h.t.Errorf("%s was proposed, and its status is %s\n%s", command, status, h.since(at))
		}
	}
}

// compare compares the screens with the committed ones.
func (h *hour) compare(name string) {
	h.t.Helper()
	path := filepath.Join("testdata", name+".txt")
	got := h.screens.String()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			h.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	if got != string(want) {
		h.t.Errorf("the screens are not those of %s; \"go test ./internal/firsthour -update\" writes them\n%s", path, differences(string(want), got))
	}
}

// differences are the lines that one of two texts lacks.
func differences(want, got string) string {
	var out strings.Builder
	wanted, shown := strings.Split(want, "\n"), strings.Split(got, "\n")
	for _, line := range wanted {
		if !slices.Contains(shown, line) {
			out.WriteString("- " + line + "\n")
		}
	}
	for _, line := range shown {
		if !slices.Contains(wanted, line) {
			out.WriteString("+ " + line + "\n")
		}
	}
	return out.String()
}

// page are the commands of the ```sh blocks of a page, one behind the other, up to a
// heading; each has all of its lines.
func page(t *testing.T, name, until string) (commands []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(text), until)
	if !found {
		t.Fatalf("%s has no %q", name, until)
	}
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(before, -1) {
		here := false // in a document that the shell reads
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSuffix(line, "\n")
			if here {
				commands[len(commands)-1] += "\n" + line
				here = line != "END"
				continue
			}
			commands = append(commands, line)
			here = strings.Contains(line, "<<'END'")
		}
	}
	return commands
}

// TestFirstHour is the README and the manual's page about one's own data.
func TestFirstHour(t *testing.T) {
	h := newHour(t, width)
	makefile, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	_, run, _ := strings.Cut(string(makefile), "\nrun: build")
	_, run, _ = strings.Cut(run, "\n\t")
	run, _, _ = strings.Cut(run, "\n") // what "make run" types
	h.does(run)
	h.follows()
	h.does("rm my-run.toml") // a hint made it, and so does the README
	for i, command := range page(t, "README.md", "## Services that stay up") {
		if i == 0 && !strings.HasPrefix(command, "export PATH=$PWD/bin:$PATH") {
			t.Errorf("the README begins with %q, and the program is not on the path", command)
		}
		h.does(command)
		h.program = "tunebus"
	}
	for _, command := range page(t, "docs/own-data.md", "## A look before the run") {
		h.does(command)
	}
	for _, command := range []string{"tunebus runs", "tunebus show last", "tunebus nonsense", "tunebus show nonsense", "tunebus help exit-status"} {
		h.does(command)
	}
	h.follows()
	h.compare("first-hour")
}

// TestInterrupted is Ctrl-C at odd moments. What the program says then is typed, too.
func TestInterrupted(t *testing.T) {
	h := newHour(t, width)
	long := program + " run configs/quickstart.toml --set fine_tuner.epochs=500 --data 'my data'"

	at := h.enter(long) // before the first step
	h.see(at, "^finetune +started")
	h.press("\x03")
	h.interrupted(at)
	h.follows()

	at = h.enter(long) // in the middle of a bar
	h.see(at, `^finetune +\d+/1500 `)
	h.press("\x03")
	h.interrupted(at)

	at = h.enter(long + " --resume skip") // twice; how far the command comes is not known
	h.see(at, `^finetune +\d+/1500 `)
	h.press("\x03")
	h.press("\x03")
	if shown, status := h.finish(at); status != "130" || !strings.Contains(shown, "interrupted") {
		t.Errorf("twice: status %s\n%s", status, shown)
	}
	h.clean()

	at = h.enter(program + " run configs/quickstart.toml --data 'my data'") // in a question
	h.see(at, `^go on with them first`)
	h.press("\x03")
	h.interrupted(at)

	at = h.enter(program + " run configs/quickstart.toml --data 'my data'") // answered
	h.see(at, `^go on with them first`)
	h.press("cancel\r")
	if status := h.ends(at); status != "0" {
		t.Errorf("status %s\n%s", status, h.since(at))
	}
	h.hints = nil // of a run that ended well, which the first hour types

	at = h.enter(program + " chat last --data 'my data'")
	h.see(at, "^>")
	h.press("\x03")
	h.interrupted(at)

	h.compare("interrupted")

	// How far its services come is not known.
	at = h.enter(program + " up --data 'my data' --port 0")
	h.see(at, "^ready: ")
	h.press("\x03")
	if status := h.ends(at); status != "0" {
		t.Errorf("up: status %s\n%s", status, h.since(at))
	}
}

// interrupted waits for the end of a command that was interrupted.
func (h *hour) interrupted(at int) {
	h.t.Helper()
	if status := h.ends(at); status != "130" {
		h.t.Errorf("status %s\n%s", status, h.since(at))
	}
}

// TestOtherTerminals are a narrow terminal, one without colours, and one that cannot
// write over what it shows.
func TestOtherTerminals(t *testing.T) {
	preview := program + " data preview configs/quickstart/test.jsonl --as training --model configs/quickstart/base-model --rows 1"
	t.Run("narrow", func(t *testing.T) {
		h := newHour(t, 40)
		at := h.enter(program + " run configs/quickstart.toml --label '港=港の本 🚢' --set fine_tuner.epochs=2")
		h.see(at, `^finetune +\d+/`)
		if status := h.ends(at); status != "0" {
			t.Errorf("status %s\n%s", status, h.since(at))
		}
		h.does(program + " nonsense")
		h.compare("narrow")
	})
	t.Run("no colours", func(t *testing.T) {
		h := newHour(t, width, "NO_COLOR=1")
		h.does(preview)
		h.compare("no-colours")
	})
	t.Run("dumb", func(t *testing.T) {
		h := newHour(t, width, "TERM=dumb")
		h.does(preview)
		at := h.enter(program + " run configs/quickstart.toml --set fine_tuner.epochs=1")
		h.see(at, `^finetune +\d+/3 \(\d+ %\)`) // a line, and no bar
		if status, _ := h.finish(at); strings.Contains(status, "[=") {
			t.Errorf("a bar is shown:\n%s", status)
		}
	})
}
