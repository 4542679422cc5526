// Package response reads the responses of a judge's server: their size is bounded,
// and one without success says whether the same call may succeed later.
package response

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/openai/openai-go/v3/option"
)

const (
	// maxErrorBody and maxBody bound what is read of a response, because the judge
	// may be any server.
	maxErrorBody = 64 << 10
	maxBody      = 32 << 20
)

// Error is a response that is no success.
type Error struct {
	Status        int
	Code, Message string        // as the server says it; may be empty
	RetryAfter    time.Duration // as the server asks, up to five minutes; 0 if it does not
}

func (e *Error) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)))
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Check is a middleware that turns a response without success into a
// [*Error]. The library would lose the status where the body is no JSON.
func Check(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	res, err := next(req)
	if err != nil {
		return res, err
	}
	if res.StatusCode < http.StatusMultipleChoices {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxBody), res.Body}
		return res, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	if err != nil {
		body = nil // the status says enough
	}
	e := &Error{Status: res.StatusCode, RetryAfter: retryAfter(res.Header, time.Now())}
	e.Code, e.Message = serverError(body)
	return nil, e
}

// serverError reads what OpenAI's API, vLLM, TGI or FastAPI say in the body of a
// response.
func serverError(body []byte) (code, message string) {
	type problem struct {
		Code    any             `json:"code"` // some servers repeat the status as a number
		Type    string          `json:"type"`
		Message string          `json:"message"`
		Error   json.RawMessage `json:"error"`
		Detail  json.RawMessage `json:"detail"`
	}
	var p problem
	if json.Unmarshal(body, &p) != nil {
		return "", ""
	}
	var inner problem
	var text string
	switch {
	case json.Unmarshal(p.Error, &inner) == nil && inner.Message != "":
		p = inner
	case json.Unmarshal(p.Error, &text) == nil:
		p.Message = text
	case p.Message == "" && len(p.Detail) > 0:
		p.Message = strings.Trim(string(p.Detail), `"`)
	}
	code, ok := p.Code.(string)
	if !ok || code == "" {
		code = p.Type
	}
	const maxRunes = 300
	runes := []rune(strings.Join(strings.Fields(p.Message), " "))
	return code, string(runes[:min(len(runes), maxRunes)])
}

// retryAfter is the pause that a server asks for: retry-after-ms of OpenAI's API,
// or Retry-After in seconds or as a date (RFC 9110, 10.2.3).
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return pause(ms * float64(time.Millisecond))
	}
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return pause(seconds * float64(time.Second))
	}
	if date, err := http.ParseTime(text); err == nil {
		return pause(float64(date.Sub(now)))
	}
	return 0
}

// maxRetryAfter is the longest pause that a server gets. One that asks for hours
// has no quota left, and its metric is given up in time.
const maxRetryAfter = 5 * time.Minute

// pause is a duration in nanoseconds between 0 and maxRetryAfter; 0 if it is no
// number.
func pause(ns float64) time.Duration {
	if !(ns > 0) {
		return 0
	}
	return time.Duration(min(ns, float64(maxRetryAfter)))
}

// unsupported is how servers say that they do not know a parameter, or not this
// value of it.
var unsupported = regexp.MustCompile(`(?i)unsupported[ _](parameter|value)|not supported with this model|` +
	`does not support (the )?(parameter|temperature|max_tokens|n\b)|unrecognized request argument|unknown (parameter|field|argument)|` +
	`extra inputs are not permitted|extra fields not permitted`)

// Refusal returns why a status is the answer to every call; empty if it is not.
func (e *Error) Refusal() string {
	switch s := e.Status; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return "the key is not accepted"
	case s == http.StatusNotFound:
		return "the model or the path of the address does not exist"
	case s >= 300 && s < 400:
		return "it redirects to another server, which does not get the key"
	case s == http.StatusTooManyRequests && e.Code == "insufficient_quota":
		return "its quota is used up"
	case (s == http.StatusBadRequest || s == http.StatusUnprocessableEntity) && unsupported.MatchString(e.Code+" "+e.Message):
		return "it does not support a parameter: " + e.Message
	}
	return ""
}

// Again reports whether the same call may succeed later.
func (e *Error) Again() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= http.StatusInternalServerError
}
