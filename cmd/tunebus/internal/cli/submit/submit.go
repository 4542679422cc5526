// Package submit sends the request for a run to services that run elsewhere,
// and waits as far as --wait says.
//
// "tunebus submit" and "tunebus rerun" are built on it. Without --wait the decision
// on a request is awaited for a moment, so that a rejected one is an error. A
// request that nobody decides on meanwhile is stored and counts as sent.
package submit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/follow"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/patience"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/publishing"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/storeopening"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/timeflag"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/replayed"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/waiting"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/localinput"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/runwatch"
)

// The values of --wait.
const (
	waitCompleted = "completed"
	waitTracked   = "tracked"
)

// Flags say how a request is sent and how long to wait.
type Flags struct {
	// Data is a data folder that a process of this machine works on, which gets the
	// request; empty: a server.
	Data string

	artifacts, wait string
	// named is set if a flag names the artifact store.
	named bool
	limit time.Duration
}

// AddFlags adds the flags to a command.
func (f *Flags) AddFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.artifacts, "artifacts", "", "artifact store that the services use; default: the settings' artifacts.url")
	flags.StringVar(&f.wait, "wait", "", "wait until the run is "+waitCompleted+" or "+waitTracked)
	flags.Lookup("wait").NoOptDefVal = waitCompleted
	session.CompleteValues(c, "wait", waitCompleted, waitTracked)
	timeflag.WaitVar(flags, &f.limit, "timeout", 0, "longest wait; 0: none")
}

// Check checks the flags by themselves.
func (f *Flags) Check() error {
	if f.wait != "" && f.wait != waitCompleted && f.wait != waitTracked {
		return exit.Input(fmt.Errorf("--wait=%s: want %s or %s", f.wait, waitCompleted, waitTracked))
	}
	return storeopening.CheckAddress(f.artifacts)
}

// Send uploads the files of a request, publishes it, and waits as the flags
// say. specifications are the files of the specification, which may hold
// settings.
func Send(c *cobra.Command, s *session.Session, f Flags, specifications []string, r runrequest.Request) error {
	cfg, err := s.Settings(specifications...)
	if err != nil {
		return err
	}
	if err := r.CheckNoSecrets(cfg); err != nil {
		return err
	}
	s.Console.Notes(r.Notes)
	f.named, f.artifacts = f.artifacts != "", cmp.Or(f.artifacts, cfg.Artifacts.URL)
	begin := time.Now()
	var b *conn.Conn
	defer func() {
		if b != nil {
			b.Close()
		}
	}()
	var request uint64
	var unsure *publishing.NotStoredError // it may be submitted all the same
	// Nothing was stored, so it is no wait for a run that goes on.
	over := func(err error) error {
		return &exit.Error{Code: exit.CodeError, Err: fmt.Errorf("run %s was not submitted within %s: %w", r.ID, f.limit, err)}
	}
	err = patience.Within(c.Context(), s.Console, f.limit, over, func(ctx context.Context) (err error) {
		if b, err = session.ConnectToServices(ctx, s, f.Data, f.limit); err != nil {
			return err
		}
		if err := session.CheckSetUp(ctx, s, b); err != nil {
			return err
		}
		if err := checkRerun(ctx, b, r); err != nil {
			return err
		}
		// The time for the last step is what is left, and its end is no end of the others.
		to := lastStep{ctx: c.Context(), bus: b, limit: f.limit, begin: begin}
		request, err = publish(ctx, s, b, f, r, to)
		if found, ok := errors.AsType[*publishing.NotStoredError](err); ok {
			unsure, err = found, nil
		}
		return err
	})
	if unsure != nil {
		return fmt.Errorf("it is not sure that run %s is submitted: %w; if only the answer of NATS got lost, this follows the run:\n  %s",
			r.ID, unsure, s.CommandLine("watch", r.ID))
	}
	if err != nil {
		return err
	}
	return wait(c.Context(), s, b, f, r, request, begin)
}

// lastStep publishes a request within what is left of a limit that began earlier.
type lastStep struct {
	ctx   context.Context //nolint:containedctx // that of the command, beside that of the earlier steps
	bus   *conn.Conn
	limit time.Duration
	begin time.Time
}

// Publish implements [runrequest.Publisher].
func (l lastStep) Publish(_ context.Context, ev events.Event, fence journal.Fence) (codec.Message, error) {
	limit := l.limit
	if limit > 0 {
		limit = max(limit-time.Since(l.begin), time.Millisecond)
	}
	return publishing.Within(l.bus, limit).Publish(l.ctx, ev, fence)
}

// checkRerun checks the size of a rerun, before its files are uploaded. A run that the
// stream does not hold or that cannot be read is left to intake.
func checkRerun(ctx context.Context, b *conn.Conn, r runrequest.Request) error {
	if r.RerunOf == "" {
		return nil
	}
	old, err := history.New(b).Run(ctx, r.RerunOf)
	if err != nil && !codec.IsUndecodable(err) {
		return err
	}
	return r.CheckRerunSize(old)
}

// publish uploads the files that services cannot read where they lie, and
// publishes the request. It returns the request's sequence.
func publish(ctx context.Context, s *session.Session, b *conn.Conn, f Flags, r runrequest.Request, to runrequest.Publisher) (uint64, error) {
	artifacts := f.artifacts
	in := runrequest.Inputs{Say: s.Console.Say}
	if up, ok := localup.Find(b.Server()); ok {
		if !up.IsUp() {
			s.Console.Say("the %s is asked to take run %s on; if it does, it ends when both have ended", up, r.ID)
		}
		artifacts = cmp.Or(artifacts, up.Artifacts)
		in.Roots = append([]string{}, up.Roots...) // not nil: an up without roots reads nothing in place
		var err error
		if in.Local, err = localinput.Open(up.Data); err != nil {
			return 0, err
		}
	}
	if f.named && r.RerunOf == "" && !r.Uploads(in) {
		return 0, exit.Input(errors.New("--artifacts has no effect: no file of this run is uploaded; leave it out, or upload everything with --copy-inputs"))
	}
	var store *artifact.Store
	defer func() {
		if store != nil {
			_ = store.Close() // everything was verified when it was put
		}
	}()
	in.Store = func(ctx context.Context) (*artifact.Store, error) {
		if artifacts == "" {
			return nil, exit.Input(runrequest.ErrNoStore)
		}
		var err error
		if store, err = storeopening.OpenToAdd(ctx, b, artifacts); err != nil {
			return nil, storeopening.AsStatus(ctx, err)
		}
		return store, nil
	}
	return r.Publish(ctx, to, in)
}

// wait waits for what became of a request, as far as the flags say. The longest wait counts
// from begin on.
func wait(ctx context.Context, s *session.Session, b *conn.Conn, f Flags, r runrequest.Request, request uint64, begin time.Time) error {
	switch {
	case f.wait == "" && r.RerunOf != "":
		return awaitRerun(ctx, s, b, r, request)
	case f.wait == "":
		if _, err := decision(ctx, s, b, r, request, submitDecisionLimit); err != nil {
			return err
		}
		if err := s.Console.Print(view.Submitted(r.ID)); err != nil {
			return err
		}
		sayWhatFollows(s, r.ID)
		return nil
	}
	again := runsummary.Retry{
		Program: s.Program, On: s.OnRun(), Command: s.CommandLine(r.Again...), Rerun: s.CommandLine("rerun", r.ID),
		Taken: session.Taken,
	}
	tracking := time.Duration(0)
	if f.wait == waitTracked {
		tracking = 24 * time.Hour
	}
	err := follow.ToEnd(ctx, s.Console, b, follow.Run{
		ID:       r.ID,
		Request:  request,
		Again:    again,
		Back:     s.CommandLine("watch", r.ID),
		Look:     s.CommandLine("show", r.ID),
		Tracking: tracking,
		Limit:    f.limit,
		Begin:    begin,
	})
	if err == nil && f.wait == waitCompleted { // the tracker writes them later
		s.Console.Say("\"tunebus show %s\" says where its reports and its MLflow runs are, once they are written", r.ID)
	}
	return err
}

// How long a command waits for intake's decision on a request that it published.
// What is wrong with a rerun often shows only then.
const (
	submitDecisionLimit = 3 * time.Second
	rerunDecisionLimit  = 10 * time.Second
)

// decision waits for the decision on a request. It returns nil, and says so, if
// there is none within the limit. A rejected request is an error.
func decision(
	ctx context.Context, s *session.Session, b *conn.Conn, r runrequest.Request, request uint64, limit time.Duration,
) (*events.PipelineAccepted, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	accepted, err := runwatch.On(b).Decision(ctx, r.ID, request)
	if err == nil && accepted == nil {
		why := cmp.Or(waiting.Full(context.WithoutCancel(ctx), b), fmt.Sprintf("no intake has looked at the request within %s", limit))
		s.Console.Say("%s; it is stored and waits: %s", why, s.CommandLine("watch", r.ID))
	}
	return accepted, err
}

// awaitRerun waits for the decision on a rerun, and prints the new run.
func awaitRerun(ctx context.Context, s *session.Session, b *conn.Conn, r runrequest.Request, request uint64) error {
	accepted, err := decision(ctx, s, b, r, request, rerunDecisionLimit)
	if err != nil {
		return err
	}
	if accepted == nil {
		return s.Console.Print(replayed.Rerun(r.ID, r.RerunOf, r.From, nil))
	}
	from := accepted.Plan[0].Phase
	s.Console.Say("run %s repeats %s from %s on", view.Inline(accepted.RunName), r.RerunOf, from)
	if err := s.Console.Print(replayed.Rerun(r.ID, r.RerunOf, from, accepted.Plan)); err != nil {
		return err
	}
	sayWhatFollows(s, r.ID)
	return nil
}

// sayWhatFollows says how a person follows and ends a run that services work on.
func sayWhatFollows(s *session.Session, id string) {
	if s.Console.Screen().IsScreen() {
		s.Console.Say("\"tunebus watch %s\" follows it, \"tunebus cancel %s\" ends it", id, id)
	}
}
