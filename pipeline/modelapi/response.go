package modelapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tunebus/tunebus/pipeline/redaction"
)

// maxErrorBody bounds what is read of a response without success.
const maxErrorBody = 64 << 10

// Error is a response that is no success.
type Error struct {
	Status        int
	Code, Message string        // as the server says it; may be empty
	Param         string        // the parameter that the server names; mostly empty
	RetryAfter    time.Duration // as the server asks, up to five minutes; 0 if it does not
	Longer        string        // the pause that the server asks for, if it is longer
}

func (e *Error) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)))
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Longer != "" {
		text += fmt.Sprintf(" (it asks for a pause of %s; %s are waited at most)", e.Longer, maxRetryAfter)
	}
	return text
}

// Check returns a middleware that turns a response without success into an
// [*Error], and bounds the body of one with success: it ends with [ErrTooLong] behind
// so many bytes.
func Check(most int64) func(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	return func(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
		res, err := next(req)
		if err != nil {
			return res, err
		}
		if res.StatusCode >= http.StatusOK && res.StatusCode < http.StatusMultipleChoices {
			res.Body = &boundedBody{res.Body, most}
			return res, nil
		}
		defer res.Body.Close()
		body, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
		if err != nil {
			body = nil // the status says enough
		}
		e := newError(res.StatusCode, body, credentialsOf(req))
		if e.RetryAfter = retryAfter(res.Header, time.Now()); e.RetryAfter == maxRetryAfter {
			e.Longer = longer(res.Header)
		}
		return nil, e
	}
}

// newError reads the body of a response, without the credentials that were sent.
func newError(status int, body []byte, credentials []string) *Error {
	e := &Error{Status: status}
	e.Code, e.Message, e.Param = serverError(body)
	for _, text := range []*string{&e.Code, &e.Message, &e.Param} {
		*text = cut(redaction.HideSent(*text, credentials...))
	}
	return e
}

// credentialsOf returns those that a request is sent with.
func credentialsOf(req *http.Request) (all []string) {
	if req == nil {
		return nil
	}
	for _, name := range []string{"Authorization", "Api-Key", "X-Api-Key"} {
		if value := req.Header.Get(name); value != "" {
			_, bare, ok := strings.Cut(value, " ")
			if !ok {
				bare = value
			}
			all = append(all, bare)
		}
	}
	if password, ok := req.URL.User.Password(); ok {
		all = append(all, password)
	}
	return all
}

// Within returns the error that a response with success has in a field of its body, such
// as a proxy writes it whose own server failed; nil if it has none. Its status is that
// which its code says, or 500.
func Within(field json.RawMessage, credentials ...string) *Error {
	switch text := strings.TrimSpace(string(field)); text {
	case "", "null", "false", `""`, "{}", "[]":
		return nil
	}
	e := newError(http.StatusInternalServerError, append(append([]byte(`{"error":`), field...), '}'), credentials)
	var code struct {
		Code   json.Number `json:"code"`
		Status json.Number `json:"status"`
	}
	_ = json.Unmarshal(field, &code) // what is no number says no status
	for _, n := range []json.Number{code.Status, code.Code} {
		if status, err := strconv.Atoi(n.String()); err == nil && status >= 400 && status < 600 {
			e.Status = status
		}
	}
	return e
}

// boundedBody is a body of which so many bytes may still be read.
type boundedBody struct {
	io.ReadCloser

	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		if n, err := b.ReadCloser.Read(make([]byte, 1)); n == 0 && err != nil {
			return 0, err // it ends just here
		}
		return 0, ErrTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// serverError reads what OpenAI's API, vLLM, TGI or FastAPI say in the body of a
// response.
func serverError(body []byte) (code, message, param string) {
	type problem struct {
		Code    any             `json:"code"` // some servers repeat the status as a number
		Type    string          `json:"type"`
		Message string          `json:"message"`
		Param   any             `json:"param"`
		Error   json.RawMessage `json:"error"`
		Detail  json.RawMessage `json:"detail"`
	}
	var p problem
	if json.Unmarshal(body, &p) != nil {
		if text := string(body); utf8.ValidString(text) && !strings.HasPrefix(strings.TrimSpace(text), "<") && len(text) < 1000 {
			return "", line(text), "" // vLLM and others answer some errors as plain text
		}
		return "", "", ""
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
	param, _ = p.Param.(string)
	return code, line(p.Message), param
}

// line is a text of a server in one line, so long that a credential is not cut before it
// is hidden.
func line(text string) string {
	return firstRunes(strings.Join(strings.Fields(text), " "), 4000)
}

// cut is a line as people read it.
func cut(text string) string { return firstRunes(text, 300) }

func firstRunes(text string, most int) string {
	runes := []rune(text)
	return string(runes[:min(len(runes), most)])
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

// longer is how a server asks for the longest pause, or one beyond it.
func longer(h http.Header) string {
	const most = 40
	if ms := h.Get("Retry-After-Ms"); ms != "" {
		return firstRunes(ms, most) + " ms"
	}
	text := firstRunes(h.Get("Retry-After"), most)
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return text + " s"
	}
	return "until " + text
}

// maxRetryAfter is the longest pause that a server gets. One that asks for hours
// has no quota left.
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
	case e.IsUnsupported():
		return "it does not support a parameter: " + e.Message
	}
	return ""
}

// IsUnsupported reports whether the server does not know a parameter, or not this
// value of it.
func (e *Error) IsUnsupported() bool {
	return (e.Status == http.StatusBadRequest || e.Status == http.StatusUnprocessableEntity) && unsupported.MatchString(e.Code+" "+e.Message)
}

// Again reports whether the same call may succeed later.
func (e *Error) Again() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= http.StatusInternalServerError
}
