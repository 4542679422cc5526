package settings_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// TestCommand: what belongs to a command that trains, and its grace.
func TestCommand(t *testing.T) {
	t.Parallel()
	const prefix = "TUNEBUS_SERVICES_FINETUNE_"
	for name, c := range map[string]struct {
		environ []string
		grace   time.Duration
		fault   string
	}{
		"built in":    {nil, 25 * time.Second, ""},
		"command":     {[]string{"COMMAND=python3,t.py", "QUEUE=command"}, 5 * time.Minute, ""},
		"own grace":   {[]string{"COMMAND=t", "QUEUE=command", "GRACE=1m"}, time.Minute, ""},
		"no command":  {[]string{"QUEUE=command"}, 0, `services.finetune.command: is missing`},
		"wrong queue": {[]string{"COMMAND=t"}, 0, `services.finetune.queue = builtin: the command does not train jobs of the built-in engine`},
		"devices":     {[]string{"COMMAND=t", "QUEUE=q", "SLOTS=2", "DEVICES=0"}, 0, "has 1 entries, want one for each of the 2 slots"},
		"no devices":  {[]string{"DEVICES=0"}, 0, "has no effect without services.finetune.command"},
		"environment": {[]string{"COMMAND=t", "QUEUE=q", "ENVIRONMENT==x"}, 0, "want NAME or NAME=value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var environ []string
			for _, v := range c.environ {
				environ = append(environ, prefix+v)
			}
			s, err := settings.Load(nil, environ)
			if c.fault == "" {
				if err != nil || s.Worker(events.Finetune).Grace != c.grace {
					t.Errorf("the grace is %s, %v; want %s", s.Worker(events.Finetune).Grace, err, c.grace)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%v, want %q", err, c.fault)
			}
		})
	}
}

// TestPatience: a program may give the built-in engine another grace, and neither a command
// nor who has set one.
func TestPatience(t *testing.T) {
	t.Parallel()
	s, err := settings.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Finetune.Patience = time.Hour
	if got := s.Worker(events.Finetune).Grace; got != time.Hour {
		t.Errorf("the grace is %s", got)
	}
	s.Finetune.Command = []string{"t"}
	if got := s.Worker(events.Finetune).Grace; got != 5*time.Minute {
		t.Errorf("the grace of a command is %s", got)
	}
	s.Finetune.Command, s.Finetune.Grace = nil, time.Second
	if got := s.Worker(events.Finetune).Grace; got != time.Second {
		t.Errorf("the grace that is set is %s", got)
	}
}
