package repeatcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/publishing"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/timeflag"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/replayed"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/requestlog"
	"github.com/tunebus/tunebus/pipeline/replay"
	intakerequest "github.com/tunebus/tunebus/services/intake/request"
)

type replayRequestsFlags struct {
	selection     replay.Selection
	since, until  string
	sets, filters []string
	dryRun        bool
	at            session.Location
}

// ReplayRequests is "tunebus replay requests".
func ReplayRequests(s *session.Session) *cobra.Command {
	var f replayRequestsFlags
	c := &cobra.Command{
		Use: "requests --since T | --from-seq N", Short: "Submit past requests again, as new runs", Args: session.NoArgs,
		Long: `Submits requests that are stored again, each as a new run with a new id, up to
the newest one at the start. What --set says goes over each specification; it is
checked for all of them before anything is submitted. Requests that were made by
a replay, that were rejected, whose runs were deleted or that cannot be read are
left out and named.

T is a time such as 2026-01-31T08:00:00Z, or how long ago, such as 2h or 3d.`,
		Example: "  tunebus replay requests --since 2h --filter label=team=search --dry-run",
		RunE: func(c *cobra.Command, _ []string) error {
			overrides, files, err := f.read(time.Now())
			if err != nil {
				return err
			}
			cfg, err := s.Settings()
			if err != nil {
				return err
			}
			request, err := runrequest.OverridesRequest(overrides)
			if err != nil {
				return err
			}
			if err := request.CheckNoSecrets(cfg); err != nil {
				return err
			}
			return s.WithDeployment(&f.at, func(ctx context.Context, server *session.Deployment, _ []string) error {
				b := server.Bus
				r := replay.Replay{
					Requests:  requestlog.New(b),
					Facts:     history.New(b),
					Publisher: publishing.Within(b, 0),
					Intake:    replay.Intake{RunID: runID, UnknownKeys: intakerequest.UnknownKeys, NewID: newID},
					Selection: f.selection,
					Overrides: overrides,
					DryRun:    f.dryRun,
				}
				err := replayRequests(ctx, s.Console, server.Name(), &r, func() (map[string]events.Reference, func(), error) {
					return f.upload(ctx, s.Console, server, files)
				})
				if folder := server.Folder(); folder != "" && err == nil && !f.dryRun {
					s.Console.Say("no service works on %s; this works on its requests:\n  %s", server.Name(), s.CommandLine("up", "--data", folder))
				}
				return err
			})(c, nil)
		},
	}
	f.addFlags(c)
	return c
}

func (f *replayRequestsFlags) addFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.since, "since", "", "begin at requests of this time")
	flags.Uint64Var(&f.selection.Span.First, "from-seq", 0, "begin at the request with this sequence")
	flags.StringVar(&f.until, "until", "", "end at requests of this time")
	flags.Uint64Var(&f.selection.Span.Last, "to-seq", 0, "end at the request with this sequence")
	flags.StringArrayVar(&f.filters, "filter", nil, "label=NAME or label=NAME=VALUE that a request has to have; several have to hold together")
	flags.StringArrayVar(&f.sets, "set", nil, "section.key=value, over the specification of each request")
	flags.BoolVar(&f.selection.Replayed, "replayed", false, "take requests that were made by a replay, too")
	flags.BoolVar(&f.selection.Rejected, "rejected", false, "take requests that were rejected, too")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say what would be submitted")
	f.at.AddDataFlag(c)
	flags.StringVar(&f.at.Artifacts, "artifacts", "", "artifact store that the services use, for local files that --set names; default: the settings' artifacts.url")
}

// read checks the flags, completes the selection, and reads the overrides with
// the local files that they name.
func (f *replayRequestsFlags) read(now time.Time) (o replay.Overrides, files map[string]string, err error) {
	if (f.since == "") == (f.selection.Span.First == 0) {
		return o, nil, exit.Input(errors.New("want --since or --from-seq: where to begin"))
	}
	if f.selection.Labels, err = readLabels(f.filters); err != nil {
		return o, nil, err
	}
	if f.selection.Span.Since, err = timeflag.Point("--since", f.since, now); err != nil {
		return o, nil, err
	}
	if f.selection.Span.Until, err = timeflag.Point("--until", f.until, now); err != nil {
		return o, nil, err
	}
	return runrequest.ReadOverrides(f.sets)
}

// readLabels reads filters of the form label=NAME[=VALUE].
func readLabels(filters []string) ([]replay.Label, error) {
	var out []replay.Label
	for _, text := range filters {
		kind, rest, ok := strings.Cut(text, "=")
		name, value, given := strings.Cut(rest, "=")
		if !ok || kind != "label" || name == "" {
			return nil, exit.Input(fmt.Errorf("--filter %s: want label=NAME or label=NAME=VALUE", text))
		}
		out = append(out, replay.Label{Name: name, Value: value, AnyValue: !given})
	}
	return out, nil
}

// upload stores the local files that the overrides name, once for all
// requests. release has to be called when these are published.
func (f *replayRequestsFlags) upload(
	ctx context.Context, console *view.Console, server *session.Deployment, files map[string]string,
) (refs map[string]events.Reference, release func(), err error) {
	release = func() {}
	if f.dryRun || len(files) == 0 {
		return nil, release, nil
	}
	store, err := server.Store(ctx)
	if err != nil {
		return nil, release, err
	}
	in := runrequest.Inputs{Store: func(context.Context) (*artifact.Store, error) { return store, nil }, Say: console.Say}
	refs, unhold, err := in.References(ctx, files, nil)
	return refs, unhold, err
}

func newID() string { return ulid.Make().String() }

// replayRequests replays requests and prints each of them as soon as it is
// submitted. upload is called when everything has been checked.
func replayRequests(ctx context.Context, console *view.Console, server string, r *replay.Replay, upload func() (map[string]events.Reference, func(), error)) error {
	if found, err := r.Bound(ctx); err != nil {
		return err
	} else if !found {
		console.Say("there are no requests on %s", server)
		return nil
	}
	skipped, unwanted := 0, 0
	if err := r.Check(ctx, func(one replay.Skipped) {
		if one.Reason == replay.Unwanted {
			if unwanted++; one.Why == "" {
				return
			}
			console.Say("request %d does not fit --filter: %s", one.Request, view.Sentence(one.Why))
			return
		}
		skipped++
		console.Say("request %d is left out: %s%s", one.Request, view.Sentence(one.Why), toInclude(one.Reason))
	}); err != nil {
		return err
	}
	files, release, err := upload()
	defer release()
	if err != nil {
		return err
	}
	n := 0
	err = r.Submit(ctx, files, func(one replay.Submitted) error {
		n++
		return console.PrintRow(replayed.Request(one))
	})
	verb := "submitted again"
	if r.DryRun {
		verb = "would be submitted again"
	}
	others := ""
	if unwanted > 0 {
		others = fmt.Sprintf(", %d without the labels of --filter", unwanted)
	}
	console.Say("%s %s, %d left out%s", view.Count(n, "request"), verb, skipped, others)
	if interrupted, ok := errors.AsType[*replay.InterruptedError](err); ok {
		return fmt.Errorf("%w: --from-seq %d goes on behind it", err, interrupted.Submitted+1)
	}
	return err
}

// toInclude names the flag that takes requests which are left out for a
// reason.
func toInclude(r replay.Reason) string {
	switch r {
	case replay.IsReplay:
		return "; --replayed takes those, too"
	case replay.Rejected:
		return "; --rejected takes those, too"
	default:
		return ""
	}
}

// runID is the id that intake gives to the run of a request without one.
func runID(r requestlog.Request) string { return intakerequest.RunID(r.Stream, r.Sequence, r.Time) }
