package modelserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/services/inference/modelserver/activity"
	"github.com/tunebus/tunebus/services/inference/modelserver/chatapi"
)

// The proof that an adapter is active compares so many tokens of so many prompts.
const (
	proofPrompts = 8
	proofTokens  = 16
	// proofTries is how many rows are tried for these prompts.
	proofTries = 64
)

// sample is a row with what the models say to it: the base model, the tuned one, and the base
// model once more.
type sample struct {
	row row.Row
	activity.Sample
}

// compared are what is compared of samples.
func compared(samples []sample) (out []activity.Sample) {
	for _, s := range samples {
		out = append(out, s.Sample)
	}
	return out
}

// prove compares the first answers of an adapter with those of its base model. vLLM and others
// leave an adapter alone whose modules have other names, without a word.
func (w *work) prove(ctx context.Context, a *adapter) error {
	base := pass{model: w.base.ID}
	tuned := pass{reload: a.load}
	tuned.model, tuned.adapter = a.request(w.base)
	samples, err := w.sample(ctx, base)
	if err == nil {
		samples, err = w.traces(ctx, tuned, samples, func(s *sample) *activity.Trace { return &s.Tuned })
	}
	if err != nil {
		return err
	}
	v, why := activity.Compare(compared(samples))
	if v == activity.Active {
		if samples, err = w.traces(ctx, base, samples, func(s *sample) *activity.Trace { return &s.Again }); err != nil {
			return err
		}
		v, why = activity.AgainstNoise(compared(samples))
	}
	return w.conclude(v, why, len(samples), a)
}

// conclude says what was proved.
func (w *work) conclude(v activity.Verdict, why string, prompts int, a *adapter) error {
	const check = "check that the server's largest rank (--max-lora-rank of vLLM, 16 by default) is at least %d, and that its model has the modules that target_modules in " +
		"adapter_config.json names: a server leaves an adapter of other names alone without a word"
	switch v {
	case activity.Inactive:
		return engine.Permanent(codeNotActive, fmt.Errorf("the model server at %s answers %d prompts with the adapter %q as without it: every log probability is equal to the last digit; "+check,
			w.caller.client.Name, prompts, a.name, a.rank))
	case activity.NotProved:
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
		one, err := w.traces(ctx, base, []sample{{row: r}}, func(s *sample) *activity.Trace { return &s.Base })
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
func (w *work) traces(ctx context.Context, p pass, samples []sample, of func(*sample) *activity.Trace) (kept []sample, err error) {
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
func traceOf(r chatapi.Reply) activity.Trace {
	answer, reasoning := r.Text()
	t := activity.Trace{Text: reasoning + answer}
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
			t.Tokens, t.Probs = append(t.Tokens, c.Token), append(t.Probs, *c.Logprob)
		}
	}
	return t
}
