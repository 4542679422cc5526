package response

import (
	"net/http"
	"slices"
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

func TestServerErrors(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][2]string{
		"":          {"", ""},
		"<html>503": {"", ""},
		`{"error": {"message": "no\nmore", "type": "t", "code": "c"}}`: {"c", "no more"},
		`{"error": {"message": "m", "type": "t", "code": 400}}`:        {"t", "m"},
		`{"object": "error", "message": "too long", "code": 400}`:      {"", "too long"},
		`{"error": "model not loaded"}`:                                {"", "model not loaded"},
		`{"detail": "Not Found"}`:                                      {"", "Not Found"},
		`[1]`:                                                          {"", ""},
	} {
		code, message := serverError([]byte(body))
		if got := [2]string{code, message}; !slices.Equal(got[:], want[:]) {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
