package modelapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "", 0},
		{"Retry-After", "7", 7 * time.Second},
		{"Retry-After", "1.5", 1500 * time.Millisecond},
		{"Retry-After", "-3", 0},
		{"Retry-After", "NaN", 0},
		{"Retry-After", "soon", 0},
		{"Retry-After", "1e300", maxRetryAfter},
		{"Retry-After", "86400", maxRetryAfter},
		{"Retry-After", "Thu, 02 Jan 2025 03:04:15 GMT", 10 * time.Second},
		{"Retry-After", "Thu, 02 Jan 2025 03:04:00 GMT", 0},
		{"Retry-After-Ms", "250", 250 * time.Millisecond},
	} {
		h := http.Header{}
		h.Set(c.name, c.value)
		if got := retryAfter(h, now); got != c.want {
			t.Errorf("%s: %q is %s, want %s", c.name, c.value, got, c.want)
		}
	}
}

// TestLongerPause: a pause that is not waited in full is said.
func TestLongerPause(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"999999999999": "429 Too Many Requests (it asks for a pause of 999999999999 s; 5m0s are waited at most)",
		"7":            "429 Too Many Requests",
	} {
		req, err := http.NewRequest(http.MethodPost, "http://127.0.0.1/v1", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Check(10)(req, func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {value}}, Body: io.NopCloser(strings.NewReader(""))}, nil
		})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", value, err, want)
		}
	}
}

func TestServerErrors(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][3]string{
		"":          {},
		"<html>503": {},
		`{"error": {"message": "no\nmore", "type": "t", "code": "c", "param": "min_p"}}`: {"c", "no more", "min_p"},
		`{"error": {"message": "m", "type": "t", "code": 400, "param": null}}`:           {"t", "m", ""},
		`{"object": "error", "message": "too long", "code": 400}`:                        {"", "too long", ""},
		`{"error": "model not loaded"}`:                                                  {"", "model not loaded", ""},
		`{"detail": "Not Found"}`:                                                        {"", "Not Found", ""},
		"The lora adapter\n'a' has already been loaded.":                                 {"", "The lora adapter 'a' has already been loaded.", ""},
	} {
		code, message, param := serverError([]byte(body))
		if got := [3]string{code, message, param}; !slices.Equal(got[:], want[:]) {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// TestRepeatedKey: a server that repeats the key has it in no field of the error, also
// where the text is cut there.
func TestRepeatedKey(t *testing.T) {
	t.Parallel()
	const key = "sk-thisIsSecret99"
	encoded := base64.StdEncoding.EncodeToString([]byte("Bearer " + key))
	for _, body := range []string{
		`{"error": {"message": "bad header Bearer sk-thisIsSecret99", "code": "sk-thisIsSecret99", "param": "sk-thisIsSecret99"}}`,
		`{"error": {"message": "bad header \u0073k-thisIsSecret99"}}`, `{"detail": [{"input": "Bearer sk-thisIsSecret99"}]}`, "no such key: sk-thisIsSecret99",
		`{"error": "` + encoded + `"}`, `{"error": "` + strings.Repeat("x", 290) + ` sk-thisIsSecret99"}`,
	} {
		req, err := http.NewRequest(http.MethodPost, "http://127.0.0.1/v1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		_, err = Check(10)(req, func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusBadRequest, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
		got := fmt.Sprintf("%+v %v", *err.(*Error), err) //nolint:errorlint // it is of that type
		if strings.Contains(got, "thisIs") || strings.Contains(got, "Secret99") || strings.Contains(got, encoded[12:24]) {
			t.Errorf("%s: %s", body, got)
		}
	}
}

// TestWithin: what a response with success says of an error.
func TestWithin(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]string{
		"": "", "null": "", "false": "", `""`: "", "{}": "",
		`{"message": "overloaded", "code": 503}`: "503 Service Unavailable: overloaded",
		`{"message": "bad", "code": "odd"}`:      "500 Internal Server Error: bad",
		`"the key is sk-secret-0"`:               "500 Internal Server Error: the key is [hidden]",
	} {
		got := ""
		if e := Within(json.RawMessage(field), "sk-secret-0"); e != nil {
			got = e.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
}

// TestBoundedBody: a body ends at its bound with an error that says so, and one of
// that very length does not.
func TestBoundedBody(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]error{9: nil, 10: nil, 11: ErrTooLong} {
		next := func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(strings.Repeat("x", length)))}, nil
		}
		res, err := Check(10)(nil, next)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if !errors.Is(err, want) || len(body) != min(length, 10) {
			t.Errorf("%d bytes: read %d, %v", length, len(body), err)
		}
	}
}

// TestAway: the reason has neither the address of the server, which may hold a secret,
// nor that of this machine.
func TestAway(t *testing.T) {
	t.Parallel()
	_, err := http.Get("http://user:pw-secret@127.0.0.1:1/v1?key=secret") // nobody listens there
	if away := Away(err, time.Second); away == nil || strings.Contains(away.Error(), "secret") || strings.Contains(away.Error(), "127.0.0.1") {
		t.Errorf("got %v", away)
	}
	if away := Away(fmt.Errorf("post: %w", context.DeadlineExceeded), time.Second); away == nil || away.Error() != "no answer within 1s" {
		t.Errorf("got %v", away)
	}
	if away := Away(errors.New("invalid character"), time.Second); away != nil {
		t.Errorf("got %v", away)
	}
}

// TestBudget: the time counts from the first failure behind the last success.
func TestBudget(t *testing.T) {
	t.Parallel()
	var b Budget
	b.Fail(time.Now().Add(-2*MaxSilence), 0, io.EOF)
	if cause := b.Spent(); !errors.Is(cause, io.EOF) || cause.Error() != "no call succeeded for 10m0s: EOF" {
		t.Errorf("spent by %v", cause)
	}
	b = Budget{}
	b.Fail(time.Now().Add(-302*time.Second), maxRetryAfter, io.EOF)
	if cause := b.Spent(); cause == nil || cause.Error() != "no call succeeded for 5m2s, and the server asks for a pause of 5m0s, which ends behind the 10m0s that are waited: EOF" {
		t.Errorf("spent by %v", cause)
	}
	b = Budget{}
	b.Fail(time.Now(), 0, io.EOF)
	b.Succeed()
	b.Fail(time.Now(), time.Minute, io.EOF)
	if cause := b.Spent(); cause != nil {
		t.Errorf("spent by %v", cause)
	}
}
