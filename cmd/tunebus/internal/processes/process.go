package processes

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a running program.
type Process struct {
	// Name is the name of the program.
	Name string
	// Log is the output of the process, on both streams.
	Log *LogBuffer

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // of Wait; set before done is closed
}

// Start starts a program in dir, which is also its home and its folder for temporary
// files. When the test ends, the process is killed if it still runs.
func (p *Programs) Start(t testing.TB, dir, name string, env []string, args ...string) *Process {
	t.Helper()
	bin, err := p.Dir()
	if err != nil {
		t.Fatal(err)
	}
	c := &Process{Name: name, Log: &LogBuffer{}, done: make(chan struct{})}
	c.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(bin, name), args...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = dir, c.Log, c.Log
	c.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}, env...)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, which Cleanup kills
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

// Signal sends a signal. It does nothing if the process has ended.
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
		t.Errorf("%s has not ended after a kill", p.Name)
	}
}

// Wait waits for the end of the process. It fails the test if the process does not
// end within limit, or ends with an error.
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

// Stop sends SIGTERM. It fails the test if the process does not end soon, or ends
// with an error.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	p.Wait(t, 20*time.Second)
}

// WaitForLog waits until the process has written text.
func (p *Process) WaitForLog(t testing.TB, text string) {
	t.Helper()
	Eventually(t, 30*time.Second, p.Name+" writes "+text, func() error {
		if !strings.Contains(p.Log.String(), text) {
			return errors.New("not yet")
		}
		return nil
	})
}

// Eventually calls try until it returns no error. It fails the test after limit.
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

// LogBuffer is a log that may be read while it is written.
type LogBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *LogBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns the log so far.
func (l *LogBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// FreePort returns a port of the loopback on which no program listens. It is
// below the ports that systems give to outgoing connections: a server that is
// started again might not find one of these free.
func FreePort(t testing.TB) int {
	t.Helper()
	const lowest, ports, tries = 20000, 12000, 100
	var err error
	for range tries {
		var l net.Listener
		port := lowest + rand.IntN(ports) //nolint:gosec // no secret
		if l, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatalf("no free port: %v", err)
	return 0
}
