package lease

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// DropAbandoned removes the leases that connections with one of the names hold. It is for
// the process that has just started a server: such connections lived in processes that
// ended with the server before, and their leases would keep this process from their work
// for up to [topology.LeaseTTL].
func DropAbandoned(ctx context.Context, c *conn.Conn, names ...string) error {
	const prefix = "$KV." + topology.BucketLeases + "."
	abandoned := map[string]uint64{} // revisions by name
	err := streams.New(c).Scan(ctx, "KV_"+topology.BucketLeases, streams.FromSequence(1), prefix+">", func(m streams.Message) error {
		owner, _, ok := strings.Cut(string(m.Data), " ")
		if ok && slices.Contains(names, owner) { // a key that was removed has no owner
			abandoned[strings.TrimPrefix(m.Subject, prefix)] = m.Sequence
		}
		return nil
	})
	if err != nil || len(abandoned) == 0 {
		return err
	}
	bucket, err := c.Bucket(ctx, topology.BucketLeases)
	if err != nil {
		return err
	}
	for name, revision := range abandoned {
		if err := bucket.Delete(ctx, name, revision); err != nil && !errors.Is(err, conn.ErrRevision) {
			return fmt.Errorf("lease %s: %w", name, err)
		}
	}
	return nil
}
