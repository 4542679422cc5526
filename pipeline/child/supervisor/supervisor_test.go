//go:build linux

package supervisor_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/pipeline/child/supervisor"
)

func TestMain(m *testing.M) {
	supervisor.Main()
	if roleVariable := os.Getenv("TEST_ROLE"); roleVariable != "" {
		os.Exit(role(roleVariable))
	}
	goleak.VerifyTestMain(m)
}

// role is what this program does as a command of the tests. It writes the ids of its
// processes, one a line.
func role(name string) int {
	fmt.Println(os.Getpid())
	switch name {
	case "sleeper":
		time.Sleep(time.Hour) // a process that only a kill ends
	case "stops": // on SIGTERM, with a status of its own
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		fmt.Println("ready")
		<-stop
		return 75
	case "leaves", "waits": // with a process in a session of its own
		c := exec.Command(os.Args[0])
		c.Env = []string{"TEST_ROLE=sleeper"} // and without the mark of the tree
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := c.Start(); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(c.Process.Pid)
		if name == "waits" {
			time.Sleep(time.Hour) // a process that only a kill ends
		}
		return 3
	case "worker": // that has a command of its own
		p, err := supervisor.Start(supervisor.Command{Args: []string{os.Args[0]}, Environ: []string{"TEST_ROLE=waits"}, Stdout: os.Stdout})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		p.Wait()
	}
	return 0
}

// started is a command that was started, with the lines that it writes.
type started struct {
	*supervisor.Process
	lines *bufio.Scanner
}

func start(t *testing.T, name string) started {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := supervisor.Start(supervisor.Command{Args: []string{os.Args[0]}, Environ: []string{"TEST_ROLE=" + name}, Stdout: w})
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		p.Wait()
		_ = r.Close()
	})
	return started{p, bufio.NewScanner(r)}
}

// pid reads the id of a process.
func (s started) pid(t *testing.T) int {
	t.Helper()
	if !s.lines.Scan() {
		t.Fatal("the command said nothing")
	}
	pid, err := strconv.Atoi(s.lines.Text())
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// gone waits until a process has ended, at most for a while.
func gone(t *testing.T, pid int) {
	t.Helper()
	// Processes of other parents can only be looked for.
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}

func TestCommandEndsByItself(t *testing.T) {
	t.Parallel()
	p := start(t, "leaves")
	command, orphan := p.pid(t), p.pid(t)
	exit := p.Wait()
	if exit.Status != 3 || exit.Signal != "" || exit.Left != 1 {
		t.Errorf("it ended as %+v, want status 3 and a process that was left", exit)
	}
	gone(t, command)
	gone(t, orphan)
}

func TestTerminateReachesTheCommand(t *testing.T) {
	t.Parallel()
	p := start(t, "stops")
	p.pid(t)
	p.lines.Scan() // it is ready
	p.Terminate()
	if exit := p.Wait(); exit.Status != 75 {
		t.Errorf("it ended as %+v, want status 75", exit)
	}
	p.Terminate() // does no harm
	p.Kill()
}

func TestKillReachesEveryProcess(t *testing.T) {
	t.Parallel()
	p := start(t, "waits")
	command, other := p.pid(t), p.pid(t)
	p.Kill()
	if exit := p.Wait(); exit.Status != -1 || exit.Signal != "killed" {
		t.Errorf("it ended as %+v, want the signal", exit)
	}
	gone(t, command)
	gone(t, other)
}

// TestSupervisorIsKilled: the command ends, and what has the mark.
func TestSupervisorIsKilled(t *testing.T) {
	t.Parallel()
	p := start(t, "sleeper")
	command := p.pid(t)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", command))
	if err != nil {
		t.Fatal(err)
	}
	var parent int
	_, line, _ := strings.Cut(string(stat), "PPid:")
	if _, err := fmt.Sscan(line, &parent); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(parent, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if exit := p.Wait(); !exit.Unsupervised {
		t.Errorf("it ended as %+v, want without a supervisor", exit)
	}
	gone(t, command)
}

// TestWorkerIsKilled: whatever the process started whose life ends with SIGKILL ends.
func TestWorkerIsKilled(t *testing.T) {
	t.Parallel()
	c := exec.Command(os.Args[0])
	c.Env = []string{"TEST_ROLE=worker"}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := started{lines: bufio.NewScanner(out)}
	lines.pid(t)
	command, other := lines.pid(t), lines.pid(t)
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	gone(t, command)
	gone(t, other)
	_ = c.Wait() // it was killed
}

func TestNoSuchCommand(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ command, want string }{
		{"no-such-command", "start no-such-command: executable file not found in $PATH"},
		{plain, "permission denied"},
	} {
		_, err := supervisor.Start(supervisor.Command{Args: []string{c.command}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.command, err, c.want)
		}
	}
}
