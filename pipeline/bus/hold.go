package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// BucketLeases is where leases are; a lease that its holder does not renew
// disappears after leaseTime.
const BucketLeases = "tunebus_leases"

const leaseTime = 15 * time.Second

// ErrHeld says that somebody else holds a lease.
var ErrHeld = errors.New("somebody else holds the lease")

// Hold runs do while this process alone holds the lease called name. The
// context of do ends when the lease is lost, which a holder notices within a
// third of its time; the error is then [ErrHeld], as it is if somebody else
// holds the lease already. A lease keeps two from doing the same work, it does
// not fence what they write.
func (b *Bus) Hold(ctx context.Context, name string, do func(ctx context.Context) error) error {
	kv, err := b.bucket(ctx, BucketLeases)
	if err != nil {
		return err
	}
	revision, err := kv.Create(ctx, name, []byte(b.name))
	if errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("lease %s: %w", name, ErrHeld)
	}
	if err != nil {
		return fmt.Errorf("lease %s: %w", name, err)
	}
	failpoint.Here(failpoint.LeaseTaken)
	doing, cancel := context.WithCancelCause(ctx)
	renewed := make(chan uint64, 1)
	go func() { renewed <- b.renew(doing, kv, name, revision, cancel) }() // ends with doing
	err = do(doing)
	lost := errors.Is(context.Cause(doing), ErrHeld)
	cancel(nil)
	revision = <-renewed
	if lost {
		return errors.Join(fmt.Errorf("lease %s: %w", name, ErrHeld), err)
	}
	failpoint.Here(failpoint.LeaseDone)
	// The holder may be stopping; what is not deleted disappears by itself.
	end, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer done()
	if derr := kv.Delete(end, name, jetstream.LastRevision(revision)); derr != nil {
		b.log.Debug("lease not given back; it runs out", "lease", name, "error", derr)
	}
	return err
}

// renew renews the lease until ctx ends, and returns its last revision.
func (b *Bus) renew(ctx context.Context, kv jetstream.KeyValue, name string, revision uint64, lost context.CancelCauseFunc) uint64 {
	tick := time.NewTicker(leaseTime / 3)
	defer tick.Stop()
	good := time.Now()
	for {
		select {
		case <-ctx.Done():
			return revision
		case <-tick.C:
		}
		next, err := kv.Update(ctx, name, []byte(b.name), revision)
		switch {
		case err == nil:
			revision, good = next, time.Now()
		case ctx.Err() != nil:
			return revision
		case code(err) == codeWrongLastSequence || time.Since(good) > leaseTime:
			lost(ErrHeld)
			return revision
		}
	}
}
