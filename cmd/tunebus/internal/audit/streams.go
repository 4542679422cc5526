package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
)

// ReadStreams reads what the server at url holds into s.
func ReadStreams(ctx context.Context, url string, s *State) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("audit: connect: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	for name, to := range map[string]*[]Message{
		events.StreamRequests: &s.Requests, events.StreamFacts: &s.Facts, events.StreamMetrics: &s.Metrics, events.StreamDead: &s.Dead,
	} {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("audit: stream %s: %w", name, err)
		}
		if *to, err = messages(ctx, stream, ">"); err != nil {
			return fmt.Errorf("audit: stream %s: %w", name, err)
		}
		all := stream.ListConsumers(ctx)
		for info := range all.Info() {
			if info.Config.Durable != "" {
				s.Consumers = append(s.Consumers, Consumer{name, info.Name, info.NumPending, uint64(info.NumAckPending)})
			}
		}
		if err := all.Err(); err != nil {
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

// messages reads the messages on a subject one by one.
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
		out = append(out, Message{Sequence: m.Sequence, Subject: m.Subject, ID: m.Header.Get("Nats-Msg-Id"), Time: m.Time, Body: m.Data})
		next = m.Sequence + 1
	}
}

// ReadObjects reads the artifacts of a bucket of the Object Store into s,
// part by part, and finds the parts that belong to no object.
func ReadObjects(ctx context.Context, url, bucket string, s *State) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("audit: connect: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	stream, err := js.Stream(ctx, "OBJ_"+bucket)
	if err != nil {
		return fmt.Errorf("audit: bucket %s: %w", bucket, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("$O."+bucket+".C.>"))
	if err != nil {
		return fmt.Errorf("audit: bucket %s: %w", bucket, err)
	}
	parts := info.State.Subjects
	names, err := messages(ctx, stream, "$O."+bucket+".M.>")
	if err != nil {
		return fmt.Errorf("audit: bucket %s: %w", bucket, err)
	}
	s.Artifacts = map[string]Object{}
	for _, m := range names {
		var object struct {
			Name string `json:"name"`
			NUID string `json:"nuid"`
		}
		if err := json.Unmarshal(m.Body, &object); err != nil {
			return fmt.Errorf("audit: %s: %w", m.Subject, err)
		}
		subject := "$O." + bucket + ".C." + object.NUID
		chunks, err := messages(ctx, stream, subject)
		if err != nil {
			return fmt.Errorf("audit: object %s: %w", object.Name, err)
		}
		delete(parts, subject)
		var content []byte
		for _, chunk := range chunks {
			content = append(content, chunk.Body...)
		}
		sum := sha256.Sum256(content)
		s.artifact(object.Name, Object{Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), Content: content})
	}
	for subject := range parts {
		s.Left = append(s.Left, subject)
	}
	return nil
}
