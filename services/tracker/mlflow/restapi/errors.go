package restapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// APIError is a refusal of the server.
type APIError struct {
	Host    string
	Call    string // such as "runs/create"
	Status  int    // HTTP status
	Code    string // MLflow's error code; empty if the reply was not MLflow's JSON
	Message string // MLflow's text, cut at 300 characters; may be empty
}

// Error names the host, never the address.
func (e *APIError) Error() string {
	text := fmt.Sprintf("%s at %s: HTTP status %d", e.Call, e.Host, e.Status)
	switch {
	case e.Status == http.StatusUnauthorized:
		return text + ": user, password or token missing or wrong"
	case e.Status >= 300 && e.Status < 400:
		return text + ": the server redirects: use the address that it leads to"
	case e.Code != "":
		return text + ": " + e.Code + ": " + e.Message
	default:
		return text
	}
}

// Is makes an unknown run mlflow.ErrNoRun and an overloaded server
// mlflow.ErrUnavailable.
func (e *APIError) Is(target error) bool {
	switch target {
	case mlflow.ErrUnavailable:
		return e.retryable()
	case mlflow.ErrNoRun:
		// runs/create has this code if the experiment does not exist.
		return e.Code == codeMissing && e.Call != "runs/create" &&
			(strings.HasPrefix(e.Call, "runs/") || e.Call == "artifacts/list")
	default:
		return false
	}
}

func (e *APIError) retryable() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// MLflow's error codes.
const (
	codeExists  = "RESOURCE_ALREADY_EXISTS"
	codeMissing = "RESOURCE_DOES_NOT_EXIST"
	codeInvalid = "INVALID_PARAMETER_VALUE"
)

func hasCode(err error, code string) bool {
	api, ok := errors.AsType[*APIError](err)
	return ok && api.Code == code
}

// retryAfterError is a refusal with the delay that the server asks for.
type retryAfterError struct {
	*APIError
	delay time.Duration
}

func (e *retryAfterError) Unwrap() error { return e.APIError }

const maxRetryAfter = 30 * time.Second

// refusedBy reads the error of a response. It drops everything that is not
// MLflow's JSON, such as the page of a proxy or a stack trace.
func refusedBy(host, call string, resp *http.Response) error {
	refused := &APIError{Host: host, Call: call, Status: resp.StatusCode}
	var body struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&body) == nil {
		refused.Code, refused.Message = body.Code, normalize.Cut(body.Message, 300)
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && refused.retryable() {
		return &retryAfterError{refused, min(time.Duration(max(seconds, 0))*time.Second, maxRetryAfter)}
	}
	return refused
}

// noReply says what a response is that is no JSON of MLflow. err is that of its decoding.
func noReply(resp *http.Response, err error) error {
	if _, noJSON := errors.AsType[*json.SyntaxError](err); !noJSON {
		return err
	}
	what := "a text that is no JSON"
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && kind == "text/html" {
		what = "an HTML page"
	}
	return fmt.Errorf("the answer is %s, which MLflow's API never gives: another program answers there, or a login is in front of MLflow; check tracking_uri (%w)", what, err)
}

// transportError means that a request got no complete response. The server may
// have carried it out all the same.
type transportError struct {
	call, host string
	cause      error
}

// unreachable keeps the cause and drops the address that net/http adds to it.
func unreachable(host, call string, err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return &transportError{call: call, host: host, cause: err}
}

func (e *transportError) Error() string {
	return fmt.Sprintf("%s at %s: %v", e.call, e.host, e.cause)
}
func (e *transportError) Unwrap() error        { return e.cause }
func (e *transportError) Is(target error) bool { return target == mlflow.ErrUnavailable }
