package judge

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/tunebus/tunebus/pipeline/modelapi"
	"github.com/tunebus/tunebus/pipeline/redaction"
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
	MaxRetries int           // of one call, see [ErrUnavailable]; default 10
	MaxDelay   time.Duration // the longest pause before a retry, unless the server asks for more; default 1 minute
	Timeout    time.Duration // of one try; default 2 minutes
	MaxTokens  int64         // of one answer; default 2048, and up to four times as many after one that was cut
}

// ErrUnavailable means that the judge did not answer, although it was asked again
// [Config.MaxRetries] times: it could not be reached, was too slow, broke the
// connection, limited the rate, or failed.
var ErrUnavailable = errors.New("the judge is unavailable")

// ErrRefused means that the judge refuses this configuration, so that to ask again
// is useless: the key is wrong, the model or the address does not exist, or the
// server does not know a parameter.
var ErrRefused = errors.New("the judge refuses")

// Client calls a judge. It is safe for concurrent use.
type Client struct {
	chat       openai.ChatCompletionService
	embeddings openai.EmbeddingService
	cfg        Config
	secrets    *redaction.Secrets
	host       string // for messages: a URL may hold a secret
	slots      chan struct{}
	llm        model
	embedder   model
	network    modelapi.Budget // of the calls that got no response

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
	cfg.MaxRetries = orDefault(cfg.MaxRetries, 10)
	cfg.MaxDelay = orDefault(cfg.MaxDelay, time.Minute)
	cfg.Timeout = orDefault(cfg.Timeout, 2*time.Minute)
	cfg.MaxTokens = orDefault(cfg.MaxTokens, 2048)
	opts := []option.RequestOption{
		option.WithBaseURL(cfg.BaseURL),
		option.WithMaxRetries(0), // the library does not retry what is no valid answer
		option.WithRequestTimeout(cfg.Timeout),
		option.WithMiddleware(modelapi.Check(maxBody)), //nolint:bodyclose // it hands the answer on
	}
	if cfg.APIKey != "" {
		opts = append(opts, option.WithAPIKey(cfg.APIKey))
	}
	if cfg.HTTP != nil {
		opts = append(opts, option.WithHTTPClient(cfg.HTTP))
	}
	password, _ := u.User.Password()
	// Not openai.NewClient: it would send the key of the environment to any
	// server that the address names.
	return &Client{
		chat:       openai.NewChatCompletionService(opts...),
		embeddings: openai.NewEmbeddingService(opts...),
		cfg:        cfg,
		secrets:    redaction.New(cfg.APIKey, password),
		host:       u.Host,
		slots:      make(chan struct{}, cfg.Parallel),
		llm:        model{name: cfg.LLM},
		embedder:   model{name: cfg.Embedding},
	}, nil
}

// maxBody bounds what is read of a response, because the judge may be any server.
const maxBody = 32 << 20

// model is a model of the server, with the time that its calls may fail.
type model struct {
	name   string
	budget modelapi.Budget
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

// Usage is that of all calls so far, retries included. The server counts the
// tokens.
func (c *Client) Usage() Usage {
	return Usage{Calls: c.calls.Load(), InputTokens: c.input.Load(), OutputTokens: c.output.Load()}
}

// completion is one of the judge's answers.
type completion struct {
	text      string
	truncated bool // at the limit of tokens
}

// chatRequest is what the judge is asked.
type chatRequest struct {
	messages    []openai.ChatCompletionMessageParamUnion
	temperature float64
	answers     int64 // how many; a server may give fewer
	maxTokens   int64
}

// complete asks once.
func (c *Client) complete(ctx context.Context, r chatRequest) ([]completion, error) {
	params := openai.ChatCompletionNewParams{
		Model:       c.llm.name,
		Messages:    r.messages,
		Temperature: openai.Float(r.temperature),
		MaxTokens:   openai.Int(r.maxTokens),
	}
	if r.answers > 1 {
		params.N = openai.Int(r.answers)
	}
	c.calls.Add(1)
	answer, err := c.chat.New(ctx, params)
	if err != nil {
		return nil, err
	}
	c.input.Add(tokens(answer.Usage.PromptTokens))
	c.output.Add(tokens(answer.Usage.CompletionTokens))
	if err := c.whole(answer); err != nil {
		return nil, err
	}
	completions := make([]completion, 0, len(answer.Choices))
	for _, choice := range answer.Choices {
		completions = append(completions, completion{c.hide(choice.Message.Content), choice.FinishReason == "length"})
	}
	return completions, nil
}

// embed returns one vector for each text. An empty text is embedded as a blank,
// because servers refuse empty texts.
func (c *Client) embed(ctx context.Context, texts ...string) ([][]float64, error) {
	input := make([]string, len(texts))
	for i, text := range texts {
		input[i] = text
		if text == "" {
			input[i] = " "
		}
	}
	return retry(ctx, c, &c.embedder, func(ctx context.Context) ([][]float64, error) {
		c.calls.Add(1)
		answer, err := c.embeddings.New(ctx, openai.EmbeddingNewParams{
			Model:          c.embedder.name,
			Input:          openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: input},
			EncodingFormat: openai.EmbeddingNewParamsEncodingFormatFloat,
		})
		if err != nil {
			return nil, err
		}
		c.input.Add(tokens(answer.Usage.PromptTokens))
		if err := c.checkModel("evaluator.embedding", &c.embedder, answer.Model); err != nil {
			return nil, err
		}
		vectors := make([][]float64, len(texts))
		for _, e := range answer.Data {
			// The client reads a null as 0.
			if e.Index >= 0 && e.Index < int64(len(vectors)) && !strings.Contains(e.JSON.Embedding.Raw(), "null") {
				vectors[e.Index] = e.Embedding
			}
		}
		for _, v := range vectors {
			if len(v) == 0 || len(v) != len(vectors[0]) {
				return nil, badAnswer("an embedding is missing, has a null, or is of another length")
			}
			if !hasDirection(v) {
				return nil, errNoDirection
			}
		}
		return vectors, nil
	})
}
