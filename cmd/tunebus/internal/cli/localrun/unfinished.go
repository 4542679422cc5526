package localrun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/follow"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/publishing"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/runwatch"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// The values of --resume: what becomes of the runs that an earlier process left
// unfinished on the data folder.
const (
	resumeFirst  = "first"
	resumeCancel = "cancel"
	resumeSkip   = "skip"
)

// resumeModes are the values of --resume, the default first.
func resumeModes() []string { return []string{resumeFirst, resumeCancel, resumeSkip} }

// jobGate holds back the jobs of earlier runs until it is decided what becomes of
// them.
type jobGate struct {
	decided chan struct{}
	once    sync.Once
	left    []string
}

func newJobGate() *jobGate { return &jobGate{decided: make(chan struct{})} }

// decide lets the workers take the jobs of all runs but those that are left alone.
func (g *jobGate) decide(left []string) {
	g.once.Do(func() {
		g.left = left
		close(g.decided)
	})
}

// skip waits for the decision and reports whether a run is left alone.
func (g *jobGate) skip(run string) bool {
	<-g.decided
	return slices.Contains(g.left, run)
}

// unfinished deals with the runs that an earlier process left unfinished.
type unfinished struct {
	session *session.Session
	bus     *conn.Conn
	start   Start
	cfg     settings.Settings
	gate    *jobGate
	// mode is what --resume says; empty: a person at a terminal is asked.
	mode string
}

// settle deals with all unfinished runs and returns those that it leaves alone.
func (u unfinished) settle(ctx context.Context) (left []string, err error) {
	open, err := runlister.New(u.bus).Open(ctx)
	if err != nil || len(open) == 0 {
		return nil, err
	}
	console := u.session.Console
	var able []string // those that the workers of this process can finish
	console.Say("%s left unfinished on the data folder %s:", wereLeft(len(open)), u.cfg.Data.Folder)
	for _, id := range open {
		run, err := history.New(u.bus).Run(ctx, id)
		switch queue := u.foreignQueue(run); {
		case codec.IsUndecodable(err):
			console.Say("  %s, which cannot be read: %v", id, err)
			left = append(left, id)
		case err != nil:
			return nil, err
		case queue != "" && run.Cancel == nil:
			console.Say("  %s (%s), which waits for a worker of %s, and no worker of this process takes its jobs", id, view.Inline(run.Accepted.RunName), queue)
			left = append(left, id)
		case u.foreignJudge(run) && run.Cancel == nil:
			console.Say("  %s (%s), whose judge %s is not allowed here: services.evaluation.judge_allowed names it, or the specification of this run",
				id, view.Inline(run.Accepted.RunName), run.Accepted.Specification.Evaluator.JudgeBaseURL)
			left = append(left, id)
		default:
			console.Say("  %s (%s)", id, view.Inline(run.Accepted.RunName))
			able = append(able, id)
		}
	}
	mode := u.mode
	if mode == "" {
		mode = resumeFirst
		if len(able) > 0 {
			if mode, err = console.Choose(os.Stdin, "go on with them first, cancel them, or leave them as they are", resumeModes()); err != nil {
				return nil, err
			}
		}
	}
	switch mode {
	case resumeSkip:
		u.gate.decide(open)
		return open, nil
	case resumeCancel:
		u.gate.decide(nil)
		return nil, u.cancel(ctx, append(able, left...))
	}
	u.gate.decide(left)
	return left, u.finish(ctx, able)
}

// foreignQueue returns the queue of a step of a run that no worker of this process
// takes jobs from; empty if there is none.
func (u unfinished) foreignQueue(run events.Run) string {
	if run.Accepted == nil {
		return ""
	}
	for _, step := range run.Accepted.Plan {
		p := run.Phases[step.Phase]
		if (p == nil || p.Completed == nil) && step.Queue != u.cfg.Worker(step.Phase).Queue {
			return string(step.Phase) + "/" + step.Queue
		}
	}
	return ""
}

// foreignJudge reports whether a run has yet to ask a judge that this process does
// not allow: its rows would stay without scores.
func (u unfinished) foreignJudge(run events.Run) bool {
	if run.Accepted == nil || run.Accepted.Specification.Evaluator.JudgeBaseURL == "" {
		return false
	}
	if p := run.Phases[events.Evaluation]; p != nil && p.Completed != nil {
		return false
	}
	allowed := append([]string{u.cfg.Evaluation.JudgeBaseURL}, u.cfg.Evaluation.JudgeAllowed...)
	return !slices.ContainsFunc(allowed, func(origin string) bool {
		return settings.SameOrigin(origin, run.Accepted.Specification.Evaluator.JudgeBaseURL)
	})
}

// finish waits for the ends of runs and shows their progress.
func (u unfinished) finish(ctx context.Context, runs []string) error {
	for i, id := range runs {
		u.session.Console.Say("going on with %s", id)
		run, err := follow.Show(ctx, u.session.Console, u.bus, follow.Run{ID: id})
		if err != nil {
			if ctx.Err() != nil {
				return interrupted(u.session, u.start, runs[i:]...)
			}
			return err
		}
		u.session.Console.Say("run %s ended: %s", id, runsummary.Of(run).Status)
	}
	return nil
}

// cancel ends runs and waits for it.
func (u unfinished) cancel(ctx context.Context, runs []string) error {
	for _, id := range runs {
		_, err := publishing.Within(u.bus, publishing.Limit).Publish(ctx, events.CancelRequested{RunID: id, By: "user", Reason: "--resume=" + resumeCancel}, journal.Fence{})
		if _, requested := errors.AsType[*journal.FencedError](err); err != nil && !requested {
			return err
		}
	}
	for _, id := range runs {
		run, err := history.New(u.bus).Run(ctx, id)
		if err == nil {
			run, err = runwatch.On(u.bus).End(ctx, run)
		}
		if err != nil {
			return fmt.Errorf("cancel %s: %w", id, err)
		}
		u.session.Console.Say("run %s ended: %s", id, runsummary.Of(run).Status)
	}
	return nil
}

// checkResume checks the value of --resume.
func checkResume(mode string) error {
	if mode != "" && !slices.Contains(resumeModes(), mode) {
		return exit.Input(fmt.Errorf("--resume=%s: want one of %s", mode, strings.Join(resumeModes(), ", ")))
	}
	return nil
}

// wereLeft counts runs, with the verb for their number.
func wereLeft(n int) string {
	if n == 1 {
		return "1 run was"
	}
	return fmt.Sprintf("%d runs were", n)
}
