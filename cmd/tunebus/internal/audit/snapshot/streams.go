package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
)

func connect(url string) (jetstream.JetStream, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, fmt.Errorf("audit: connect: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("audit: %w", err)
	}
	return js, nil
}

// ReadStreams reads the streams, consumers and key-value buckets of the server
// at url into s.
func ReadStreams(ctx context.Context, url string, s *State) error {
	js, err := connect(url)
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	for name, to := range map[string]*[]Message{
		events.StreamRequests: &s.Requests,
		events.StreamFacts:    &s.Facts,
		events.StreamMetrics:  &s.Metrics,
		events.StreamDead:     &s.Dead,
	} {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("audit: stream %s: %w", name, err)
		}
		if *to, err = messages(ctx, stream, ">"); err != nil {
			return fmt.Errorf("audit: stream %s: %w", name, err)
		}
		if err := s.readConsumers(ctx, stream, name); err != nil {
			return fmt.Errorf("audit: consumers of %s: %w", name, err)
		}
	}
	s.Keys = map[string][]string{}
	buckets := js.KeyValueStoreNames(ctx)
	for bucket := range buckets.Name() {
		bucket = strings.TrimPrefix(bucket, "KV_")
		if s.Keys[bucket], err = keys(ctx, js, bucket); err != nil {
			return fmt.Errorf("audit: bucket %s: %w", bucket, err)
		}
	}
	return buckets.Error()
}

func (s *State) readConsumers(ctx context.Context, stream jetstream.Stream, name string) error {
	all := stream.ListConsumers(ctx)
	for info := range all.Info() {
		if info.Config.Durable == "" {
			continue
		}
		s.Consumers = append(s.Consumers, Consumer{
			Stream:     name,
			Name:       info.Name,
			Pending:    info.NumPending,
			AckPending: uint64(info.NumAckPending), //nolint:gosec // a count
		})
	}
	return all.Err()
}

func keys(ctx context.Context, js jetstream.JetStream, bucket string) ([]string, error) {
	kv, err := js.KeyValue(ctx, bucket)
	if err != nil {
		return nil, err
	}
	all, err := kv.ListKeys(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for key := range all.Keys() {
		out = append(out, key)
	}
	return out, nil
}

// messages reads the messages with a subject one by one.
func messages(ctx context.Context, s jetstream.Stream, subject string) ([]Message, error) {
	var out []Message
	for next := uint64(1); ; {
		m, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, Message{
			Sequence: m.Sequence,
			Subject:  m.Subject,
			ID:       m.Header.Get("Nats-Msg-Id"),
			Time:     m.Time,
			Body:     m.Data,
		})
		next = m.Sequence + 1
	}
}
