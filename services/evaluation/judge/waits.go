package judge

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/openai/openai-go/v3/option"

	"github.com/tunebus/tunebus/pipeline/progress"
)

// waitMargin is how much longer than its own limits a call may take before it
// counts as one that hangs.
const waitMargin = time.Minute

// pauses are the pauses between the tries of one call. The tries follow each
// other, so it needs no lock.
type pauses struct{ open *progress.Activity }

func (p *pauses) end() {
	p.open.End()
	p.open = nil
}

type pausesKey struct{}

// announce announces to the job of a context that a call waits for the judge.
// The call has to be made with the context that announce returns; done ends the
// wait.
func (c *Client) announce(ctx context.Context) (call context.Context, done func(error)) {
	p := &pauses{}
	limit := waitMargin
	for range c.cfg.MaxRetries + 1 {
		limit += c.cfg.Timeout
	}
	answer := progress.Wait(ctx, "an answer of the judge at "+c.host, limit)
	return context.WithValue(ctx, pausesKey{}, p), func(err error) {
		p.end()
		answer.End()
		if err == nil {
			progress.Advance(ctx, 1)
		}
	}
}

// announcePauses is a middleware, which the client library calls for each try.
// It announces what the library waits for before the next one.
func (c *Client) announcePauses(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	p, _ := req.Context().Value(pausesKey{}).(*pauses)
	if p == nil {
		return next(req)
	}
	p.end()
	res, err := next(req)
	waitsFor := ""
	switch {
	case err != nil:
		waitsFor = fmt.Sprintf("the judge at %s, which cannot be reached", c.host)
	case res.StatusCode == http.StatusTooManyRequests:
		waitsFor = fmt.Sprintf("the rate limit of the judge at %s", c.host)
	case res.StatusCode >= http.StatusInternalServerError:
		waitsFor = fmt.Sprintf("the judge at %s, which answers %d %s and may be loading", c.host, res.StatusCode, http.StatusText(res.StatusCode))
	}
	if waitsFor != "" {
		p.open = progress.Wait(req.Context(), waitsFor, c.cfg.MaxDelay+waitMargin)
	}
	return res, err
}
