package huggingface

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Options say where the Hub is and where files are kept.
type Options struct {
	// Endpoint is the Hub's address. Default https://huggingface.co.
	Endpoint string
	// Token is sent to the endpoint's origin. Default: none.
	Token string
	// Cache is the folder for what is fetched. Default: tunebus/hub in the
	// user's cache folder.
	Cache string
	// Offline never asks the Hub: what the cache does not hold is an error.
	Offline bool
	// Parallel is how many files are fetched at the same time. Default 4.
	Parallel int
	// Tries is how often a request is made that fails for a reason that
	// passes. Default 5.
	Tries int
	// Backoff is the wait before the second try; it doubles each time.
	// Default 500 ms.
	Backoff time.Duration
	Logger  *slog.Logger
}

// Client asks a Hub. It is safe for concurrent use.
type Client struct {
	opts Options
	base *url.URL
	http *http.Client
}

// Errors that callers tell apart.
var (
	// ErrUnreachable says that the Hub did not answer, or only with errors of
	// its own; it may later.
	ErrUnreachable = errors.New("the Hub cannot be reached")
	// ErrBroken says that what the Hub sent broke off or is not what it should
	// be; it may come whole later.
	ErrBroken = errors.New("the transfer is broken")
	// ErrRefused says that the Hub does not give this to us.
	ErrRefused = errors.New("the Hub refuses")
)

// New returns a client. It asks nobody yet.
func New(opts Options) (*Client, error) {
	if opts.Endpoint == "" {
		opts.Endpoint = "https://huggingface.co"
	}
	base, err := url.Parse(strings.TrimSuffix(opts.Endpoint, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil {
		return nil, errors.New("address of the Hub: want http://host or https://host without a user")
	}
	if opts.Cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("cache of the Hub: %w; name a folder", err)
		}
		opts.Cache = filepath.Join(dir, "tunebus", "hub")
	}
	if opts.Parallel == 0 {
		opts.Parallel = 4
	}
	if opts.Tries == 0 {
		opts.Tries = 5
	}
	if opts.Backoff == 0 {
		opts.Backoff = 500 * time.Millisecond
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 30 * time.Second
	return &Client{opts: opts, base: base, http: &http.Client{Transport: &authorized{next: transport, origin: base, token: opts.Token}}}, nil
}

// authorized adds the token to requests to the endpoint's own origin. The
// token never is part of the request that redirects are made from.
type authorized struct {
	next   http.RoundTripper
	origin *url.URL
	token  string
}

// RoundTrip implements [http.RoundTripper].
func (a *authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.token != "" && r.URL.Scheme == a.origin.Scheme && strings.EqualFold(r.URL.Host, a.origin.Host) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	return a.next.RoundTrip(r)
}

// get asks until there is an answer of status 200, whose body the caller
// closes, or an error that will not pass.
func (c *Client) get(ctx context.Context, what, address string) (*http.Response, error) {
	for try := 1; ; try++ {
		answer, wait, err := c.once(ctx, what, address)
		if err == nil {
			return answer, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		if !errors.Is(err, ErrUnreachable) || try >= c.opts.Tries {
			return nil, err
		}
		pause := c.opts.Backoff << min(try-1, 6)
		pause = max(pause+time.Duration(rand.Int64N(int64(pause)/2+1)), wait)
		c.opts.Logger.Warn("asking the Hub again", "what", what, "try", try+1, "in", pause, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
	}
}

// once asks once. wait is how long the server asks to be left alone.
func (c *Client) once(ctx context.Context, what, address string) (_ *http.Response, wait time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: not an address", what)
	}
	r.Header.Set("User-Agent", "tunebus")
	answer, err := c.http.Do(r)
	if err != nil {
		var detail *url.Error
		if errors.As(err, &detail) {
			err = detail.Err // without the address, which a CDN signs
		}
		return nil, 0, fmt.Errorf("%s: %w at %s: %w", what, ErrUnreachable, c.base.Host, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer, 0, nil
	}
	_, _ = io.CopyN(io.Discard, answer.Body, 4<<10) // so that the connection can be used again
	_ = answer.Body.Close()
	return nil, retryAfter(answer), c.refusal(what, answer)
}

const longestWait = time.Minute

func retryAfter(answer *http.Response) time.Duration {
	seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, longestWait)
}

// refusal says what a status means and what to do about it. The Hub names
// its own reason in a header.
func (c *Client) refusal(what string, answer *http.Response) error {
	status := answer.StatusCode
	reason := answer.Header.Get("X-Error-Code")
	switch {
	case status == http.StatusTooManyRequests || status >= http.StatusInternalServerError:
		return fmt.Errorf("%s: %w at %s: status %d", what, ErrUnreachable, c.base.Host, status)
	case reason == "GatedRepo":
		return fmt.Errorf("%s: %w: it is gated; accept its terms on the Hub, and give a token of that account (HF_TOKEN)", what, ErrRefused)
	case status == http.StatusUnauthorized && c.opts.Token == "":
		return fmt.Errorf("%s: %w: it does not exist, or it is private; check its name, or set HF_TOKEN", what, ErrRefused)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Errorf("%s: %w: the token is not accepted there; check HF_TOKEN and what it may read", what, ErrRefused)
	case reason == "RevisionNotFound":
		return fmt.Errorf("%s: %w: there is no such revision", what, ErrRefused)
	case status == http.StatusNotFound:
		return fmt.Errorf("%s: %w: it does not exist at %s; check its name", what, ErrRefused, c.base.Host)
	default:
		return fmt.Errorf("%s: %w: status %d", what, ErrRefused, status)
	}
}
