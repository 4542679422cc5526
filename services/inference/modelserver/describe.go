package modelserver

import (
	"context"
	"fmt"
)

// Describe looks once at the server of a configuration, and says what it is and which
// models it has. The error says what to do.
func Describe(ctx context.Context, cfg Config) (string, error) {
	c := &caller{client: newClient(New(cfg).cfg), impatient: true}
	defer c.client.close()
	found, err := c.look(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s at %s; models: %s", found.name(), c.client.name, found.listed()), nil
}
