package service

import (
	"context"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/storeusers"
)

// OpenStore opens the artifact store at an address: jetstream://bucket on the
// bus itself, anything else as [artifact.Open] does.
func OpenStore(ctx context.Context, b *conn.Conn, address string) (*artifact.Store, error) {
	return openStore(ctx, b, address, artifact.Open)
}

// OpenExistingStore is [OpenStore] for a store that somebody made before, see
// [artifact.OpenExisting].
func OpenExistingStore(ctx context.Context, b *conn.Conn, address string) (*artifact.Store, error) {
	return openStore(ctx, b, address, artifact.OpenExisting)
}

func openStore(ctx context.Context, b *conn.Conn, address string, elsewhere func(context.Context, string) (*artifact.Store, error)) (*artifact.Store, error) {
	bucket, ok := ObjectBucket(address)
	if !ok {
		return elsewhere(ctx, address)
	}
	objects, err := objectstore.Open(ctx, b, bucket)
	if err != nil {
		return nil, fmt.Errorf("open artifact store: %w", err)
	}
	return artifact.NewNamed(ctx, address, objects)
}

// ObjectBucket is the bucket that an address of the form jetstream://bucket
// names.
func ObjectBucket(address string) (string, bool) {
	bucket, ok := strings.CutPrefix(address, "jetstream://")
	return strings.TrimSuffix(bucket, "/"), ok
}

// register says in an artifact store that the services of a server use it. A bucket of the server
// itself has no other users.
func register(ctx context.Context, b *conn.Conn, store *artifact.Store, address string) error {
	if _, ok := ObjectBucket(address); ok {
		return nil
	}
	me, err := storeusers.Of(ctx, b)
	if err != nil {
		return err
	}
	me.Server = redaction.Addresses(b.Server())
	return storeusers.Register(ctx, store, me)
}
