package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/requestlog"
	"github.com/tunebus/tunebus/services/intake/request"
)

// replayed is a request that is submitted again, for scripts.
type replayed struct {
	Request uint64    `json:"request"`
	Time    time.Time `json:"requested_at"`
	// OldRun is the run that the request made, RunID the one that it makes
	// now; empty in a dry run.
	OldRun string `json:"old_run"`
	RunID  string `json:"run_id,omitempty"`
}

func (a *app) replayRequestsCommand() *cobra.Command {
	var p replay
	var since, until string
	var sets, filters []string
	var store string
	c := &cobra.Command{
		Use: "requests --since T | --from-seq N", Short: "Submit past requests again, as new runs", Args: cobra.NoArgs,
		Long: `Submits requests that are stored again, each as a new run with a new id, up to
the newest one at the start. What --set says goes over each specification; it is
checked for all of them before anything is submitted. Requests that were made by
a replay, that were rejected or that cannot be read are left out and named.

T is a time such as 2026-01-31T08:00:00Z, or how long ago, such as 2h or 3d.`,
		Example: "  tunebus replay requests --since 2h --filter label=team=search --dry-run",
		RunE: func(c *cobra.Command, _ []string) error {
			if (since == "") == (p.span.First == 0) {
				return bad(errors.New("want --since or --from-seq: where to begin"))
			}
			var err error
			if p.labels, err = labelFilters(filters); err != nil {
				return err
			}
			now := time.Now()
			if p.span.Since, err = timeFlag("--since", since, now); err != nil {
				return err
			}
			if p.span.Until, err = timeFlag("--until", until, now); err != nil {
				return err
			}
			if p.changes, err = readChanges(sets); err != nil {
				return err
			}
			cfg, err := a.settings(nil)
			if err != nil {
				return err
			}
			said, err := p.changes.over(json.RawMessage("{}"))
			if err != nil {
				return err
			}
			if err := (order{changes: said}).withoutSecrets(cfg); err != nil {
				return err
			}
			return a.with(func(ctx context.Context, b *conn.Conn, _ []string) error {
				p.app, p.bus = a, b
				p.open = func() (*artifact.Store, error) { return openStore(ctx, b, stored{artifacts: store}, cfg) }
				return p.run(ctx)
			})(c, nil)
		},
	}
	f := c.Flags()
	f.StringVar(&since, "since", "", "begin at requests of this time")
	f.Uint64Var(&p.span.First, "from-seq", 0, "begin at the request with this sequence")
	f.StringVar(&until, "until", "", "end at requests of this time")
	f.Uint64Var(&p.span.Last, "to-seq", 0, "end at the request with this sequence")
	f.StringArrayVar(&filters, "filter", nil, "label=NAME or label=NAME=VALUE that a request has to have; several have to hold together")
	f.StringArrayVar(&sets, "set", nil, "section.key=value, over the specification of each request")
	f.BoolVar(&p.again, "replayed", false, "take requests that were made by a replay, too")
	f.BoolVar(&p.rejected, "rejected", false, "take requests that were rejected, too")
	f.BoolVar(&p.dry, "dry-run", false, "only say what would be submitted")
	f.StringVar(&store, "artifacts", "", "artifact store that the services use, for local files that --set names; default: the settings' artifacts.url")
	return c
}

// labelFilters reads filters of the form label=NAME[=VALUE].
func labelFilters(filters []string) ([]labelFilter, error) {
	var out []labelFilter
	for _, text := range filters {
		kind, rest, ok := strings.Cut(text, "=")
		name, value, given := strings.Cut(rest, "=")
		if !ok || kind != "label" || name == "" {
			return nil, bad(fmt.Errorf("--filter %s: want label=NAME or label=NAME=VALUE", text))
		}
		out = append(out, labelFilter{name, value, given})
	}
	return out, nil
}

type labelFilter struct {
	name, value string
	given       bool // whether the value matters
}

// replay goes through past requests.
type replay struct {
	app  *app
	bus  *conn.Conn
	open func() (*artifact.Store, error)

	span                 requestlog.Span
	labels               []labelFilter
	changes              changes
	again, rejected, dry bool
}

// run goes through the requests twice: nothing is submitted before everything
// is known to be in order.
func (p *replay) run(ctx context.Context) error {
	last, err := requestlog.New(p.bus).Latest(ctx)
	if err != nil {
		return err
	}
	if p.span.Last == 0 || p.span.Last > last {
		p.span.Last = last // never what this command submits itself
	}
	if last == 0 {
		p.app.say("there are no requests on %s", p.bus.Server())
		return nil
	}
	skipped := 0
	var misfits misfits
	if err := p.each(ctx, func(d requestlog.Request, req events.PipelineRequested) error {
		misfits.add(d.Sequence, p.changes.misfits(req))
		return nil
	}, func(d requestlog.Request, why string) {
		skipped++
		p.app.say("request %d is left out: %s", d.Sequence, why)
	}); err != nil {
		return err
	}
	if err := misfits.err(); err != nil {
		return err
	}
	files, err := p.upload(ctx)
	if err != nil {
		return err
	}
	n, submitted := 0, uint64(0)
	err = p.each(ctx, func(d requestlog.Request, req events.PipelineRequested) error {
		n++
		row := replayed{Request: d.Sequence, Time: d.Time.UTC(), OldRun: runOf(d, req)}
		if !p.dry {
			row.RunID = ulid.Make().String()
			if err := p.submit(ctx, d, req, row.RunID, files); err != nil {
				return err
			}
			submitted = d.Sequence
		}
		return p.app.line(row, fmt.Sprintf("%-8d %-26s  %s", row.Request, row.OldRun, row.RunID))
	}, func(requestlog.Request, string) {})
	verb := "submitted again"
	if p.dry {
		verb = "would be submitted again"
	}
	p.app.say("%d requests %s, %d left out", n, verb, skipped)
	if err != nil && submitted > 0 {
		return fmt.Errorf("%w; the requests up to %d were submitted: --from-seq %d goes on behind it", err, submitted, submitted+1)
	}
	return err
}

// each calls take for the requests that are to be submitted again, and skip
// for those that are left out for a reason that people want to know.
func (p *replay) each(ctx context.Context, take func(requestlog.Request, events.PipelineRequested) error, skip func(requestlog.Request, string)) error {
	return requestlog.New(p.bus).Read(ctx, p.span, func(d requestlog.Request, err error) error {
		req, ok := d.Event.(events.PipelineRequested)
		if err != nil || !ok {
			skip(d, fmt.Sprintf("it cannot be read: %v", err))
			return nil
		}
		if !p.wanted(req) {
			return nil
		}
		why, err := p.unfit(ctx, d, req)
		if err != nil {
			return err
		}
		if why != "" {
			skip(d, why)
			return nil
		}
		return take(d, req)
	})
}

func (p *replay) wanted(req events.PipelineRequested) bool {
	for _, l := range p.labels {
		if v, ok := req.Labels[l.name]; !ok || l.given && v != l.value {
			return false
		}
	}
	return true
}

// unfit says why a request is left out, if it is.
func (p *replay) unfit(ctx context.Context, d requestlog.Request, req events.PipelineRequested) (string, error) {
	if req.ReplayOf != 0 && !p.again {
		return fmt.Sprintf("it is a replay of request %d; --replayed takes those, too", req.ReplayOf), nil
	}
	if d.PlainJSON {
		if unknown := request.UnknownKeys(d.Data); len(unknown) > 0 {
			return fmt.Sprintf("its key %q is unknown, so it was rejected", unknown[0].Key), nil
		}
	}
	if _, err := p.changes.over(req.Specification); err != nil {
		return fmt.Sprintf("its specification cannot be read: %v", err), nil
	}
	if p.rejected {
		return "", nil
	}
	_, err := history.New(p.bus).Latest(ctx, events.PipelineRejected{RequestSequence: d.Sequence}.Subject())
	if errors.Is(err, history.ErrNotFound) {
		return "", nil
	}
	if err != nil && !codec.IsUndecodable(err) {
		return "", err
	}
	return "it was rejected; --rejected takes those, too", nil
}

// upload stores the local files that the changes name, once for all requests.
func (p *replay) upload(ctx context.Context) (map[string]events.Reference, error) {
	if p.dry || len(p.changes.files) == 0 {
		return nil, nil
	}
	store, err := p.open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }() // everything was verified when it was put
	return upload(ctx, store, "replay-"+ulid.Make().String(), p.changes.files)
}

func (p *replay) submit(ctx context.Context, d requestlog.Request, req events.PipelineRequested, id string, files map[string]events.Reference) error {
	specification, err := p.changes.over(req.Specification)
	if err != nil {
		return err
	}
	req.Specification, req.Inputs.Files = specification, p.changes.inputs(req.Inputs.Files, files)
	req.RunID, req.ReplayOf = id, d.Sequence
	_, err = journal.New(p.bus).Publish(ctx, req, journal.Fence{})
	return err
}

// runOf is the run that a request made.
func runOf(d requestlog.Request, req events.PipelineRequested) string {
	if req.RunID != "" {
		return printable(req.RunID)
	}
	return request.RunID(d.Stream, d.Sequence, d.Time)
}

// line writes one of many results as soon as it is there: as JSON on a line
// of its own, or as text.
func (a *app) line(value any, text string) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(value)
	}
	_, err := fmt.Fprintln(a.out, strings.TrimRight(text, " "))
	return err
}
