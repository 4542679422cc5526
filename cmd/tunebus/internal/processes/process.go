package processes

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a running program.
type Process struct {
	// Name is the program's.
	Name string
	// Log is what it writes, on both streams.
	Log *Lines

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // what Wait said, once done is closed
}

// Start starts a program in dir, which is its home and its folder for
// temporary files, too. It is ended with the test if it has not ended by then.
func (p *Programs) Start(t testing.TB, dir, name string, env []string, args ...string) *Process {
	t.Helper()
	bin, err := p.Dir()
	if err != nil {
		t.Fatal(err)
	}
	c := &Process{Name: name, Log: &Lines{}, done: make(chan struct{})}
	c.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(bin, name), args...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = dir, c.Log, c.Log
	c.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}, env...)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, which Cleanup sees to
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	t.Cleanup(func() {
		if !c.Ended() {
			c.Kill(t)
		}
		if t.Failed() && !p.Quiet {
			t.Logf("%s wrote:\n%s", name, c.Log)
		}
	})
	return c
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Killed reports whether the process was ended by SIGKILL.
func (p *Process) Killed() bool {
	if !p.Ended() {
		return false
	}
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signal() == syscall.SIGKILL
}

// Signal sends a signal; a process that has ended meanwhile gets none.
func (p *Process) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal %s to %s: %v", s, p.Name, err)
	}
}

// Kill kills the process and waits for its end.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGKILL)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		t.Errorf("%s does not end", p.Name)
	}
}

// Wait waits for the end of the process, and wants it to come within limit
// and without an error.
func (p *Process) Wait(t testing.TB, limit time.Duration) {
	t.Helper()
	select {
	case <-p.done:
		if p.err != nil {
			t.Errorf("%s ended with %v\n%s", p.Name, p.err, p.Log)
		}
	case <-time.After(limit):
		t.Errorf("%s does not stop", p.Name)
	}
}

// Stop asks the process to end, and wants it to do so soon and without an
// error.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	p.Wait(t, 20*time.Second)
}

// Says waits until the process has written text.
func (p *Process) Says(t testing.TB, text string) {
	t.Helper()
	Eventually(t, 30*time.Second, p.Name+" says "+text, func() error {
		if !strings.Contains(p.Log.String(), text) {
			return errors.New("not yet")
		}
		return nil
	})
}

// Eventually tries until there is no error.
func Eventually(t testing.TB, limit time.Duration, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v, after %s", what, err, limit)
		}
	}
}

// Lines is a log that may be read while it is written.
type Lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// FreePort is a port of the loopback that nobody listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
