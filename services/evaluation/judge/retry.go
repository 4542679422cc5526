package judge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tunebus/tunebus/pipeline/modelapi"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// badAnswer is the error of a response that arrived and is not what was asked for.
type badAnswer string

func (e badAnswer) Error() string { return string(e) }

// failure says what follows from a failed try.
type failure struct {
	err error // for people, without the address and the key
	// refused means that every call fails, again that this one may succeed later.
	// If neither is set, only this row fails.
	refused, again bool
	// arrived means that the judge answered something else than was asked for, away
	// that no response came.
	arrived, away bool
	retryAfter    time.Duration
	waitsFor      string // for who watches
}

// classify decides what follows from the error of a try.
func (c *Client) classify(err error) failure {
	if status, ok := errors.AsType[*modelapi.Error](err); ok {
		f := failure{err: status, again: status.Again(), retryAfter: status.RetryAfter}
		name := fmt.Sprintf("%d %s", status.Status, http.StatusText(status.Status))
		if why := status.Refusal(); why != "" {
			return failure{err: fmt.Errorf("%s: %s", name, why), refused: true}
		}
		if f.again {
			f.err = errors.New(name) // the message may name a request
			f.waitsFor = fmt.Sprintf("the judge at %s, which answers %s and may be loading", c.host, name)
			if status.Status == http.StatusTooManyRequests {
				f.waitsFor = "the rate limit of the judge at " + c.host
			}
		}
		return f
	}
	if bad, ok := errors.AsType[badAnswer](err); ok {
		return failure{err: bad, again: true, arrived: true, waitsFor: "another answer of the judge at " + c.host}
	}
	if unfit, ok := errors.AsType[unfitError](err); ok {
		return failure{err: unfit, arrived: true}
	}
	if errors.Is(err, errTruncated) {
		return failure{err: errTruncated}
	}
	if away := modelapi.Away(err, c.cfg.Timeout); away != nil {
		return failure{err: away, again: true, away: true, waitsFor: fmt.Sprintf("the judge at %s, which cannot be reached", c.host)}
	}
	// The library could not read the response.
	return failure{err: badAnswer("the response is not that of OpenAI's API"), again: true, arrived: true, waitsFor: "another answer of the judge at " + c.host}
}

// retry makes a call, and makes it again after a failure that may pass. It holds
// one of the client's slots, also while it pauses: a judge that limits the rate
// or comes up again meets no more calls than one that answers.
func retry[T any](ctx context.Context, c *Client, m *model, try func(context.Context) (T, error)) (T, error) {
	var none T
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	if cause := cmp.Or(c.network.Spent(), m.budget.Spent()); cause != nil {
		return none, c.silent(m, cause)
	}
	for retries := 0; ; retries++ {
		began := time.Now()
		value, err := tryOnce(ctx, c, try)
		if err == nil {
			m.budget.Succeed()
			c.network.Succeed()
			progress.Advance(ctx, 1)
			return value, nil
		}
		if ctx.Err() != nil {
			return none, context.Cause(ctx)
		}
		f := c.classify(err)
		switch {
		case f.refused:
			return none, fmt.Errorf("%w: %s at %s: %w", ErrRefused, m.name, c.host, f.err)
		case !f.again:
			return none, fmt.Errorf("%s at %s: %w", m.name, c.host, f.err)
		}
		delay := c.delay(retries, f)
		m.budget.Fail(began, delay, f.err)
		if f.away {
			c.network.Fail(began, delay, f.err)
		} else {
			c.network.Succeed()
		}
		cause := cmp.Or(c.network.Spent(), m.budget.Spent())
		switch {
		case cause != nil:
			return none, c.silent(m, cause)
		case retries == c.cfg.MaxRetries && f.arrived:
			return none, fmt.Errorf("%s at %s: after %d retries: %w", m.name, c.host, retries, f.err)
		case retries == c.cfg.MaxRetries:
			return none, fmt.Errorf("%w: %s at %s: %w, after %d retries", ErrUnavailable, m.name, c.host, f.err, retries)
		}
		if err := sleep(ctx, f.waitsFor, delay); err != nil {
			return none, err
		}
	}
}

// silent is the error of a call that is not made any more.
func (c *Client) silent(m *model, cause error) error {
	return fmt.Errorf("%w: %s at %s: %w", ErrUnavailable, m.name, c.host, cause)
}

// waitMargin is how much longer than its own limit a wait may take before it
// counts as one that hangs.
const waitMargin = time.Minute

// tryOnce bounds a try by the timeout, and announces it to the job of the context.
func tryOnce[T any](ctx context.Context, c *Client, try func(context.Context) (T, error)) (T, error) {
	answer := progress.Wait(ctx, "an answer of the judge at "+c.host, c.cfg.Timeout+waitMargin)
	defer answer.End()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	return try(ctx)
}

func sleep(ctx context.Context, waitsFor string, d time.Duration) error {
	wait := progress.Wait(ctx, waitsFor, d+waitMargin)
	defer wait.End()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

const (
	firstDelay = time.Second
	// maxAnswerDelay is the longest pause after an answer that cannot be used: the
	// judge is there, and need not recover.
	maxAnswerDelay = 2 * time.Second
)

// delay is the pause before a retry. It doubles from 1 s to the longest pause, of
// which the second half is random, so that callers spread; ten of them last
// between 150 and 300 s. A server that asks for a pause gets at least that.
func (c *Client) delay(retries int, f failure) time.Duration {
	limit := c.cfg.MaxDelay
	if f.arrived {
		limit = min(limit, maxAnswerDelay)
	}
	return modelapi.Backoff{First: firstDelay, Longest: limit}.Pause(retries, f.retryAfter)
}
