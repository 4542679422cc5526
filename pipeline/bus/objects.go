package bus

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// Objects keeps artifacts in a bucket of JetStream's Object Store. It reads
// and writes the Object Store's own format, so that "nats object" shows what
// is there. It writes by itself: each part is stored behind the one before, by
// a fence, and acknowledged before the next, and a name is taken once, by
// another fence. The client library sends parts without waiting and may change
// their order when a leader changes.
type Objects struct {
	bus    *Bus
	bucket string
	store  jetstream.ObjectStore
	stream jetstream.Stream
}

// ErrReplicated says that a bucket lies on several servers.
var ErrReplicated = errors.New("a bucket on several servers is not supported for artifacts; use s3://, gs:// or azblob://, or one replica")

// partSize is the length of a part, bytes; the server takes messages of 1 MiB
// by default.
const partSize = 128 << 10

// SetupObjects creates the bucket, or leaves it as it is.
func (b *Bus) SetupObjects(ctx context.Context, bucket string, maxBytes int64) error {
	cfg := jetstream.ObjectStoreConfig{Bucket: bucket, Storage: jetstream.FileStorage, Replicas: 1, MaxBytes: maxBytes}
	if _, err := b.js.CreateObjectStore(ctx, cfg); err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return fmt.Errorf("set up bucket %s: %w", bucket, err)
	}
	return nil
}

// Objects binds to a bucket. One that is not there yet is waited for until ctx
// ends, with a line in the log now and then. The error wraps [ErrReplicated]
// if the bucket has replicas.
func (b *Bus) Objects(ctx context.Context, bucket string) (*Objects, error) {
	o := &Objects{bus: b, bucket: bucket}
	for try := 0; ; try++ {
		var err error
		if o.store, err = b.js.ObjectStore(ctx, bucket); err == nil {
			break
		}
		if !errors.Is(err, jetstream.ErrBucketNotFound) || ctx.Err() != nil {
			return nil, fmt.Errorf("bucket %s: %w", bucket, err)
		}
		if try%20 == 2 {
			b.log.Warn("waiting for a bucket; \"tunebus setup\" creates it", "bucket", bucket)
		}
		wait(ctx, 500*time.Millisecond)
	}
	var err error
	if o.stream, err = b.js.Stream(ctx, "OBJ_"+bucket); err != nil {
		return nil, fmt.Errorf("bucket %s: %w", bucket, err)
	}
	if o.stream.CachedInfo().Config.Replicas > 1 {
		return nil, fmt.Errorf("bucket %s: %w", bucket, ErrReplicated)
	}
	return o, nil
}

// Close does nothing: the connection belongs to the bus.
func (o *Objects) Close() error { return nil }

func (o *Objects) meta(key string) string {
	return "$O." + o.bucket + ".M." + base64.URLEncoding.EncodeToString([]byte(key))
}

// Put implements [artifact.Backend].
func (o *Objects) Put(ctx context.Context, key, mediaType string, r io.Reader) (err error) {
	if !o.bus.Connected() { // waiting is for whoever asks: a checkpoint does not, a result does
		return fmt.Errorf("object %s: %w", key, nats.ErrDisconnected)
	}
	if _, err := o.store.GetInfo(ctx, key); err == nil {
		return fmt.Errorf("object %s: %w", key, artifact.ErrExists) // before all is sent
	}
	info := &jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{
			Name: key, Headers: nats.Header{"Content-Type": {mediaType}}, Opts: &jetstream.ObjectMetaOptions{ChunkSize: partSize},
		},
		Bucket: o.bucket, NUID: nonce(11),
	}
	parts := "$O." + o.bucket + ".C." + info.NUID
	defer func() {
		if err != nil {
			o.clean(ctx, parts)
		}
	}()
	if err := o.send(ctx, parts, r, info); err != nil {
		return fmt.Errorf("object %s: %w", key, err)
	}
	failpoint.Here(failpoint.ObjectUnnamed)
	body, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("object %s: %w", key, err)
	}
	if _, err := o.publish(ctx, o.meta(key), body, 0); err != nil {
		return fmt.Errorf("object %s: %w", key, err)
	}
	return nil
}

// send stores the parts of an object one behind the other, and notes how many
// they are, their length and their digest.
func (o *Objects) send(ctx context.Context, subject string, r io.Reader, info *jetstream.ObjectInfo) error {
	digest := sha256.New()
	buf := make([]byte, partSize)
	last := uint64(0)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			digest.Write(buf[:n])
			if last, err = o.publishPart(ctx, subject, buf[:n], last, err); err != nil && !ended(err) {
				return err
			}
			info.Size += uint64(n)
			info.Chunks++
		}
		if ended(err) {
			info.Digest = "SHA-256=" + base64.URLEncoding.EncodeToString(digest.Sum(nil))
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// ended reports whether a reader has been read to its end.
func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// publishPart stores a part; reading is what reading it came to, and is
// returned if the part is stored.
func (o *Objects) publishPart(ctx context.Context, subject string, body []byte, last uint64, reading error) (uint64, error) {
	next, err := o.publish(ctx, subject, body, last)
	if err != nil {
		return last, err
	}
	return next, reading
}

// publish stores a message behind the one at sequence last of its subject, 0
// being none. A refusal is read back: the message may be there, its answer
// lost. The error wraps [artifact.ErrExists] if another one is.
func (o *Objects) publish(ctx context.Context, subject string, body []byte, last uint64) (uint64, error) {
	const tries = 5
	id := subject + "/" + nonce(8)
	for try := 1; ; try++ {
		msg := nats.NewMsg(subject)
		msg.Data = body
		msg.Header[headerMsgID] = []string{id}
		part, cancel := context.WithTimeout(ctx, 10*time.Second)
		ack, err := o.bus.js.PublishMsg(part, msg, jetstream.WithExpectLastSequencePerSubject(last))
		cancel()
		if err == nil {
			return ack.Sequence, nil
		}
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		newest, gerr := o.stream.GetLastMsgForSubject(ctx, subject)
		switch {
		case gerr == nil && newest.Header.Get(headerMsgID) == id:
			return newest.Sequence, nil
		case gerr == nil && newest.Sequence != last:
			return 0, artifact.ErrExists
		case try == tries:
			return 0, err
		}
		wait(ctx, 200*time.Millisecond<<try)
	}
}

// clean removes the parts of an object that did not come about. Whoever asked
// for it may have been cancelled.
func (o *Objects) clean(ctx context.Context, parts string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := o.stream.Purge(ctx, jetstream.WithPurgeSubject(parts)); err != nil {
		o.bus.log.Warn("parts of an object are left", "bucket", o.bucket, "parts", parts, "error", err)
	}
}

// Get implements [artifact.Backend]. The reader fails in the end if the
// content does not have the digest that was noted.
func (o *Objects) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	// Without a deadline the client library would set one of 5 s for the whole
	// object.
	reading, cancel := context.WithTimeout(ctx, longestRead)
	r, err := o.store.Get(reading, key)
	if err != nil {
		cancel()
		return nil, o.explain(key, err)
	}
	return &objectReader{r, cancel}, nil
}

// longestRead bounds the reading of one object: that of 100 GB at 2 MB/s.
const longestRead = 14 * time.Hour

type objectReader struct {
	jetstream.ObjectResult
	cancel context.CancelFunc
}

// Close ends the reading.
func (r *objectReader) Close() error {
	defer r.cancel()
	return r.ObjectResult.Close()
}

// Attributes implements [artifact.Backend].
func (o *Objects) Attributes(ctx context.Context, key string) (artifact.Object, error) {
	info, err := o.store.GetInfo(ctx, key)
	if err != nil {
		return artifact.Object{}, o.explain(key, err)
	}
	return object(info), nil
}

// Delete implements [artifact.Backend]. The name goes first, so that nobody
// finds an object without its parts.
func (o *Objects) Delete(ctx context.Context, key string) error {
	info, err := o.store.GetInfo(ctx, key)
	if err != nil {
		return o.explain(key, err)
	}
	for _, subject := range []string{o.meta(key), "$O." + o.bucket + ".C." + info.NUID} {
		if err := o.stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
			return o.explain(key, err)
		}
	}
	return nil
}

// List implements [artifact.Backend]. It reads the names page by page.
func (o *Objects) List(ctx context.Context, prefix string) iter.Seq2[artifact.Object, error] {
	return func(yield func(artifact.Object, error) bool) {
		err := o.infos(ctx, func(info *jetstream.ObjectInfo) error {
			if strings.HasPrefix(info.Name, prefix) && !yield(object(info), nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(artifact.Object{}, o.explain(prefix, err))
		}
	}
}

// errEnough ends a listing that nobody goes on with.
var errEnough = errors.New("enough")

// infos calls each for every object that is not deleted.
func (o *Objects) infos(ctx context.Context, each func(*jetstream.ObjectInfo) error) error {
	return o.bus.scan(ctx, "OBJ_"+o.bucket, query{Sequence: 1}, "$O."+o.bucket+".M.*", func(e entry) error {
		var info jetstream.ObjectInfo
		if err := json.Unmarshal(e.data, &info); err != nil {
			return fmt.Errorf("meta %s: %w", e.subject, err)
		}
		if info.Deleted {
			return nil
		}
		info.ModTime = e.time
		return each(&info)
	})
}

// Leftovers implements [artifact.Collectable]: the parts of objects without a
// name. The parts are listed before the names, so that an object that is
// finished meanwhile is not among them.
func (o *Objects) Leftovers(ctx context.Context, before time.Time) iter.Seq2[artifact.Object, error] {
	return func(yield func(artifact.Object, error) bool) {
		orphans, err := o.orphans(ctx)
		if err != nil {
			yield(artifact.Object{}, o.explain("", err))
			return
		}
		for subject, parts := range orphans {
			last, err := o.stream.GetLastMsgForSubject(ctx, subject)
			switch {
			case errors.Is(err, jetstream.ErrMsgNotFound): // its writer cleaned up
				continue
			case err != nil:
				yield(artifact.Object{}, o.explain(subject, err))
				return
			case !last.Time.Before(before): // its writer may be alive
				continue
			}
			if !yield(artifact.Object{Key: subject, Size: int64(parts) * partSize, ModTime: last.Time}, nil) {
				return
			}
		}
	}
}

// orphans are the subjects of parts that belong to no name, with how many
// parts each has.
func (o *Objects) orphans(ctx context.Context) (map[string]uint64, error) {
	prefix := "$O." + o.bucket + ".C."
	info, err := o.stream.Info(ctx, jetstream.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return nil, err
	}
	err = o.infos(ctx, func(named *jetstream.ObjectInfo) error {
		delete(info.State.Subjects, prefix+named.NUID)
		return nil
	})
	return info.State.Subjects, err
}

// RemoveLeftover implements [artifact.Collectable].
func (o *Objects) RemoveLeftover(ctx context.Context, key string) error {
	return o.stream.Purge(ctx, jetstream.WithPurgeSubject(key))
}

func object(info *jetstream.ObjectInfo) artifact.Object {
	return artifact.Object{Key: info.Name, Size: int64(info.Size), ModTime: info.ModTime}
}

func (o *Objects) explain(key string, err error) error {
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		err = fmt.Errorf("%w: %w", artifact.ErrNotFound, err)
	}
	return fmt.Errorf("object %s of bucket %s: %w", key, o.bucket, err)
}
