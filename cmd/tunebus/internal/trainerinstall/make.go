package trainerinstall

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/tunebus/tunebus/pipeline/child/supervisor"
	"github.com/tunebus/tunebus/pipeline/trainerenv"
)

// tools are uv, or venv and pip, that make the environment in a folder.
type tools struct {
	options Options
	uv      string // its path; empty: there is none
	folder  string
}

// makeEnvironment makes an environment without packages.
func (t tools) makeEnvironment(ctx context.Context, python string) error {
	with := "venv and pip"
	command := []string{python, "-m", "venv", t.folder}
	if t.uv != "" {
		with = "uv"
		command = []string{t.uv, "venv", "--no-project", "--no-config", "--python", python, t.folder}
	}
	t.options.Say("making the environment of %s with %s (Python: %s)", t.options.Engine.Name, with, python)
	return t.run(ctx, command, nil)
}

// installPackages installs the packages of the list.
func (t tools) installPackages(ctx context.Context) error {
	o := t.options
	list := o.requirements
	if list == "" {
		list = o.Engine.Requirements(!o.Unlocked)
	}
	file := filepath.Join(t.folder, "requirements.txt")
	if err := os.WriteFile(file, []byte(list), 0o644); err != nil {
		return err
	}
	python := trainerenv.Interpreter(t.folder)
	command := []string{python, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile", "--no-input", "--progress-bar", "off"}
	if t.uv != "" {
		command = []string{t.uv, "pip", "install", "--python", python, "--no-progress"}
	}
	if !o.Unlocked {
		command = append(command, "--no-deps", "--require-hashes")
	}
	total := packages(list)
	o.Say("installing %d packages, which are some GB", total)
	return t.run(ctx, append(command, "--requirement", file), newProgress(total, o.Say).line)
}

// packages counts the packages of a list. One that stands there for several versions of
// Python counts once.
func packages(list string) int {
	names := map[string]bool{}
	for line := range strings.Lines(list) {
		name := regexp.MustCompile(`^[A-Za-z0-9._-]+`).FindString(line)
		if name != "" {
			names[name] = true
		}
	}
	return len(names)
}

// progress says which large packages are fetched.
type progress struct {
	total, seen int
	say         func(format string, args ...any)
}

func newProgress(total int, say func(format string, args ...any)) *progress {
	return &progress{total: total, say: say}
}

var (
	// "  Downloading torch-2.15.0-cp311-....whl (530.2 MB)" of pip, and
	// "Downloading torch (505.6MiB)" of uv.
	downloading = regexp.MustCompile(`^\s*Downloading (\S+) \(([0-9.]+) ?([kMG]i?B)\)`)
	installing  = regexp.MustCompile(`^(Installing collected packages|Prepared \d+ packages)`)
)

// large is from which size on, in MB, a package is named.
const large = 20

func (p *progress) line(text string) {
	if strings.HasPrefix(text, "Collecting ") {
		p.seen++
	}
	if installing.MatchString(text) {
		p.say("all packages are here; putting them into the environment")
		return
	}
	m := downloading.FindStringSubmatch(text)
	if m == nil {
		return
	}
	size, err := strconv.ParseFloat(m[2], 64)
	if unit := m[3][:1]; err != nil || unit == "k" || unit == "M" && size < large {
		return
	}
	name, _, _ := strings.Cut(filepath.Base(m[1]), "-")
	where := ""
	if p.seen > 0 {
		where = fmt.Sprintf("package %d of %d: ", p.seen, p.total)
	}
	p.say("%sfetching %s, %s %s", where, name, m[2], m[3])
}

// tailBytes is how much of the output of a command is remembered, to say why it failed.
const tailBytes = 16 << 10

// run runs a command to its end, or to that of ctx, and gives each line of its output to
// line.
func (t tools) run(ctx context.Context, command []string, line func(string)) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	var tail []byte
	all.Go(func() {
		tail = readTail(r, line)
		_ = r.Close() // it was only read
	})
	// uv and pip write into the folder's file system; what they unpack may be large.
	scratch := t.folder + ".tmp"
	err = os.MkdirAll(scratch, 0o700)
	var p *supervisor.Process
	if err == nil {
		p, err = supervisor.Start(supervisor.Command{Args: command, Environ: append(t.options.Environ[:len(t.options.Environ):len(t.options.Environ)], "TMPDIR="+scratch), Stdout: w, Stderr: w})
	}
	_ = w.Close() // the command has its own
	if err != nil {
		all.Wait()
		return errors.Join(err, os.RemoveAll(scratch))
	}
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	exit := p.Wait()
	all.Wait()
	if err := os.RemoveAll(scratch); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case exit.Status == 0:
		return nil
	}
	return diagnose(filepath.Base(command[0]), exit, string(tail))
}

// readTail reads lines to the end and returns the last bytes.
func readTail(r io.Reader, line func(string)) (tail []byte) {
	lines := bufio.NewReaderSize(r, 4<<10)
	for {
		text, err := lines.ReadSlice('\n') // a longer line comes in parts
		if line != nil && len(text) > 0 {
			line(strings.TrimRight(string(text), "\r\n"))
		}
		tail = append(tail, text...)
		if len(tail) > 2*tailBytes {
			tail = append(tail[:0], tail[len(tail)-tailBytes:]...)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return tail
		}
	}
}
