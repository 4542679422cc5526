// Package storeopening opens artifact stores for commands, which give up one that does not answer.
//
//	store, err := storeopening.Open(ctx, b, "file:///data/artifacts")
package storeopening

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// AsStatus gives the error of a store that could not be opened its status: that of bad
// input, unless the store, or the person, only did not wait long enough.
func AsStatus(ctx context.Context, err error) error {
	_, silent := errors.AsType[*TimeoutError](err)
	if err == nil || silent || ctx.Err() != nil {
		return err
	}
	return exit.Input(err)
}

// limit is how long an artifact store may take to answer when it is opened.
const limit = 30 * time.Second

// TimeoutError means that an artifact store did not answer when it was opened.
type TimeoutError struct {
	Store string // its address, without what may be a credential
	Limit time.Duration
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("the artifact store %s did not answer within %s: is its address right, and can it be reached from here?", e.Store, e.Limit)
}

// CheckAddress checks the address of --artifacts by itself, before anything is sent or asked.
// An empty one is not given. The error has the status of bad input.
func CheckAddress(address string) error {
	var err error
	bucket, ok := service.ObjectBucket(address)
	switch {
	case address == "":
	case ok:
		err = checkBucket(bucket, address)
	default:
		err = artifact.CheckAddress(address)
	}
	if err != nil {
		return exit.Input(fmt.Errorf("--artifacts: %w", err))
	}
	return nil
}

// checkBucket refuses what is no name of a bucket in NATS.
func checkBucket(bucket, address string) error {
	if strings.Contains(bucket, "@") {
		name, _, _ := strings.Cut(settings.Redacted(address), "?")
		return fmt.Errorf("artifact store %s: want jetstream:// and the name of a bucket; the credentials of the server are --creds and the like", name)
	}
	return nil
}

// Open opens the artifact store at an address, and gives up a store that does not
// answer. A service waits for a bucket in NATS that does not exist yet; a command says
// after a while that there is none.
func Open(ctx context.Context, b *conn.Conn, address string) (*artifact.Store, error) {
	return open(ctx, b, address, service.OpenStore)
}

// OpenToAdd is [Open] for the inputs of a new run. Where the server has runs already, an
// address without a store has been mistyped, or its disk is away, and nothing is made.
func OpenToAdd(ctx context.Context, b *conn.Conn, address string) (*artifact.Store, error) {
	store, err := OpenExisting(ctx, b, address)
	if !errors.Is(err, artifact.ErrNoStore) {
		return store, err
	}
	switch _, asked := history.New(b).Latest(ctx, events.TypePipelineAccepted+".*"); {
	case errors.Is(asked, history.ErrNotFound):
		return Open(ctx, b, address)
	case asked != nil && !codec.IsUndecodable(asked):
		return nil, asked
	}
	return nil, fmt.Errorf("%w, and the server has runs already, whose artifacts lie elsewhere: is the address right, and is its disk mounted? "+
		"If a new store is wanted, start the services with it first", err)
}

// OpenExisting is [Open] for a command that looks at what services stored:
// an address that is mistyped makes no store.
func OpenExisting(ctx context.Context, b *conn.Conn, address string) (*artifact.Store, error) {
	return open(ctx, b, address, service.OpenExistingStore)
}

func open(ctx context.Context, b *conn.Conn, address string, open func(context.Context, *conn.Conn, string) (*artifact.Store, error)) (*artifact.Store, error) {
	name, _, _ := strings.Cut(settings.Redacted(address), "?")
	limit, reason := limit, error(&TimeoutError{Store: name, Limit: limit})
	if bucket, ok := service.ObjectBucket(address); ok {
		if err := checkBucket(bucket, address); err != nil {
			return nil, err
		}
		limit = 15 * time.Second
		reason = fmt.Errorf("bucket %s was not there within %s; \"tunebus setup\" creates it", bucket, limit)
	}
	defer progress.Doing(ctx, "opening the artifact store "+name)()
	opening, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() { cancel(reason) })
	store, err := open(opening, b, address)
	timer.Stop() // the store may go on using the context, so that it ends with ctx alone
	if err != nil {
		cancel(nil)
		if errors.Is(context.Cause(opening), reason) {
			err = reason
		}
	}
	return store, err
}
