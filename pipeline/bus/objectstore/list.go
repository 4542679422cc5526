package objectstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
)

// errStop ends a listing whose reader has seen enough.
var errStop = errors.New("enough")

// List implements [artifact.Backend]. It reads the descriptions page by page.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[artifact.Object, error] {
	return func(yield func(artifact.Object, error) bool) {
		err := b.eachInfo(ctx, func(info *jetstream.ObjectInfo) error {
			if strings.HasPrefix(info.Name, prefix) && !yield(object(info), nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(artifact.Object{}, explain(b.name, prefix, err))
		}
	}
}

// eachInfo calls each for every object that is not deleted.
func (b *Bucket) eachInfo(ctx context.Context, each func(*jetstream.ObjectInfo) error) error {
	return b.stored.Scan(ctx, b.stream(), streams.FromSequence(1), "$O."+b.name+".M.*", func(m streams.Message) error {
		var info jetstream.ObjectInfo
		if err := json.Unmarshal(m.Data, &info); err != nil {
			return fmt.Errorf("meta %s: %w", m.Subject, err)
		}
		if info.Deleted {
			return nil
		}
		info.ModTime = m.Time
		return each(&info)
	})
}

// Leftovers implements [artifact.Collectable]: the chunks of objects without a
// description. It lists the chunks before the descriptions, so that an object
// that is finished meanwhile is not among them.
func (b *Bucket) Leftovers(ctx context.Context, before time.Time) iter.Seq2[artifact.Object, error] {
	return func(yield func(artifact.Object, error) bool) {
		orphans, err := b.orphans(ctx)
		if err != nil {
			yield(artifact.Object{}, explain(b.name, "", err))
			return
		}
		for subject, chunks := range orphans {
			last, err := b.stored.Latest(ctx, b.stream(), subject)
			switch {
			case errors.Is(err, streams.ErrNotFound): // the upload failed and cleaned up
				continue
			case err != nil:
				yield(artifact.Object{}, explain(b.name, subject, err))
				return
			case !last.Time.Before(before): // the upload may still run
				continue
			}
			if !yield(artifact.Object{Key: subject, Size: int64(chunks) * chunkSize, ModTime: last.Time}, nil) {
				return
			}
		}
	}
}

// orphans are the subjects of chunks without a description, and how many
// chunks each has.
func (b *Bucket) orphans(ctx context.Context) (chunks map[string]uint64, err error) {
	err = b.conn.Request(ctx, conn.ListSubjects, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, b.stream())
		if err != nil {
			return err
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(b.chunkSubject("*")))
		if err == nil {
			chunks = info.State.Subjects
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = b.eachInfo(ctx, func(info *jetstream.ObjectInfo) error {
		delete(chunks, b.chunkSubject(info.NUID))
		return nil
	})
	return chunks, err
}

// RemoveLeftover implements [artifact.Collectable].
func (b *Bucket) RemoveLeftover(ctx context.Context, key string) error { return b.purge(ctx, key) }
