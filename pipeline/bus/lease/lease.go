// Package lease lets one process at a time do some work, such as writing one
// run to MLflow.
//
// A lease is a key of a bucket that lives for [topology.LeaseTTL] unless its
// owner renews it. It keeps two processes from doing the same work; it does not
// fence what they write, since an owner may find out up to a third of the TTL
// too late that its lease is gone.
//
//	err := lease.Run(ctx, c, "tracking.run7", func(ctx context.Context) error { … })
//	if errors.Is(err, lease.ErrTaken) {
//		// try again later
//	}
//
// Its tests with a real server are in embedded/bustest.
package lease

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nuid"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// ErrTaken means that another owner has the lease.
var ErrTaken = errors.New("somebody else holds the lease")

// Run runs do while this process owns the lease called name. The context of do
// ends if the lease is lost. The error is [ErrTaken] if another owner has the
// lease, or got it meanwhile.
func Run(ctx context.Context, c *conn.Conn, name string, do func(ctx context.Context) error) error {
	bucket, err := c.Bucket(ctx, topology.BucketLeases)
	if err != nil {
		return err
	}
	l := &lease{bucket: bucket, name: name, owner: []byte(c.Name() + " " + nuid.Next()), log: c.Logger()}
	if err := l.acquire(ctx); err != nil {
		return err
	}
	failpoint.Here(failpoint.LeaseTaken)
	work, cancel := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() { // ends with work
		defer close(renewed)
		l.renew(work, cancel)
	}()
	err = do(work)
	lost := errors.Is(context.Cause(work), ErrTaken)
	cancel(nil)
	<-renewed
	if lost {
		return errors.Join(fmt.Errorf("lease %s: %w", name, ErrTaken), err)
	}
	failpoint.Here(failpoint.LeaseDone)
	l.release(ctx)
	return err
}

// lease is a lease that this process owns.
type lease struct {
	bucket *conn.Bucket
	name   string
	// owner is the value of the key. No other lease has it, so that one that
	// was written without an answer is recognized.
	owner    []byte
	log      *slog.Logger
	revision uint64
}

// acquire takes the lease. A write without an answer is read back: a lease that
// its owner does not know of would keep everybody out until it runs out.
func (l *lease) acquire(ctx context.Context) error {
	const tries = 3
	for try := 1; ; try++ {
		revision, err := l.bucket.Create(ctx, l.name, l.owner)
		switch {
		case err == nil:
			l.revision = revision
			return nil
		case errors.Is(err, conn.ErrRevision) && try == 1:
			return fmt.Errorf("lease %s: %w", l.name, ErrTaken)
		case errors.Is(err, conn.ErrRevision), conn.IsUnanswered(err):
			if l.owns(ctx) {
				return nil
			}
		}
		if try == tries || ctx.Err() != nil || !conn.IsUnanswered(err) {
			if errors.Is(err, conn.ErrRevision) {
				err = ErrTaken
			}
			return fmt.Errorf("lease %s: %w", l.name, err)
		}
	}
}

// renew renews the lease until ctx ends. It cancels with [ErrTaken] if the
// lease is lost.
func (l *lease) renew(ctx context.Context, cancel context.CancelCauseFunc) {
	const interval = topology.LeaseTTL / 3
	tick := time.NewTicker(interval)
	defer tick.Stop()
	renewed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A slow server must not keep the owner from seeing that its lease has run out.
		renewal, done := context.WithTimeout(ctx, interval)
		next, err := l.bucket.Update(renewal, l.name, l.owner, l.revision)
		done()
		switch {
		case err == nil:
			l.revision, renewed = next, time.Now()
		case ctx.Err() != nil:
			return
		case time.Since(renewed) > topology.LeaseTTL || errors.Is(err, conn.ErrRevision) && !l.owns(ctx):
			cancel(ErrTaken)
			return
		}
	}
}

// owns reports whether the key still has this owner's value, and takes over its
// revision: the answer to a renewal may have been lost. A bucket with replicas
// also refuses a renewal while the one before it is in flight.
func (l *lease) owns(ctx context.Context) bool {
	value, revision, err := l.bucket.Get(ctx, l.name)
	if err != nil || !bytes.Equal(value, l.owner) {
		return false
	}
	l.revision = revision
	return true
}

// release deletes the lease, so that the next owner need not wait until it
// expires. ctx may have ended already. The end of the work may have cut a renewal
// short that the server stored, and then the revision known here is an old one.
func (l *lease) release(ctx context.Context) {
	const tries = 3
	var err error
	for range tries {
		if err = l.delete(ctx); err == nil {
			return
		}
		if conn.IsUnanswered(err) || errors.Is(err, context.DeadlineExceeded) {
			continue // a connection that broke may be there again
		}
		reading, done := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
		owned := errors.Is(err, conn.ErrRevision) && l.owns(reading)
		done()
		if !owned {
			break
		}
	}
	l.log.Debug("lease not given back; it runs out", "lease", l.name, "error", err)
}

// releaseTime bounds each request at the end.
const releaseTime = 2 * time.Second

func (l *lease) delete(ctx context.Context) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer done()
	return l.bucket.Delete(ctx, l.name, l.revision)
}
