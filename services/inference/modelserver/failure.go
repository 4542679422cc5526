package modelserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/modelapi"
	"github.com/tunebus/tunebus/services/inference/modelserver/chatapi"
)

// The codes of errors.
const (
	codeUnauthorized = "unauthorized"
	codeNoModel      = "no_model"
	codeRedirects    = "redirects"
	codeQuota        = "quota_used_up"
	codeParameter    = "unsupported_parameter"
	codeNoServer     = "bad_server"         // the address is of no such server
	codeUnavailable  = "server_unavailable" // it may be there later
	codeWrongModel   = "wrong_model"
	codeRows         = "rows_refused"
	codeAdapter      = "adapter_refused"
	codeNotActive    = "adapter_not_active"
)

const checkEndpoint = "check that services.inference.endpoint is the address of OpenAI's API, which mostly ends in /v1"

// keyExample shows what credentials.keys holds.
const keyExample = `, such as "https://models.example=MODELS_KEY"`

// failure says what follows from a failed call.
type failure struct {
	err error // for people, without the address and the key
	// code is set if every call fails like this one, and what to do against it.
	code, do string
	// again means that the same call may succeed later. Without it and without a code,
	// only this row fails.
	again bool
	// lost means that the server has no such model, or not any more.
	lost bool
	// slow means that the server cannot keep up, and away that no response came.
	slow, away bool
	// garbage means that the response was none of OpenAI's API, and failed that the server
	// answered with a failure of its own.
	garbage, failed bool
	retryAfter      time.Duration
	waitsFor        string // for who watches
}

// classify says what follows from the error of a call.
func (c *caller) classify(err error, timeout time.Duration) failure {
	if status, ok := errors.AsType[*modelapi.Error](err); ok {
		return c.classifyStatus(status)
	}
	another := failure{again: true, waitsFor: "another answer of the model server at " + c.client.Name}
	if bad, ok := errors.AsType[chatapi.Garbage](err); ok {
		another.err, another.garbage = bad, true
		return another
	}
	if bad, ok := errors.AsType[chatapi.Failed](err); ok {
		another.err, another.failed = bad, true
		return another
	}
	if errors.Is(err, modelapi.ErrTooLong) {
		another.err = errors.New("its response has no end, or is far longer than the tokens that were asked for")
		return another
	}
	if away := modelapi.Away(err, timeout); away != nil {
		return failure{err: away, again: true, away: true, slow: true, waitsFor: fmt.Sprintf("the model server at %s, which cannot be reached", c.client.Name)}
	}
	return failure{err: err, code: codeNoServer}
}

func (c *caller) classifyStatus(e *modelapi.Error) failure {
	f := failure{err: e, retryAfter: e.RetryAfter}
	switch s := e.Status; {
	case s == http.StatusForbidden && e.Code == "model_not_found":
		f.code, f.do = codeNoModel, "check the name of the model, and that the account or the project of the key may use it"
	case s == http.StatusForbidden && e.Message != "":
		f.code, f.do = codeUnauthorized, "have the key allowed to do this, or name another variable for its origin in credentials.keys"
		if !c.client.HasKey() {
			f.do = "if it wants a key, name the variable that holds it in credentials.keys" + keyExample
		}
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		f.code = codeUnauthorized
		f.err = fmt.Errorf("%d %s: it does not accept the key", s, http.StatusText(s)) // the message may quote the key
		f.do = "check the variable that credentials.keys names for its origin"
		if !c.client.HasKey() {
			f.err = fmt.Errorf("%d %s: it wants a key, and there is none for its origin", s, http.StatusText(s))
			f.do = "name the variable that holds the key in credentials.keys" + keyExample
		}
	case s == http.StatusNotFound:
		f.lost = true
		f.code, f.do = codeNoModel, "check the path of services.inference.endpoint, which mostly ends in /v1, and the name of the model"
	case s >= 300 && s < 400:
		f.code, f.do = codeRedirects, "name the address that it leads to in services.inference.endpoint; the key is not sent to another one"
	case s == http.StatusPaymentRequired, s == http.StatusTooManyRequests && e.Code == "insufficient_quota":
		f.code, f.do = codeQuota, "raise the quota of the account"
	case e.Again():
		f.again, f.slow = true, s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable
		f.waitsFor = fmt.Sprintf("the model server at %s, which answers %d %s and may be loading", c.client.Name, s, http.StatusText(s))
		if s == http.StatusTooManyRequests {
			f.waitsFor = "the rate limit of the model server at " + c.client.Name
		}
		f.waitsFor += until(e)
	case e.IsUnsupported():
		f.code, f.do = codeParameter, "change the key of the section inferencer that it is about"
	case s == http.StatusBadRequest || s == http.StatusRequestEntityTooLarge || s == http.StatusUnprocessableEntity:
	default:
		f.code, f.do = codeNoServer, checkEndpoint
	}
	return f
}

// until says when the pause ends that a server asks for; empty if it is short.
func until(e *modelapi.Error) string {
	if e.RetryAfter < 10*time.Second {
		return ""
	}
	text := ", until " + time.Now().Add(e.RetryAfter).Format(time.TimeOnly)
	if e.Longer != "" {
		text += fmt.Sprintf(" (it asks for a pause of %s)", e.Longer)
	}
	return text
}

// jobError is the error of the job that a failure with a code causes.
func (c *caller) jobError(f failure) error {
	text := fmt.Errorf("the model server at %s (services.inference.endpoint): %w", c.client.Name, f.err)
	if f.do != "" {
		text = fmt.Errorf("%w; what to do: %s", text, f.do)
	}
	return engine.Permanent(f.code, text)
}

// unavailable is the error of a job that another attempt may do.
func (c *caller) unavailable(why error) error {
	return &engine.JobError{Code: codeUnavailable, Err: fmt.Errorf("the model server at %s (services.inference.endpoint): %w", c.client.Name, why)}
}

// pause waits, and announces that.
func pause(ctx context.Context, waitsFor string, d time.Duration) error {
	defer engine.Waiting(ctx, waitsFor, d+time.Minute)()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
