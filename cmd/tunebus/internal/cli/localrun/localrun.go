// Package localrun works on one run from its request to its end in this process, on
// a data folder. "tunebus run" is built on it, and "tunebus rerun" where no server
// is in reach.
//
// Before it starts the run, it deals with the runs that an earlier process left
// unfinished on the folder, and with the requests that nobody has looked at, as --resume
// says.
package localrun

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/follow"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/interrupt"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/patience"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/places"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/timeflag"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/untracked"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/runwatch"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/shellquote"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// Flags say how a run in this process goes on and ends.
type Flags struct {
	// resume is what becomes of unfinished runs and of waiting requests on the data folder.
	resume string
	// trackingLimit is the longest wait for MLflow after the run's end.
	trackingLimit time.Duration
}

// AddFlags adds the flags to a command.
func (f *Flags) AddFlags(c *cobra.Command) {
	c.Flags().StringVar(&f.resume, "resume", "", "unfinished runs and waiting requests on the data folder: go on with them first, cancel them, or skip them; default: first, and at a terminal you are asked")
	session.CompleteValues(c, "resume", resumeModes()...)
	timeflag.WaitVar(c.Flags(), &f.trackingLimit, "tracking-timeout", 30*time.Second, "longest wait for MLflow behind the end of the run")
}

// Check checks the flags by themselves.
func (f *Flags) Check() error { return checkResume(f.resume) }

// Skips reports whether unfinished runs are left as they are.
func (f *Flags) Skips() bool { return f.resume == resumeSkip }

// Start says how the services of a run start.
type Start struct {
	Settings settings.Settings
	// Specifications are the files of the specification, which may hold settings.
	Specifications []string
	// RelaxedSync makes the server fsync less often.
	RelaxedSync bool
}

// goOn is the command that goes on with a run of this process, with the same settings.
func (start Start) goOn(s *session.Session) string {
	words := []string{"up", "--data", start.Settings.Data.Folder}
	plain, err := s.Settings()
	if err == nil && plain.Tracker.Reports != start.Settings.Tracker.Reports {
		words = append(words, "--reports", start.Settings.Tracker.Reports)
	}
	if err == nil && plain.Tracker.TrackingURI != start.Settings.Tracker.TrackingURI {
		words = append(words, "--tracking-uri", start.Settings.Tracker.TrackingURI)
	}
	if holdSettings(s, start.Specifications) {
		for _, file := range start.Specifications {
			words = append(words, "--config", file)
		}
	}
	return s.CommandLine(words...)
}

// holdSettings reports whether files of a specification hold settings, too.
func holdSettings(s *session.Session, specifications []string) bool {
	without, err := s.Settings()
	with, also := s.Settings(specifications...)
	return err == nil && also == nil && !reflect.DeepEqual(without, with)
}

// ToEnd starts the services, submits the request to them, and follows the run.
func (f *Flags) ToEnd(ctx context.Context, s *session.Session, start Start, request runrequest.Request) (err error) {
	cfg, began := start.Settings, time.Now()
	defer interrupt.LastWords(ctx, "") // behind the stop of the services, which a second signal cuts short
	gate := newJobGate()
	waiting := newWaitingRequests()
	defer gate.close() // nothing waits for a decision that will not come
	reports := newLocalReports(request.ID)
	s.Console.Follows = true
	listen, token := session.Loopback(ctx)
	before, err := places.Read(cfg.Data.Folder)
	if err != nil {
		return exit.Input(err)
	}
	homes, err := before.Homes(cfg, time.Now())
	if err != nil {
		return exit.Input(err)
	}
	local, err := inprocess.Start(ctx, s, cfg, inprocess.Server{
		Listen: listen, Token: token, RelaxedSync: start.RelaxedSync, Skip: gate.skip, Hold: waiting.hold, Tracker: reports.watch,
	})
	if err != nil {
		return err
	}
	unknown := waiting.find(ctx, local.Bus)
	conceal := announce(s, cfg, localup.Up{URL: local.URL(), Token: token, Command: s.Command})
	var left []string
	defer func() {
		gate.close()
		conceal()
		err = exit.Join(err, inprocess.Stop(s.Console, local))
		switch {
		case len(left) > 0 && exit.CodeOf(err) == exit.CodeInterrupted && strings.Contains(exit.Message(err), start.goOn(s)): // which goes on with all
			s.Console.Say("left unfinished on the data folder %s, too: %s", cfg.Data.Folder, strings.Join(left, ", "))
		case len(left) > 0:
			s.Console.Say("left unfinished on the data folder %s: %s\nThis goes on with what is left:\n  %s", cfg.Data.Folder, strings.Join(left, ", "), start.goOn(s))
		}
	}()
	if unknown != nil {
		return unknown
	}
	ended, err := untracked.List(ctx, local.Bus)
	if err != nil {
		return err
	}
	others := unfinished{
		session: s, bus: local.Bus, start: start, cfg: cfg, gate: gate, waiting: waiting, mode: f.resume, asked: askedFor{request.ID, request.Specification}, homes: homes,
		tracking: f.trackingLimit, next: notAskedFor(s, request),
	}
	left, err = others.settle(ctx)
	if err != nil {
		return err
	}
	gate.decide(nil) // there was no unfinished run
	others.next = ""
	on := []string{"--data", cfg.Data.Folder}
	for _, file := range s.SettingsFlags() {
		on = append(on, "--settings", file)
	}
	again := runsummary.Retry{Program: s.Program, Command: s.CommandLine(request.Again...), On: on, Taken: session.Taken}
	if run, ok, err := others.asked.goneOn(ctx, local.Bus, began); err != nil || ok {
		if err != nil {
			return err
		}
		s.Console.Say("run %s is the one that was asked for", request.ID)
		return end(s.Console, cfg, run, again)
	}
	var sequence uint64
	err = patience.Within(ctx, s.Console, 0, nil, func(ctx context.Context) (err error) {
		sequence, err = request.Publish(ctx, journal.New(local.Bus), runrequest.Inputs{
			Local: local.Inputs,
			Store: func(context.Context) (*artifact.Store, error) { return local.Store, nil },
			Say:   s.Console.Say,
		})
		return err
	})
	if err != nil {
		return err
	}
	interrupt.LastWords(ctx, whatGoesOn(s, start, append([]string{request.ID}, left...)...))
	run, err := follow.Show(ctx, s.Console, local.Bus, follow.Run{ID: request.ID, Request: sequence, Tracking: f.trackingLimit})
	if err != nil {
		if ctx.Err() != nil {
			if ended := others.endNow(ctx, request.ID); ended != "" {
				return interrupted(ended)
			}
			err = interrupted(whatGoesOn(s, start, append([]string{request.ID}, others.openNow(ctx, append(left, request.ID))...)...))
		} else if _, ok := errors.AsType[*runwatch.UnansweredError](err); ok {
			err = exit.Timeout(fmt.Errorf("%w\nrun %s is stored, and this goes on with it:\n  %s",
				err, request.ID, start.goOn(s)))
		}
		return err
	}
	interrupt.LastWords(ctx, "")
	var unreported bool
	if run.Tracked == nil { // whatever is tracked has its reports
		unreported = reports.wait(ctx, s.Console)
	}
	status := end(s.Console, cfg, run, again)
	if run.Tracked == nil {
		why := cfg.Tracker.TrackingURI + " could not be reached; this sends it later"
		if unreported {
			why = "not all of the reports are written; once they can be, this makes up for it"
		}
		s.Console.Say("tracking is pending: %s:\n  %s", why, trackLater(s, cfg, start.Specifications, request.ID))
	}
	if left := run.Unpublished(); len(left) > 0 {
		s.Console.Say("publishing is pending: %s could not be reached, or did not take everything in time; this pushes it later:\n  %s",
			cfg.Data.HubEndpoint, publishLater(s, cfg, start.Specifications, request.ID))
	}
	if err := f.finishEnded(ctx, s, local.Bus, start, homes, ended, run.Tracked == nil); err != nil {
		return err
	}
	for range 2 { // nobody finds this process behind the first time
		var unfinished error
		if left, unfinished = others.finishOthers(ctx, left); unfinished != nil {
			return unfinished
		}
		conceal()
	}
	return status
}

// end shows the end of a run, with its reports.
func end(console *view.Console, cfg settings.Settings, run events.Run, again runsummary.Retry) error {
	summary := runsummary.Of(run)
	summary.AddReports(run, cfg.Tracker.Reports, report.WorkbookName, report.SummaryName, report.PipelineSummaryName)
	return follow.End(console, run, summary, again)
}

// finishEnded waits until runs that an earlier process left behind their end have their reports
// and their tracking. MLflow is waited for no longer if it is known to be away.
func (f *Flags) finishEnded(ctx context.Context, s *session.Session, b *conn.Conn, start Start, homes []places.Home, ended []string, away bool) error {
	limit := f.trackingLimit
	if away {
		limit = time.Second
	}
	left, err := untracked.Wait(ctx, s.Console, b, ended, limit)
	if err != nil {
		return err
	}
	for _, id := range left {
		cfg := start.Settings
		run, err := history.New(b).Run(ctx, id)
		if i, ok := homeOf(homes, run); ok && err == nil {
			cfg.Tracker.Reports, cfg.Tracker.TrackingURI = homes[i].Reports, homes[i].TrackingURI
		}
		s.Console.Say("run %s ended before, and its tracking is pending; this sends it later:\n  %s",
			id, trackLater(s, cfg, start.Specifications, id))
	}
	return nil
}

// announce has other commands find this process, until conceal is called. It may be
// called twice.
func announce(s *session.Session, cfg settings.Settings, up localup.Up) (conceal func()) {
	if up.URL == "" {
		s.Console.Say("other commands cannot look at the data folder %s meanwhile: this machine has no loopback interface", cfg.Data.Folder)
		return func() {}
	}
	stop, err := inprocess.Announce(up, cfg)
	if err != nil {
		s.Console.Say("other commands cannot look at the data folder %s meanwhile: %v", cfg.Data.Folder, err)
		return func() {}
	}
	return sync.OnceFunc(stop)
}

// interrupted is the error of a command that Ctrl-C ended, while it worked on a run
// of a data folder. The run is stored: an up on the folder goes on with it.
func interrupted(said string) error {
	return &exit.Error{Code: exit.CodeInterrupted, Err: errors.New("interrupted; " + said)}
}

// notAskedFor says that a run was not asked for yet, and what asks for it. An id that nobody
// chose is not repeated.
func notAskedFor(s *session.Session, request runrequest.Request) string {
	what, words := "the run of this command", request.Again
	if request.IDChosen {
		what = "run " + request.ID
		words = append(words[:len(words):len(words)], "--run-id", request.ID)
	}
	return what + " was not asked for yet; this asks for it, and with --resume skip it leaves the others as they are:\n  " + s.CommandLine(words...)
}

// whatGoesOn says what goes on with runs that have not ended, and what ends them.
func whatGoesOn(s *session.Session, start Start, runs ...string) string {
	if _, err := os.Stat(start.Settings.Data.Folder); errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("the data folder %s was removed meanwhile, and with it what its runs did: %s", start.Settings.Data.Folder, strings.Join(runs, ", "))
	}
	say := fmt.Sprintf("run %s is stored, and this goes on with it", runs[0])
	if len(runs) > 1 {
		say = fmt.Sprintf("the runs %s are stored, and this goes on with them", strings.Join(runs, ", "))
	}
	ends := "it"
	if len(runs) > 1 {
		ends = "them"
	}
	say += ":\n  " + start.goOn(s) + "\nThis ends " + ends + ":"
	for _, run := range runs {
		say += "\n  " + s.CommandLine("cancel", run, "--data", start.Settings.Data.Folder)
	}
	return say
}

// publishLater is the command that pushes to the Hub what a run made, on the data folder
// that this process leaves behind. The token comes from the environment, or the settings.
func publishLater(s *session.Session, cfg settings.Settings, specifications []string, run string) string {
	words := append([]string{"replay", "publishing", "--run", run, "--data", cfg.Data.Folder}, settingsFlags(s, specifications)...)
	return s.Program + " " + shellquote.Join(words...)
}

// settingsFlags are the flags that name the files with settings of this process.
func settingsFlags(s *session.Session, specifications []string) []string {
	files := s.SettingsFlags()
	if holdSettings(s, specifications) {
		files = s.SettingsFiles()
		files = append(files[:len(files):len(files)], specifications...)
	}
	var words []string
	for _, f := range files {
		words = append(words, "--settings", f)
	}
	return words
}

// trackLater is the command that tracks a run whose MLflow could not be
// reached, on the data folder that this process leaves behind.
func trackLater(s *session.Session, cfg settings.Settings, specifications []string, run string) string {
	words := []string{
		"replay", "tracking", "--run", run,
		"--data", cfg.Data.Folder, "--reports", cfg.Tracker.Reports, "--tracking-uri", cfg.Tracker.TrackingURI,
	}
	return s.Program + " " + shellquote.Join(append(words, settingsFlags(s, specifications)...)...)
}
