package modelserver

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/modelapi"
	"github.com/tunebus/tunebus/services/inference/modelserver/chatapi"
	"github.com/tunebus/tunebus/services/inference/modelserver/openlimit"
)

const (
	// maxRetries is how often a call is made again. The pauses last five minutes together.
	maxRetries = 10
	// maxFailed is how often it is after an answer that the server did not finish.
	maxFailed = 3
	// maxGarbage is how often it is after a response that is none of OpenAI's API, where
	// nothing else ever came.
	maxGarbage = 2
	// maxReload is how often an adapter is loaded again that the server has lost.
	maxReload = 20
)

// caller makes calls again until they succeed or cannot. It is safe for concurrent use.
type caller struct {
	client  *chatapi.Client
	dialect chatapi.Dialect
	limiter *openlimit.Limiter
	backoff modelapi.Backoff
	budget  modelapi.Budget

	// impatient has a look end with the first try.
	impatient bool
	// server is what a look has found.
	server server

	succeeded, retries, reloads atomic.Int64
}

// rowError is the reason why one question has no answer, while others have.
type rowError struct{ err error }

func (e rowError) Error() string { return e.err.Error() }

// ask has a model answer. reload, if set, loads the model again that the server does not
// have any more. The error is a [rowError] if only this question fails.
func (c *caller) ask(ctx context.Context, r chatapi.Request, reload func(context.Context) error) (chatapi.Reply, error) {
	atStart := c.succeeded.Load()
	for retries := 0; ; retries++ {
		if cause := c.budget.Spent(); cause != nil {
			return chatapi.Reply{}, c.unavailable(cause)
		}
		sent := c.dialect.Speak(r)
		began := time.Now()
		answer, err := c.once(ctx, sent)
		if err == nil {
			c.budget.Succeed()
			c.succeeded.Add(1)
			c.limiter.Succeed()
			return answer, c.checkModel(r.Model, answer.Model)
		}
		if ctx.Err() != nil {
			return chatapi.Reply{}, context.Cause(ctx)
		}
		if status, ok := errors.AsType[*modelapi.Error](err); ok && c.dialect.Learn(sent, status) {
			retries--
			continue
		}
		f := c.classify(err, c.client.Timeout)
		if f.lost && reload != nil && c.reloads.Add(1) <= maxReload {
			if err := reload(ctx); err != nil {
				return chatapi.Reply{}, err
			}
			continue
		}
		if f.garbage && retries >= maxGarbage && c.succeeded.Load() == 0 {
			f.code, f.do = codeNoServer, checkEndpoint
		}
		switch {
		case f.code != "":
			return chatapi.Reply{}, c.jobError(f)
		case f.failed && retries == maxFailed:
			return chatapi.Reply{}, rowError{fmt.Errorf("%w, after %d retries", f.err, retries)}
		case !f.again:
			return chatapi.Reply{}, rowError{f.err}
		}
		if f.slow {
			c.limiter.Cut()
		}
		delay := c.backoff.Pause(retries, f.retryAfter)
		if f.failed {
			c.budget.Succeed() // the server is there
		} else {
			c.budget.Fail(began, delay, f.err)
		}
		if retries == maxRetries {
			why := fmt.Errorf("%w, after %d retries", f.err, retries)
			if c.succeeded.Load() == atStart {
				return chatapi.Reply{}, c.unavailable(why) // no other call has succeeded either
			}
			return chatapi.Reply{}, rowError{why}
		}
		c.retries.Add(1)
		if err := pause(ctx, f.waitsFor, delay); err != nil {
			return chatapi.Reply{}, err
		}
	}
}

// once makes a call, and announces that it waits for the answer.
func (c *caller) once(ctx context.Context, r chatapi.Request) (chatapi.Reply, error) {
	defer engine.Waiting(ctx, "an answer of the model server at "+c.client.Name, c.client.Timeout+time.Minute)()
	return c.client.Ask(ctx, r)
}

// steady makes another kind of call until it succeeds or cannot, such as a look at the
// models. The error is that of the last try, and a failure without a code is not final.
func (c *caller) steady(ctx context.Context, doing string, timeout time.Duration, try func(context.Context) error) (failure, error) {
	defer engine.Waiting(ctx, doing, modelapi.MaxSilence+timeout)()
	for retries := 0; ; retries++ {
		began := time.Now()
		err := try(ctx)
		if err == nil {
			c.budget.Succeed()
			return failure{}, nil
		}
		if ctx.Err() != nil {
			return failure{}, context.Cause(ctx)
		}
		f := c.classify(err, timeout)
		if !f.again || c.impatient {
			return f, err
		}
		delay := c.backoff.Pause(retries, f.retryAfter)
		c.budget.Fail(began, delay, f.err)
		if cause := c.budget.Spent(); cause != nil {
			return failure{}, c.unavailable(cause)
		}
		if _, bad := errors.AsType[chatapi.Garbage](err); bad && retries >= 2 {
			f.code, f.do = codeNoServer, checkEndpoint
			return f, err
		}
		if err := pause(ctx, f.waitsFor, delay); err != nil {
			return failure{}, err
		}
	}
}
