package joblog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/worker/joblog"
)

// publisher keeps what is published.
type publisher struct {
	mu      sync.Mutex
	batches []events.Log
	err     error
}

func (p *publisher) PublishMetric(_ context.Context, ev events.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batches = append(p.batches, ev.(events.Log))
	return p.err
}

// lines are the texts that were published, each behind its number and its level.
func (p *publisher) lines() (out []string) {
	for _, b := range p.batches {
		for i, l := range b.Lines {
			out = append(out, fmt.Sprintf("%d %s %s", b.First+int64(i), l.Level, l.Text))
		}
	}
	return out
}

func start(p *publisher, environ ...string) *joblog.Log {
	return joblog.Start(joblog.Config{RunID: "r", Phase: events.Finetune, Attempt: 2, Publisher: p, Environ: func() []string { return environ }})
}

// TestLogger: what a logger writes from level info on is a line, with attributes, and
// goes to the worker's own log as that shows it.
func TestLogger(t *testing.T) {
	t.Parallel()
	p, own := &publisher{}, &bytes.Buffer{}
	l := start(p)
	log := l.Logger(slog.New(slog.NewTextHandler(own, &slog.HandlerOptions{Level: slog.LevelWarn})).With("run", "r"))
	log.Debug("too small")
	log.Info("fetched", "step", 3, "error", nil)
	log.With("store", "s 1").WithGroup("g").Warn("slow", "seconds", 2)
	log.Error("broken", "error", errors.New("no\x1b room"))
	l.Write(joblog.Stdout, "from a child\n")
	l.Close()
	want := []string{"1 info fetched step=3", `2 warning slow store="s 1" g.seconds=2`, "3 error broken error=\"no\x1b room\"", "4 stdout from a child"}
	if got := p.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("lines:\n%q, want\n%q", got, want)
	}
	if b := p.batches[0]; b.RunID != "r" || b.Phase != events.Finetune || b.Attempt != 2 {
		t.Errorf("batch %+v", b)
	}
	if text := own.String(); strings.Contains(text, "fetched") || !strings.Contains(text, "msg=slow run=r") || strings.Count(text, "\n") != 2 {
		t.Errorf("the worker's own log:\n%s", text)
	}
}

// TestNoSecrets: secrets of the process and passwords in addresses are no part of a
// line.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	p := &publisher{}
	l := start(p, "HF_TOKEN=hf_0123456789", "SHORT_KEY=abc", "PATH=/usr/bin:/bin")
	l.Write(joblog.Info, "token hf_0123456789, abc, /usr/bin:/bin, nats://user:hush@host:4222/x https://host/a:b@c")
	l.Close()
	want := "1 info token [hidden], abc, /usr/bin:/bin, nats://user:[hidden]@host:4222/x https://host/a:b@c"
	if got := p.lines(); len(got) != 1 || got[0] != want {
		t.Errorf("line %q, want %q", got, want)
	}
}

// TestBounds: a job that logs without end, into NATS that takes nothing, goes on; what
// is dropped shows in the numbers of the lines.
func TestBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{err: errors.New("no connection")}
		l := start(p)
		for range 5000 {
			l.Write(joblog.Stderr, strings.Repeat("é", 5000))
		}
		time.Sleep(time.Second) // of the bubble's clock
		l.Write(joblog.Info, "later")
		l.Close()
		l.Write(joblog.Info, "too late")
		l.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		lines := p.lines()
		if last := lines[len(lines)-1]; last != "5001 info later" {
			t.Errorf("the last line is %.100q", last)
		}
		if len(lines) > 3000 {
			t.Errorf("%d lines were sent", len(lines))
		}
		for _, b := range p.batches {
			if len(b.Lines) > events.MaxLogLines || len(b.Lines[0].Text) > events.MaxLogLineBytes {
				t.Fatalf("a batch of %d lines, the first of %d bytes", len(b.Lines), len(b.Lines[0].Text))
			}
		}
	})
}

// TestSteps: steps are lines now and then, and short work has none.
func TestSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		l := start(p)
		short, long := l.Progress(), l.Progress()
		short.Step(1, 1, nil)
		for step := range int64(30) {
			time.Sleep(time.Second) // of the bubble's clock
			long.Step(step+1, 30, []events.Point{{Key: "loss", Value: 0.5}})
		}
		l.Close()
		want := []string{"1 info step 10 of 30 loss=0.5", "2 info step 20 of 30 loss=0.5", "3 info step 30 of 30 loss=0.5"}
		if got := p.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("lines %q, want %q", got, want)
		}
	})
}
