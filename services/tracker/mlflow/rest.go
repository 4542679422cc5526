package mlflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// rest is an MLflow server.
type rest struct {
	base *url.URL
	opt  Options
	http *http.Client
}

func newREST(u *url.URL, opt Options) (*rest, error) {
	switch {
	case u.Host == "":
		return nil, errors.New("open tracking address: no host")
	case u.User != nil:
		// An address travels in events and logs, so it holds no secret.
		return nil, fmt.Errorf("open tracking server %s: user or password in the address: set them as credentials instead", u.Host)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("open tracking server %s: query or fragment in the address", u.Host)
	}
	transport := opt.Transport
	if transport == nil {
		own := &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: opt.TLS.Clone(), ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 30 * time.Second,
		}
		// A server with several workers answers on a kept-alive connection only
		// after the delayed ACK, about 40 ms; a new connection costs under 2 ms.
		// With TLS the handshake costs more than it saves.
		own.DisableKeepAlives = u.Scheme == "http"
		transport = own
	}
	return &rest{
		base: u.JoinPath("/"),
		opt:  opt,
		http: &http.Client{
			Transport: transport,
			// A redirect turns a POST into a GET and may lead the credential to
			// another host: it is an error that says so.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// APIError is a refusal of the server.
type APIError struct {
	Host    string
	Call    string // such as "runs/create"
	Status  int    // HTTP status
	Code    string // MLflow's error code; empty where the answer was none of MLflow's
	Message string // MLflow's words, cut at 300 characters; may be empty
}

// Error names the host, never the address.
func (e *APIError) Error() string {
	text := fmt.Sprintf("%s at %s: HTTP status %d", e.Call, e.Host, e.Status)
	switch {
	case e.Status == http.StatusUnauthorized:
		return text + ": user, password or token missing or wrong"
	case e.Status >= 300 && e.Status < 400:
		return text + ": the server redirects: use the address that it leads to"
	case e.Code != "":
		return text + ": " + e.Code + ": " + e.Message
	default:
		return text
	}
}

// Is makes an unknown run ErrNoRun and an overloaded server ErrUnavailable.
func (e *APIError) Is(target error) bool {
	switch target {
	case ErrUnavailable:
		return e.retryable()
	case ErrNoRun:
		// What runs/create misses is the experiment.
		return e.Code == codeMissing && e.Call != "runs/create" &&
			(strings.HasPrefix(e.Call, "runs/") || e.Call == "artifacts/list")
	default:
		return false
	}
}

func (e *APIError) retryable() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// MLflow's error codes.
const (
	codeExists  = "RESOURCE_ALREADY_EXISTS"
	codeMissing = "RESOURCE_DOES_NOT_EXIST"
	codeInvalid = "INVALID_PARAMETER_VALUE"
)

func hasCode(err error, code string) bool {
	var api *APIError
	return errors.As(err, &api) && api.Code == code
}

// get and post call a method of the API as often as the options allow.
func (c *rest) get(ctx context.Context, call string, query url.Values, answer any) error {
	return c.retry(ctx, func() error { return c.api(ctx, http.MethodGet, call, query, nil, answer) })
}

func (c *rest) post(ctx context.Context, call string, body, answer any) error {
	return c.retry(ctx, func() error { return c.postOnce(ctx, call, body, answer) })
}

// postOnce is for what must not be repeated blindly.
func (c *rest) postOnce(ctx context.Context, call string, body, answer any) error {
	return c.api(ctx, http.MethodPost, call, nil, body, answer)
}

func (c *rest) api(ctx context.Context, method, call string, query url.Values, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode %s: %w", call, err)
		}
		content = bytes.NewReader(text)
	}
	u := c.base.JoinPath("api/2.0/mlflow", call)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return fmt.Errorf("%s at %s: invalid request", call, c.base.Host)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.do(req, call, answer)
}

// do sends one request and decodes its answer where one is wanted.
func (c *rest) do(req *http.Request, call string, answer any) (err error) {
	switch {
	case c.opt.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.opt.Token)
	case c.opt.Username != "" || c.opt.Password != "":
		req.SetBasicAuth(c.opt.Username, c.opt.Password)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(call, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode/100 != 2 {
		return c.refusal(call, resp)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return c.unreachable(call, err)
	}
	return nil
}

// unreachable keeps the cause and drops the address that net/http adds to it.
func (c *rest) unreachable(call string, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &transportError{text: fmt.Sprintf("%s at %s", call, c.base.Host), cause: err}
}

// transportError is a request without a whole answer: it may have been obeyed.
type transportError struct {
	text  string
	cause error
}

func (e *transportError) Error() string { return e.text + ": " + e.cause.Error() }
func (e *transportError) Unwrap() error { return e.cause }
func (e *transportError) Is(target error) bool {
	return target == ErrUnavailable
}

func (c *rest) refusal(call string, resp *http.Response) error {
	refused := &APIError{Host: c.base.Host, Call: call, Status: resp.StatusCode}
	var body struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	// What is not MLflow's JSON (a proxy's page, a stack trace) is not shown.
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&body) == nil {
		refused.Code, refused.Message = body.Code, cut(body.Message, 300)
	}
	if wait, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && refused.retryable() {
		return &retryAfterError{refused, min(time.Duration(max(wait, 0))*time.Second, maxRetryAfter)}
	}
	return refused
}

// retryAfterError is a refusal that says when to come again.
type retryAfterError struct {
	*APIError
	wait time.Duration
}

func (e *retryAfterError) Unwrap() error { return e.APIError }

const (
	maxBackoff    = 10 * time.Second
	maxRetryAfter = 30 * time.Second
)

// retry calls do until it succeeds, is refused for good, or the tries are used
// up. Some answers of 500 are permanent, so the tries are few.
func (c *rest) retry(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || ctx.Err() != nil || !errors.Is(err, ErrUnavailable) || try == c.opt.Tries {
			return err
		}
		if waitErr := c.wait(ctx, try, err); waitErr != nil {
			return errors.Join(waitErr, err)
		}
	}
}

// wait sleeps between the try and the next one: doubled each time, with jitter,
// or as long as the server asks for.
func (c *rest) wait(ctx context.Context, try int, cause error) error {
	d := min(c.opt.Backoff<<min(try-1, 16), maxBackoff)
	d = d/2 + rand.N(d/2+1)
	var asked *retryAfterError
	if errors.As(cause, &asked) {
		d = max(d, asked.wait)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
