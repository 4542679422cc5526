package modelserver

import (
	"context"
	"encoding/json"
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
	var rows []row.Row
	for r, err := range w.questions.Data.Rows(ctx) {
		if err != nil {
			return err
		}
		if rows = append(rows, r); len(rows) == proofPrompts {
			break
		}
	}
	base := pass{model: w.base.ID}
	tuned := pass{reload: a.load}
	tuned.model, tuned.adapter = a.request(w.base)
	first, err := w.traces(ctx, base, rows)
	if err != nil {
		return err
	}
	second, err := w.traces(ctx, tuned, rows)
	if err != nil {
		return err
	}
	v, why := compare(first, second)
	if v == active {
		again, err := w.traces(ctx, base, rows)
		if err != nil {
			return err
		}
		v, why = againstNoise(first, second, again)
	}
	return w.conclude(v, why, a)
}

// conclude says what was proved.
func (w *work) conclude(v verdict, why string, a *adapter) error {
	const check = "check that the server's largest rank (--max-lora-rank of vLLM, 16 by default) is at least %d, and that its model has the modules that target_modules in " +
		"adapter_config.json names: a server leaves an adapter of other names alone without a word"
	switch v {
	case inactive:
		return engine.Permanent(codeNotActive, fmt.Errorf("the model server at %s answers %d prompts with the adapter %q as without it: every log probability is equal to the last digit; "+check,
			w.caller.client.Name, proofPrompts, a.name, a.rank))
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

// traces asks a model for the first tokens of its answers to some rows, one after the
// other, so that the server computes them alike.
func (w *work) traces(ctx context.Context, p pass, rows []row.Row) ([]trace, error) {
	s := w.job.Request.Specification.Inferencer
	s.Temperature, s.MaxNewTokens = 0, proofTokens
	out, yes := make([]trace, 0, len(rows)), true
	for _, r := range rows {
		got, err := w.ask(ctx, p, s, r, 0, func(q *chatapi.Request) { q.Logprobs = &yes })
		if err != nil {
			return nil, err
		}
		out = append(out, traceOf(got))
		w.job.Advance(1)
	}
	return out, nil
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
func compare(base, tuned []trace) (verdict, string) {
	probs, equal := true, true
	for i := range base {
		probs = probs && len(base[i].probs) > 0 && len(tuned[i].probs) > 0
		equal = equal && base[i].text == tuned[i].text
	}
	switch {
	case probs && distance(base, tuned) == 0:
		return inactive, ""
	case probs:
		return active, ""
	case equal:
		return notProved, fmt.Sprintf("the server says no log probabilities, and its first %d tokens to %d prompts are those of the base model", proofTokens, len(base))
	}
	return active, ""
}

// againstNoise compares the distance of two models with that of the base model from
// itself.
func againstNoise(base, tuned, again []trace) (verdict, string) {
	for _, set := range [][]trace{base, tuned, again} {
		for _, t := range set {
			if len(t.probs) > 0 {
				continue
			}
			for i := range base {
				if base[i].text != again[i].text {
					return notProved, "the server says no log probabilities, and the base model itself answers otherwise from call to call"
				}
			}
			return active, "its answers are others than those of the base model"
		}
	}
	far, noise := distance(base, tuned), distance(base, again)
	if noise > 0 && far <= noiseFactor*noise {
		return notProved, fmt.Sprintf("its log probabilities differ from those of the base model by %.2g, and those of the base model from call to call by %.2g", far, noise)
	}
	return active, fmt.Sprintf("its log probabilities differ from those of the base model by up to %.2g", far)
}

// distance is the largest difference of log probabilities while the tokens are the
// same. Where they part, it is infinite.
func distance(a, b []trace) float64 {
	far := 0.0
	for i := range a {
		if len(a[i].probs) != len(b[i].probs) {
			return math.Inf(1)
		}
		for j := range a[i].probs {
			far = max(far, math.Abs(a[i].probs[j]-b[i].probs[j]))
			if a[i].tokens[j] != b[i].tokens[j] {
				return math.Inf(1)
			}
		}
	}
	return far
}
