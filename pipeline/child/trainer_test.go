//go:build unix

package child_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/child/supervisor"
)

func TestMain(m *testing.M) {
	supervisor.Main()
	if script := os.Getenv("TEST_SCRIPT"); script != "" {
		os.Exit(play(script))
	}
	goleak.VerifyTestMain(m)
}

const hello = `{"type":"hello","protocol":1,"name":"script","rows":"tokens"}`

// play does what a script says, one command a line, as a trainer of the tests.
func play(script string) int {
	var c net.Conn
	var orders *bufio.Scanner
	connect := func() {
		c, _ = net.Dial("unix", os.Getenv("TUNEBUS_SOCKET"))
		orders = bufio.NewScanner(c)
	}
	connect()
	for command := range strings.Lines(script) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(command), " ")
		switch verb {
		case "say":
			fmt.Fprintln(c, rest)
		case "bytes":
			n, _ := strconv.Atoi(rest)
			fmt.Fprint(c, strings.Repeat("x", n))
		case "close":
			_ = c.Close()
		case "connect":
			connect()
		case "wait": // for an order
			for orders.Scan() && !strings.Contains(orders.Text(), `"type":"`+rest+`"`) {
				continue
			}
		case "print":
			fmt.Println(rest)
		case "environ":
			fmt.Println(strings.Join(os.Environ(), "\n"))
		case "socket":
			fmt.Fprintf(c, `{"type":"note","text":%q}`+"\n", os.Getenv("TUNEBUS_SOCKET"))
		case "deaf":
			signal.Ignore(syscall.SIGTERM)
		case "orphan":
			s := exec.Command(os.Args[0])
			s.Env = []string{"TEST_SCRIPT=hang"}
			s.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := s.Start(); err != nil {
				return 9
			}
			fmt.Println(s.Process.Pid)
		case "hang":
			time.Sleep(time.Hour) // a process that only a kill ends
		case "exit":
			status, _ := strconv.Atoi(rest)
			return status
		}
	}
	return 0
}

// lines collects lines.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, text)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// run is a trainer of a test.
type run struct {
	*child.Trainer
	output, log *lines
}

func start(t *testing.T, script string, change func(*child.Config)) run {
	t.Helper()
	r := run{output: &lines{}, log: &lines{}}
	cfg := child.Config{
		Command: []string{os.Args[0]}, Folder: t.TempDir(), More: []string{"TEST_SCRIPT=" + script},
		Environ: []string{"PATH=" + os.Getenv("PATH"), "SECRET_TOKEN=x", "CUDA_API_KEY=x", "CUDA_HOME=/cuda"},
		Output:  func(stream, line string) { r.output.add(stream + " " + line) },
		Log:     r.log.add,
	}
	if change != nil {
		change(&cfg)
	}
	trainer, err := child.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Trainer = trainer
	return r
}

// all reads the messages to their end.
func (r run) all() (messages []child.Message) {
	for m := range r.Messages() {
		messages = append(messages, m)
	}
	return messages
}

// texts are messages as texts, to compare them.
func texts(messages []child.Message) string {
	var out []string
	for _, m := range messages {
		if f, ok := m.(child.Fault); ok {
			out = append(out, "fault: "+f.Err.Error())
			continue
		}
		body, _ := json.Marshal(m)
		out = append(out, fmt.Sprintf("%T %s", m, body))
	}
	return strings.Join(out, "\n")
}

// TestMessagesArrive: every message up to the end of a trainer that ends at once, with
// its output and its exit status.
func TestMessagesArrive(t *testing.T) {
	t.Parallel()
	r := start(t, `say `+hello+`
say {"type":"stage","stage":"train","done":3}
say {"type":"progress","step":1,"total":2,"points":{"loss":0.5,"epoch":null}}
say {"type":"from_later","x":1}
say {"type":"note","text":"  look "}
print to stdout
say {"type":"result","folder":"/m","tokens":7}
say not read any more
exit 3`, nil)
	got := texts(r.all())
	want := `child.Hello {"protocol":1,"name":"script","rows":"tokens"}
child.Stage {"stage":"train","done":3}
child.Progress {"step":1,"total":2,"points":{"epoch":null,"loss":0.5}}
child.Unknown {"Type":"from_later"}
child.Note {"text":"look","warning":false}
child.Result {"folder":"/m","tokens":7,"statistics":null,"artifacts":null}`
	if got != want {
		t.Errorf("messages:\n%s\nwant:\n%s", got, want)
	}
	if e := r.Exit(); e.Status != 3 || e.Overdue {
		t.Errorf("it ended as %+v", e)
	}
	if got := r.output.String(); got != "stdout to stdout" {
		t.Errorf("its output: %q", got)
	}
}

// TestFaults: what breaks the protocol ends the trainer, and the fault says what it was.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, want string }{
		"garbage":       {"say \x01\x02{{{", `line 1 of the trainer: it is no JSON object: "\x01\x02{{{"`},
		"no UTF-8":      {"say " + hello + "\nsay \xff\xfe", "line 2 of the trainer: it is no UTF-8"},
		"no hello":      {`say {"type":"stage","stage":"load"}`, "the first line of the trainer is no hello"},
		"two hellos":    {"say " + hello + "\nsay " + hello, "line 2 of the trainer is another hello"},
		"other":         {`say {"type":"hello","protocol":2,"name":"x","rows":"tokens"}`, "the trainer speaks version 2 of the protocol, and this worker version 1"},
		"long line":     {"say " + hello + "\nbytes 2000000", "line 2 of the trainer is longer than 1048576 bytes"},
		"a text":        {"say " + hello + "\n" + `say {"type":"progress","step":1,"points":{"epoch":1,"loss":"high"}}`, "points.loss is a string, want a value of another type"},
		"NaN":           {"say " + hello + "\n" + `say {"type":"progress","step":1,"points":{"loss":NaN}}`, "JSON has no NaN and no Infinity, send null"},
		"wrong type":    {"say " + hello + "\n" + `say {"type":"progress","step":"one"}`, "step is a string"},
		"wrong stage":   {"say " + hello + "\n" + `say {"type":"stage","stage":"dream"}`, `stage = "dream", want load`},
		"negative":      {"say " + hello + "\n" + `say {"type":"progress","step":-1}`, "step = -1, want 0 or more"},
		"no folder":     {"say " + hello + "\n" + `say {"type":"checkpoint","step":1}`, "a checkpoint needs a step of 1 or more, and a folder"},
		"gone for good": {"say " + hello + "\nclose", "the trainer lost its connection, and did not connect again within 200ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, c.script+"\nhang", func(cfg *child.Config) { cfg.Timing.Lost = 200 * time.Millisecond })
			messages := r.all()
			if len(messages) == 0 {
				t.Fatal("no message")
			}
			f, ok := messages[len(messages)-1].(child.Fault)
			if !ok || !strings.Contains(f.Err.Error(), c.want) {
				t.Errorf("the last message is %s, want the fault %q", texts(messages[len(messages)-1:]), c.want)
			}
			if e := r.Exit(); e.Signal != "killed" {
				t.Errorf("it ended as %+v, want killed", e)
			}
		})
	}
}

// TestReconnect: what a trainer says on its connections comes in order, and the order to
// stop comes on each of them.
func TestReconnect(t *testing.T) {
	t.Parallel()
	r := start(t, `say `+hello+`
wait stop
say {"type":"progress","step":1}
close
connect
say `+hello+`
wait stop
say {"type":"progress","step":2}
exit 75`, nil)
	var steps []int64
	hellos := 0
	for m := range r.Messages() {
		switch m := m.(type) {
		case child.Hello:
			if hellos++; hellos == 1 {
				r.Send(child.StopWithin(time.Minute))
			}
		case child.Progress:
			steps = append(steps, m.Step)
		default:
			t.Errorf("%s", texts([]child.Message{m}))
		}
	}
	if fmt.Sprint(steps) != "[1 2]" || hellos != 2 || r.Exit().Status != 75 {
		t.Errorf("steps %v of %d connections, ended as %+v", steps, hellos, r.Exit())
	}
}

// TestDisconnect: the worker's side breaks the connection.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	r := start(t, `say `+hello+`
wait nothing
connect
say `+hello+`
say {"type":"note","text":"again"}`, nil)
	hellos := 0
	for m := range r.Messages() {
		if _, ok := m.(child.Hello); ok {
			if hellos++; hellos == 1 {
				r.Disconnect()
			}
		}
	}
	if hellos != 2 {
		t.Errorf("%d hellos", hellos)
	}
}

// TestNothingIsLeft: a process in a session of its own ends with its trainer, and a
// trainer that is deaf ends when it is killed.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	r := start(t, "orphan\ndeaf\nsay "+hello+"\nhang", nil)
	for m := range r.Messages() {
		if _, ok := m.(child.Hello); ok {
			r.Terminate()
			r.Kill()
		}
	}
	_, pid, _ := strings.Cut(r.output.String(), " ")
	if stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat")); err == nil && !strings.Contains(string(stat), ") Z") {
		t.Errorf("process %s is left: %s", pid, stat)
	}
}

// TestOverdue: a trainer that does not end after its result is killed.
func TestOverdue(t *testing.T) {
	t.Parallel()
	r := start(t, `say `+hello+`
say {"type":"result","folder":"/m"}
hang`, func(cfg *child.Config) { cfg.Timing.End = 50 * time.Millisecond })
	messages := r.all()
	if e := r.Exit(); len(messages) != 2 || !e.Overdue {
		t.Errorf("messages:\n%s\nended as %+v, want overdue", texts(messages), e)
	}
}

// TestEnvironment: what is allowed, what the settings name, and what is set.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	r := start(t, "environ\nsay "+hello, func(cfg *child.Config) {
		cfg.More = append(cfg.More, "OWN=1")
		cfg.Job.Devices = "2,3"
	})
	r.all()
	out := r.output.String()
	for _, want := range []string{"CUDA_HOME=/cuda", "OWN=1", "CUDA_VISIBLE_DEVICES=2,3", "HF_HUB_OFFLINE=1", "TUNEBUS_SOCKET=/", "TMPDIR=/"} {
		if !strings.Contains(out, "stdout "+want) {
			t.Errorf("no %s in the environment:\n%s", want, out)
		}
	}
	if strings.Contains(out, "SECRET_TOKEN") || strings.Contains(out, "CUDA_API_KEY") {
		t.Errorf("a secret is in the environment:\n%s", out)
	}
}

// TestFolderIsPrivateAndGone: only this user enters the folder of the socket, and it is
// gone with the trainer.
func TestFolderIsPrivateAndGone(t *testing.T) {
	t.Parallel()
	r := start(t, "say "+hello+"\nsocket\nwait stop", nil)
	folder := ""
	for m := range r.Messages() {
		if n, ok := m.(child.Note); ok {
			folder = filepath.Dir(n.Text)
			if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("the folder %s: %v, %v", folder, info, err)
			}
			r.Send(child.StopWithin(0))
		}
	}
	if _, err := os.Stat(folder); err == nil {
		t.Errorf("%s is left", folder)
	}
}
