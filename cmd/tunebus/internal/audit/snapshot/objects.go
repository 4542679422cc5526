package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// ReadObjects reads the artifacts of a bucket of the Object Store into s, chunk
// by chunk. Chunks that belong to no object are left over.
func ReadObjects(ctx context.Context, url, bucket string, s *State) error {
	js, err := connect(url)
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	stream, err := js.Stream(ctx, "OBJ_"+bucket)
	if err != nil {
		return fmt.Errorf("audit: bucket %s: %w", bucket, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("$O."+bucket+".C.>"))
	if err != nil {
		return fmt.Errorf("audit: bucket %s: %w", bucket, err)
	}
	unused := info.State.Subjects
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
		delete(unused, subject)
		var content []byte
		for _, chunk := range chunks {
			content = append(content, chunk.Body...)
		}
		sum := sha256.Sum256(content)
		s.addObject(object.Name, Object{Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), Content: content})
	}
	for subject := range unused {
		s.Left = append(s.Left, subject)
	}
	return nil
}
