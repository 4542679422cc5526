package child

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tunebus/tunebus/pipeline/child/supervisor"
	"github.com/tunebus/tunebus/pipeline/filelock"
	"github.com/tunebus/tunebus/pipeline/redaction"
)

const (
	// socketFolders begins the names of the folders of sockets.
	socketFolders = "tunebus-socket-"
	// longestTemporary bounds the path of the temporary files of a trainer: libraries
	// make sockets there, whose paths have about a hundred bytes at most.
	longestTemporary = 60
)

// Config says what is started.
type Config struct {
	// Command is the command without the arguments of the protocol.
	Command []string
	Job     Job
	// Folder is a folder for the job file and the temporary files of the trainer.
	Folder string
	// Environ is the environment of the worker, and More are further variables that
	// the trainer gets, see [Environment].
	Environ, More []string
	// Set are variables that go over those.
	Set map[string]string
	// Secrets are what the trainer must not tell, beside the values of variables whose
	// names say that they hold secrets. They are in no line and in no message.
	Secrets []string
	// Output gets each line of stdout and stderr. stream is "stdout" or "stderr". It is
	// called from two goroutines.
	Output func(stream, line string)
	// Log gets what is odd about the connection.
	Log func(text string)
	// Timing shortens limits in tests.
	Timing Timing
}

// Timing holds the limits of time. A field that is 0 gets its default.
type Timing struct {
	// Hello is from a connection to its hello. Default 30 s.
	Hello time.Duration
	// Lost is how long there may be no connection after the first one. Default 60 s.
	Lost time.Duration
	// End is from a result or an error to the end. Default 30 s.
	End time.Duration
}

func (t Timing) withDefaults() Timing {
	def := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	def(&t.Hello, 30*time.Second)
	def(&t.Lost, time.Minute)
	def(&t.End, 30*time.Second)
	return t
}

// Exit is how a trainer ended.
type Exit struct {
	supervisor.Exit
	// Overdue says that it was killed since it did not end after its result or error.
	Overdue bool
}

// Trainer is a trainer that runs.
type Trainer struct {
	cfg      Config
	process  *supervisor.Process
	link     *link
	folder   *os.File // of the socket; locked
	messages chan Message
	secrets  *redaction.Secrets
	output   sync.WaitGroup
	exit     Exit
}

// Start writes the job file and starts the trainer. [Trainer.Messages] has to be read to
// its end.
func Start(cfg Config) (*Trainer, error) {
	cfg.Timing = cfg.Timing.withDefaults()
	folder, err := socketFolder()
	if err != nil {
		return nil, err
	}
	if cfg.Folder, err = filepath.Abs(cfg.Folder); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder.Name()), folder.Close())
	}
	t := &Trainer{cfg: cfg, folder: folder, messages: make(chan Message)}
	if err := t.start(filepath.Join(folder.Name(), "s")); err != nil {
		return nil, errors.Join(err, t.removeSocket())
	}
	return t, nil
}

// socketFolder makes a folder that only this user can enter, and removes those of
// killed processes. Its path is short: that of a socket has about a hundred bytes at
// most.
func socketFolder() (*os.File, error) {
	const longest = 80
	parent := os.TempDir()
	if len(parent)+len(socketFolders) > longest-20 {
		parent = "/tmp"
	}
	if _, err := filelock.RemoveUnlocked(parent, socketFolders+"*"); err != nil {
		return nil, fmt.Errorf("sockets of killed processes: %w", err)
	}
	folder, err := filelock.MkdirLocked(parent, socketFolders+"*") // with mode 0700
	if err != nil {
		return nil, fmt.Errorf("the folder for the socket of the trainer: %w", err)
	}
	return folder, nil
}

func (t *Trainer) start(socket string) error {
	temporary := filepath.Join(t.cfg.Folder, "tmp")
	if len(temporary) > longestTemporary {
		temporary = filepath.Join(t.folder.Name(), "tmp")
	}
	job := filepath.Join(t.cfg.Folder, "job.json")
	t.cfg.Job.Protocol = Protocol
	if err := errors.Join(os.MkdirAll(temporary, 0o700), t.cfg.Job.write(job)); err != nil {
		return fmt.Errorf("write the job file: %w", err)
	}
	set := map[string]string{}
	maps.Copy(set, t.cfg.Set)
	maps.Copy(set, map[string]string{"TUNEBUS_SOCKET": socket, "TMPDIR": temporary})
	if t.cfg.Job.Devices != "" {
		set["CUDA_VISIBLE_DEVICES"] = t.cfg.Job.Devices
	}
	environ := Environment(t.cfg.Environ, t.cfg.More, set)
	t.secrets = t.cfg.secrets(environ)
	link, err := listen(socket, t.cfg.Timing.Hello, t.secrets, t.cfg.Log)
	if err != nil {
		return err
	}
	stdout, err := t.stream("stdout")
	if err != nil {
		return errors.Join(err, link.abandon())
	}
	stderr, err := t.stream("stderr")
	if err != nil {
		return errors.Join(err, stdout.Close(), link.abandon())
	}
	t.link = link
	t.process, err = supervisor.Start(supervisor.Command{
		Args:    append(append([]string{}, t.cfg.Command...), "--job", job),
		Environ: environ,
		Stdout:  stdout,
		Stderr:  stderr,
	})
	_, _ = stdout.Close(), stderr.Close() // the trainer has its own
	if err != nil {
		t.output.Wait()
		return errors.Join(err, link.abandon())
	}
	go t.run() // ends with the trainer, and when the messages were read
	return nil
}

// stream returns a file whose lines become lines of the log.
func (t *Trainer) stream(name string) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("the log of the trainer: %w", err)
	}
	t.output.Go(func() {
		readLines(r, maxText, t.secrets, func(line string) { t.cfg.Output(name, line) })
		_ = r.Close() // it was only read
	})
	return w, nil
}

// abandon closes a link that nobody has used.
func (k *link) abandon() error {
	k.close()
	err := k.listener.Close()
	k.all.Wait()
	return err
}

// run passes the messages on until the trainer has ended.
func (t *Trainer) run() {
	defer close(t.messages)
	t.pass()
	t.exit.Exit = t.process.Wait()
	t.output.Wait()
	if err := t.removeSocket(); err != nil {
		t.cfg.Log(fmt.Sprintf("the folder of the socket was not removed: %v", err))
	}
}

// pass passes the messages on, and keeps the limits of time.
func (t *Trainer) pass() {
	var lost, end <-chan time.Time
	ended := t.process.Done()
	over := false // nothing counts any more
	for {
		select {
		case m, more := <-t.link.arrived:
			if !more {
				return
			}
			if over {
				continue
			}
			switch m.(type) {
			case Result, Error:
				over, end = true, time.After(t.cfg.Timing.End)
			case Fault:
				over = true
				t.process.Kill()
			}
			t.messages <- m
		case <-t.link.changed:
			if t.link.connected() || ended == nil {
				lost = nil
			} else if lost == nil {
				lost = time.After(t.cfg.Timing.Lost)
			}
		case <-lost:
			lost = nil
			if !over {
				over = true
				t.process.Kill()
				t.messages <- Fault{fmt.Errorf("the trainer lost its connection, and did not connect again within %s", t.cfg.Timing.Lost)}
			}
		case <-end:
			end = nil
			t.exit.Overdue = true
			t.process.Kill()
		case <-ended:
			ended, lost, end = nil, nil, nil
			go t.link.drain() // closes arrived
		}
	}
}

func (t *Trainer) removeSocket() error {
	return errors.Join(os.RemoveAll(t.folder.Name()), t.folder.Close())
}

// Messages returns the messages. They end when all processes of the trainer have
// ended. A [Result], an [Error] or a [Fault] is the last one.
func (t *Trainer) Messages() <-chan Message { return t.messages }

// Send sends an order.
func (t *Trainer) Send(o Order) { t.link.send(o) }

// Terminate sends SIGTERM to the command.
func (t *Trainer) Terminate() { t.process.Terminate() }

// Disconnect closes the connection as if it broke, for checks of trainers.
func (t *Trainer) Disconnect() { t.link.interrupt() }

// Kill kills the trainer. It does not wait.
func (t *Trainer) Kill() { t.process.Kill() }

// Exit is how the trainer ended. It is valid when the messages have ended.
func (t *Trainer) Exit() Exit { return t.exit }
