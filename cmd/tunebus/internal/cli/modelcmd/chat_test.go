package modelcmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// say runs chat on what a pipe says.
func say(t *testing.T, text string, args ...string) (status int, out, screen string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = w.WriteString(text)
		_ = w.Close()
	}()
	defer r.Close()
	return clitest.RunWithInput(t, r, append([]string{"chat"}, args...)...)
}

// TestChat: each line is answered, what was said before counts until /reset, and
// both models answer where they are asked to.
func TestChat(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "r", base: "some/base-model", upload: true}, tuned{id: "full", base: "owner/name", full: true},
		tuned{id: "short", base: "owner/name", full: true, prompt: 64})
	args := []string{"--data", f.Dir, "--max-new-tokens", "6", "--temperature", "0"}
	type exchange struct {
		Message, Answer string
		Base            *string `json:"base_answer"`
		Tokens          int
	}
	read := func(out string) (all []exchange) {
		for dec := json.NewDecoder(strings.NewReader(out)); dec.More(); {
			var e exchange
			if err := dec.Decode(&e); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			all = append(all, e)
		}
		return all
	}
	status, out, screen := say(t, "Who are you?\n\nWho are you?\n/reset\nWho are you?\n/exit\nnot asked\n", append(args, "r", "--json", "--base")...)
	all := read(out)
	if status != 0 || len(all) != 3 || !strings.Contains(screen, "a new conversation begins") {
		t.Fatalf("status %d: %+v\n%s", status, all, screen)
	}
	if first, again := all[0], all[2]; first.Answer == "" || first.Tokens == 0 || first.Answer != again.Answer || first.Base == nil || *first.Base != first.Answer {
		t.Errorf("%+v, %+v: a new adapter changes nothing, and after /reset all is as it was", first, again)
	}
	text, plain, _ := say(t, "Who are you?", append(args, "r")...)
	if text != 0 || plain != all[0].Answer+"\n" {
		t.Errorf("as text: status %d, %q, want %q", text, plain, all[0].Answer)
	}
	if _, both, _ := say(t, "Who are you?", append(args, "full")...); both != plain {
		t.Errorf("the whole model says %q", both)
	}
	if status, _, screen := say(t, "Hello\n", "nobody", "--data", f.Dir); status != 2 || !strings.Contains(screen, "run nobody is unknown") {
		t.Errorf("status %d\n%s", status, screen)
	}
	if status, _, screen := say(t, strings.Repeat("x", 2<<20), append(args, "r")...); status != 2 || !strings.Contains(screen, "longer than") {
		t.Errorf("a line without an end: status %d\n%s", status, screen)
	}
	refused, out, screen := say(t, strings.Repeat("word ", 200), append(args, "short", "--json")...)
	if refused != 2 || !strings.Contains(out, `"exit_status":2`) || !strings.Contains(out, "faults") {
		t.Errorf("a message that is too long, for a program: status %d\n%s%s", refused, out, screen)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "chat-*", "tuned")); err != nil || len(left) > 1 { // another test may talk
		t.Errorf("left %v, %v", left, err)
	}
}

// TestChatTemperature: a temperature that is no number is bad input.
func TestChatTemperature(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"NaN", "Inf", "-Inf", "-1"} {
		if status, _, screen := say(t, "hi\n", "r", "--temperature", value); status != 2 || !strings.Contains(screen, "want a number, 0 or more") {
			t.Errorf("--temperature %s: status %d\n%s", value, status, screen)
		}
	}
}

// TestChatTooLong: a message that the model was not made for is an error with the numbers,
// also without a limit of the run, and what a long conversation loses is said.
func TestChatTooLong(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "r", base: "owner/name", full: true})
	args := []string{"r", "--data", f.Dir, "--max-new-tokens", "6", "--temperature", "0"}
	for _, more := range [][]string{nil, {"--json"}} {
		status, out, screen := say(t, strings.Repeat("word ", 400), append(args, more...)...)
		if text := screen + out; status != 2 || !strings.Contains(text, "tokens, and the model was made for 256, its answer among them") {
			t.Errorf("%v: status %d\n%s%s", more, status, out, screen)
		}
	}
	status, out, screen := say(t, strings.Repeat("word ", 200)+"\n"+strings.Repeat("word ", 180)+"\n", append(args, "--json")...)
	if status != 0 || strings.Count(out, `"forgotten_turns":2`) != 1 || !strings.Contains(screen, "the tuned model did not see the first 2 turns; /reset begins a new one") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
}

// TestChatInvalidUTF8: a message that is no text is refused with its place, and so is a
// system prompt.
func TestChatInvalidUTF8(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "r", base: "owner/name", full: true})
	args := []string{"r", "--data", f.Dir, "--max-new-tokens", "6"}
	if status, _, screen := say(t, "hi\n\nä\xff \n", args...); status != 2 || !strings.Contains(screen, "line 3 of the input is not encoded as UTF-8, at its byte 3") {
		t.Errorf("status %d\n%s", status, screen)
	}
	if status, _, screen := say(t, "\ufffd\n", args...); status != 0 {
		t.Errorf("the replacement character itself: status %d\n%s", status, screen)
	}
	if status, _, screen := say(t, "hi\n", append(args, "--system", "\xff")...); status != 2 || !strings.Contains(screen, "--system is not encoded as UTF-8") {
		t.Errorf("--system: status %d\n%s", status, screen)
	}
}
