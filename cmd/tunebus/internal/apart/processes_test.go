package apart_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	// The programs are built from these; without them the test's result would
	// be taken from the cache however they change.
	_ "github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	_ "github.com/tunebus/tunebus/pipeline/service"
)

// programs builds every program once for the package's tests and returns the
// folder that holds them.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tunebus-programs-")
	if err != nil {
		return "", err
	}
	for name, from := range map[string][2]string{
		"tunebus":            {"cmd/tunebus", "."},
		"tunebus-intake":     {"services/intake", "./cmd/tunebus-intake"},
		"tunebus-finetune":   {"services/finetune", "./cmd/tunebus-finetune"},
		"tunebus-inference":  {"services/inference", "./cmd/tunebus-inference"},
		"tunebus-evaluation": {"services/evaluation", "./cmd/tunebus-evaluation"},
		"tunebus-tracker":    {"services/tracker", "./cmd/tunebus-tracker"},
		"nats-server":        {"embedded", "github.com/nats-io/nats-server/v2"},
	} {
		c := exec.Command("go", "build", "-o", filepath.Join(dir, name), from[1])
		c.Dir = filepath.Join("..", "..", "..", "..", filepath.FromSlash(from[0]))
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOEXPERIMENT=simd")
		if out, err := c.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, _ := programs(); dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(status)
}

// process is a running program.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *lines
	done chan error // gets what Wait said, once
}

// start starts a program in dir. It is ended with the test if it has not
// ended by then.
func start(t *testing.T, dir, name string, env []string, args ...string) *process {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{name: name, cmd: exec.Command(filepath.Join(bin, name), args...), log: &lines{}, done: make(chan error, 1)}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p.log, p.log
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}, env...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }() // ends with the process, which Cleanup sees to
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		select {
		case err := <-p.done:
			p.done <- err
		case <-time.After(10 * time.Second):
			t.Errorf("%s does not end", name)
		}
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, p.log)
		}
	})
	return p
}

// stop asks a process to end, and wants it to do so soon and without an
// error.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("stop %s: %v", p.name, err)
		return
	}
	select {
	case err := <-p.done:
		p.done <- err
		if err != nil {
			t.Errorf("%s ended with %v", p.name, err)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("%s does not stop", p.name)
	}
}

// says waits until the process has written text.
func (p *process) says(t *testing.T, text string) {
	t.Helper()
	eventually(t, 30*time.Second, p.name+" says "+text, func() error {
		if !strings.Contains(p.log.String(), text) {
			return errors.New("not yet")
		}
		return nil
	})
}

// eventually tries until there is no error.
func eventually(t *testing.T, limit time.Duration, what string, try func() error) {
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

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// freePort is a port of the loopback that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// root is the repository's.
func root(t *testing.T) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
}
