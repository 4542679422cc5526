package publishing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubpush"
)

// Publisher pushes runs to the Hub.
type Publisher struct {
	cfg   Config
	hub   *hubpush.Pusher
	store *artifact.Store
	// facts are those of the stream, all also those of the archive.
	facts, all factReader
	journal    *journal.Journal
	withLease  func(ctx context.Context, run string, do func(context.Context) error) error
	log        *slog.Logger
}

// factReader reads all facts of a run.
type factReader interface {
	Facts(ctx context.Context, run string) ([]codec.Message, error)
}

// New returns a publisher. It sends no request. The error is that of an endpoint which
// is no address.
func New(c *conn.Conn, store *artifact.Store, cfg Config) (*Publisher, error) {
	cfg = cfg.withDefaults()
	api, err := hubapi.New(cfg.Requests)
	if err != nil {
		return nil, err
	}
	return &Publisher{
		cfg:     cfg,
		hub:     hubpush.New(api),
		store:   store,
		facts:   history.New(c),
		all:     archive.NewReader(c, store),
		journal: journal.New(c),
		withLease: func(ctx context.Context, run string, do func(context.Context) error) error {
			return lease.Run(ctx, c, "publish."+run, do)
		},
		log: cfg.Logger,
	}, nil
}

// Route is the source of the ends of runs, for a [delivery.Router].
func (p *Publisher) Route() delivery.Route {
	return delivery.Route{
		Name:        "publisher",
		Stream:      events.StreamFacts,
		Consumer:    topology.ConsumerPublisher,
		Slots:       p.cfg.Slots,
		SubjectOnly: true,
		Handle:      p.handle,
	}
}

// handle publishes the run of a fact.
func (p *Publisher) handle(ctx context.Context, d delivery.Delivery) error {
	subject, err := events.ParseSubject(d.Subject)
	if err != nil {
		return &delivery.DeadLetterError{Err: err}
	}
	err = p.withLease(ctx, subject.Run, func(ctx context.Context) error { return p.publishRun(ctx, subject.Run, d.Delivered) })
	if errors.Is(err, lease.ErrTaken) { // its owner publishes the run, unless it dies
		return &delivery.RetryAfter{Delay: topology.LeaseTTL / 3, Err: err}
	}
	return err
}

// publishRun pushes what a run asks for and what no fact tells of yet. tries is how
// often it was tried, with this time.
func (p *Publisher) publishRun(ctx context.Context, id string, tries int) error {
	facts, err := p.facts.Facts(ctx, id)
	if err != nil {
		return err
	}
	run := history.Fold(facts)
	switch {
	case run.Deleted != nil || len(facts) == 0: // or it is archived
		return nil
	case run.Accepted == nil || run.Completed == nil:
		if err := history.Unreadable(facts); err != nil {
			return err
		}
		return &delivery.RetryAfter{Delay: time.Second, Err: fmt.Errorf("the facts of run %s were not read to their end", id)}
	}
	var again error
	for _, what := range run.Unpublished() {
		fact, _, err := p.push(ctx, run, what, tries, false)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && tries < p.triesOf(err) {
			again = errors.Join(again, err)
			continue
		}
		if err := p.announce(ctx, fact); err != nil {
			return err
		}
	}
	if again == nil {
		return nil
	}
	delay := p.cfg.delay(tries)
	p.log.Warn("publishing is pending", "run", id, "try", tries, "of", p.cfg.Tries, "retry_in", delay, "error", again)
	return &delivery.RetryAfter{Delay: delay, Err: fmt.Errorf("publishing of run %s is pending: %w", id, again), Bounded: true}
}

// nonsenseTries is how often a push is tried that something else than a Hub answers: it
// may come and go, and mostly stays.
const nonsenseTries = 3

// triesOf is how often a push is tried that ended with an error.
func (p *Publisher) triesOf(err error) int {
	switch {
	case !isTemporary(err):
		return 1
	case errors.Is(err, hubapi.ErrNonsense):
		return min(p.cfg.Tries, nonsenseTries)
	}
	return p.cfg.Tries
}

// isTemporary reports whether a later try may succeed.
func isTemporary(err error) bool {
	if _, elsewhere := errors.AsType[*artifact.WrongStoreError](err); elsewhere {
		return true // another tracker has that store
	}
	_, invalid := errors.AsType[*invalidNameError](err)
	return !invalid && !errors.Is(err, hubapi.ErrRefused) && !errors.Is(err, errOldForm)
}

// push pushes a product. The fact says what became of it, also if there is an error;
// unchanged is set if the Hub had all of it. always has a missed gate be no obstacle.
func (p *Publisher) push(ctx context.Context, run events.Run, what events.Product, tries int, always bool) (fact events.PublishedCompleted, unchanged bool, err error) {
	fact = events.PublishedCompleted{RunID: run.ID, What: what, Attempt: run.Published[what].Attempt + 1, Tries: tries}
	if why := p.skipped(run, always); why != "" {
		fact.Outcome, fact.Reason, fact.Tries, fact.EndedAt = events.PushSkipped, why, 0, time.Now().UTC()
		return fact, false, nil
	}
	unchanged, err = p.pushInto(ctx, run, &fact)
	fact.EndedAt = time.Now().UTC()
	if err != nil {
		fact.Outcome, fact.Error = events.PushFailed, &events.Problem{Code: codeOf(err), Message: err.Error()}
	}
	return fact, unchanged, err
}

func (p *Publisher) pushInto(ctx context.Context, run events.Run, fact *events.PublishedCompleted) (unchanged bool, err error) {
	to, err := p.destination(ctx, run, fact.What)
	if err != nil {
		return false, err
	}
	fact.Repository = to.id
	content, err := p.product(ctx, run, fact.What)
	if err != nil {
		return false, err
	}
	fact.Notes = content.notes
	result, err := p.hub.Push(ctx, hubpush.Push{
		Kind: to.kind, ID: to.id, Private: true, Summary: fmt.Sprintf("tunebus run %s: %s", run.ID, fact.What), Files: content.files,
	})
	if err != nil {
		return false, err
	}
	failpoint.Here(failpoint.Pushed)
	fact.Outcome, fact.Link, fact.Revision = events.Pushed, result.Link, result.Commit
	if result.Public {
		fact.Notes = append(fact.Notes, "the repository was there before, and everybody can read it")
	}
	if n := len(result.Others); n > 0 {
		fact.Notes = append(fact.Notes, fmt.Sprintf("the repository has %d more files, which stay as they are, such as %s", n, result.Others[0]))
	}
	p.log.Info("pushed to the Hub", "run", run.ID, "what", fact.What, "repository", to.id, "commit", result.Commit, "unchanged", result.Unchanged)
	return result.Unchanged, nil
}

// codeOf is the code of an error for programs.
func codeOf(err error) string {
	switch {
	case errors.Is(err, hubapi.ErrRefused):
		return "hub_refuses"
	case errors.Is(err, hubapi.ErrConflict):
		return "hub_conflict"
	case errors.Is(err, hubapi.ErrNonsense):
		return "hub_bad_answer"
	case errors.Is(err, hubapi.ErrUnreachable), errors.Is(err, hubapi.ErrBroken):
		return "hub_unreachable"
	}
	if _, invalid := errors.AsType[*invalidNameError](err); invalid {
		return "bad_name"
	}
	return "not_published"
}

// announce stores a fact about a run that was not deleted meanwhile. One that another
// process stored before is as good.
func (p *Publisher) announce(ctx context.Context, fact events.PublishedCompleted) error {
	if fact.Outcome != events.Pushed {
		var why string
		if why = fact.Reason; fact.Error != nil {
			why = fact.Error.Message
		}
		p.log.Warn("not pushed to the Hub", "run", fact.RunID, "what", fact.What, "outcome", fact.Outcome, "reason", why)
	}
	_, err := p.journal.Publish(ctx, fact, journal.FenceAbsent(events.PipelineDeleted{RunID: fact.RunID}.Subject()))
	if _, fenced := errors.AsType[*journal.FencedError](err); fenced {
		return nil
	}
	return err
}
