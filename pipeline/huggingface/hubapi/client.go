package hubapi

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/redaction"
)

// DefaultEndpoint is the address of the Hub.
const DefaultEndpoint = "https://huggingface.co"

// Options configure a [Client].
type Options struct {
	// Endpoint is the address of the Hub. Default [DefaultEndpoint].
	Endpoint string
	// Token is sent to the origin of the endpoint. Default: none.
	Token string
	// Tries is the number of tries of a request that fails for a temporary
	// reason. Default 5.
	Tries int
	// Backoff is the delay before the second try; it doubles with each try.
	// Default 500 ms.
	Backoff time.Duration
	// IdleTimeout is how long a transfer may stand still before it is broken
	// off. Default 2 minutes.
	IdleTimeout time.Duration
	// Logger receives retries. Default: none.
	Logger *slog.Logger
}

// The longest waits for the head of an answer. A commit of many files takes the Hub a
// while.
const (
	readWait  = 30 * time.Second
	writeWait = 3 * time.Minute
)

// Client sends requests to the Hub. It may be used concurrently.
type Client struct {
	base *url.URL
	// reading and writing have the token, plain has none.
	reading, writing, plain *http.Client

	// Answers reads what the Hub says.
	Answers Answers

	hasToken bool
	tries    int
	backoff  time.Duration
	idle     time.Duration // limit of one step of a transfer
	log      *slog.Logger
}

// New returns a client. It sends no request. The error is that of an endpoint which is
// no address.
func New(opts Options) (*Client, error) {
	if opts.Endpoint == "" {
		opts.Endpoint = DefaultEndpoint
	}
	base, err := url.Parse(strings.TrimSuffix(opts.Endpoint, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil {
		return nil, errors.New("address of the Hub: want http://host or https://host without a user")
	}
	if opts.Tries == 0 {
		opts.Tries = 5
	}
	if opts.Backoff == 0 {
		opts.Backoff = 500 * time.Millisecond
	}
	if opts.IdleTimeout == 0 {
		opts.IdleTimeout = 2 * time.Minute
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		base:     base,
		reading:  newHTTPClient(base, opts.Token, readWait),
		writing:  newHTTPClient(base, opts.Token, writeWait),
		plain:    newHTTPClient(base, "", writeWait),
		hasToken: opts.Token != "",
		Answers:  Answers{base.Host, redaction.New(opts.Token)},
		tries:    opts.Tries,
		backoff:  opts.Backoff,
		idle:     opts.IdleTimeout,
		log:      opts.Logger,
	}
	// Another method would be sent to the new place, without its content.
	asIs := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.writing.CheckRedirect, c.plain.CheckRedirect = asIs, asIs
	return c, nil
}

// Host is the host of the endpoint, for people.
func (c *Client) Host() string { return c.base.Host }

// Secure reports whether the endpoint is reached by TLS.
func (c *Client) Secure() bool { return c.base.Scheme == "https" }
