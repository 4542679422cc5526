package modelserver

import (
	"context"
	"fmt"

	"github.com/tunebus/tunebus/services/inference/modelserver/chatapi"
)

// Describe looks once at the server of a configuration, and says what it is and which
// models it has. The error says what to do.
func Describe(ctx context.Context, cfg Config) (string, error) {
	cfg = New(cfg).cfg
	c := &caller{client: chatapi.NewClient(cfg.Endpoint, cfg.Key, cfg.Parallel, cfg.Timeout), impatient: true}
	defer c.client.Close()
	found, err := c.look(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s at %s; models: %s", found.name(), c.client.Name, c.client.Hide(found.listed())), nil
}
