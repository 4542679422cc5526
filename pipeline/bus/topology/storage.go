package topology

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// StorageError means that a server has too little storage for a stream.
type StorageError struct {
	Server, Stream string
	// Needed is what the stream needs, All what all streams and buckets of tunebus need
	// together, and Available what the server has left, in bytes. Available is to the
	// nearest MiB, or -1 if it could not be found out.
	Needed, All, Available int64
	Err                    error
}

func (e *StorageError) Error() string {
	left := "has less left"
	if e.Available >= 0 {
		left = "has " + events.Count(e.Available) + " left"
	}
	return fmt.Sprintf("the server %s has too little storage: stream %s needs %s bytes, and the server %s; all streams of tunebus need %s bytes together; "+
		"raise max_file_store in the section jetstream of the server's configuration, or the limit of the account, and run setup again: %v",
		e.Server, e.Stream, events.Count(e.Needed), left, events.Count(e.All), e.Err)
}

// Unwrap returns the refusal of the server.
func (e *StorageError) Unwrap() error { return e.Err }

// Error codes of a server that has too little storage: of its own, and for an account.
const (
	codeStorageExceeded = 10047
	codeAccountExceeded = 10002
	codeInsufficient    = 10023
)

// storageError makes a [StorageError] of the refusal of a stream, if it is one for lack of
// storage. Any other error stays as it is.
func (t Topology) storageError(ctx context.Context, c *conn.Conn, name string, needed int64, err error) error {
	refusal, ok := errors.AsType[*jetstream.APIError](err)
	if !ok || needed <= 0 {
		return err
	}
	switch refusal.ErrorCode {
	case codeStorageExceeded, codeAccountExceeded, codeInsufficient:
	default:
		if !strings.Contains(refusal.Description, "insufficient storage") { // of a cluster
			return err
		}
	}
	out := &StorageError{Server: c.Server(), Stream: name, Needed: needed, Available: t.available(ctx, c, needed), Err: err}
	for _, s := range t.streams() {
		out.All += s.MaxBytes
	}
	for _, b := range t.buckets() {
		out.All += b.MaxBytes
	}
	return out
}

// probe is a stream that exists for a moment, to find out how much storage is left. No
// client publishes to it.
const probe = "TUNEBUS_SPACE"

// available finds out how many bytes less than needed a server has left, to the nearest MiB:
// a server tells nobody but its administrator. It is -1 if the server does not let it.
func (t Topology) available(ctx context.Context, c *conn.Conn, needed int64) int64 {
	const precision = 1 << 20
	fits := func(size int64) (ok bool, err error) {
		err = c.Request(ctx, conn.ApplyStream, func(ctx context.Context, js jetstream.JetStream) error {
			_, err := js.CreateStream(ctx, jetstream.StreamConfig{
				Name: probe, Subjects: []string{"tunebus.space"}, Storage: jetstream.FileStorage, Replicas: t.Replicas, MaxBytes: size,
			})
			if err != nil {
				_, refused := errors.AsType[*jetstream.APIError](err)
				if refused {
					return nil
				}
				return err
			}
			ok = true
			return js.DeleteStream(ctx, probe)
		})
		return ok, err
	}
	low, high := int64(0), needed
	for high-low > precision {
		middle := low + (high-low)/2
		ok, err := fits(middle)
		switch {
		case err != nil:
			return -1
		case ok:
			low = middle
		default:
			high = middle
		}
	}
	return low / precision * precision
}
