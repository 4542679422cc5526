package modelserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/services/inference/modelserver/chatapi"
)

// The proof that an adapter is active compares so many tokens of so many prompts.
const (
	proofPrompts = 8
	proofTokens  = 16
	// proofTries is how many rows are tried for these prompts.
	proofTries = 64
	// noiseFactor is how much further from the base model the adapter has to be than the
	// base model from itself: some servers compute a prompt otherwise from call to call.
	noiseFactor = 4
)

// trace is what a model says to a prompt if it always takes the likeliest token.
type trace struct {
	text   string
	tokens []string
	probs  []float64 // logarithms, one for each token; nil: the server does not say them
}

// sample is a row with what the models say to it: the base model, the tuned one, and the base
// model once more.
type sample struct {
	row                row.Row
	base, tuned, again trace
}

// verdict is what the traces of two models show.
type verdict int

const (
	active    verdict = iota
	inactive          // every log probability is equal to the last digit
	notProved         // texts are equal, or the differences are those of the server itself
)

// prove compares the first answers of an adapter with those of its base model. vLLM and others
// leave an adapter alone whose modules have other names, without a word.
func (w *work) prove(ctx context.Context, a *adapter) error {
	base := pass{model: w.base.ID}
	tuned := pass{reload: a.load}
	tuned.model, tuned.adapter = a.request(w.base)
	samples, err := w.sample(ctx, base)
	if err == nil {
		samples, err = w.traces(ctx, tuned, samples, func(s *sample) *trace { return &s.tuned })
	}
	if err != nil {
		return err
	}
	v, why := compare(samples)
	if v == active {
		if samples, err = w.traces(ctx, base, samples, func(s *sample) *trace { return &s.again }); err != nil {
			return err
		}
		v, why = againstNoise(samples)
	}
	return w.conclude(v, why, len(samples), a)
}

// conclude says what was proved.
func (w *work) conclude(v verdict, why string, prompts int, a *adapter) error {
	const check = "check that the server's largest rank (--max-lora-rank of vLLM, 16 by default) is at least %d, and that its model has the modules that target_modules in " +
		"adapter_config.json names: a server leaves an adapter of other names alone without a word"
	switch v {
	case inactive:
		return engine.Permanent(codeNotActive, fmt.Errorf("the model server at %s answers %d prompts with the adapter %q as without it: every log probability is equal to the last digit; "+check,
			w.caller.client.Name, prompts, a.name, a.rank))
	case notProved:
		w.res.Statistics["adapter_proved_active"] = 0
		text := fmt.Sprintf("it is not proved that the adapter %q is active at the model server at %s: %s; "+check, a.name, w.caller.client.Name, why, a.rank)
		if w.job.Request.Specification.Inferencer.RequireActiveAdapter {
			return engine.Permanent(codeNotActive, fmt.Errorf("inferencer.require_active_adapter = true: %s", text))
		}
		w.res.Notes = append(w.res.Notes, text)
	default:
		w.res.Statistics["adapter_proved_active"] = 1
		engine.WriteLog(w.job, "info", fmt.Sprintf("the adapter %q is active: %s", a.name, why))
	}
	return nil
}

// sample asks the base model about the first rows that can be asked. Others, whose question or
// images are too large, prove nothing.
func (w *work) sample(ctx context.Context, base pass) (samples []sample, err error) {
	tried := 0
	for r, err := range w.questions.Data.Rows(ctx) {
		if err != nil {
			return nil, err
		}
		one, err := w.traces(ctx, base, []sample{{row: r}}, func(s *sample) *trace { return &s.base })
		if err != nil {
			return nil, err
		}
		samples = append(samples, one...)
		if tried++; len(samples) == proofPrompts || tried == proofTries {
			break
		}
	}
	return samples, nil
}

// traces asks a model for the first tokens of its answers to the rows of samples, one after the
// other, so that the server computes them alike. Rows that cannot be asked are left out.
func (w *work) traces(ctx context.Context, p pass, samples []sample, of func(*sample) *trace) (kept []sample, err error) {
	s, yes := w.job.Request.Specification.Inferencer, true
	s.Temperature, s.MaxNewTokens = 0, proofTokens
	for _, one := range samples {
		got, err := w.ask(ctx, p, s, one.row, 0, func(q *chatapi.Request) { q.Logprobs = &yes })
		w.job.Advance(1)
		if failed, ok := errors.AsType[rowError](err); ok {
			engine.WriteLog(w.job, "info", fmt.Sprintf("the proof that the adapter is active leaves a row out: %v", failed))
			continue
		}
		if err != nil {
			return nil, err
		}
		*of(&one) = traceOf(got)
		kept = append(kept, one)
	}
	return kept, nil
}

// traceOf reads the log probabilities of an answer.
func traceOf(r chatapi.Reply) trace {
	answer, reasoning := r.Text()
	t := trace{text: reasoning + answer}
	var chat struct {
		Content []struct {
			Token   string   `json:"token"`
			Logprob *float64 `json:"logprob"`
		} `json:"content"`
	}
	if json.Unmarshal(r.Choices[0].Logprobs, &chat) != nil {
		return t
	}
	for _, c := range chat.Content {
		if c.Logprob != nil {
			t.tokens, t.probs = append(t.tokens, c.Token), append(t.probs, *c.Logprob)
		}
	}
	return t
}

// compare says whether the traces of two models differ, and how that was seen.
func compare(samples []sample) (verdict, string) {
	if len(samples) == 0 {
		return notProved, fmt.Sprintf("none of the first %d rows could be asked both with it and without it", proofTries)
	}
	probs, equal, far := true, true, 0.0
	for _, s := range samples {
		probs = probs && len(s.base.probs) > 0 && len(s.tuned.probs) > 0
		equal = equal && s.base.text == s.tuned.text
		far = max(far, distance(s.base, s.tuned))
	}
	switch {
	case probs && far == 0:
		return inactive, ""
	case probs:
		return active, ""
	case equal:
		return notProved, fmt.Sprintf("the server says no log probabilities, and its first %d tokens to %d prompts are those of the base model", proofTokens, len(samples))
	}
	return active, ""
}

// againstNoise compares the distance of two models with that of the base model from
// itself.
func againstNoise(samples []sample) (verdict, string) {
	if len(samples) == 0 {
		return notProved, "the server did not answer the same rows again"
	}
	probs, same, far, noise := true, true, 0.0, 0.0
	for _, s := range samples {
		probs = probs && len(s.base.probs) > 0 && len(s.tuned.probs) > 0 && len(s.again.probs) > 0
		same = same && s.base.text == s.again.text
		far, noise = max(far, distance(s.base, s.tuned)), max(noise, distance(s.base, s.again))
	}
	switch {
	case !probs && !same:
		return notProved, "the server says no log probabilities, and the base model itself answers otherwise from call to call"
	case !probs:
		return active, "its answers are others than those of the base model"
	case noise > 0 && far <= noiseFactor*noise:
		return notProved, fmt.Sprintf("its log probabilities differ from those of the base model by %.2g, and those of the base model from call to call by %.2g", far, noise)
	}
	return active, fmt.Sprintf("its log probabilities differ from those of the base model by up to %.2g", far)
}

// distance is the largest difference of log probabilities while the tokens are the
// same. Where they part, it is infinite.
func distance(a, b trace) float64 {
	if len(a.probs) != len(b.probs) {
		return math.Inf(1)
	}
	far := 0.0
	for i := range a.probs {
		far = max(far, math.Abs(a.probs[i]-b.probs[i]))
		if a.tokens[i] != b.tokens[i] {
			return math.Inf(1)
		}
	}
	return far
}
