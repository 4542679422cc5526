package objectstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/bus/streams"
)

// objectReader reads the chunks of an object page by page. Each page is a
// request with a limit of its own, so that a lost reply ends the reading within
// seconds, however large the object is. (The client library's reader has one
// limit for the whole object.)
type objectReader struct {
	ctx    context.Context // of Get: io.Reader has no context
	bucket *Bucket
	info   *jetstream.ObjectInfo

	next   streams.Start
	chunks []streams.Message // read and not yet handed out
	rest   []byte            // of the current chunk
	read   uint64            // bytes
	digest hash.Hash
}

func newObjectReader(ctx context.Context, b *Bucket, info *jetstream.ObjectInfo) *objectReader {
	return &objectReader{ctx: ctx, bucket: b, info: info, next: streams.FromSequence(1), digest: sha256.New()}
}

// Read implements [io.Reader].
func (r *objectReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.read >= r.info.Size {
			return 0, r.verify()
		}
		if len(r.chunks) == 0 {
			if err := r.fetch(); err != nil {
				return 0, explain(r.bucket.name, r.info.Name, err)
			}
		}
		r.rest, r.chunks = r.chunks[0].Data, r.chunks[1:]
		r.read += uint64(len(r.rest))
		r.digest.Write(r.rest)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// fetch reads the next page of chunks.
func (r *objectReader) fetch() error {
	var msgs []streams.Message
	err := repeat(r.ctx, func() (err error) {
		msgs, _, err = r.bucket.stored.Page(r.ctx, r.bucket.stream(), r.next, r.bucket.chunkSubject(r.info.NUID))
		return err
	})
	if err != nil {
		return err
	}
	if len(msgs) == 0 {
		return fmt.Errorf("only %d of %d bytes are there: %w", r.read, r.info.Size, io.ErrUnexpectedEOF)
	}
	r.chunks = msgs
	r.next = streams.FromSequence(msgs[len(msgs)-1].Sequence + 1)
	return nil
}

// verify is [io.EOF] if the object has the digest of its description.
func (r *objectReader) verify() error {
	if digest := "SHA-256=" + base64.URLEncoding.EncodeToString(r.digest.Sum(nil)); r.read != r.info.Size || digest != r.info.Digest {
		return explain(r.bucket.name, r.info.Name, jetstream.ErrDigestMismatch)
	}
	return io.EOF
}

// Close implements [io.Closer].
func (r *objectReader) Close() error { return nil }
