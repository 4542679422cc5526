package localrun

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/follow"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/interrupt"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/places"
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
	// closed is set if there will be no decision.
	closed bool
}

func newJobGate() *jobGate { return &jobGate{decided: make(chan struct{})} }

// decide lets the workers take the jobs of all runs but those that are left alone.
func (g *jobGate) decide(left []string) {
	g.once.Do(func() {
		g.left = left
		close(g.decided)
	})
}

// close leaves all runs alone if nothing was decided: the workers are about to stop.
func (g *jobGate) close() {
	g.once.Do(func() {
		g.closed = true
		close(g.decided)
	})
}

// skip waits for the decision and reports whether a run is left alone.
func (g *jobGate) skip(run string) bool {
	<-g.decided
	return g.closed || slices.Contains(g.left, run)
}

// unfinished deals with the runs that an earlier process left unfinished.
type unfinished struct {
	session *session.Session
	bus     *conn.Conn
	start   Start
	cfg     settings.Settings
	gate    *jobGate
	// waiting are the requests that no intake has looked at.
	waiting *waitingRequests
	// mode is what --resume says; empty: a person at a terminal is asked.
	mode string
	// asked is the run that this process is asked for.
	asked askedFor
	// homes are where the reports and the tracking of those runs go.
	homes []places.Home
	// tracking is the longest wait for MLflow behind the end of a run.
	tracking time.Duration
	// next says what becomes of the run that this process has not asked for yet; empty behind
	// that.
	next string
}

// lastWords are those of a command that is ended while it goes on with other runs.
func (u unfinished) lastWords(runs []string) string {
	text := whatGoesOn(u.session, u.start, runs...)
	if u.next != "" && !slices.Contains(runs, u.asked.id) { // it goes on with the run that it is asked for
		text += "\n" + u.next
	}
	return text
}

// settle deals with all unfinished runs, and with the requests that wait for intake. It
// returns those that it leaves alone.
func (u unfinished) settle(ctx context.Context) (left []string, err error) {
	open, err := runlister.New(u.bus).Open(ctx)
	if err != nil || len(open)+len(u.waiting.all) == 0 {
		return nil, err
	}
	console := u.session.Console
	var able []string
	if len(open) > 0 {
		console.Say("%s left unfinished on the data folder %s:", were(len(open)), u.cfg.Data.Folder)
		if able, left, err = u.sort(ctx, open); err != nil {
			return nil, err
		}
	}
	u.waiting.say(console, u.cfg.Data.Folder)
	waiting := u.waiting.ids()
	mode := u.mode
	if mode == "" {
		mode = resumeFirst
		if len(able)+len(waiting) > 0 {
			if mode, err = console.Choose(os.Stdin, whatBecomes(len(able)+len(left)+len(waiting)), resumeModes()); err != nil {
				return nil, err
			}
		}
	}
	all := slices.Concat(open, waiting)
	if mode != resumeFirst && slices.Contains(waiting, u.asked.id) { // one of both would be rejected
		return all, exit.Input(fmt.Errorf("--run-id %s: a request that waits for intake has this id, and nothing was done; choose another id, or go on with that request:\n  %s",
			u.asked.id, u.start.goOn(u.session)))
	}
	switch mode {
	case resumeSkip:
		u.waiting.decide(true)
		u.gate.decide(open)
		return all, nil
	case resumeCancel:
		if slices.Contains(open, u.asked.id) { // known before anything is cancelled
			return all, exit.Input(fmt.Errorf("--run-id %s: the unfinished run has this id, and nothing was cancelled; choose another id, or go on with that run:\n  %s",
				u.asked.id, u.start.goOn(u.session)))
		}
	}
	if err := u.asked.check(ctx, u.bus, open, u.start.goOn(u.session)); err != nil {
		return all, err
	}
	more, foreign, err := u.admit(ctx)
	if err == nil {
		err = u.asked.check(ctx, u.bus, more, u.start.goOn(u.session))
	}
	if err != nil {
		return nil, err
	}
	able, left = append(able, more...), append(left, foreign...)
	if mode == resumeCancel {
		return nil, u.cancel(ctx, append(able, left...))
	}
	before, err := u.attempts(ctx, able)
	if err != nil {
		return nil, err
	}
	if err := u.sayHomes(ctx, able); err != nil {
		return nil, err
	}
	u.gate.decide(left)
	return left, u.finish(ctx, able, before)
}

// admit has intake look at the requests that wait for it, and parts the runs that it accepts
// as sort does.
func (u unfinished) admit(ctx context.Context) (able, foreign []string, err error) {
	ids := u.waiting.ids()
	if len(ids) == 0 {
		return nil, nil, nil
	}
	interrupt.LastWords(ctx, u.lastWords(ids))
	accepted, err := u.waiting.admit(ctx, u.session.Console, u.bus)
	if err != nil && ctx.Err() != nil {
		return nil, nil, interrupted(u.lastWords(ids))
	}
	interrupt.LastWords(ctx, "")
	if err != nil || len(accepted) == 0 {
		return nil, nil, err
	}
	u.session.Console.Say("intake has accepted:")
	return u.sort(ctx, accepted)
}

// sort says of each run what it is, and parts those that the workers of this process
// can finish from the others.
func (u unfinished) sort(ctx context.Context, open []string) (able, foreign []string, err error) {
	for _, id := range open {
		run, err := history.New(u.bus).Run(ctx, id)
		if err != nil && !codec.IsUndecodable(err) {
			return nil, nil, err
		}
		why := ""
		if err != nil {
			u.session.Console.Say("  %s, which cannot be read: %v", id, err)
			foreign = append(foreign, id)
			continue
		}
		if run.Accepted == nil {
			continue // it was deleted meanwhile
		}
		if run.Cancel == nil {
			why = u.foreign(run)
		}
		u.session.Console.Say("  %s (%s)%s", id, view.Inline(run.Accepted.RunName), cmp.Or(why, cutOff(run)))
		if why != "" {
			foreign = append(foreign, id)
		} else {
			able = append(able, id)
		}
	}
	return able, foreign, nil
}

// cutOff says what a run waits for whose worker died: the server holds its job back until the
// ack wait is over. It is empty if none did.
func cutOff(run events.Run) string {
	for _, p := range events.Phases() {
		if run.Phases[p].Claimed() {
			return fmt.Sprintf(", whose process was killed during %s: NATS gives the job to a worker again within half a minute", p)
		}
	}
	return ""
}

// foreign says why the workers of this process cannot finish a run; empty if they can.
func (u unfinished) foreign(run events.Run) string {
	if queue := u.foreignQueue(run); queue != "" {
		return fmt.Sprintf(", which waits for a worker of %s, and no worker of this process takes its jobs", queue)
	}
	if u.foreignJudge(run) {
		return fmt.Sprintf(", whose judge %s is not allowed here: services.evaluation.judge_allowed names it, or the specification of this run",
			run.Accepted.Specification.Evaluator.JudgeBaseURL)
	}
	return ""
}

// finishOthers waits for the ends of the runs that other commands asked this process
// for meanwhile. It returns those that stay unfinished: those of left, and those that no
// worker of this process can finish.
func (u unfinished) finishOthers(ctx context.Context, left []string) ([]string, error) {
	for {
		open, err := runlister.New(u.bus).Open(ctx)
		open = slices.DeleteFunc(open, func(id string) bool { return slices.Contains(left, id) })
		if err != nil || len(open) == 0 {
			return left, err
		}
		u.session.Console.Say("%s submitted to this process meanwhile:", were(len(open)))
		able, foreign, err := u.sort(ctx, open)
		left = append(left, foreign...)
		if err == nil {
			err = u.finish(ctx, able, nil)
		}
		if err != nil {
			return left, err
		}
	}
}

// openNow lists the runs that have not ended, but for those of left, when ctx may be at its end
// already. It lists none if NATS does not answer.
func (u unfinished) openNow(ctx context.Context, left []string) []string {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	open, err := runlister.New(u.bus).Open(ctx)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(open, func(id string) bool { return slices.Contains(left, id) })
}

// endNow says how a run has ended, when ctx may be at its end already; empty if it goes on, or if
// NATS does not answer.
func (u unfinished) endNow(ctx context.Context, id string) string {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	run, err := history.New(u.bus).Run(ctx, id)
	if err != nil || run.Completed == nil {
		return ""
	}
	ended := fmt.Sprintf("run %s had ended: %s; this shows it:\n  %s", id, runsummary.Of(run).Status, u.session.CommandLine("show", id, "--data", u.cfg.Data.Folder))
	if run.Tracked == nil {
		ended += fmt.Sprintf("\nand this makes its reports and tracks it, since that was interrupted:\n  %s", u.session.CommandLine("replay", "tracking", "--run", id, "--data", u.cfg.Data.Folder))
	}
	return ended
}

// foreignQueue returns the queue of a step of a run that no worker of this process
// takes jobs from; empty if there is none.
func (u unfinished) foreignQueue(run events.Run) string {
	if run.Accepted == nil {
		return ""
	}
	for _, step := range run.Accepted.Plan {
		p := run.Phases[step.Phase]
		if (p == nil || p.Completed == nil) && !inprocess.Takes(u.cfg, step.Phase, step.Queue) {
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

// attempts counts the attempts at each run so far.
func (u unfinished) attempts(ctx context.Context, runs []string) (map[string]int, error) {
	out := map[string]int{}
	for _, id := range runs {
		run, err := history.New(u.bus).Run(ctx, id)
		if err != nil && !codec.IsUndecodable(err) {
			return nil, err
		}
		for _, p := range run.Phases {
			out[id] += len(p.Attempts)
		}
		if run.Completed != nil {
			out[id]++
		}
	}
	return out, nil
}

// begins is how long a run may take until a worker of this process works on it.
const begins = 5 * time.Second

// worked returns the first of the runs that is worked on: with more attempts than
// before. Workers take the jobs in no certain order.
func (u unfinished) worked(ctx context.Context, runs []string, before map[string]int) (string, error) {
	if len(runs) == 1 {
		return runs[0], nil
	}
	for deadline := time.Now().Add(begins); ; {
		now, err := u.attempts(ctx, runs)
		if err != nil {
			return "", err
		}
		for _, id := range runs {
			if now[id] > before[id] {
				return id, nil
			}
		}
		if time.Now().After(deadline) {
			return runs[0], nil
		}
		select {
		case <-ctx.Done():
			return runs[0], nil // following it ends at once
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// finish waits for the ends of runs and shows their progress, of those first that are
// worked on. before counts the attempts before this process.
func (u unfinished) finish(ctx context.Context, runs []string, before map[string]int) error {
	for left := slices.Clone(runs); len(left) > 0; {
		id, err := u.worked(ctx, left, before)
		if err != nil {
			return err
		}
		others := slices.DeleteFunc(slices.Clone(left), func(other string) bool { return other == id })
		waiting := ""
		if len(others) > 0 {
			waiting = "; " + strings.Join(others, ", ") + " then"
		}
		u.session.Console.Say("going on with %s%s", id, waiting)
		interrupt.LastWords(ctx, u.lastWords(left))
		back := view.Another(u.session.Console)
		run, err := follow.Show(ctx, u.session.Console, u.bus, follow.Run{ID: id, Tracking: u.tracking})
		back()
		if err != nil {
			if ctx.Err() != nil {
				return interrupted(u.lastWords(left))
			}
			return err
		}
		pending := ""
		if run.Tracked == nil {
			pending = "; its tracking is pending"
		}
		if len(run.Unpublished()) > 0 {
			pending += "; its pushes to the Hub are pending"
		}
		u.session.Console.Say("run %s ended: %s%s", id, runsummary.Of(run).Status, pending)
		left = others
		interrupt.LastWords(ctx, "")
	}
	return nil
}

// cancel ends runs and waits for it, and for their reports and their tracking: this process
// may have nothing else to do.
func (u unfinished) cancel(ctx context.Context, runs []string) error {
	for _, id := range runs { // before a worker takes a job of theirs
		_, err := publishing.Within(u.bus, publishing.Limit).Publish(ctx, events.CancelRequested{RunID: id, By: "user", Reason: "--resume=" + resumeCancel}, journal.Fence{})
		if _, requested := errors.AsType[*journal.FencedError](err); err != nil && !requested {
			return err
		}
	}
	u.gate.decide(nil)
	waiting, stop := context.WithTimeout(ctx, u.tracking)
	defer stop()
	for _, id := range runs {
		run, err := history.New(u.bus).Run(ctx, id)
		if err == nil {
			run, err = runwatch.On(u.bus).End(ctx, run)
		}
		if err != nil {
			return fmt.Errorf("cancel %s: %w", id, err)
		}
		pending := ""
		if err := runwatch.On(u.bus).Tracked(waiting, id); err != nil && ctx.Err() == nil {
			pending = "; its tracking is pending"
		}
		u.session.Console.Say("run %s ended: %s%s", id, runsummary.Of(run).Status, pending)
	}
	return nil
}

// checkResume checks the value of --resume.
func checkResume(mode string) error {
	if strings.HasPrefix(mode, "-") { // the flag behind it was taken for its value
		return exit.Input(fmt.Errorf("--resume wants a value, one of %s, and before %s it has none; write --resume=%s", strings.Join(resumeModes(), ", "), mode, resumeFirst))
	}
	if mode != "" && !slices.Contains(resumeModes(), mode) {
		return exit.Input(fmt.Errorf("--resume=%s: want one of %s", mode, strings.Join(resumeModes(), ", ")))
	}
	return nil
}

// whatBecomes asks what becomes of so many runs.
func whatBecomes(n int) string {
	if n == 1 {
		return "go on with it first, cancel it, or leave it as it is"
	}
	return "go on with them first, cancel them, or leave them as they are"
}

// were counts runs, with the verb for their number.
func were(n int) string {
	if n == 1 {
		return "1 run was"
	}
	return fmt.Sprintf("%d runs were", n)
}
