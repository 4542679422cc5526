package judge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// Config is the server and the models of a judge. The models have to be named;
// the other fields have defaults.
type Config struct {
	BaseURL   string       // default "https://api.openai.com/v1"
	APIKey    string       // "" for a server without keys; the environment is not read
	HTTP      *http.Client // default http.DefaultClient
	LLM       string       // the model that judges
	Embedding string       // the model that embeds

	Parallel   int           // calls at the same time; default 4
	MaxRetries int           // of a rate limit, a server's error, a lost connection; default 5
	MaxDelay   time.Duration // between these, and the most that a server may ask for; default 1 minute
	Timeout    time.Duration // of one try; default 2 minutes
	MaxTokens  int64         // of one answer; default 2048
}

// ErrUnavailable means that the judge does not answer: it cannot be reached, it
// broke the connection, or its rate limit outlasted the retries.
var ErrUnavailable = errors.New("the judge is unavailable")

// ErrRefused means that the judge refuses this configuration: the key is wrong,
// or the model or the address does not exist.
var ErrRefused = errors.New("the judge refuses")

// Client calls a judge. It is safe for concurrent use.
type Client struct {
	chat       openai.ChatCompletionService
	embeddings openai.EmbeddingService
	cfg        Config
	host       string // for messages: a URL may hold a secret
	slots      chan struct{}

	calls, input, output atomic.Int64
}

// NewClient returns a client. It makes no request yet.
func NewClient(cfg Config) (*Client, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = "https://api.openai.com/v1"
	}
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("address of the judge: want http://host or https://host, with its path, such as /v1")
	}
	cfg.Parallel = orDefault(cfg.Parallel, 4)
	cfg.MaxRetries = orDefault(cfg.MaxRetries, 5)
	cfg.MaxDelay = orDefault(cfg.MaxDelay, time.Minute)
	cfg.Timeout = orDefault(cfg.Timeout, 2*time.Minute)
	cfg.MaxTokens = orDefault(cfg.MaxTokens, 2048)
	opts := []option.RequestOption{
		option.WithBaseURL(cfg.BaseURL),
		option.WithMaxRetries(cfg.MaxRetries),
		option.WithMaxRetryDelay(cfg.MaxDelay),
		option.WithRequestTimeout(cfg.Timeout),
	}
	if cfg.APIKey != "" {
		opts = append(opts, option.WithAPIKey(cfg.APIKey))
	}
	if cfg.HTTP != nil {
		opts = append(opts, option.WithHTTPClient(cfg.HTTP))
	}
	c := &Client{cfg: cfg, host: u.Host, slots: make(chan struct{}, cfg.Parallel)}
	opts = append(opts, option.WithMiddleware(c.announcePauses))
	// Not openai.NewClient: it would send the key of the environment to any
	// server that the address names.
	c.chat = openai.NewChatCompletionService(opts...)
	c.embeddings = openai.NewEmbeddingService(opts...)
	return c, nil
}

func orDefault[T int | int64 | time.Duration](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}

// Usage is the number of calls and the tokens that they consumed.
type Usage struct {
	Calls        int64 `json:"calls"`
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
}

// Cost is the price of the tokens. Prices are per million tokens.
func (u Usage) Cost(inputPrice, outputPrice float64) float64 {
	return (float64(u.InputTokens)*inputPrice + float64(u.OutputTokens)*outputPrice) / 1e6
}

// Usage is that of all calls so far. The server counts the tokens.
func (c *Client) Usage() Usage {
	return Usage{Calls: c.calls.Load(), InputTokens: c.input.Load(), OutputTokens: c.output.Load()}
}

// acquire waits for a slot. The slots bound the concurrent calls, whatever the
// number of metrics and rows.
func (c *Client) acquire(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// completion is one of the judge's answers.
type completion struct {
	text      string
	truncated bool // at the limit of tokens
}

// complete asks for n answers. A server may return fewer.
func (c *Client) complete(
	ctx context.Context, messages []openai.ChatCompletionMessageParamUnion, temperature float64, n int64,
) ([]completion, error) {
	if err := c.acquire(ctx); err != nil {
		return nil, err
	}
	defer func() { <-c.slots }()
	params := openai.ChatCompletionNewParams{
		Model:       c.cfg.LLM,
		Messages:    messages,
		Temperature: openai.Float(temperature),
		MaxTokens:   openai.Int(c.cfg.MaxTokens),
	}
	if n > 1 {
		params.N = openai.Int(n)
	}
	c.calls.Add(1)
	call, done := c.announce(ctx)
	answer, err := c.chat.New(call, params)
	done(err)
	if err != nil {
		return nil, c.explain(ctx, c.cfg.LLM, err)
	}
	c.input.Add(answer.Usage.PromptTokens)
	c.output.Add(answer.Usage.CompletionTokens)
	completions := make([]completion, 0, len(answer.Choices))
	for _, choice := range answer.Choices {
		completions = append(completions, completion{choice.Message.Content, choice.FinishReason == "length"})
	}
	if len(completions) == 0 {
		return nil, fmt.Errorf("%s at %s: no answer in the response", c.cfg.LLM, c.host)
	}
	return completions, nil
}

// embed returns one vector for each text. An empty text is embedded as a blank,
// because servers refuse empty texts.
func (c *Client) embed(ctx context.Context, texts ...string) ([][]float64, error) {
	if err := c.acquire(ctx); err != nil {
		return nil, err
	}
	defer func() { <-c.slots }()
	input := make([]string, len(texts))
	for i, text := range texts {
		input[i] = text
		if text == "" {
			input[i] = " "
		}
	}
	c.calls.Add(1)
	call, done := c.announce(ctx)
	answer, err := c.embeddings.New(call, openai.EmbeddingNewParams{
		Model:          c.cfg.Embedding,
		Input:          openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: input},
		EncodingFormat: openai.EmbeddingNewParamsEncodingFormatFloat,
	})
	done(err)
	if err != nil {
		return nil, c.explain(ctx, c.cfg.Embedding, err)
	}
	c.input.Add(answer.Usage.PromptTokens)
	vectors := make([][]float64, len(texts))
	for _, e := range answer.Data {
		if e.Index >= 0 && e.Index < int64(len(vectors)) {
			vectors[e.Index] = e.Embedding
		}
	}
	for i, v := range vectors {
		if len(v) == 0 || len(v) != len(vectors[0]) {
			return nil, fmt.Errorf("%s at %s: embedding %d of %d is missing or of another length", c.cfg.Embedding, c.host, i+1, len(vectors))
		}
	}
	return vectors, nil
}

// explain classifies errors. It removes parts that may be secret: the address,
// and the server's message about a key.
func (c *Client) explain(ctx context.Context, model string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	status, ok := errors.AsType[*openai.Error](err)
	if !ok {
		if address, ok := errors.AsType[*url.Error](err); ok {
			err = address.Err
		}
		return fmt.Errorf("%w: %s at %s: %w", ErrUnavailable, model, c.host, err)
	}
	code := fmt.Sprintf("%d %s", status.StatusCode, http.StatusText(status.StatusCode))
	switch s := status.StatusCode; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return fmt.Errorf("%w: %s at %s: %s: the key is not accepted", ErrRefused, model, c.host, code)
	case s == http.StatusNotFound:
		return fmt.Errorf("%w: %s at %s: %s: the model or the path of the address does not exist", ErrRefused, model, c.host, code)
	case s == http.StatusTooManyRequests || s >= http.StatusInternalServerError:
		return fmt.Errorf("%w: %s at %s: %s, after %d retries", ErrUnavailable, model, c.host, code, c.cfg.MaxRetries)
	}
	const maxRunes = 300
	message := []rune(strings.TrimSpace(status.Message))
	return fmt.Errorf("%s at %s: %s: %s", model, c.host, code, string(message[:min(len(message), maxRunes)]))
}
