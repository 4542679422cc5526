package hubapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tunebus/tunebus/pipeline/idletimeout"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// maxRetryAfter limits the delay that a server can ask for.
const maxRetryAfter = time.Minute

// maxAnswer limits what is decoded of an answer.
const maxAnswer = 64 << 20

// Request is a request to the Hub.
type Request struct {
	// Repository is the repository that the request is about, for errors.
	Repository Repository
	// What names the subject in errors.
	What string
	// Method is that of HTTP. Default GET.
	Method  string
	Address string
	// Header has further headers.
	Header map[string]string
	// Body opens the content, once for each try. Default: none.
	Body func(ctx context.Context) (io.ReadCloser, error)
	// Size is the length of the content; negative where it is not known.
	Size int64
	// Plain sends no token.
	Plain bool
}

// Get sends a request for something to read. The caller closes the body.
func (c *Client) Get(ctx context.Context, r Repository, what, address string) (*http.Response, error) {
	return c.Do(ctx, Request{Repository: r, What: what, Address: address})
}

// Do repeats a request until the response has a status of 2xx or the error is
// permanent. The caller closes the body.
func (c *Client) Do(ctx context.Context, r Request) (*http.Response, error) {
	for try := 1; ; try++ {
		response, retryAfter, err := c.doOnce(ctx, r)
		err = c.Answers.HideIn(err)
		if err == nil {
			return response, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", r.What, context.Cause(ctx))
		}
		if !errors.Is(err, ErrUnreachable) || try >= c.tries {
			return nil, err
		}
		delay := c.backoff << min(try-1, 6)
		delay = max(delay+time.Duration(rand.Int64N(int64(delay)/2+1)), retryAfter)
		c.log.Warn("request to the Hub failed; retrying", "what", r.What, "try", try+1, "in", delay, "error", err)
		if err := pause(ctx, "the Hub at "+c.base.Host+" to answer again", r.What, delay); err != nil {
			return nil, err
		}
	}
}

// pause waits before the next try, and announces that to the job of the context.
func pause(ctx context.Context, waitsFor, what string, delay time.Duration) error {
	defer progress.Wait(ctx, waitsFor, delay+time.Minute).End()
	select {
	case <-time.After(delay):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
}

// client is the one that sends a request.
func (r Request) client(c *Client) *http.Client {
	switch {
	case r.Plain:
		return c.plain
	case r.Method == "" || r.Method == http.MethodGet:
		return c.reading
	default:
		return c.writing
	}
}

// doOnce sends one request. retryAfter is the delay that the server asks for.
func (c *Client) doOnce(ctx context.Context, r Request) (_ *http.Response, retryAfter time.Duration, err error) {
	defer progress.Doing(ctx, "asking the Hub at "+c.base.Host+" for "+r.What)()
	ctx, limit := idletimeout.New(ctx, c.idle)
	request, content, err := c.request(ctx, r)
	if err != nil {
		limit.Stop()
		return nil, 0, err
	}
	response, err := r.client(c).Do(request) // the transport limits the wait for the header
	if err != nil {
		limit.Stop()
		if urlErr, ok := errors.AsType[*url.Error](err); ok {
			err = urlErr.Err // without the address: a CDN's has a signature
		}
		if own := content.failure(); own != nil { // what is sent cannot be read here
			return nil, 0, fmt.Errorf("%s: %w", r.What, own)
		}
		return nil, 0, fmt.Errorf("%s: %w at %s: %w", r.What, ErrUnreachable, c.base.Host, err)
	}
	response.Body = limit.Reader(response.Body)
	if response.StatusCode/100 == 2 {
		return response, 0, nil
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10)) // so that the connection can be reused
	_ = response.Body.Close()
	return nil, parseRetryAfter(response), c.statusError(r, response, text)
}

// request makes the request of HTTP. The content is nil if there is none.
func (c *Client) request(ctx context.Context, r Request) (*http.Request, *content, error) {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	var sent *content
	var body io.Reader
	if r.Body != nil {
		opened, err := r.Body(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", r.What, err)
		}
		sent = newContent(ctx, opened, c.idle)
		body = sent
	}
	request, err := http.NewRequestWithContext(ctx, method, r.Address, body)
	if err != nil {
		err = errors.Join(fmt.Errorf("%s: not an address", r.What), sent.Close())
		return nil, nil, err
	}
	if sent != nil {
		request.ContentLength = max(r.Size, -1)
		if r.Size == 0 {
			request.Body = http.NoBody
			err = sent.Close()
		}
		request = request.WithContext(sent.ctx)
	}
	request.Header.Set("User-Agent", "tunebus")
	for name, value := range r.Header {
		request.Header.Set(name, value)
	}
	return request, sent, err
}

func parseRetryAfter(response *http.Response) time.Duration {
	text := response.Header.Get("Retry-After")
	if at, err := http.ParseTime(text); err == nil {
		return min(max(time.Until(at), 0), maxRetryAfter)
	}
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
}
