package evaluation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/evaluation/judge"
	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// Judge is the server that computes judged metrics, with its key. The zero
// value judges nothing.
type Judge struct {
	// BaseURL is an OpenAI-compatible server, its path included, such as
	// https://api.openai.com/v1.
	BaseURL string
	// Allowed are further origins that a specification may name.
	Allowed []string
	// Key returns the key for an address, or an empty text. It is called only
	// for addresses whose origin is allowed.
	Key func(address string) string
	// Parallel is how many calls are made at the same time. Default 4.
	Parallel int
}

// needsKey is a server that is known to refuse requests without a key.
const needsKey = "https://api.openai.com"

// judging is the judged part of an evaluation. The methods of a nil judging do
// nothing.
type judging struct {
	names        []string
	client       *judge.Client
	suite        *judge.Suite
	parallel     int
	earlierUsage judge.Usage // of the earlier attempts
	// lacks is the reason why no row can be judged; client and suite are nil then.
	lacks error
}

// open returns the judged metrics that the specification names; nil if it names
// none.
func (j Judge) open(s events.Evaluator) *judging {
	var names []string
	for _, name := range s.Metrics {
		if slices.Contains(judge.Names(), name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	out := &judging{names: names, parallel: cmp.Or(max(j.Parallel, 0), defaultParallel)}
	address, err := j.address(s.JudgeBaseURL)
	if err == nil {
		err = j.start(out, s, address)
	}
	out.lacks = err
	return out
}

// Lacks returns a note for each metric of a specification that would have no
// score here.
func (j Judge) Lacks(s events.Evaluator) []string {
	opened := j.open(s)
	if opened == nil || opened.lacks == nil {
		return nil
	}
	var notes []string
	for _, name := range opened.names {
		notes = append(notes, fmt.Sprintf("metric %s has no score: %v", name, opened.lacks))
	}
	return notes
}

// address returns the address of the judge: the one that the specification asks
// for, if the settings allow its origin, or the one of the settings.
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
		if settings.SameOrigin(allowed, asked) {
			return asked, nil
		}
	}
	return "", fmt.Errorf("evaluator.judge_base_url: %s is not among the origins that this service's settings allow "+
		"(services.evaluation.judge_allowed)", origin)
}

// start connects the judged metrics to the server at an address.
func (j Judge) start(out *judging, s events.Evaluator, address string) error {
	key := ""
	if j.Key != nil {
		key = j.Key(address)
	}
	if origin, err := settings.Origin(address); err == nil && origin == needsKey && key == "" {
		return fmt.Errorf("the judge %s needs a key; set OPENAI_API_KEY where this service runs, or name another judge", origin)
	}
	client, err := judge.NewClient(judge.Config{
		BaseURL:   address,
		APIKey:    key,
		LLM:       s.LLM,
		Embedding: s.Embedding,
		Parallel:  out.parallel,
		HTTP:      &http.Client{CheckRedirect: refuseOtherOrigins},
	})
	if err != nil {
		return err
	}
	var metrics []judge.Metric
	for _, name := range out.names {
		m, err := judge.New(name, client, judge.Options{})
		if err != nil {
			return err
		}
		metrics = append(metrics, m)
	}
	out.client, out.suite = client, judge.NewSuite(metrics...)
	return nil
}

// refuseOtherOrigins follows redirects only within the origin that the key
// belongs to.
func refuseOtherOrigins(req *http.Request, via []*http.Request) error {
	const maxRedirects = 10
	if len(via) >= maxRedirects || !settings.SameOrigin(via[0].URL.String(), req.URL.String()) {
		return http.ErrUseLastResponse
	}
	return nil
}

// judgedScores are the judge's scores for one answer.
type judgedScores struct {
	Samples []metric.Sample     `json:"samples"`
	Reasons map[string][]string `json:"reasons,omitempty"`
	// complete is false where a metric has no score for the answer.
	complete bool
}

// judge scores one answer.
func (j *judging) judge(ctx context.Context, p prediction.Prediction) (judgedScores, error) {
	if j == nil {
		return judgedScores{}, nil
	}
	if j.lacks != nil {
		s := judgedScores{Samples: make([]metric.Sample, len(j.names))}
		for i := range s.Samples {
			s.Samples[i].Missing = j.lacks.Error()
		}
		return s, nil
	}
	outcomes, err := j.suite.Score(ctx, metricRow(p))
	if err != nil {
		return judgedScores{}, err
	}
	s := judgedScores{Samples: judge.Samples(outcomes), Reasons: map[string][]string{}, complete: true}
	for _, o := range outcomes {
		s.complete = s.complete && o.Err == nil
		if reasons := slices.Concat(o.Reasons, o.Notes); len(reasons) > 0 {
			s.Reasons[o.Metric] = reasons
		}
	}
	return s, nil
}

// defaultParallel is how many calls are made at the same time where nobody says it.
const defaultParallel = 4

// rows is how many rows are worked on at the same time.
func (j *judging) rows() int {
	if j == nil || j.lacks != nil {
		return runtime.GOMAXPROCS(0)
	}
	return j.parallel
}

// mains are the keys of the main scores.
func (j *judging) mains() []string {
	if j == nil {
		return nil
	}
	return j.names
}

// usage is what the judging has consumed, in all attempts.
func (j *judging) usage() judge.Usage {
	u := j.client.Usage()
	u.Calls += j.earlierUsage.Calls
	u.InputTokens += j.earlierUsage.InputTokens
	u.OutputTokens += j.earlierUsage.OutputTokens
	return u
}

// finish adds the calls and the cost of the judging, in US dollars, to the
// statistics. It returns the tokens.
func (j *judging) finish(s events.Evaluator, statistics map[string]float64) (in, out int64) {
	if j == nil || j.lacks != nil {
		return 0, 0
	}
	usage := j.usage()
	statistics["judge_calls"] = float64(usage.Calls)
	statistics["judge_cost_usd"] = usage.Cost(s.CostPerMillionInputTokens, s.CostPerMillionOutputTokens)
	return usage.InputTokens, usage.OutputTokens
}
