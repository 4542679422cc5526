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
	"strconv"
	"time"

	"github.com/tunebus/tunebus/pipeline/idletimeout"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// Errors that callers can distinguish with errors.Is.
var (
	// ErrUnreachable means that the Hub did not respond, or only with server
	// errors. A later try may succeed.
	ErrUnreachable = errors.New("the Hub cannot be reached")
	// ErrBroken means that a response was cut off, or is not valid. A later
	// try may succeed.
	ErrBroken = errors.New("the transfer is broken")
	// ErrRefused means that the Hub refuses access, or that the repository does
	// not exist.
	ErrRefused = errors.New("the Hub refuses")
)

// maxRetryAfter limits the delay that a server can ask for.
const maxRetryAfter = time.Minute

// api sends requests to the Hub.
type api struct {
	base     *url.URL
	http     *http.Client
	hasToken bool
	tries    int
	backoff  time.Duration
	idle     time.Duration // limit of one read of a body
	log      *slog.Logger
}

// get repeats a request until the response has status 200 or the error is
// permanent. The caller closes the body. what names the subject in errors.
func (a *api) get(ctx context.Context, what, address string) (*http.Response, error) {
	for try := 1; ; try++ {
		response, retryAfter, err := a.getOnce(ctx, what, address)
		if err == nil {
			return response, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		if !errors.Is(err, ErrUnreachable) || try >= a.tries {
			return nil, err
		}
		delay := a.backoff << min(try-1, 6)
		delay = max(delay+time.Duration(rand.Int64N(int64(delay)/2+1)), retryAfter)
		a.log.Warn("request to the Hub failed; retrying", "what", what, "try", try+1, "in", delay, "error", err)
		if err := a.pause(ctx, what, delay); err != nil {
			return nil, err
		}
	}
}

// pause waits before the next try, and announces that to the job of the context.
func (a *api) pause(ctx context.Context, what string, delay time.Duration) error {
	defer progress.Wait(ctx, "the Hub at "+a.base.Host+" to answer again", delay+time.Minute).End()
	select {
	case <-time.After(delay):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
}

// getOnce sends one request. retryAfter is the delay that the server asks for.
func (a *api) getOnce(ctx context.Context, what, address string) (_ *http.Response, retryAfter time.Duration, err error) {
	defer progress.Doing(ctx, "asking the Hub at "+a.base.Host+" for "+what)()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: not an address", what)
	}
	r.Header.Set("User-Agent", "tunebus")
	ctx, limit := idletimeout.New(ctx, a.idle)
	response, err := a.http.Do(r.WithContext(ctx)) // the transport limits the wait for the header
	if err != nil {
		limit.Stop()
		if urlErr, ok := errors.AsType[*url.Error](err); ok {
			err = urlErr.Err // without the address: a CDN's has a signature
		}
		return nil, 0, fmt.Errorf("%s: %w at %s: %w", what, ErrUnreachable, a.base.Host, err)
	}
	response.Body = limit.Reader(response.Body)
	if response.StatusCode == http.StatusOK {
		return response, 0, nil
	}
	_, _ = io.CopyN(io.Discard, response.Body, 4<<10) // so that the connection can be reused
	_ = response.Body.Close()
	return nil, parseRetryAfter(response), a.statusError(what, response)
}

func parseRetryAfter(response *http.Response) time.Duration {
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

// statusError explains a status and names the next step. The Hub puts its own
// reason into a header.
func (a *api) statusError(what string, response *http.Response) error {
	status := response.StatusCode
	reason := response.Header.Get("X-Error-Code")
	switch {
	case status == http.StatusTooManyRequests || status >= http.StatusInternalServerError:
		return fmt.Errorf("%s: %w at %s: status %d", what, ErrUnreachable, a.base.Host, status)
	case reason == "GatedRepo":
		return fmt.Errorf("%s: %w: it is gated; accept its terms on the Hub, and give a token of that account (HF_TOKEN)", what, ErrRefused)
	case status == http.StatusUnauthorized && !a.hasToken:
		return fmt.Errorf("%s: %w: it does not exist, or it is private; check its name, or set HF_TOKEN", what, ErrRefused)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Errorf("%s: %w: the token is not accepted there; check HF_TOKEN and what it may read", what, ErrRefused)
	case reason == "RevisionNotFound":
		return fmt.Errorf("%s: %w: there is no such revision", what, ErrRefused)
	case status == http.StatusNotFound:
		return fmt.Errorf("%s: %w: it does not exist at %s; check its name", what, ErrRefused, a.base.Host)
	default:
		return fmt.Errorf("%s: %w: status %d", what, ErrRefused, status)
	}
}
