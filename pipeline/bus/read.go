package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
)

// ErrNothing says that no message is stored on a subject.
var ErrNothing = errors.New("nothing is stored there")

// maxFacts bounds the facts of one run: what a batched direct get gives.
const maxFacts = 1024

// The sizes of one answer, in bytes. The server's own bound is what it lets
// wait for a client before it ends the connection.
const (
	maxFactBytes  = 16 << 20
	maxPointBytes = 1 << 20
)

// Facts reads every fact of a run, in the stream's order. A run that nobody
// knows has none. It fails rather than answering with a part; a fact that
// cannot be read is there and says why, see [Unreadable].
func (b *Bus) Facts(ctx context.Context, run string) ([]Message, error) {
	return b.facts(ctx, run, events.StoryFilters(run))
}

func (b *Bus) facts(ctx context.Context, run string, filters []string) ([]Message, error) {
	if !events.ValidToken(run) {
		return nil, fmt.Errorf("read run %q: a run id has 1 to 64 letters, digits, \"_\" and \"-\"", run)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	msgs, err := b.batch(ctx, filters)
	if err != nil {
		return nil, fmt.Errorf("read run %s: %w", run, err)
	}
	slices.SortFunc(msgs, func(a, b Message) int {
		if a.Sequence < b.Sequence {
			return -1
		}
		return 1
	})
	return msgs, nil
}

// Run reads and folds the facts of a run. Beside an [*UnreadableError] it
// answers with what can be read.
func (b *Bus) Run(ctx context.Context, run string) (events.Run, error) {
	msgs, err := b.Facts(ctx, run)
	if err != nil {
		return events.Run{}, err
	}
	return Fold(msgs), Unreadable(msgs)
}

// JobRun reads and folds what has to be known of a run by whoever works on a
// job of it. The jobs themselves are not among it, of the other phases only
// how they were completed, and what was accepted is told by the job. The
// errors are those of [Bus.Run].
func (b *Bus) JobRun(ctx context.Context, job events.PhaseRequested) (events.Run, error) {
	msgs, err := b.facts(ctx, job.RunID, events.JobFilters(job))
	if err != nil {
		return events.Run{}, err
	}
	run := Fold(msgs)
	if accepted, ok := job.Origin(); ok {
		run.ID, run.Accepted = job.RunID, &accepted
	}
	return run, Unreadable(msgs)
}

// Fold folds stored facts.
func Fold(msgs []Message) events.Run {
	facts := make([]events.Fact, 0, len(msgs))
	for _, m := range msgs {
		if f, ok := m.Event.(events.Fact); ok {
			facts = append(facts, f)
		}
	}
	return events.Fold(facts)
}

// batch reads the newest message of each of the subjects of a run that match.
func (b *Bus) batch(ctx context.Context, filters []string) ([]Message, error) {
	msgs, err := b.stored(ctx, filters)
	if err != nil {
		return nil, err
	}
	facts := make([]Message, 0, len(msgs))
	for _, msg := range msgs {
		if events.IsRetry(msg.Header.Get("Nats-Subject")) {
			continue // says nothing new about the run
		}
		e, err := directEntry(msg)
		if err != nil {
			return nil, err
		}
		facts = append(facts, b.fact(e))
	}
	return facts, nil
}

// stored reads everything that the stream holds of a run on the subjects that
// match.
func (b *Bus) stored(ctx context.Context, filters []string) ([]*nats.Msg, error) {
	msgs, left, err := b.direct(ctx, events.StreamFacts, query{MultiLast: filters, Batch: maxFacts, MaxBytes: maxFactBytes}, maxFacts)
	if err != nil {
		return nil, err
	}
	if left > 0 {
		return nil, fmt.Errorf("stream %s kept %d facts back: they are more than one answer holds", events.StreamFacts, left)
	}
	return msgs, nil
}

// direct makes the batched direct get itself, since it counts only with the
// status 204 at its end. It returns how many messages were left out, too,
// because an answer is bounded in bytes. Source: NATS ADR-31.
func (b *Bus) direct(ctx context.Context, stream string, what query, most int) (msgs []*nats.Msg, left int, err error) {
	req, err := json.Marshal(what)
	if err != nil {
		return nil, 0, err
	}
	subject := "$JS.API.DIRECT.GET." + stream
	a, err := b.answers.expect(b.nc, subject, most+1)
	if err != nil {
		return nil, 0, err
	}
	defer a.end()
	if err := b.nc.PublishRequest(subject, a.reply, req); err != nil {
		return nil, 0, err
	}
	for {
		msg, err := b.next(ctx, a)
		if err != nil {
			return nil, 0, err
		}
		text := msg.Header.Get("Description")
		switch status := msg.Header.Get("Status"); {
		case status == "":
			msgs = append(msgs, msg)
		case status == "204":
			left, err := strconv.Atoi(msg.Header.Get("Nats-Num-Pending"))
			if err != nil {
				return nil, 0, fmt.Errorf("stream %s: messages left out: %w", stream, err)
			}
			return msgs, left, nil
		// A subject's newest message that cannot be loaded is a 404, too, and
		// by no means an empty run.
		case status == "404" && (what.MultiLast == nil || text == "No Results"):
			return nil, 0, nil
		case status == "503":
			return nil, 0, fmt.Errorf("stream %s does not exist on %s; create it with \"tunebus setup\"", stream, b.Server())
		default:
			return nil, 0, fmt.Errorf("stream %s answers %s %s", stream, status, text)
		}
	}
}

// next waits for the next answer to a request.
func (b *Bus) next(ctx context.Context, a *answer) (*nats.Msg, error) {
	for {
		if msg := a.take(); msg != nil {
			return msg, nil
		}
		select {
		case <-a.more:
		case err := <-a.denied:
			return nil, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-b.life.Done():
			return nil, nats.ErrConnectionClosed
		}
	}
}

// directMessage reads one answer of a direct get.
func (b *Bus) directMessage(msg *nats.Msg) (Message, error) {
	e, err := directEntry(msg)
	if err != nil {
		return Message{}, err
	}
	return b.read(e)
}

// Last reads the newest message on a subject, which may be a filter. The
// error is [ErrNothing] when there is none.
func (b *Bus) Last(ctx context.Context, subject string) (Message, error) {
	return b.leaderLast(ctx, events.StreamFacts, subject)
}

// leaderLast asks the stream's leader, never a replica that may lag behind.
func (b *Bus) leaderLast(ctx context.Context, stream, subject string) (Message, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	m, err := b.getLast(ctx, stream, subject)
	if err != nil {
		return m, fmt.Errorf("read %s: %w", subject, err)
	}
	return m, nil
}

func (b *Bus) getLast(ctx context.Context, stream, subject string) (Message, error) {
	e, err := b.fetch(ctx, stream, query{Last: subject})
	if err != nil {
		return Message{}, err
	}
	return b.read(e)
}
