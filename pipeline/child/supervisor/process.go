//go:build unix

package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"github.com/nats-io/nuid"
)

const (
	// supervises is the variable that makes a program the supervisor of its arguments.
	supervises = "TUNEBUS_SUPERVISES"
	// markVariable marks the processes of a tree.
	markVariable = "TUNEBUS_TREE"
)

// The orders to a supervisor. The end of the pipe is orderKill.
const (
	orderTerminate = 't'
	orderKill      = 'k'
)

// report is what a supervisor says on its pipe: one when the command has started,
// one when everything has ended.
type report struct {
	Error  string `json:"error,omitempty"` // why the command could not be started
	Status int    `json:"status"`
	Signal string `json:"signal,omitempty"`
	Left   int    `json:"left,omitempty"`
}

// Process is a command that runs, with all that comes from it.
type Process struct {
	cmd     *exec.Cmd
	mark    string
	control *os.File // orders to the supervisor
	reports *json.Decoder
	pipe    *os.File // of reports

	mu     sync.Mutex // guards control
	closed bool

	done chan struct{}
	exit Exit
}

// Start starts a command. It has started when Start returns.
func Start(c Command) (*Process, error) {
	self, err := executable()
	if err != nil {
		return nil, err
	}
	orders, control, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	pipe, reports, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.Args[0], err), orders.Close(), control.Close())
	}
	mark := markVariable + "=" + nuid.Next()
	p := &Process{
		cmd: &exec.Cmd{
			Path:       self,
			Args:       append([]string{"tunebus-supervisor"}, c.Args...),
			Env:        append(append([]string{}, c.Environ...), mark, supervises+"=1"),
			ExtraFiles: []*os.File{orders, reports},
			// A group of its own, so that the Ctrl-C of a terminal reaches this process alone.
			SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
		},
		mark:    mark,
		control: control,
		reports: json.NewDecoder(io.LimitReader(pipe, 64<<10)),
		pipe:    pipe,
		done:    make(chan struct{}),
	}
	if c.Stdout != nil { // a nil file would be no nil writer
		p.cmd.Stdout = c.Stdout
	}
	if c.Stderr != nil {
		p.cmd.Stderr = c.Stderr
	}
	err = p.cmd.Start()
	_, _ = orders.Close(), reports.Close() // the supervisor has its own
	if err != nil {
		p.closeControl()
		return nil, errors.Join(fmt.Errorf("start the supervisor of %s: %w", c.Args[0], err), pipe.Close())
	}
	var started report
	if err := p.reports.Decode(&started); err != nil {
		started.Error = fmt.Sprintf("its supervisor ended: %v", err)
	}
	go p.wait() // ends with the supervisor, which ends at the latest when it is killed
	if started.Error != "" {
		p.Kill()
		p.Wait()
		return nil, fmt.Errorf("start %s: %s", c.Args[0], started.Error)
	}
	return p, nil
}

// wait waits for the supervisor and for what it says.
func (p *Process) wait() {
	defer close(p.done)
	var last report
	err := p.reports.Decode(&last)
	_ = p.cmd.Wait() // the report says how the command ended
	if err != nil {
		// The supervisor was killed. Nobody adopts its processes any more, but they have its mark.
		p.exit = Exit{Status: -1, Signal: "killed", Unsupervised: true, Left: killMarked(p.mark)}
	} else {
		p.exit = Exit{Status: last.Status, Signal: last.Signal, Left: last.Left}
	}
	p.closeControl()
	_ = p.pipe.Close() // it was only read
}

// Terminate sends SIGTERM to the command, not to what comes from it.
func (p *Process) Terminate() { p.order(orderTerminate) }

// Kill kills the command and all that comes from it. It does not wait.
func (p *Process) Kill() { p.order(orderKill) }

// Done is closed when all processes have ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits until all processes have ended.
func (p *Process) Wait() Exit {
	<-p.done
	return p.exit
}

func (p *Process) order(o byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		_, _ = p.control.Write([]byte{o}) // it fails if the supervisor has ended, and with it the command
	}
}

func (p *Process) closeControl() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		_ = p.control.Close() // the end of the pipe is an order as well
	}
}
