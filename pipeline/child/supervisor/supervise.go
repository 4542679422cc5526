//go:build unix

package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// killInterval is the time between two looks for processes that are left.
	killInterval = 5 * time.Millisecond
	// killTime bounds them: a process that waits for a broken disk cannot be killed.
	killTime = 30 * time.Second
)

// Main returns at once, unless this process was started to supervise a command. Then
// it does that and exits. A program that calls [Start] calls it first.
func Main() {
	if os.Getenv(supervises) == "" {
		return
	}
	// The kernel ends the command with the thread that started it.
	runtime.LockOSThread()
	supervise(os.Args[1:], os.NewFile(3, "orders"), os.NewFile(4, "reports"))
	os.Exit(0)
}

// supervise runs a command until all that comes from it has ended.
func supervise(args []string, orders, reports *os.File) {
	// Whoever stops the machine or the terminal signals every process. This one ends
	// last. The signals are caught and not ignored, since the command would inherit that.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	out := json.NewEncoder(reports)
	syscall.CloseOnExec(int(orders.Fd()))
	syscall.CloseOnExec(int(reports.Fd()))
	err := adoptOrphans()
	var pid int
	if err == nil {
		pid, err = start(args)
	}
	if err != nil {
		_ = out.Encode(report{Error: err.Error()}) // nobody is there to hear of another fault
		return
	}
	_ = out.Encode(report{}) // if nobody hears it, the orders have ended too
	s := supervision{command: pid, orders: make(chan byte), ended: make(chan syscall.WaitStatus, 1), none: make(chan struct{})}
	go s.listen(orders)
	go s.reap()
	status, left := s.run()
	end := report{Status: status.ExitStatus(), Left: left}
	if status.Signaled() {
		end.Status, end.Signal = -1, status.Signal().String()
	}
	_ = out.Encode(end)
}

// start starts the command.
func start(args []string) (pid int, err error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		if e, ok := errors.AsType[*exec.Error](err); ok {
			err = e.Err
		}
		return 0, err
	}
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, supervises+"=") })
	pid, err = syscall.ForkExec(path, args, &syscall.ProcAttr{Env: environ, Files: []uintptr{0, 1, 2}, Sys: commandAttributes()})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return pid, nil
}

// supervision is the work of a supervisor.
type supervision struct {
	command int // its process
	orders  chan byte
	ended   chan syscall.WaitStatus // of the command
	none    chan struct{}           // closed when no child is left
}

// listen passes the orders on. It ends with the process.
func (s *supervision) listen(orders *os.File) {
	one := make([]byte, 1)
	for {
		if n, err := orders.Read(one); n == 0 || err != nil {
			one[0] = orderKill
		}
		s.orders <- one[0]
		if one[0] == orderKill {
			return
		}
	}
}

// reap takes the end of every child, until there is none.
func (s *supervision) reap() {
	defer close(s.none)
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return
		case pid == s.command:
			s.ended <- status
		}
	}
}

// run waits for the end of the command, or for the order, and kills what is left.
func (s *supervision) run() (status syscall.WaitStatus, left int) {
	for {
		select {
		case status = <-s.ended:
			left = len(descendants(s.command))
			s.killAll()
			return status, left
		case o := <-s.orders:
			if o == orderKill {
				s.killAll()
				return s.end(), 0
			}
			_ = syscall.Kill(s.command, syscall.SIGTERM) // it is there: its end was not taken yet
		}
	}
}

// end is how the command ended that was killed. One that cannot be killed counts as
// if it were.
func (s *supervision) end() syscall.WaitStatus {
	select {
	case status := <-s.ended:
		return status
	default:
		return syscall.WaitStatus(syscall.SIGKILL)
	}
}

// killAll kills until nothing is left.
func (s *supervision) killAll() {
	tick := time.NewTicker(killInterval)
	defer tick.Stop()
	for limit := time.After(killTime); ; {
		for _, pid := range descendants(s.command) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended meanwhile
		}
		select {
		case <-s.none:
			return
		case <-tick.C:
		case <-limit:
			return
		}
	}
}
