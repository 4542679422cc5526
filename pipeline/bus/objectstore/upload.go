package objectstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// chunkSize is the length of a chunk, bytes. By default the server takes
// messages of 1 MiB.
const chunkSize = 128 << 10

// upload writes one object: its chunks first, its description last.
type upload struct {
	bucket *Bucket
	info   jetstream.ObjectInfo
}

func newUpload(b *Bucket, key, mediaType string) *upload {
	return &upload{bucket: b, info: jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{
			Name:    key,
			Headers: nats.Header{"Content-Type": {mediaType}},
			Opts:    &jetstream.ObjectMetaOptions{ChunkSize: chunkSize},
		},
		Bucket: b.name,
		NUID:   nuid.Next(),
	}}
}

// run uploads the object. It removes the chunks of an upload that fails.
func (u *upload) run(ctx context.Context, r io.Reader) (err error) {
	chunks := u.bucket.chunkSubject(u.info.NUID)
	defer func() {
		if err != nil {
			u.removeChunks(ctx, chunks)
		}
	}()
	if err := u.sendChunks(ctx, chunks, r); err != nil {
		return err
	}
	failpoint.Here(failpoint.ObjectUnnamed)
	body, err := json.Marshal(&u.info)
	if err != nil {
		return err
	}
	_, err = u.publish(ctx, u.bucket.metaSubject(u.info.Name), body, 0)
	return err
}

// sendChunks stores the chunks one after the other, and counts them, their
// bytes and their digest into the description.
func (u *upload) sendChunks(ctx context.Context, subject string, r io.Reader) error {
	digest := sha256.New()
	buf := make([]byte, chunkSize)
	last := uint64(0)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, readErr := io.ReadFull(r, buf)
		if n > 0 {
			var err error
			if last, err = u.publish(ctx, subject, buf[:n], last); err != nil {
				return err
			}
			digest.Write(buf[:n])
			u.info.Size += uint64(n)
			u.info.Chunks++
		}
		switch {
		case errors.Is(readErr, io.EOF), errors.Is(readErr, io.ErrUnexpectedEOF):
			u.info.Digest = "SHA-256=" + base64.URLEncoding.EncodeToString(digest.Sum(nil))
			return nil
		case readErr != nil:
			return readErr
		}
	}
}

// publish stores a message if the newest one on its subject is at sequence
// last; 0 is none. It reads a refusal back, since the message may be stored and
// its acknowledgement lost. The error wraps [artifact.ErrExists] if another
// message is there.
func (u *upload) publish(ctx context.Context, subject string, body []byte, last uint64) (uint64, error) {
	const tries = 5
	id := subject + "/" + nuid.Next()
	for try := 1; ; try++ {
		msg := nats.NewMsg(subject)
		msg.Data = body
		msg.Header[nats.MsgIdHdr] = []string{id}
		var ack *jetstream.PubAck
		err := u.bucket.conn.Request(ctx, conn.PublishChunk, func(ctx context.Context, js jetstream.JetStream) (err error) {
			ack, err = js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(last))
			return err
		})
		if err == nil {
			return ack.Sequence, nil
		}
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		newest, readErr := u.bucket.stored.Latest(ctx, u.bucket.stream(), subject)
		switch {
		case readErr == nil && newest.ID() == id:
			return newest.Sequence, nil
		case readErr == nil && newest.Sequence != last:
			return 0, artifact.ErrExists
		case try == tries:
			if readErr != nil && !errors.Is(readErr, streams.ErrNotFound) {
				return 0, fmt.Errorf("%w; and it cannot be read back: %w", err, readErr)
			}
			return 0, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond << try):
		}
	}
}

// removeChunks removes the chunks of a failed upload. ctx may be cancelled
// already.
func (u *upload) removeChunks(ctx context.Context, chunks string) {
	if err := u.bucket.purge(context.WithoutCancel(ctx), chunks); err != nil {
		u.bucket.log.Warn("parts of an object are left", "bucket", u.bucket.name, "parts", chunks, "error", err)
	}
}
