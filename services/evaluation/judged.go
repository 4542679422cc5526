package evaluation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/evaluation/judge"
	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// Judge says who judges where a specification asks for judged metrics, and
// with which key. The zero value judges nothing.
type Judge struct {
	// BaseURL is an OpenAI-compatible server, its path included, such as
	// https://api.openai.com/v1.
	BaseURL string
	// Allowed are further origins that a specification may name.
	Allowed []string
	// Key is the key for an address, or empty. It is asked for addresses
	// whose origin is allowed, and for no other.
	Key func(address string) string
	// Parallel is how many calls are made at the same time. Default 4.
	Parallel int
}

// needsKey is the one server that is known to answer nobody without a key.
const needsKey = "https://api.openai.com"

// judging is the judged part of an evaluation.
type judging struct {
	client *judge.Client
	suite  *judge.Suite
	width  int
	before judge.Usage // of the attempts before
}

// open makes the judged metrics among those that the specification names,
// with a note for each reason why there are none. It returns nil if nothing
// is to be judged here.
func (j Judge) open(e events.Evaluator) (*judging, []string) {
	var names []string
	for _, name := range e.Metrics {
		if slices.Contains(judge.Names(), name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	address, err := j.address(e.JudgeBaseURL)
	var out *judging
	if err == nil {
		out, err = j.start(e, address, names)
	}
	var notes []string
	if err != nil {
		for _, name := range names {
			notes = append(notes, fmt.Sprintf("metric %s has no score: %v", name, err))
		}
	}
	return out, notes
}

// Lacks says which of the metrics that a specification names would have no
// score here, and why.
func (j Judge) Lacks(e events.Evaluator) []string {
	_, notes := j.open(e)
	return notes
}

// address is the judge's, if the settings allow it.
func (j Judge) address(asked string) (string, error) {
	if j.BaseURL == "" {
		return "", errors.New("it needs a judge, and this service has none")
	}
	if asked == "" {
		return j.BaseURL, nil
	}
	origin, err := settings.Origin(asked)
	if err != nil {
		return "", fmt.Errorf("evaluator.judge_base_url: %w", err)
	}
	for _, allowed := range append([]string{j.BaseURL}, j.Allowed...) {
		if o, err := settings.Origin(allowed); err == nil && o == origin {
			return asked, nil
		}
	}
	return "", fmt.Errorf("evaluator.judge_base_url: %s is not among the origins that this service's settings allow (services.evaluation.judge_allowed)", origin)
}

func (j Judge) start(e events.Evaluator, address string, names []string) (*judging, error) {
	key := ""
	if j.Key != nil {
		key = j.Key(address)
	}
	if origin, err := settings.Origin(address); err == nil && origin == needsKey && key == "" {
		return nil, fmt.Errorf("the judge %s needs a key; set OPENAI_API_KEY where this service runs, or name another judge", origin)
	}
	client, err := judge.NewClient(judge.Config{
		BaseURL: address, APIKey: key, LLM: e.LLM, Embedding: e.Embedding, Parallel: j.Parallel,
		HTTP: &http.Client{CheckRedirect: sameOrigin},
	})
	if err != nil {
		return nil, err
	}
	out := &judging{client: client, width: max(j.Parallel, 1)}
	var metrics []judge.Metric
	for _, name := range names {
		m, err := judge.New(name, client, judge.Options{})
		if err != nil {
			return nil, err
		}
		metrics = append(metrics, m)
	}
	out.suite = judge.NewSuite(metrics...)
	return out, nil
}

// sameOrigin follows redirects within the origin that the key belongs to.
func sameOrigin(req *http.Request, via []*http.Request) error {
	const most = 10
	from, err := settings.Origin(via[0].URL.String())
	to, err2 := settings.Origin(req.URL.String())
	if err != nil || err2 != nil || from != to || len(via) >= most {
		return http.ErrUseLastResponse
	}
	return nil
}

// verdict is what the judges say about one answer.
type verdict struct {
	Samples []metric.Sample     `json:"samples"`
	Reasons map[string][]string `json:"reasons,omitempty"`
	// whole is false where a metric has no score for the answer.
	whole bool
}

// judge scores one answer. Without a judge there is nothing to say.
func (j *judging) judge(ctx context.Context, p prediction.Prediction) (verdict, error) {
	if j == nil {
		return verdict{}, nil
	}
	outcomes, err := j.suite.Score(ctx, row(p))
	if err != nil {
		return verdict{}, err
	}
	v := verdict{Samples: judge.Samples(outcomes), Reasons: map[string][]string{}, whole: true}
	for _, o := range outcomes {
		v.whole = v.whole && o.Err == nil
		if said := slices.Concat(o.Reasons, o.Notes); len(said) > 0 {
			v.Reasons[o.Metric] = said
		}
	}
	return v, nil
}

// rows is how many rows are judged at the same time.
func (j *judging) rows() int {
	if j == nil {
		return 1
	}
	return j.width
}

// used is what the judging took, that of the attempts before among it.
func (j *judging) used() judge.Usage {
	u := j.client.Usage()
	u.Calls += j.before.Calls
	u.InputTokens += j.before.InputTokens
	u.OutputTokens += j.before.OutputTokens
	return u
}

// finish adds what the judging took, in tokens and US dollars, to the
// statistics, and says which rows have no score.
func (j *judging) finish(e events.Evaluator, statistics map[string]float64) (in, out int64, notes []string) {
	if j == nil {
		return 0, 0, nil
	}
	used := j.used()
	statistics["judge_calls"] = float64(used.Calls)
	statistics["judge_cost_usd"] = used.Cost(e.CostPerMillionInputTokens, e.CostPerMillionOutputTokens)
	return used.InputTokens, used.OutputTokens, j.suite.Notes()
}
