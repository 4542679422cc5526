package publishing

import (
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Config says to which Hub runs are published, and with which credential.
type Config struct {
	// Endpoint is the address of the Hub. Default [hubapi.DefaultEndpoint].
	Endpoint string
	// Token is the credential. Without one nothing is pushed, and the facts say so.
	Token string
	// Offline forbids requests to the Hub.
	Offline bool
	// Tries is how often a push is tried that fails for a temporary reason. Default 8.
	Tries int
	// Backoff is the delay before the second try; it doubles with each try up to 5
	// minutes. Default 5 s.
	Backoff time.Duration
	// Requests configure the requests to the Hub. Endpoint, token and log are those of
	// above.
	Requests hubapi.Options
	// Slots is how many runs are published at the same time. Default 1.
	Slots int
	// Logger is the logger. Default: discard.
	Logger *slog.Logger
}

// ConfigFrom makes the configuration from the settings.
func ConfigFrom(s settings.Settings) Config {
	return Config{
		Endpoint: s.Data.HubEndpoint, Token: s.Credentials.HuggingFaceToken, Offline: s.Data.HubOffline, Slots: s.Tracker.Slots,
	}
}

func (c Config) withDefaults() Config {
	if c.Endpoint == "" {
		c.Endpoint = hubapi.DefaultEndpoint
	}
	if c.Tries == 0 {
		c.Tries = 8
	}
	if c.Backoff == 0 {
		c.Backoff = 5 * time.Second
	}
	if c.Slots == 0 {
		c.Slots = 1
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Requests.Endpoint, c.Requests.Token, c.Requests.Logger = c.Endpoint, c.Token, c.Logger
	return c
}

// maxBackoff limits the delay between two tries.
const maxBackoff = 5 * time.Minute

// delay is how long the next try waits behind a number of tries.
func (c Config) delay(tries int) time.Duration {
	return min(c.Backoff<<min(max(tries-1, 0), 16), maxBackoff)
}
