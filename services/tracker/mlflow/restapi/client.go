package restapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// client sends requests to one MLflow server.
type client struct {
	base *url.URL
	opt  Options
	http *http.Client
}

// get calls a method of the API, and repeats it as the options allow.
func (c *client) get(ctx context.Context, call string, query url.Values, reply any) error {
	return c.retry(ctx, func() error { return c.call(ctx, http.MethodGet, call, query, nil, reply) })
}

// post calls a method that is idempotent, and repeats it as the options allow.
func (c *client) post(ctx context.Context, call string, body, reply any) error {
	return c.retry(ctx, func() error { return c.postOnce(ctx, call, body, reply) })
}

// postOnce calls a method that must not be repeated blindly.
func (c *client) postOnce(ctx context.Context, call string, body, reply any) error {
	return c.call(ctx, http.MethodPost, call, nil, body, reply)
}

func (c *client) call(ctx context.Context, method, call string, query url.Values, body, reply any) error {
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode %s: %w", call, err)
		}
		content = bytes.NewReader(text)
	}
	u := c.base.JoinPath("api/2.0/mlflow", call)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return fmt.Errorf("%s at %s: invalid request", call, c.base.Host)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.send(req, call, reply)
}

// send sends one request, and decodes its reply if reply is not nil.
func (c *client) send(req *http.Request, call string, reply any) (err error) {
	switch {
	case c.opt.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.opt.Token)
	case c.opt.Username != "" || c.opt.Password != "":
		req.SetBasicAuth(c.opt.Username, c.opt.Password)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return unreachable(c.base.Host, call, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode/100 != 2 {
		return refusedBy(c.base.Host, call, resp)
	}
	if reply == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(reply); err != nil {
		return unreachable(c.base.Host, call, noReply(resp, err))
	}
	return nil
}

// retry calls do until it succeeds, is refused for good, or the tries are used
// up. Some responses with status 500 are permanent, so the tries are few.
func (c *client) retry(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || ctx.Err() != nil || !errors.Is(err, mlflow.ErrUnavailable) || try == c.opt.Tries {
			return err
		}
		if sleepErr := sleep(ctx, c.delay(try, err)); sleepErr != nil {
			return errors.Join(sleepErr, err)
		}
	}
}

// delay is the time between a try and the next one: doubled each time, with
// jitter, or as long as the server asks for.
func (c *client) delay(try int, cause error) time.Duration {
	const maxBackoff = 10 * time.Second
	d := min(c.opt.Backoff<<min(try-1, 16), maxBackoff)
	d = d/2 + rand.N(d/2+1)
	if asked, ok := errors.AsType[*retryAfterError](cause); ok {
		d = max(d, asked.delay)
	}
	return d
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// wireRun is a run in responses.
type wireRun struct {
	Info struct {
		ID          string        `json:"run_id"`
		StartTime   int64         `json:"start_time"`
		Status      mlflow.Status `json:"status"`
		ArtifactURI string        `json:"artifact_uri"`
	} `json:"info"`
	Data struct {
		Params []wirePair `json:"params"`
	} `json:"data"`
	Outputs struct {
		Models []struct {
			ID string `json:"model_id"`
		} `json:"model_outputs"`
	} `json:"outputs"`
}

// wirePair is a parameter or a tag.
type wirePair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (c *client) getRun(ctx context.Context, id string) (wireRun, error) {
	var reply struct {
		Run wireRun `json:"run"`
	}
	err := c.get(ctx, "runs/get", url.Values{"run_id": {id}}, &reply)
	return reply.Run, err
}
