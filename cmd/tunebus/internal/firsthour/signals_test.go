package firsthour

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// inner are words that no person asked for. A command that a signal ended says none.
var inner = regexp.MustCompile(`context canceled|nats: |panic|signal received|goroutine|level=`)

// ended are the exit statuses of commands that signals ended.
var ended = map[syscall.Signal]string{syscall.SIGINT: "130", syscall.SIGTERM: "143", syscall.SIGHUP: "129"}

// moment is a command, and what it shows when a signal comes.
type moment struct {
	command, shows string
	// says is what it says of what goes on; empty if nothing does.
	says string
}

// TestSignals: whatever a command does when a signal comes, it ends with the status of
// that signal, leaves a clean screen, says what goes on, and the command to go on with.
func TestSignals(t *testing.T) {
	h := newHour(t, width)
	tunebus := h.program + " "
	h.does(tunebus + "run configs/quickstart.toml --set fine_tuner.epochs=1 --run-id done --data 'my data'")
	h.does(tunebus + "up --data server --port 0 > up.log 2>&1 &")
	at := h.enter("echo up is $!")
	shown, _ := h.finish(at)
	_, number, _ := strings.Cut(shown, "\nup is ")
	up := processOf(t, strings.TrimSpace(number))
	t.Cleanup(func() { _ = up.Kill() }) // it may have ended
	h.does("until grep -q ready up.log; do sleep 0.1; done; at=$(sed -n 's/.*NATS at \\([^,]*\\),.*/\\1/p' up.log)")
	long := "submit configs/quickstart.toml --set fine_tuner.epochs=5000 --server $at"
	h.does(tunebus + long + " --run-id long")
	h.does(tunebus + long + " --run-id behind")
	bar := `^finetune +\d+/\d+ `
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		for _, m := range []moment{
			{"watch long --server $at", bar, "goes on, and this follows it again"},
			{"watch behind --server $at", "^run .*behind", "goes on, and this follows it again"},
			{long + " --run-id waited" + ended[sig] + " --wait", "^run ", "goes on, and this follows it again"},
			{"logs long --follow --server $at", "started by", ""},
			{"runs --watch --server $at", "Ctrl-C ends this", ""},
			{"run configs/quickstart.toml --set fine_tuner.epochs=500 --data 'other " + ended[sig] + "'", bar, "this goes on with it"},
			{"run configs/quickstart.toml --data 'other " + ended[sig] + "'", "^go on with it first", "nothing was done"},
			{"rerun done --set fine_tuner.epochs=500 --data 'my data' --resume=skip", bar, "this goes on with it"},
			{"delete done --data 'my data'", "for good", "nothing was done"},
			{"chat done --data 'my data'", "^>$", ""},
		} {
			shown, status := h.signalled(m.command, m.shows, sig)
			if status != ended[sig] || !strings.Contains(shown, m.says) {
				t.Errorf("%s, %v: status %s\n%s", m.command, sig, status, shown)
			}
		}
	}
	h.does(tunebus + "cancel behind --server $at; kill -TERM %1; wait %1; echo \"up $?\"")
	if shown := h.since(0); !regexp.MustCompile(`(?m)^up 0$`).MatchString(shown) {
		t.Errorf("up did not end with 0:\n%s", shown)
	}
}

// TestSignalsEarly: a signal may come at any moment of any command.
func TestSignalsEarly(t *testing.T) {
	h := newHour(t, width)
	h.does(h.program + " run configs/quickstart.toml --set fine_tuner.epochs=1 --run-id done --data 'my data'")
	h.does(h.program + " run configs/quickstart.toml --set fine_tuner.epochs=1 --run-id other --data 'my data'")
	for _, command := range []string{
		"run configs/quickstart.toml --set fine_tuner.epochs=500 --data fresh --resume=cancel", "up --data fresh --port 0", "runs", "show done", "logs done --follow",
		"watch done", "compare done other", "export done out --force", "chat done", "rerun done --resume=cancel", "doctor", "gc --dry-run", "archive --older-than 1d",
		"delete done --dry-run", "cancel done", "data preview configs/quickstart/train.jsonl", "config check configs/quickstart.toml", "submit configs/quickstart.toml",
	} {
		if at := " --data 'my data'"; !regexp.MustCompile(`--data|^data|^config|^submit`).MatchString(command) {
			command += at
		}
		for name, sig := range map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM} {
			for _, after := range []string{"0.03", "0.2"} {
				at := h.enter("timeout --foreground --preserve-status -s " + name + " " + after + " " + h.program + " " + command)
				shown, status := h.finish(at)
				h.clean()
				if inner.MatchString(shown) {
					t.Errorf("%s, %s after %s s: status %s\n%s", command, name, after, status, shown)
				}
				if got, _ := strconv.Atoi(status); strings.Contains(shown, "interrupted") && status != ended[sig] || got == 1 && !strings.Contains(command, "doctor") && !strings.Contains(command, "submit") {
					t.Errorf("%s, %s after %s s: status %s\n%s", command, name, after, status, shown)
				}
			}
		}
	}
	if left, err := filepath.Glob(filepath.Join(h.dir, "*export*")); err != nil || len(left) > 0 {
		t.Errorf("export left %v, %v", left, err)
	}
}

// signalled runs a command, sends it a signal when it shows a text, and waits for its
// end.
func (h *hour) signalled(command, shows string, sig syscall.Signal) (shown, status string) {
	h.t.Helper()
	at := h.enter("sh -c 'echo \"process $$\"; exec \"$@\"' - " + h.program + " " + command)
	h.see(at, shows)
	if sig == syscall.SIGINT {
		h.press("\x03")
	} else {
		_, number, _ := strings.Cut(h.since(at), "\nprocess ")
		number, _, _ = strings.Cut(number, "\n")
		if err := processOf(h.t, number).Signal(sig); err != nil {
			h.t.Fatal(err)
		}
	}
	shown, status = h.finish(at)
	h.clean()
	if inner.MatchString(shown) {
		h.t.Errorf("%s, %v: %s", command, sig, shown)
	}
	return shown, status
}

// processOf is the process with a number.
func processOf(t *testing.T, number string) *os.Process {
	t.Helper()
	id, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	process, err := os.FindProcess(id)
	if err != nil {
		t.Fatal(err)
	}
	return process
}
