package chatapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tunebus/tunebus/pipeline/modelapi"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/settings"
)

const (
	// LookTime is how long a look at what a server is may take.
	LookTime = 10 * time.Second
	// maxShort bounds a response that is no answer, such as a list of models.
	maxShort = 4 << 20
	// minAnswer and tokenBytes bound an answer: a token has some bytes, and log
	// probabilities of it some more.
	minAnswer  = 1 << 20
	tokenBytes = 1 << 10
	maxAnswer  = 32 << 20
)

// Client makes single calls.
type Client struct {
	// Endpoint is the address of the API without a slash at its end, and Root that
	// without /v1.
	Endpoint, Root string
	// Name is the endpoint as it may be printed.
	Name string
	// Timeout is that of a call that answers.
	Timeout time.Duration

	http        *http.Client
	key         string
	credentials []string // the key, and the password of the endpoint
}

// NewClient returns a client of a server that makes so many calls at once.
func NewClient(address, key string, parallel int, timeout time.Duration) *Client {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if usual, ok := http.DefaultTransport.(*http.Transport); ok {
		transport = usual.Clone()
	}
	transport.MaxIdleConnsPerHost = parallel
	transport.MaxIdleConns = parallel
	transport.MaxResponseHeaderBytes = 64 << 10
	endpoint := strings.TrimRight(address, "/")
	c := &Client{
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key belongs to one origin
		},
		Endpoint: endpoint, Root: strings.TrimSuffix(endpoint, "/v1"), Name: settings.Redacted(endpoint), Timeout: timeout, key: key,
	}
	c.credentials = []string{key}
	if u, err := url.Parse(endpoint); err == nil {
		if password, ok := u.User.Password(); ok {
			c.credentials = append(c.credentials, password)
		}
		u.RawQuery, u.User = "", nil
		c.Name = u.String()
	}
	return c
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// HasKey reports whether calls have a key.
func (c *Client) HasKey() bool { return c.key != "" }

// call is one request.
type call struct {
	method, address string
	body            any // nil: none
	most            int64
	timeout         time.Duration
	withKey         bool
}

// Garbage is the error of a response with success that is not what was asked for.
type Garbage string

func (e Garbage) Error() string { return string(e) }

// Failed is the error of an answer that the server itself gives up, or of which it does
// not say that it is whole. It may answer if it is asked again.
type Failed string

func (e Failed) Error() string { return string(e) }

// Hide returns a text of the server without the key.
func (c *Client) Hide(text string) string { return redaction.HideSent(text, c.credentials...) }

// Secrets are the credentials of the client, and the values of the variables that hold
// secrets: what no answer may have.
func (c *Client) Secrets(environ []string) *redaction.Secrets {
	return redaction.New(slices.Concat(c.credentials, redaction.OfVariables(environ))...)
}

// do makes a call, and decodes the response into out; nil: whatever it says is right.
func (c *Client) do(ctx context.Context, r call, out any) error {
	var body io.Reader
	if r.body != nil {
		encoded, err := json.Marshal(r.body)
		if err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, r.address, body)
	if err != nil {
		return errors.New("the address cannot be used") // the error has the address in it
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.withKey && c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	res, err := modelapi.Check(r.most)(req, c.http.Do) //nolint:bodyclose // it is closed below
	if err != nil {
		return err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(content, out); err != nil {
		return Garbage(describeGarbage(content))
	}
	if r, ok := out.(*Reply); ok {
		r.mangled = !utf8.Valid(content) || hasHalfCharacter(content)
	}
	return nil
}

// describeGarbage says what a response is instead of the JSON of OpenAI's API.
func describeGarbage(content []byte) string {
	start := strings.ToLower(strings.TrimSpace(string(content[:min(len(content), 200)])))
	switch {
	case start == "":
		return "it answers with nothing"
	case strings.HasPrefix(start, "<"):
		return "it answers with a web page, and not with the JSON of OpenAI's API"
	case json.Valid(content):
		return "it answers with other JSON than that of OpenAI's API"
	}
	return "it answers with something else than JSON"
}

// Get reads what an address of the server says of itself.
func (c *Client) Get(ctx context.Context, address string, out any) error {
	return c.do(ctx, call{method: http.MethodGet, address: address, most: maxShort, timeout: LookTime, withKey: strings.HasPrefix(address, c.Endpoint)}, out)
}

// Order has the server do something, such as loading an adapter.
func (c *Client) Order(ctx context.Context, address string, body any, timeout time.Duration) error {
	return c.do(ctx, call{method: http.MethodPost, address: address, body: body, most: maxShort, timeout: timeout, withKey: true}, nil)
}

// Ask has a model answer.
func (c *Client) Ask(ctx context.Context, r Request) (Reply, error) {
	var out Reply
	err := c.do(ctx, call{
		method: http.MethodPost, address: c.Endpoint + "/chat/completions", body: r, timeout: c.Timeout, withKey: true,
		most: min(minAnswer+int64(r.tokens())*tokenBytes, maxAnswer),
	}, &out)
	if err != nil {
		return Reply{}, err
	}
	if e := modelapi.Within(out.Error, c.credentials...); e != nil {
		return Reply{}, e
	}
	if err := out.check(); err != nil {
		return Reply{}, err
	}
	out.Model = c.Hide(out.Model)
	reason := &out.Choices[0].FinishReason
	*reason = c.Hide(*reason)
	return out, out.whole()
}
