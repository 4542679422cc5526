package firsthour

import (
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// prompt is what the shell writes when it waits for a command: the exit status of
// the one before.
var prompt = regexp.MustCompile(`\[(\d+)\]\$ $`)

const (
	width, height = 80, 24
	longest       = 2000
	scrollback    = 100000
	// patience is how long one thing may take.
	patience = 3 * time.Minute
)

// terminal is a person at a shell.
type terminal struct {
	t    *testing.T
	file *os.File

	mu sync.Mutex
	// screen is what the person sees. lines is a terminal of the same height on which
	// no line is too long: its lines are those that the programs wrote.
	screen, lines *vt.Emulator
	changed       chan struct{} // closed with the next byte
}

// newTerminal starts a shell in a folder. columns are its width.
func newTerminal(t *testing.T, dir string, columns uint16, env ...string) *terminal {
	t.Helper()
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	// A Ctrl-C would take away what was written and is not read yet, here and there the end
	// of a line.
	c := exec.CommandContext(ctx, shell, "-c", `stty noflsh; PS1="[\$?]\$ " exec "$BASH" --norc --noprofile --noediting -i`)
	c.Dir = dir
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TERM=xterm-256color", "HISTFILE=", "LC_ALL=C.UTF-8"}, env...)
	if !isolate(c) {
		t.Log("the shell has no network of its own; a server on the usual port of NATS would be used")
	}
	file, err := pty.StartWithSize(c, &pty.Winsize{Cols: columns, Rows: height})
	if err != nil {
		t.Fatal(err)
	}
	s := &terminal{t: t, file: file, screen: vt.NewEmulator(int(columns), height), lines: vt.NewEmulator(longest, height), changed: make(chan struct{})}
	s.screen.SetScrollbackSize(scrollback)
	s.lines.SetScrollbackSize(scrollback)
	var readers sync.WaitGroup
	readers.Go(s.read)
	readers.Go(func() { _, _ = io.Copy(file, s.screen) })      // what the terminal answers to the programs in it
	readers.Go(func() { _, _ = io.Copy(io.Discard, s.lines) }) // the same
	t.Cleanup(func() {
		cancel()
		_ = c.Wait()     // the shell was killed
		_ = file.Close() // nothing is kept
		_, _ = s.screen.Close(), s.lines.Close()
		readers.Wait()
	})
	s.wait("the first prompt", func() bool { return s.prompted() })
	return s
}

// read shows what the programs write, until they are gone.
func (s *terminal) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := s.file.Read(buffer)
		s.mu.Lock()
		_, _ = s.screen.Write(buffer[:n]) // into memory
		_, _ = s.lines.Write(buffer[:n])
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// wait waits until something is true of the screen. The condition is called with
// the lock held.
func (s *terminal) wait(what string, is func() bool) {
	s.t.Helper()
	limit := time.After(patience)
	for {
		s.mu.Lock()
		ok, changed := is(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit:
			s.t.Fatalf("waited in vain for %s; on the screen stands\n%s", what, s.since(0))
		}
	}
}

// prompted reports whether the shell waits for a command.
func (s *terminal) prompted() bool { return prompt.MatchString(line(s.lines, last(s.lines)) + " ") }

// last is the line of the cursor, counted from the first that was ever shown.
func last(screen *vt.Emulator) int { return screen.ScrollbackLen() + screen.CursorPosition().Y }

// line is a line of everything that was ever shown.
func line(screen *vt.Emulator, n int) string {
	var out strings.Builder
	back := screen.ScrollbackLen()
	for x := range screen.Width() {
		cell := screen.CellAt(x, n-back)
		if n < back {
			cell = screen.ScrollbackCellAt(x, n)
		}
		if cell == nil || cell.Content == "" && cell.Width == 1 {
			out.WriteByte(' ')
		} else { // the second half of a wide character is empty
			out.WriteString(cell.Content)
		}
	}
	return strings.TrimRight(out.String(), " ")
}

// here is the line of the cursor.
func (s *terminal) here() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return last(s.lines)
}

// since is what is shown from a line on.
func (s *terminal) since(from int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out strings.Builder
	for n := from; n <= last(s.lines); n++ {
		out.WriteString(line(s.lines, n) + "\n")
	}
	return out.String()
}

// press types keys.
func (s *terminal) press(keys string) {
	s.t.Helper()
	if _, err := s.file.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// see waits until a text is shown from a line on.
func (s *terminal) see(from int, text string) {
	s.t.Helper()
	is := regexp.MustCompile(text)
	s.wait(text, func() bool {
		for n := from; n <= last(s.lines); n++ {
			if is.MatchString(line(s.lines, n)) {
				return true
			}
		}
		return false
	})
}

// enter types a command, which may have several lines, and returns the line that it
// begins on.
func (s *terminal) enter(command string) (at int) {
	s.t.Helper()
	at = s.here()
	for n, one := range strings.Split(command, "\n") {
		if n > 0 {
			s.wait("the prompt of a further line", func() bool { return last(s.lines) == at+n && line(s.lines, at+n) == ">" })
		}
		s.press(one + "\r")
	}
	s.wait("the end of the command's last line", func() bool { return last(s.lines) > at+strings.Count(command, "\n") })
	return at
}

// finish waits for the end of the command that stands on a line, and returns what
// it showed and its exit status.
func (s *terminal) finish(at int) (shown, status string) {
	s.t.Helper()
	s.wait("the end of the command", func() bool { return s.prompted() && last(s.lines) > at })
	shown = s.since(at)
	lines := strings.Split(strings.TrimRight(shown, "\n"), "\n")
	return strings.Join(lines[:len(lines)-1], "\n") + "\n", prompt.FindStringSubmatch(lines[len(lines)-1] + " ")[1]
}

// clean checks that a command left nothing behind: the cursor is there, what is
// written next has no colour, and the person sees what was written and nothing else.
func (s *terminal) clean() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.screen.CursorHidden() {
		s.t.Error("the cursor is gone")
	}
	if seen, written := all(s.screen), all(s.lines); seen != written {
		s.t.Errorf("the screen shows something else than what was written:\n%s\nwritten was\n%s", seen, written)
	}
	at := s.screen.CursorPosition()
	if cell := s.screen.CellAt(0, at.Y); cell == nil || cell.Style.Fg != nil || cell.Style.Attrs != 0 {
		s.t.Errorf("the prompt has a colour: %+v", cell)
	}
}

// all is everything that was ever shown, without its spaces and the ends of lines.
func all(screen *vt.Emulator) string {
	var out strings.Builder
	for n := 0; n <= last(screen); n++ {
		out.WriteString(strings.ReplaceAll(line(screen, n), " ", ""))
	}
	return out.String()
}
